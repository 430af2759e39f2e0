"""A DuckDB connection as a plan has it, without a lake: for tests of the SQL that plans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb

from shared.tables import values
from shared.tables.guids import MACROS
from shared.tables.values import Column

COLUMN = "x_column"


@contextmanager
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET threads = 2")
        opened.execute("SET preserve_insertion_order = false")
        opened.execute("SET TimeZone = 'UTC'")
        opened.execute(MACROS)
        yield opened


def cells(
    opened: duckdb.DuckDBPyConnection, column: Column, texts: Sequence[str | None]
) -> list[tuple[str | None, str]]:
    """For each text its fault, and its JSON."""
    query = f"""
        SELECT {values.fault(column)}, {values.json_value(column)}
        FROM (SELECT unnest(?::VARCHAR[]) AS "{column.logical_name}", generate_subscripts(?::VARCHAR[], 1) AS place)
        ORDER BY place"""
    return opened.execute(query, [texts, texts]).fetchall()
