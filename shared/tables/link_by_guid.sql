-- The keys of the source rows to link, where they are the rows' own GUIDs in Dataverse, in any spelling.
SELECT value, customer_id, parse_guid(value) AS row_id, parse_guid(value) IS NULL AS unreadable
FROM link_key
JOIN link_source USING (data_source, entity)
