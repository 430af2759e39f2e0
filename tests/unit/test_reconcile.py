"""What comes next: every branch of the decisions, and what must hold of every history."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.delta.counts import Counts
from shared.runs.model import (
    CHILD_REMOVALS,
    LAST_STAGE,
    PROFILES,
    ROWS,
    UNKNOWN,
    Kind,
    Mode,
    Phase,
    Run,
    Status,
    Task,
    TaskPhase,
)
from shared.runs.outcome import outcome
from shared.runs.reconcile import (
    Action,
    Dispatch,
    EndRun,
    EndTask,
    OpenStage,
    Patience,
    Prepare,
    SendClose,
    SendPlan,
    SendStart,
    plannable,
    reconcile,
)

NOW = datetime(2026, 11, 2, 3, 0, tzinfo=UTC)
PATIENCE = Patience(settle=120, whole_within=7200, resend=300)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


# -- the run that holds the environment ----------------------------------------------------------------


def task(key: str, phase: TaskPhase = TaskPhase.PLANNED, **fields: Any) -> Task:
    return replace(Task("r", key, key, Kind.TABLE, key, phase=phase), **fields)


def run(phase: Phase, **fields: Any) -> Run:
    return replace(Run("r", "e", phase=phase, updated=NOW), **fields)


def decide(
    found: Run,
    *tasks: Task,
    open_stage: dict[str, int] | None = None,
    moved: datetime | None = None,
    closing: dict[str, datetime] | None = None,
    paused: bool = False,
    lost: bool = False,
) -> list[Action]:
    return reconcile(
        found, tasks, open_stage or {},
        now=NOW, moved=moved, closing=closing, patience=PATIENCE, paused=paused, lost=lost,
    )  # fmt: skip


@pytest.mark.parametrize("phase", [Phase.WAITING, Phase.ENDED])
def test_a_run_without_the_environment_needs_nothing(phase: Phase) -> None:
    assert decide(run(phase, updated=ago(9999)), task("a", TaskPhase.WAITING)) == []


@pytest.mark.parametrize(("phase", "action"), [(Phase.STARTING, SendStart()), (Phase.PREPARING, Prepare(already=True))])
def test_a_step_is_asked_for_again_when_nothing_moved(phase: Phase, action: Action) -> None:
    assert decide(run(phase, updated=ago(299))) == []
    assert decide(run(phase, updated=ago(300))) == [action]
    assert decide(run(phase, updated=ago(9999)), moved=ago(299)) == []
    assert decide(run(phase, updated=None)) == []


def test_plans_are_asked_for_again_when_nobody_holds_them() -> None:
    waiting = task("a", TaskPhase.WAITING, updated=ago(1))
    held = task("c", TaskPhase.PLANNING, updated=ago(300), owner="w", lease_until=NOW + timedelta(seconds=1))
    lapsed = task("d", TaskPhase.PLANNING, updated=ago(300), owner="w", lease_until=NOW)
    still = run(Phase.PLANNING, updated=ago(300))
    assert decide(still, waiting, held, lapsed, task("f")) == [SendPlan(waiting), SendPlan(lapsed)]


def test_plans_that_wait_in_the_queue_are_not_asked_for_again_while_others_move() -> None:
    waiting = task("a", TaskPhase.WAITING, updated=ago(9999))
    assert decide(run(Phase.PLANNING, updated=ago(9999)), waiting, moved=ago(299)) == []
    assert decide(run(Phase.PLANNING, updated=ago(299)), waiting) == []


def test_a_plan_that_never_ends_is_given_up() -> None:
    tired = task("a", TaskPhase.PLANNING, tries=10, updated=NOW)
    assert decide(run(Phase.PLANNING), tired) == [
        EndTask(tired, Status.FAILED, "It could not be planned: begun 10 times, never finished.")
    ]
    at_it = replace(tired, owner="w", lease_until=NOW + timedelta(seconds=1))
    assert decide(run(Phase.PLANNING), at_it) == []


PROFILE = "CustomerProfile"
UNPLANNED = [TaskPhase.WAITING, TaskPhase.PLANNING]


@pytest.mark.parametrize("phase", UNPLANNED)
def test_the_profiles_are_planned_first_because_all_others_point_to_them(phase: TaskPhase) -> None:
    profile, others = task(PROFILE, phase), [task("a", TaskPhase.WAITING), task("b", TaskPhase.PLANNING), task("c")]
    assert plannable([*others, profile]) == [profile]
    for over in (TaskPhase.PLANNED, TaskPhase.ENDED):
        assert plannable([*others, replace(profile, phase=over)]) == others[:2]
    assert plannable(others) == others[:2]
    assert plannable([others[2]]) == plannable([]) == []


def test_a_link_or_another_table_is_no_profile() -> None:
    link = replace(task(PROFILE, TaskPhase.WAITING), key="link", kind=Kind.LINK)
    contacts = task("ContactProfile", TaskPhase.WAITING)
    assert plannable([link, contacts]) == [link, contacts]


def test_plans_that_wait_for_the_profiles_are_not_asked_for_again_nor_given_up() -> None:
    profile = task(PROFILE, TaskPhase.PLANNING, owner="w", lease_until=NOW + timedelta(seconds=1))
    tired = task("a", TaskPhase.WAITING, tries=10)
    still = run(Phase.PLANNING, updated=ago(300))
    assert decide(still, profile, tired) == []
    lapsed = replace(profile, lease_until=NOW)
    assert decide(still, lapsed, tired) == [SendPlan(lapsed)]
    ended = replace(profile, phase=TaskPhase.ENDED)
    assert [type(action) for action in decide(still, ended, tired)] == [EndTask]


def test_profiles_that_are_given_up_let_the_others_be_planned() -> None:
    tired, waiting_one = task(PROFILE, TaskPhase.PLANNING, tries=10), task("a", TaskPhase.WAITING)
    [given_up] = decide(run(Phase.PLANNING), tired, waiting_one)
    assert isinstance(given_up, EndTask)
    assert given_up.task == tired
    assert plannable([replace(tired, phase=TaskPhase.ENDED), waiting_one]) == [waiting_one]


def test_a_planned_run_is_prepared() -> None:
    assert decide(run(Phase.PLANNING), task("a"), task("b", TaskPhase.ENDED)) == [Prepare(already=False)]
    assert decide(run(Phase.PLANNING)) == [Prepare(already=False)]


# -- a plan ------------------------------------------------------------------------------------------------


def test_a_plan_ends_when_all_is_planned_and_says_what_a_run_would_write() -> None:
    tasks = [
        task("a", TaskPhase.ENDED, status=Status.SUCCESSFUL, counts=Counts(created=1000, changed=200, removed=3)),
        task("b", TaskPhase.ENDED, status=Status.SUCCESSFUL, counts=Counts(changed=1, removed=4)),
    ]
    said = "Nothing was written: this was a plan. A run now would write 1,201 rows and remove 7."
    assert decide(run(Phase.PLANNING, mode=Mode.PLAN), *tasks) == [EndRun(Status.SUCCESSFUL, said)]
    assert decide(run(Phase.PLANNING, mode=Mode.PLAN), *tasks, task("c", TaskPhase.WAITING)) == []


def test_a_plan_tells_what_is_held_rejected_or_failed_as_a_run_does() -> None:
    good = task("good", status=Status.SUCCESSFUL, counts=Counts(created=1))
    rejects = task("rejects", status=Status.COMPLETED_WITH_REJECTS, counts=Counts(changed=1, rejected=5, held=2))
    failed = task("failed", status=Status.FAILED, detail="Broken.\nIn line 3.")
    skipped = task("skipped", status=Status.SKIPPED, detail="Why.")
    unknown = task(f"{UNKNOWN}x", status=Status.SKIPPED, name="Nope")
    said = "Nothing was written: this was a plan. A run now would write {} and remove 0."
    for tasks, status, why in (
        ([good, rejects], Status.COMPLETED_WITH_REJECTS, "2 rows| rejects: 5 rejected, 2 held."),
        ([rejects, failed], Status.FAILED, "1 row| failed: Broken."),
        ([skipped], Status.SKIPPED, "0 rows| skipped: Why."),
        ([good, unknown], Status.SUCCESSFUL, "1 row| Not in this snapshot: Nope."),
    ):
        rows, told = why.split("|")
        assert outcome(tasks, Mode.PLAN) == (status, said.format(rows) + told)


# -- pause and resume ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", list(Phase))
def test_while_paused_nothing_is_begun(phase: Phase) -> None:
    still = run(phase, updated=ago(9999), stage=PROFILES)
    for tasks, open_stage in (
        ([task("a", TaskPhase.WAITING)], {}),
        ([task("a")], {"a": ROWS}),
        ([task("a")], {"a": PROFILES}),
    ):
        assert decide(still, *tasks, open_stage=open_stage, paused=True) == []
    assert decide(run(Phase.PLANNING), paused=True) == []


def test_while_paused_what_was_begun_comes_to_its_end() -> None:
    assert decide(run(Phase.SENDING), task("a"), paused=True) == [SendClose(task("a"))]
    ended = task("a", TaskPhase.ENDED, status=Status.SUCCESSFUL)
    assert [type(action) for action in decide(run(Phase.SENDING), ended, paused=True)] == [EndRun]


def test_what_a_pause_put_aside_is_asked_for_at_once() -> None:
    waiting = task("a", TaskPhase.WAITING)
    assert decide(run(Phase.STARTING), lost=True) == [SendStart()]
    assert decide(run(Phase.PLANNING), waiting, lost=True) == [SendPlan(waiting)]
    assert decide(run(Phase.PREPARING), lost=True) == [Prepare(already=True)]
    sent = run(Phase.SENDING, stage=ROWS, dispatched=ROWS)
    assert decide(sent, task("a"), open_stage={"a": ROWS}, lost=True) == [Dispatch(ROWS, held=True)]


# -- sending -------------------------------------------------------------------------------------------------


def test_stages_open_one_after_the_other() -> None:
    tasks = [task("a"), task("b")]
    both = {"a": ROWS, "b": PROFILES}
    assert decide(run(Phase.SENDING), *tasks, open_stage=both) == [OpenStage(PROFILES)]
    assert decide(run(Phase.SENDING, stage=PROFILES), *tasks, open_stage=both) == [Dispatch(PROFILES)]
    sent = run(Phase.SENDING, stage=PROFILES, dispatched=PROFILES)
    assert decide(sent, *tasks, open_stage=both) == []
    assert decide(sent, *tasks, open_stage={"a": ROWS}) == [SendClose(tasks[1]), OpenStage(ROWS)]


def test_a_stage_without_chunks_is_passed_over() -> None:
    found = decide(run(Phase.SENDING, stage=PROFILES), task("a"), open_stage={"a": CHILD_REMOVALS})
    assert found == [OpenStage(CHILD_REMOVALS)]


def test_chunks_are_sent_again_when_nothing_moved() -> None:
    sent = run(Phase.SENDING, stage=ROWS, dispatched=ROWS, updated=ago(300))
    assert decide(sent, task("a"), open_stage={"a": ROWS}) == [Dispatch(ROWS)]
    assert decide(sent, task("a"), open_stage={"a": ROWS}, moved=ago(10)) == []


def test_a_task_without_open_chunks_is_closed_by_one_worker() -> None:
    held = task("b", owner="w", lease_until=NOW + timedelta(seconds=1))
    assert decide(run(Phase.SENDING), task("a"), held, task("c", TaskPhase.ENDED)) == [SendClose(task("a"))]


def test_a_closing_is_asked_for_again_only_when_its_message_must_be_lost() -> None:
    tasks = [task("a"), task("b")]
    assert decide(run(Phase.SENDING), *tasks, closing={"a": ago(299)}) == [SendClose(tasks[1])]
    assert decide(run(Phase.SENDING), *tasks, closing={"a": ago(300)}) == list(map(SendClose, tasks))
    assert decide(run(Phase.SENDING), *tasks, closing={"a": ago(1)}, lost=True) == list(map(SendClose, tasks))
    assert decide(run(Phase.SENDING), *tasks, closing={"a": ago(1)}, paused=True) == [SendClose(tasks[1])]
    stopped = run(Phase.SENDING, stopped="Canceled.", ends_as=Status.CANCELED)
    assert decide(stopped, *tasks, closing={"a": ago(299)}) == [SendClose(tasks[1])]


def test_asking_for_a_closing_does_not_put_off_what_else_was_lost() -> None:
    sent = run(Phase.SENDING, stage=ROWS, dispatched=ROWS, updated=ago(300))
    found = decide(sent, task("a"), task("b"), open_stage={"b": ROWS}, closing={"a": ago(1)})
    assert found == [Dispatch(ROWS)]


def test_a_run_whose_tasks_have_ended_ends() -> None:
    ended = task("a", TaskPhase.ENDED, status=Status.SUCCESSFUL)
    assert decide(run(Phase.SENDING), ended) == [EndRun(Status.SUCCESSFUL, "Nothing had changed.")]


def test_the_worst_task_names_the_run() -> None:
    good = task("good", status=Status.SUCCESSFUL, counts=Counts(writes=1200))
    skipped = task("skipped", status=Status.SKIPPED, detail="Why.\nMore.")
    rejects = task("rejects", status=Status.COMPLETED_WITH_REJECTS, counts=Counts(rejected=1234, held=2))
    canceled = task("canceled", status=Status.CANCELED, detail="Stopped.")
    failed = task("failed", status=Status.FAILED, detail="Broken.\nIn line 3.")
    assert outcome([good, skipped]) == (Status.SUCCESSFUL, "1,200 rows written to Dataverse.")
    assert outcome([good, rejects]) == (
        Status.COMPLETED_WITH_REJECTS,
        "rejects: 1,234 rejected, 2 held.",
    )
    assert outcome([rejects, canceled]) == (Status.CANCELED, "canceled: Stopped.")
    assert outcome([canceled, failed, good]) == (Status.FAILED, "failed: Broken.")
    assert outcome([skipped]) == (Status.SKIPPED, "skipped: Why.")
    assert outcome([])[0] is Status.SKIPPED


statuses = st.sampled_from([status for status in Status if status.ended])


@given(st.lists(statuses, min_size=1))
def test_no_run_is_successful_with_a_task_that_is_not(found: list[Status]) -> None:
    status, _ = outcome([task(str(number), TaskPhase.ENDED, status=one) for number, one in enumerate(found)])
    assert status.ended
    if status is Status.SUCCESSFUL:
        assert set(found) <= {Status.SUCCESSFUL, Status.SKIPPED}


@given(st.dictionaries(st.sampled_from("abc"), st.integers(PROFILES, LAST_STAGE)), st.integers(0, LAST_STAGE))
def test_nothing_is_sent_beyond_the_lowest_open_stage(open_stage: dict[str, int], stage: int) -> None:
    found = decide(
        run(Phase.SENDING, stage=stage, dispatched=stage, updated=ago(999)),
        *map(task, "abc"),
        open_stage=open_stage,
    )
    lowest = min(open_stage.values(), default=None)
    opened = [action.stage for action in found if isinstance(action, OpenStage)]
    assert opened == ([lowest] if lowest is not None and lowest > stage else [])
    assert {action.stage for action in found if isinstance(action, Dispatch)} <= {stage}
    closed = {action.task.key for action in found if isinstance(action, SendClose)}
    assert closed == set("abc") - open_stage.keys()
    assert all(before <= after for before, after in pairwise([stage, *opened]))


@pytest.mark.parametrize(
    ("logic", "said"),
    [
        ((None, None), ""),
        ((False, None), " Links fired no flows; plug-ins and workflows were bypassed."),
        (
            (True, False),
            " Links fired no flows; plug-ins and workflows of contact ran (no prvBypassCustomBusinessLogic).",
        ),
    ],
)
def test_a_run_says_what_was_in_force_while_links_were_written(logic: tuple[bool | None, ...], said: str) -> None:
    tasks = [
        Task("r", name, name, Kind.LINK, name, status=Status.SUCCESSFUL, custom_logic=ran)
        for name, ran in zip(("contact", "lead"), logic, strict=True)
    ]
    assert outcome(tasks) == (Status.SUCCESSFUL, f"Nothing had changed.{said}")
