"""When a task's state may be committed, and what becomes of one that may not. The commit itself is stood in for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared import close
from shared.runs import paths
from shared.runs.messages import Step, TableMessage
from shared.runs.model import Phase, Status, Task, TaskPhase
from shared.runs.rows import Pointer
from tests.support.memory import ENVIRONMENT, LEASE, NOW, PROFILES, RUN, Memory

MESSAGE = TableMessage(Step.CLOSE, ENVIRONMENT, RUN, PROFILES)
BASE, ORGANIZATION, PREFIX = "states/base.parquet", "organization", "xy"


class Closer:
    """`close`, with what stands in for reading and writing the state."""

    def __init__(self, memory: Memory, patch: pytest.MonkeyPatch) -> None:
        self.memory, self.commits = memory, 0
        patch.setattr(close, "_close", self._close)
        memory.run(Phase.SENDING, stage=1, dispatched=1, organization_id=ORGANIZATION)
        self.task: Task = memory.task(PROFILES, TaskPhase.PLANNED, attempt="attempt", base_state=BASE)
        self.points_to(Pointer(BASE, "earlier", "earlier", PROFILES))

    def _close(self, *_: object) -> None:
        self.commits += 1

    def points_to(self, pointer: Pointer) -> None:
        known = self.memory.store.pointer(ORGANIZATION, PREFIX, PROFILES)
        self.memory.store.save_pointer(ORGANIZATION, PREFIX, replace(pointer, etag=known.etag))

    def close(self) -> int:
        """How often it is committed."""
        close.close(self.memory.services, MESSAGE)
        return self.commits


@pytest.fixture
def closer(monkeypatch: pytest.MonkeyPatch) -> Closer:
    return Closer(Memory(monkeypatch), monkeypatch)


def test_a_task_is_closed_when_all_its_chunks_have_an_outcome_and_not_before(closer: Closer) -> None:
    chunk = closer.memory.chunk(closer.task)
    assert closer.close() == 0
    closer.memory.store.conclude_chunk(chunk)
    assert closer.close() == 1


def test_a_state_that_another_run_has_committed_meanwhile_is_not_overwritten(closer: Closer) -> None:
    closer.points_to(Pointer("states/newer.parquet", "newer", "newer", PROFILES))
    assert closer.close() == 0
    task = closer.memory.store.task(RUN, PROFILES)
    assert (task.phase, task.status) == (TaskPhase.ENDED, Status.FAILED)
    pointer = closer.memory.store.pointer(ORGANIZATION, PREFIX, PROFILES)
    assert pointer.path == "states/newer.parquet"
    assert pointer.pending == (paths.delta(paths.plan(ENVIRONMENT, task, "attempt")),), "its rows are uncertain"


def test_what_this_plan_has_committed_itself_is_committed_again_alike(closer: Closer) -> None:
    closer.points_to(Pointer("states/own.parquet", RUN, "attempt", PROFILES))
    assert closer.close() == 1


def test_a_task_that_somebody_closes_is_left_to_them(closer: Closer) -> None:
    held = replace(closer.task, owner="other", lease_until=NOW + timedelta(seconds=LEASE))
    closer.memory.store.save_task(held)
    assert closer.close() == 0


@pytest.mark.parametrize("phase", [TaskPhase.PLANNING, TaskPhase.ENDED])
def test_a_task_that_was_not_planned_or_has_ended_is_not_closed(closer: Closer, phase: TaskPhase) -> None:
    closer.memory.store.save_task(replace(closer.task, phase=phase))
    assert closer.close() == 0
