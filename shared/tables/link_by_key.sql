-- The keys of the source rows to link, where they are the values of an alternate key: Dataverse was read for its rows,
-- `there`. Dataverse compares texts without regard to case and to spaces at their end.
SELECT value, customer_id, there.id AS row_id, value LIKE '%' || {unreadable} || '%' AS unreadable
FROM link_key
JOIN link_source USING (data_source, entity)
LEFT JOIN there ON there.key = lower(rtrim(value))
