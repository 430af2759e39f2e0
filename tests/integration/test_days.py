"""Two days of the sample over the real local stack, for individuals and for businesses, compared cell by cell."""

from __future__ import annotations

import csv
import gzip
import io
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from local import sample, snapshots
from local.inputs import dataverse_rows, lake_folder
from local.runs_view import Run
from local.stack import Stack
from tests import oracle
from tests.support.campaigns import SOAK
from tests.support.dataverse import LINK, assert_equal, exported

PEOPLE = 600
SETTINGS = snapshots.LANDED_WHOLE | {"HYDRATION_LEASE_SECONDS": "4", "DATAVERSE_TIMEOUT_SECONDS": "3"}
LINKING = "CustomerId Backstamping Hydration: "


@dataclass(frozen=True)
class Case:
    """One of the sample's two environments."""

    audience: sample.Audience
    environment: str
    organization: str
    config: str
    sources: tuple[oracle.Source, ...]
    inputs: tuple[oracle.Input, ...]
    tables: frozenset[str]
    linked: frozenset[str]
    only_long: frozenset[str]  # landings that `make test` leaves to the long run

    def subjects(self) -> dict[str, tuple[str, str]]:
        """By task: its Dataverse table, and the name that the oracle knows it by."""
        tables = {name: (f"msdynci_{name.lower()}", name) for name in self.tables}
        return tables | {f"{LINKING}{name}": (name, name) for name in self.linked}


LAKES = {"first": "day1", "again": "day1", "changed": "changed", "second": "day2"}
"""What lands, in this order."""
ALL = frozenset(oracle.TABLES)
CASES = [
    Case(
        "individuals", sample.ENVIRONMENT, sample.DATAVERSE_HOST, sample.CONFIG, tuple(oracle.SOURCES),
        tuple(oracle.SAMPLE), ALL - {"ContactProfile"}, frozenset({"contact", "lead"}), frozenset({"again"}),
    ),
    Case(
        "businesses", sample.BUSINESS_ENVIRONMENT, sample.BUSINESS_HOST, sample.BUSINESS_CONFIG,
        tuple(oracle.BUSINESS_SOURCES), tuple(oracle.BUSINESS_SAMPLE), ALL, frozenset({"account", "contact"}),
        frozenset({"again", "changed"}),
    ),
]  # fmt: skip


@dataclass(frozen=True)
class Landing:
    """What one landing led to."""

    run: Run
    written: dict[str, int]  # by Dataverse's own count
    content: Path  # the exported tables

    def task(self, name: str) -> Run:
        return next(task for task in self.run["tasks"] if task["name"] == name)


@dataclass(frozen=True)
class Days:
    """The landings of one case, and what Dataverse must hold after each."""

    case: Case
    landings: dict[str, Landing]
    expected: dict[str, oracle.Expected]

    def landing(self, name: str) -> Landing:
        """One that is not made for every case."""
        if name not in self.landings:
            pytest.skip("make soak")
        return self.landings[name]


def land(stack: Stack, case: Case, lake: Path, content: Path) -> Landing:
    before = snapshots.rows_written(stack, case.organization)
    run = snapshots.hydrate(stack, lake_folder(lake), Console(width=160))[case.environment]
    after = snapshots.rows_written(stack, case.organization)
    snapshots.export(stack, case.organization, content)
    return Landing(run, {table: count - before.get(table, 0) for table, count in after.items()}, content)


def change_a_measure(lake: Path, case: Case) -> None:
    """Another value for one measure of one customer, whatever file it stands in."""
    file = next(path for path in sorted(lake.rglob("*")) if path.parent.name == "Customer_Measure" and path.is_file())
    opened: Callable[[bytes], bytes] = gzip.decompress if file.suffix == ".gz" else bytes
    text = opened(file.read_bytes()).decode("utf-8")
    rows = list(csv.reader(io.StringIO(text)))
    column = next(place for place, name in enumerate(rows[0]) if rows[1][place].replace(".", "").isdigit() and place)
    lines = text.split("\n")
    cells = lines[1].split(",")
    assert cells[column] == rows[1][column], f"the first row of {case.audience} is not simple enough"
    cells[column] = str(int(float(cells[column])) + 1)
    lines[1] = ",".join(cells)
    changed = "\n".join(lines).encode()
    file.write_bytes(gzip.compress(changed) if file.suffix == ".gz" else changed)


@pytest.fixture(scope="module", params=CASES, ids=[case.audience for case in CASES])
def days(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    """Day 1, day 1 once more, one measure of it changed, day 2.

    In `make test` no day comes twice: where one measure is changed, all else is the same, and nothing of it is written.
    """
    case: Case = request.param
    folder = tmp_path_factory.mktemp(case.audience)
    lakes = {f"day{day}": sample.write(folder / f"day{day}", day, PEOPLE, case.audience) for day in (1, 2)}
    lakes["changed"] = shutil.copytree(lakes["day1"], folder / "changed")
    change_a_measure(lakes["changed"], case)
    sample.dataverse_rows(folder / "dataverse", PEOPLE, case.audience)
    (folder / "hydration.toml").write_text(case.config, encoding="utf-8")
    expected = {
        name: oracle.expected(lake, case.environment, case.sources, audience=case.audience, inputs=case.inputs)
        for name, lake in lakes.items()
    }
    with Stack(folder / "stack", folder / "hydration.toml", settings=SETTINGS, keeps=False) as stack:
        snapshots.seed(stack, case.organization, dataverse_rows(folder / "dataverse", {}))
        order = [name for name in LAKES if SOAK or name not in case.only_long]
        landings = {name: land(stack, case, lakes[LAKES[name]], folder / name) for name in order}
        yield Days(case, landings, {name: expected[LAKES[name]] for name in order})


def test_every_run_ends_successful(days: Days) -> None:
    for landing in days.landings.values():
        assert landing.run["status"] == "Successful", landing.run
        statuses = {name: landing.task(name)["status"] for name in days.case.subjects()}
        assert set(statuses.values()) == {"Successful"}, statuses


def test_dataverse_equals_the_oracle_after_each_landing(days: Days) -> None:
    for name, landing in days.landings.items():
        assert_equal(landing.content, days.expected[name])


def test_every_table_has_rows(days: Days) -> None:
    for name in days.case.tables:
        assert days.expected["first"].tables[name], name


def test_first_day_creates_every_row_once(days: Days) -> None:
    first = days.landings["first"]
    for name, (table, known) in days.case.subjects().items():
        rows, task = len(days.expected["first"].task(known)), first.task(name)
        assert (task["created"], task["writes"], first.written[table]) == (rows, rows, rows), name


def test_same_day_again_reaches_dataverse_with_no_write(days: Days) -> None:
    again = days.landing("again")
    assert not any(again.written.values())
    for name, (_, known) in days.case.subjects().items():
        task = again.task(name)
        assert (task["unchanged"], task["writes"]) == (len(days.expected["again"].task(known)), 0), name


def test_one_changed_measure_of_one_customer_writes_one_row(days: Days) -> None:
    written = {table: count for table, count in days.landing("changed").written.items() if count}
    assert written == {"msdynci_customermeasure": 1}


def test_second_day_writes_exactly_the_difference(days: Days) -> None:
    second, before = days.landings["second"], list(days.expected.values())[-2]
    for name, (table, known) in days.case.subjects().items():
        task = second.task(name)
        told = oracle.difference(before.task(known), days.expected["second"].task(known))
        counts = {
            "created": told.created,
            "changed": told.changed,
            "removed": told.removed,
            "unchanged": told.unchanged,
        }
        assert {count: task[count] for count in counts} == {count: len(rows) for count, rows in counts.items()}, name
        assert task["writes"] == second.written[table] == told.writes, name
        assert {task[count] for count in ("rejected", "missing", "held")} == {0}, name


def test_rows_outside_unification_are_left_alone(days: Days) -> None:
    for table in days.case.linked:
        rows = exported(days.landings["first"].content, table, f"{table}id")
        outsiders = rows.keys() - days.expected["first"].links[table].keys()
        assert outsiders
        assert not any(rows[key].get(LINK) for key in outsiders)


def test_the_detail_says_what_a_table_is_made_of(days: Days) -> None:
    detail = days.landings["first"].task("SegmentMembership")["detail"]
    assert "Made of " in detail
