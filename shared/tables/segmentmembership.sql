-- SegmentMembership: one row for each customer, provider and type (requirements, "Segment membership").
--   Segments             JSON list of the segments that the customer is a member of, each once, in ordinal order
--   Identifier           CustomerId|SegmentProvider|SegmentMembershipType|Name. The row holds all segments and has no
--                        name of one: Name is the word Segments
--   SegmentMembershipId  deterministic GUID of Identifier
WITH customer AS (
    SELECT id_guid(customer_id) AS profile_id, min(customer_id) AS customer_id, provider, type,
           coalesce(list_sort(list(DISTINCT segment) FILTER (segment IS NOT NULL)), []) AS segments,
           min(fault) AS fault
    FROM membership
    GROUP BY profile_id, provider, type
)
SELECT
    identifier_guid(customer_id || '|' || provider || '|' || type || '|Segments')  AS id,
    customer_id || '|' || provider || '|' || type || '|Segments'                   AS sourcekey,
    fault                                                                          AS fault,
    customer_id                                                                    AS customer,
    customer_id                                                                    AS "{prefix}_customerid",
    provider                                                                       AS "{prefix}_segmentprovider",
    type                                                                           AS "{prefix}_segmentmembershiptype",
    to_json(segments)::VARCHAR                                                     AS "{prefix}_segments",
    customer_id || '|' || provider || '|' || type || '|Segments'                   AS "{prefix}_identifier"
FROM customer
