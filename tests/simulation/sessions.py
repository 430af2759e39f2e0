"""DuckDB for thousands of plans: a session runs for real once, and is remembered by all that it was given.

Nothing is executed before somebody wants to see a result. What a result depends on is the text of every statement of
the session so far, its parameters, and the content of every file that a statement names: that is its key. Where the
key was seen before, the result of then is handed out; else the whole session so far is executed by DuckDB.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from shared.tables.macros import MACROS

LAKE = "lake://"
"""What stands before the path of a file of the lake."""

_FOLDER = "/session/"
_FILES = re.compile(r"'((?:/session/|lake://)[^']*)'")
_COPY = re.compile(r"^\s*COPY .* TO '/session/([^']*)'", re.DOTALL)
_MOST = 100_000
_KEPT: dict[bytes, Any] = {}


@dataclass
class Tally:
    hits: int = 0
    misses: int = 0


TALLY = Tally()


@dataclass
class Engines:
    """DuckDB instances that no session uses just now, and the folder that all of them work in."""

    root: Path
    free: list[tuple[duckdb.DuckDBPyConnection, Path]] = field(default_factory=list)
    made: int = 0

    def take(self) -> tuple[duckdb.DuckDBPyConnection, Path]:
        if self.free:
            return self.free.pop()
        self.made += 1
        folder = self.root / f"engine-{self.made}"
        folder.mkdir()
        connection = duckdb.connect()
        for setting in ("threads = 1", "preserve_insertion_order = false", "TimeZone = 'UTC'"):
            connection.execute(f"SET {setting}")
        connection.execute("SET enable_external_file_cache = false")  # files of one name follow each other
        connection.execute(MACROS)
        return connection, folder

    def close(self) -> None:
        for connection, _ in self.free:
            connection.close()


class Result:
    """The rows of a statement, read as often as the app likes."""

    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self._rows, self._next = rows, 0

    def fetchone(self) -> tuple[Any, ...] | None:
        found = self._rows[self._next : self._next + 1]
        self._next += 1
        return found[0] if found else None

    def fetchall(self) -> list[tuple[Any, ...]]:
        found, self._next = self._rows[self._next :], len(self._rows)
        return found

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        found, self._next = self._rows[self._next : self._next + size], self._next + size
        return found


class Session:
    """A connection, as far as the app uses one. `content`: what stands in a file of the lake, None: it is gone."""

    def __init__(self, engines: Engines, folder: Path, content: Callable[[str], bytes | None]) -> None:
        self._engines, self._content = engines, content
        self.folder = folder
        self._folder_text = f"{folder}/"
        self._hash = hashlib.blake2b(digest_size=16)
        self._log: list[Callable[[duckdb.DuckDBPyConnection, str], Any]] = []
        self._done = 0
        self._real: tuple[duckdb.DuckDBPyConnection, Path] | None = None
        self._last: Result | None = None
        self._aliases: dict[str, str] = {}

    # -- what the app calls --------------------------------------------------------------------------------

    def execute(self, query: str, parameters: Sequence[Any] | None = None) -> Session:
        text = query.replace(self._folder_text, _FOLDER)
        given = list(parameters) if parameters is not None else None
        self._note(text.encode(), repr(given).encode())
        text = self._files(text)
        self._log.append(lambda real, folder: real.execute(text.replace(_FOLDER, folder), given))
        self._last = None
        if copied := _COPY.match(text):
            self._copy(copied[1])
        return self

    def executemany(self, query: str, rows: Sequence[Sequence[Any]]) -> Session:
        kept = [list(row) for row in rows]
        self._note(query.encode(), repr(kept).encode())
        self._log.append(lambda real, _: real.executemany(query, kept))
        self._last = None
        return self

    def register(self, name: str, table: pa.Table) -> None:
        self._note(b"register", name.encode(), repr(table.schema).encode(), repr(table.to_pydict()).encode())
        self._log.append(lambda real, _: real.register(name, table))

    def unregister(self, name: str) -> None:
        self._note(b"unregister", name.encode())
        self._log.append(lambda real, _: real.unregister(name))

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._result().fetchone()

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._result().fetchall()

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        return self._result().fetchmany(size)

    # -- keys ----------------------------------------------------------------------------------------------

    def _note(self, *parts: bytes) -> None:
        for part in parts:
            self._hash.update(len(part).to_bytes(4, "big"))
            self._hash.update(part)

    def _files(self, text: str) -> str:
        """Note what stands in the files that a statement names; those of the lake are read as they are now."""
        for name in dict.fromkeys(_FILES.findall(text)):
            if name.startswith(LAKE):
                content = self._content(name.removeprefix(LAKE))
                if content is None:
                    raise duckdb.IOException(f"No files found that match the pattern {name}")
                kept = self._engines.root / f"{hashlib.sha256(content).hexdigest()}.csv"
                if not kept.exists():
                    kept.write_bytes(content)
                self._aliases[str(kept)] = name
                self._note(content)
                text = text.replace(f"'{name}'", f"'{kept}'")
            elif (file := self.folder / name.removeprefix(_FOLDER)).exists():
                self._note(file.read_bytes())
        return text

    def _result(self) -> Result:
        if self._last is None:
            self._last = Result(self._remembered(self._fetch))
        return self._last

    def _copy(self, name: str) -> None:
        content = self._remembered(lambda: self._copied(name))
        (self.folder / name).write_bytes(content)

    def _remembered(self, find: Callable[[], Any]) -> Any:
        key = self._hash.digest()
        if key in _KEPT:
            TALLY.hits += 1
            return _KEPT[key]
        TALLY.misses += 1
        if len(_KEPT) >= _MOST:
            _KEPT.clear()
        found = _KEPT[key] = find()
        return found

    # -- DuckDB --------------------------------------------------------------------------------------------

    def _fetch(self) -> list[tuple[Any, ...]]:
        real = self._caught_up()
        return [tuple(self._aliases.get(cell, cell) if isinstance(cell, str) else cell for cell in row)
                for row in real.fetchall()]  # fmt: skip

    def _copied(self, name: str) -> bytes:
        self._caught_up()
        return (self.folder / name).read_bytes()

    def _caught_up(self) -> duckdb.DuckDBPyConnection:
        if self._real is None:
            self._real = self._engines.take()
            self._real[0].execute("ATTACH ':memory:' AS one_use")
            self._real[0].execute("SET search_path = 'one_use.main,memory.main'")
        real = self._real[0]
        while self._done < len(self._log):
            step = self._log[self._done]
            self._done += 1
            step(real, self._folder_text)
        return real

    def close(self) -> None:
        if self._real is not None:
            self._real[0].execute("SET search_path = 'memory.main'")
            self._real[0].execute("DETACH one_use")
            self._engines.free.append(self._real)


@contextmanager
def engines() -> Iterator[Engines]:
    """Where sessions come from."""
    shared_memory = Path("/dev/shm")  # noqa: S108  files live for a moment
    with tempfile.TemporaryDirectory(dir=shared_memory if shared_memory.is_dir() else None) as folder:
        made = Engines(Path(folder))
        try:
            yield made
        finally:
            made.close()


@contextmanager
def session(made: Engines, content: Callable[[str], bytes | None]) -> Iterator[tuple[Session, Path]]:
    """A session and a folder for its files."""
    folder = Path(tempfile.mkdtemp(dir=made.root))
    opened = Session(made, folder, content)
    try:
        yield opened, folder
    finally:
        opened.close()
        shutil.rmtree(folder)
