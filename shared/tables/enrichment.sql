-- Enrichment: one row for each customer that a provider enriched with a type (requirements, "Enrichment").
--   Values        one JSON object of the attributes that the enrichment produced; one without a value is left out
--   Identifier    EnrichmentProvider|EnrichmentType|CustomerId
--   EnrichmentId  deterministic GUID of Identifier
SELECT
    identifier_guid(provider || '|' || title || '|' || customer_id)  AS id,
    provider || '|' || title || '|' || customer_id                   AS sourcekey,
    fault                                                            AS fault,
    customer_id                                                      AS customer,
    customer_id                                                      AS "{prefix}_customerid",
    provider                                                         AS "{prefix}_enrichmentprovider",
    title                                                            AS "{prefix}_enrichmenttype",
    content                                                          AS "{prefix}_values",
    provider || '|' || title || '|' || customer_id                   AS "{prefix}_identifier"
FROM valued
