"""Runs take turns, give them back and end: who holds an environment, over the real store."""

from __future__ import annotations

from typing import Any, cast

import pytest

from shared import lifecycle
from shared.errors import ConflictError
from shared.runs import openings
from shared.runs.model import Mode, Phase, Run, Status, TaskPhase
from shared.runs.rows import Lock, Pointer
from tests.support.memory import ENVIRONMENT, LEASE, PROFILES, RUN, Memory

OTHER = "20261122T110000000000-abcdef"


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    return Memory(monkeypatch)


def waiting(memory: Memory) -> None:
    memory.store.save_run(Run(OTHER, ENVIRONMENT, fingerprint="newer"))


def test_a_run_waits_while_another_one_has_the_environment(memory: Memory) -> None:
    memory.run(Phase.SENDING)
    waiting(memory)
    lifecycle.start_next(memory.services, ENVIRONMENT)
    assert memory.store.lock(ENVIRONMENT).run == RUN
    assert memory.store.run(ENVIRONMENT, OTHER).phase is Phase.WAITING
    assert memory.queues.asked == []


def test_the_next_run_starts_when_one_ends(memory: Memory) -> None:
    run = memory.run(Phase.SENDING)
    waiting(memory)
    lifecycle.end_run(memory.services, run, Status.SUCCESSFUL, "done")
    assert memory.store.lock(ENVIRONMENT).run == OTHER
    assert memory.store.run(ENVIRONMENT, OTHER).phase is Phase.STARTING
    assert memory.queues.asked == ["start"]


def test_who_ends_a_run_that_has_moved_on_changes_nothing(memory: Memory) -> None:
    run = memory.run(Phase.SENDING)
    memory.store.save_run(run)
    with pytest.raises(ConflictError):
        lifecycle.end_run(memory.services, run, Status.SUCCESSFUL, "done")
    assert memory.store.lock(ENVIRONMENT).run == RUN


def test_a_run_whose_lake_changed_gives_its_turn_back(memory: Memory) -> None:
    run = memory.run(Phase.PREPARING)
    assert not lifecycle.requeue_if_changed(memory.services, run), "it is still what was pinned"
    memory.fingerprint = "another one"
    assert lifecycle.requeue_if_changed(memory.services, run)
    again = memory.store.run(ENVIRONMENT, RUN)
    assert (again.phase, again.status, again.fingerprint, again.attempt) == (Phase.WAITING, Status.QUEUED, "", 2)
    assert memory.store.lock(ENVIRONMENT).run == ""


def test_what_confirms_another_run_has_no_snapshot_that_could_change(memory: Memory) -> None:
    run = memory.run(Phase.PREPARING, mode=Mode.CONFIRM)
    memory.fingerprint = "another one"
    assert not lifecycle.requeue_if_changed(memory.services, run)


def test_tasks_of_an_earlier_round_are_none_of_the_run(memory: Memory) -> None:
    run = memory.run(Phase.PLANNING, attempt=2)
    memory.task("old", TaskPhase.PLANNED, round=1)
    memory.task(PROFILES, round=2)
    assert [task.key for task in lifecycle.tasks_of(memory.services, run)] == [PROFILES]


def test_a_pointer_moves_only_from_the_version_that_was_read(memory: Memory) -> None:
    memory.store.save_pointer("organization", "xy", Pointer("first", table=PROFILES))
    read = memory.store.pointer("organization", "xy", PROFILES)
    memory.store.save_pointer("organization", "xy", read)
    with pytest.raises(ConflictError):
        memory.store.save_pointer("organization", "xy", Pointer("late", table=PROFILES, etag=read.etag))
    with pytest.raises(ConflictError):
        memory.store.save_pointer("organization", "xy", Pointer("new", table=PROFILES))
    assert memory.store.pointer("organization", "xy", PROFILES).path == "first"


def test_the_lock_and_the_run_change_together_or_not_at_all(memory: Memory) -> None:
    run = memory.run(Phase.SENDING)
    with pytest.raises(ConflictError):
        memory.store.save_runs([run], lock=Lock(""))
    assert memory.store.run(ENVIRONMENT, RUN) == run


def test_a_run_of_an_environment_that_is_configured_no_more_ends_and_says_why(memory: Memory) -> None:
    waiting(memory)
    memory.services.settings.hydration.environments.clear()  # type: ignore[attr-defined]
    lifecycle.look(memory.services, ENVIRONMENT)
    ended = memory.store.run(ENVIRONMENT, OTHER)
    assert (ended.phase, ended.status) == (Phase.ENDED, Status.SKIPPED)
    assert ended.detail.startswith(f"Not configured: the lake has a folder ci_{ENVIRONMENT}, hydration.toml has no")


def test_what_waits_for_an_environment_that_left_the_configuration_ends_and_says_so(memory: Memory) -> None:
    """Nobody would ever start it; and one run tells of the folder, however often it is looked at."""
    memory.run(Phase.WAITING, mode=Mode.VERIFY)
    cast("Any", memory.services.settings.hydration.environments).clear()
    for _ in range(2):
        assert lifecycle.look(memory.services, ENVIRONMENT) == "not configured"
        told, waited = sorted(memory.store.runs(ENVIRONMENT), key=lambda run: run.id == RUN)
        assert (waited.phase, waited.status) == (Phase.ENDED, Status.SKIPPED)
        assert waited.detail == openings.no_longer_configured(ENVIRONMENT)
        assert (told.phase, told.status) == (Phase.ENDED, Status.SKIPPED)
    assert memory.queues.asked == []


def test_a_closing_is_asked_for_once_and_again_when_its_message_must_be_lost(memory: Memory) -> None:
    """Every look would ask for it, and each of its messages reads the run and the task."""
    memory.run(Phase.SENDING)
    memory.task(phase=TaskPhase.PLANNED, attempt="attempt")
    for _ in range(3):
        lifecycle.advance(memory.services, ENVIRONMENT, RUN)
    assert memory.queues.asked == [f"close {PROFILES}"]
    memory.clock.turn(LEASE)
    lifecycle.advance(memory.services, ENVIRONMENT, RUN)
    assert memory.queues.asked == [f"close {PROFILES}"] * 2
