-- Linking: one row for each source row that unification knows, with the profile that its customer has.
-- A source row that two customers claim is not linked: either answer could be wrong. Of a row that cannot be linked,
-- `candidates` are the profiles that its present link may be right about.
SELECT
    coalesce(row_id, identifier_guid(value))                       AS id,
    min(value)                                                     AS sourcekey,
    CASE WHEN bool_or(row_id IS NULL AND unreadable)
         THEN {key_is_no_guid}
         WHEN count_if(id_guid(bare(customer_id)) IS NULL) > 0
         THEN {id_is_no_text}
         WHEN count(DISTINCT id_guid(bare(customer_id))) > 1
         THEN {several_customers}
         WHEN count(profile.id) = 0
         THEN {no_profile} END                                     AS fault,
    min(profile.id)                                                AS profile,
    CASE WHEN count_if(id_guid(bare(customer_id)) IS NULL) = 0
         THEN list(DISTINCT profile.id) END                        AS candidates
FROM link
LEFT JOIN profile ON profile.id = id_guid(bare(customer_id))
GROUP BY coalesce(row_id, identifier_guid(value))
