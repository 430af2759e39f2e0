"""Rows made by hand, and what a comparison makes of them where nothing was applied before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa

from shared.delta import compare
from shared.delta.compare import Policy
from shared.tables.rows import Rows


def table(opened: duckdb.DuckDBPyConnection, name: str, columns: Sequence[str], *rows: Sequence[str | None]) -> None:
    """Create a table of texts."""
    typed = [pa.array([row[place] for row in rows], pa.string()) for place in range(len(columns))]
    opened.register("listed", pa.table(typed, names=list(columns)))
    opened.execute(f"CREATE TABLE {name} AS SELECT * FROM listed")


def staged(opened: duckdb.DuckDBPyConnection, drafted: Rows) -> dict[str, dict[str, Any]]:
    """By GUID: the record, or the fault."""
    compare.stage(opened, drafted, Policy(), birth="now")
    found = opened.execute("SELECT id::VARCHAR, record, fault FROM staged").fetchall()
    return {key: json.loads(record) if record else {"fault": fault} for key, record, fault in found}
