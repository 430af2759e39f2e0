"""How a delta is numbered into chunks, and what a chunk file holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.delta import chunks, compare
from shared.delta.compare import Policy
from tests.support.deltas import REMOVE, WRITE, Row, Table, entry, guid


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


def test_the_same_plan_has_the_same_chunks(table: Table) -> None:
    table.holds({guid(number): (entry("a"), "") for number in range(0, 9_000, 2)})
    rows = [Row(number, "b") for number in range(3_500)]
    plans = [table.plan(given_rows, Policy(brake_percent=100)) for given_rows in (rows, rows[::-1], rows)]
    assert plans[0] == plans[1] == plans[2]
    plan = plans[0]
    assert (plan.delta.write_chunks, plan.delta.remove_chunks) == (4, 3)
    assert [(number, len(records)) for number, records in plan.writes] == [(1, 1000), (2, 1000), (3, 1000), (4, 500)]
    assert [(number, len(records)) for number, records in plan.removals] == [(5, 1000), (6, 1000), (7, 750)]
    assert {row[4] for row in plan.rows if row[2] <= 4} == {WRITE}
    assert {row[4] for row in plan.rows if row[2] > 4} == {REMOVE}
    # The numbers in the delta are those of the records in the chunk files.
    places = {(row[2], row[3]): str(row[0]) for row in plan.rows}
    assert places == {
        (number, place): json.loads(record)["id"]
        for number, records in plan.writes
        for place, record in enumerate(records)
    } | {(number, place): record.decode() for number, records in plan.removals for place, record in enumerate(records)}


def test_chunks_grow_so_that_there_are_never_too_many(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "LEAST_CHUNK_ROWS", 2)
    monkeypatch.setattr(compare, "_MOST_CHUNKS", 3)
    plan = table.plan([Row(number, "a") for number in range(10)])
    assert (plan.delta.chunk_rows, plan.delta.write_chunks) == (4, 3)
    assert [len(records) for _, records in plan.writes] == [4, 4, 2]


@given(st.lists(st.binary(min_size=1).filter(lambda record: b"\n" not in record), min_size=1))
def test_a_chunk_file_holds_its_records(records: list[bytes]) -> None:
    packed = chunks.pack(records)
    assert chunks.unpack(packed) == records
    assert chunks.pack(records) == packed  # no time of day in it: the same chunk has the same bytes
