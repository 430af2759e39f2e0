-- What links are made of in a business environment: the alternate keys and the contacts.
-- An alternate key whose customer is no account but a contact belongs to the account that the contact is mapped to; to
-- several where the contact is. Where no account is known, nobody can tell the one from the other.
WITH mapped AS (
    SELECT DISTINCT id_guid(contact_id) AS id, customer_id
    FROM contact
    WHERE contact_id IS NOT NULL AND customer_id IS NOT NULL AND EXISTS (FROM account)
), contact_of_no_account AS (
    FROM mapped ANTI JOIN account USING (id)
)
SELECT data_source, entity, value, coalesce(one.customer_id, alternate_key.customer_id) AS customer_id
FROM alternate_key
LEFT JOIN contact_of_no_account AS one ON one.id = id_guid(bare(alternate_key.customer_id))
UNION ALL
SELECT data_source, entity, value, customer_id FROM contact_key
