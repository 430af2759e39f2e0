-- Linking: one row for each source row among the alternate keys, with the profile that its customer has.
-- A source row that two customers claim is not linked: either answer could be wrong.
SELECT
    coalesce(parse_guid(value), identifier_guid(value))            AS id,
    min(value)                                                     AS sourcekey,
    CASE WHEN parse_guid(min(value)) IS NULL
         THEN 'key: the value is not a GUID, so it names no row of this table'
         WHEN count_if(id_guid(bare(customer_id)) IS NULL) > 0
         THEN 'CustomerId: the text is not valid UTF-8'
         WHEN count(DISTINCT id_guid(bare(customer_id))) > 1
         THEN 'key: the source row belongs to ' || count(DISTINCT id_guid(bare(customer_id))) || ' customers' END AS fault,
    min(id_guid(bare(customer_id)))                                AS profile
FROM alternate_key
JOIN link_source USING (data_source, entity)
GROUP BY coalesce(parse_guid(value), identifier_guid(value))
