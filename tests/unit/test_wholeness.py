"""What a run waits for: the files of every table that is hydrated, and of nothing else."""

from __future__ import annotations

import pytest

from shared.settings import OUTPUT_TABLES
from shared.tables import discovery
from shared.tables.catalog import ALTERNATE_KEY, CONTACT_PROFILE, CUSTOMER_PROFILE, TABLES
from tests.support.catalogs import FOLDER, entity, hydration, only, snapshot, unreadable

CUSTOMER = entity("Customer", "CustomerId", "CRM_contact_contactid", "Name")
KEYS = entity("AlternateKey", *TABLES[ALTERNATE_KEY].needs)


@pytest.mark.parametrize(
    ("missing", "whole"),
    [
        ("", True),
        *((table, False) for table in OUTPUT_TABLES),
        ("Customer_Measure", False),
        ("Segment_VIP", False),
        ("Deduplication_x", True),
        ("Stranger", True),
    ],
)
def test_every_table_that_is_hydrated_is_waited_for_and_nothing_else(missing: str, whole: bool) -> None:  # noqa: FBT001
    names = (*OUTPUT_TABLES, "Customer_Measure", "Segment_VIP", "Deduplication_x", "Stranger")
    made = snapshot([entity(name, "CustomerId") for name in names], missing=[f"{FOLDER}/{missing}/1.csv"])
    assert discovery.is_whole(made, hydration(businesses=True)) is whole


LINKED_BY = {CUSTOMER_PROFILE, CONTACT_PROFILE, ALTERNATE_KEY}


@pytest.mark.parametrize("table", [one for one in OUTPUT_TABLES if one not in LINKED_BY])
def test_a_table_that_is_disabled_is_not_waited_for(table: str) -> None:
    made = snapshot([CUSTOMER, entity(table, "CustomerId")], missing=[f"{FOLDER}/{table}/1.csv"])
    assert not discovery.is_whole(made, hydration(businesses=True))
    assert discovery.is_whole(made, hydration(businesses=True, **{table: {"enabled": False}}))


def test_keys_are_waited_for_though_their_table_is_disabled_because_links_are_made_of_them() -> None:
    made = snapshot([CUSTOMER, KEYS], missing=[f"{FOLDER}/AlternateKey/1.csv"])
    assert not discovery.is_whole(made, hydration(AlternateKey={"enabled": False}))
    made = snapshot([CUSTOMER, entity("ContactProfile", "CustomerId")], missing=[f"{FOLDER}/ContactProfile/1.csv"])
    assert not discovery.is_whole(made, hydration(businesses=True, ContactProfile={"enabled": False}))


def test_an_older_manifest_is_not_waited_for() -> None:
    newer = entity("CustomerProfile", "CustomerId")
    missing = [f"{FOLDER}/Customer/1.csv"]
    assert discovery.is_whole(snapshot({"Old": [CUSTOMER], "New": [newer]}, missing=missing), hydration())
    assert not discovery.is_whole(snapshot({"Old": [newer], "New": [CUSTOMER]}, missing=missing), hydration())


def test_of_an_aggregate_the_newest_of_every_entity_is_waited_for() -> None:
    one, two = entity("Segment_One", "CustomerId"), entity("Segment_Two", "CustomerId")
    newest = entity("segment_one", "CustomerId", files=("new.csv",))
    folders = {"Old": [CUSTOMER, one, two], "New": [newest]}
    assert discovery.is_whole(snapshot(folders, missing=[f"{FOLDER}/Segment_One/1.csv"]), hydration())
    assert not discovery.is_whole(snapshot(folders, missing=[f"{FOLDER}/Segment_Two/1.csv"]), hydration())
    assert not discovery.is_whole(snapshot(folders, missing=[f"{FOLDER}/segment_one/new.csv"]), hydration())


def test_entities_that_hydration_toml_names_are_waited_for_and_others_are_not() -> None:
    made = snapshot([entity("Segment_A", "CustomerId"), entity("B", "CustomerId")], missing=[f"{FOLDER}/B/1.csv"])
    assert discovery.is_whole(made, hydration())
    assert not discovery.is_whole(made, hydration(SegmentMembership=only("B")))


def test_a_run_waits_for_manifests_that_can_be_read() -> None:
    assert not discovery.is_whole(snapshot({}), hydration())
    assert not discovery.is_whole(unreadable(snapshot([CUSTOMER]), Old=0), hydration())


def test_contacts_of_individuals_are_hydrated_nowhere_and_waited_for_by_nobody() -> None:
    made = snapshot([CUSTOMER, entity("ContactProfile", "CustomerId")], missing=[f"{FOLDER}/ContactProfile/1.csv"])
    assert discovery.is_whole(made, hydration())
    assert not discovery.is_whole(made, hydration(businesses=True))
