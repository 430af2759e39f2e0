-- CustomerProfile: one row for each customer of the unified profile (requirements, "CustomerProfile").
-- The row's GUID is the customer's id itself. The columns are the attributes of the lake's entity.
SELECT
    id_guid(trim("{customer_id}"))  AS id,
    "{customer_id}"                 AS source_key,
    NULL::VARCHAR                   AS fault,
    {columns}
FROM customer
