"""`python -m tests.support.kill_workers BOARD TENANTS WORKERS`: keeps so many workers alive until its input is closed.

This process has loaded everything and opened nothing, so that a new worker, a fork, is there within milliseconds.
(DuckDB has a thread from its import on. It is idle, and stays behind.) A worker takes messages from the broker as the
Functions host does (peek-lock, complete when the work is done), ticks the timers, and dies at the points of the board.
Whoever ends otherwise ends everything.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import random
import select
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import azure.storage.blob
import duckdb
import msal  # noqa: F401
import pyarrow.parquet as pq  # noqa: F401
from azure.servicebus import ServiceBusClient, ServiceBusReceivedMessage, ServiceBusReceiver
from azure.servicebus.exceptions import ServiceBusError

from shared import deliver, lifecycle, retention
from shared.dataverse import connections
from shared.delta import engine
from shared.errors import TransientError
from shared.runs.messages import BACKSTAMPS_QUEUE, TABLES_QUEUE, UPSERTS_QUEUE, decode_chunk, decode_table
from shared.runs.model import Kind, Mode
from shared.settings import Settings, load
from tests.support.campaigns import SEED
from tests.support.kill_board import Board, tenant_of
from tests.support.kill_points import Deaths, mortal
from tests.support.one_duckdb import one_duckdb

TICK_SECONDS = 0.7  # for each tenant whose day is on: most of a tick's work is done for each of them
_WAIT_SECONDS = 0.1  # for a message, before another queue is looked at
_QUEUES = {TABLES_QUEUE: 4, UPSERTS_QUEUE: 2, BACKSTAMPS_QUEUE: 1}
_SWEEPS = 0.1  # of all ticks
_TIDIES = 0.03  # it looks at every environment there is
_OPEN = contextlib.ExitStack()  # never closed: the process dies
_NOTHING = "nothing"  # a table that nobody has: a run that asks for it is short


@dataclass
class _Worker:
    """One process, from its fork to its death."""

    settings: Settings
    board: Board
    number: int
    says: int

    def work(self) -> None:
        """Until death."""
        self._draw = random.Random(f"{SEED} {self.number}")  # noqa: S311 - seeded on purpose
        self._deaths = Deaths(self.board, self._draw, self.says)
        self._services = mortal(self.settings, f"worker{self.number}", self._deaths, self.board)
        self._receivers: dict[str, ServiceBusReceiver] = {}
        parent = os.getppid()
        share_duckdb()
        with ServiceBusClient.from_connection_string(
            str(self.settings.service_bus.connection_string), retry_total=0
        ) as self._bus:
            while os.getppid() == parent:
                self._tick()
                (queue,) = self._draw.choices(list(_QUEUES), list(_QUEUES.values()))
                while self._take(queue):
                    self._tick()

    # -- messages --------------------------------------------------------------------------------------

    def _take(self, queue: str) -> bool:
        """Handle a message of the queue; whether there was one."""
        if queue not in self._receivers:
            self._receivers[queue] = self._bus.get_queue_receiver(queue).__enter__()  # its link is open
        receiver = self._receivers[queue]
        found = receiver.receive_messages(1, max_wait_time=_WAIT_SECONDS)
        for message in found:
            self._handle(queue, message)
            with contextlib.suppress(ServiceBusError):  # its lock was lost: it comes again
                receiver.complete_message(message)
        return bool(found)

    def _handle(self, queue: str, message: ServiceBusReceivedMessage) -> None:
        body = b"".join(message.body)
        if queue == TABLES_QUEUE:
            self._deaths.begin(decode_table(body))
            deliver.step(self._services, body)
            return
        self._deaths.begin(decode_chunk(body))
        deliver.chunk(self._services, body, Kind.TABLE if queue == UPSERTS_QUEUE else Kind.LINK)
        if self._deaths.known:
            self._deaths.at("after status, before completion")

    # -- timers, events and requests -------------------------------------------------------------------

    def _tick(self) -> None:
        if not self.board.due(time.monotonic(), TICK_SECONDS * self.board.open_days()):
            return
        self._deaths.step, self._deaths.sends = None, False
        for environment in self.settings.hydration.environments:
            tenant = tenant_of(environment)
            with contextlib.suppress(TransientError):  # it is announced, or asked for, again
                if self.board.landed(tenant):
                    lifecycle.look(self._services, environment)
                    self.board.looked(tenant)
                if self.board.asked(tenant):
                    lifecycle.request_run(self._services, environment, Mode.PLAN, (_NOTHING,))
                    self.board.answered(tenant)
        deliver.reconcile(self._services)
        if self._draw.random() < _SWEEPS:
            deliver.sweep(self._services)
        if self._draw.random() < _TIDIES:
            retention.tidy(self._services)


def share_duckdb() -> None:
    """Let the plans of this process share a DuckDB, from the first plan on: most workers make none."""
    of_its_own = engine.connect

    @contextlib.contextmanager
    def connect(settings: Settings) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
        vars(engine)["connect"] = of_its_own
        _OPEN.enter_context(one_duckdb())
        with engine.connect(settings) as found:
            yield found

    vars(engine)["connect"] = connect


def main() -> None:
    """Fork, bury, and fork again."""
    file, tenants, workers = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    board = Board(file, tenants)
    settings = load(os.environ, Path(os.environ["HYDRATION_CONFIG"]).parent)
    warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*multi-threaded.*fork")
    _prepare()
    gc.freeze()
    alive: dict[int, int] = {}  # processes by the pipe of their last words
    number = 0
    try:
        while True:
            while len(alive) < workers:
                number += 1
                alive.update([_fork(settings, board, number)])
            ready, _, _ = select.select([0, *alive], [], [])
            if 0 in ready:
                return
            for pipe in ready:
                _bury(board, pipe, alive.pop(pipe))
    finally:
        for process in alive.values():
            os.kill(process, signal.SIGKILL)


def _prepare() -> None:
    """What every worker would do again: what certificates there are is of no use here, and takes a while to read."""
    connections._trusted(None, None)
    azure.storage.blob.BlobServiceClient("http://127.0.0.1/devstoreaccount1").close()


def _fork(settings: Settings, board: Board, number: int) -> tuple[int, int]:
    """A worker: the pipe of its last words, and its process."""
    reads, writes = os.pipe()
    if process := os.fork():
        os.close(writes)
        return reads, process
    code = 1
    try:
        os.close(reads)
        _Worker(settings, board, number, writes).work()
        code = 0
    except BaseException:  # a fork never returns into its parent's code
        logging.getLogger(__name__).exception("a worker has failed")
    finally:
        os._exit(code)


def _bury(board: Board, pipe: int, process: int) -> None:
    """Count a worker that was killed where it said it would be; SystemExit for any other end."""
    words = os.read(pipe, 4096).decode()
    os.close(pipe)
    _, status, used = os.wait4(process, 0)
    if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL and words):
        raise SystemExit(f"a worker has ended by itself ({status}): {words}")
    tenant, _, point = words.partition(" ")
    board.count(int(tenant), point)
    logging.getLogger(__name__).warning("tenant %s: %s (%.2f s)", tenant, point, used.ru_utime + used.ru_stime)


if __name__ == "__main__":
    main()
