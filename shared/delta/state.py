"""Applied state: everything that Dataverse may hold because of us, one Parquet file a table.

Columns: id (the row's GUID), entry (128 bits: a hash of what was written, or the profile that a link points to), mark,
born (the plan that created the row, of a link its profile's birth; null where it is not known). The marks:

- '': as written
- 'uncertain': sent without a definite answer
- 'kept': left unification, the policy keeps it
- 'foreign': a link that somebody else wrote, found by reading; overwriting it counts for the brake
- 'missing': the source row to link does not exist in Dataverse; the entry is what it would be linked to

Deleting a row empties the lookups of those that point to it, so these remember which birth of the row they point to:
where it was removed and came back, they are written again though nothing else changed.

Beside it stands, where there are any, which rows Dataverse refused when they were last written or removed (id): the
next plan puts them into chunks of their own. Many of them were never written, and have no place in the state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shared.delta.counts import Counts
from shared.tables import sql

if TYPE_CHECKING:
    import duckdb

_EMPTY = "SELECT NULL::UUID AS id, NULL::UUID AS entry, ''::VARCHAR AS mark, NULL::VARCHAR AS born WHERE false"


def open_state(
    connection: duckdb.DuckDBPyConnection, file: Path | None, pending: Sequence[Path] = (), refused: Path | None = None
) -> None:
    """Let `state` be what the file holds, and `refused` (id) what the file beside it does; nothing without a file.

    `pending` are deltas whose outcome was never committed: all their rows that may have been sent are uncertain.
    """
    beside = f"FROM read_parquet({sql.text(str(refused))})" if refused else "WHERE false"
    connection.execute(f"CREATE VIEW refused AS SELECT {'id' if refused else 'NULL::UUID AS id'} {beside}")
    source = f"SELECT id, entry, mark, born FROM read_parquet({sql.text(str(file))})" if file else _EMPTY
    if not pending:
        connection.execute(f"CREATE VIEW state AS {source}")
        return
    files = ", ".join(sql.text(str(one)) for one in pending)
    connection.execute(f"""
        CREATE TABLE state AS
        WITH sent AS (
            SELECT id, min(entry) AS entry, min(born) AS born, bool_or(op = 'remove') AS removed
            FROM read_parquet([{files}]) WHERE op IN ('create', 'change', 'remove') GROUP BY id)
        SELECT id, coalesce(b.entry, sent.entry) AS entry,
               CASE WHEN sent.id IS NULL THEN b.mark ELSE 'uncertain' END AS mark,
               CASE WHEN sent.removed THEN NULL ELSE coalesce(b.born, sent.born) END AS born
        FROM ({source}) AS b FULL JOIN sent USING (id)""")


def nothing(connection: duckdb.DuckDBPyConnection) -> None:
    """Let `state` be empty: nothing is there, whatever was written."""
    connection.execute(f"DROP {'VIEW' if _is_view(connection) else 'TABLE'} state")
    connection.execute(f"CREATE TABLE state AS {_EMPTY}")


def found(connection: duckdb.DuckDBPyConnection) -> None:
    """Let `state` be what `there` (id, profile: the links of a source table in Dataverse) says, whoever wrote it.

    A link that is another one than the app's last is foreign, of an uncertain row too: if it is what was sent, it most
    likely is what unification says, and adopted. Of a row that was read twice, because it moved from one page to the
    next, the last counts.
    """
    connection.execute("DELETE FROM there WHERE rowid NOT IN (SELECT max(rowid) FROM there GROUP BY id)")
    connection.execute(
        "ALTER VIEW state RENAME TO former" if _is_view(connection) else "ALTER TABLE state RENAME TO former"
    )
    connection.execute("""
        CREATE TABLE state AS
        SELECT t.id, t.profile AS entry, CASE WHEN f.entry = t.profile THEN f.born END AS born,
               CASE WHEN f.entry = t.profile AND f.mark IN ('', 'uncertain') THEN ''
                    WHEN f.entry = t.profile AND f.mark = 'kept' THEN 'kept'
                    ELSE 'foreign' END AS mark
        FROM there AS t LEFT JOIN former AS f ON f.id = t.id AND f.mark <> 'missing'
        WHERE t.profile IS NOT NULL
        UNION ALL BY NAME
        SELECT id, entry, born, mark FROM former WHERE mark = 'missing' AND id NOT IN (SELECT id FROM there)""")


def adopt(connection: duckdb.DuckDBPyConnection) -> None:
    """A link that was found and is what unification says is the app's own from now on. Reads `staged`."""
    connection.execute("""
        UPDATE state SET mark = CASE state.mark WHEN 'foreign' THEN '' ELSE state.mark END, born = staged.born
        FROM staged WHERE staged.id = state.id AND staged.entry = state.entry""")


def _is_view(connection: duckdb.DuckDBPyConnection) -> bool:
    return connection.execute("SELECT 1 FROM duckdb_views() WHERE view_name = 'state'").fetchone() is not None


def planned(delta: Path) -> str:
    """SQL: the rows of a delta. One that an earlier version of the app wrote has no source keys."""
    rows = f"FROM read_parquet({sql.text(str(delta))})"
    return f"(SELECT NULL::VARCHAR AS source_key WHERE false UNION ALL BY NAME {rows})"


def conclude(connection: duckdb.DuckDBPyConnection, delta: Path, progress: Iterable[tuple[int, int, int]]) -> Counts:
    """Fill `result` (each row of the delta and what became of it) and `next_state` from what the chunks report.

    `progress` is (chunk, sent, begun): rows before `sent` have an outcome, those before `begun` may have been sent.
    Rows with another outcome than their chunk stand in `exception` (id, kind: 'rejected' | 'missing' | 'referenced',
    uncertain: an earlier attempt may have written it all the same). Counts are those of the sent part.
    """
    create(connection, "progress", {"chunk": "INTEGER", "sent": "INTEGER", "begun": "INTEGER"}, progress)
    _say_what_became(connection, delta)
    _say_what_is_held(connection)
    return _counts(connection)


def save_refused(connection: duckdb.DuckDBPyConnection, file: Path, *, only_a_part: bool) -> bool:
    """Write which rows are refused from now on. Reads `result` and `refused`. False: none is, no file.

    A row that was refused before is so until it has another outcome, or nothing is to be done with it any more; of a
    plan of `only_a_part` of the rows that says nothing of the others.
    """
    others = " UNION ALL SELECT id FROM refused ANTI JOIN result USING (id)" if only_a_part else ""
    connection.execute(f"""
        CREATE TABLE next_refused AS
        SELECT id FROM result
        WHERE outcome IN ('rejected', 'referenced')
              OR (outcome NOT IN ('written', 'missing') AND id IN (SELECT id FROM refused)){others}""")
    if not connection.execute("SELECT 1 FROM next_refused LIMIT 1").fetchone():
        return False
    save(connection, "(FROM next_refused ORDER BY id)", file)
    return True


def _say_what_became(connection: duckdb.DuckDBPyConnection, delta: Path) -> None:
    connection.execute(f"""
        CREATE TABLE result AS
        SELECT d.id, d.op, d.entry, d.born,
               CASE WHEN d.op = 'keep' THEN 'kept'
                    WHEN d.op IN ('hold_remove', 'hold_change') THEN 'held'
                    WHEN d.op IN ('missing', 'drop') THEN 'missing'
                    WHEN d.place >= coalesce(p.begun, 0) THEN 'unsent'
                    WHEN d.place >= p.sent THEN 'uncertain'
                    ELSE coalesce(e.kind, 'written') END AS outcome,
               coalesce(e.uncertain, false) AS uncertain
        FROM read_parquet({sql.text(str(delta))}) AS d
        LEFT JOIN progress AS p USING (chunk)
        LEFT JOIN exception AS e USING (id)""")


def _say_what_is_held(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("""
        CREATE VIEW next_state AS
        SELECT s.id, s.entry,
               CASE WHEN s.mark = 'uncertain' OR r.outcome = 'uncertain' OR r.uncertain THEN 'uncertain'
                    WHEN r.outcome = 'kept' THEN 'kept'
                    ELSE s.mark END AS mark,
               CASE WHEN r.op = 'remove' AND (r.outcome = 'uncertain' OR r.uncertain) THEN NULL ELSE s.born END AS born
        FROM state AS s LEFT JOIN result AS r USING (id)
        WHERE r.id IS NULL OR r.outcome NOT IN ('missing', 'written')
        UNION ALL
        SELECT id, entry, '', born FROM result WHERE outcome = 'written' AND op IN ('create', 'change')
        UNION ALL
        SELECT id, entry, 'missing', NULL FROM result
        WHERE outcome = 'missing' AND op IN ('create', 'change', 'missing')
        UNION ALL
        SELECT id, entry, 'uncertain', born FROM result
        WHERE (outcome = 'uncertain' OR uncertain) AND op = 'create' AND outcome <> 'missing'
              AND id NOT IN (SELECT id FROM state)""")


def newly_missing(connection: duckdb.DuckDBPyConnection, most: int) -> tuple[int, list[str]]:
    """How many rows were found missing that were not before, and the first of them. Reads `result` and `state`."""
    row = connection.execute(f"""
        WITH fresh AS (
            SELECT r.id FROM result AS r LEFT JOIN state AS s USING (id)
            WHERE r.outcome = 'missing' AND r.op <> 'remove' AND r.op <> 'drop' AND s.mark IS DISTINCT FROM 'missing')
        SELECT count(*), list(id::VARCHAR ORDER BY id)[:{most}] FROM fresh""").fetchone()
    return (row[0], row[1] or []) if row else (0, [])


def save(connection: duckdb.DuckDBPyConnection, view: str, file: Path) -> None:
    """Write a table or view as Parquet."""
    connection.execute(f"COPY (FROM {view}) TO {sql.text(str(file))} (FORMAT parquet, COMPRESSION zstd)")


def create(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str], rows: Iterable[tuple[object, ...]]
) -> None:
    """Create a table of these columns (name -> type) and rows."""
    _take(connection, f"CREATE TABLE {table} AS", columns, rows)


def append(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str], rows: Iterable[tuple[object, ...]]
) -> None:
    """Add rows to a table of these columns."""
    _take(connection, f"INSERT INTO {table}", columns, rows)


def _take(
    connection: duckdb.DuckDBPyConnection, what: str, columns: Mapping[str, str], rows: Iterable[tuple[object, ...]]
) -> None:
    import pyarrow as pa  # noqa: PLC0415  a quarter second of cold start

    values = list(zip(*rows, strict=True)) or [()] * len(columns)
    connection.register("given", pa.table(dict(zip(columns, map(pa.array, map(list, values)), strict=True))))
    casts = ", ".join(f"{name}::{kind} AS {name}" for name, kind in columns.items())
    connection.execute(f"{what} SELECT {casts} FROM given")
    connection.unregister("given")


def _counts(connection: duckdb.DuckDBPyConnection) -> Counts:
    rows = connection.execute("SELECT op, outcome, count(*) FROM result GROUP BY ALL").fetchall()
    found = {(op, outcome): count for op, outcome, count in rows}
    written = {op: found.get((op, "written"), 0) for op in ("create", "change", "remove")}
    gone = found.get(("remove", "missing"), 0)  # a link to clear whose source row does not exist any more
    return Counts(
        created=written["create"],
        changed=written["change"],
        removed=written["remove"] + gone,
        rejected=sum(found.get((op, "rejected"), 0) for op in ("create", "change")),
        missing=sum(found.get((op, "missing"), 0) for op in ("create", "change", "missing")),
        held=sum(found.get(("remove", outcome), 0) for outcome in ("referenced", "rejected")),
        writes=sum(written.values()),
        unsent=sum(found.get((op, "unsent"), 0) for op in ("create", "change")),
        uncertain=sum(found.get((op, "uncertain"), 0) for op in ("create", "change")),
        unremoved=sum(found.get(("remove", outcome), 0) for outcome in ("unsent", "uncertain")),
    )
