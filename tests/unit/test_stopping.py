"""A run that is stopped: nothing is begun, what is under way ends, and its tasks tell how far it came."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.delta.counts import Counts
from shared.runs.model import PROFILES, ROWS, Kind, Phase, Run, Status, Task, TaskPhase
from shared.runs.outcome import NOTHING_WRITTEN
from shared.runs.reconcile import Action, Conclude, EndRun, EndTask, Patience, SendClose, reconcile

NOW = datetime(2026, 11, 2, 3, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)
CANCELED = "Canceled: Wrong files."
HELD = [Phase.STARTING, Phase.PLANNING, Phase.PREPARING, Phase.SENDING]


def run(phase: Phase, **fields: Any) -> Run:
    return replace(Run("r", "e", phase=phase, updated=NOW, stopped=CANCELED), **fields)


def task(key: str, phase: TaskPhase = TaskPhase.PLANNED, **fields: Any) -> Task:
    return replace(Task("r", key, key, Kind.TABLE, key, phase=phase), **fields)


def decide(found: Run, *tasks: Task, open_stage: dict[str, int] | None = None, paused: bool = False) -> list[Action]:
    patience = Patience(settle=0, whole_within=0, resend=300)
    return reconcile(found, tasks, open_stage or {}, now=NOW, moved=None, patience=patience, paused=paused)


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.PLANNING, Phase.PREPARING])
def test_before_anything_is_sent_tasks_end_and_then_the_run(phase: Phase) -> None:
    ended, planned = task("a", TaskPhase.ENDED), task("b")
    planning = task("c", TaskPhase.PLANNING, owner="w", lease_until=LATER)
    assert decide(run(phase), ended, planned, planning) == [
        EndTask(planned, Status.CANCELED, NOTHING_WRITTEN),
        EndTask(planning, Status.CANCELED, NOTHING_WRITTEN),
    ]
    assert decide(run(phase), ended) == decide(run(phase)) == [EndRun(Status.CANCELED, CANCELED)]


def test_a_run_that_cannot_begin_ends_failed() -> None:
    stopped = run(Phase.PREPARING, stopped="Why.", ends_as=Status.FAILED)
    assert decide(stopped, task("a")) == [EndTask(task("a"), Status.FAILED, NOTHING_WRITTEN)]
    assert decide(stopped) == [EndRun(Status.FAILED, "Why.")]


def test_amid_the_sending_open_chunks_are_concluded_and_tasks_without_any_closed() -> None:
    held = task("c", owner="w", lease_until=LATER)
    found = decide(run(Phase.SENDING, stage=PROFILES), task("a"), task("b"), held, open_stage={"a": ROWS})
    assert found == [Conclude(task("a")), SendClose(task("b"))]
    lapsed = replace(held, lease_until=NOW)
    assert decide(run(Phase.SENDING), lapsed) == [SendClose(lapsed)]


def test_when_all_tasks_have_ended_the_run_says_why_and_what_they_came_to() -> None:
    some = task("some", TaskPhase.ENDED, status=Status.CANCELED, detail="Stopped.\nMore.", counts=Counts(unsent=1))
    whole = task("all", TaskPhase.ENDED, status=Status.SUCCESSFUL, counts=Counts(writes=3))
    failed = task("bad", TaskPhase.ENDED, status=Status.FAILED, detail="Broken.")
    assert decide(run(Phase.SENDING), some, whole) == [EndRun(Status.CANCELED, f"{CANCELED} some: Stopped.")]
    assert decide(run(Phase.SENDING), some, failed) == [EndRun(Status.FAILED, f"{CANCELED} bad: Broken.")]
    assert decide(run(Phase.SENDING), whole) == [
        EndRun(Status.SUCCESSFUL, "3 rows written to Dataverse. All had been sent when it was canceled.")
    ]


@pytest.mark.parametrize("phase", [Phase.WAITING, Phase.ENDED])
def test_what_does_not_have_the_environment_needs_nothing(phase: Phase) -> None:
    assert decide(run(phase), task("a", TaskPhase.WAITING)) == []


phases = st.sampled_from(TaskPhase)


@given(
    found=st.dictionaries(st.sampled_from("abc"), phases),
    open_stage=st.dictionaries(st.sampled_from("abc"), st.integers(1, 4)),
    paused_and_held=st.tuples(st.booleans(), st.booleans()),
    where=st.tuples(st.sampled_from(HELD), st.integers(0, 4)),
)
def test_nothing_is_ever_begun(
    found: dict[str, TaskPhase],
    open_stage: dict[str, int],
    paused_and_held: tuple[bool, bool],
    where: tuple[Phase, int],
) -> None:
    (paused, held), (phase, stage) = paused_and_held, where
    owned: dict[str, Any] = {"owner": "w", "lease_until": LATER} if held else {}
    tasks = [task(key, one, **owned) for key, one in found.items()]
    actions = decide(run(phase, stage=stage), *tasks, open_stage=open_stage, paused=paused)
    assert all(isinstance(action, Conclude | EndTask | SendClose | EndRun) for action in actions)
    assert {type(action) for action in actions} != {EndRun} or all(one is TaskPhase.ENDED for one in found.values())
    assert actions or held, "it goes on whenever nobody is at it"
