"""What a snapshot delivers: the newest of what names a table, and what is said where nothing can be read."""

from __future__ import annotations

import pytest

from shared.lake.manifest import Entity
from shared.settings import OUTPUT_TABLES
from shared.tables import discovery
from shared.tables.catalog import ALTERNATE_KEY, CUSTOMER_PROFILE, TABLES
from shared.tables.discovery import Delivered, Source
from shared.tables.keys import KeyColumn, Reading
from tests.support.catalogs import (
    CRM,
    FOLDER,
    entity,
    hydration,
    made_of,
    only,
    ready_made,
    snapshot,
    source,
    unreadable,
)

CUSTOMER = entity("Customer", "CustomerId", "CRM_contact_contactid", "Name")
KEYS = entity("AlternateKey", *TABLES[ALTERNATE_KEY].needs)
NO_FILE = "the manifest names no file"


def read(*entities: Entity) -> Delivered:
    return discovery.read(snapshot(entities), hydration(source("CRM", CRM)))


# -- which entity is which table -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Customer", "customer", "CustomerProfile", "CUSTOMERPROFILE"])
def test_the_profile_has_two_names_in_any_case(name: str) -> None:
    profile = entity(name, "CustomerId")
    assert read(profile).customer == made_of(profile)


@pytest.mark.parametrize("table", OUTPUT_TABLES)
def test_every_table_is_found_under_its_own_name(table: str) -> None:
    found = read(CUSTOMER, ready_made(table)) if table != CUSTOMER_PROFILE else read(CUSTOMER)
    assert found.source(table).entity is not None
    assert found.skipped == ()


def test_keys_come_from_their_own_table_where_there_is_one() -> None:
    found = read(CUSTOMER, KEYS)
    assert (found.alternate_key.entity, found.key_columns, found.keys_delivered) == (KEYS, (), True)
    assert found.source(ALTERNATE_KEY) == found.alternate_key


def test_keys_come_from_the_columns_of_the_profile_otherwise() -> None:
    found = read(CUSTOMER)
    assert found.key_columns == (KeyColumn("CRM_contact_contactid", Reading("CRM", "contact", "contactid")),)
    assert (found.keys_delivered, found.keys_fault) == (True, "")
    assert found.source(ALTERNATE_KEY).entity == CUSTOMER


def test_the_other_entities_tell_how_a_column_is_cut() -> None:
    profile = entity("Customer", "CustomerId", "My_Shop_buyers_id")
    assert [one.attribute for one in read(profile).ambiguous] == ["My_Shop_buyers_id"]
    found = read(profile, entity("Deduplication_My_Shop", "x"))
    assert found.key_columns == (KeyColumn("My_Shop_buyers_id", Reading("My", "Shop", "buyers_id")),)
    assert found.ambiguous == ()


def test_what_no_manifest_names_is_not_delivered() -> None:
    found = read(entity("Deduplication_CRM_contact", "x"))
    assert set(found.sources) == set(OUTPUT_TABLES)
    assert all(one == Source() for one in found.sources.values())
    assert (found.keys_delivered, found.keys_fault) == (False, "")


def test_what_has_no_file_is_not_delivered() -> None:
    found = read(entity("Customer", "CustomerId", files=()), entity("AlternateKey", "x", files=()))
    assert (found.customer.entity, found.alternate_key.entity, found.keys_delivered) == (None, None, False)


@pytest.mark.parametrize("table", OUTPUT_TABLES)
def test_a_table_that_is_named_without_a_file_is_left_alone(table: str) -> None:
    found = read(entity(table, "CustomerId", files=(), why=NO_FILE)).sources[table]
    why = f"{FOLDER}/Unification/model.json: entity {table}: {NO_FILE}. It was left alone."
    assert found == Source(absent=why)


def test_keys_that_are_named_without_a_file_are_left_alone_and_not_derived() -> None:
    found = read(CUSTOMER, entity("AlternateKey", *TABLES[ALTERNATE_KEY].needs, files=(), why=NO_FILE))
    why = f"{FOLDER}/Unification/model.json: entity AlternateKey: {NO_FILE}. It was left alone."
    assert found.alternate_key == found.keys == Source(absent=why)
    assert (found.key_columns, found.keys_fault, found.keys_delivered) == ((), "", False)


def test_keys_are_not_derived_while_a_manifest_cannot_be_read() -> None:
    broken = f"{FOLDER}/Old/model.json"
    found = discovery.read(unreadable(snapshot({"Unification": [CUSTOMER]}), Old=0), hydration(source("CRM", CRM)))
    assert found.customer == made_of(CUSTOMER)
    assert found.keys == Source(absent=f"{broken} cannot be read: it may deliver AlternateKey. It was left alone.")
    assert (found.key_columns, found.keys_delivered) == ((), False)


def test_a_table_fails_while_a_newer_manifest_cannot_be_read() -> None:
    made = unreadable(snapshot({"A": [CUSTOMER], "B": [KEYS]}), Middle=2)
    found = discovery.read(made, hydration())
    assert f"{FOLDER}/Middle/model.json is newer and cannot be read" in found.customer.fault
    assert f"{FOLDER}/Middle/model.json is newer and cannot be read" in found.keys_fault
    older = discovery.read(unreadable(made, Middle=1), hydration())
    assert (older.keys, older.customer.entity) == (made_of(KEYS), None)


def test_a_newest_manifest_that_is_corrupt_is_not_replaced_by_an_older_one() -> None:
    bad = entity("CustomerProfile", "CustomerId", fault="bad")
    found = discovery.read(snapshot({"Old": [CUSTOMER], "New": [bad]}), hydration())
    assert found.customer == Source(fault=f"{FOLDER}/New/model.json: entity CustomerProfile: bad.")


def test_keys_that_hydration_toml_alone_names_and_the_snapshot_lacks_do_not_look_as_if_all_were_gone() -> None:
    found = discovery.read(snapshot([CUSTOMER]), hydration(source("CRM", CRM), AlternateKey=only("MyKeys")))
    assert found.sources[ALTERNATE_KEY].lacking == ("MyKeys",)
    assert found.key_columns or not found.keys_delivered


# -- faults --------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("table", OUTPUT_TABLES)
def test_missing_files_are_named(table: str) -> None:
    path = f"{FOLDER}/{table}/2.csv"
    names = [field.name for field in TABLES[table].fields] or ["CustomerId"]
    made = snapshot([entity(table, *names, files=("1.csv", "2.csv"))], missing=[path])
    found = discovery.read(made, hydration()).sources[table]
    assert found.parts == ()
    assert found.fault.endswith(f"entity {table}: these files are missing or empty: {path}.")


@pytest.mark.parametrize("table", OUTPUT_TABLES)
def test_a_format_that_is_not_read_is_left_alone_with_its_text(table: str) -> None:
    delta = "its files are a Delta table, which this version does not read"
    found = read(entity(table, "CustomerId", unsupported=delta)).sources[table]
    assert (found.parts, found.fault) == ((), "")
    assert found.absent == f"{FOLDER}/Unification/model.json: entity {table}: {delta}. It was left alone."


@pytest.mark.parametrize(
    ("table", "needs"),
    [
        ("ContactProfile", ["CustomerId", "ContactId"]),
        ("UnifiedActivity", ["CustomerId", "ActivityId"]),
        ("CustomerMeasure", ["CustomerId"]),
        ("Enrichment", ["CustomerId"]),
        ("Prediction", ["CustomerId"]),
        ("SegmentMembership", ["CustomerId"]),
    ],
)
def test_an_entity_without_what_its_table_needs_cannot_be_read(table: str, needs: list[str]) -> None:
    for lacking in needs:
        rest = [name.upper() for name in needs if name != lacking]
        found = read(entity(table, "Other", *rest)).sources[table]
        assert found.parts == ()
        assert found.fault.endswith(f"entity {table} has no attribute {lacking}, which {table} needs.")
    assert read(entity(table, "Other", *map(str.upper, needs))).sources[table].parts


def test_a_profile_without_a_customer_id_spelled_like_that_cannot_be_read() -> None:
    found = read(entity("Customer", "customerid", "Name"))
    assert found.customer.parts == ()
    assert "entity Customer has no attribute spelled CustomerId" in found.customer.fault


# -- several manifests ---------------------------------------------------------------------------------


def test_of_several_manifests_the_newest_counts() -> None:
    older, newer = entity("Customer", "CustomerId"), entity("Customer", "CustomerId", "Name")
    found = discovery.read(snapshot({"Old": [older], "New": [newer], "Other": [KEYS]}), hydration())
    note = f"Read from {FOLDER}/New/model.json, the newest of 2 manifests that name it."
    assert found.customer == made_of(newer, notes=[note])


def test_a_newer_manifest_that_tells_only_the_schema_does_not_count() -> None:
    schema = entity("Customer", "CustomerId", files=())
    found = discovery.read(snapshot({"Old": [CUSTOMER], "New": [schema]}), hydration())
    assert found.customer == made_of(CUSTOMER)  # it is not another table: rows that were delivered are still there


def test_the_newest_counts_under_whichever_name() -> None:
    older, newer = entity("Customer", "CustomerId"), entity("CustomerProfile", "CustomerId", "Name")
    found = discovery.read(snapshot({"Old": [older], "New": [newer]}), hydration())
    assert found.customer.entity == newer
    again = discovery.read(snapshot({"Old": [newer], "New": [older]}), hydration())
    assert again.customer.entity == older


# -- what is left alone --------------------------------------------------------------------------------


def test_an_entity_that_is_no_output_table_has_a_word() -> None:
    found = read(CUSTOMER, entity("MySegment", "x"), entity("Orders", "x"), entity("UnifiedActivity", "x"))
    skipped = dict(found.skipped)
    assert list(skipped) == ["MySegment", "Orders"]
    assert skipped["MySegment"].startswith("The entity MySegment is not one of the output tables (CustomerProfile, ")
    assert "name it there ([tables.<table>] entities)" in skipped["MySegment"]


def test_an_entity_that_hydration_toml_has_put_aside_has_a_word() -> None:
    found = discovery.read(
        snapshot([CUSTOMER, entity("Customer_Measure", "CustomerId", "a"), entity("Mine", "CustomerId", "a")]),
        hydration(CustomerMeasure=only("Mine")),
    )
    assert [part.entity.name for part in found.sources["CustomerMeasure"].parts] == ["Mine"]
    assert "hydration.toml names others for it" in dict(found.skipped)["Customer_Measure"]


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
        "Deduplication_Enrichment_x",
        "Deduplication_xFromMicrosoft",
    ],
)
def test_steps_of_unification_and_source_tables_are_nobodys_business(name: str) -> None:
    configured = hydration(source("CRM", CRM, contact=(None, None)))
    found = discovery.read(snapshot([entity(name, "x")]), configured)
    assert found.skipped == ()
    assert name in {"Customer", "AlternateKey"} or all(one == Source() for one in found.sources.values())
