-- The contacts of the lake's ContactProfile as rows of their source tables: EntityName says which, ContactId is the key.
-- A row without one of them, or mapped to no account, makes no link: the table ContactProfile rejects it.
SELECT
    contact_table.data_source   AS data_source,
    contact_table.entity        AS entity,
    contact.contact_id          AS value,
    contact.customer_id         AS customer_id
FROM contact
JOIN contact_table USING (entity_name)
WHERE contact.contact_id IS NOT NULL AND contact.customer_id IS NOT NULL
