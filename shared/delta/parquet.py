"""A Parquet file as it is: its columns by name, each value cast to text from its own type.

Read together, files of other types are cast to a common one first (a whole number beside a double loses its last
digits), and a column that a file lacks is null in all its rows. So files are grouped by what their columns are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.errors import CorruptSnapshotError
from shared.lake.manifest import Entity
from shared.tables import sql

if TYPE_CHECKING:
    import duckdb

Columns = tuple[tuple[str, str], ...]
"""Name and type of each attribute's column, in the order of the attributes."""


def columns(connection: duckdb.DuckDBPyConnection, place: str, path: str, entity: Entity) -> Columns:
    """The columns of one file. Raises CorruptSnapshotError where one is lacking or the file is no Parquet."""
    import duckdb  # noqa: PLC0415  a quarter second of cold start

    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM {_read([place])}").fetchall()
    except duckdb.OperationalError:
        raise  # on the way to the file
    except duckdb.Error:
        raise CorruptSnapshotError(f"The file {path} cannot be read as Parquet: it is damaged or cut off.") from None
    found = {str(name).casefold(): (str(name), str(kind)) for name, kind, *_ in described}
    lacking = [attribute.name for attribute in entity.attributes if attribute.name.casefold() not in found]
    if lacking:
        raise CorruptSnapshotError(f"The file {path} lacks the columns {', '.join(lacking)}.")
    return tuple(found[attribute.name.casefold()] for attribute in entity.attributes)


def scan(places: Sequence[str], names: Columns) -> str:
    """SQL: files that have these columns, as texts."""
    texts = ", ".join(f"CAST({sql.name(name)} AS VARCHAR) AS c{number}" for number, (name, _) in enumerate(names))
    return f"(SELECT {texts} FROM {_read(places)})"


def _read(places: Sequence[str]) -> str:
    files = ", ".join(map(sql.text, places))
    return f"read_parquet([{files}], hive_partitioning = false, binary_as_string = true)"
