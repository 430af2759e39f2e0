"""The comparison of one task: rows of the snapshot against the applied state, numbered into chunks.

The connection holds `state` (id, entry, mark, born) and `refused` (id: rows that Dataverse refused last). Afterwards it
holds `staged` (one row of the snapshot each), `expired` (rows of the snapshot that are too old), `gone` (rows of the
state that are in neither, or too old, or that cannot be right any more) and `delta` (what is to be done, chunk and
place of each row; chunk 0: nothing is sent). Source keys are those of the lake, null where they are the GUID itself.

The operations of `delta`: create, change, remove; keep (gone, the policy keeps it); hold_remove and hold_change (what
the brake holds, and a person may confirm); missing (the source row does not exist in Dataverse); drop (a missing row
that left unification).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.delta import state
from shared.errors import CorruptSnapshotError
from shared.tables import sql
from shared.tables.rows import Rows

if TYPE_CHECKING:
    from pathlib import Path

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
    """How much of what. `held` and `held_writes` are not part of the chunks; `expired` rows are not hydrated."""

    created: int
    changed: int
    unchanged: int
    rejected: int
    missing: int
    gone: int
    held: int  # removals
    held_writes: int  # overwrites of what others wrote
    kept: int
    removed: int
    expired: int
    duplicates: int
    known: int
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
    known = "(s.id IS NOT NULL AND s.mark <> 'missing')"
    reborn = "" if rows.read else " OR s.born <> d.target"  # what was read is there, whatever became of its profile
    changed = f"NOT {known} OR s.mark = 'uncertain' OR s.entry IS DISTINCT FROM d.entry{reborn}"
    again = "true" if policy.full else changed
    sent = f"d.rowfault IS NULL AND NOT d.absent AND ({again})"
    doubtful = "s.mark = 'uncertain' OR NOT list_contains(d.candidates, s.entry)"
    connection.execute(f"""
        CREATE TABLE staged AS
        WITH drafted AS (
            SELECT *, CASE WHEN id IS NULL THEN '{_NO_KEY}' ELSE {rows.fault} END AS rowfault FROM ({rows.select})
        ), written AS (
            SELECT *, CASE WHEN rowfault IS NULL THEN {rows.record} END AS record FROM drafted
        ), entered AS (
            SELECT id, sourcekey, rowfault, record, CASE WHEN rowfault IS NULL THEN {rows.entry} END AS entry,
                   id IS NOT NULL AND ({rows.expired}) AS expired, rowfault IS NULL AND ({rows.absent}) AS absent,
                   {rows.candidates} AS candidates, {rows.born} AS target
            FROM written
        )
        SELECT d.id, d.entry, d.rowfault AS fault, d.expired, d.absent, {known} AS known,
               {_APART.format(id="d.id", mark="s.mark")} AS apart, coalesce(s.mark = 'foreign', false) AS isforeign,
               d.rowfault IS NOT NULL AND {known} AND d.candidates IS NOT NULL AND ({doubtful}) AS wrong,
               coalesce(d.target, s.born, CASE WHEN d.rowfault IS NULL THEN {sql.text(birth)} END) AS born,
               CASE WHEN d.rowfault IS NOT NULL OR d.id IS NULL OR ({sent})
                    THEN nullif(d.sourcekey, d.id::VARCHAR) END AS source_key,
               CASE WHEN {sent} THEN d.record END AS record
        FROM entered AS d LEFT JOIN state AS s USING (id)""")
    if rows.needs_keys and (nameless := unnamed(connection, rows)):
        raise CorruptSnapshotError(f"{nameless:,} rows have no key: they cannot be told apart, so nothing was written.")
    dropped = _drop_duplicates(connection)
    connection.execute("CREATE TABLE expired AS SELECT id FROM staged WHERE expired")
    connection.execute("DELETE FROM staged WHERE expired")
    return dropped


def unnamed(connection: duckdb.DuckDBPyConnection, rows: Rows) -> int:
    """How many rows of the snapshot have no key that can be read: each may be any of those that look gone."""
    return _one(connection, f"SELECT count(*) FROM staged WHERE {rows.unnamed}")[0]


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
    connection.execute(f"""
        CREATE TABLE gone AS
        SELECT s.id, s.entry, s.born, s.id IN (SELECT id FROM expired) AS expired,
               {_APART.format(id="s.id", mark="s.mark")} AS apart
        FROM state AS s LEFT JOIN staged AS d USING (id) WHERE s.mark <> 'missing' AND (d.id IS NULL OR d.wrong)""")
    (known,) = _one(connection, "SELECT count(*) FROM state WHERE mark <> 'missing'")
    gone, old = _one(connection, "SELECT count(*) FILTER (NOT expired), count(*) FILTER (expired) FROM gone")
    (over,) = _one(connection, f"SELECT count(*) FROM staged WHERE {_OVERWRITES}")
    removable = gone if policy.remove else 0
    held_writes = over if _brakes(over + (0 if policy.hold else removable), known, policy) else 0
    held = removable if policy.hold or _brakes(over + removable, known, policy) else 0
    going = "true" if policy.remove and not held else "expired"
    writing = f"record IS NOT NULL{f' AND NOT ({_OVERWRITES})' if held_writes else ''}"
    size, write_chunks, remove_chunks = fill(
        connection, write_stage=write_stage, remove_stage=remove_stage, writing=writing, going=going
    )
    _add_what_is_not_sent(connection, policy, held=bool(held), held_writes=bool(held_writes))
    (expired,) = _one(connection, "SELECT count(*) FROM expired")
    created, changed, unchanged, rejected, missing = _one(
        connection,
        f"""
        SELECT count(*) FILTER ({writing} AND NOT known), count(*) FILTER ({writing} AND known),
               count(*) FILTER (record IS NULL AND fault IS NULL AND NOT absent), count(*) FILTER (fault IS NOT NULL),
               count(*) FILTER (absent) FROM staged""",
    )
    return Delta(
        created=created, changed=changed, unchanged=unchanged, rejected=rejected, missing=missing, gone=gone,
        held=held, held_writes=held_writes, kept=0 if policy.remove else gone,
        removed=old + (removable if not held else 0), expired=expired, duplicates=0, known=known, chunk_rows=size,
        write_chunks=write_chunks, remove_chunks=remove_chunks,
    )  # fmt: skip


_OVERWRITES = "record IS NOT NULL AND isforeign"

# Rows that travel in chunks of their own, because they may spoil the calls of others: 1 was missing so far, 2 refused.
_APART = "CASE WHEN {id} IN (SELECT id FROM refused) THEN 2 WHEN {mark} = 'missing' THEN 1 ELSE 0 END"


def _brakes(affected: int, known: int, policy: Policy) -> bool:
    return affected > BRAKE_ROWS and affected * 100 > policy.brake_percent * known


def fill(
    connection: duckdb.DuckDBPyConnection,
    *,
    write_stage: int,
    remove_stage: int,
    writing: str = "true",
    going: str = "true",
) -> tuple[int, int, int]:
    """Fill `delta` with the rows of `staged` to write and those of `gone` to remove (SQL conditions), in chunks.

    Rows that were missing so far travel in chunks of their own, and so do those that Dataverse refused last: those that
    still are would spoil the calls of others. Returns the most rows of a chunk, and how many chunks write and remove.
    """
    writes, removes = _apart(connection, f"staged WHERE {writing}"), _apart(connection, f"gone WHERE {going}")
    size = max(LEAST_CHUNK_ROWS, *(-(-rows // _MOST_CHUNKS) for rows in (*writes, *removes)))
    write_chunks, remove_chunks = (sum(-(-rows // size) for rows in parts) for parts in (writes, removes))
    connection.execute(f"""
        CREATE TABLE delta AS
        WITH written AS (
            SELECT id, entry, born, source_key, CASE WHEN known THEN 'change' ELSE 'create' END AS op, apart,
                   row_number() OVER (PARTITION BY apart ORDER BY id) - 1 AS n
            FROM staged WHERE {writing}
        ), removed AS (
            SELECT id, entry, apart, row_number() OVER (PARTITION BY apart ORDER BY id) - 1 AS n
            FROM gone WHERE {going}
        )
        SELECT id, op, (n // {size} + {_first(writes, size)})::INTEGER AS chunk, (n % {size})::INTEGER AS place,
               {write_stage}::TINYINT AS stage, entry, born, source_key
        FROM written
        UNION ALL
        SELECT id, 'remove', (n // {size} + {write_chunks} + {_first(removes, size)})::INTEGER, (n % {size})::INTEGER,
               {remove_stage}::TINYINT, entry, NULL, NULL
        FROM removed""")
    return size, write_chunks, remove_chunks


def _apart(connection: duckdb.DuckDBPyConnection, rows: str) -> tuple[int, ...]:
    """How many rows (SQL) travel with the others, and how many in chunks of their own, by the reason."""
    return _one(connection, f"SELECT {', '.join(f'count(*) FILTER (apart = {one})' for one in range(3))} FROM {rows}")


def _first(parts: tuple[int, ...], size: int) -> str:
    """SQL over `apart`: the number of the first chunk of such rows."""
    firsts = [1 + sum(-(-rows // size) for rows in parts[:one]) for one in range(len(parts))]
    return f"CASE apart {' '.join(f'WHEN {one} THEN {first}' for one, first in enumerate(firsts))} END"


def stage_held(connection: duckdb.DuckDBPyConnection, delta: Path, rows: Rows) -> None:
    """Fill `staged` and `gone` with what another plan held, or could not remove, and the state still holds."""
    connection.execute(f"""
        CREATE TABLE held AS
        SELECT h.id, h.op, h.entry, s.entry AS there, coalesce(h.born, s.born) AS born, h.source_key,
               {_APART.format(id="h.id", mark="s.mark")} AS apart
        FROM {state.planned(delta)} AS h JOIN state AS s USING (id)
        WHERE h.op IN ('hold_remove', 'remove', 'hold_change')""")
    connection.execute(f"""
        CREATE TABLE staged AS
        SELECT id, entry, born, true AS known, apart, NULL::VARCHAR AS fault, source_key,
               ({rows.record})::VARCHAR AS record
        FROM held WHERE op = 'hold_change'""")
    connection.execute("""
        CREATE TABLE gone AS SELECT id, there AS entry, born, apart FROM held WHERE op <> 'hold_change'""")


def number_held(connection: duckdb.DuckDBPyConnection, *, write_stage: int, remove_stage: int) -> Delta:
    """Fill `delta` with all that `stage_held` found: a person has confirmed it, so no brake holds it again."""
    size, write_chunks, remove_chunks = fill(connection, write_stage=write_stage, remove_stage=remove_stage)
    (changed,) = _one(connection, "SELECT count(*) FROM staged")
    (removed,) = _one(connection, "SELECT count(*) FROM gone")
    (known,) = _one(connection, "SELECT count(*) FROM state WHERE mark <> 'missing'")
    return Delta(
        created=0, changed=changed, unchanged=0, rejected=0, missing=0, gone=removed, held=0, held_writes=0, kept=0,
        removed=removed, expired=0, duplicates=0, known=known, chunk_rows=size, write_chunks=write_chunks,
        remove_chunks=remove_chunks,
    )  # fmt: skip


def _add_what_is_not_sent(
    connection: duckdb.DuckDBPyConnection, policy: Policy, *, held: bool, held_writes: bool
) -> None:
    unsent = {
        "missing": "SELECT id, entry, born, NULL FROM staged WHERE absent",
        "drop": "SELECT id, entry, NULL, NULL FROM state ANTI JOIN staged USING (id) WHERE mark = 'missing'",
    }
    if not policy.remove:
        unsent["keep"] = "SELECT id, entry, NULL, NULL FROM gone WHERE NOT expired"
    if held:
        unsent["hold_remove"] = "SELECT id, entry, NULL, NULL FROM gone WHERE NOT expired"
    if held_writes:
        unsent["hold_change"] = f"SELECT id, entry, born, source_key FROM staged WHERE {_OVERWRITES}"
    for op, select in unsent.items():
        connection.execute(f"""
            INSERT INTO delta SELECT id, '{op}', 0, 0, 0, entry, born, source_key
            FROM ({select}) AS one(id, entry, born, source_key)""")


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    row = connection.execute(query).fetchone()
    return row if row is not None else (0,)
