"""Everything that speaks to Dataverse: sign-in, client, limiter, errors, bulk writes, definitions of tables."""
