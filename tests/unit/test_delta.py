from __future__ import annotations

import json
import uuid
from dataclasses import fields
from pathlib import Path

import pytest

from shared.delta import compare
from shared.delta.compare import Delta, Policy
from shared.delta.counts import Counts
from shared.errors import CorruptSnapshotError
from tests.support.deltas import REMOVE, WRITE, Row, State, Table, all_sent, entry, guid

NOTHING = {one.name: 0 for one in fields(Delta)} | {"chunk_rows": compare.LEAST_CHUNK_ROWS}


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


# -- what differs --------------------------------------------------------------------------------------


def test_a_first_run_creates_every_row(table: Table) -> None:
    plan = table.plan([Row(2, "b\nö"), Row(1, "a")])
    assert plan.delta == Delta(**NOTHING | {"created": 2, "write_chunks": 1})
    assert [row[:5] for row in plan.rows] == [
        (uuid.UUID(guid(1)), "create", 1, 0, WRITE),
        (uuid.UUID(guid(2)), "create", 1, 1, WRITE),
    ]
    [(number, records)] = plan.writes
    assert number == 1
    assert [json.loads(record)["content"] for record in records] == ["a", "b\nö"]
    assert plan.removals == []


def test_created_changed_unchanged_and_removed(table: Table) -> None:
    table.holds({guid(1): (entry("a"), ""), guid(2): (entry("b"), ""), guid(3): (entry("c"), "")})
    plan = table.plan([Row(1, "a"), Row(2, "B"), Row(4, "d")])
    assert plan.delta == Delta(
        **NOTHING
        | {"created": 1, "changed": 1, "unchanged": 1, "gone": 1, "removed": 1, "known": 3}
        | {"write_chunks": 1, "remove_chunks": 1}
    )
    assert [(str(row[0]), row[1], *row[2:5]) for row in plan.rows] == [
        (guid(2), "change", 1, 0, WRITE),
        (guid(4), "create", 1, 1, WRITE),
        (guid(3), "remove", 2, 0, REMOVE),
    ]
    assert plan.removals == [(2, [guid(3).encode()])]


def test_an_unchanged_snapshot_has_nothing_to_send(table: Table) -> None:
    table.plan([Row(1, "a"), Row(2, "b")])
    table.conclude([(1, 2, 2)])
    plan = table.plan([Row(2, "b"), Row(1, "a")])
    assert plan.delta == Delta(**NOTHING | {"unchanged": 2, "known": 2})
    assert (plan.rows, plan.writes, plan.removals) == ([], [], [])


def test_a_full_run_writes_every_row_again(table: Table) -> None:
    table.holds({guid(1): (entry("a"), "")})
    plan = table.plan([Row(1, "a"), Row(2, "b")], Policy(full=True))
    assert (plan.ids("change"), plan.ids("create")) == ([guid(1)], [guid(2)])


def test_an_uncertain_row_is_written_again(table: Table) -> None:
    table.holds({guid(1): (entry("a"), "uncertain"), guid(2): (entry("b"), "uncertain"), guid(3): (entry("c"), "kept")})
    plan = table.plan([Row(1, "a"), Row(3, "c")])
    assert (plan.ids("change"), plan.ids("remove")) == ([guid(1)], [guid(2)])
    assert plan.delta.unchanged == 1


def test_a_row_with_a_fault_is_rejected_and_no_other(table: Table) -> None:
    table.holds({guid(1): (entry("a"), "")})
    plan = table.plan([Row(1, "A", fault="x: too long"), Row(2, "b", fault="y: no number"), Row(3, "c")])
    assert (plan.delta.rejected, plan.delta.created, plan.delta.gone) == (2, 1, 0)
    assert plan.ids("create") == [guid(3)]
    assert plan.rejects == [(guid(1), "key 1", "x: too long"), (guid(2), "key 2", "y: no number")]
    table.conclude([(1, 1, 1)])
    assert table.content() == {guid(1): (entry("a"), ""), guid(3): (entry("c"), "")}


def test_of_rows_with_one_key_one_is_taken_whatever_their_order(table: Table) -> None:
    rows = [Row(1, "b"), Row(1, "a"), Row(1, "c", fault="x: bad"), Row(2, "d", fault="x: bad"), Row(2, "d", "y: bad")]
    contents = {name: entry(name) for name in "ab"}
    taken = min(contents, key=lambda name: uuid.UUID(contents[name]))
    for given_rows in (rows, rows[::-1], [*rows[2:], *rows[:2]]):
        plan = table.plan(given_rows)
        assert (plan.duplicates, plan.delta.created, plan.delta.rejected) == (3, 1, 1)
        assert json.loads(plan.writes[0][1][0])["content"] == taken
        assert plan.rejects == [(guid(2), "key 2", "x: bad")]


def test_a_row_without_a_key_fails_the_table(table: Table) -> None:
    with pytest.raises(CorruptSnapshotError, match="2 rows have no key"):
        table.plan([Row(1, "a"), Row(None, "b"), Row(None, "c", fault="x: bad")])


# -- the brake -----------------------------------------------------------------------------------------


def many(numbers: range, mark: str = "") -> State:
    return {guid(number): (entry("a"), mark) for number in numbers}


@pytest.mark.parametrize(
    ("known", "gone", "percent", "held"),
    [
        (1_000, 101, 10, True),
        (1_000, 100, 10, False),  # so few are never held
        (2_000, 200, 10, False),  # exactly the share
        (2_000, 201, 10, True),
        (150, 150, 100, False),  # 100 percent: no brake
        (150, 150, 99.9, True),
        (101, 101, 0, True),
        (100, 100, 0, False),
    ],
)
def test_the_brake(table: Table, known: int, gone: int, percent: float, held: bool) -> None:  # noqa: FBT001
    table.holds(many(range(known)))
    plan = table.plan(
        [Row(number, "a") for number in range(gone, known)] + [Row(9_999, "new")], Policy(brake_percent=percent)
    )
    assert (plan.delta.gone, plan.delta.held) == (gone, gone if held else 0)
    assert len(plan.ids("remove")) == (0 if held else gone)
    assert plan.ids("create") == [guid(9_999)]  # everything else is done
    table.conclude(all_sent(plan))
    assert len(table.content()) == known + 1 - (0 if held else gone)


def test_nothing_is_removed_while_there_is_a_reason_to_hold(table: Table) -> None:
    table.holds(many(range(3)))
    plan = table.plan([Row(0, "b")], Policy(hold="a column is ambiguous"))
    assert (plan.delta.held, plan.ids("remove"), plan.ids("change")) == (2, [], [guid(0)])


def test_rows_that_are_kept_stay_known(table: Table) -> None:
    table.holds(many(range(500)))
    keep = Policy(remove=False)
    plan = table.plan([Row(0, "a")], keep)
    assert (plan.delta.kept, plan.delta.held, plan.delta.remove_chunks, plan.removals) == (499, 0, 0, [])
    assert table.conclude(all_sent(plan)) == Counts()
    assert table.content() == many(range(1)) | many(range(1, 500), "kept")
    # With another policy they are removed after all, and one that comes back is not written for nothing.
    plan = table.plan([Row(0, "a"), Row(1, "a")], Policy(brake_percent=100))
    assert (len(plan.ids("remove")), plan.delta.unchanged) == (498, 2)


def test_an_uncertain_row_that_is_kept_stays_uncertain(table: Table) -> None:
    table.holds(many(range(1), "uncertain"))
    table.plan([], Policy(remove=False))
    table.conclude([])
    assert table.content() == many(range(1), "uncertain")
    assert table.plan([Row(0, "a")]).ids("change") == [guid(0)]


# -- what became of the rows ---------------------------------------------------------------------------

KNOWN = {guid(number): (entry("old"), "") for number in (1, 2, 3, 4, 5, 6, 7)}


def test_every_outcome_of_a_change(table: Table) -> None:
    table.holds(KNOWN)
    table.plan([Row(number, "new") for number in range(1, 8)])
    exceptions = [(guid(2), "rejected", False), (guid(3), "rejected", True), (guid(4), "missing", False)]
    counts = table.conclude([(1, 5, 6)], exceptions)
    assert counts == Counts(changed=2, rejected=2, missing=1, writes=2, unsent=1, uncertain=1)
    assert table.content() == {
        guid(1): (entry("new"), ""),
        guid(2): (entry("old"), ""),  # definitely not written: as before
        guid(3): (entry("old"), "uncertain"),  # an earlier attempt may have written it
        guid(4): (entry("new"), "missing"),
        guid(5): (entry("new"), ""),
        guid(6): (entry("old"), "uncertain"),  # sent without an answer
        guid(7): (entry("old"), ""),  # never sent
    }


def test_every_outcome_of_a_creation(table: Table) -> None:
    table.plan([Row(number, "new") for number in range(1, 8)])
    exceptions = [(guid(2), "rejected", False), (guid(3), "rejected", True), (guid(4), "missing", True)]
    counts = table.conclude([(1, 5, 6)], exceptions)
    assert counts == Counts(created=2, rejected=2, missing=1, writes=2, unsent=1, uncertain=1)
    assert table.content() == {
        guid(1): (entry("new"), ""),
        guid(3): (entry("new"), "uncertain"),
        guid(4): (entry("new"), "missing"),
        guid(5): (entry("new"), ""),
        guid(6): (entry("new"), "uncertain"),
    }


def test_every_outcome_of_a_removal(table: Table) -> None:
    table.holds(KNOWN)
    table.plan([])
    exceptions = [
        (guid(2), "referenced", False),
        (guid(3), "referenced", True),
        (guid(4), "missing", False),
        (guid(5), "rejected", False),
    ]
    counts = table.conclude([(1, 5, 6)], exceptions)
    assert counts == Counts(removed=2, held=3, writes=1, unremoved=2)
    assert table.content() == {
        guid(2): (entry("old"), ""),
        guid(3): (entry("old"), "uncertain"),
        guid(5): (entry("old"), ""),
        guid(6): (entry("old"), "uncertain"),
        guid(7): (entry("old"), ""),
    }


def test_a_rejected_rewrite_does_not_make_an_uncertain_row_certain(table: Table) -> None:
    table.holds({guid(1): (entry("a"), "uncertain"), guid(2): (entry("a"), "uncertain")})
    table.plan([Row(1, "a"), Row(2, "a")])
    table.conclude([(1, 2, 2)], [(guid(1), "rejected", False)])
    assert table.content() == {guid(1): (entry("a"), "uncertain"), guid(2): (entry("a"), "")}


def test_a_chunk_that_nobody_began_changes_nothing(table: Table) -> None:
    table.holds(KNOWN)
    table.plan([Row(1, "new"), Row(9, "new")])
    assert table.conclude([]) == Counts(unsent=2, unremoved=6)
    assert table.content() == KNOWN


def test_nothing_to_do_changes_nothing(table: Table) -> None:
    table.holds(KNOWN)
    table.plan([Row(number, "old") for number in range(1, 8)])
    assert table.conclude([]) == Counts()
    assert table.content() == KNOWN


def test_rows_of_a_delta_whose_outcome_was_never_committed_are_uncertain(table: Table) -> None:
    table.holds({guid(number): (entry("old"), "") for number in (1, 2, 3, 4)})
    rows = [Row(1, "old"), Row(2, "new"), Row(5, "new"), Row(6, "new", fault="x: bad")]
    table.plan(rows, Policy(remove=False))
    table.pending.append(table.delta)
    table.plan([row for row in rows if row.number != 2])
    table.pending.append(table.delta)
    expected = {
        guid(1): (entry("old"), ""),
        guid(2): (entry("old"), "uncertain"),
        guid(3): (entry("old"), "uncertain"),
        guid(4): (entry("old"), "uncertain"),
        guid(5): (entry("new"), "uncertain"),
    }
    assert table.content() == expected
    plan = table.plan([Row(1, "old"), Row(2, "old"), Row(5, "new")])
    assert (plan.ids("change"), plan.ids("remove")) == ([guid(2), guid(5)], [guid(3), guid(4)])
    table.conclude(all_sent(plan))
    assert table.content() == {
        guid(1): (entry("old"), ""),
        guid(2): (entry("old"), ""),
        guid(5): (entry("new"), ""),
    }


def test_pending_deltas_without_a_state(table: Table) -> None:
    table.plan([Row(1, "a")])
    table.pending.append(table.delta)
    assert table.content() == {guid(1): (entry("a"), "uncertain")}
