-- AlternateKey: one row for each key that took part in the unification (requirements, "AlternateKey").
--   Identifier      DataSourceName|EntityName|AlternateValue
--   AlternateKeyId  deterministic GUID of Identifier
--   KeyRing         all keys of the customer in that source table, the smallest by ordinal order preferred
WITH holder AS (
    SELECT data_source, entity, value, min(customer_id) AS customer_id, count(DISTINCT id_guid(customer_id)) AS customers
    FROM alternate_key
    GROUP BY data_source, entity, value
),
ring AS (
    SELECT data_source, entity, customer_id, list_sort(list(value)) AS keys
    FROM holder
    GROUP BY data_source, entity, customer_id
)
SELECT
    identifier_guid(data_source || '|' || entity || '|' || value)  AS id,
    data_source || '|' || entity || '|' || value                   AS source_key,
    CASE WHEN customers > 1
         THEN 'AlternateValue: the key belongs to ' || customers || ' customers' END AS fault,
    data_source                                                    AS "{prefix}_datasourcename",
    entity                                                         AS "{prefix}_entityname",
    value                                                          AS "{prefix}_alternatevalue",
    '[{{"dataSourceName":' || to_json(data_source)
        || ',"entityName":' || to_json(entity)
        || ',"preferredKey":' || to_json(keys[1])
        || ',"keys":' || to_json(keys) || '}}]'                    AS "{prefix}_keyring",
    customer_id                                                    AS "{prefix}_customerid",
    data_source || '|' || entity || '|' || value                   AS "{prefix}_identifier"
FROM holder
JOIN ring USING (data_source, entity, customer_id)
