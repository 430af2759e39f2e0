"""An entity's files as a view of texts: every cell as it stands, nothing cast, and every structural fault found.

A file that is cut off, has rows of another width or an open quote, or whose header does not agree with the manifest
fails its table: a lost row must never look like a removed one.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, unquote

from shared.delta import parquet, plain
from shared.errors import ConfigurationError, CorruptSnapshotError, TransientError
from shared.lake.manifest import Entity, FileFormat, Partition
from shared.lake.snapshot import Snapshot
from shared.tables import sql

if TYPE_CHECKING:
    import duckdb

_MOST_OF_A_LINE = 8 * 1024 * 1024
_BUFFER = 32 * 1024 * 1024
_LAKE = "az://"
_COPY = "copy of "
_MOST_OF_A_NAME = 200
_LINE = re.compile(r"CSV Error on Line: (\d+)")
_FILE = re.compile(r"^  file = (.+)$", re.MULTILINE)
_WIDTH = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")
_SENTENCE = re.compile(r"\n([^\n]+)\n+Possible (?:fixes|Solution)")


class Lake(Protocol):
    """Where the first bytes of a file come from."""

    def read_head(self, path: str, size: int, etag: str) -> bytes:
        """The first bytes of a file, as long as it is still this version."""
        ...

    def read_blocks(self, path: str, etag: str) -> Iterator[bytes]:
        """All bytes of a file, as long as it is still this version."""
        ...


@dataclass(frozen=True)
class _Dialect:
    """How a group of files is read alike. `columns` are those of Parquet."""

    format: FileFormat
    header: bool = False
    columns: parquet.Columns = ()


@dataclass(frozen=True)
class _Place:
    """Where a file is read from. `filled`: it must have a row."""

    path: str
    filled: bool


@dataclass(frozen=True)
class Origin:
    """Where an entity's files are, and a folder for copies of those that cannot be read in place."""

    lake: Lake
    snapshot: Snapshot
    container: str
    folder: Path


def define_view(
    connection: duckdb.DuckDBPyConnection, view: str, entity: Entity, attributes: Sequence[str], origin: Origin
) -> None:
    """Create a view with these attributes of the entity, as texts, over all its files.

    Raises CorruptSnapshotError where a header or format cannot be; other faults show when the view is read.
    """
    groups: dict[_Dialect, list[_Place]] = defaultdict(list)
    for partition in entity.partitions:
        if origin.snapshot.files[partition.path].length:
            dialect, place = _place(connection, partition, entity, origin)
            groups[dialect].append(place)
    for dialect, places in groups.items():
        if dialect.format.kind == "csv":
            _look_through(connection, dialect, places, entity)
    wanted = {attribute.name: number for number, attribute in enumerate(entity.attributes)}
    picked = ", ".join(f"c{wanted[name]} AS {sql.name(name)}" for name in attributes)
    parts = [_scan(dialect, [place.path for place in places], entity) for dialect, places in groups.items()]
    parts = parts or [_nothing(entity)]
    connection.execute(f"CREATE VIEW {view} AS " + " UNION ALL ".join(f"SELECT {picked} FROM {part}" for part in parts))


@contextmanager
def faults() -> Iterator[None]:
    """What DuckDB raises while it reads the lake, as errors of the app.

    TransientError for what happens on the way to a file, ConfigurationError for too little memory, and
    CorruptSnapshotError for what stands in a file: trying again would find it there again.
    """
    import duckdb  # noqa: PLC0415  a quarter second of cold start

    try:
        yield
    except duckdb.OutOfMemoryException:
        raise ConfigurationError("The comparison needs more memory than PLAN_MEMORY_LIMIT allows.") from None
    except (duckdb.OperationalError, duckdb.ConnectionException, duckdb.InterruptException) as fault:
        raise TransientError(f"The snapshot could not be compared: {describe(fault)}") from None
    except duckdb.Error as fault:  # for damaged Parquet and invalid UTF-8 DuckDB has many
        raise CorruptSnapshotError(f"The snapshot cannot be read: {describe(fault)}") from None


def describe(fault: Exception) -> str:
    """What is wrong with a file, from DuckDB's message, without the line that it quotes."""
    message = str(fault)
    words = _own_words(message)
    files, line, width = _FILE.findall(message), _LINE.search(message), _WIDTH.search(words)
    where = f"the file {_shown(files[-1])}" if files else "a file of this table"
    if line:
        where += f", line {line[1]}"
    if width:
        return f"{where}: the row has {width[2]} columns, the manifest names {width[1]}."
    for sign, what in (
        ("unterminated quote", "a quoted value does not end, or something follows its closing quote"),
        ("Invalid unicode", "the text is not valid UTF-8"),
        ("Maximum line size", f"the line is longer than {_MOST_OF_A_LINE:,} bytes"),
        ("state machine", "rows end sometimes with CRLF and sometimes with LF, or a quote does not end"),
        ("access index", "the text is not valid UTF-8, or the file is damaged"),
        ("HTTP", "it could not be read from the lake"),
        ("No files found", "it is gone"),
    ):
        if sign in words:
            return f"{where}: {what}."
    return f"{where} cannot be read ({type(fault).__name__})."


def _own_words(message: str) -> str:
    """What DuckDB says itself: the line that it quotes may hold the same words."""
    if "\nOriginal Line: " not in message:
        return message
    return next(reversed(_SENTENCE.findall(message)), "")


def _place(
    connection: duckdb.DuckDBPyConnection, partition: Partition, entity: Entity, origin: Origin
) -> tuple[_Dialect, _Place]:
    """How a file is read, and from where: from the lake, or from a copy that DuckDB reads without silence."""
    form, file = partition.format, origin.snapshot.files[partition.path]
    remote = f"{_LAKE}{origin.container}/{_escape(partition.path)}"
    if form.kind == "parquet":
        columns = parquet.columns(connection, remote, partition.path, entity)
        return _Dialect(form, columns=columns), _Place(remote, filled=False)
    plain.refuse_unreadable(form, partition.path)
    head = origin.lake.read_head(partition.path, plain.HEAD, file.etag)
    begins = plain.beginning(head, form, partition.path, whole=file.length <= plain.HEAD)
    header = _is_header(begins.record, partition, entity)
    filled = begins.filled or (not header and bool(begins.record))
    dialect = _Dialect(replace(form, compression="none", encoding="utf-8"), header=header)
    if begins.in_place:
        return dialect, _Place(remote, filled)
    copy = origin.folder / _name_of_copy(partition.path)
    plain.write_copy(origin.lake.read_blocks(partition.path, file.etag), form, partition.path, copy)
    return dialect, _Place(str(copy), filled)


def _name_of_copy(path: str) -> str:
    """A file name that tells the path again, as long as file systems take it."""
    name = quote(path, safe="")
    return _COPY + (name if len(name) <= _MOST_OF_A_NAME else hashlib.sha256(path.encode()).hexdigest())


def _shown(file: str) -> str:
    """The path in the lake of a file that was read in place or from its copy."""
    _, is_copy, name = file.rpartition(f"/{_COPY}")
    return unquote(name) if is_copy else file.removeprefix(_LAKE).partition("/")[2]


def _look_through(
    connection: duckdb.DuckDBPyConnection, dialect: _Dialect, places: Sequence[_Place], entity: Entity
) -> None:
    """Read the files once for what the comparison would not see. It costs about a sixth of it.

    DuckDB overlooks empty columns beyond the last one: where a value holds a delimiter and is not quoted, all that
    follow it have moved. And files that hold text and read as no row at all would look like rows that were removed.
    """
    beyond = f"c{len(entity.attributes)}"
    scan = _scan(dialect, [place.path for place in places], entity, beyond=beyond)
    query = f"SELECT filename, count(*) FILTER ({beyond} IS NULL) FROM {scan} GROUP BY filename"
    wide = dict(_rows(connection, query, dialect, places, entity))
    for place in places:
        name = _unescape(place.path)
        if wide.get(name):
            raise CorruptSnapshotError(
                f"{wide[name]:,} rows of the file {_shown(name)} have an empty column more than the "
                f"{len(entity.attributes)} that the manifest names."
            )
        if place.filled and name not in wide:
            raise CorruptSnapshotError(f"The file {_shown(name)} holds text, and no row can be read from it.")


def _rows(
    connection: duckdb.DuckDBPyConnection, query: str, dialect: _Dialect, places: Sequence[_Place], entity: Entity
) -> list[tuple[str, int]]:
    import duckdb  # noqa: PLC0415  a quarter second of cold start

    try:
        return connection.execute(query).fetchall()
    except (duckdb.InvalidInputException, duckdb.ConversionException):
        # A row that is wrong in another way. The scan of the comparison says how, with the right number of columns.
        connection.execute(
            f"SELECT count(*) FROM {_scan(dialect, [place.path for place in places], entity)}"
        ).fetchall()
        raise


def _is_header(record: list[str] | None, partition: Partition, entity: Entity) -> bool:
    """Whether the first row is a header, whatever the manifest says; a promised one must agree with the manifest."""
    names = [attribute.name.casefold() for attribute in entity.attributes]
    found = record is not None and [cell.strip().casefold() for cell in record] == names
    if partition.format.headers and not found:
        raise CorruptSnapshotError(
            f"The header of {partition.path} does not agree with the manifest, which names {len(names)} attributes: "
            f"{', '.join(attribute.name for attribute in entity.attributes)}."
        )
    return found


def _scan(dialect: _Dialect, paths: Sequence[str], entity: Entity, *, beyond: str = "") -> str:
    """SQL: the rows of the files. `beyond` names one more column: '' where a row has none, null where it is empty."""
    if dialect.format.kind == "parquet":
        return parquet.scan(paths, dialect.columns)
    files = f"[{', '.join(sql.text(path) for path in paths)}]"
    names = [f"c{number}" for number in range(len(entity.attributes))] + ([beyond] if beyond else [])
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
    quoting = "'\"'" if dialect.format.quoted else "''"
    options = {
        "columns": f"{{{columns}}}",
        "auto_detect": "false",
        "header": str(dialect.header).lower(),
        "delim": sql.text(dialect.format.delimiter),
        "quote": quoting,
        "escape": quoting,
        "nullstr": "''",
        "allow_quoted_nulls": "false",  # "" is an empty text, nothing between two delimiters is null
        "strict_mode": "true",
        "new_line": "'\\n'",  # found out by DuckDB, it may be one that stands in a quoted value
        "null_padding": "false",  # it would break quoted line ends, and hide rows that are too short
        "hive_partitioning": "false",
        "max_line_size": str(_MOST_OF_A_LINE),
        "buffer_size": str(_BUFFER),
        "compression": "'none'",
    }
    if beyond:
        options |= {"null_padding": "true", "force_not_null": f"['{beyond}']", "parallel": "false", "filename": "true"}
    return f"read_csv({files}, {', '.join(f'{name} = {value}' for name, value in options.items())})"


def _nothing(entity: Entity) -> str:
    columns = ", ".join(f"NULL::VARCHAR AS c{number}" for number in range(len(entity.attributes)))
    return f"(SELECT {columns} WHERE false)"


def _escape(path: str) -> str:
    """A path that DuckDB does not take for a pattern."""
    return re.sub(r"[\[*?]", lambda character: f"[{character[0]}]", path)


def _unescape(path: str) -> str:
    return re.sub(r"\[([\[*?])\]", r"\1", path)
