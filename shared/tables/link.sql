-- Linking: one row for each source row that unification knows, with the profile that its customer has.
-- A source row that several customers claim is not linked: any answer could be wrong. Of a row that cannot be linked,
-- `candidates` are the profiles that its present link may be right about; NULL: any may be. Lists of the usual rows
-- would not fit into memory.
SELECT
    id, sourcekey, fault, profile, born,
    CASE WHEN fault IS NOT NULL AND is_clear THEN [profile, another] END AS candidates
FROM (
    SELECT
        claim.id                                                       AS id,
        min(value)                                                     AS sourcekey,
        CASE WHEN bool_or(unreadable)
             THEN {key_is_no_guid}
             WHEN count(customer) < count(*)
             THEN {id_is_no_text}
             WHEN min(customer) <> max(customer)
             THEN {several_customers}
             WHEN count(profile.id) = 0
             THEN {no_profile} END                                     AS fault,
        min(profile.id)                                                AS profile,
        max(profile.id)                                                AS another,
        min(profile.born)                                              AS born,
        count(customer) = count(*) AND (count(*) < 3 OR min(customer) = max(customer)) AS is_clear
    FROM (
        SELECT value, unreadable, coalesce(row_id, identifier_guid(value)) AS id, id_guid(bare(customer_id)) AS customer
        FROM link
    ) AS claim
    LEFT JOIN profile ON profile.id = claim.customer
    GROUP BY claim.id
)
