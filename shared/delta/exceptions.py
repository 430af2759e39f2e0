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

_COLUMNS = {"id": "UUID", "kind": "VARCHAR", "uncertain": "BOOLEAN", "code": "VARCHAR", "message": "VARCHAR"}


def put(folder: Path, number: int, sent: int, content: bytes) -> Path:
    """Write what was noted of a chunk to a file that `define` reads; rows from `sent` on have no outcome yet.

    One object a line: DuckDB unfolds a single large one in memory only. Half a surrogate pair, of a text that was cut,
    becomes a question mark: others than Python refuse it.
    """
    noted = (row for place, row in json.loads(content).items() if int(place) < sent)
    lines = (json.dumps(dict(zip(_COLUMNS, row, strict=True)), ensure_ascii=False) for row in noted)
    file = folder / f"exceptions-{number}.ndjson"
    file.write_bytes("\n".join(lines).encode("utf-8", "replace"))
    return file


def define(connection: duckdb.DuckDBPyConnection, files: Iterable[Path]) -> None:
    """Fill `exception` (id, kind, uncertain, code, message) with the rows of these files."""
    connection.execute(f"CREATE TABLE exception ({', '.join(map(' '.join, _COLUMNS.items()))})")
    if not (listed := [file for file in files if file.stat().st_size]):
        return
    names = ", ".join(sql.text(str(file)) for file in listed)
    kinds = ", ".join(f"{name}: '{kind}'" for name, kind in _COLUMNS.items())
    connection.execute(
        f"INSERT INTO exception FROM read_json([{names}], format = 'newline_delimited', columns = {{{kinds}}})"
    )
