-- CustomerProfile: one row for each customer of the unified profile (requirements, "CustomerProfile").
-- The row's GUID is the customer's id itself; without one it is no row. The columns are the entity's attributes.
SELECT
    id_guid(bare("{customer_id}"))      AS id,
    "{customer_id}"                     AS sourcekey,
    NULL::VARCHAR                       AS fault,
    {columns}
FROM customer
