"""Two days of the sample over the real local stack, compared cell by cell with the oracle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from local import sample, snapshots
from local.inputs import dataverse_rows, lake_folder
from local.runs_view import Run
from local.stack import Stack
from tests import oracle
from tests.support.dataverse import LINK, assert_equal, exported

PEOPLE = 600
SETTINGS = snapshots.LANDED_WHOLE | {"HYDRATION_LEASE_SECONDS": "4", "DATAVERSE_TIMEOUT_SECONDS": "3"}
SOURCES = [
    oracle.Source("CRM", "contact", "CRM_contact_contactid", "contact"),
    oracle.Source("CRM", "lead", "CRM_lead_leadid", "lead"),
    oracle.Source("Shop", "customers", "Shop_customers_customerid"),
]
SUBJECTS = {
    "CustomerProfile": "msdynci_customerprofile",
    "AlternateKey": "msdynci_alternatekey",
    "CustomerId Backstamping Hydration: contact": "contact",
    "CustomerId Backstamping Hydration: lead": "lead",
}
TASKS = dict(zip(SUBJECTS, ("CustomerProfile", "AlternateKey", "contact", "lead"), strict=True))


@dataclass(frozen=True)
class Landing:
    """What one landing led to."""

    run: Run
    written: dict[str, int]  # by Dataverse's own count
    content: Path  # the exported tables

    def task(self, name: str) -> Run:
        return next(task for task in self.run["tasks"] if task["name"] == name)


@pytest.fixture(scope="module")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lakes")
    for day in (1, 2):
        sample.write(folder / f"day{day}", day, PEOPLE)
    sample.dataverse_rows(folder / "dataverse", PEOPLE)
    (folder / "hydration.toml").write_text(sample.CONFIG, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def expected(lakes: Path) -> dict[int, oracle.Expected]:
    return {day: oracle.expected(lakes / f"day{day}", sample.ENVIRONMENT, SOURCES) for day in (1, 2)}


def started(lakes: Path, root: Path) -> Stack:
    return Stack(root, lakes / "hydration.toml", settings=SETTINGS)


def seed(stack: Stack, lakes: Path) -> None:
    snapshots.seed(stack, sample.DATAVERSE_HOST, dataverse_rows(lakes / "dataverse", {}))


def land(stack: Stack, lakes: Path, day: int, content: Path) -> Landing:
    before = snapshots.rows_written(stack, sample.DATAVERSE_HOST)
    run = snapshots.hydrate(stack, lake_folder(lakes / f"day{day}"), Console(width=160))[sample.ENVIRONMENT]
    after = snapshots.rows_written(stack, sample.DATAVERSE_HOST)
    snapshots.export(stack, sample.DATAVERSE_HOST, content)
    return Landing(run, {table: count - before.get(table, 0) for table, count in after.items()}, content)


@pytest.fixture(scope="module")
def landings(lakes: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Landing, Landing, Landing]]:
    """Day 1, day 1 once more, day 2."""
    content = tmp_path_factory.mktemp("content")
    with started(lakes, tmp_path_factory.mktemp("stack")) as stack:
        seed(stack, lakes)
        yield (
            land(stack, lakes, 1, content / "first"),
            land(stack, lakes, 1, content / "again"),
            land(stack, lakes, 2, content / "second"),
        )


Landings = tuple[Landing, Landing, Landing]


def test_every_run_ends_successful(landings: Landings) -> None:
    for landing in landings:
        assert landing.run["status"] == "Successful", landing.run
        assert {task["name"] for task in landing.run["tasks"]} >= set(SUBJECTS)
        assert {landing.task(name)["status"] for name in SUBJECTS} == {"Successful"}


def test_dataverse_equals_the_oracle_after_each_day(landings: Landings, expected: dict[int, oracle.Expected]) -> None:
    first, again, second = landings
    assert_equal(first.content, expected[1])
    assert_equal(again.content, expected[1])
    assert_equal(second.content, expected[2])


def test_first_day_creates_every_row_once(landings: Landings, expected: dict[int, oracle.Expected]) -> None:
    first = landings[0]
    for name, subject in SUBJECTS.items():
        rows = len(expected[1].task(TASKS[name]))
        task = first.task(name)
        assert (task["created"], task["writes"], first.written[subject]) == (rows, rows, rows), name


def test_same_day_again_reaches_dataverse_with_no_write(
    landings: Landings, expected: dict[int, oracle.Expected]
) -> None:
    again = landings[1]
    assert not any(again.written.values())
    for name in SUBJECTS:
        task = again.task(name)
        assert (task["unchanged"], task["writes"]) == (len(expected[1].task(TASKS[name])), 0), name


def test_second_day_writes_exactly_the_difference(landings: Landings, expected: dict[int, oracle.Expected]) -> None:
    second = landings[2]
    for name, subject in SUBJECTS.items():
        task = second.task(name)
        told = oracle.difference(expected[1].task(TASKS[name]), expected[2].task(TASKS[name]))
        counts = {
            "created": told.created,
            "changed": told.changed,
            "removed": told.removed,
            "unchanged": told.unchanged,
        }
        assert {count: task[count] for count in counts} == {count: len(rows) for count, rows in counts.items()}, name
        assert task["writes"] == second.written[subject] == told.writes, name
        assert {task[count] for count in ("rejected", "missing", "held")} == {0}, name


def test_rows_outside_unification_are_left_alone(landings: Landings, expected: dict[int, oracle.Expected]) -> None:
    for table in ("contact", "lead"):
        rows = exported(landings[0].content, table, f"{table}id")
        outsiders = rows.keys() - expected[1].links[table].keys()
        assert outsiders
        assert not any(rows[key].get(LINK) for key in outsiders)
