"""The rows of a task that were refused, in one CSV for people and programs.

Columns: source_key, guid, column, code, message. UTF-8 with a byte order mark, so that spreadsheets read it; nothing
in it is taken for a formula by one.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from shared.delta.state import create
from shared.tables import sql

if TYPE_CHECKING:
    import duckdb

_MARK = b"\xef\xbb\xbf"
_HARMLESS = "CASE WHEN regexp_matches({c}, '^[=+\\-@\\t\\r]') THEN '''' || {c} ELSE {c} END AS {c}"


def write(
    connection: duckdb.DuckDBPyConnection, planned: Path, refused: Iterable[tuple[str, str, str]], file: Path
) -> bool:
    """Write the rejects of the plan and those of Dataverse (GUID, code, message). False: there are none, no file."""
    create(connection, "refused", {"guid": "VARCHAR", "code": "VARCHAR", "message": "VARCHAR"}, refused)
    connection.execute(f"""
        CREATE VIEW reject AS
        SELECT coalesce(source_key, '') AS source_key, id::VARCHAR AS guid, split_part(fault, ': ', 1) AS "column",
               'invalid' AS code, substr(fault, length(split_part(fault, ': ', 1)) + 3) AS message
        FROM read_parquet({sql.text(str(planned))})
        UNION ALL
        SELECT '', guid, '', code, message FROM refused""")
    if not connection.execute("SELECT 1 FROM reject LIMIT 1").fetchone():
        return False
    columns = ", ".join(_HARMLESS.format(c=sql.name(c)) for c in ("source_key", "guid", "column", "code", "message"))
    bare = file.with_suffix(".bare")
    connection.execute(
        f"COPY (SELECT {columns} FROM reject ORDER BY guid) TO {sql.text(str(bare))} (FORMAT csv, HEADER)"
    )
    with file.open("wb") as target, bare.open("rb") as source:
        target.write(_MARK)
        shutil.copyfileobj(source, target)
    return True
