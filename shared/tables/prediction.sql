-- Prediction: one row for each customer that a model predicts something of (requirements, "Prediction").
--   Values        one JSON object of the attributes that the model produced; one without a value is left out
--   Identifier    Model|ModelProvider|CustomerId
--   PredictionId  deterministic GUID of Identifier
SELECT
    identifier_guid(title || '|' || provider || '|' || customer_id)  AS id,
    title || '|' || provider || '|' || customer_id                   AS sourcekey,
    fault                                                            AS fault,
    customer_id                                                      AS customer,
    customer_id                                                      AS "{prefix}_customerid",
    provider                                                         AS "{prefix}_modelprovider",
    title                                                            AS "{prefix}_model",
    content                                                          AS "{prefix}_values",
    title || '|' || provider || '|' || customer_id                   AS "{prefix}_identifier"
FROM valued
