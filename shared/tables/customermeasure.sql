-- CustomerMeasure: one row for each customer that has measures (requirements, "CustomerMeasure").
--   Measures           one JSON object of all its measures, by name; a measure without a value is left out
--   Identifier         Customer_Measure|CustomerId
--   CustomerMeasureId  the CustomerId itself: its GUID where it is one, else the deterministic GUID of it
SELECT
    id                                    AS id,
    'Customer_Measure|' || customer_id    AS sourcekey,
    fault                                 AS fault,
    customer_id                           AS customer,
    customer_id                           AS "{prefix}_customerid",
    content                               AS "{prefix}_measures",
    'Customer_Measure|' || customer_id    AS "{prefix}_identifier"
FROM measure
