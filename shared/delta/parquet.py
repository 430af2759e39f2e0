"""A Parquet file as it is: its columns by name, each value cast to text from its own type.

Read together, files of other types are cast to a common one first (a whole number beside a double loses its last
digits), and a column that a file lacks is null in all its rows. So files are grouped by what their columns are.

DuckDB 1.5 refuses a whole file for one text that is not UTF-8, cuts nanoseconds off where they are in UTC or a time of
day, and makes doubles of decimals with more than 38 digits. Such texts and nanoseconds are read by PyArrow into a copy
beside the file; such decimals are refused, as are lists and structures. INT96, as Spark writes moments, keeps
microseconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.delta.plain import MEND
from shared.errors import CorruptSnapshotError
from shared.lake.manifest import Entity
from shared.tables import sql

if TYPE_CHECKING:
    import duckdb

_TEXTS = {"VARCHAR", "BLOB", "JSON"}
_PLAIN = _TEXTS | {
    "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
    "FLOAT", "DOUBLE", "DATE", "TIME", "TIME WITH TIME ZONE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS",
    "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE", "UUID", '"NULL"',
}  # fmt: skip
_MOST_DIGITS = 38
_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Column:
    """A column of one file. `copied`: its values are read from the copy that `write_texts` makes."""

    name: str
    kind: str  # DuckDB's type
    copied: bool = False


Columns = tuple[Column, ...]
"""The column of each attribute, in the order of the attributes."""


@dataclass(frozen=True)
class _Node:
    """A row of parquet_schema: a column, or what a column consists of."""

    name: str
    children: int | None
    precision: int | None
    logical: str | None
    duckdb_type: str | None

    @property
    def fault(self) -> str:
        """Why the column cannot be read as plain values."""
        if self.children is not None:
            return "holds lists or structures"
        if self.precision is not None and self.precision > _MOST_DIGITS:
            return f"holds decimals of {self.precision} digits, more than the {_MOST_DIGITS} that can be read exactly"
        kind = str(self.duckdb_type)
        return "" if kind in _PLAIN or kind.startswith("DECIMAL(") else f"holds values of the type {kind}"

    @property
    def is_finer(self) -> bool:
        """Whether DuckDB would cut nanoseconds off."""
        return "NANOS=NanoSeconds" in str(self.logical) and self.duckdb_type != "TIMESTAMP_NS"


def columns(
    connection: duckdb.DuckDBPyConnection, place: str, path: str, entity: Entity, wanted: Collection[str], *, mend: bool
) -> Columns:
    """The columns of one file; those that are not `wanted` may hold anything, and with `mend` no text is trusted.

    Raises CorruptSnapshotError where one is lacking or cannot be read, or the file is no Parquet.
    """
    found = {node.name.casefold(): node for node in _columns_of(connection, place, path)}
    lacking = [attribute.name for attribute in entity.attributes if attribute.name.casefold() not in found]
    if lacking:
        raise CorruptSnapshotError(f"The file {path} lacks the columns {', '.join(lacking)}.")
    chosen: list[Column] = []
    for attribute in entity.attributes:
        node, used = found[attribute.name.casefold()], attribute.name in wanted
        if used and node.fault:
            raise CorruptSnapshotError(
                f"The column {node.name} of the file {path} {node.fault}: deliver plain values, or exclude it in "
                "hydration.toml."
            )
        copied = used and (node.is_finer or (mend and node.duckdb_type in _TEXTS))
        chosen.append(Column(node.name, str(node.duckdb_type), copied))
    return tuple(chosen)


def _columns_of(connection: duckdb.DuckDBPyConnection, place: str, path: str) -> Iterator[_Node]:
    import duckdb  # noqa: PLC0415  a quarter second of cold start

    query = "SELECT name, num_children, precision, logical_type, duckdb_type FROM parquet_schema({}) ORDER BY column_id"
    try:
        rows = connection.execute(query.format(sql.text(place))).fetchall()
    except duckdb.OperationalError:
        raise  # on the way to the file
    except duckdb.Error:
        raise CorruptSnapshotError(f"The file {path} cannot be read as Parquet: it is damaged or cut off.") from None
    _, *nodes = starmap(_Node, rows)
    number = 0
    while number < len(nodes):
        yield nodes[number]
        number = _after(nodes, number)


def _after(nodes: Sequence[_Node], number: int) -> int:
    """The place of the next column: what a column consists of stands between."""
    following = number + 1
    for _ in range(nodes[number].children or 0):
        following = _after(nodes, following)
    return following


def scan(places: Sequence[str], names: Columns, copy: str = "") -> str:
    """SQL: files that have these columns, as texts c0, c1, ...; what is copied comes from the one file's copy."""
    texts = ", ".join(
        f"copy.c{number} AS c{number}"
        if column.copied
        else f"CAST(file.{sql.name(column.name)} AS VARCHAR) AS c{number}"
        for number, column in enumerate(names)
    )
    if not copy:
        return f"(SELECT {texts} FROM {_read(places)} AS file)"
    row = "file_row_number"
    both = f"{_read(places, row)} AS file JOIN {_read([copy], row)} AS copy ON file.{row} = copy.{row}"
    return f"(SELECT {texts} FROM {both})"


def _read(places: Sequence[str], row: str = "") -> str:
    files = ", ".join(map(sql.text, places))
    more = f", {row} = true" if row else ""
    return f"read_parquet([{files}], hive_partitioning = false, binary_as_string = true{more})"


# -- the copy ----------------------------------------------------------------------------------------------


def write_texts(file: Path, names: Columns, copy: Path, path: str) -> None:
    """Write the copied columns of a file to `copy`, as texts c0, c1, ... row by row. Raises CorruptSnapshotError."""
    import pyarrow as pa  # noqa: PLC0415  a quarter second of cold start
    import pyarrow.parquet as pq  # noqa: PLC0415

    wanted = {f"c{number}": column.name for number, column in enumerate(names) if column.copied}
    schema = pa.schema([(name, pa.large_string()) for name in wanted])
    with pq.ParquetWriter(copy, schema) as writer:
        for batch in _batches(file, list(wanted.values()), path):
            arrays = [_as_text(batch.column(name)) for name in wanted.values()]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def _batches(file: Path, names: list[str], path: str) -> Iterator[Any]:
    import pyarrow as pa  # noqa: PLC0415  a quarter second of cold start
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        with pq.ParquetFile(file) as opened:
            yield from opened.iter_batches(_BATCH_ROWS, columns=names)
    except (pa.ArrowException, OSError):  # it looks at the texts of a dictionary itself
        raise CorruptSnapshotError(
            f"The file {path} cannot be read as Parquet: it is damaged or cut off, or holds text that is not valid "
            "UTF-8."
        ) from None


def _as_text(values: Any) -> Any:
    """Texts with UNREADABLE for what is no UTF-8; moments and times of day with their nanoseconds."""
    import pyarrow as pa  # noqa: PLC0415  a quarter second of cold start

    kind = values.type
    if pa.types.is_dictionary(kind):
        return _as_text(values.dictionary_decode())
    if isinstance(kind, pa.BaseExtensionType):
        return _as_text(values.storage)
    if pa.types.is_timestamp(kind):  # in UTC: without its zone it is the same moment
        values = values.cast(pa.int64()).cast(pa.timestamp(kind.unit))
    if pa.types.is_temporal(kind):
        return values.cast(pa.large_string())
    raw = values.cast(pa.large_binary())
    try:
        return raw.cast(pa.large_string())
    except pa.ArrowInvalid:
        texts = [None if one is None else one.decode("utf-8", MEND) for one in raw.to_pylist()]
        return pa.array(texts, pa.large_string())
