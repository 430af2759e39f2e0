"""The comparison of one task: rows of the snapshot against the applied state, numbered into chunks.

The connection holds `state` (id, entry, mark, born). Afterwards it holds `staged` (one row of the snapshot each),
`expired` (rows of the snapshot that are too old), `gone` (rows of the state that are in neither, or too old) and
`delta` (what is to be done, chunk and place of each row).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import CorruptSnapshotError
from shared.tables import sql
from shared.tables.rows import Rows

if TYPE_CHECKING:
    import duckdb

LEAST_CHUNK_ROWS = 1_000
_MOST_CHUNKS = 2_000
_NO_KEY = "key: an id that the row is named by is empty, or not valid UTF-8"
BRAKE_ROWS = 100
"""Fewer removals than this are never held: a small table would hold them at every change."""


@dataclass(frozen=True)
class Policy:
    """What this run does with rows that are unchanged, and with rows that are gone."""

    full: bool = False
    remove: bool = True
    brake_percent: float = 10
    hold: str = ""  # why nothing may be removed this time, whatever the number


@dataclass(frozen=True)
class Delta:
    """How much of what. `held` removals are not part of the chunks; `expired` rows of the snapshot are not hydrated."""

    created: int
    changed: int
    unchanged: int
    rejected: int
    gone: int
    held: int
    kept: int
    removed: int
    expired: int
    duplicates: int
    chunk_rows: int
    write_chunks: int
    remove_chunks: int


def stage(connection: duckdb.DuckDBPyConnection, rows: Rows, policy: Policy, *, birth: str) -> int:
    """Fill `staged`: each row of the snapshot once, with its JSON only where it must be written.

    `birth` names this plan: it is when rows that the state does not know are born.
    Returns how many rows were left out because they repeat another one's key. Raises CorruptSnapshotError for a profile
    without a key: it could be anybody's, so nothing may be concluded from its table.
    """
    # Columns of Dataverse have an underscore in their names: those of the plan have none here.
    again = "true" if policy.full else "s.id IS NULL OR s.mark = 'uncertain' OR s.entry IS DISTINCT FROM d.entry"
    connection.execute(f"""
        CREATE TABLE staged AS
        WITH drafted AS (
            SELECT *, CASE WHEN id IS NULL THEN '{_NO_KEY}' ELSE {rows.fault} END AS rowfault FROM ({rows.select})
        ), written AS (
            SELECT *, CASE WHEN rowfault IS NULL THEN {rows.record} END AS record FROM drafted
        ), entered AS (
            SELECT id, sourcekey, rowfault, record, CASE WHEN rowfault IS NULL THEN {rows.entry} END AS entry,
                   id IS NOT NULL AND ({rows.expired}) AS expired
            FROM written
        )
        SELECT d.id, d.entry, d.rowfault AS fault, d.expired, s.id IS NOT NULL AS known,
               coalesce(s.born, CASE WHEN d.rowfault IS NULL THEN {sql.text(birth)} END) AS born,
               CASE WHEN d.rowfault IS NOT NULL OR d.id IS NULL THEN d.sourcekey END AS source_key,
               CASE WHEN d.rowfault IS NULL AND ({again}) THEN d.record END AS record
        FROM entered AS d LEFT JOIN state AS s USING (id)""")
    if rows.needs_keys and (nameless := keyless(connection)):
        raise CorruptSnapshotError(f"{nameless:,} rows have no key: they cannot be told apart, so nothing was written.")
    dropped = _drop_duplicates(connection)
    connection.execute("CREATE TABLE expired AS SELECT id FROM staged WHERE expired")
    connection.execute("DELETE FROM staged WHERE expired")
    return dropped


def keyless(connection: duckdb.DuckDBPyConnection) -> int:
    """How many rows of the snapshot have no key: each may be any of those that look as if they were gone."""
    return _one(connection, "SELECT count(*) FROM staged WHERE id IS NULL")[0]


def _drop_duplicates(connection: duckdb.DuckDBPyConnection) -> int:
    """Keep one row a key: valid before faulty, young before old, then the one with the smallest content."""
    connection.execute("""
        DELETE FROM staged WHERE rowid IN (
            SELECT place FROM (
                SELECT rowid AS place,
                       row_number() OVER (
                           PARTITION BY id
                           ORDER BY fault NULLS FIRST, expired, entry, source_key, rowid) AS rank
                FROM staged WHERE id IN (SELECT id FROM staged GROUP BY id HAVING count(*) > 1))
            WHERE rank > 1)""")
    (dropped,) = connection.fetchone() or (0,)
    return int(dropped)


def number(connection: duckdb.DuckDBPyConnection, policy: Policy, *, write_stage: int, remove_stage: int) -> Delta:
    """Fill `gone` and `delta`. Numbers are given in the order of the GUIDs: the same plan has the same chunks.

    Rows that are too old did not leave the snapshot: they are removed whatever the policy and the brake.
    """
    connection.execute("""
        CREATE TABLE gone AS
        SELECT id, entry, born, id IN (SELECT id FROM expired) AS expired FROM state ANTI JOIN staged USING (id)""")
    (known,) = _one(connection, "SELECT count(*) FROM state")
    gone, old = _one(connection, "SELECT count(*) FILTER (NOT expired), count(*) FILTER (expired) FROM gone")
    (writes,) = _one(connection, "SELECT count(*) FROM staged WHERE record IS NOT NULL")
    (expired,) = _one(connection, "SELECT count(*) FROM expired")
    braked = gone > BRAKE_ROWS and gone * 100 > policy.brake_percent * known
    held = gone if policy.remove and (policy.hold or braked) else 0
    removes = old + (gone if policy.remove and not held else 0)
    size = max(LEAST_CHUNK_ROWS, -(-writes // _MOST_CHUNKS), -(-removes // _MOST_CHUNKS))
    write_chunks, remove_chunks = -(-writes // size), -(-removes // size)
    going = "true" if policy.remove and not held else "expired"
    _fill_delta(connection, size, write_chunks, write_stage, remove_stage, going=going)
    if not policy.remove:
        connection.execute("INSERT INTO delta SELECT id, 'keep', 0, 0, 0, entry, NULL FROM gone WHERE NOT expired")
    created, changed, unchanged, rejected = _one(
        connection,
        """
        SELECT count(*) FILTER (record IS NOT NULL AND NOT known), count(*) FILTER (record IS NOT NULL AND known),
               count(*) FILTER (record IS NULL AND fault IS NULL), count(*) FILTER (fault IS NOT NULL) FROM staged""",
    )
    return Delta(
        created=created, changed=changed, unchanged=unchanged, rejected=rejected, gone=gone, held=held,
        kept=0 if policy.remove else gone, removed=removes, expired=expired, duplicates=0, chunk_rows=size,
        write_chunks=write_chunks, remove_chunks=remove_chunks,
    )  # fmt: skip


def _fill_delta(
    connection: duckdb.DuckDBPyConnection,
    size: int,
    write_chunks: int,
    write_stage: int,
    remove_stage: int,
    *,
    going: str,
) -> None:
    connection.execute(f"""
        CREATE TABLE delta AS
        WITH written AS (
            SELECT id, entry, born, CASE WHEN known THEN 'change' ELSE 'create' END AS op,
                   row_number() OVER (ORDER BY id) - 1 AS n
            FROM staged WHERE record IS NOT NULL
        ), removed AS (
            SELECT id, entry, row_number() OVER (ORDER BY id) - 1 AS n FROM gone WHERE {going}
        )
        SELECT id, op, (n // {size} + 1)::INTEGER AS chunk, (n % {size})::INTEGER AS place,
               {write_stage}::TINYINT AS stage, entry, born
        FROM written
        UNION ALL
        SELECT id, 'remove', (n // {size} + 1 + {write_chunks})::INTEGER, (n % {size})::INTEGER,
               {remove_stage}::TINYINT, entry, NULL
        FROM removed""")


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    row = connection.execute(query).fetchone()
    return row if row is not None else (0,)
