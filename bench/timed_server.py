"""The local Dataverse with a stopwatch in sqlite3: `python -m bench.timed_server` takes local.dataverse's options.

On SIGUSR1 it prints `used N CPU INSIDE`: for the Nth time, the seconds of processor time that it has used so far, and
those inside sqlite3. The stopwatch itself costs time: how fast the server is, is measured without it.
"""

from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from local.dataverse.__main__ import main

WATCH = "BENCH_WATCH_SQLITE"
METHODS = ("execute", "executemany", "fetchone", "fetchall", "fetchmany", "__next__")


def connection_type(spent: list[float]) -> type[sqlite3.Connection]:
    """A Connection that adds the processor time of everything that is done in sqlite3 to `spent`."""

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*arguments: Any) -> Any:
            start = time.thread_time()
            try:
                return function(*arguments)
            finally:
                spent[0] += time.thread_time() - start

        return call

    cursor: Any = type("Cursor", (sqlite3.Cursor,), {name: timed(getattr(sqlite3.Cursor, name)) for name in METHODS})

    class Connection(sqlite3.Connection):
        def execute(self, *arguments: Any) -> Any:
            return cursor(self).execute(*arguments)

        def executemany(self, *arguments: Any) -> Any:
            return cursor(self).executemany(*arguments)

    return Connection


if __name__ == "__main__":
    inside, times = [0.0], itertools.count(1)
    if os.environ.get(WATCH):
        setattr(sqlite3, "connect", partial(sqlite3.connect, factory=connection_type(inside)))  # noqa: B010 - typed
    signal.signal(signal.SIGUSR1, lambda *_: print("used", next(times), time.process_time(), inside[0], flush=True))
    main()
