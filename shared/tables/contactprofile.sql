-- ContactProfile: one row for each contact that is mapped to an account (requirements, "ContactProfile").
--   Identifier        ContactProfile|CustomerId|ContactId; a contact that is mapped to no account is rejected
--   ContactProfileId  deterministic GUID of Identifier; Id is the same GUID as text
SELECT
    identifier_guid(identifier)         AS id,
    identifier                          AS sourcekey,
    CASE WHEN bare("CustomerId") IS NULL
         THEN 'CustomerId: the contact is mapped to no account' END AS fault,
    bare("CustomerId")                  AS customer,
    "BirthDate"                         AS "{prefix}_birthdate",
    "City"                              AS "{prefix}_city",
    "ContactId"                         AS "{prefix}_contactid",
    "CountryOrRegion"                   AS "{prefix}_countryorregion",
    "CustomerId"                        AS "{prefix}_customerid",
    "EntityName"                        AS "{prefix}_entityname",
    "FirstName"                         AS "{prefix}_firstname",
    "Gender"                            AS "{prefix}_gender",
    identifier_guid(identifier)::VARCHAR AS "{prefix}_id",
    identifier                          AS "{prefix}_identifier",
    "JobTitle"                          AS "{prefix}_jobtitle",
    "LastName"                          AS "{prefix}_lastname",
    "PostalCode"                        AS "{prefix}_postalcode",
    "PrimaryEmail"                      AS "{prefix}_primaryemail",
    "PrimaryPhone"                      AS "{prefix}_primaryphone",
    "StateOrProvince"                   AS "{prefix}_stateorprovince",
    "StreetAddress"                     AS "{prefix}_streetaddress"
FROM (
    SELECT *, 'ContactProfile|' || coalesce(bare("CustomerId"), '') || '|' || bare("ContactId") AS identifier
    FROM delivered
)
