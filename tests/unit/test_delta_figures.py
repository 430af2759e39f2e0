"""Every figure of a comparison and of its end, at once: what is counted once must not be counted twice."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from shared.delta import compare, exceptions, state
from shared.delta.compare import Delta, Policy
from shared.delta.counts import Counts
from shared.errors import CorruptSnapshotError
from shared.tables.rows import Rows
from tests.support import planning
from tests.support.deltas import REMOVE, WRITE, Row, Table, entry, guid


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


KNOWN = {guid(number): (entry("a"), "") for number in range(1, 9)}
SNAPSHOT = [
    Row(1, "a"), Row(2, "a"), Row(3, "a"), Row(4, "b"), Row(5, "b"), Row(6, "x", fault="name: too long"),
    Row(7, "a", old=True), Row(20, "new"), Row(21, "new"), Row(22, "new"), Row(22, "twice"), Row(23, "old", old=True),
]  # fmt: skip


def test_every_row_of_the_snapshot_and_of_the_state_is_counted_once(table: Table) -> None:
    table.holds(KNOWN | {guid(30): (entry("a"), "missing")})
    plan = table.plan(SNAPSHOT)
    assert plan.delta == Delta(
        created=3, changed=2, unchanged=3, rejected=1, missing=0, gone=1, held=0, held_writes=0, kept=0, removed=2,
        expired=2, duplicates=0, known=8, chunk_rows=1_000, write_chunks=1, remove_chunks=1,
    )  # fmt: skip
    assert plan.duplicates == 1
    assert {op: sorted(plan.ids(op)) for op in {row[1] for row in plan.rows}} == {
        "create": [guid(20), guid(21), guid(22)], "change": [guid(4), guid(5)], "remove": [guid(7), guid(8)],
        "drop": [guid(30)],
    }  # fmt: skip


def test_what_is_kept_is_counted_as_such(table: Table) -> None:
    table.holds(KNOWN)
    delta = table.plan(SNAPSHOT, Policy(remove=False)).delta
    assert (delta.gone, delta.kept, delta.held, delta.removed, delta.remove_chunks) == (1, 1, 0, 1, 1)


def test_what_is_held_is_counted_as_such(table: Table) -> None:
    table.holds(KNOWN)
    delta = table.plan(SNAPSHOT, Policy(hold="why not")).delta
    assert (delta.gone, delta.kept, delta.held, delta.removed, delta.remove_chunks) == (1, 0, 1, 1, 1)


@pytest.mark.parametrize(("known", "gone", "held"), [(1_000, 100, False), (1_010, 101, False), (1_009, 101, True)])
def test_the_brake_counts_of_what_is_known(table: Table, known: int, gone: int, *, held: bool) -> None:
    table.holds({guid(number): (entry("a"), "") for number in range(known)})
    assert bool(table.plan([Row(number, "a") for number in range(gone, known)]).delta.held) is held


def test_rows_without_a_key_fail_the_table_and_say_how_many(table: Table) -> None:
    said = r"^2 rows have no key: they cannot be told apart, so nothing was written\.$"
    with pytest.raises(CorruptSnapshotError, match=said):
        table.plan([Row(1, "a"), Row(None, "b"), Row(None, "c")])


def test_what_was_confirmed_is_counted_whatever_the_brake_says(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.holds({guid(number): (entry("a"), "") for number in range(1, 300)})
    held = table.plan([Row(1, "a")])
    assert held.delta.held == 298
    with planning.connection() as connection:
        state.open_state(connection, table.state)
        compare.stage_held(connection, table.delta, Rows("", "NULL", "NULL", "entry"))
        delta = compare.number_held(connection, write_stage=WRITE, remove_stage=REMOVE)
        stages = connection.execute("SELECT DISTINCT op, chunk, stage FROM delta").fetchall()
    assert delta == Delta(
        created=0, changed=0, unchanged=0, rejected=0, missing=0, gone=298, held=0, held_writes=0, kept=0, removed=298,
        expired=0, duplicates=0, known=299, chunk_rows=1_000, write_chunks=0, remove_chunks=1,
    )  # fmt: skip
    assert stages == [("remove", 1, REMOVE)]


def test_of_rows_with_one_key_the_valid_one_before_the_young_one_before_the_smallest(table: Table) -> None:
    plan = table.plan([
        Row(1, "a", fault="x: no"), Row(1, "b", old=True), Row(2, "a", old=True), Row(2, "b"), Row(3, "b"), Row(3, "a"),
    ])  # fmt: skip
    assert plan.duplicates == 3
    assert (plan.rejects, plan.delta.expired) == ([], 1)
    written = [json.loads(record) for _, records in plan.writes for record in records]
    smallest = min("ab", key=entry)
    assert {(row["id"], row["content"]) for row in written} == {(guid(2), "b"), (guid(3), smallest)}


def test_rows_of_each_kind_begin_a_chunk_of_their_own(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "LEAST_CHUNK_ROWS", 2)
    table.holds({guid(number): (entry("a"), "missing" if number > 13 else "") for number in range(10, 17)})
    plan = table.plan([Row(number, "b") for number in (*range(3), 14, 15, 16)], Policy(brake_percent=100))
    written = [[json.loads(record)["id"] for record in records] for _, records in plan.writes]
    assert written == [[guid(0), guid(1)], [guid(2)], [guid(14), guid(15)], [guid(16)]]
    assert [number for number, _ in plan.writes] == [1, 2, 3, 4]
    assert [number for number, _ in plan.removals] == [5, 6]
    assert (plan.delta.chunk_rows, plan.delta.write_chunks, plan.delta.remove_chunks) == (2, 4, 2)


# -- what became of them ------------------------------------------------------------------------------------


def test_every_outcome_has_its_figure(table: Table) -> None:
    table.holds(KNOWN)
    plan = table.plan(
        [*(Row(number, "b") for number in range(1, 6)), *(Row(number, "new") for number in range(20, 26))]
    )
    writes, removes = 11, 3
    assert [len(records) for _, records in (*plan.writes, *plan.removals)] == [writes, removes]
    counts = table.conclude(
        [(1, 9, 10), (2, 2, 3)],
        [
            (guid(1), "rejected", False), (guid(2), "missing", False), (guid(20), "rejected", True),
            (guid(21), "missing", False), (guid(6), "referenced", False), (guid(7), "missing", False),
        ],
    )  # fmt: skip
    assert counts == Counts(
        created=2, changed=3, removed=1, rejected=2, missing=2, held=1, writes=5, unsent=1, uncertain=1, unremoved=1
    )


def test_rows_that_are_missing_for_the_first_time_are_named_and_so_many(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.holds({guid(9): (entry("a"), "missing")})
    table.plan([Row(number, "b") for number in (*range(1, 5), 9)])
    with planning.connection() as connection:
        state.open_state(connection, table.state)
        noted = [(guid(number), "missing", False) for number in (1, 2, 3, 9)]
        state.create(connection, "exception", {"id": "UUID", "kind": "VARCHAR", "uncertain": "BOOLEAN"}, noted)
        state.conclude(connection, table.delta, [(1, 5, 5), (2, 5, 5)])
        assert state.newly_missing(connection, 2) == (3, [guid(1), guid(2)])
        assert state.newly_missing(connection, 10) == (3, [guid(1), guid(2), guid(3)])


def test_where_nothing_is_missing_nobody_is_named(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.plan([Row(1, "b")])
    table.conclude([(1, 1, 1)])
    table.plan([])
    with planning.connection() as connection:
        state.open_state(connection, table.state)
        state.create(connection, "exception", {"id": "UUID", "kind": "VARCHAR", "uncertain": "BOOLEAN"}, [])
        state.conclude(connection, table.delta, [(1, 1, 1)])
        assert state.newly_missing(connection, 2) == (0, [])


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def test_rows_are_given_and_added_by_the_columns_that_they_are_named_for(connection: duckdb.DuckDBPyConnection) -> None:
    columns = {"number": "INTEGER", "text": "VARCHAR"}
    state.create(connection, "one", columns, [])
    assert connection.execute("DESCRIBE one").fetchall()[0][:2] == ("number", "INTEGER")
    state.append(connection, "one", columns, [(1, "a"), (2, None)])
    state.append(connection, "one", columns, [(3, "c")])
    assert connection.execute("SELECT * FROM one ORDER BY number").fetchall() == [(1, "a"), (2, None), (3, "c")]
    with pytest.raises(duckdb.CatalogException):
        connection.execute("SELECT * FROM given")


def test_a_state_that_counts_no_more_is_empty_whatever_it_was(connection: duckdb.DuckDBPyConnection) -> None:
    state.open_state(connection, None)
    state.nothing(connection)
    state.nothing(connection)
    assert connection.execute("SELECT id, entry, mark, born FROM state").fetchall() == []


# -- what the workers noted ---------------------------------------------------------------------------------


def test_what_was_noted_of_rows_with_an_outcome_is_read(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    rows = {
        "0": [guid(0), "rejected", False, "0x1", "No\nway: é \ud800."],
        "1": [guid(1), "missing", True, "0x2", ""],
        "2": [guid(2), "rejected", False, "0x3", "Its call has no outcome yet."],
    }
    file = exceptions.put(tmp_path, 7, 2, json.dumps(rows).encode())
    assert file == tmp_path / "exceptions-7.ndjson"
    empty = exceptions.put(tmp_path, 8, 0, json.dumps(rows).encode())
    another = exceptions.put(
        tmp_path, 9, 1, json.dumps({"0": [guid(5), "rejected", False, "0x5", "Nor this."]}).encode()
    )
    exceptions.define(connection, iter([file, empty, another]))
    found = connection.execute(
        "SELECT id::VARCHAR, kind, uncertain, code, message FROM exception ORDER BY id"
    ).fetchall()
    assert found == [
        (guid(0), "rejected", False, "0x1", "No\nway: é ?."), (guid(1), "missing", True, "0x2", ""),
        (guid(5), "rejected", False, "0x5", "Nor this."),
    ]  # fmt: skip


def test_where_nothing_was_noted_there_is_no_exception(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    exceptions.define(connection, [exceptions.put(tmp_path, 1, 9, b"{}")])
    assert connection.execute("SELECT count(*) FROM exception").fetchone() == (0,)
