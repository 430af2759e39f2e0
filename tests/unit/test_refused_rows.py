"""A row that Dataverse refuses again and again costs no neighbour: it travels apart until it is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from shared.delta import compare, state
from shared.delta.compare import Policy
from shared.tables.rows import Rows
from tests.support import planning
from tests.support.deltas import REMOVE, WRITE, Plan, Row, Table, all_sent, entry, guid

ALL = [Row(1, "a"), Row(2, "b"), Row(3, "c"), Row(4, "d")]
Faults = Sequence[tuple[str, str, bool]]


@pytest.fixture(name="table")
def _table(tmp_path: Path) -> Table:
    return Table(tmp_path)


def run(table: Table, rows: Sequence[Row], faults: Faults = (), policy: Policy = Policy()) -> Plan:  # noqa: B008
    plan = table.plan(rows, policy)
    table.conclude(all_sent(plan), faults)
    return plan


def chunks(plan: Plan) -> list[list[str]]:
    """The rows of each chunk, by their numbers, in their places."""
    found: dict[int, list[str]] = {}
    for row in sorted(plan.rows, key=lambda row: row[2:4]):
        if row[2]:
            found.setdefault(row[2], []).append(f"{row[1]} {row[0].int}")
    assert list(found) == list(range(1, len(found) + 1)), "the numbers of the chunks have gaps"
    assert [number for number, _ in (*plan.writes, *plan.removals)] == list(found), "chunks and files differ"
    return list(found.values())


def refuse(*numbers: int, uncertain: bool = False) -> Faults:
    return [(guid(number), "rejected", uncertain) for number in numbers]


def test_a_row_that_was_never_written_travels_apart_after_it_was_refused(table: Table) -> None:
    assert chunks(run(table, ALL, refuse(2))) == [["create 1", "create 2", "create 3", "create 4"]]
    changed = [replace(row, content=f"{row.content}!") for row in ALL]
    assert chunks(run(table, changed, refuse(2))) == [["change 1", "change 3", "change 4"], ["create 2"]]
    assert chunks(run(table, ALL, refuse(2))) == [["change 1", "change 3", "change 4"], ["create 2"]], "again and again"
    assert chunks(run(table, ALL)) == [["create 2"]]
    assert table.refused_rows() == set(), "it was taken"


def test_a_row_that_is_there_travels_apart_with_what_it_is_to_become(table: Table) -> None:
    run(table, ALL)
    changed = [*ALL[:3], Row(4, "D")]
    run(table, changed, refuse(4))
    assert chunks(run(table, [Row(1, "A"), *changed[1:]])) == [["change 1"], ["change 4"]]


def test_a_full_run_keeps_it_apart(table: Table) -> None:
    run(table, ALL, refuse(1, 3))
    plan = run(table, ALL, policy=Policy(full=True))
    assert chunks(plan) == [["change 2", "change 4"], ["create 1", "create 3"]]
    assert chunks(run(table, ALL, policy=Policy(full=True))) == [[f"change {n}" for n in range(1, 5)]]


def test_missing_and_refused_rows_do_not_spoil_each_others_calls(table: Table) -> None:
    run(table, ALL, [(guid(1), "missing", False), (guid(2), "missing", False), *refuse(3)])
    assert chunks(run(table, ALL, [(guid(1), "rejected", False)])) == [["create 1", "create 2"], ["create 3"]]
    assert chunks(run(table, ALL)) == [["create 1"]], "a row that was missing and is refused now is one of those"


def test_a_removal_that_is_refused_travels_apart(table: Table) -> None:
    run(table, ALL)
    assert chunks(run(table, ALL[:2], [(guid(4), "referenced", False)])) == [["remove 3", "remove 4"]]
    assert chunks(run(table, ALL[:1])) == [["remove 2"], ["remove 4"]]
    assert table.refused_rows() == set()


def test_of_a_run_that_was_cut_off_it_is_apart_still(table: Table) -> None:
    run(table, ALL, refuse(2, 3))
    plan = table.plan(ALL)
    assert chunks(plan) == [["create 2", "create 3"]]
    table.conclude([(1, 0, 1)])  # the first has no answer, the second was not sent
    assert table.content()[guid(2)] == (entry("b"), "uncertain")
    assert chunks(table.plan([Row(1, "A"), *ALL[1:]])) == [["change 1"], ["change 2", "create 3"]]


def test_of_a_run_whose_outcome_is_unknown_it_is_apart_still(table: Table) -> None:
    run(table, ALL, refuse(2))
    table.plan(ALL)
    table.pending.append(table.delta)
    assert chunks(table.plan([Row(1, "A"), *ALL[1:]])) == [["change 1"], ["change 2"]]


def test_one_that_may_have_been_written_is_apart_too(table: Table) -> None:
    run(table, ALL, refuse(2, uncertain=True))
    assert chunks(run(table, [Row(1, "A"), *ALL[1:]])) == [["change 1"], ["change 2"]]


def test_what_is_not_to_be_written_any_more_is_forgotten(table: Table) -> None:
    run(table, ALL)
    run(table, [Row(1, "A"), Row(2, "B", "x: bad"), *ALL[2:]], refuse(1))
    run(table, ALL)  # as it was before: nothing is to be done
    assert table.refused_rows() == set()
    run(table, [*ALL, Row(5, "e")], refuse(5))
    run(table, ALL)  # never written, and gone
    assert table.refused_rows() == set()


def test_what_is_held_stays_apart_and_is_so_when_it_is_confirmed(table: Table) -> None:
    run(table, ALL)
    run(table, ALL[:3], refuse(4))
    held = table.plan(ALL[:2], Policy(hold="a doubt"))
    table.conclude(all_sent(held))
    assert table.refused_rows() == {guid(4)}
    kept = table.delta
    found, size = confirmed(table, kept)
    assert found == [(guid(3), 1), (guid(4), 2)]
    assert size == 2


def test_a_confirmation_says_nothing_of_the_rows_that_it_does_not_touch(table: Table) -> None:
    run(table, ALL)
    run(table, [Row(1, "A"), *ALL[1:3]], refuse(1), Policy(hold="a doubt"))
    confirmed(table, table.delta)
    table.conclude([(1, 1, 1)], only_a_part=True)
    assert table.refused_rows() == {guid(1)}
    assert chunks(run(table, [Row(1, "A"), Row(2, "B"), *ALL[2:3]])) == [["change 2"], ["change 1"]]


def confirmed(table: Table, held: Path) -> tuple[list[tuple[str, int]], int]:
    """The removals of a plan of what another one held, with their chunks, and how many chunks there are."""
    table.delta = table.file()
    with planning.connection() as connection:
        state.open_state(connection, table.state, table.pending, table.refused)
        compare.stage_held(connection, held, Rows("", "NULL", "NULL", "entry"))
        found = compare.number_held(connection, write_stage=WRITE, remove_stage=REMOVE)
        state.save(connection, "delta", table.delta)
        rows = connection.execute("SELECT id::VARCHAR, chunk FROM delta ORDER BY chunk, place").fetchall()
    return rows, found.remove_chunks


def test_a_plan_of_an_earlier_version_has_no_source_keys(table: Table) -> None:
    run(table, ALL)
    table.plan(ALL[:3], Policy(hold="a doubt"))
    with planning.connection() as connection:
        connection.execute(f"CREATE TABLE old AS SELECT * EXCLUDE (source_key) FROM '{table.delta}'")
        state.save(connection, "old", table.delta)
    assert confirmed(table, table.delta)[0] == [(guid(4), 1)]


def test_each_written_row_has_the_key_that_the_lake_has(table: Table) -> None:
    table.plan([*ALL[:1], Row(2, "b", "x: bad")])
    with planning.connection() as connection:
        found = connection.execute(f"SELECT id::VARCHAR, source_key FROM '{table.delta}'").fetchall()
    assert found == [(guid(1), "key 1")]
