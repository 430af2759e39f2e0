"""The app's services with labelled points at which their process kills itself: no clean-up, sockets torn.

Each class stands over the real one, and asks at its points whether this is the worker's last moment.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from shared.blobs import Blobs
from shared.clock import Clock
from shared.dataverse.client import Client
from shared.dataverse.signin import Credentials
from shared.lake.storage import Lake
from shared.organizations import Organizations
from shared.runs.messages import ChunkMessage, Step, TableMessage
from shared.runs.model import LAST_STAGE, Chunk, Environment, Kind, Phase, Run, Status, Task, TaskPhase
from shared.runs.queues import Queues
from shared.runs.reconcile import Patience
from shared.runs.rows import Lock, Pointer
from shared.runs.store import Store
from shared.services import Services
from shared.settings import Settings
from shared.throttling import Throttling
from tests.support.kill_board import Board, tenant_of

_RESEND_LEASES = 2
_CHANCE = 0.6  # of dying at a point where somebody is to die: so it is not always the first one there


class Deaths:
    """When this process dies. `says` is where its last words go."""

    def __init__(self, board: Board, draw: random.Random, says: int) -> None:
        self._board, self._draw, self._says = board, draw, says
        self.environment = ""  # whose message is handled, or whose run is moved on
        self.step: Step | None = None  # what the message asks for
        self.sends = False  # it is a chunk's
        self.known = False  # the chunk's row says what became of it

    def begin(self, message: TableMessage | ChunkMessage) -> None:
        """A message is handled."""
        self.environment, self.known = message.environment, False
        self.step = message.step if isinstance(message, TableMessage) else None
        self.sends = isinstance(message, ChunkMessage)

    def wanted(self, point: str, environment: str = "") -> bool:
        where = environment or self.environment
        return bool(where) and self._board.left(tenant_of(where), point) > 0

    def at(self, point: str, environment: str = "") -> None:
        """A point is reached: die, if somebody is to die here."""
        if not self.wanted(point, environment) or self._draw.random() > _CHANCE:
            return
        tenant = tenant_of(environment or self.environment)
        self._board.take(tenant, point)
        os.write(self._says, f"{tenant} {point}".encode())
        os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()


class _Store(Store):
    deaths: Deaths
    board: Board

    def environments(self) -> list[Environment]:
        """Those whose day is not over: nothing is to be done for the others."""
        return [one for one in super().environments() if self.board.is_open(tenant_of(one.id))]

    def run(self, environment: str, run: str) -> Run:
        self.deaths.environment = environment
        return super().run(environment, run)

    def save_runs(
        self, runs: Sequence[Run], *, environment: Environment | None = None, lock: Lock | None = None
    ) -> list[Run]:
        run = runs[0]
        if run.phase is Phase.STARTING and lock is not None and lock.last:
            self.deaths.at("run ended, next run not started", run.environment)
        if run.phase is Phase.SENDING and run.stage > run.dispatched:
            self.deaths.at("task ended, next stage not opened", run.environment)
        saved = super().save_runs(runs, environment=environment, lock=lock)
        if any(one.phase is Phase.WAITING and not one.etag for one in runs):
            self.deaths.at("run opened, messages not sent", run.environment)
        ended = "run ended, next run not started"
        is_wanted = run.phase is Phase.ENDED and self.deaths.wanted(ended, run.environment)
        if is_wanted and self.waiting_runs(run.environment):
            self.deaths.at(ended, run.environment)
        return saved

    def save_task(self, task: Task) -> Task:
        closes = self.deaths.step is Step.CLOSE and task.phase is TaskPhase.ENDED
        if closes and task.status is not Status.FAILED:
            self.deaths.at("state committed, task not ended")
        saved = super().save_task(task)
        if closes:
            self.deaths.at("task ended, next stage not opened")
        if self.deaths.step is Step.PLAN and task.phase is TaskPhase.PLANNED:
            self.deaths.at("plan published, messages not sent")
        return saved

    def add_chunks(self, chunks: Sequence[Chunk]) -> None:
        super().add_chunks(chunks)
        if chunks:
            self.deaths.at("chunk files written, plan not published")

    def chunk(self, task: Task, stage: int, number: int) -> Chunk | None:
        found = super().chunk(task, stage, number)
        self.deaths.known |= found is not None and found.done
        return found

    def conclude_chunk(self, chunk: Chunk) -> None:
        super().conclude_chunk(chunk)
        self.deaths.known = True
        last = "last chunk concluded, task not closed"
        if self.deaths.wanted(last) and not self.open_chunks(self.task(chunk.run, chunk.task), up_to=LAST_STAGE):
            self.deaths.at(last)

    def save_pointer(self, organization: str, prefix: str, pointer: Pointer) -> None:
        super().save_pointer(organization, prefix, pointer)
        if self.deaths.step is Step.CLOSE and not pointer.pending:
            self.deaths.at("state committed, task not ended")


class _Lake(Lake):
    board: Board

    def environments(self) -> list[str]:
        """Those that have landed, and whose day is not over."""
        return [one for one in super().environments() if self.board.is_open(tenant_of(one))]


class _Blobs(Blobs):
    deaths: Deaths

    def read(self, path: str) -> bytes:
        content = super().read(path)
        if "/chunks/" in path:
            self.deaths.at("after read")
        return content


class _Queues(Queues):
    deaths: Deaths
    store: Store

    def send_step(self, *messages: TableMessage, at: datetime | None = None) -> None:
        first = messages[0]
        if first.step is Step.START:
            self.deaths.at("run opened, messages not sent", first.environment)
        if first.step is Step.PREPARE:
            self.deaths.at("plan published, messages not sent", first.environment)
        last = "last chunk concluded, task not closed"
        is_wanted = first.step is Step.CLOSE and self.deaths.wanted(last, first.environment)
        if is_wanted and self.store.task(first.run, first.task).chunks:
            self.deaths.at(last, first.environment)
        super().send_step(*messages, at=at)

    def send_chunks(self, kind: Kind, messages: Sequence[ChunkMessage], *, at: datetime | None = None) -> None:
        if at is None:
            self.deaths.at("plan published, messages not sent", messages[0].environment)
        super().send_chunks(kind, messages, at=at)


class _Client(Client):
    deaths: Deaths

    def request(self, method: str, path: str, **given: Any) -> Any:
        writes = self.deaths.sends and method != "GET"
        if writes:
            self.deaths.at("before write")
        answer = super().request(method, path, **given)
        if writes:
            self.deaths.at("after write, before status")
        return answer


class _Organizations(Organizations):
    deaths: Deaths

    def _client(self, url: str, credentials: Credentials) -> Client:
        client = super()._client(url, credentials)
        client.__class__ = _Client
        vars(client)["deaths"] = self.deaths
        return client


class _Services(Services):
    @property
    def patience(self) -> Patience:
        """Leases are short here: what is asked for again after one lease would be under way, for the most part."""
        found = super().patience
        return replace(found, resend=_RESEND_LEASES * found.resend)


def mortal(settings: Settings, worker: str, deaths: Deaths, board: Board) -> Services:
    """The services of a worker that dies when it is to."""
    clock = Clock()
    store, blobs = _Store(settings.status_storage, clock), _Blobs(settings)
    queues = _Queues(settings.service_bus)
    organizations = _Organizations(settings, Throttling(settings.status_storage, clock, worker))
    for part in (store, blobs, queues, organizations):
        vars(part)["deaths"] = deaths
    lake = _Lake(settings)
    store.board, lake.board, queues.store = board, board, store
    return _Services(settings, clock, store, blobs, lake, queues, organizations, worker)
