from __future__ import annotations

import pytest

from shared.errors import ConfigurationError, CorruptSnapshotError
from shared.lake.manifest import Entity
from shared.tables import catalog
from shared.tables.catalog import Catalog, Source
from shared.tables.keys import KeyColumn, Reading
from shared.tables.values import MEMO_LENGTH, TEXT_LENGTH, Column, Kind
from tests.support.catalogs import CRM, FOLDER, entity, hydration, snapshot, source, unreadable

CUSTOMER = entity("Customer", "CustomerId", "CRM_contact_contactid", "Name")
KEYS = entity("AlternateKey", *catalog.KEY_COLUMNS)


def read(*entities: Entity) -> Catalog:
    return catalog.read(snapshot(entities), hydration(source("CRM", CRM)))


# -- which entity is which table -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Customer", "customer", "CustomerProfile", "CUSTOMERPROFILE"])
def test_the_profile_has_two_names_in_any_case(name: str) -> None:
    profile = entity(name, "CustomerId")
    assert read(profile).customer == Source(profile)


def test_keys_come_from_their_own_table_where_there_is_one() -> None:
    found = read(CUSTOMER, KEYS)
    assert (found.alternate_key.entity, found.key_columns, found.keys_delivered) == (KEYS, (), True)


def test_keys_come_from_the_columns_of_the_profile_otherwise() -> None:
    found = read(CUSTOMER)
    assert found.key_columns == (KeyColumn("CRM_contact_contactid", Reading("CRM", "contact", "contactid")),)
    assert (found.keys_delivered, found.keys_fault) == (True, "")


def test_the_other_entities_tell_how_a_column_is_cut() -> None:
    profile = entity("Customer", "CustomerId", "My_Shop_buyers_id")
    assert [one.attribute for one in read(profile).ambiguous] == ["My_Shop_buyers_id"]
    found = read(profile, entity("Deduplication_My_Shop", "x"))
    assert found.key_columns == (KeyColumn("My_Shop_buyers_id", Reading("My", "Shop", "buyers_id")),)
    assert found.ambiguous == ()


def test_what_no_manifest_names_is_not_delivered() -> None:
    found = read(entity("Deduplication_CRM_contact", "x"))
    assert (found.customer, found.alternate_key) == (Source(), Source())
    assert (found.keys_delivered, found.keys_fault) == (False, "")


def test_what_has_no_file_is_not_delivered() -> None:
    found = read(entity("Customer", "CustomerId", files=()), entity("AlternateKey", *catalog.KEY_COLUMNS, files=()))
    assert (found.customer.entity, found.alternate_key.entity, found.keys_delivered) == (None, None, False)


def test_keys_that_are_named_without_a_file_are_left_alone_and_not_derived() -> None:
    found = read(CUSTOMER, entity("AlternateKey", *catalog.KEY_COLUMNS, files=(), why="the manifest names no file"))
    why = f"{FOLDER}/Unification/model.json: entity AlternateKey: the manifest names no file. It was left alone."
    assert found.alternate_key == found.keys == Source(absent=why)
    assert (found.key_columns, found.keys_fault, found.keys_delivered) == ((), "", False)


def test_keys_are_not_derived_while_a_manifest_cannot_be_read() -> None:
    broken = f"{FOLDER}/Old/model.json"
    found = catalog.read(unreadable(snapshot({"Unification": [CUSTOMER]}), Old=0), hydration(source("CRM", CRM)))
    assert found.customer == Source(CUSTOMER)
    assert found.keys == Source(absent=f"{broken} cannot be read: it may deliver AlternateKey. It was left alone.")
    assert (found.key_columns, found.keys_delivered) == ((), False)


def test_a_table_fails_while_a_newer_manifest_cannot_be_read() -> None:
    made = unreadable(snapshot({"A": [CUSTOMER], "B": [KEYS]}), Middle=2)
    found = catalog.read(made, hydration())
    assert f"{FOLDER}/Middle/model.json is newer and cannot be read" in found.customer.fault
    assert f"{FOLDER}/Middle/model.json is newer and cannot be read" in found.keys_fault
    older = catalog.read(unreadable(made, Middle=1), hydration())
    assert (older.keys, older.customer.entity) == (Source(KEYS), None)


def test_a_newest_manifest_that_is_corrupt_is_not_replaced_by_an_older_one() -> None:
    bad = entity("CustomerProfile", "CustomerId", fault="bad")
    found = catalog.read(snapshot({"Old": [CUSTOMER], "New": [bad]}), hydration())
    assert found.customer == Source(fault=f"{FOLDER}/New/model.json: entity CustomerProfile: bad.")


# -- what a run waits for ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("missing", "whole"),
    [("", True), ("Customer", False), ("AlternateKey", False), ("Deduplication_x", True), ("UnifiedActivity", True)],
)
def test_only_tables_that_are_read_are_waited_for(missing: str, whole: bool) -> None:  # noqa: FBT001
    names = ("Customer", "AlternateKey", "Deduplication_x", "UnifiedActivity", "Stranger")
    made = snapshot([entity(name, "CustomerId") for name in names], missing=[f"{FOLDER}/{missing}/1.csv"])
    assert catalog.is_whole(made) is whole
    found = catalog.read(made, hydration())
    told = f"{FOLDER}/Unification/model.json: entity UnifiedActivity: these files are missing or empty: "
    incomplete = (("UnifiedActivity", f"{told}{FOLDER}/UnifiedActivity/1.csv."),)
    assert found.incomplete == (incomplete if missing == "UnifiedActivity" else ())
    assert ("UnifiedActivity" in dict(found.skipped)) is (missing != "UnifiedActivity")


def test_an_older_manifest_is_not_waited_for() -> None:
    newer = entity("CustomerProfile", "CustomerId")
    missing = [f"{FOLDER}/Customer/1.csv"]
    assert catalog.is_whole(snapshot({"Old": [CUSTOMER], "New": [newer]}, missing=missing))
    assert not catalog.is_whole(snapshot({"Old": [newer], "New": [CUSTOMER]}, missing=missing))


def test_a_run_waits_for_manifests_that_can_be_read() -> None:
    assert not catalog.is_whole(snapshot({}))
    assert not catalog.is_whole(unreadable(snapshot([CUSTOMER]), Old=0))


def test_a_faulty_profile_is_told_with_its_manifest_and_spoils_the_keys() -> None:
    found = read(entity("Customer", "CustomerId", fault="the location of partition 1 cannot be used"))
    fault = f"{FOLDER}/Unification/model.json: entity Customer: the location of partition 1 cannot be used."
    assert found.customer == Source(fault=fault)
    assert (found.keys_fault, found.keys_delivered, found.key_columns) == (fault, False, ())


def test_a_faulty_profile_does_not_spoil_keys_of_their_own() -> None:
    found = read(entity("Customer", "CustomerId", fault="bad"), KEYS)
    assert (found.keys_fault, found.keys_delivered) == ("", True)


def test_faulty_keys_are_not_replaced_by_the_columns_of_the_profile() -> None:
    found = read(CUSTOMER, entity("AlternateKey", "x", fault="bad"))
    assert "bad" in found.keys_fault
    assert (found.keys_delivered, found.key_columns) == (False, ())


def test_missing_files_are_named() -> None:
    path = f"{FOLDER}/Customer/2.csv"
    profile = entity("Customer", "CustomerId", files=("1.csv", "2.csv"))
    found = catalog.read(snapshot([profile], missing=[path]), hydration())
    assert found.customer.entity is None
    assert found.customer.fault.endswith(f"entity Customer: these files are missing or empty: {path}.")


def test_of_several_manifests_the_newest_counts() -> None:
    older, newer = entity("Customer", "CustomerId"), entity("Customer", "CustomerId", "Name")
    found = catalog.read(snapshot({"Old": [older], "New": [newer], "Other": [KEYS]}), hydration())
    assert found.customer == Source(
        newer, note=f"Read from {FOLDER}/New/model.json, the newest of 2 manifests that name it."
    )


def test_a_newer_manifest_that_tells_only_the_schema_does_not_count() -> None:
    schema = entity("Customer", "CustomerId", files=())
    found = catalog.read(snapshot({"Old": [CUSTOMER], "New": [schema]}), hydration())
    assert found.customer == Source(CUSTOMER)  # it is not another table: rows that were delivered are still there


def test_the_newest_counts_under_whichever_name() -> None:
    older, newer = entity("Customer", "CustomerId"), entity("CustomerProfile", "CustomerId", "Name")
    found = catalog.read(snapshot({"Old": [older], "New": [newer]}), hydration())
    assert found.customer.entity == newer


# -- what is left alone --------------------------------------------------------------------------------


def test_every_other_entity_has_a_word() -> None:
    found = dict(
        read(
            CUSTOMER,
            entity("UnifiedActivity", "x"),
            entity("Customer_Measure", "x"),
            entity("customermeasure", "x"),
            entity("MySegment", "x"),
        ).skipped
    )
    assert found["UnifiedActivity"] == "This version does not hydrate UnifiedActivity; nothing was written or removed."
    assert found["Customer_Measure"] == "This version does not hydrate CustomerMeasure; nothing was written or removed."
    assert found["customermeasure"] == found["Customer_Measure"]
    assert found["MySegment"].startswith("The entity MySegment is not one of the output tables (CustomerProfile, ")
    assert list(found) == sorted(found)


@pytest.mark.parametrize(
    "name",
    [
        "Deduplication_CRM_contact",
        "deduplication_x",
        "ConflationMatchPairs",
        "ContactsConflationMatchPairs",
        "_tmp",
        ".hidden",
        "CRM_contact",
        "crm_CONTACT",
        "Customer",
        "AlternateKey",
    ],
)
def test_steps_of_unification_and_source_tables_are_nobodys_business(name: str) -> None:
    configured = hydration(source("CRM", CRM, contact=(None, None)))
    assert catalog.read(snapshot([entity(name, "x")]), configured).skipped == ()


# -- columns -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attribute", "name"),
    [
        ("FullName", "msdynci_fullname"),
        ("First Name", "msdynci_firstname"),
        ("Größe (cm)", "msdynci_gre cm".replace(" ", "")),
        ("CRM_contact_contactid", "msdynci_crm_contact_contactid"),
        ("1st", "msdynci_1st"),
        ("İD", "msdynci_id"),
        ("K", "msdynci_k"),  # the sign of Kelvin has a plain k as its lower case
        ("漢字", "msdynci_"),
    ],
)
def test_names_in_dataverse(attribute: str, name: str) -> None:
    assert catalog.logical_name("msdynci", attribute) == name


def test_names_of_tables_and_keys() -> None:
    assert catalog.table_name("abc", "CustomerProfile") == "abc_customerprofile"
    assert catalog.key_name("abc", "AlternateKey") == "abc_alternatekeyid"


def names(*attributes: str, **options: object) -> list[str]:
    configured = hydration(CustomerProfile=options) if options else hydration()
    return [one.source for one in catalog.profile_columns(entity("Customer", *attributes), configured)]


def test_columns_are_ordered_by_name_and_have_their_kinds() -> None:
    profile = entity(
        "Customer",
        "Zip",
        "CustomerId:guid",
        "Age:int64",
        "Born:date",
        "Extra:json",
        "Odd:complex",
        "Seen:dateTimeOffset",
    )
    assert catalog.profile_columns(profile, hydration(prefix="abc")) == (
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


def test_a_profile_without_a_customer_id_cannot_be_read() -> None:
    with pytest.raises(CorruptSnapshotError, match="has no attribute CustomerId"):
        catalog.profile_columns(entity("Customer", "customerid", "Name"), hydration())


def test_every_clash_of_names_is_reported() -> None:
    with pytest.raises(ConfigurationError) as raised:
        names("CustomerId", "E-Mail", "EMail", "e mail", "Fax.1", "Fax1", "漢字", "CustomerProfileId")
    faults = raised.value.faults
    assert len(faults) == 4
    assert "The attributes E-Mail, EMail, e mail of the profile would all become the column msdynci_email" in faults[0]
    assert "Fax.1, Fax1" in faults[1]
    assert "漢字 of the profile would become the column msdynci_, which has no name" in faults[2]
    assert "would become the column msdynci_customerprofileid, which is the table's own key" in faults[3]
    assert all("[tables.CustomerProfile] exclude" in fault for fault in faults)


def test_a_clash_ends_when_all_but_one_are_excluded() -> None:
    assert names("CustomerId", "E-Mail", "EMail", "漢字", exclude=("E-Mail", "漢字")) == ["CustomerId", "EMail"]


def test_the_columns_of_the_alternate_keys() -> None:
    columns = {one.logical_name: one for one in catalog.alternate_key_columns(hydration(prefix="abc"))}
    assert list(columns) == sorted(columns)
    assert columns["abc_keyring"] == Column("abc_keyring", "KeyRing", Kind.MEMO, MEMO_LENGTH)
    assert columns["abc_customerid"].max_length == 100
    assert set(columns) == {
        "abc_alternatevalue",
        "abc_customerid",
        "abc_datasourcename",
        "abc_entityname",
        "abc_identifier",
        "abc_keyring",
    }
