"""Which birth of a row the others point to: a row that was removed and came back is another one."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.delta.compare import Policy
from tests.support.deltas import Plan, Row, Table, all_sent, guid

ONE = guid(1)
HERE, CHANGED, GONE = [Row(1, "a")], [Row(1, "b")], list[Row]()


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


def begun(plan: Plan) -> list[tuple[int, int, int]]:
    """Every chunk may have been sent, and none has an answer."""
    return [(chunk, 0, end) for chunk, _, end in all_sent(plan)]


def run(table: Table, rows: list[Row], *, answered: bool = True) -> str | None:
    plan = table.plan(rows)
    table.conclude(all_sent(plan) if answered else begun(plan))
    return table.births().get(ONE)


def test_a_row_is_born_by_the_plan_that_creates_it_and_keeps_its_birth(table: Table) -> None:
    born = run(table, HERE)
    assert born == table.delta.stem
    assert [run(table, rows) for rows in (HERE, CHANGED, HERE)] == [born] * 3


def test_a_row_that_was_removed_and_came_back_is_born_again(table: Table) -> None:
    first = run(table, HERE)
    assert run(table, GONE) is None
    assert run(table, HERE) not in {first, None}


def test_a_row_that_may_have_been_removed_is_born_again(table: Table) -> None:
    first = run(table, HERE)
    assert run(table, GONE, answered=False) is None
    assert table.content()[ONE][1] == "uncertain"
    assert run(table, HERE) not in {first, None}


def test_a_row_that_may_have_been_written_keeps_its_birth(table: Table) -> None:
    first = run(table, HERE, answered=False)
    assert first is not None
    assert [run(table, HERE), run(table, CHANGED, answered=False), run(table, CHANGED)] == [first] * 3


def test_a_rejected_row_keeps_its_birth(table: Table) -> None:
    first = run(table, HERE)
    assert run(table, [Row(1, "c", fault="x: no")]) == first


def test_a_removal_that_was_never_recorded_counts_as_one(table: Table) -> None:
    first = run(table, HERE)
    table.plan(GONE)
    table.pending.append(table.delta)
    assert table.births() == {ONE: None}
    assert run(table, HERE) not in {first, None}


def test_a_write_that_was_never_recorded_changes_no_birth(table: Table) -> None:
    first = run(table, HERE)
    table.plan(CHANGED)
    table.pending.append(table.delta)
    assert table.births() == {ONE: first}


@dataclass(frozen=True)
class Night:
    """One run: what the snapshot holds, whether the call reached Dataverse, and whether its answer came back."""

    rows: tuple[Row, ...]
    carried_out: bool
    answer: Literal["yes", "no", "never recorded"]


NIGHTS = st.builds(
    Night,
    st.sampled_from([tuple(HERE), tuple(CHANGED), ()]),
    st.booleans(),
    st.sampled_from(["yes", "yes", "no", "never recorded"]),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(NIGHTS, max_size=6))
def test_one_birth_is_one_row_of_dataverse(nights: list[Night]) -> None:
    """Whatever happens to calls and answers: rows that point to the same birth point to the same row."""
    with tempfile.TemporaryDirectory() as folder:
        table, lives, exists, known = Table(Path(folder)), 0, False, dict[str, int]()
        for night in nights:
            plan = table.plan(list(night.rows), Policy(brake_percent=100))
            carried_out = night.carried_out or night.answer == "yes"
            if carried_out and (plan.ids("create") or plan.ids("change")):
                lives += not exists
                exists = True
            if carried_out and plan.ids("remove"):
                exists = False
            if night.answer == "never recorded":
                table.pending.append(table.delta)
            else:
                table.conclude(all_sent(plan) if night.answer == "yes" else begun(plan))
            born, certain = table.births().get(ONE), table.content().get(ONE, ("", "uncertain"))[1] == ""
            if born is not None and certain:
                assert exists
                assert known.setdefault(born, lives) == lives
