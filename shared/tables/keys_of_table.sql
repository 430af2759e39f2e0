-- The alternate keys of the lake's own AlternateKey table; of its KeyRing only what it prefers is read.
SELECT
    trim("DataSourceName")  AS data_source,
    trim("EntityName")      AS entity,
    trim("AlternateValue")  AS value,
    "CustomerId"            AS customer_id,
    CASE WHEN json_valid({key_ring}) THEN trim(json_extract_string({key_ring}, '$[0].preferredKey')) END AS preferred
FROM alternate_key_table
