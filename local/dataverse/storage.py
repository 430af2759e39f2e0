"""One organization's SQLite file: row tables, the catalog, the rowversion counter, transactions.

Write-ahead log with synchronous=NORMAL: a commit survives the end of this process in any form (kill -9 included),
though not a power failure. Identifiers are quoted here; names were checked when their table or column was made.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.dataverse import metadata, values
from local.dataverse.metadata import Catalog, Column, Key, Table

FIRST_VERSION = 1_000_000
RESERVED_VERSIONS = 10_000
"""Rowversions that are set aside at a time, so that not every commit has to note the last one. After a start some are
left out: a rowversion only has to be higher than all before it."""
OWNER = '"_owner"'
"""The SQL column that holds the user who created a row. No column of a table can have this name."""
SYSTEM_COLUMNS = ("createdon", "modifiedon", "versionnumber")


def quoted(name: str) -> str:
    """Return an identifier for SQL."""
    return '"' + name.replace('"', '""') + '"'


def type_column(lookup: str) -> str:
    """Return the SQL column that holds the target table of a lookup with several targets."""
    return f"{lookup}__type"


def among(name: str, texts: Collection[str]) -> tuple[str, str]:
    """Return the condition that a column is one of some texts, and its one argument."""
    if len(texts) == 1:
        return f"{quoted(name)} = ?", next(iter(texts))
    return f"{quoted(name)} IN (SELECT value FROM json_each(?))", json.dumps(list(texts))


class Store:
    """The SQLite file of one organization. Not shared between threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = self._open()
        self.connection.execute("CREATE TABLE IF NOT EXISTS _counter (version INTEGER NOT NULL)")
        self.connection.execute("CREATE TABLE IF NOT EXISTS _catalog (kind, name, body, PRIMARY KEY (kind, name))")
        found = self.connection.execute("SELECT version FROM _counter").fetchone()
        if found is None:
            self.connection.execute("INSERT INTO _counter VALUES (?)", (FIRST_VERSION,))
        self.version: int = found[0] if found else FIRST_VERSION
        self._reserved = self.version

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, cached_statements=512)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint = 8192")
        connection.execute("PRAGMA cache_size = -65536")
        connection.execute("PRAGMA temp_store = MEMORY")
        return connection

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Open a second connection that sees one moment of the file, for long reads beside writes."""
        connection = self._open()
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done inside, or nothing of it. Not to be nested."""
        before = self.version, self._reserved
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            if self.version > self._reserved:
                self._reserved = self.version + RESERVED_VERSIONS
                self.connection.execute("UPDATE _counter SET version = ?", (self._reserved,))
            self.connection.execute("COMMIT")
        except BaseException:
            self.version, self._reserved = before
            self.connection.execute("ROLLBACK")
            raise

    def next_version(self) -> int:
        """Return the next rowversion: every write has a higher one than every write before it."""
        self.version += 1
        return self.version

    def next_versions(self, count: int) -> range:
        """Return so many rowversions, as `next_version` returns one."""
        first, self.version = self.version + 1, self.version + count
        return range(first, self.version + 1)

    def load_catalog(self) -> Catalog:
        """Return the catalog as last saved."""
        return metadata.from_rows(self.connection.execute("SELECT kind, name, body FROM _catalog ORDER BY rowid"))

    def save_catalog(self, catalog: Catalog) -> None:
        """Save the whole catalog: it is small and changes seldom."""
        self.connection.execute("DELETE FROM _catalog")
        self.connection.executemany("INSERT INTO _catalog VALUES (?, ?, ?)", metadata.to_rows(catalog))

    def create_table(self, table: Table) -> None:
        """Make the SQL table with all columns of `table`."""
        columns = [_declaration(column) for column in table.columns.values() if column.logical_name != table.primary_id]
        first = f"{quoted(table.primary_id)} TEXT NOT NULL PRIMARY KEY"
        self.connection.execute(
            f"CREATE TABLE {quoted(table.logical_name)} ({', '.join([first, *columns, f'{OWNER} TEXT'])})"
        )

    def add_owners(self, catalog: Catalog) -> None:
        """Add the column of creators to tables of a file that was made without it."""
        for table in catalog.tables.values():
            name = quoted(table.logical_name)
            columns = {row[1] for row in self.connection.execute(f"PRAGMA table_info({name})")}
            if OWNER.strip('"') not in columns:
                self.connection.execute(f"ALTER TABLE {name} ADD COLUMN {OWNER} TEXT")

    def drop_table(self, table: Table) -> None:
        """Take the SQL table away with its rows."""
        self.connection.execute(f"DROP TABLE {quoted(table.logical_name)}")

    def add_column(self, table: Table, column: Column) -> None:
        """Add a column to the SQL table; a lookup also gets the index that deletes of its target need."""
        name = quoted(table.logical_name)
        self.connection.execute(f"ALTER TABLE {name} ADD COLUMN {_declaration(column)}")
        if column.kind in metadata.LOOKUPS:
            self.index_lookup(table, column)
        if column.kind == metadata.MANY_TARGETS:
            self.connection.execute(f"ALTER TABLE {name} ADD COLUMN {quoted(type_column(column.logical_name))} TEXT")

    def index_lookup(self, table: Table, column: Column) -> None:
        """Index a lookup: a delete asks for the rows that name the deleted one."""
        name, field = quoted(table.logical_name), quoted(column.logical_name)
        index = quoted(f"lookup {table.logical_name} {column.logical_name}")
        self.connection.execute(f"CREATE INDEX {index} ON {name} ({field}) WHERE {field} IS NOT NULL")

    def drop_column(self, table: Table, column: Column) -> None:
        """Take a column away."""
        name = quoted(table.logical_name)
        if column.kind in metadata.LOOKUPS:
            index = quoted(f"lookup {table.logical_name} {column.logical_name}")
            self.connection.execute(f"DROP INDEX {index}")
        if column.kind == metadata.MANY_TARGETS:
            self.connection.execute(f"ALTER TABLE {name} DROP COLUMN {quoted(type_column(column.logical_name))}")
        self.connection.execute(f"ALTER TABLE {name} DROP COLUMN {quoted(column.logical_name)}")

    def add_key(self, table: Table, key: Key) -> bool:
        """Make the unique index of an alternate key. Return False when existing rows contradict it."""
        columns = ", ".join(quoted(name) for name in key.columns)
        index = quoted(f"key {table.logical_name} {key.logical_name}")
        try:
            self.connection.execute(f"CREATE UNIQUE INDEX {index} ON {quoted(table.logical_name)} ({columns})")
        except sqlite3.IntegrityError:
            return False
        return True

    def drop_key(self, table: Table, key: Key) -> None:
        """Take an alternate key's index away."""
        index = quoted(f"key {table.logical_name} {key.logical_name}")
        self.connection.execute(f"DROP INDEX IF EXISTS {index}")

    def existing(self, table: Table, row_ids: Collection[str]) -> set[str]:
        """Return those of the given primary keys that the table has."""
        condition, argument = among(table.primary_id, row_ids)
        sql = f"SELECT {quoted(table.primary_id)} FROM {quoted(table.logical_name)} WHERE {condition}"
        return {row[0] for row in self.connection.execute(sql, (argument,))}

    def missing(self, table: Table, row_ids: Collection[str]) -> set[str]:
        """Return those of the given primary keys that the table does not have: seldom many, unlike those it has."""
        if len(row_ids) == 1:
            return set(row_ids) - self.existing(table, row_ids)
        row = f"SELECT 1 FROM {quoted(table.logical_name)} WHERE {quoted(table.primary_id)} = value"
        sql = f"SELECT value FROM json_each(?) WHERE NOT EXISTS ({row})"
        return {row_id for (row_id,) in self.connection.execute(sql, (json.dumps(list(row_ids)),))}

    def write(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement for every row."""
        self.connection.executemany(sql, rows)

    def close(self) -> None:
        """Close the file; the write-ahead log is folded into it."""
        self.connection.close()


def _declaration(column: Column) -> str:
    default = {"State": " DEFAULT 0", "Status": " DEFAULT 1"}.get(column.kind, "")
    if column.default is not None:
        default = f" DEFAULT {column.default}"
    # A filter on text ignores case in Dataverse (SQL Server's collation); SQLite does so for ASCII letters.
    collation = " COLLATE NOCASE" if column.kind in ("String", "Memo") else ""
    return f"{quoted(column.logical_name)} {values.sql_type(column)}{collation}{default}"
