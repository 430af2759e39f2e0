"""The generated lake is what the demo and the end-to-end tests stand on."""

import csv
import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from local import sample
from local.sample import companies
from local.sample.people import population
from shared.settings import configuration
from shared.tables import guids
from tests import oracle


@dataclass(frozen=True)
class Landscape:
    """One of the two lakes, and what the oracle needs to know of it."""

    audience: sample.Audience
    environment: str
    config: str
    sources: Sequence[oracle.Source]

    def expected(self, folder: Path, day: int, people: int) -> oracle.Expected:
        lake = sample.write(folder / f"{self.audience}{day}", day, people, self.audience)
        return oracle.expected(lake, self.environment, self.sources, audience=self.audience)

    @property
    def tasks(self) -> list[str]:
        tables = [name for name in oracle.TABLES if self.audience == "businesses" or name != "ContactProfile"]
        return tables + [source.logical_name for source in self.sources if source.logical_name]


LANDSCAPES = {
    "individuals": Landscape("individuals", sample.ENVIRONMENT, sample.CONFIG, oracle.SOURCES),
    "businesses": Landscape("businesses", sample.BUSINESS_ENVIRONMENT, sample.BUSINESS_CONFIG, oracle.BUSINESS_SOURCES),
}
both = pytest.mark.parametrize("land", LANDSCAPES.values(), ids=LANDSCAPES)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_has_5000_people_from_8000_source_rows() -> None:
    people = population(1, 5000)
    assert len(people) == len({who.customer_id for who in people}) == 5000
    assert sum(len(who.contacts) + len(who.leads) + len(who.shop_customers) for who in people) == 8000


def test_sizes_of_all_tables(tmp_path: Path) -> None:
    people = LANDSCAPES["individuals"].expected(tmp_path, 1, 1000).tables
    assert {name: len(rows) for name, rows in people.items()} == {
        "CustomerProfile": 1000,
        "ContactProfile": 0,
        "AlternateKey": 1600,
        "UnifiedActivity": 2000,
        "CustomerMeasure": 1000,
        "Enrichment": 600,
        "Prediction": 1200,
        "SegmentMembership": 675,
    }
    segments = [name for row in people["SegmentMembership"].values() for name in json.loads(row["msdynci_segments"])]
    assert len(segments) == 800
    assert set(segments) == {"HighValue", "Newsletter", "VIP customers"}
    found = LANDSCAPES["businesses"].expected(tmp_path, 1, 100).tables
    assert all(len(rows) >= 60 for rows in found.values())


@both
def test_is_the_same_every_time(tmp_path: Path, land: Landscape) -> None:
    for day in (1, 2):
        first = files(sample.write(tmp_path / "a", day, 300, land.audience))
        assert first == files(sample.write(tmp_path / "b", day, 300, land.audience))


def test_replaces_what_was_there(tmp_path: Path) -> None:
    sample.write(tmp_path, 1, people=10)
    (tmp_path / "left over").write_text("x")
    sample.write(tmp_path, 1, people=10)
    assert not (tmp_path / "left over").exists()


@both
def test_manifests_name_every_partition(tmp_path: Path, land: Landscape) -> None:
    sample.write(tmp_path, 1, 100, land.audience)
    found = oracle.entities(tmp_path, land.environment)
    named = {partition.path for entity in found for partition in entity.partitions}
    assert named == {path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".json"}
    assert {"".join(path.suffixes) for path in named} == {".csv", ".csv.gz", ".parquet"}


def test_every_process_folder_has_one_manifest(tmp_path: Path) -> None:
    folders = {"activities", "enrichments", "measures", "predictions", "segments", "unification"}
    for land, more in ((LANDSCAPES["individuals"], {"matching"}), (LANDSCAPES["businesses"], {"contacts"})):
        root = sample.write(tmp_path / land.audience, 1, 10, land.audience) / f"ci_{land.environment}"
        assert {path.name for path in root.iterdir()} == folders | more
        for folder in root.iterdir():
            cdm = land.audience == "businesses" and folder.name == "measures"
            assert (folder / "manifest.cdm.json").exists() == cdm
            assert (folder / "model.json").exists() != cdm


@both
@pytest.mark.parametrize("people", [100, 600])
def test_second_day_brings_every_kind_of_change_to_every_table(tmp_path: Path, land: Landscape, people: int) -> None:
    one, two = (land.expected(tmp_path, day, people) for day in (1, 2))
    for name in land.tasks:
        found = oracle.difference(one.task(name), two.task(name))
        assert found.created, name
        assert found.changed, name
        assert found.removed, name
        rows = len(one.task(name))
        assert len(found.removed) < 0.08 * rows, name
        assert found.writes < 0.25 * rows, name
    assert len(oracle.difference(one.profiles, two.profiles).removed) == 0.04 * people


@both
def test_every_row_belongs_to_a_customer_of_that_day(tmp_path: Path, land: Landscape) -> None:
    for day in (1, 2):
        found = land.expected(tmp_path, day, 300)
        assert not any(found.rejected.values())
        assert all(found.task(name) for name in land.tasks)


@both
def test_activities_follow_whom_their_customer_was_merged_into(tmp_path: Path, land: Landscape) -> None:
    one, two = (land.expected(tmp_path, day, 100).tables["UnifiedActivity"] for day in (1, 2))
    people = population(1, 100) if land.audience == "individuals" else companies.population(1, 100)
    ids = [who.customer_id for who in people]
    moved = {key for key, row in one.items() if row["msdynci_customerid"] == ids[22]}
    assert moved
    assert {two[key]["msdynci_customerid"] for key in moved} == {ids[21]}


def test_has_what_is_hard_to_read_and_to_write(tmp_path: Path) -> None:
    found = LANDSCAPES["individuals"].expected(tmp_path, 1, 600).tables
    measures = [row["msdynci_measures"] for row in found["CustomerMeasure"].values()]
    assert "{}" in measures
    points = {json.loads(text).get("LifetimePoints", 0) for text in measures}
    assert {2**53 + 1, 2**63 - 1, -(2**63)} <= points
    activities = list(found["UnifiedActivity"].values())
    ids = [row["msdynci_activityid"] for row in activities]
    assert any(text.startswith("{") for text in ids)
    assert any(oracle.guid(text) != str(text) and "№" in text for text in ids)
    cells = {name: {row[f"msdynci_{name}"] for row in activities} for name in ("description", "activitytimestamp")}
    assert {None, ""} <= cells["description"]
    assert None in cells["activitytimestamp"]
    stamps = sorted(text for text in cells["activitytimestamp"] if text)
    assert stamps[0] >= "2024"
    assert stamps[-1] < "2026-11"
    semantic = [text for row in activities if (text := row["msdynci_semanticdata"])]
    assert any('\\"' in text and not text.isascii() for text in semantic)
    values = [row["msdynci_values"] for row in found["Prediction"].values()]
    assert any('00.5Z"' in text for text in values)
    assert any(text.count(":00Z") for text in values)


def test_the_business_lake_prefers_keys_and_repeats_segments(tmp_path: Path) -> None:
    found = LANDSCAPES["businesses"].expected(tmp_path, 1, 100)
    rings = [json.loads(row["msdynci_keyring"])[0] for row in found.alternate_keys.values()]
    assert any(ring["preferredKey"] != min(ring["keys"]) for ring in rings)
    kinds = {row["msdynci_segmentmembershiptype"] for row in found.tables["SegmentMembership"].values()}
    assert kinds == {"Account", "Contact"}
    found_entities = oracle.entities(tmp_path / "businesses1", sample.BUSINESS_ENVIRONMENT)
    [rows] = [list(entity.rows()) for entity in found_entities if entity.name == "SegmentMembership"]
    assert len({tuple(row.values()) for row in rows}) < len(rows)


@both
def test_dataverse_holds_every_linked_row_of_both_days_and_outsiders(tmp_path: Path, land: Landscape) -> None:
    sample.dataverse_rows(tmp_path, 300, land.audience)
    days = [land.expected(tmp_path, day, 300) for day in (1, 2)]
    for table in days[0].links:
        with (tmp_path / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            rows = [row[f"{table}id"] for row in csv.DictReader(file)]
        assert len(rows) == len(set(rows))
        assert {*days[0].links[table], *days[1].links[table]} < set(rows)


def test_contacts_of_the_crm_are_guids_in_every_spelling_and_those_of_the_erp_are_none(tmp_path: Path) -> None:
    sample.write(tmp_path, 1, 100, "businesses")
    [contacts] = [one for one in oracle.entities(tmp_path, sample.BUSINESS_ENVIRONMENT) if one.name == "ContactProfile"]
    found: dict[str, list[str]] = {"CRM_contact": [], "ERP_contactperson": []}
    for row in contacts.rows():
        found[str(row["EntityName"])].append(str(row["ContactId"]))
    crm = found["CRM_contact"]
    assert all(guids.parse(text) for text in crm)
    for shape in (
        r"[-0-9a-f]{36}",
        r"[-0-9A-F]{36}",
        r"\{[-0-9a-f]{36}\}",
        r"\{[-0-9A-F]{36}\}",
        r"[0-9a-f]{32}",
        r" .* ",
    ):
        assert any(re.fullmatch(shape, text) for text in crm), shape
    assert found["ERP_contactperson"]
    assert not any(guids.parse(text) for text in found["ERP_contactperson"])


@both
def test_configuration_is_accepted_and_names_the_environment(tmp_path: Path, land: Landscape) -> None:
    (tmp_path / "hydration.toml").write_text(land.config, encoding="utf-8")
    faults: list[str] = []
    read = configuration.read(tmp_path / "hydration.toml", faults)
    assert not faults
    assert {one: found.audience for one, found in read.environments.items()} == {land.environment: land.audience}
    host = sample.BUSINESS_HOST if land.audience == "businesses" else sample.DATAVERSE_HOST
    assert tomllib.loads(land.config)["data_sources"]["CRM"]["dataverse"].endswith(host)
