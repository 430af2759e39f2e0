"""The open chunks of a run that sends: which are looked at, asked for, and concluded as they are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared import dispatch
from shared.runs.model import LAST_STAGE, PROFILE_REMOVALS, ROWS, Kind, Phase, Task, TaskPhase
from tests.support.memory import ENVIRONMENT, NOW, RUN, Memory

LATER = NOW + timedelta(seconds=1)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    return Memory(monkeypatch)


def planned(memory: Memory, key: str, chunks: int, **fields: Any) -> Task:
    return memory.task(key, fields.pop("phase", TaskPhase.PLANNED), attempt="attempt", chunks=chunks, **fields)


def asked(memory: Memory) -> list[tuple[str, int]]:
    return [(message.task, message.number) for _, message, _ in memory.queues.chunks]


def test_the_lowest_stage_of_an_open_chunk_is_told_by_task(memory: Memory) -> None:
    run, task = memory.run(Phase.SENDING), planned(memory, "a", 2)
    memory.chunk(task, 1, ROWS)
    memory.chunk(task, 2, PROFILE_REMOVALS)
    done = planned(memory, "b", 1)
    memory.store.conclude_chunk(memory.chunk(done))
    assert dispatch.open_stages(memory.services, run, [task, done]) == {"a": ROWS}


def test_a_plan_without_chunks_and_a_task_that_has_ended_cost_no_look(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [planned(memory, "empty", 0), planned(memory, "ended", 3, phase=TaskPhase.ENDED)]
    run = memory.run(Phase.SENDING)
    monkeypatch.setattr(memory.store, "open_chunks", lambda *_, **__: pytest.fail("it was looked at"))
    assert dispatch.open_stages(memory.services, run, tasks) == {}
    dispatch.dispatch(memory.services, run, tasks, ROWS, held=True)
    assert asked(memory) == []


def test_before_it_sends_a_run_has_no_open_stages(memory: Memory) -> None:
    task = planned(memory, "a", 1)
    memory.chunk(task)
    assert dispatch.open_stages(memory.services, memory.run(Phase.PREPARING), [task]) == {}


def test_chunks_of_the_stage_that_nobody_holds_are_asked_for(memory: Memory) -> None:
    run, task = memory.run(Phase.SENDING, stage=ROWS), planned(memory, "a", 5)
    memory.chunk(task, 1, ROWS)
    memory.chunk(task, 2, ROWS, owner="other", lease_until=LATER)
    memory.chunk(task, 3, ROWS, owner="other", lease_until=NOW)
    memory.chunk(task, 4, PROFILE_REMOVALS)
    dispatch.dispatch(memory.services, run, [task], ROWS, held=False)
    messages = [memory.message(task, number, ROWS) for number in (1, 3)]
    assert memory.queues.chunks == [(Kind.TABLE, message, None) for message in messages]
    assert memory.store.run(ENVIRONMENT, RUN).dispatched == ROWS
    dispatch.dispatch(memory.services, memory.store.run(ENVIRONMENT, RUN), [task], ROWS, held=True)
    assert asked(memory)[2:] == [("a", 1), ("a", 2), ("a", 3)]


def test_what_nobody_holds_is_concluded_as_it_is(memory: Memory) -> None:
    task = planned(memory, "a", 3)
    memory.chunk(task, 1, ROWS)
    memory.chunk(task, 2, PROFILE_REMOVALS, lease_until=LATER)  # put off, and nobody's
    memory.chunk(task, 3, ROWS, owner="other", lease_until=LATER)
    assert dispatch.conclude(memory.services, task)
    assert [chunk.number for chunk in memory.store.open_chunks(task, up_to=LAST_STAGE)] == [3]
    assert not dispatch.conclude(memory.services, task), "who holds it concludes it"
    memory.clock.turn(1)
    assert dispatch.conclude(memory.services, task)
    assert memory.store.open_chunks(task, up_to=LAST_STAGE) == []
