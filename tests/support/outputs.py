"""Output tables from rows made by hand: found, read, drafted and compared as a plan does it, without a lake."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import duckdb
import pyarrow as pa

from shared import inputs
from shared.delta import compare, state
from shared.delta.compare import Policy
from shared.lake.manifest import Entity
from shared.reading import Reading
from shared.settings import Hydration
from shared.tables import discovery, rows, sql
from shared.tables.columns import columns
from tests.support import planning
from tests.support.catalogs import entity, hydration, snapshot

SET = "msdynci_customerprofiles"
BOUND = "msdynci_lookupfield_customer@odata.bind"
NOBODY = hydration()
Cells = Sequence[str | None]
Record = dict[str, Any]


@dataclass(frozen=True)
class Delivered:
    """An entity and its rows."""

    entity: Entity
    rows: Sequence[Cells]


def delivered(name: str, columns: Sequence[str], *rows: Cells, notes: Mapping[str, str] | None = None) -> Delivered:
    """An entity with attributes `name` or `name:type`, and its rows as texts."""
    return Delivered(entity(name, *columns, notes=notes), rows)


@dataclass(frozen=True)
class ByHand:
    """What stands for a `Reading`: rows that tests hold themselves."""

    connection: duckdb.DuckDBPyConnection
    contents: Mapping[str, Delivered]

    def view(self, name: str, found: Entity, attributes: Sequence[str]) -> None:
        """The attributes as a view of numbered columns, as one of files is."""
        places = {attribute.name: place for place, attribute in enumerate(found.attributes)}
        rows = self.contents[found.name].rows
        typed = [pa.array([row[places[one]] for row in rows], pa.string()) for one in attributes]
        self.connection.register("by_hand", pa.table(typed, names=[f"c{place}" for place in range(len(typed))]))
        self.connection.execute(f"CREATE TABLE {sql.name(f'{name} by hand')} AS SELECT * FROM by_hand")
        picked = ", ".join(f"c{place} AS {sql.name(one)}" for place, one in enumerate(attributes))
        self.connection.execute(f"CREATE VIEW {name} AS SELECT {picked} FROM {sql.name(f'{name} by hand')}")


@dataclass(frozen=True)
class Output:
    """What became of the rows, by GUID: each a record, or the fault that rejects it."""

    records: Mapping[str, str]
    faults: Mapping[str, str]
    expired: frozenset[str]
    source_keys: Mapping[str, str]
    duplicates: int
    keyless: int  # of the rejected rows

    def record(self, guid: str) -> Record:
        """The record of a row."""
        found: Record = json.loads(self.records[guid])
        return found

    def cells(self, column: str) -> dict[str, Any]:
        """A column of every record, by GUID."""
        return {guid: self.record(guid).get(f"msdynci_{column}") for guid in self.records}

    @property
    def only(self) -> Record:
        """The only record."""
        assert not self.faults
        [guid] = self.records
        return self.record(guid)

    @property
    def fault(self) -> str:
        """The only fault."""
        [fault] = self.faults.values()
        return fault


@contextmanager
def connected(profiles: Sequence[str], birth: str = "first") -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that knows the profiles of these customers, born by that plan, and no applied state."""
    with planning.connection() as opened:
        state.open_state(opened, None)
        opened.execute(
            "CREATE TABLE profile AS SELECT id_guid(unnest(?::VARCHAR[])) AS id, ? AS born", [[*profiles], birth]
        )
        yield opened


def output(
    table: str,
    *contents: Delivered,
    profiles: Sequence[str] = ("C-1", "C-2"),
    configured: Hydration = NOBODY,
    before: datetime | None = None,
) -> Output:
    """The rows of an output table. Raises what the plan raises, and AssertionError where the table has a fault."""
    with connected(profiles) as connection:
        return staged(connection, *drafted(connection, table, *contents, configured=configured, before=before))


def drafted(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    *contents: Delivered,
    configured: Hydration = NOBODY,
    before: datetime | None = None,
) -> tuple[rows.Rows, int]:
    """The SQL of an output table, and how many rows were left out as repeated. The connection knows the profiles."""
    source = discovery.read(snapshot([one.entity for one in contents]), configured).sources[table]
    assert source.parts, source.fault or source.absent
    reading = cast("Reading", ByHand(connection, {one.entity.name: one for one in contents}))
    repeated = inputs.define(reading, table, source, configured)
    wanted = columns(table, configured, inputs.attributes(table, source))
    kept = [column for column in wanted if column.source in inputs.written(table, source)]
    return rows.output(table, kept, configured, SET, before=before), repeated


def staged(connection: duckdb.DuckDBPyConnection, made: rows.Rows, repeated: int = 0) -> Output:
    """What a comparison makes of the rows."""
    dropped = compare.stage(connection, made, Policy(), birth="now")
    found = connection.execute("SELECT id::VARCHAR, record, fault, source_key FROM staged").fetchall()
    expired = connection.execute("SELECT id::VARCHAR FROM expired").fetchall()
    return Output(
        records={guid: record for guid, record, fault, _ in found if fault is None},
        faults={guid: fault for guid, _, fault, _ in found if fault is not None},
        expired=frozenset(guid for (guid,) in expired),
        source_keys={guid: key for guid, _, _, key in found if key is not None},
        duplicates=repeated + dropped,
        keyless=compare.unnamed(connection, made),
    )
