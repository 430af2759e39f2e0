-- CustomerProfile: one row for each customer of the unified profile (requirements, "CustomerProfile").
-- The row's GUID is the customer's id itself; without one it is no row. The columns are the entity's attributes.
SELECT
    CASE WHEN regexp_matches("{customer_id}", '\S') THEN id_guid(trim("{customer_id}")) END  AS id,
    "{customer_id}"                                                                          AS source_key,
    NULL::VARCHAR                                                                            AS fault,
    {columns}
FROM customer
