-- What links are made of in a business environment: the alternate keys and the contacts.
-- An alternate key whose customer is no account but a contact belongs to the account that the contact is mapped to; to
-- several where the contact is.
WITH mapped AS (
    SELECT DISTINCT id_guid(contact_id) AS id, customer_id
    FROM contact
    WHERE contact_id IS NOT NULL AND customer_id IS NOT NULL
)
SELECT data_source, entity, value, coalesce(mapped.customer_id, alternate_key.customer_id) AS customer_id
FROM alternate_key
LEFT JOIN account ON account.id = id_guid(bare(alternate_key.customer_id))
LEFT JOIN mapped ON mapped.id = id_guid(bare(alternate_key.customer_id))
    AND account.id IS NULL AND EXISTS (FROM account)
UNION ALL
SELECT data_source, entity, value, customer_id FROM contact_key
