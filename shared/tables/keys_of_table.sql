-- The alternate keys of the lake's own AlternateKey table.
SELECT
    trim("{data_source}")   AS data_source,
    trim("{entity}")        AS entity,
    trim("{value}")         AS value,
    "{customer_id}"         AS customer_id
FROM alternate_key_table
