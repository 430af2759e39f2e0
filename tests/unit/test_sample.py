"""The generated lake is what the demo and the end-to-end tests stand on."""

import csv
import json
import tomllib
from pathlib import Path

from local import sample
from local.people import population
from tests import oracle

SOURCES = [
    oracle.Source("CRM", "contact", "CRM_contact_contactid", "contact"),
    oracle.Source("CRM", "lead", "CRM_lead_leadid", "lead"),
    oracle.Source("Shop", "customers", "Shop_customers_customerid"),
]


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_has_5000_people_from_8000_source_rows() -> None:
    people = population(1, 5000)
    assert len(people) == len({who.customer_id for who in people}) == 5000
    assert sum(len(who.contacts) + len(who.leads) + len(who.shop_customers) for who in people) == 8000


def test_is_the_same_every_time(tmp_path: Path) -> None:
    for day in (1, 2):
        first = files(sample.write(tmp_path / "a", day, people=300))
        assert first == files(sample.write(tmp_path / "b", day, people=300))


def test_replaces_what_was_there(tmp_path: Path) -> None:
    sample.write(tmp_path, 1, people=10)
    (tmp_path / "left over").write_text("x")
    sample.write(tmp_path, 1, people=10)
    assert not (tmp_path / "left over").exists()


def test_manifests_name_every_partition(tmp_path: Path) -> None:
    sample.write(tmp_path, 1, people=100)
    named = {path for _, _, parts in oracle.entities(tmp_path, sample.ENVIRONMENT) for path, _ in parts}
    assert named == set(tmp_path.rglob("*.csv"))
    manifests = [json.loads(path.read_text("utf-8"))["name"] for path in sorted(tmp_path.rglob("model.json"))]
    assert manifests == ["matching", "unification"]


def test_second_day_brings_every_kind_of_change(tmp_path: Path) -> None:
    one, two = (
        oracle.expected(sample.write(tmp_path / str(day), day, people=1000), sample.ENVIRONMENT, SOURCES)
        for day in (1, 2)
    )
    for name in ("CustomerProfile", "AlternateKey", "contact", "lead"):
        found = oracle.difference(one.task(name), two.task(name))
        assert found.removed, name
        assert found.changed, name
        assert len(found.removed) < 0.1 * len(one.task(name)), name
        assert found.created, name
    assert len(oracle.difference(one.profiles, two.profiles).removed) == 40


def test_dataverse_holds_every_key_of_both_days_and_outsiders(tmp_path: Path) -> None:
    sample.dataverse_rows(tmp_path, people=500)
    for table, key in (("contact", "contactid"), ("lead", "leadid")):
        with (tmp_path / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            rows = [row[key] for row in csv.DictReader(file)]
        keys = {each for day in (1, 2) for who in population(day, 500) for each in getattr(who, f"{table}s")}
        assert len(rows) == len(set(rows))
        assert keys < set(rows)


def test_configuration_names_the_environment() -> None:
    configuration = tomllib.loads(sample.CONFIG)
    assert set(configuration["environments"]) == {sample.ENVIRONMENT}
    assert configuration["data_sources"]["CRM"]["dataverse"].endswith(sample.DATAVERSE_HOST)
