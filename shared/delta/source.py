"""An entity's files as a view of texts: every cell as it stands, nothing cast, and every structural fault found.

A file that is cut off, has rows of another width or an open quote, or whose header does not agree with the manifest
fails its table: a lost row must never look like a removed one.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from shared.errors import ConfigurationError, CorruptSnapshotError, TransientError
from shared.lake.manifest import Entity, FileFormat, Partition
from shared.lake.snapshot import File, Snapshot
from shared.tables import sql

if TYPE_CHECKING:
    import duckdb

_HEAD = 256 * 1024
_MOST_OF_A_LINE = 8 * 1024 * 1024
_BUFFER = 32 * 1024 * 1024
_LINE = re.compile(r"CSV Error on Line: (\d+)")
_FILE = re.compile(r"file = az://[^/]+/(.+)")
_WIDTH = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")
_READABLE = {"utf-8", "utf-16", "latin-1", "iso8859-1", "ascii"}


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
    """How a group of files is read alike."""

    format: FileFormat
    header: bool


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
    groups: dict[_Dialect, list[str]] = defaultdict(list)
    for partition in entity.partitions:
        if origin.snapshot.files[partition.path].length:
            dialect, path = _place(partition, entity, origin)
            groups[dialect].append(path)
    wanted = {attribute.name: number for number, attribute in enumerate(entity.attributes)}
    picked = ", ".join(f"c{wanted[name]} AS {sql.name(name)}" for name in attributes)
    parts = [_scan(dialect, paths, entity) for dialect, paths in groups.items()] or [_nothing(entity)]
    connection.execute(f"CREATE VIEW {view} AS " + " UNION ALL ".join(f"SELECT {picked} FROM {part}" for part in parts))


@contextmanager
def faults() -> Iterator[None]:
    """What DuckDB raises while it reads the lake, as errors of the app.

    CorruptSnapshotError for what stands in a file, ConfigurationError for too little memory, else TransientError.
    """
    import duckdb  # noqa: PLC0415  a quarter second of cold start

    try:
        yield
    except duckdb.OutOfMemoryException:
        raise ConfigurationError("The comparison needs more memory than PLAN_MEMORY_LIMIT allows.") from None
    except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.BinderException) as fault:
        raise CorruptSnapshotError(f"The snapshot cannot be read: {describe(fault)}") from None
    except duckdb.Error as fault:
        raise TransientError(f"The snapshot could not be compared: {describe(fault)}") from None


def describe(fault: Exception) -> str:
    """What is wrong with a file, from DuckDB's message, without the line that it quotes."""
    message = str(fault)
    file, line, width = _FILE.search(message), _LINE.search(message), _WIDTH.search(message)
    where = f"the file {file[1].strip()}" if file else "a file of this table"
    if line:
        where += f", line {line[1]}"
    if width:
        return f"{where}: the row has {width[2]} columns, the manifest names {width[1]}."
    for sign, what in (
        ("unterminated quote", "a quoted value does not end, or something follows its closing quote"),
        ("Invalid unicode", "the text is not valid UTF-8"),
        ("Maximum line size", f"the line is longer than {_MOST_OF_A_LINE:,} bytes"),
        ("state machine", "rows end sometimes with CRLF and sometimes with LF, or a quote does not end"),
        ("HTTP", "it could not be read from the lake"),
        ("No files found", "it is gone"),
    ):
        if sign in message:
            return f"{where}: {what}."
    return f"{where} cannot be read ({type(fault).__name__})."


def _place(partition: Partition, entity: Entity, origin: Origin) -> tuple[_Dialect, str]:
    """How a file is read, and from where: from the lake, or from a copy whose rows end as DuckDB needs it."""
    form, file = partition.format, origin.snapshot.files[partition.path]
    remote = f"az://{origin.container}/{_escape(partition.path)}"
    if form.kind == "parquet":
        return _Dialect(form, header=False), remote
    if form.encoding not in _READABLE:
        raise CorruptSnapshotError(f"The file {partition.path} is said to be in {form.encoding}: UTF-8 is expected.")
    if form.compression == "zstd":
        return _Dialect(form, header=form.headers), remote
    head = origin.lake.read_head(partition.path, _HEAD, file.etag)
    text, complete = _decode(head, form, whole=file.length <= _HEAD)
    record, newline = _first_record(text, form, complete=complete)
    dialect = _Dialect(form, header=_is_header(record, partition, entity))
    if "\r" in newline and form.encoding in {"utf-8", "ascii"}:
        return replace(dialect, format=replace(form, compression="none")), _with_line_feeds(partition, file, origin)
    return dialect, remote


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


def _with_line_feeds(partition: Partition, file: File, origin: Origin) -> str:
    """A copy of a file whose rows end with LF; line ends inside of quotes stay as they are.

    DuckDB's strict parser takes rows that end with CRLF only as long as no value holds a bare LF.
    """
    copy = origin.folder / f"{hashlib.sha256(partition.path.encode()).hexdigest()}.csv"
    blocks = origin.lake.read_blocks(partition.path, file.etag)
    if partition.format.compression == "gzip":
        blocks = _inflated(blocks)
    with copy.open("wb") as stream:
        stream.writelines(_line_feeds(blocks, quote=b'"' if partition.format.quoted else b""))
    return str(copy)


def _inflated(blocks: Iterable[bytes]) -> Iterator[bytes]:
    inflate = zlib.decompressobj(wbits=31)
    try:
        for block in blocks:
            yield inflate.decompress(block)
    except zlib.error as fault:
        raise CorruptSnapshotError("A compressed file of this table is damaged.") from fault
    if not inflate.eof:
        raise CorruptSnapshotError("A compressed file of this table is cut off.")


def _line_feeds(blocks: Iterable[bytes], *, quote: bytes) -> Iterator[bytes]:
    """The blocks with LF for CRLF and CR outside of quotes. A doubled quote leaves and enters: nothing is lost."""
    quoted, held = False, b""
    for block in blocks:
        content = held + block
        held = b"\r" if content.endswith(b"\r") else b""  # the next block may begin with its LF
        pieces = content.removesuffix(b"\r").split(quote) if quote else [content.removesuffix(b"\r")]
        for number, piece in enumerate(pieces):
            quoted ^= number > 0
            yield (quote if number else b"") + (piece if quoted else _ended_alike(piece))
    yield held if quoted else _ended_alike(held)


def _ended_alike(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _decode(head: bytes, form: FileFormat, *, whole: bool) -> tuple[str, bool]:
    if form.compression == "gzip":
        inflate = zlib.decompressobj(wbits=31)
        try:
            head = inflate.decompress(head, _HEAD)
        except zlib.error:
            return "", False  # the scan says what is wrong with the file
        whole = inflate.eof
    encoding = "utf-8" if form.encoding == "ascii" else form.encoding
    text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(head, final=whole)
    return text.removeprefix("\ufeff"), whole


def _first_record(text: str, form: FileFormat, *, complete: bool) -> tuple[list[str] | None, str]:
    """The cells of the first row, and how rows end; (None, "") where the first row does not end within the text."""
    quoted, end = False, None
    for place, character in enumerate(text):
        if character == '"' and form.quoted:
            quoted = not quoted
        elif character in "\r\n" and not quoted:
            end = place
            break
    if end is None and not complete:
        return None, ""
    lines = io.StringIO(text[:end], newline="")
    if form.quoted:
        record = next(csv.reader(lines, delimiter=form.delimiter), None)
    else:
        record = next(csv.reader(lines, delimiter=form.delimiter, quoting=csv.QUOTE_NONE), None)
    newline = "" if end is None else "\r\n" if text.startswith("\r\n", end) else text[end]
    return record, newline


def _scan(dialect: _Dialect, paths: Sequence[str], entity: Entity) -> str:
    files = f"[{', '.join(sql.text(path) for path in paths)}]"
    if dialect.format.kind == "parquet":
        columns = ", ".join(
            f"CAST({sql.name(attribute.name)} AS VARCHAR) AS c{number}"
            for number, attribute in enumerate(entity.attributes)
        )
        return f"(SELECT {columns} FROM read_parquet({files}, hive_partitioning = false, union_by_name = true))"
    columns = ", ".join(f"'c{number}': 'VARCHAR'" for number in range(len(entity.attributes)))
    quote = "'\"'" if dialect.format.quoted else "''"
    options = {
        "columns": f"{{{columns}}}",
        "auto_detect": "false",
        "header": str(dialect.header).lower(),
        "delim": sql.text(dialect.format.delimiter),
        "quote": quote,
        "escape": quote,
        "nullstr": "''",
        "allow_quoted_nulls": "false",  # "" is an empty text, nothing between two delimiters is null
        "strict_mode": "true",
        "new_line": "'\\n'",  # found out by DuckDB, it may be one that stands in a quoted value
        "null_padding": "false",  # it would break quoted line ends, and hide rows that are too short
        "hive_partitioning": "false",
        "max_line_size": str(_MOST_OF_A_LINE),
        "buffer_size": str(_BUFFER),
        "compression": sql.text(dialect.format.compression),
    }
    if dialect.format.encoding in {"utf-16", "latin-1", "iso8859-1"}:
        options["encoding"] = sql.text("utf-16" if dialect.format.encoding == "utf-16" else "latin-1")
    return f"read_csv({files}, {', '.join(f'{name} = {value}' for name, value in options.items())})"


def _nothing(entity: Entity) -> str:
    columns = ", ".join(f"NULL::VARCHAR AS c{number}" for number in range(len(entity.attributes)))
    return f"(SELECT {columns} WHERE false)"


def _escape(path: str) -> str:
    """A path that DuckDB does not take for a pattern."""
    return re.sub(r"[\[*?]", lambda character: f"[{character[0]}]", path)
