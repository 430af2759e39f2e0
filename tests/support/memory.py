"""The app's parts in memory, for tests of one step of it: the real store over tables in memory, bags for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shared.errors import LostBlobError
from shared.runs import store
from shared.runs.messages import ChunkMessage, TableMessage
from shared.runs.model import Chunk, Environment, Kind, Phase, Run, Task, TaskPhase
from shared.runs.rows import Lock
from shared.runs.store import Store
from shared.services import Services
from tests.simulation.tables import Service, Storage

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
ENVIRONMENT, RUN, PROFILES = "environment", "20261122T100000000000-abcdef", "CustomerProfile"
LEASE = 300


@dataclass
class Clock:
    """A time that only the test turns."""

    time: datetime = NOW

    def now(self) -> datetime:
        return self.time

    def learn(self, _: datetime) -> None:
        """It is right."""

    def turn(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class Queues:
    """What was asked for, and for when."""

    steps: list[tuple[TableMessage, datetime | None]] = field(default_factory=list)
    chunks: list[tuple[Kind, ChunkMessage, datetime | None]] = field(default_factory=list)

    def send_step(self, *messages: TableMessage, at: datetime | None = None) -> None:
        self.steps += [(message, at) for message in messages]

    def send_chunks(self, kind: Kind, messages: Sequence[ChunkMessage], *, at: datetime | None = None) -> None:
        self.chunks += [(kind, message, at) for message in messages]

    @property
    def asked(self) -> list[str]:
        """The steps, shortly."""
        return [f"{message.step} {message.task}".strip() for message, _ in self.steps]


class Blobs(dict[str, bytes]):
    """Blobs by path."""

    def read(self, path: str) -> bytes:
        if path not in self:
            raise LostBlobError(path)
        return self[path]

    def write(self, path: str, content: bytes) -> None:
        self[path] = content


class Memory:
    """One environment and its app. `services` is what the app's functions take."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.clock, self.queues, self.blobs = Clock(), Queues(), Blobs()
        self.storage = Storage(lambda *_: None)
        self.fingerprint, self.organization, self.url = "pinned", "", "https://contoso.crm.dynamics.com"
        patch.setattr(store, "service", lambda *_: Service(cast("Any", self), cast("Any", self.clock)))
        self.store = Store(cast("Any", None), cast("Any", self.clock))
        hydration = SimpleNamespace(
            settle_seconds=60.0, whole_within_seconds=3600.0, publisher_prefix="xy", environments={ENVIRONMENT: None}
        )
        self.services = cast("Services", SimpleNamespace(
            settings=SimpleNamespace(hydration=hydration, lease_seconds=LEASE, dataverse_timeout_seconds=120),
            clock=self.clock, store=self.store, queues=self.queues, blobs=self.blobs, worker="worker",
            lake=SimpleNamespace(snapshot=lambda _: SimpleNamespace(fingerprint=self.fingerprint)),
            patience=SimpleNamespace(settle=60, whole_within=3600, resend=LEASE, tries=10),
            environment=lambda _: SimpleNamespace(dataverse_url=self.url),
            dataverse=SimpleNamespace(introduce=lambda _: SimpleNamespace(organization_id=self.organization)),
        ))  # fmt: skip

    # -- what the tables in memory ask of their world ------------------------------------------------------

    @property
    def now(self) -> datetime:
        return self.clock.time

    @staticmethod
    def call(*given: Any, writes: bool = False) -> Any:
        """What carries a call out stands last."""
        del writes
        return given[-1]()

    # -- what tests begin with -----------------------------------------------------------------------------

    def run(self, phase: Phase, **fields: Any) -> Run:
        """A run that holds the environment, unless it waits or has ended."""
        run = Run(RUN, ENVIRONMENT, phase=phase, fingerprint="pinned", opened=NOW, **fields)
        held = phase not in {Phase.WAITING, Phase.ENDED}
        self.store.save_environment(Environment(ENVIRONMENT))
        return self.store.save_runs([run], lock=Lock(RUN) if held else None)[0]

    def task(self, key: str = PROFILES, phase: TaskPhase = TaskPhase.WAITING, **fields: Any) -> Task:
        """A task of the run."""
        return self.store.save_task(Task(RUN, key, key, Kind.TABLE, key, phase=phase, **fields))

    def chunk(self, task: Task, number: int = 1, stage: int = 1, **fields: Any) -> Chunk:
        """An open chunk of the task's published plan."""
        self.store.add_chunks([replace(Chunk(RUN, task.key, task.attempt, number, stage, 4), **fields)])
        found = self.store.chunk(task, stage, number)
        assert found is not None
        return found

    def message(self, task: Task, number: int = 1, stage: int = 1) -> ChunkMessage:
        return ChunkMessage(ENVIRONMENT, RUN, task.key, task.attempt, stage, number)
