-- UnifiedActivity: one row for each activity of a customer (requirements, "UnifiedActivity").
--   UnifiedActivityId  the ActivityId itself: its GUID where it is one, else the deterministic GUID of it
SELECT
    id_guid(bare("ActivityId"))         AS id,
    "ActivityId"                        AS sourcekey,
    NULL::VARCHAR                       AS fault,
    bare("CustomerId")                  AS customer,
    "CustomerId"                        AS "{prefix}_customerid",
    "ActivityId"                        AS "{prefix}_activityid",
    "SourceEntityName"                  AS "{prefix}_sourceentityname",
    "SourceActivityId"                  AS "{prefix}_sourceactivityid",
    "ActivityType"                      AS "{prefix}_activitytype",
    "ActivityTimeStamp"                 AS "{prefix}_activitytimestamp",
    "Title"                             AS "{prefix}_title",
    "Description"                       AS "{prefix}_description",
    "URL"                               AS "{prefix}_url",
    "SemanticData"                      AS "{prefix}_semanticdata",
    "RangeIndex"                        AS "{prefix}_rangeindex"
FROM delivered
