-- Every output table but the profile's points to its profile. A row whose customer has none is no row to write.
SELECT made.*, profile.id AS profile
FROM (
{rows}
) AS made
LEFT JOIN profile ON profile.id = id_guid(made.customer)
