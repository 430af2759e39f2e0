"""The eight output tables, as the requirements describe them: columns, types, lengths, identifiers and keys.

CustomerProfile has the columns of the unified profile, whatever they are; the columns of all others stand here. A
column's Dataverse name is the publisher's prefix and its name in lower case. `docs/tables.md` is made from this module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from shared.tables.values import MEMO_LENGTH, TEXT_LENGTH, Kind

CUSTOMER_PROFILE = "CustomerProfile"
CONTACT_PROFILE = "ContactProfile"
ALTERNATE_KEY = "AlternateKey"
UNIFIED_ACTIVITY = "UnifiedActivity"
CUSTOMER_MEASURE = "CustomerMeasure"
ENRICHMENT = "Enrichment"
PREDICTION = "Prediction"
SEGMENT_MEMBERSHIP = "SegmentMembership"

CUSTOMER_ID = "CustomerId"
IDENTIFIER = "Identifier"
TIME_STAMP = "ActivityTimeStamp"

LOOKUP = "lookupfield_customer"
"""The lookup to the profile that every other output table has, without the publisher's prefix."""

LOOKUP_DISPLAY = "Customer"

ID_LENGTH = 100
"""UTF-16 units of a CustomerId column."""


@dataclass(frozen=True)
class Field:
    """A column of the requirements. `made`: the app makes it, the lake need not deliver it; `json`: never cut."""

    name: str
    about: str
    kind: Kind = Kind.TEXT
    length: int = TEXT_LENGTH
    made: bool = False
    json: bool = False
    behavior: str = "UserLocal"


@dataclass(frozen=True)
class OutputTable:
    """One output table. `needs` names the attributes without which an entity cannot be read as this table.

    `identifier` is the formula of the requirements, and `guid` what the row's GUID is made of. `payload` is the column
    that holds what several entities, or all attributes of one, come to; without it the table is one entity.
    """

    name: str
    display: str
    plural: str
    about: str
    fields: tuple[Field, ...]
    primary_name: str
    needs: tuple[str, ...]
    guid: str
    identifier: str = ""
    payload: str = ""

    @property
    def attributes(self) -> tuple[str, ...]:
        """What an entity that is the table ready-made may deliver."""
        return tuple(field.name for field in self.fields if not field.made)


def _customer(about: str = "ID of the unified customer profile.") -> Field:
    return Field(CUSTOMER_ID, about, length=ID_LENGTH)


def _identifier(about: str) -> Field:
    return Field(IDENTIFIER, about, made=True)


def _json(name: str, about: str, *, made: bool = False) -> Field:
    return Field(name, about, Kind.MEMO, MEMO_LENGTH, made=made, json=True)


TABLES: Mapping[str, OutputTable] = {
    table.name: table
    for table in (
        OutputTable(
            name=CUSTOMER_PROFILE,
            display="Customer Profile",
            plural="Customer Profiles",
            about="The unified customer profile; in a business environment the unified accounts.",
            fields=(),
            primary_name=CUSTOMER_ID,
            needs=(CUSTOMER_ID,),
            guid="CustomerId itself",
        ),
        OutputTable(
            name=CONTACT_PROFILE,
            display="Contact Profile",
            plural="Contact Profiles",
            about="The unified contacts of accounts. Business environments only.",
            fields=(
                Field("BirthDate", "Date of birth of the contact", Kind.DATETIME, behavior="TimeZoneIndependent"),
                Field("City", "City of the contact address"),
                Field("ContactId", "ID of the contact profile"),
                Field("CountryOrRegion", "Country/Region of the contact address"),
                _customer("ID of the account the contact is mapped to"),
                Field("EntityName", "Entity from which data comes from"),
                Field("FirstName", "First name of the contact"),
                Field("Gender", "Gender of the contact"),
                Field("Id", "Deterministic GUID based on `Identifier`", made=True),
                _identifier("Internal ID of the contact profile"),
                Field("JobTitle", "Job title of the contact"),
                Field("LastName", "Last name of the contact"),
                Field("PostalCode", "ZIP code of the contact address"),
                Field("PrimaryEmail", "Email address of the contact"),
                Field("PrimaryPhone", "Telephone number of the contact"),
                Field("StateOrProvince", "State or province of the contact address"),
                Field("StreetAddress", "Street of the contact address"),
            ),
            primary_name=IDENTIFIER,
            needs=(CUSTOMER_ID, "ContactId"),
            guid="UUIDv5 of Identifier",
            identifier="ContactProfile|CustomerId|ContactId",
        ),
        OutputTable(
            name=ALTERNATE_KEY,
            display="Alternate Key",
            plural="Alternate Keys",
            about="The keys of the source rows that took part in the unification.",
            fields=(
                Field("DataSourceName", "Name of the data source"),
                Field("EntityName", "Name of the entity in Customer Insights"),
                Field("AlternateValue", "Alternative ID that is mapped to the customer ID"),
                _json("KeyRing", "All keys of the customer in that source table", made=True),
                _customer(),
                _identifier("Internal ID of the key"),
            ),
            primary_name=IDENTIFIER,
            needs=("DataSourceName", "EntityName", "AlternateValue", CUSTOMER_ID),
            guid="UUIDv5 of Identifier",
            identifier="DataSourceName|EntityName|AlternateValue",
        ),
        OutputTable(
            name=UNIFIED_ACTIVITY,
            display="Unified Activity",
            plural="Unified Activities",
            about="The activities of customers.",
            fields=(
                _customer("Customer profile ID"),
                Field("ActivityId", "Internal ID of the customer activity (primary key)"),
                Field("SourceEntityName", "Name of the source entity"),
                Field("SourceActivityId", "Primary key from the source entity"),
                Field("ActivityType", "Semantic activity type or name of custom activity"),
                Field(TIME_STAMP, "Activity time stamp", Kind.DATETIME),
                Field("Title", "Title or name of the activity"),
                Field("Description", "Activity description"),
                Field("URL", "Link to an external URL specific to the activity"),
                _json("SemanticData", "Key value pairs for the fields particular to the type of activity"),
                Field("RangeIndex", "Unix timestamp used for sorting and for range queries"),
            ),
            primary_name="ActivityId",
            needs=(CUSTOMER_ID, "ActivityId"),
            guid="ActivityId itself",
        ),
        OutputTable(
            name=CUSTOMER_MEASURE,
            display="Customer Measure",
            plural="Customer Measures",
            about="The measures of each customer.",
            fields=(
                _customer("Customer profile ID"),
                _json("Measures", "Names and values of all measures of the customer"),
                _identifier("Internal ID of the row"),
            ),
            primary_name=IDENTIFIER,
            needs=(CUSTOMER_ID,),
            guid="CustomerId itself",
            identifier="Customer_Measure|CustomerId",
            payload="Measures",
        ),
        OutputTable(
            name=ENRICHMENT,
            display="Enrichment",
            plural="Enrichments",
            about="What each enrichment found about each customer.",
            fields=(
                _customer("Customer profile ID"),
                Field("EnrichmentProvider", "Name of the provider for the enrichment"),
                Field("EnrichmentType", "Type of enrichment"),
                _json("Values", "Attributes produced by the enrichment"),
                _identifier("Internal ID of the row"),
            ),
            primary_name=IDENTIFIER,
            needs=(CUSTOMER_ID,),
            guid="UUIDv5 of Identifier",
            identifier="EnrichmentProvider|EnrichmentType|CustomerId",
            payload="Values",
        ),
        OutputTable(
            name=PREDICTION,
            display="Prediction",
            plural="Predictions",
            about="What each model predicts of each customer.",
            fields=(
                _customer("Customer profile ID"),
                Field("ModelProvider", "Name of the provider of the model"),
                Field("Model", "Model name"),
                _json("Values", "Attributes produced by the model"),
                _identifier("Internal ID of the row"),
            ),
            primary_name=IDENTIFIER,
            needs=(CUSTOMER_ID,),
            guid="UUIDv5 of Identifier",
            identifier="Model|ModelProvider|CustomerId",
            payload="Values",
        ),
        OutputTable(
            name=SEGMENT_MEMBERSHIP,
            display="Segment Membership",
            plural="Segment Memberships",
            about="The segments that each customer is a member of, one row for each provider and type.",
            fields=(
                _customer("Customer profile ID"),
                Field("SegmentProvider", "App that publishes the segments. Default: Audience insights"),
                Field("SegmentMembershipType", "Customer, Contact or Account. Default: Customer"),
                _json("Segments", "Unique segments that the customer is a member of"),
                _identifier("Internal ID of the row"),
            ),
            primary_name=IDENTIFIER,
            needs=(CUSTOMER_ID,),
            guid="UUIDv5 of Identifier",
            identifier="CustomerId|SegmentProvider|SegmentMembershipType|Name",
            payload="Segments",
        ),
    )
}
"""By name, in the order of the requirements."""


# -- names ---------------------------------------------------------------------------------------------


def logical_name(prefix: str, attribute: str) -> str:
    """The Dataverse name of an attribute: prefix and lower-cased name, without what Dataverse does not allow in it."""
    return f"{prefix}_{re.sub('[^a-z0-9_]', '', attribute.lower())}"


def table_name(prefix: str, table: str) -> str:
    """The logical name of an output table."""
    return f"{prefix}_{table.lower()}"


def set_name(prefix: str, table: str) -> str:
    """How an output table that the app creates is addressed; Microsoft's own names (msdynci_unifiedactivities)."""
    name = table_name(prefix, table)
    return f"{name[:-1]}ies" if name.endswith("y") and not name.endswith("key") else f"{name}s"


def key_name(prefix: str, table: str) -> str:
    """The primary key column of an output table."""
    return f"{table_name(prefix, table)}id"
