-- CustomerMeasure: one row for each customer that has measures (requirements, "CustomerMeasure").
--   Measures           one JSON object of all its measures, by name; a measure without a value is left out
--   Identifier         Customer_Measure|CustomerId
--   CustomerMeasureId  the CustomerId itself: its GUID where it is one, else the deterministic GUID of it
WITH customer AS (
    SELECT id, min(customer_id) AS customer_id, list_sort(flatten(list(members))) AS members,
           min(bare(ready)) AS ready, min(fault) AS fault
    FROM measure
    GROUP BY id
)
SELECT
    id                                                                                          AS id,
    'Customer_Measure|' || customer_id                                                          AS source_key,
    fault                                                                                       AS fault,
    customer_id                                                                                 AS customer,
    customer_id                                                                                 AS "{prefix}_customerid",
    coalesce(ready, '{{' || array_to_string(
        list_transform(members, lambda one: to_json(one.name) || ':' || one.value), ',') || '}}') AS "{prefix}_measures",
    'Customer_Measure|' || customer_id                                                          AS "{prefix}_identifier"
FROM customer
