"""Columns: what the requirements list, what the profile delivers, and what hydration.toml says of both."""

from __future__ import annotations

import pytest

from shared.errors import ConfigurationError
from shared.settings import OUTPUT_TABLES
from shared.tables.catalog import TABLES
from shared.tables.columns import columns
from shared.tables.values import MEMO_LENGTH, TEXT_LENGTH, Column, Kind
from tests.support.catalogs import attributes, hydration

# From the requirement documents, table by table, with the types that they tell; the tables' own keys are not columns.
# C: CustomerId, a text of 100; T: a text of 4,000; J: JSON or multiline text, a memo; D: a date and time.
REQUIRED = {
    "ContactProfile": {
        "BirthDate": "D",
        "City": "T",
        "ContactId": "T",
        "CountryOrRegion": "T",
        "CustomerId": "C",
        "EntityName": "T",
        "FirstName": "T",
        "Gender": "T",
        "Id": "T",
        "Identifier": "T",
        "JobTitle": "T",
        "LastName": "T",
        "PostalCode": "T",
        "PrimaryEmail": "T",
        "PrimaryPhone": "T",
        "StateOrProvince": "T",
        "StreetAddress": "T",
    },
    "AlternateKey": {
        "DataSourceName": "T",
        "EntityName": "T",
        "AlternateValue": "T",
        "KeyRing": "J",
        "CustomerId": "C",
        "Identifier": "T",
    },
    "UnifiedActivity": {
        "CustomerId": "C",
        "ActivityId": "T",
        "SourceEntityName": "T",
        "SourceActivityId": "T",
        "ActivityType": "T",
        "ActivityTimeStamp": "D",
        "Title": "T",
        "Description": "T",
        "URL": "T",
        "SemanticData": "J",
        "RangeIndex": "T",
    },
    "CustomerMeasure": {"CustomerId": "C", "Measures": "J", "Identifier": "T"},
    "Enrichment": {
        "CustomerId": "C",
        "EnrichmentProvider": "T",
        "EnrichmentType": "T",
        "Values": "J",
        "Identifier": "T",
    },
    "Prediction": {"CustomerId": "C", "ModelProvider": "T", "Model": "T", "Values": "J", "Identifier": "T"},
    "SegmentMembership": {
        "CustomerId": "C",
        "SegmentProvider": "T",
        "SegmentMembershipType": "T",
        "Segments": "J",
        "Identifier": "T",
    },
}
KINDS = {
    "C": (Kind.TEXT, 100),
    "T": (Kind.TEXT, 4_000),
    "J": (Kind.MEMO, 1_048_576),
    "D": (Kind.DATETIME, 4_000),
}
OTHERS = [table for table in OUTPUT_TABLES if table != "CustomerProfile"]


# -- what the requirements list ------------------------------------------------------------------------


def test_the_requirements_list_the_columns_of_every_table_but_the_profile() -> None:
    assert set(OTHERS) == set(REQUIRED)


@pytest.mark.parametrize("table", OTHERS)
def test_the_columns_of_the_requirements_with_their_kinds_and_lengths(table: str) -> None:
    found = columns(table, hydration(prefix="abc"))
    assert {one.source: (one.logical_name, one.kind, one.max_length) for one in found} == {
        name: (f"abc_{name.lower()}", *KINDS[kind]) for name, kind in REQUIRED[table].items()
    }
    assert [one.logical_name for one in found] == sorted(one.logical_name for one in found)
    assert not any(one.truncate for one in found)


@pytest.mark.parametrize(
    ("table", "column", "behavior"),
    [("ContactProfile", "BirthDate", "TimeZoneIndependent"), ("UnifiedActivity", "ActivityTimeStamp", "UserLocal")],
)
def test_a_birthday_is_the_same_day_everywhere_and_an_activity_a_moment(table: str, column: str, behavior: str) -> None:
    [found] = [one for one in columns(table, hydration()) if one.kind is Kind.DATETIME]
    assert (found.source, found.behavior) == (column, behavior)


@pytest.mark.parametrize("table", OTHERS)
def test_what_an_entity_may_deliver_is_what_the_app_does_not_make(table: str) -> None:
    made = {"Identifier"} | {"ContactProfile": {"Id"}, "AlternateKey": {"KeyRing"}}.get(table, set())
    assert set(TABLES[table].attributes) == set(REQUIRED[table]) - made
    assert set(TABLES[table].needs) <= set(TABLES[table].attributes)


# -- the columns of the profile ------------------------------------------------------------------------


def names(*profile: str, **options: object) -> list[str]:
    configured = hydration(CustomerProfile=options) if options else hydration()
    return [one.source for one in columns("CustomerProfile", configured, attributes(*profile))]


def test_columns_are_ordered_by_name_and_have_their_kinds() -> None:
    profile = attributes(
        "Zip",
        "CustomerId:guid",
        "Age:int64",
        "Born:date",
        "Extra:json",
        "Odd:complex",
        "Seen:dateTimeOffset",
    )
    assert columns("CustomerProfile", hydration(prefix="abc"), profile) == (
        Column("abc_age", "Age", Kind.INTEGER),
        Column("abc_born", "Born", Kind.DATE),
        Column("abc_customerid", "CustomerId", Kind.TEXT, 100),
        Column("abc_extra", "Extra", Kind.MEMO, MEMO_LENGTH),
        Column("abc_odd", "Odd", Kind.TEXT, TEXT_LENGTH),
        Column("abc_seen", "Seen", Kind.DATETIME),
        Column("abc_zip", "Zip", Kind.TEXT),
    )


def test_include_and_exclude_ignore_case_and_leave_the_key() -> None:
    assert names("CustomerId", "Name", "Email", exclude=("EMAIL", "CustomerId")) == ["CustomerId", "Name"]
    assert names("CustomerId", "Name", "Email", include=("name",)) == ["CustomerId", "Name"]
    assert names("CustomerId", "Name", "Email", include=("name", "email"), exclude=("name",)) == ["CustomerId", "Email"]
    assert names("CustomerId", "Name", include=()) == ["CustomerId"]


def test_every_clash_of_names_is_reported() -> None:
    long = "x" * 93
    with pytest.raises(ConfigurationError) as raised:
        names("CustomerId", "E-Mail", "EMail", "e mail", "Fax.1", "Fax1", "漢字", "CustomerProfileId", long)
    faults = raised.value.faults
    assert len(faults) == 5
    assert "The attributes E-Mail, EMail, e mail of the profile would all become the column msdynci_email" in faults[0]
    assert "Fax.1, Fax1" in faults[1]
    assert "漢字 of the profile would become the column msdynci_, which has no name" in faults[2]
    assert "would become the column msdynci_customerprofileid, which is the table's own key" in faults[3]
    assert f"would become the column msdynci_{long}, longer than the 100 characters" in faults[4]
    assert all("[tables.CustomerProfile] exclude" in fault for fault in faults)
    assert names("CustomerId", "x" * 92)


def test_a_clash_ends_when_all_but_one_are_excluded() -> None:
    assert names("CustomerId", "E-Mail", "EMail", "漢字", exclude=("E-Mail", "漢字")) == ["CustomerId", "EMail"]
