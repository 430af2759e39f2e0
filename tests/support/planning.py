"""A DuckDB connection as a plan has it, without a lake: for tests of the SQL that plans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb

from shared.tables import members as json_members
from shared.tables import sql, values
from shared.tables.macros import MACROS
from shared.tables.values import Column, Kind

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


def members(
    opened: duckdb.DuckDBPyConnection, attribute: str, kind: Kind, texts: Sequence[str | None]
) -> list[tuple[str | None, str | None]]:
    """For each text its fault as a member, and its JSON."""
    query = f"""
        SELECT {json_members.fault(attribute, kind)}, {json_members.value(attribute, kind)}
        FROM (SELECT unnest(?::VARCHAR[]) AS {sql.name(attribute)}, generate_subscripts(?::VARCHAR[], 1) AS place)
        ORDER BY place"""
    return opened.execute(query, [texts, texts]).fetchall()
