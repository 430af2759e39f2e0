"""A DuckDB connection as a plan has it, without a lake: for tests of the SQL that plans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import count

import duckdb

from shared.tables import members as json_members
from shared.tables import sql, values
from shared.tables.macros import MACROS
from shared.tables.values import Column, Kind

COLUMN = "x_column"


_NAMES = (f"use{number}" for number in count(1))


@cache
def _duckdb() -> duckdb.DuckDBPyConnection:
    """One for all tests of a process: to make one takes longer than most of what they do with it."""
    made = duckdb.connect()
    for setting in ("threads = 2", "preserve_insertion_order = false"):
        made.execute(f"SET {setting}")
    made.execute(MACROS)
    return made


@contextmanager
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with a database of its own, empty but for the macros."""
    name = next(_NAMES)
    _duckdb().execute(f"ATTACH ':memory:' AS {name}")
    try:
        with _duckdb().cursor() as opened:
            opened.execute(f"SET search_path = '{name}.main,memory.main'")
            opened.execute("SET TimeZone = 'UTC'")
            yield opened
    finally:
        try:
            _duckdb().execute(f"DETACH {name}")
        except duckdb.FatalException:  # a test has broken it for good: the next one has another
            _duckdb.cache_clear()


def cells(
    opened: duckdb.DuckDBPyConnection, column: Column, texts: Sequence[str | None]
) -> list[tuple[str | None, str]]:
    """For each text its fault, and its JSON."""
    query = f"""
        SELECT {values.fault(column)}, {values.json_value(column)}
        FROM (SELECT unnest(?::VARCHAR[]) AS "{column.logical_name}", generate_subscripts(?::VARCHAR[], 1) AS place)
        ORDER BY place"""
    return opened.execute(query, [texts, texts]).fetchall()


def members(
    opened: duckdb.DuckDBPyConnection, attribute: str, kind: Kind, texts: Sequence[str | None]
) -> list[tuple[str | None, str | None]]:
    """For each text its fault as a member, and its JSON."""
    query = f"""
        SELECT {json_members.fault(attribute, kind)}, {json_members.value(attribute, kind)}
        FROM (SELECT unnest(?::VARCHAR[]) AS {sql.name(attribute)}, generate_subscripts(?::VARCHAR[], 1) AS place)
        ORDER BY place"""
    return opened.execute(query, [texts, texts]).fetchall()
