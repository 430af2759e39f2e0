"""When a snapshot is ready, and which runs take it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runs.model import (
    Environment,
    Mode,
    Phase,
    Run,
    Status,
)
from shared.runs.openings import (
    asked_for,
    automatic,
    continuation,
    not_configured,
    overtaken,
    overtaken_by,
    sending,
    started,
    superseded,
)
from shared.runs.reconcile import (
    Patience,
    choose,
    observe,
    open_runs,
)
from shared.runs.rows import Lock

NOW = datetime(2026, 11, 2, 3, 0, tzinfo=UTC)
PATIENCE = Patience(settle=120, whole_within=7200, resend=300)
EMPTY = Environment("e")


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


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


def waiting(
    number: int,
    fingerprint: str = "",
    *,
    manual: bool = False,
    tables: tuple[str, ...] = (),
    mode: Mode = Mode.INCREMENTAL,
) -> Run:
    """As they come to be: plans and confirmations are asked for by people, and the latter take no snapshot."""
    writes = mode not in {Mode.PLAN, Mode.CONFIRM}
    taken = "" if mode is Mode.CONFIRM else fingerprint
    return Run(f"run{number}", "e", mode, manual=manual or not writes, tables=tables, fingerprint=taken)


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


def test_a_plan_takes_a_snapshot_and_covers_none() -> None:
    plan, older = waiting(1, mode=Mode.PLAN), waiting(2, "a")
    opening = open_runs(EMPTY, [plan, older], "b")
    assert [run.id for run in opening.taken_by] == [plan.id]
    assert opening.opens
    assert opening.superseded == (older,)
    opened = replace(EMPTY, opened_fingerprint="b")
    again = open_runs(opened, [replace(plan, fingerprint="a"), older], "b")
    assert (again.taken_by, again.superseded) == ((), ()), "it is not superseded, and supersedes nobody"
    gave_up = waiting(3)
    kept = open_runs(opened, [waiting(1, "b", mode=Mode.PLAN), gave_up], "b")
    assert (kept.taken_by, kept.superseded) == ((waiting(3, "b"),), ())


def test_a_confirmation_has_nothing_to_do_with_snapshots() -> None:
    confirms = waiting(1, mode=Mode.CONFIRM)
    opening = open_runs(EMPTY, [confirms], "b")
    assert (opening.taken_by, opening.opens, opening.superseded) == ((), True, ())
    assert open_runs(replace(EMPTY, opened_fingerprint="b"), [confirms], "b").taken_by == ()


def test_a_verifying_run_covers_its_snapshot() -> None:
    assert not open_runs(EMPTY, [waiting(1, manual=True, mode=Mode.VERIFY)], "b").opens


runs_that_wait = st.lists(
    st.builds(
        waiting,
        st.integers(1, 9),
        st.sampled_from(["", "a", "b"]),
        manual=st.booleans(),
        tables=st.sampled_from([(), ("T",)]),
        mode=st.sampled_from(Mode),
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
        if opening.opens or any(run.covers for run in opening.taken_by):
            environment = replace(environment, opened_fingerprint="b")
    assert opens <= 1
    assert opened == "b" or any(run.fingerprint == "b" and run.covers for run in found), "somebody has it"
    assert all(run.fingerprint or run.mode is Mode.CONFIRM for run in found), "nobody waits for what is there"


def test_the_oldest_run_with_a_snapshot_is_next() -> None:
    assert choose([waiting(3, "a"), waiting(1), waiting(2, "a")]) == waiting(2, "a")
    assert choose([waiting(1)]) is None
    assert choose([]) is None


def test_what_was_confirmed_goes_before_runs_that_take_a_snapshot() -> None:
    first, second = waiting(8, mode=Mode.CONFIRM), waiting(9, mode=Mode.CONFIRM)
    assert choose([waiting(1, "a"), second, first]) == first


# -- the turn ------------------------------------------------------------------------------------------------


def test_the_lock_names_the_run_that_has_it_and_the_last_that_may_have_written() -> None:
    begun, lock = started(waiting(1, "a"), Lock("", "run0", "W/1"))
    assert (begun.phase, begun.status) == (Phase.STARTING, Status.REFRESHING)
    assert lock == Lock("run1", "run0", "W/1"), "it may end before it has judged anew"
    begun, lock = sending(replace(begun, phase=Phase.PREPARING), lock)
    assert (begun.phase, lock) == (Phase.SENDING, Lock("run1", "run1", "W/1"))


def test_a_confirmation_begins_unless_a_newer_run_has_judged_anew() -> None:
    made = continuation(waiting(1, "a"), NOW)
    assert (made.mode, made.confirms, made.manual, made.fingerprint) == (Mode.CONFIRM, "run1", True, "")
    assert overtaken(made, Lock(last="run1"), NOW) is None
    late = overtaken(made, Lock(last="run2"), NOW)
    assert late is not None
    assert (late.phase, late.status, late.ended) == (Phase.ENDED, Status.SKIPPED, NOW)
    told = "A newer run (run2) has started since, and has judged anew: look at what it holds, or ask for a run."
    assert late.detail == told
    assert overtaken(waiting(3, "a"), Lock(last="run2"), NOW) is None, "others confirm nothing"


def test_a_new_snapshot_opens_a_run_that_waits_and_says_so() -> None:
    made = automatic("e", "a", NOW)
    assert (made.environment, made.fingerprint, made.opened, made.manual, made.mode, made.phase, made.status) == (
        "e", "a", NOW, False, Mode.INCREMENTAL, Phase.WAITING, Status.QUEUED,
    )  # fmt: skip
    assert made.detail == "It waits for its turn."


def test_runs_are_named_by_when_they_were_opened_and_no_two_alike() -> None:
    ids = [automatic("e", "a", at).id for at in (ago(0.5), NOW, NOW)]
    assert [one[:22] for one in ids] == ["20261102T025959500000-", "20261102T030000000000-", "20261102T030000000000-"]
    assert len({one[22:] for one in ids}) == 3
    assert {len(one) for one in ids} == {28}


def test_a_run_that_a_person_asks_for_has_no_snapshot_yet() -> None:
    made = asked_for("e", Mode.FULL, ("CustomerProfile",), NOW)
    assert (made.environment, made.mode, made.tables, made.manual, made.fingerprint, made.opened) == (
        "e", Mode.FULL, ("CustomerProfile",), True, "", NOW,
    )  # fmt: skip
    assert made.detail == "It waits for a settled snapshot and for its turn."
    assert made.id.startswith("20261102T030000000000-")


def test_a_confirmation_is_opened_now_in_the_environment_of_what_it_confirms() -> None:
    made = continuation(waiting(1, "a"), NOW)
    assert (made.environment, made.opened, made.detail) == ("e", NOW, "It waits for its turn.")
    assert made.id.startswith("20261102T030000000000-")


def test_of_a_folder_that_nobody_configured_one_run_tells_and_stands_before_all_others() -> None:
    made = not_configured("e", NOW)
    assert made == not_configured("e", NOW)
    assert made.id != not_configured("f", NOW).id
    assert (made.id[:16], len(made.id)) == ("00000000T000000-", 28)
    assert (made.environment, made.status, made.phase, made.opened, made.ended) == (
        "e", Status.SKIPPED, Phase.ENDED, NOW, NOW,
    )  # fmt: skip
    told = 'Not configured: the lake has a folder ci_e, hydration.toml has no [environments."e"].'
    assert made.detail == told


def test_a_run_that_is_covered_ends_skipped_and_says_why() -> None:
    ended = superseded(waiting(1, "a"), NOW)
    assert (ended.status, ended.phase, ended.ended) == (Status.SKIPPED, Phase.ENDED, NOW)
    told = "Superseded: a newer snapshot arrived before anything was written; the newer run covers it."
    assert ended.detail == told


def test_a_run_says_what_it_does() -> None:
    begun, lock = started(waiting(1, "a"), Lock())
    assert begun.detail == "The snapshot is being read."
    assert started(continuation(waiting(1, "a"), NOW), Lock())[0].detail == "What the run run1 held is being read."
    assert sending(replace(begun, phase=Phase.PREPARING), lock)[0].detail == "Dataverse is ready; rows are being sent."


def test_who_overtook_a_confirmation_may_have_left_no_name() -> None:
    assert overtaken_by(Lock()).startswith("A newer run (its id is not known) has started since")


@pytest.mark.parametrize(("seconds", "ready"), [(119.9, False), (120, True)])
def test_a_snapshot_is_ready_once_it_was_unchanged_for_long_enough(seconds: float, *, ready: bool) -> None:
    known = replace(EMPTY, seen_fingerprint="a", seen_since=ago(seconds))
    found = observe(known, "a", whole=True, now=NOW, patience=PATIENCE)
    assert (found.ready, found.environment) == (ready, known)
    assert found.waits_for == ("" if ready else "the lake to be unchanged for a while")


@pytest.mark.parametrize(("seconds", "ready"), [(7199.9, False), (7200, True)])
def test_missing_files_are_waited_for_so_long_and_no_longer(seconds: float, *, ready: bool) -> None:
    known = replace(EMPTY, seen_fingerprint="a", seen_since=ago(9000), incomplete_since=ago(seconds))
    found = observe(known, "a", whole=False, now=NOW, patience=PATIENCE)
    assert found.ready is ready
    assert found.waits_for == ("" if ready else "the missing files")


def test_a_transaction_takes_forty_runs_and_the_next_look_takes_the_others() -> None:
    fresh = [waiting(number, manual=True, mode=Mode.VERIFY) for number in range(100, 150)]
    assert len(open_runs(EMPTY, fresh, "a").taken_by) == 40
    old = [waiting(number, "old") for number in range(100, 150)]
    assert len(open_runs(EMPTY, old, "a").superseded) == 40
