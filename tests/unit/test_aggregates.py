"""Tables that several entities make up: which version of each counts, and what is told of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.lake.manifest import Entity
from shared.lake.snapshot import File
from shared.settings import Input
from shared.tables import discovery
from shared.tables.discovery import Source
from shared.tables.naming import PROVIDER
from tests.support.catalogs import FOLDER, entity, hydration, only, snapshot, unreadable

AGGREGATES = {"CustomerMeasure": "Measure_", "Enrichment": "Enrichment_", "Prediction": "Model_"}
AGGREGATES |= {"SegmentMembership": "Segment_"}
of_every_aggregate = pytest.mark.parametrize(("table", "prefix"), AGGREGATES.items())


def made(name: str, *columns: str, **how: object) -> Entity:
    return entity(name, "CustomerId", *columns, **how)  # type: ignore[arg-type]


def names(source: Source) -> list[str]:
    return [part.entity.name for part in source.parts]


def found(table: str, *entities: Entity, **tables: dict[str, object]) -> Source:
    return discovery.read(snapshot(entities), hydration(**tables)).sources[table]


@of_every_aggregate
def test_an_aggregate_is_made_of_every_entity_and_tells_their_names(table: str, prefix: str) -> None:
    source = found(table, made(f"{prefix}B", "b"), made("Customer"), made(f"{prefix}A", "a"))
    assert names(source) == [f"{prefix}B", f"{prefix}A"]
    assert source.notes == (f"Made of {prefix}B, {prefix}A.",)


def test_of_many_entities_ten_are_told() -> None:
    source = found("SegmentMembership", *(made(f"Segment_{number:02}") for number in range(13)))
    assert len(source.parts) == 13
    assert source.notes == (f"Made of {', '.join(f'Segment_{number:02}' for number in range(10))} and 3 more.",)


@of_every_aggregate
def test_of_each_entity_the_newest_version_counts_wherever_it_stands(table: str, prefix: str) -> None:
    one, two = made(f"{prefix}One", "a"), made(f"{prefix}Two", "b")
    newer, newest = made(f"{prefix}ONE", "c"), made(f"{prefix}One", "d")
    folders = {"A": [one, two], "B": [newer], "C": [newest, made("Customer")]}
    source = discovery.read(snapshot(folders), hydration()).sources[table]
    assert {part.entity for part in source.parts} == {newest, two}
    assert len(source.notes) == 1


def test_the_newest_version_counts_though_only_an_older_one_is_annotated() -> None:
    older, newer = made("Measure_A", "a", notes={"OutputTable": "CustomerMeasure"}), made("Measure_A", "b")
    source = discovery.read(snapshot({"Old": [older], "New": [newer]}), hydration()).sources["CustomerMeasure"]
    assert [part.entity for part in source.parts] == [newer]


@of_every_aggregate
@pytest.mark.parametrize("why", ["missing", "corrupt"])
def test_an_older_whole_version_is_used_and_told(table: str, prefix: str, why: str) -> None:
    older = made(f"{prefix}One", "a")
    newer = made(f"{prefix}One", "b", files=("new.csv",), fault="bad" if why == "corrupt" else None)
    other, path = made(f"{prefix}Two", "c"), f"{FOLDER}/{prefix}One/new.csv"
    folders = {"Old": [older, other], "New": [newer]}
    seen = snapshot(folders, missing=[path] if why == "missing" else [])
    source = discovery.read(seen, hydration()).sources[table]
    assert {part.entity for part in source.parts} == {older, other}
    assert source.fault == ""
    reason = "bad" if why == "corrupt" else f"these files are missing or empty: {path}"
    where = f"{FOLDER}/New/model.json: entity {prefix}One"
    assert source.notes[1:] == (f"Read from {FOLDER}/Old/model.json, an older one, because of {where}: {reason}.",)


@of_every_aggregate
def test_without_a_whole_version_of_one_entity_the_table_fails(table: str, prefix: str) -> None:
    older, newer = made(f"{prefix}One", "a"), made(f"{prefix}One", "b", fault="bad")
    seen = snapshot(
        {"Old": [older, made(f"{prefix}Two", "c")], "New": [newer]}, missing=[f"{FOLDER}/{prefix}One/1.csv"]
    )
    source = discovery.read(seen, hydration()).sources[table]
    assert source == Source(fault=f"{FOLDER}/New/model.json: entity {prefix}One: bad.")


@of_every_aggregate
@pytest.mark.parametrize("day", [0, 3])
def test_an_aggregate_fails_while_any_manifest_cannot_be_read(table: str, prefix: str, day: int) -> None:
    seen = unreadable(snapshot([made(f"{prefix}One", "a")]), Broken=day)
    source = discovery.read(seen, hydration()).sources[table]
    assert source == Source(fault=f"{FOLDER}/Broken/model.json cannot be read: it may deliver a part of {table}.")


@of_every_aggregate
def test_an_aggregate_that_nobody_names_is_left_alone_while_a_manifest_cannot_be_read(table: str, prefix: str) -> None:
    assert prefix
    source = discovery.read(unreadable(snapshot([made("Customer")]), Broken=1), hydration()).sources[table]
    assert source.absent == f"{FOLDER}/Broken/model.json cannot be read: it may deliver {table}. It was left alone."
    assert (source.parts, source.fault) == ((), "")


@of_every_aggregate
def test_one_entity_of_a_format_that_is_not_read_leaves_the_table_alone(table: str, prefix: str) -> None:
    delta = "Delta tables are not read"
    source = found(table, made(f"{prefix}A", "a"), made(f"{prefix}B", "b", unsupported=delta))
    told = f"{FOLDER}/Unification/model.json: entity {prefix}B: {delta}. It was left alone."
    assert source == Source(absent=told)


# -- what hydration.toml names -------------------------------------------------------------------------


@of_every_aggregate
def test_what_hydration_toml_names_and_the_snapshot_lacks_is_told(table: str, prefix: str) -> None:
    wanted = {table: only("Mine", "Yours", "Other_*")}
    source = found(table, made("Mine", "a"), made(f"{prefix}A", "b"), made("Yours", "c", files=()), **wanted)
    assert names(source) == ["Mine"]
    assert source.lacking == ("Yours", "Other_*")
    assert source.notes == (
        "Made of Mine.",
        "Not in this snapshot: Yours, Other_*, which hydration.toml names.",
        "Named without a file, so nothing was read: Yours.",
    )


def test_what_hydration_toml_names_is_told_where_nothing_of_it_is_there() -> None:
    source = found("Prediction", made("Customer"), Prediction=only("Mine"))
    assert source.absent == "Not in this snapshot: Mine, which hydration.toml names. It was left alone."
    assert (source.parts, source.lacking) == ((), ("Mine",))


def test_what_hydration_toml_names_is_found_whatever_its_case() -> None:
    source = found("Prediction", made("MINE", "a"), Prediction=only("mine", "M*"))
    assert (names(source), source.lacking) == (["MINE"], ())


# -- two entities, one row -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "first", "second", "options"),
    [
        ("Prediction", "Prediction_Churn", "Model_Churn", None),
        ("Enrichment", "A", "B", only(Input("A", "P", "T"), Input("B", "P", "T"))),
        ("Enrichment", "A", "B", only(Input("*", "P", "T"))),
        ("Prediction", "A", "B", only(Input("*", title="Churn"))),
    ],
)
def test_two_entities_of_one_provider_and_title_are_refused(
    table: str, first: str, second: str, options: dict[str, object] | None
) -> None:
    source = found(table, made(first, "a"), made(second, "b"), **({table: options} if options else {}))
    assert source.parts == ()
    assert source.fault.startswith(f"The entities {first} and {second} would be the same {table} (")
    assert f"[tables.{table}] entities" in source.fault


def test_providers_and_titles_that_differ_are_not_the_same() -> None:
    options = only(Input("A", "P", "T"), Input("B", "P", "U"), Input("C", "Q", "T"))
    assert len(found("Enrichment", made("A", "a"), made("B", "a"), made("C", "a"), Enrichment=options).parts) == 3


def test_ready_made_tables_name_providers_and_titles_in_their_rows() -> None:
    ready = made("Enrichment", "EnrichmentProvider", "EnrichmentType", "Values")
    also = made("Enrichment_Mine", "EnrichmentProvider", "EnrichmentType", "Values")
    assert len(found("Enrichment", ready, also).parts) == 2


def test_one_segment_may_stand_in_several_entities() -> None:
    source = found(
        "SegmentMembership",
        made("A"),
        made("B"),
        SegmentMembership=only(Input("A", title="VIP"), Input("B", title="VIP")),
    )
    assert [(part.provider, part.title) for part in source.parts] == [(PROVIDER, "VIP")] * 2


def test_a_file_without_a_byte_is_an_entity_without_rows() -> None:
    """A segment may have no member; the run has waited for its file as long as it waits for any."""
    made_of = [entity(name, "CustomerId") for name in ("Segment_A", "Segment_B")]
    empty = f"{FOLDER}/Segment_B/1.csv"
    found = snapshot(made_of, missing=[empty])
    there = replace(found, files={**found.files, empty: File(empty, "1", 0)})
    assert not discovery.is_whole(there, hydration())
    source = discovery.read(there, hydration()).sources["SegmentMembership"]
    assert [part.entity.name for part in source.parts] == ["Segment_A", "Segment_B"]
    assert "Taken as empty, because its files have no byte: Segment_B." in source.notes
    gone = discovery.read(found, hydration()).sources["SegmentMembership"]
    assert "missing or empty" in gone.fault
