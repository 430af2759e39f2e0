"""Contacts and activities as records, cell by cell."""

from __future__ import annotations

import pytest

from tests.support.catalogs import hydration
from tests.support.outputs import BOUND, Cells, Delivered, delivered, output

# GUIDs of this file are computed by openssl's SHA-1 over the namespace and the UTF-8 text, by RFC 4122, section 4.3.
GUID = "6b1e5d0c-6f4e-5c58-9b0a-3a8e0d2c7f41"
SPELLED = "{6B1E5D0C-6F4E-5C58-9B0A-3A8E0D2C7F41}"
ODD = "Mü|ller 漢😀"
C1, ODD_GUID = "52d9ce3e-b428-5ef5-94a0-c9de3f84c60e", "a6eeb9b5-a0c5-5544-ab6f-9b9da1eb824d"
A1 = "8f3bed24-f512-5799-acf5-fc2783a53ed0"
K1 = "eb7e37ce-b53f-5193-a14a-d470d3504f29"

CONTACT = (
    "BirthDate:dateTime",
    "City",
    "ContactId",
    "CountryOrRegion",
    "CustomerId",
    "EntityName",
    "FirstName",
    "Gender",
    "JobTitle",
    "LastName",
    "PostalCode",
    "PrimaryEmail",
    "PrimaryPhone",
    "StateOrProvince",
    "StreetAddress",
)
ACTIVITY = (
    "CustomerId",
    "ActivityId",
    "SourceEntityName",
    "SourceActivityId",
    "ActivityType",
    "ActivityTimeStamp:dateTime",
    "Title",
    "Description",
    "URL",
    "SemanticData",
    "RangeIndex",
)


def activities(*rows: Cells, columns: tuple[str, ...] = ("CustomerId", "ActivityId", "ActivityTimeStamp")) -> Delivered:
    return delivered("UnifiedActivity", columns, *rows)


def contacts(*rows: Cells) -> Delivered:
    return delivered("ContactProfile", ("CustomerId", "ContactId", "FirstName"), *rows)


# -- ContactProfile ------------------------------------------------------------------------------------


def test_a_contact_is_a_record_with_every_column() -> None:
    cells = (
        "1980-02-29",
        "Köln",
        "K-1",
        "Germany",
        "C-1",
        "Contacts",
        'Ann "A"',
        "f",
        "CEO",
        "O'Neil\n😀",
        "50667",
        "a@example.com",
        "+49 1",
        "NRW",
        "Dom 1",
    )
    assert output("ContactProfile", delivered("ContactProfile", CONTACT, cells)).only == {
        "@odata.type": "Microsoft.Dynamics.CRM.msdynci_contactprofile",
        "msdynci_contactprofileid": K1,
        "msdynci_birthdate": "1980-02-29T00:00:00Z",
        "msdynci_city": "Köln",
        "msdynci_contactid": "K-1",
        "msdynci_countryorregion": "Germany",
        "msdynci_customerid": "C-1",
        "msdynci_entityname": "Contacts",
        "msdynci_firstname": 'Ann "A"',
        "msdynci_gender": "f",
        "msdynci_id": K1,
        "msdynci_identifier": "ContactProfile|C-1|K-1",
        "msdynci_jobtitle": "CEO",
        "msdynci_lastname": "O'Neil\n😀",
        "msdynci_postalcode": "50667",
        "msdynci_primaryemail": "a@example.com",
        "msdynci_primaryphone": "+49 1",
        "msdynci_stateorprovince": "NRW",
        "msdynci_streetaddress": "Dom 1",
        BOUND: f"/msdynci_customerprofiles({C1})",
    }


@pytest.mark.parametrize(
    ("customer", "contact", "guid", "identifier", "profile"),
    [
        ("C-1", "K-1", K1, "ContactProfile|C-1|K-1", C1),
        (" C-1\t", "\nK-1 ", K1, "ContactProfile|C-1|K-1", C1),
        (ODD, "K|2", "f99ff93a-5d8f-508b-800c-b955b37c062a", f"ContactProfile|{ODD}|K|2", ODD_GUID),
        (SPELLED, "K-1", "3ce6800c-5dc3-505d-8467-f8e36f79b759", f"ContactProfile|{SPELLED}|K-1", GUID),
    ],
)
def test_the_identifier_and_guid_of_a_contact(
    customer: str, contact: str, guid: str, identifier: str, profile: str
) -> None:
    found = output("ContactProfile", contacts((customer, contact, None)), profiles=[customer.strip()])
    record = found.record(guid)
    assert record["msdynci_identifier"] == identifier
    assert record["msdynci_id"] == record["msdynci_contactprofileid"] == guid
    assert record[BOUND] == f"/msdynci_customerprofiles({profile})"
    assert (record["msdynci_customerid"], record["msdynci_contactid"]) == (customer, contact)


def test_a_contact_of_two_accounts_is_two_rows() -> None:
    found = output("ContactProfile", contacts(("C-1", "K-1", "a"), ("C-2", "K-1", "a")))
    assert set(found.cells("identifier").values()) == {"ContactProfile|C-1|K-1", "ContactProfile|C-2|K-1"}


def test_an_empty_date_of_birth_is_null_and_a_wrong_one_rejects_its_contact() -> None:
    columns = ("CustomerId", "ContactId", "BirthDate:dateTime")
    rows = [("C-1", "K-1", None), ("C-1", "K-2", "29.02.1980"), ("C-1", "K-3", "1700-01-01")]
    found = output("ContactProfile", delivered("ContactProfile", columns, *rows))
    assert found.cells("birthdate") == {K1: None}
    assert len(found.faults) == 2
    assert all(fault.startswith("msdynci_birthdate: ") for fault in found.faults.values())


# -- UnifiedActivity -----------------------------------------------------------------------------------


def test_an_activity_is_a_record_with_every_column() -> None:
    cells = (
        "C-1",
        "A-1",
        "Orders",
        "4711",
        "SalesOrder",
        "2024-01-31T10:20:30+02:00",
        "Größe",
        "a\nb",
        "https://contoso.example/?a=1&b=2",
        '{"a": [1, 2.50]}',
        "1706689230",
    )
    assert output("UnifiedActivity", delivered("UnifiedActivity", ACTIVITY, cells)).only == {
        "@odata.type": "Microsoft.Dynamics.CRM.msdynci_unifiedactivity",
        "msdynci_unifiedactivityid": A1,
        "msdynci_activityid": "A-1",
        "msdynci_activitytimestamp": "2024-01-31T08:20:30Z",
        "msdynci_activitytype": "SalesOrder",
        "msdynci_customerid": "C-1",
        "msdynci_description": "a\nb",
        "msdynci_rangeindex": "1706689230",
        "msdynci_semanticdata": '{"a": [1, 2.50]}',
        "msdynci_sourceactivityid": "4711",
        "msdynci_sourceentityname": "Orders",
        "msdynci_title": "Größe",
        "msdynci_url": "https://contoso.example/?a=1&b=2",
        BOUND: f"/msdynci_customerprofiles({C1})",
    }


@pytest.mark.parametrize(
    ("activity", "guid"),
    [
        ("A-1", A1),
        (" A-1\t\r\n", A1),
        (GUID, GUID),
        (SPELLED, GUID),
        (GUID.replace("-", ""), GUID),
        (f"\t{SPELLED} ", GUID),
        (ODD, ODD_GUID),
    ],
)
def test_the_id_of_an_activity_is_its_guid_and_keeps_its_spelling(activity: str, guid: str) -> None:
    record = output("UnifiedActivity", activities(("C-1", activity, None))).only
    assert (record["msdynci_unifiedactivityid"], record["msdynci_activityid"]) == (guid, activity)


def test_an_attribute_that_the_lake_does_not_deliver_is_not_written() -> None:
    record = output("UnifiedActivity", activities(("C-1", "A-1", None))).only
    assert {name for name in record if name.startswith("msdynci_") and name != BOUND} == {
        "msdynci_unifiedactivityid",
        "msdynci_activityid",
        "msdynci_customerid",
        "msdynci_activitytimestamp",
    }
    assert record["msdynci_activitytimestamp"] is None


def test_attributes_are_found_whatever_their_case_and_others_are_ignored() -> None:
    columns = ("CUSTOMERID", "activityid", "title", "Stranger")
    record = output("UnifiedActivity", delivered("UnifiedActivity", columns, ("C-1", "A-1", "x", "y"))).only
    assert (record["msdynci_customerid"], record["msdynci_title"]) == ("C-1", "x")
    assert "msdynci_stranger" not in record


def test_columns_that_hydration_toml_leaves_out_are_not_written() -> None:
    configured = hydration(UnifiedActivity={"exclude": ("Title", "ActivityTimeStamp")})
    columns = ("CustomerId", "ActivityId", "Title", "URL", "ActivityTimeStamp")
    row = ("C-1", "A-1", "x" * 5_000, "u", "no time")
    record = output("UnifiedActivity", delivered("UnifiedActivity", columns, row), configured=configured).only
    assert record.keys() & {"msdynci_title", "msdynci_activitytimestamp", "msdynci_url"} == {"msdynci_url"}


def test_texts_are_as_long_as_hydration_toml_says_and_cut_where_it_does() -> None:
    data = delivered("UnifiedActivity", ("CustomerId", "ActivityId", "Title"), ("C-1", "A-1", "abcdef"))
    lengths = {"lengths": {"Title": 5}}
    found = output("UnifiedActivity", data, configured=hydration(UnifiedActivity=lengths))
    assert found.fault == "msdynci_title: the text is 6 long, the column takes 5"
    cut = hydration(UnifiedActivity={**lengths, "truncate": True})
    assert output("UnifiedActivity", data, configured=cut).only["msdynci_title"] == "abcde"
