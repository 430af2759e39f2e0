"""One DuckDB for all plans of a test process, with a database in memory for each plan: half of a small run's cost.

Made anew for every plan, as the app does, each DuckDB reads its extensions of many megabytes and checks their
signatures. The SQL, the files and what is read from the lake are the same.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Lock

import duckdb
import pytest

from shared.delta import engine
from shared.settings import Settings
from shared.tables.macros import MACROS

_SETTINGS = (
    f"threads = {engine.LEAST_THREADS}",
    "preserve_insertion_order = false",
    "TimeZone = 'UTC'",
    "enable_external_file_cache = false",
)


@contextmanager
def one_duckdb() -> Iterator[None]:
    """Let plans share it. While one has it (a worker that is held up amid a plan), others make their own, as always."""
    of_its_own, numbers, free = engine.connect, count(1), Lock()
    with (
        tempfile.TemporaryDirectory() as folder,
        duckdb.connect(config={"allow_unsigned_extensions": "true"}) as shared,
        pytest.MonkeyPatch.context() as patch,
    ):
        for setting in (*_SETTINGS, f"temp_directory = '{folder}'"):
            shared.execute(f"SET {setting}")
        shared.execute(MACROS)

        @contextmanager
        def connect(settings: Settings) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
            if not free.acquire(blocking=False):
                with of_its_own(settings) as found:
                    yield found
                return
            try:
                with _one_use(shared, f"use{next(numbers)}", Path(folder)) as found:
                    yield found
            finally:
                free.release()

        patch.setattr(engine, "connect", connect)
        yield


@contextmanager
def _one_use(
    shared: duckdb.DuckDBPyConnection, name: str, folder: Path
) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    shared.execute(f"ATTACH ':memory:' AS {name}")
    shared.execute(f"SET search_path = '{name}.main,memory.main'")
    try:
        yield shared, folder
    finally:
        for file in folder.iterdir():
            file.unlink()
        shared.execute("DROP SECRET IF EXISTS lake")
        shared.execute("SET search_path = 'memory.main'")
        shared.execute(f"DETACH {name}")
