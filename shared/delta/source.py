"""An entity's files as a view of texts: every cell as it stands, nothing cast, and every structural fault found.

A file that is cut off, has rows of another width or an open quote, or whose header does not agree with the manifest
fails its table: a lost row must never look like a removed one.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from shared.errors import CorruptSnapshotError
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


@dataclass(frozen=True)
class _Dialect:
    """How a group of files is read alike."""

    format: FileFormat
    header: bool
    newline: str


def define_view(
    connection: duckdb.DuckDBPyConnection,
    view: str,
    entity: Entity,
    *,
    snapshot: Snapshot,
    lake: Lake,
    container: str,
    attributes: Sequence[str],
) -> None:
    """Create a view with these attributes of the entity, as texts, over all its files.

    Raises CorruptSnapshotError where a header or format cannot be; other faults show when the view is read.
    """
    groups: dict[_Dialect, list[str]] = defaultdict(list)
    for partition in entity.partitions:
        file = snapshot.files[partition.path]
        if file.length:
            groups[_dialect(partition, file, entity, lake)].append(f"az://{container}/{_escape(partition.path)}")
    wanted = {attribute.name: number for number, attribute in enumerate(entity.attributes)}
    picked = ", ".join(f"c{wanted[name]} AS {sql.name(name)}" for name in attributes)
    parts = [_scan(dialect, paths, entity) for dialect, paths in groups.items()] or [_nothing(entity)]
    connection.execute(f"CREATE VIEW {view} AS " + " UNION ALL ".join(f"SELECT {picked} FROM {part}" for part in parts))


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


def _dialect(partition: Partition, file: File, entity: Entity, lake: Lake) -> _Dialect:
    form = partition.format
    if form.kind == "parquet":
        return _Dialect(form, header=False, newline="")
    if form.encoding not in _READABLE:
        raise CorruptSnapshotError(f"The file {partition.path} is said to be in {form.encoding}: UTF-8 is expected.")
    if form.compression == "zstd":
        return _Dialect(form, header=form.headers, newline="")
    text, complete = _decode(lake.read_head(partition.path, _HEAD, file.etag), form, whole=file.length <= _HEAD)
    record, newline = _first_record(text, form, complete=complete)
    names = [attribute.name.casefold() for attribute in entity.attributes]
    is_header = record is not None and [cell.strip().casefold() for cell in record] == names
    if form.headers and not is_header:
        raise CorruptSnapshotError(
            f"The header of {partition.path} does not agree with the manifest, which names {len(names)} attributes: "
            f"{', '.join(attribute.name for attribute in entity.attributes)}."
        )
    return _Dialect(form, header=is_header, newline=newline)


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
    newline = dialect.newline.replace("\r", "\\r").replace("\n", "\\n")
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
        "null_padding": "false",  # it would break quoted line ends, and hide rows that are too short
        "hive_partitioning": "false",
        "max_line_size": str(_MOST_OF_A_LINE),
        "buffer_size": str(_BUFFER),
        "compression": sql.text(dialect.format.compression),
    }
    if newline:
        options["new_line"] = sql.text(newline)
    if dialect.format.encoding in {"utf-16", "latin-1", "iso8859-1"}:
        options["encoding"] = sql.text("utf-16" if dialect.format.encoding == "utf-16" else "latin-1")
    return f"read_csv({files}, {', '.join(f'{name} = {value}' for name, value in options.items())})"


def _nothing(entity: Entity) -> str:
    columns = ", ".join(f"NULL::VARCHAR AS c{number}" for number in range(len(entity.attributes)))
    return f"(SELECT {columns} WHERE false)"


def _escape(path: str) -> str:
    """A path that DuckDB does not take for a pattern."""
    return re.sub(r"[\[*?]", lambda character: f"[{character[0]}]", path)
