-- Source rows that unification names in tables that are not linked as they are configured. GUIDs never meet by chance.
SELECT parse_guid(value) AS id, data_source, entity
FROM link_key
ANTI JOIN link_source USING (data_source, entity)
WHERE is_guid(value)
