"""Messages that are dead, poison or too late: what they were to do ends with the reason, and the others go on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared import deliver, send
from shared.runs.messages import ChunkMessage, Step, TableMessage, encode
from shared.runs.model import Kind, Phase, Run, Status, Task, TaskPhase
from tests.support.memory import ENVIRONMENT, LEASE, NOW, PROFILES, RUN, Memory

SEGMENTS = "SegmentMembership"


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    return Memory(monkeypatch)


def sending(memory: Memory) -> tuple[Run, Task, ChunkMessage]:
    """A run that sends, with one open chunk of two rows in flight."""
    run = memory.run(Phase.SENDING, stage=1, dispatched=1)
    task = memory.task(PROFILES, TaskPhase.PLANNED, attempt="attempt")
    memory.chunk(task, begun=2)
    return run, task, memory.message(task)


def test_a_dead_chunk_ends_as_it_is_and_its_task_fails_and_closes(memory: Memory) -> None:
    _, task, message = sending(memory)
    deliver.dead_chunk(memory.services, encode(message), "too many deliveries")
    reason = "A chunk's message was given up: too many deliveries"
    chunk = memory.store.chunk(task, 1, 1)
    assert chunk is not None
    assert (chunk.done, chunk.failure, chunk.sent, chunk.begun) == (True, reason, 0, 2)
    assert memory.store.task(RUN, PROFILES).failure == reason
    assert memory.queues.asked == [f"close {PROFILES}"]


def test_a_dead_chunk_that_somebody_holds_is_left_to_them(memory: Memory) -> None:
    _, task, message = sending(memory)
    chunk = memory.store.chunk(task, 1, 1)
    assert chunk is not None
    memory.store.save_chunk(replace(chunk, owner="other", lease_until=NOW + timedelta(seconds=1)))
    deliver.dead_chunk(memory.services, encode(message), "too many deliveries")
    chunk = memory.store.chunk(task, 1, 1)
    assert chunk is not None
    assert not chunk.done
    assert memory.store.task(RUN, PROFILES).failure, "nothing more of the task is sent"


def test_a_dead_chunk_whose_claim_has_lapsed_ends(memory: Memory) -> None:
    _, task, message = sending(memory)
    chunk = memory.store.chunk(task, 1, 1)
    assert chunk is not None
    memory.store.save_chunk(replace(chunk, owner="other", lease_until=NOW))
    deliver.dead_chunk(memory.services, encode(message), "too many deliveries")
    chunk = memory.store.chunk(task, 1, 1)
    assert chunk is not None
    assert chunk.done


@pytest.mark.parametrize("change", [{"attempt": "another"}, {"number": 2}])
def test_a_dead_chunk_of_another_plan_fails_nobody(memory: Memory, change: dict[str, object]) -> None:
    _, task, message = sending(memory)
    deliver.dead_chunk(memory.services, encode(replace(message, **change)), "dead")  # type: ignore[arg-type]
    assert memory.store.task(RUN, PROFILES).failure == ""
    assert len(memory.store.open_chunks(task, up_to=4)) == 1


def test_a_dead_chunk_of_a_task_that_has_ended_changes_nothing(memory: Memory) -> None:
    _, task, message = sending(memory)
    memory.store.save_task(replace(task, phase=TaskPhase.ENDED, status=Status.SUCCESSFUL))
    deliver.dead_chunk(memory.services, encode(message), "dead")
    assert memory.store.task(RUN, PROFILES).failure == ""
    assert len(memory.store.open_chunks(task, up_to=4)) == 1


def test_a_dead_message_of_a_chunk_that_is_done_fails_nobody(memory: Memory) -> None:
    _, task, message = sending(memory)
    chunk = memory.store.chunk(task, 1, 1)
    assert chunk is not None
    memory.store.conclude_chunk(chunk)
    deliver.dead_chunk(memory.services, encode(message), "dead")
    assert memory.store.task(RUN, PROFILES).failure == ""


def test_the_first_reason_for_which_a_task_failed_stays(memory: Memory) -> None:
    _, task, _ = sending(memory)
    send.fail(memory.services, task, "first")
    send.fail(memory.services, memory.store.task(RUN, PROFILES), "second")
    assert memory.store.task(RUN, PROFILES).failure == "first"


def test_a_task_that_changes_meanwhile_fails_all_the_same(memory: Memory) -> None:
    _, task, _ = sending(memory)
    memory.store.save_task(replace(task, chunks=7))
    send.fail(memory.services, task, "reason")
    found = memory.store.task(RUN, PROFILES)
    assert (found.failure, found.chunks) == ("reason", 7)


@pytest.mark.parametrize("body", [b"", b"null", b"\xff", b"{}"])
def test_a_poison_message_among_the_dead_is_dropped(memory: Memory, body: bytes) -> None:
    sending(memory)
    deliver.dead_step(memory.services, body, "poison")
    deliver.dead_chunk(memory.services, body, "poison")
    assert memory.store.task(RUN, PROFILES).failure == ""


def test_messages_of_runs_and_tasks_that_are_gone_are_dropped(memory: Memory) -> None:
    for task in ("", PROFILES):
        for step in Step:
            deliver.step(memory.services, encode(TableMessage(step, ENVIRONMENT, RUN, task)))
            deliver.dead_step(memory.services, encode(TableMessage(step, ENVIRONMENT, RUN, task)), "dead")
    message = ChunkMessage(ENVIRONMENT, RUN, PROFILES, "attempt", 1, 1)
    deliver.chunk(memory.services, encode(message), Kind.TABLE)
    deliver.dead_chunk(memory.services, encode(message), "dead")
    assert (memory.queues.steps, memory.queues.chunks) == ([], [])


def test_a_dead_plan_fails_its_task_and_the_others_go_on(memory: Memory) -> None:
    memory.run(Phase.PLANNING)
    memory.task()
    memory.task(SEGMENTS)
    deliver.dead_step(memory.services, encode(TableMessage(Step.PLAN, ENVIRONMENT, RUN, PROFILES)), "no reason")
    task = memory.store.task(RUN, PROFILES)
    assert (task.status, task.detail) == (Status.FAILED, "Its message was given up: no reason")
    assert f"plan {SEGMENTS}" in memory.queues.asked


def test_a_dead_plan_of_a_task_that_somebody_plans_fails_nothing(memory: Memory) -> None:
    memory.run(Phase.PLANNING)
    memory.task(phase=TaskPhase.PLANNING, owner="other", lease_until=NOW + timedelta(seconds=LEASE))
    deliver.dead_step(memory.services, encode(TableMessage(Step.PLAN, ENVIRONMENT, RUN, PROFILES)), "dead")
    assert memory.store.task(RUN, PROFILES).phase is TaskPhase.PLANNING


@pytest.mark.parametrize(("step", "phase"), [(Step.START, Phase.STARTING), (Step.PREPARE, Phase.PREPARING)])
def test_a_dead_beginning_ends_the_run_and_frees_the_environment(memory: Memory, step: Step, phase: Phase) -> None:
    memory.run(phase)
    deliver.dead_step(memory.services, encode(TableMessage(step, ENVIRONMENT, RUN)), "dead")
    run = memory.store.run(ENVIRONMENT, RUN)
    assert (run.phase, run.status, run.detail) == (Phase.ENDED, Status.FAILED, "Its message was given up: dead")
    assert memory.store.lock(ENVIRONMENT).run == ""


@pytest.mark.parametrize(("step", "phase"), [(Step.START, Phase.PLANNING), (Step.PREPARE, Phase.SENDING)])
def test_a_dead_message_of_what_was_done_already_ends_nothing(memory: Memory, step: Step, phase: Phase) -> None:
    memory.run(phase)
    deliver.dead_step(memory.services, encode(TableMessage(step, ENVIRONMENT, RUN)), "dead")
    assert memory.store.run(ENVIRONMENT, RUN).phase is phase


def test_a_dead_message_of_an_earlier_round_ends_nothing(memory: Memory) -> None:
    memory.run(Phase.STARTING, attempt=2)
    deliver.dead_step(memory.services, encode(TableMessage(Step.START, ENVIRONMENT, RUN, round=1)), "dead")
    assert memory.store.run(ENVIRONMENT, RUN).phase is Phase.STARTING
