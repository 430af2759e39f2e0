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
    Environment,
    Kind,
    Phase,
    Run,
    Status,
    Task,
    TaskPhase,
)
from shared.runs.reconcile import (
    Action,
    Dispatch,
    EndRun,
    FailTask,
    OpenStage,
    Patience,
    Prepare,
    SendClose,
    SendPlan,
    SendStart,
    choose,
    observe,
    open_runs,
    outcome,
    reconcile,
)

NOW = datetime(2026, 11, 2, 3, 0, tzinfo=UTC)
PATIENCE = Patience(settle=120, whole_within=7200, resend=300)
EMPTY = Environment("e")


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


# -- the lake ------------------------------------------------------------------------------------------


def test_a_new_fingerprint_is_remembered_and_waits_until_it_has_settled() -> None:
    first = observe(EMPTY, "a", whole=True, now=NOW, patience=PATIENCE)
    assert (first.ready, first.waits_for) == (False, "the lake to be unchanged for a while")
    assert first.environment == replace(EMPTY, seen_fingerprint="a", seen_since=NOW)
    early = observe(first.environment, "a", whole=True, now=NOW + timedelta(seconds=119), patience=PATIENCE)
    assert not early.ready
    assert early.environment.seen_since == NOW
    assert observe(early.environment, "a", whole=True, now=NOW + timedelta(seconds=120), patience=PATIENCE).ready


def test_another_fingerprint_settles_anew() -> None:
    known = replace(EMPTY, seen_fingerprint="a", seen_since=ago(1000))
    assert observe(known, "a", whole=True, now=NOW, patience=PATIENCE).ready
    changed = observe(known, "b", whole=True, now=NOW, patience=PATIENCE)
    assert not changed.ready
    assert changed.environment.seen_since == NOW


def test_a_fingerprint_without_a_time_counts_as_new() -> None:
    assert not observe(replace(EMPTY, seen_fingerprint="a"), "a", whole=True, now=NOW, patience=PATIENCE).ready


def test_a_snapshot_that_is_not_whole_is_waited_for_and_then_taken_as_it_is() -> None:
    known = replace(EMPTY, seen_fingerprint="a", seen_since=ago(500), incomplete_since=ago(7199))
    waiting = observe(known, "a", whole=False, now=NOW, patience=PATIENCE)
    assert (waiting.ready, waiting.waits_for) == (False, "the missing files")
    assert waiting.environment.incomplete_since == ago(7199)
    assert observe(known, "a", whole=False, now=NOW + timedelta(seconds=1), patience=PATIENCE).ready
    assert observe(EMPTY, "a", whole=False, now=NOW, patience=PATIENCE).environment.incomplete_since == NOW


def test_a_change_after_a_snapshot_was_taken_is_a_new_landing_with_all_its_time() -> None:
    taken = replace(
        EMPTY, seen_fingerprint="a", opened_fingerprint="a", seen_since=ago(9999), incomplete_since=ago(9999)
    )
    half = observe(taken, "b", whole=False, now=NOW, patience=PATIENCE)
    assert half.environment.incomplete_since == NOW
    more = observe(half.environment, "c", whole=False, now=NOW + timedelta(seconds=60), patience=PATIENCE)
    assert more.environment.incomplete_since == NOW, "files that arrive one by one are one landing"


def test_a_snapshot_that_became_whole_is_not_late_any_more() -> None:
    known = replace(EMPTY, seen_fingerprint="a", seen_since=ago(500), incomplete_since=ago(100))
    assert observe(known, "a", whole=True, now=NOW, patience=PATIENCE) == observe(
        replace(known, incomplete_since=None), "a", whole=True, now=NOW, patience=PATIENCE
    )


def waiting(number: int, fingerprint: str = "", *, manual: bool = False, tables: tuple[str, ...] = ()) -> Run:
    return Run(f"run{number}", "e", manual=manual, tables=tables, fingerprint=fingerprint)


def test_news_opens_an_automatic_run() -> None:
    opening = open_runs(replace(EMPTY, opened_fingerprint="a"), [], "b")
    assert (opening.opens, opening.taken_by, opening.superseded) == (True, (), ())
    assert not open_runs(replace(EMPTY, opened_fingerprint="b"), [], "b").opens


def test_a_waiting_run_without_a_snapshot_takes_it_and_covers_it() -> None:
    opening = open_runs(EMPTY, [waiting(1)], "b")
    assert opening.taken_by == (waiting(1, "b"),)
    assert not opening.opens


def test_a_run_for_some_tables_covers_no_snapshot() -> None:
    opening = open_runs(EMPTY, [waiting(1, manual=True, tables=("AlternateKey",))], "b")
    assert [run.fingerprint for run in opening.taken_by] == ["b"]
    assert opening.opens


def test_a_newer_snapshot_covers_automatic_runs_that_wait_with_an_older_one() -> None:
    older = [waiting(1, "a"), waiting(2, "a", manual=True), waiting(3, "a", manual=True, tables=("AlternateKey",))]
    assert open_runs(EMPTY, older, "b").superseded == (older[0],)
    assert open_runs(replace(EMPTY, opened_fingerprint="b"), older, "b").superseded == ()
    again = open_runs(replace(EMPTY, opened_fingerprint="b"), [*older, waiting(4)], "b")
    assert again.superseded == (older[0],), "the run that takes it now covers the older one as well"
    assert open_runs(EMPTY, [waiting(1, "b")], "b").superseded == ()


def test_a_run_that_gave_its_snapshot_up_is_covered_by_one_that_waits_with_the_new_one() -> None:
    given_up, newer, asked_for = waiting(1), waiting(2, "b"), waiting(3, manual=True)
    opening = open_runs(replace(EMPTY, opened_fingerprint="b"), [given_up, newer, asked_for], "b")
    assert opening.superseded == (given_up,)
    assert [run.id for run in opening.taken_by] == [asked_for.id], "what a person asked for is done"
    assert open_runs(replace(EMPTY, opened_fingerprint="b"), [given_up], "b").taken_by == (waiting(1, "b"),)
    some = replace(newer, manual=True, tables=("AlternateKey",))
    assert open_runs(replace(EMPTY, opened_fingerprint="b"), [given_up, some], "b").superseded == ()


runs_that_wait = st.lists(
    st.builds(
        waiting,
        st.integers(1, 9),
        st.sampled_from(["", "a", "b"]),
        manual=st.booleans(),
        tables=st.sampled_from([(), ("T",)]),
    ),
    unique_by=lambda run: run.id,
)


@given(runs_that_wait, st.sampled_from(["", "a", "b"]), st.integers(2, 5))
def test_a_snapshot_announced_n_times_opens_one_run(found: list[Run], opened: str, times: int) -> None:
    environment, opens = replace(EMPTY, opened_fingerprint=opened), 0
    for _ in range(times):
        opening = open_runs(environment, found, "b")
        changed = {run.id: run for run in opening.taken_by}
        gone = {run.id for run in opening.superseded}
        assert not changed.keys() & gone
        assert not any(run.manual for run in opening.superseded), "what a person asked for is done"
        found = [changed.get(run.id, run) for run in found if run.id not in gone]
        if opening.opens:
            opens += 1
            found.append(Run(f"new{opens}", "e", fingerprint="b"))
        if opening.opens or any(not run.tables for run in opening.taken_by):
            environment = replace(environment, opened_fingerprint="b")
    assert opens <= 1
    assert opened == "b" or any(run.fingerprint == "b" and not run.tables for run in found), "somebody has it"
    assert all(run.fingerprint for run in found), "nobody waits for what is there"


def test_the_oldest_run_with_a_snapshot_is_next() -> None:
    assert choose([waiting(3, "a"), waiting(1), waiting(2, "a")]) == waiting(2, "a")
    assert choose([waiting(1)]) is None
    assert choose([]) is None


# -- the run that holds the environment ----------------------------------------------------------------


def task(key: str, phase: TaskPhase = TaskPhase.PLANNED, **fields: Any) -> Task:
    return replace(Task("r", key, key, Kind.TABLE, key, phase=phase), **fields)


def run(phase: Phase, **fields: Any) -> Run:
    return replace(Run("r", "e", phase=phase, updated=NOW), **fields)


def decide(
    found: Run, *tasks: Task, open_stage: dict[str, int] | None = None, moved: datetime | None = None
) -> list[Action]:
    return reconcile(found, tasks, open_stage or {}, now=NOW, moved=moved, patience=PATIENCE)


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
        FailTask(tired, "It could not be planned: begun 10 times, never finished.")
    ]
    at_it = replace(tired, owner="w", lease_until=NOW + timedelta(seconds=1))
    assert decide(run(Phase.PLANNING), at_it) == []


def test_a_planned_run_is_prepared() -> None:
    assert decide(run(Phase.PLANNING), task("a"), task("b", TaskPhase.ENDED)) == [Prepare(already=False)]
    assert decide(run(Phase.PLANNING)) == [Prepare(already=False)]


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
        "rejects: 1,234 rejected, 2 not removed.",
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
