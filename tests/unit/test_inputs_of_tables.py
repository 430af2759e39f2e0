"""What of an output table's entities is read, written and remembered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from shared import draft, inputs
from shared.errors import CorruptSnapshotError
from shared.lake.manifest import Entity
from shared.planning import Planning
from shared.reading import Reading
from shared.runs.model import Kind, Run, Task
from shared.runs.rows import Pointer
from shared.services import Services
from shared.settings import OUTPUT_TABLES, Hydration, Settings, load
from shared.tables import discovery
from shared.tables.catalog import TABLES
from shared.tables.columns import columns
from shared.tables.discovery import Source
from tests.support import planning
from tests.support.catalogs import CRM, ENVIRONMENT, entity, hydration, only, ready_made, snapshot, source

STORAGE = "DefaultEndpointsProtocol=http;AccountName=one;AccountKey=eA==;BlobEndpoint=http://127.0.0.1:1/one"
SETTINGS = {
    "LakeStorage": STORAGE,
    "StatusStorage": STORAGE,
    "ServiceBus": "Endpoint=sb://127.0.0.1;SharedAccessKeyName=x;SharedAccessKey=y",
}
NOBODY = hydration()


def found(table: str, *entities: Entity, configured: Hydration = NOBODY) -> Source:
    return discovery.read(snapshot(entities), configured).sources[table]


# -- attributes ----------------------------------------------------------------------------------------


def names(table: str, *entities: Entity) -> list[str]:
    return [one.name for one in inputs.attributes(table, found(table, *entities))]


def test_the_profile_has_all_its_attributes() -> None:
    assert names("CustomerProfile", entity("Customer", "CustomerId", "Name", "NAME")) == ["CustomerId", "Name", "NAME"]


@pytest.mark.parametrize("table", ["ContactProfile", "AlternateKey", "UnifiedActivity", "SegmentMembership"])
def test_tables_with_columns_of_their_own_have_no_others(table: str) -> None:
    assert names(table, ready_made(table)) == []


@pytest.mark.parametrize(
    ("table", "first", "second"),
    [
        ("CustomerMeasure", "Measure_A", "Measure_B"),
        ("Enrichment", "Enrichment_A", "Enrichment_B"),
        ("Prediction", "Model_A", "Model_B"),
    ],
)
def test_members_of_an_aggregate_are_the_attributes_of_all_its_entities_but_the_customer(
    table: str, first: str, second: str
) -> None:
    one, two = entity(first, "CUSTOMERID", "x", "y"), entity(second, "CustomerId", "x", "z")
    assert names(table, one, two) == ["x", "y", "z"]
    assert names(table, ready_made(table)) == []


# -- what is written, and what the lake delivers -------------------------------------------------------


def test_columns_that_the_lake_does_not_deliver_are_not_written() -> None:
    made = found("ContactProfile", entity("ContactProfile", "customerid", "CONTACTID", "City", "Stranger"))
    assert inputs.written("ContactProfile", made) == {"CustomerId", "ContactId", "City", "Id", "Identifier"}


def test_of_the_profile_every_attribute_is_written_and_nothing_else() -> None:
    made = found("CustomerProfile", entity("Customer", "CustomerId", "Name", "NAME"))
    assert inputs.written("CustomerProfile", made) == {"CustomerId", "Name", "NAME"}


@pytest.mark.parametrize(
    ("table", "name"),
    [("CustomerMeasure", "Measure_A"), ("Prediction", "Model_A"), ("SegmentMembership", "Segment_A")],
)
def test_all_columns_of_an_aggregate_are_made_and_written(table: str, name: str) -> None:
    made = found(table, entity(name, "CustomerId", "x"))
    assert inputs.written(table, made) == {field.name for field in TABLES[table].fields}


@pytest.mark.parametrize(
    "delivered",
    [
        entity("Customer", "CustomerId", "CRM_contact_contactid"),
        entity("AlternateKey", *TABLES["AlternateKey"].needs),  # its KeyRing is made where the lake has none
    ],
    ids=["profile", "table"],
)
def test_every_column_of_a_key_is_written_wherever_keys_come_from(delivered: Entity) -> None:
    made = discovery.read(snapshot([delivered]), hydration(source("CRM", CRM))).source("AlternateKey")
    assert made.parts
    assert inputs.written("AlternateKey", made) == {
        "DataSourceName",
        "EntityName",
        "AlternateValue",
        "KeyRing",
        "CustomerId",
        "Identifier",
    }


@pytest.mark.parametrize("table", ["ContactProfile", "UnifiedActivity"])
def test_what_a_table_has_no_column_for_is_told(table: str) -> None:
    needs = [one.upper() for one in TABLES[table].needs]
    made = found(table, entity(table, *needs, f"{table}Id", "Stranger", "More"))
    assert inputs.unused(table, made) == ["Not hydrated, because the table has no such column: Stranger, More."]
    assert inputs.unused(table, found(table, entity(table, *needs))) == []


@pytest.mark.parametrize("table", ["CustomerProfile", "CustomerMeasure", "Prediction"])
def test_where_attributes_are_columns_or_members_none_is_left_over(table: str) -> None:
    name = {"CustomerProfile": "Customer", "CustomerMeasure": "Measure_A", "Prediction": "Model_A"}[table]
    assert inputs.unused(table, found(table, entity(name, "CustomerId", "Stranger"))) == []


# -- what is remembered of the entities that hydration.toml names --------------------------------------


def named(*entities: Entity, wanted: tuple[str, ...], table: str = "Prediction") -> str:
    configured = hydration(**{table: only(*wanted)})
    return inputs.named(table, found(table, *entities, configured=configured), configured)


def test_entities_that_are_named_one_by_one_are_remembered_whatever_their_case() -> None:
    a, b, c = (entity(name, "CustomerId", "x") for name in ("A", "b", "C"))
    assert named(a, b, c, wanted=("B", "a", "C*")) == '["a", "b"]'
    assert named(c, wanted=("C*",)) == ""
    assert named(a, wanted=("A", "Missing")) == '["a"]'


@pytest.mark.parametrize("table", ["CustomerProfile", "UnifiedActivity"])
def test_a_table_of_one_entity_remembers_none(table: str) -> None:
    assert named(entity("A", "CustomerId", "ActivityId"), wanted=("A",), table=table) == ""


@dataclass(frozen=True)
class OnlySettings:
    """Of the services those that this needs."""

    settings: Settings


def refuse(former: str, *entities: Entity, configured: Hydration, table: str = "Prediction") -> None:
    loaded = replace(load(SETTINGS, Path(__file__).parents[2]), hydration=configured)
    services = cast("Services", OnlySettings(loaded))
    with planning.connection() as opened:
        task = Task("run", table, table, Kind.TABLE, table)
        reading = Reading(opened, services, snapshot(entities))
        draft._refuse_lost_inputs(Planning(reading, Run("run", ENVIRONMENT), task, Pointer(origin=former)))


def test_an_entity_that_is_named_and_was_there_and_is_not_fails_its_table() -> None:
    """Its part of each row would be dropped without a word."""
    a = entity("A", "CustomerId", "x")
    wanted = hydration(Prediction=only("A", "B", "C"))
    with pytest.raises(CorruptSnapshotError, match=r"^b: named in hydration\.toml, delivered before, and not in this"):
        refuse('["a", "b"]', a, configured=wanted)
    with pytest.raises(CorruptSnapshotError, match=r"^b, c: .*take it out of \[tables.Prediction\] entities"):
        refuse('["a", "b", "c"]', a, configured=wanted)


@pytest.mark.parametrize(
    ("former", "wanted"),
    [
        ("", ("A", "B")),  # it never was there
        ('["a"]', ("A", "B")),
        ('["a", "b"]', ("A",)),  # it was taken out of the file
        ('["a", "b"]', ("*",)),
    ],
)
def test_an_entity_that_nobody_expects_may_be_gone(former: str, wanted: tuple[str, ...]) -> None:
    refuse(former, entity("A", "CustomerId", "x"), configured=hydration(Prediction=only(*wanted)))


def test_where_keys_came_from_is_no_list_of_entities() -> None:
    profile = entity("Customer", "CustomerId", "CRM_contact_contactid")
    configured = hydration(source("CRM", CRM))
    refuse("the lake's AlternateKey table", profile, configured=configured, table="AlternateKey")


# -- every table ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", OUTPUT_TABLES)
def test_what_is_written_is_a_column_and_what_a_row_needs_is_written(table: str) -> None:
    entities = [entity("Customer", "CustomerId")] if table == "CustomerProfile" else [ready_made(table)]
    made = found(table, *entities)
    written = inputs.written(table, made)
    assert written <= {one.source for one in columns(table, NOBODY, inputs.attributes(table, made))}
    assert written >= {"CustomerId", TABLES[table].primary_name}
