"""An entity's files as a view of texts: every cell as it stands, nothing cast, and every structural fault found.

A file that is cut off, has rows of another width or an open quote, or whose header does not agree with the manifest
fails its table: a lost row must never look like a removed one. Bytes that are no text in the file's encoding raise
NotTextError; read again with `mend`, UNREADABLE stands for them, and whoever validates the cells rejects their rows.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, unquote

from shared.delta import delimited, parquet, plain
from shared.delta.delimited import MOST_OF_A_LINE, Place
from shared.delta.plain import NotTextError
from shared.errors import ConfigurationError, CorruptSnapshotError, TransientError
from shared.lake.manifest import Entity, FileFormat, Partition
from shared.lake.snapshot import Snapshot
from shared.tables import sql

if TYPE_CHECKING:
    import duckdb

__all__ = ["Lake", "NotTextError", "Origin", "define_view", "describe", "faults"]

_BLOCK = 4 * 1024 * 1024
_LAKE = "az://"
_COPY = "copy of "
_MOST_OF_A_NAME = 200
_LINE = re.compile(r"CSV Error on Line: (\d+)")
_FILE = re.compile(r"^  file = (.+)$", re.MULTILINE)
_WIDTH = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")
_NO_TEXT = ("Invalid unicode", "Invalid string encoding", "Invalid JSON found in Parquet", "access index")
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
    """How a group of files is read alike. `columns` are those of Parquet, `copy` has some of them, of one file."""

    format: FileFormat
    header: bool = False
    columns: parquet.Columns = ()
    copy: str = ""


@dataclass(frozen=True)
class Origin:
    """Where an entity's files are, and a folder for copies of those that cannot be read in place.

    With `mend` all texts are read from copies in which UNREADABLE stands for bytes that are no text.
    """

    lake: Lake
    snapshot: Snapshot
    container: str
    folder: Path
    mend: bool = False


def define_view(
    connection: duckdb.DuckDBPyConnection, view: str, entity: Entity, attributes: Sequence[str], origin: Origin
) -> None:
    """Create a view with these attributes of the entity, as texts, over all its files.

    Raises CorruptSnapshotError where a header or format cannot be, NotTextError unless `mend` is asked for; other
    faults, and bytes that are no text, show when the view is read.
    """
    groups: dict[_Dialect, list[Place]] = defaultdict(list)
    for partition in entity.partitions:
        if origin.snapshot.files[partition.path].length:
            dialect, place = _place(connection, partition, entity, attributes, origin)
            groups[dialect].append(place)
    wanted = {attribute.name: number for number, attribute in enumerate(entity.attributes)}
    picked = ", ".join(f"c{wanted[name]} AS {sql.name(name)}" for name in attributes)
    parts = [part for dialect, places in groups.items() for part in _scans(connection, dialect, places, entity)]
    parts = parts or [_nothing(entity)]
    connection.execute(f"CREATE VIEW {view} AS " + " UNION ALL ".join(f"SELECT {picked} FROM {part}" for part in parts))


@contextmanager
def faults() -> Iterator[None]:
    """What DuckDB raises while it reads the lake, as errors of the app.

    TransientError for what happens on the way to a file, ConfigurationError for too little memory, and
    CorruptSnapshotError for what stands in a file: trying again would find it there again. Of these, NotTextError for
    bytes that are no text in the file's encoding: its rows can be read with `mend`, on a new connection.
    """
    import duckdb  # noqa: PLC0415  a quarter second of cold start

    try:
        yield
    except duckdb.OutOfMemoryException:
        raise ConfigurationError("The comparison needs more memory than PLAN_MEMORY_LIMIT allows.") from None
    except (duckdb.OperationalError, duckdb.ConnectionException, duckdb.InterruptException) as fault:
        raise TransientError(f"The snapshot could not be compared: {describe(fault)}") from None
    except duckdb.Error as fault:  # for damaged Parquet and invalid UTF-8 DuckDB has many
        # The line that it quotes may say so too: then reading once more finds the same fault.
        error = NotTextError if any(sign in str(fault) for sign in _NO_TEXT) else CorruptSnapshotError
        raise error(f"The snapshot cannot be read: {describe(fault)}") from None


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
        ("Invalid string encoding", "the text is not valid UTF-8"),
        ("Invalid JSON found in Parquet", "a column of JSON holds what is none"),
        ("Maximum line size", f"the line is longer than {MOST_OF_A_LINE:,} bytes"),
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
    connection: duckdb.DuckDBPyConnection,
    partition: Partition,
    entity: Entity,
    attributes: Sequence[str],
    origin: Origin,
) -> tuple[_Dialect, Place]:
    """How a file is read, and from where: from the lake, or from a copy that DuckDB reads without silence."""
    form, file = partition.format, origin.snapshot.files[partition.path]
    name = f"{_LAKE}{origin.container}/{partition.path}"
    remote = Place(
        _escape(name), name, partition.path, file.length, filled=False,
        blocks=partial(origin.lake.read_blocks, partition.path, file.etag),
    )  # fmt: skip
    if form.kind == "parquet":
        columns = parquet.columns(connection, remote.path, partition.path, entity, set(attributes), mend=origin.mend)
        return _parquet(_Dialect(form, columns=columns), remote, origin.folder)
    plain.refuse_unreadable(form, partition.path)
    head = origin.lake.read_head(partition.path, plain.HEAD, file.etag)
    begins = plain.beginning(head, form, partition.path, whole=file.length <= plain.HEAD)
    header = _is_header(begins.record, partition, entity)
    dialect = _Dialect(replace(form, compression="none", encoding="utf-8"), header=header)
    place = replace(remote, filled=begins.filled or (not header and bool(begins.record)))
    if begins.in_place and not origin.mend:
        return dialect, place
    return dialect, _copied(place, form, origin, in_place=begins.in_place)


def _parquet(dialect: _Dialect, place: Place, folder: Path) -> tuple[_Dialect, Place]:
    """The file itself, or a local one where columns of it had to be copied."""
    if not any(column.copied for column in dialect.columns):
        return dialect, place
    file = folder / _name_of_copy(place.shown)
    with file.open("wb") as stream:
        stream.writelines(place.blocks())
    copied = "-".join(str(number) for number, column in enumerate(dialect.columns) if column.copied)
    copy = folder / f"{file.name}.{hashlib.sha256(copied.encode()).hexdigest()[:12]}"  # views may differ in columns
    parquet.write_texts(file, dialect.columns, copy, place.shown)
    return replace(dialect, copy=str(copy)), replace(place, path=str(file), name=str(file))


def _copied(place: Place, form: FileFormat, origin: Origin, *, in_place: bool) -> Place:
    copy = origin.folder / _name_of_copy(place.shown)
    plain.write_copy(place.blocks(), form, place.shown, copy, mend=origin.mend, in_place=in_place)
    return replace(place, path=str(copy), name=str(copy), size=copy.stat().st_size, blocks=partial(_blocks, copy))


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            yield block


def _name_of_copy(path: str) -> str:
    """A file name that tells the path again, as long as file systems take it."""
    name = quote(path, safe="")
    return _COPY + (name if len(name) <= _MOST_OF_A_NAME else hashlib.sha256(path.encode()).hexdigest())


def _shown(file: str) -> str:
    """The path in the lake of a file that was read in place or from its copy."""
    _, is_copy, name = file.rpartition(f"/{_COPY}")
    return unquote(name) if is_copy else file.removeprefix(_LAKE).partition("/")[2]


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


def _scans(
    connection: duckdb.DuckDBPyConnection, dialect: _Dialect, places: Sequence[Place], entity: Entity
) -> list[str]:
    if dialect.format.kind == "parquet":
        return [parquet.scan([place.path for place in places], dialect.columns, dialect.copy)]
    return delimited.scans(connection, dialect.format, places, len(entity.attributes), header=dialect.header)


def _nothing(entity: Entity) -> str:
    columns = ", ".join(f"NULL::VARCHAR AS c{number}" for number in range(len(entity.attributes)))
    return f"(SELECT {columns} WHERE false)"


def _escape(path: str) -> str:
    """A path that DuckDB does not take for a pattern."""
    return re.sub(r"[\[*?]", lambda character: f"[{character[0]}]", path)
