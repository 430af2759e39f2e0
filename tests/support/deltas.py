"""A table through several runs: planned and concluded as the app does it, with rows made by hand."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from shared.delta import chunks, compare, state
from shared.delta.compare import Delta, Policy
from shared.delta.counts import Counts
from shared.tables.rows import Rows
from tests.support import planning

WRITE, REMOVE = 2, 5
NORMAL = Policy()
State = dict[str, tuple[str, str]]  # id -> entry, mark
_STATE = pa.schema([(name, pa.string()) for name in ("id", "entry", "mark", "born")])


def guid(number: int) -> str:
    """In the order of the numbers."""
    return str(uuid.UUID(int=number))


def entry(content: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, content))


@dataclass(frozen=True)
class Row:
    """A row of a snapshot; `fault` is its own, not its file's."""

    number: int | None
    content: str = ""
    fault: str | None = None
    old: bool = False  # too old to be hydrated

    @property
    def cells(self) -> tuple[str | bool | None, ...]:
        key = None if self.number is None else guid(self.number)
        return key, f"key {self.number}", self.fault, self.content, self.old


@dataclass
class Plan:
    """What a comparison came to."""

    delta: Delta
    duplicates: int
    rows: list[tuple[Any, ...]]  # id, op, chunk, place, stage, entry
    writes: list[tuple[int, list[bytes]]]
    removals: list[tuple[int, list[bytes]]]
    rejects: list[tuple[str | None, str, str]]  # id, source_key, fault

    def ids(self, op: str) -> list[str]:
        return [str(row[0]) for row in self.rows if row[1] == op]


class Table:
    """One table through several runs, as `plan` and `close` carry them out."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._files = folder, 0
        self.state: Path | None = None
        self.pending: list[Path] = []
        self.refused: Path | None = None

    def file(self) -> Path:
        self._files += 1
        return self._folder / f"{self._files}.parquet"

    def holds(self, known: Mapping[str, tuple[str, str]]) -> None:
        self.state = self.file()
        rows = [{"id": key, "entry": value, "mark": mark, "born": "once"} for key, (value, mark) in known.items()]
        with planning.connection() as connection:
            connection.register("listed", pa.Table.from_pylist(rows, _STATE))
            state.save(connection, "(SELECT id::UUID AS id, entry::UUID AS entry, mark, born FROM listed)", self.state)

    def plan(self, rows: Sequence[Row], policy: Policy = NORMAL) -> Plan:
        return self.compare(lambda connection: _snapshot(connection, rows), policy)

    def compare(self, draft: Callable[[duckdb.DuckDBPyConnection], Rows], policy: Policy = NORMAL) -> Plan:
        """Plan what `draft` makes of the connection."""
        self.delta = self.file()
        with planning.connection() as connection:
            state.open_state(connection, self.state, self.pending, self.refused)
            duplicates = compare.stage(connection, draft(connection), policy, birth=self.delta.stem)
            found = compare.number(connection, policy, write_stage=WRITE, remove_stage=REMOVE)
            state.save(connection, "delta", self.delta)
            return Plan(
                found,
                duplicates,
                connection.execute(
                    "SELECT id, op, chunk, place, stage, entry FROM delta ORDER BY chunk, place, id"
                ).fetchall(),
                list(chunks.write_records(connection)),
                list(chunks.remove_records(connection, "id::VARCHAR")),
                connection.execute(
                    "SELECT id::VARCHAR, source_key, fault FROM staged WHERE fault IS NOT NULL ORDER BY id"
                ).fetchall(),
            )

    def conclude(
        self,
        progress: Sequence[tuple[int, int, int]],
        exceptions: Sequence[tuple[str, str, bool]] = (),
        *,
        only_a_part: bool = False,
    ) -> Counts:
        with planning.connection() as connection:
            state.open_state(connection, self.state, self.pending, self.refused)
            noted = {"id": "UUID", "kind": "VARCHAR", "uncertain": "BOOLEAN"}
            state.create(connection, "exception", noted, exceptions)
            counts = state.conclude(connection, self.delta, progress)
            self.state, beside = self.file(), self.file()
            state.save(connection, "next_state", self.state)
            self.refused = beside if state.save_refused(connection, beside, only_a_part=only_a_part) else None
            self.pending = []
            return counts

    def content(self) -> State:
        with planning.connection() as connection:
            state.open_state(connection, self.state, self.pending, self.refused)
            rows = connection.execute("SELECT id::VARCHAR, entry::VARCHAR, mark FROM state").fetchall()
        found = {key: (value, mark) for key, value, mark in rows}
        assert len(found) == len(rows), "a row stands twice in the state"
        return found

    def refused_rows(self) -> set[str]:
        """Those that Dataverse refused last."""
        with planning.connection() as connection:
            state.open_state(connection, self.state, self.pending, self.refused)
            return {key for (key,) in connection.execute("SELECT id::VARCHAR FROM refused").fetchall()}

    def births(self) -> dict[str, str | None]:
        """Which plan created each row of the state."""
        with planning.connection() as connection:
            state.open_state(connection, self.state, self.pending, self.refused)
            return dict(connection.execute("SELECT id::VARCHAR, born FROM state").fetchall())


def _snapshot(connection: duckdb.DuckDBPyConnection, rows: Sequence[Row]) -> Rows:
    connection.execute("CREATE TABLE given (id UUID, sourcekey VARCHAR, fault VARCHAR, content VARCHAR, old BOOLEAN)")
    if rows:
        listed = [dict(zip("abcde", row.cells, strict=True)) for row in rows]
        connection.register("listed", pa.Table.from_pylist(listed))
        connection.execute("INSERT INTO given SELECT * FROM listed")
    return Rows(
        "SELECT * FROM given",
        fault="fault",
        record="""concat('{"id":"', id, '","content":', to_json(content), '}')""",
        entry=f"format_uuid5(sha1(unhex('{uuid.NAMESPACE_OID.hex}') || encode(content)))",
        needs_keys=True,
        expired="old",
    )


def all_sent(plan: Plan) -> list[tuple[int, int, int]]:
    counts: dict[int, int] = {}
    for row in plan.rows:
        if row[2]:
            counts[row[2]] = counts.get(row[2], 0) + 1
    return [(chunk, rows, rows) for chunk, rows in counts.items()]
