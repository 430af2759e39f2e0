"""Chunks on their way, over the app's parts in memory: what a call comes to, the test says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shared import send
from shared.dataverse.bulk import RowFault, TableName
from shared.delta import chunks
from shared.runs import paths
from shared.runs.messages import ChunkMessage
from shared.runs.model import Chunk, Phase, Run, Task, TaskPhase
from shared.send import Later
from tests.support.memory import ENVIRONMENT, PROFILES, Memory

IDS = [f"00000000-0000-4000-8000-{number:012}" for number in range(4)]
Script = Callable[["Call"], list[RowFault]]


@dataclass
class Call:
    """One call of the writer, as it was made."""

    action: str
    ids: list[str]
    key: str
    table: TableName
    before: Callable[[], None]
    bypass: bool
    final: bool
    user: Any
    sized_for: str  # the action that its size was chosen for


@dataclass
class Sender:
    """A run that sends one chunk of four rows, two a call."""

    memory: Memory
    patch: pytest.MonkeyPatch
    calls: list[Call] = field(default_factory=list)
    script: Script = lambda _: []
    sized_for: str = ""

    def __post_init__(self) -> None:
        limiter = SimpleNamespace(hold_seconds=lambda: 0.0)
        self.user = SimpleNamespace(bypass_in_force=True, organization_id=None, limiter=limiter)
        of = {self.memory.url: self.user}  # an organization has its own users, and its own sizes of calls
        dataverse = SimpleNamespace(sender=lambda url: of[url], sizes=lambda url: f"sizes of {url}")
        cast("Any", self.memory.services).dataverse = dataverse
        self.patch.setattr(send, "Writer", self._writer)

    def begin(self, stage: int = 1, *, subject: str = PROFILES, **fields: Any) -> ChunkMessage:
        """A run in this stage, with a task and its chunk."""
        self.run: Run = self.memory.run(Phase.SENDING, stage=stage, dispatched=stage)
        task = self.memory.task(
            subject, TaskPhase.PLANNED, attempt="attempt", primary_id="id", set_name="sets", **fields
        )
        return self.add(task, stage=stage)

    def add(self, task: Task, number: int = 1, stage: int = 1) -> ChunkMessage:
        """A chunk of the task; removals are bare GUIDs."""
        removes = stage == task.remove_stage and task.kind == "table"
        records = [one.encode() if removes else json.dumps({"id": one}).encode() for one in IDS]
        self.memory.blobs[paths.chunk(self.folder(task), number)] = chunks.pack(records)
        self.memory.chunk(task, number, stage)
        return self.memory.message(task, number, stage)

    @staticmethod
    def folder(task: Task) -> str:
        return paths.plan(ENVIRONMENT, task, task.attempt)

    def send(self, message: ChunkMessage) -> Later | None:
        return send.send(self.memory.services, message)

    def chunk(self, message: ChunkMessage) -> Chunk:
        """As it is stored."""
        found = self.memory.store.chunk(self.task(message), message.stage, message.number)
        assert found is not None
        return found

    def task(self, message: ChunkMessage) -> Task:
        return self.memory.store.task(message.run, message.task)

    def noted(self, message: ChunkMessage) -> dict[str, list[Any]]:
        """The exceptions that the chunk's row names."""
        path = paths.exceptions(self.folder(self.task(message)), message.number, self.chunk(message).noted)
        return cast("dict[str, list[Any]]", json.loads(self.memory.blobs[path]))

    def _writer(
        self, client: Any, table: TableName, sizes: str, before: Callable[[], None], *, bypass: bool, final: bool
    ) -> Any:
        assert sizes == f"sizes of {self.memory.url}"

        def call(action: str) -> Callable[..., list[RowFault]]:
            def made(records: list[Any], *, key: str = "") -> list[RowFault]:
                ids = [one if isinstance(one, str) else json.loads(one)["id"] for one in records]
                self.calls.append(Call(action, ids, key, table, before, bypass, final, client, self.sized_for))
                before()
                return self.script(self.calls[-1])

            return made

        return SimpleNamespace(
            client=client, upsert=call("upsert"), update=call("update"), delete=call("delete"),
            reach=self._reach,
        )  # fmt: skip

    def _reach(self, records: list[Any], start: int, action: str) -> int:
        self.sized_for = action
        return min(start + 2, len(records))
