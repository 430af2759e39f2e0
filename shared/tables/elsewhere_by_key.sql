-- The same where rows are named by the texts of an alternate key: texts meet by chance, so tables that are of no Dataverse
-- organization (`not_dataverse`) do not count.
SELECT there.id, data_source, entity
FROM link_key
ANTI JOIN link_source USING (data_source, entity)
ANTI JOIN not_dataverse ON not_dataverse.name = lower(data_source)
JOIN there ON there.key = lower(rtrim(value))
