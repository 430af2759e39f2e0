-- Every output table but the profile's points to its profile. A row whose customer has none is no row to write.
-- Where the profile was removed and came back, its birth is another one, and the row is written again.
SELECT made.*, profile.id AS profile, coalesce(profile.born, '') AS born
FROM (
{rows}
) AS made
LEFT JOIN profile ON profile.id = id_guid(made.customer)
