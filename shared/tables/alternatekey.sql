-- AlternateKey: one row for each key that took part in the unification (requirements, "AlternateKey").
--   Identifier      DataSourceName|EntityName|AlternateValue
--   AlternateKeyId  deterministic GUID of Identifier
--   KeyRing         all keys of the customer in that source table; preferred is the one that the lake prefers, else the
--                   smallest by ordinal order
WITH holder AS (
    SELECT data_source, entity, value, min(customer_id) AS customer_id, min(preferred) AS preferred,
           min(id_guid(bare(customer_id))) AS customer, count(DISTINCT id_guid(bare(customer_id))) AS customers,
           count_if(id_guid(bare(customer_id)) IS NULL) AS unreadable
    FROM alternate_key
    GROUP BY data_source, entity, value
),
ring AS (
    SELECT data_source, entity, customer, list_sort(list(value)) AS keys, min(preferred) AS preferred
    FROM holder
    GROUP BY data_source, entity, customer
)
SELECT
    identifier_guid(holder.data_source || '|' || holder.entity || '|' || value)  AS id,
    holder.data_source || '|' || holder.entity || '|' || value     AS sourcekey,
    CASE WHEN unreadable > 0
         THEN 'CustomerId: the text is not valid UTF-8'
         WHEN customers > 1
         THEN 'AlternateValue: the key belongs to ' || customers || ' customers' END AS fault,
    bare(customer_id)                                              AS customer,
    holder.data_source                                             AS "{prefix}_datasourcename",
    holder.entity                                                  AS "{prefix}_entityname",
    value                                                          AS "{prefix}_alternatevalue",
    '[{{"dataSourceName":' || to_json(holder.data_source)
        || ',"entityName":' || to_json(holder.entity)
        || ',"preferredKey":' || to_json(CASE WHEN list_contains(keys, ring.preferred) THEN ring.preferred ELSE keys[1] END)
        || ',"keys":' || to_json(keys) || '}}]'                    AS "{prefix}_keyring",
    customer_id                                                    AS "{prefix}_customerid",
    holder.data_source || '|' || holder.entity || '|' || value     AS "{prefix}_identifier"
FROM holder
JOIN ring ON ring.data_source = holder.data_source AND ring.entity = holder.entity
         AND ring.customer IS NOT DISTINCT FROM holder.customer
