"""Rows of chunks that came to something else than written, as the workers noted them: one JSON file a chunk.

`{"<place>": [GUID, kind, uncertain, code, message], ...}`. The messages are the service's own: nothing about them is
taken for granted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from shared.tables import sql

if TYPE_CHECKING:
    import duckdb

_COLUMNS = ("id UUID", "kind VARCHAR", "uncertain BOOLEAN", "code VARCHAR", "message VARCHAR")


def put(folder: Path, number: int, sent: int, content: bytes) -> Path:
    """Write what was noted of a chunk to a file that `define` reads; rows from `sent` on have no outcome yet."""
    if rb"\ud" in content.lower():  # half a surrogate pair, of a text that was cut: others than Python refuse it
        content = json.dumps(json.loads(content), ensure_ascii=False).encode("utf-8", "replace")
    file = folder / f"exceptions-{number}-{sent}.json"
    file.write_bytes(content)
    return file


def define(connection: duckdb.DuckDBPyConnection, files: Iterable[Path]) -> None:
    """Fill `exception` (id, kind, uncertain, code, message) with the rows of these files that have an outcome."""
    connection.execute(f"CREATE TABLE exception ({', '.join(_COLUMNS)})")
    if not (listed := list(files)):
        return
    names = ", ".join(sql.text(str(file)) for file in listed)
    largest = max(file.stat().st_size for file in listed) + 1
    connection.execute(rf"""
        INSERT INTO exception
        SELECT (row.value->>0)::UUID, row.value->>1, (row.value->>2)::BOOLEAN, row.value->>3, row.value->>4
        FROM read_json_objects([{names}], format = 'unstructured', filename = true, maximum_object_size = {largest})
             AS noted, json_each(noted.json) AS row
        WHERE row.key::INTEGER < regexp_extract(noted.filename, '-(\d+)\.json$', 1)::INTEGER""")
