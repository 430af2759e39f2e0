"""CSV files as SQL that reads every row of them, or a fault.

What DuckDB 1.5 does without a word, each found by trying and held by a test:
- Empty columns beyond the last one are overlooked: 4,x,y, for 4,"x,y", moves every value that follows.
- Threads begin amid a large file and guess whether they are inside of quotes. Where a value holds lines that look like
  rows they guess wrong, and a sound file is refused.
- Without threads, all that follows a quote which does not end is left out.
So threads read the files, which leaves no open quote unseen; and where they refuse a large one, its rows are counted
in Python, and only then is it read without them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.delta import plain
from shared.errors import CorruptSnapshotError
from shared.lake.manifest import FileFormat
from shared.tables import sql

if TYPE_CHECKING:
    import duckdb

MOST_OF_A_LINE = 8 * 1024 * 1024
"""Bytes of the longest row. It is also where DuckDB cuts a file for its threads."""

_BUFFER = 32 * 1024 * 1024


@dataclass(frozen=True)
class Place:
    """Where a file is read from: `path` as DuckDB takes it, and as it tells it again (`name`).

    `shown` is the path in the lake; `size` counts bytes; `filled` says that the file must have a row.
    """

    path: str
    name: str
    shown: str
    size: int
    filled: bool
    blocks: Callable[[], Iterator[bytes]] = field(compare=False)


def scans(
    connection: duckdb.DuckDBPyConnection, form: FileFormat, places: Sequence[Place], width: int, *, header: bool
) -> list[str]:
    """SQL: the rows of files that are written alike, with columns c0, c1, ... of texts.

    Reads them once for what the comparison would not see, which costs about a sixth of it. Raises
    CorruptSnapshotError, and DuckDB's own errors for rows of another width.
    """
    alike = _Alike(form, header, width)
    rows = _look_through(connection, alike, places)
    by_hand = [
        place
        for place in places
        if place.size > MOST_OF_A_LINE and not _threads_agree(connection, alike, place, rows.get(place.name, 0))
    ]
    threaded = [place for place in places if place not in by_hand]
    parts = [(threaded, {}), (by_hand, {"parallel": "false"})]
    return [_scan(alike, some, **options) for some, options in parts if some]


@dataclass(frozen=True)
class _Alike:
    """How some files are read."""

    form: FileFormat
    header: bool
    width: int


def _look_through(connection: duckdb.DuckDBPyConnection, alike: _Alike, places: Sequence[Place]) -> dict[str, int]:
    """How many rows each file has, by its name. Raises for rows that are too wide, and for text without rows."""
    beyond = f"c{alike.width}"  # '' where a row has no such column, null where it is empty
    options = {"null_padding": "true", "force_not_null": f"['{beyond}']", "parallel": "false", "filename": "true"}
    scan = _scan(alike, places, more=beyond, **options)
    query = f"SELECT filename, count(*), count(*) FILTER ({beyond} IS NULL) FROM {scan} GROUP BY filename"
    found = {name: (rows, wide) for name, rows, wide in _fetch(connection, query, alike, places)}
    for place in places:
        rows, wide = found.get(place.name, (0, 0))
        if wide:
            raise CorruptSnapshotError(
                f"{wide:,} rows of the file {place.shown} have an empty column more than the {alike.width} that the "
                "manifest names."
            )
        if place.filled and not rows:
            raise CorruptSnapshotError(f"The file {place.shown} holds text, and no row can be read from it.")
    return {name: rows for name, (rows, _) in found.items()}


def _fetch(
    connection: duckdb.DuckDBPyConnection, query: str, alike: _Alike, places: Sequence[Place]
) -> list[tuple[str, int, int]]:
    import duckdb  # noqa: PLC0415  a quarter second of cold start

    try:
        return connection.execute(query).fetchall()
    except (duckdb.InvalidInputException, duckdb.ConversionException):
        # A row that is wrong in another way. The plain scan says how, with the right number of columns.
        connection.execute(f"SELECT count(*) FROM {_scan(alike, places)}").fetchall()
        raise


def _threads_agree(connection: duckdb.DuckDBPyConnection, alike: _Alike, place: Place, rows: int) -> bool:
    """Whether threads read as many rows of a large file as one reader. Raises where they are right not to."""
    import duckdb  # noqa: PLC0415  a quarter second of cold start

    fault: duckdb.Error | None = None
    try:
        counted = connection.execute(f"SELECT count(*) FROM {_scan(alike, [place])}").fetchone()
        if counted is not None and (counted[0] == rows or alike.width == 1):  # of one column, empty lines are rows
            return True
    except (duckdb.InvalidInputException, duckdb.NotSupportedError) as refusal:
        fault = refusal
    if plain.count_rows(place.blocks(), alike.form, place.shown, alike.width) == rows + alike.header:
        return False
    raise fault or CorruptSnapshotError(f"The rows of the file {place.shown} cannot be told apart.")


def _scan(alike: _Alike, places: Sequence[Place], *, more: str = "", **options: str) -> str:
    names = [f"c{number}" for number in range(alike.width)] + ([more] if more else [])
    quote = "'\"'" if alike.form.quoted else "''"
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
    settings = {
        "columns": f"{{{columns}}}",
        "auto_detect": "false",
        "header": str(alike.header).lower(),
        "delim": sql.text(alike.form.delimiter),
        "quote": quote,
        "escape": quote,
        "nullstr": "''",
        "allow_quoted_nulls": "false",  # "" is an empty text, nothing between two delimiters is null
        "strict_mode": "true",
        "new_line": "'\\n'",  # found out by DuckDB, it may be one that stands in a quoted value
        "null_padding": "false",  # it would hide rows that are too short
        "hive_partitioning": "false",
        "max_line_size": str(MOST_OF_A_LINE),
        "buffer_size": str(_BUFFER),
        "compression": "'none'",
    } | options
    files = ", ".join(sql.text(place.path) for place in places)
    return f"read_csv([{files}], {', '.join(f'{name} = {value}' for name, value in settings.items())})"
