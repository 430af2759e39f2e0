"""Rows that point to profiles, through several runs: their profile is there, gone, or another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from shared.delta.compare import Policy
from shared.delta.counts import Counts
from shared.settings import OUTPUT_TABLES
from shared.tables.rows import Rows
from tests.support.deltas import NORMAL, Plan, State, Table, all_sent
from tests.support.outputs import BOUND, Cells, delivered, drafted

POLICIES = [Policy(), Policy(full=True), Policy(remove=False), Policy(brake_percent=0), Policy(hold="why not")]
of_every_policy = pytest.mark.parametrize("policy", POLICIES, ids=["normal", "full", "keep", "brake", "hold"])
COLUMNS = {
    "ContactProfile": ("CustomerId", "ContactId", "City"),
    "UnifiedActivity": ("CustomerId", "ActivityId", "Title", "ActivityTimeStamp"),
    "CustomerMeasure": ("CustomerId", "a", "b"),
    "Enrichment": ("CustomerId", "a", "b"),
    "Prediction": ("CustomerId", "a", "b"),
    "SegmentMembership": ("CustomerId", "SegmentProvider", "SegmentName"),
}
MOMENT = datetime(2024, 1, 31, 10, 0, tzinfo=UTC)
NOBODY = "CustomerId: no profile has this id"
NO_KEY = "key: an id that the row is named by is empty, or not valid UTF-8"
Births = Mapping[str, str | None]  # of the profile of each customer; None: it may have been removed
HERE, AGAIN, GONE = {"C-1": "first"}, {"C-1": "second"}, dict[str, str | None]()


class Children:
    """A table that points to profiles, through several runs."""

    def __init__(self, folder: Path, table: str) -> None:
        self.table, self._of = Table(folder), table

    def plan(self, births: Births, *rows: Cells, policy: Policy = NORMAL) -> Plan:
        def draft(connection: duckdb.DuckDBPyConnection) -> Rows:
            connection.execute("CREATE TABLE profile (id UUID, born VARCHAR)")
            for customer, born in births.items():
                connection.execute("INSERT INTO profile SELECT id_guid(?), ?", [customer, born])
            columns = COLUMNS[self._of]
            cells: Sequence[Cells] = [[*row, *[None] * (len(columns) - len(row))] for row in rows]
            before = MOMENT if self._of == "UnifiedActivity" else None
            made, _ = drafted(connection, self._of, delivered(self._of, columns, *cells), before=before)
            return made

        return self.table.compare(draft, policy)

    def run(self, births: Births, *rows: Cells, policy: Policy = NORMAL) -> tuple[Plan, Counts]:
        """Plan, and send all of it."""
        plan = self.plan(births, *rows, policy=policy)
        return plan, self.table.conclude(all_sent(plan))

    @property
    def content(self) -> State:
        return self.table.content()

    def unanswered(self, births: Births, *rows: Cells) -> None:
        """Nobody knows whether what was planned arrived."""
        plan = self.plan(births, *rows)
        self.table.conclude([(chunk, 0, end) for chunk, _, end in all_sent(plan)])


@pytest.fixture(params=[table for table in OUTPUT_TABLES if table in COLUMNS])
def children(request: pytest.FixtureRequest, tmp_path: Path) -> Children:
    return Children(tmp_path, request.param)


@pytest.fixture
def activities(tmp_path: Path) -> Children:
    return Children(tmp_path, "UnifiedActivity")


ROW, CHANGED = ("C-1", "x", "a"), ("C-1", "x", "b")


def ops(plan: Plan) -> list[str]:
    return [row[1] for row in plan.rows]


# -- births --------------------------------------------------------------------------------------------


def test_a_row_is_written_once_as_long_as_its_profile_is_the_same(children: Children) -> None:
    assert ops(children.run(HERE, ROW)[0]) == ["create"]
    assert [children.run(HERE, ROW)[0].rows for _ in range(2)] == [[], []]


@pytest.mark.parametrize("meanwhile", [[], [GONE], [GONE, GONE]], ids=["not planned", "once", "twice"])
def test_a_row_is_written_again_when_its_profile_came_back_as_another_one(
    children: Children, meanwhile: list[Births]
) -> None:
    """Deleting the profile has emptied the lookup, whether the table was planned in between or not."""
    first, _ = children.run(HERE, ROW)
    for births in meanwhile:
        assert children.run(births, ROW)[0].rows == []
    again, counts = children.run(AGAIN, ROW)
    assert (ops(again), counts) == (["change"], Counts(changed=1, writes=1))
    assert again.writes == first.writes  # with its lookup
    assert BOUND.encode() in again.writes[0][1][0]
    assert children.run(AGAIN, ROW)[0].rows == []


def test_a_row_is_not_written_again_when_the_same_profile_returns(children: Children) -> None:
    """Its profile was no valid row for a while, and Dataverse held it all the time."""
    children.run(HERE, ROW)
    children.run(GONE, ROW)
    assert children.run(HERE, ROW)[0].rows == []
    assert ops(children.run(HERE, CHANGED)[0]) == ["change"]


def test_a_profile_that_may_have_been_removed_is_another_one_before_and_after(children: Children) -> None:
    children.run(HERE, ROW)
    assert ops(children.run({"C-1": None}, ROW)[0]) == ["change"]
    assert children.run({"C-1": None}, ROW)[0].rows == []
    assert ops(children.run({"C-1": None}, CHANGED)[0]) == ["change"]  # it is compared all the same
    assert ops(children.run(AGAIN, ROW)[0]) == ["change"]


def test_only_rows_of_the_profile_that_came_back_are_written_again(children: Children) -> None:
    other, alone = ("C-2", "y", "a"), children.plan(HERE, ROW)
    children.run(HERE | {"C-2": "first"}, ROW, other)
    again, counts = children.run(AGAIN | {"C-2": "first"}, ROW, other)
    assert again.ids("change") == alone.ids("create")
    assert (len(again.rows), counts.changed) == (1, 1)


# -- rows whose profile is gone ------------------------------------------------------------------------


@of_every_policy
@pytest.mark.parametrize("mark", ["", "uncertain", "kept"])
def test_a_known_row_whose_profile_is_gone_is_rejected_and_stays_as_it_is(
    activities: Children, policy: Policy, mark: str
) -> None:
    activities.run(HERE, ROW)
    if mark == "uncertain":
        activities.unanswered(HERE, CHANGED)
    elif mark == "kept":
        activities.run(HERE, policy=Policy(remove=False))
    known = activities.content
    assert [found for _, found in known.values()] == [mark]
    for row in (ROW, CHANGED):
        plan, counts = activities.run(GONE, row, policy=policy)
        assert (plan.rows, plan.writes, plan.removals, counts) == ([], [], [], Counts())
        assert (plan.delta.rejected, plan.delta.gone, plan.delta.held) == (1, 0, 0)
        assert plan.rejects == [(next(iter(known)), "x", NOBODY)]
        assert activities.content == known


def test_a_row_that_is_uncertain_is_written_when_its_profile_returns(children: Children) -> None:
    children.run(HERE, ROW)
    [guid] = children.content
    children.plan(HERE)
    children.table.pending.append(children.table.delta)  # its removal was never recorded
    children.run(GONE, ROW)
    assert [mark for _, mark in children.content.values()] == ["uncertain"]
    assert children.run(HERE, ROW)[0].ids("change") == [guid]


@of_every_policy
def test_a_row_that_nobody_wrote_is_not_written_and_leaves_nothing_behind(activities: Children, policy: Policy) -> None:
    for _ in range(2):
        plan, _ = activities.run(GONE, ROW, policy=policy)
        assert (plan.rows, plan.delta.rejected) == ([], 1)
        assert [fault for _, _, fault in plan.rejects] == [NOBODY]
        assert activities.content == {}
    assert ops(activities.run(AGAIN, ROW)[0]) == ["create"]


def test_a_row_whose_profile_is_gone_is_removed_when_it_leaves_the_snapshot(children: Children) -> None:
    children.run(HERE, ROW)
    known = list(children.content)
    children.run(GONE, ROW)
    plan, counts = children.run(GONE)
    assert (plan.ids("remove"), counts) == (known, Counts(removed=1, writes=1))
    assert children.content == {}


def test_a_plan_that_was_never_recorded_leaves_a_row_without_a_profile_as_it_was(children: Children) -> None:
    children.run(HERE, ROW)
    known = children.content
    children.plan(GONE, ROW)
    children.table.pending.append(children.table.delta)
    assert children.content == known


def test_a_row_whose_profile_is_gone_is_no_part_of_a_chunk(activities: Children) -> None:
    everybody = dict.fromkeys(("C-1", "C-2", "C-3", "C-4"), "first")
    rows = {customer: (customer, f"A-{customer}", "a") for customer in everybody}
    guids = {customer: activities.plan(everybody, row).ids("create")[0] for customer, row in rows.items()}
    activities.run(everybody, *rows.values())
    before = activities.content
    del everybody["C-2"]
    changed = [("C-1", "A-C-1", "b"), rows["C-2"], ("C-3", "A-C-3", "b")]
    plan = activities.plan(everybody, *changed)
    first, last = sorted([guids["C-1"], guids["C-3"]])
    assert [(str(row[0]), *row[1:4]) for row in plan.rows] == [
        (first, "change", 1, 0),
        (last, "change", 1, 1),
        (guids["C-4"], "remove", 2, 0),
    ]
    assert activities.table.conclude([(1, 2, 2)]) == Counts(changed=2, writes=2, unremoved=1)  # it was never sent
    after = activities.content
    assert after.keys() == before.keys()
    assert {guid for guid in after if after[guid] != before[guid]} == {first, last}


def test_of_rows_with_one_key_one_that_has_a_profile_stays(activities: Children) -> None:
    activities.run(HERE, ROW)
    rows: list[Cells] = [("C-9", "x", "a"), ROW]
    for order in (rows, rows[::-1]):
        plan = activities.plan(HERE, *order)
        assert (plan.rows, plan.duplicates, plan.delta.unchanged) == ([], 1, 1)


# -- beside rows that are too old, and rows without a key ----------------------------------------------


def test_an_old_row_without_a_profile_is_removed(activities: Children) -> None:
    activities.run(HERE, ROW)
    plan, counts = activities.run(GONE, (*ROW, "2020-01-01"))
    assert (ops(plan), plan.delta.rejected, counts.removed) == (["remove"], 0, 1)


def test_an_old_row_without_a_key_is_rejected_and_hides_nothing(activities: Children) -> None:
    """The brake counts what left the snapshot all the same."""
    known = [("C-1", f"A-{number}", "a") for number in range(150)]
    activities.run(HERE, *known)
    plan = activities.plan(HERE, ROW, ("C-1", None, "a", "2020-01-01"))
    assert (plan.delta.gone, plan.delta.held, plan.ids("remove")) == (150, 150, [])
    assert [(guid, fault) for guid, _, fault in plan.rejects] == [(None, NO_KEY)]


@pytest.mark.parametrize("nameless", [None, ""])
def test_a_row_without_a_key_is_rejected_beside_the_others_and_never_part_of_the_state(
    activities: Children, nameless: str | None
) -> None:
    for births in (HERE, GONE):
        plan, _ = activities.run(births, ROW, ("C-1", nameless, "a"))
        assert (None, NO_KEY) in [(guid, fault) for guid, _, fault in plan.rejects]
        assert len(activities.content) == 1
