"""One task is planned: who may, when, and what becomes of its faults. The comparison itself is stood in for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared import plan
from shared.claims import TaskClaim
from shared.delta.source import NotTextError
from shared.errors import (
    ConfigurationError,
    CorruptSnapshotError,
    HydrationError,
    LostBlobError,
    RequirementError,
    TransientError,
)
from shared.runs.messages import Step, TableMessage
from shared.runs.model import Phase, Run, Status, TaskPhase
from shared.services import Services
from tests.support.memory import ENVIRONMENT, LEASE, NOW, PROFILES, RUN, Memory

MESSAGE = TableMessage(Step.PLAN, ENVIRONMENT, RUN, PROFILES)
SEGMENTS = "SegmentMembership"
Publish = Callable[[TaskClaim], None]


class Planner:
    """`plan`, with what stands in for the comparison."""

    def __init__(self, memory: Memory, patch: pytest.MonkeyPatch) -> None:
        self.memory, self.mended = memory, list[bool]()
        self.publish: Publish = publish("first")
        patch.setattr(plan, "_publish", self._publish)

    def _publish(self, services: Services, run: Run, claim: TaskClaim, *, mend: bool) -> None:
        assert (services, run) == (self.memory.services, self.memory.store.run(ENVIRONMENT, RUN))
        self.mended.append(mend)
        self.publish(claim)

    def plan(self, message: TableMessage = MESSAGE) -> str:
        """Plan it. Returns the attempt that is published, if any."""
        plan.plan(self.memory.services, message)
        return self.memory.store.task(RUN, message.task).attempt


def publish(attempt: str) -> Publish:
    def save(claim: TaskClaim) -> None:
        claim.save(replace(claim.task, phase=TaskPhase.PLANNED, attempt=attempt))

    return save


def failing(fault: HydrationError) -> Publish:
    def fail(_: TaskClaim) -> None:
        raise fault

    return fail


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    return Memory(monkeypatch)


@pytest.fixture
def planner(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> Planner:
    return Planner(memory, monkeypatch)


def test_a_plan_that_was_published_is_never_planned_again(memory: Memory, planner: Planner) -> None:
    memory.run(Phase.PLANNING)
    memory.task()
    memory.task(SEGMENTS)
    assert planner.plan() == "first"
    planner.publish = publish("second")
    assert planner.plan() == "first", "a message that comes twice"


def test_of_two_workers_that_plan_a_task_one_publishes(memory: Memory, planner: Planner) -> None:
    memory.run(Phase.PLANNING)
    memory.task()

    def held_up(claim: TaskClaim) -> None:
        memory.clock.turn(LEASE + 1)
        planner.publish = publish("second")
        planner.plan()  # another worker, because the claim has lapsed meanwhile
        publish("first")(claim)

    planner.publish = held_up
    assert planner.plan() == "second"


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.PREPARING, Phase.SENDING, Phase.ENDED])
def test_only_a_run_that_plans_plans(memory: Memory, planner: Planner, phase: Phase) -> None:
    memory.run(phase)
    memory.task()
    assert planner.plan() == ""


@pytest.mark.parametrize(("runs", "tasks", "asked"), [(1, 1, 2), (2, 1, 2), (2, 2, 1), (1, 2, 2), (2, 1, 1)])
def test_what_belongs_to_another_round_does_nothing(
    memory: Memory, planner: Planner, runs: int, tasks: int, asked: int
) -> None:
    memory.run(Phase.PLANNING, attempt=runs)
    memory.task(round=tasks)
    assert planner.plan(replace(MESSAGE, round=asked)) == ""


def test_other_tables_wait_for_the_profiles(memory: Memory, planner: Planner) -> None:
    memory.run(Phase.PLANNING)
    memory.task()
    memory.task(SEGMENTS)
    assert planner.plan(replace(MESSAGE, task=SEGMENTS)) == ""
    assert planner.plan() == "first"
    assert memory.queues.asked == [f"plan {SEGMENTS}"], "now it may be planned"
    assert planner.plan(replace(MESSAGE, task=SEGMENTS)) == "first"


@pytest.mark.parametrize(("seconds", "attempt"), [(1, ""), (0, "first"), (-1, "first")])
def test_a_task_that_somebody_holds_is_left_to_them(
    memory: Memory, planner: Planner, seconds: int, attempt: str
) -> None:
    memory.run(Phase.PLANNING)
    memory.task(phase=TaskPhase.PLANNING, owner="other", lease_until=NOW + timedelta(seconds=seconds))
    assert planner.plan() == attempt


def test_while_it_is_planned_it_is_held_and_says_so(memory: Memory, planner: Planner) -> None:
    memory.run(Phase.PLANNING)
    memory.task()

    def look(claim: TaskClaim) -> None:
        held = memory.store.task(RUN, PROFILES)
        assert (held.phase, held.status, held.owner, held.tries) == (
            TaskPhase.PLANNING, Status.REFRESHING, "worker", 1,
        )  # fmt: skip
        assert held.lease_until == NOW + timedelta(seconds=LEASE)
        publish("first")(claim)

    planner.publish = look
    assert planner.plan() == "first"
    planned = memory.store.task(RUN, PROFILES)
    assert (planned.owner, planned.lease_until) == ("", None)


def test_the_last_plan_lets_the_run_be_prepared(memory: Memory, planner: Planner) -> None:
    memory.run(Phase.PLANNING)
    memory.task()
    memory.clock.turn(5)
    planner.plan()
    assert memory.store.run(ENVIRONMENT, RUN).phase is Phase.PREPARING
    assert memory.queues.asked == ["prepare"]
    assert memory.store.progress(RUN).moved == memory.clock.time


NOTHING = "Nothing of it was written or removed."


@pytest.mark.parametrize(
    ("fault", "status", "detail"),
    [
        (RequirementError("No keys."), Status.SKIPPED, "No keys."),
        (ConfigurationError("No such entity."), Status.FAILED, f"No such entity. {NOTHING}"),
        (CorruptSnapshotError("A row is cut off."), Status.FAILED, f"A row is cut off. {NOTHING}"),
        (LostBlobError("The state is gone."), Status.FAILED, f"The state is gone. {NOTHING}"),
    ],
)
def test_a_fault_that_stays_ends_the_task_and_says_so(
    memory: Memory, planner: Planner, fault: HydrationError, status: Status, detail: str
) -> None:
    memory.run(Phase.PLANNING)
    memory.task()
    planner.publish = failing(fault)
    planner.plan()
    task = memory.store.task(RUN, PROFILES)
    assert (task.phase, task.status, task.detail) == (TaskPhase.ENDED, status, detail)
    assert memory.queues.asked == ["prepare"], "the others go on"


def test_rows_that_are_no_text_are_planned_again_with_all_texts_mended(memory: Memory, planner: Planner) -> None:
    memory.run(Phase.PLANNING)
    memory.task()

    def unreadable(claim: TaskClaim) -> None:
        if not planner.mended[-1]:
            raise NotTextError("no text")
        publish("mended")(claim)

    planner.publish = unreadable
    assert planner.plan() == "mended"
    assert planner.mended == [False, True]


def test_a_fault_that_may_pass_gives_the_task_back_and_is_tried_again(memory: Memory, planner: Planner) -> None:
    memory.run(Phase.PLANNING)
    memory.task()
    planner.publish = failing(TransientError("The lake did not answer."))
    with pytest.raises(TransientError):
        planner.plan()
    task = memory.store.task(RUN, PROFILES)
    assert (task.phase, task.owner, task.tries) == (TaskPhase.WAITING, "", 0)


def test_where_the_lake_has_changed_meanwhile_the_run_waits_and_plans_anew(memory: Memory, planner: Planner) -> None:
    memory.run(Phase.PLANNING)
    memory.task()
    memory.fingerprint = "another one"
    planner.publish = failing(TransientError("A file is gone."))
    planner.plan()
    run = memory.store.run(ENVIRONMENT, RUN)
    assert (run.phase, run.fingerprint, run.attempt) == (Phase.WAITING, "", 2)
    assert memory.store.lock(ENVIRONMENT).run == ""
    assert memory.queues.asked == []
