"""Which files, rows and states of ended runs may go: decided from what is stored and from the time alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.runs import leftovers, paths
from shared.runs.leftovers import Ended
from shared.runs.model import Files, Kind, Mode, Phase, Run, Task

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
RUN = Run("20261121T090000000000-abcdef", "e/1", phase=Phase.ENDED, ended=NOW - timedelta(days=1))
HELD = Task(RUN.id, "CustomerProfile", "CustomerProfile", Kind.TABLE, "CustomerProfile", attempt="a1", confirmable=3)
OTHER = replace(HELD, key="link.contact", subject="contact", kind=Kind.LINK)
FOLDER = paths.run(RUN.environment, RUN.id)


def files(*tasks: Task) -> list[str]:
    """All that a run leaves, in the order of a listing."""
    found = [paths.snapshot(RUN)]
    for task in tasks:
        place = paths.plan(RUN.environment, task, task.attempt)
        found += [paths.chunk(place, 1), paths.exceptions(place, 1, "w"), paths.delta(place), paths.base(place)]
        found += [paths.profiles(place), paths.rejects(place), paths.rejects_report(RUN.environment, task)]
    return sorted(found)


def left(ended: Ended, found: Sequence[str], *, expired: bool = False) -> list[str]:
    gone = leftovers.blobs_to_delete(ended, found, expired=expired)
    assert len(gone) == len(set(gone))
    assert set(gone) <= set(found)
    return [path for path in found if path not in gone]


REPORTS = [paths.rejects_report(RUN.environment, task) for task in (HELD, OTHER)]
DELTAS = [paths.delta(paths.plan(RUN.environment, task, task.attempt)) for task in (HELD, OTHER)]


def test_what_only_planning_and_sending_needed_goes_and_the_rejects_stay() -> None:
    assert left(Ended(RUN), files(HELD, OTHER)) == REPORTS
    assert leftovers.files_after(Ended(RUN), expired=False) is Files.REJECTS


def test_after_the_time_nothing_stays() -> None:
    assert left(Ended(RUN), files(HELD, OTHER), expired=True) == []
    assert leftovers.files_after(Ended(RUN), expired=True) is Files.NONE


@pytest.mark.parametrize("expired", [False, True])
def test_what_is_held_and_can_be_confirmed_keeps_its_delta(*, expired: bool) -> None:
    ended = Ended(RUN, confirmable=[HELD])
    assert left(ended, files(HELD, OTHER), expired=expired) == sorted([DELTAS[0], *([] if expired else REPORTS)])
    assert leftovers.files_after(ended, expired=expired) is Files.ALL
    assert not leftovers.rows_may_go(ended, expired=expired)


@pytest.mark.parametrize("expired", [False, True])
def test_a_delta_that_a_pointer_names_as_pending_stays(*, expired: bool) -> None:
    ended = Ended(RUN, pending=[DELTAS[1], "runs/e/another/contact/a/delta.parquet"])
    assert left(ended, files(HELD, OTHER), expired=expired) == sorted([DELTAS[1], *([] if expired else REPORTS)])
    assert leftovers.files_after(ended, expired=expired) is Files.ALL
    assert not leftovers.rows_may_go(ended, expired=expired)


def test_deltas_of_a_run_whose_name_begins_alike_are_not_its_own() -> None:
    assert Ended(RUN, pending=[f"{FOLDER}0/contact/a/delta.parquet"]).needed() == frozenset()


def test_folders_go_after_what_is_in_them_and_not_while_something_stays() -> None:
    place = paths.plan(RUN.environment, HELD, HELD.attempt)
    task = place.rsplit("/", 1)[0]
    found = sorted([*files(HELD), task, place, f"{place}/chunks", f"{place}/exceptions"])
    gone = leftovers.blobs_to_delete(Ended(RUN), found, expired=False)
    assert task not in gone
    assert gone.index(paths.chunk(place, 1)) < gone.index(f"{place}/chunks") < gone.index(place)
    kept = leftovers.blobs_to_delete(Ended(RUN, confirmable=[HELD]), found, expired=True)
    assert place not in kept
    assert f"{place}/chunks" in kept


# -- when --------------------------------------------------------------------------------------------------


def test_nothing_goes_while_somebody_may_hold_a_claim_on_it() -> None:
    for phase in set(Phase) - {Phase.ENDED}:
        assert not leftovers.is_over(replace(RUN, phase=phase), NOW, lease_seconds=300)
    ended = RUN.ended or NOW
    assert not leftovers.is_over(RUN, ended + timedelta(seconds=299), lease_seconds=300)
    assert leftovers.is_over(RUN, ended + timedelta(seconds=300), lease_seconds=300)
    assert not leftovers.is_over(replace(RUN, ended=None), NOW, lease_seconds=300)


def test_it_expires_by_when_it_ended() -> None:
    ended = RUN.ended or NOW
    assert not leftovers.is_expired(RUN, ended + timedelta(days=30), 30)
    assert leftovers.is_expired(RUN, ended + timedelta(days=30, seconds=1), 30)
    assert not leftovers.is_expired(replace(RUN, phase=Phase.SENDING), ended + timedelta(days=99), 30)


def test_the_newest_run_keeps_its_rows() -> None:
    assert leftovers.rows_may_go(Ended(RUN), expired=True)
    assert not leftovers.rows_may_go(Ended(RUN, newest=True), expired=True)
    assert not leftovers.rows_may_go(Ended(RUN), expired=False)


CONFIRMED = replace(RUN, confirmed_by="next")
GOING = Run("next", RUN.environment, Mode.CONFIRM, phase=Phase.PLANNING)


@pytest.mark.parametrize(
    ("run", "last", "continuation", "can"),
    [
        (RUN, RUN.id, None, True),
        (RUN, "another", None, False),
        (RUN, "", None, False),
        (replace(RUN, mode=Mode.PLAN), RUN.id, None, False),
        (replace(RUN, phase=Phase.SENDING), RUN.id, None, False),
        (CONFIRMED, RUN.id, replace(GOING, phase=Phase.WAITING), True),
        (CONFIRMED, RUN.id, GOING, True),
        (CONFIRMED, GOING.id, replace(GOING, phase=Phase.SENDING), True),
        (CONFIRMED, RUN.id, replace(GOING, phase=Phase.ENDED), False),
        (CONFIRMED, RUN.id, None, False),
    ],
)
def test_it_can_be_confirmed_until_another_run_writes_or_the_continuation_has_ended(
    run: Run, last: str, continuation: Run | None, *, can: bool
) -> None:
    assert leftovers.can_be_confirmed(run, last, continuation) is can


# -- applied states ----------------------------------------------------------------------------------------


def state(run: str, attempt: str = "a1", table: str = "contact") -> str:
    return paths.state("org", "msdynci", table, run, attempt)


def test_old_states_go_unless_somebody_names_or_writes_them() -> None:
    limit = NOW - timedelta(days=30)
    old, young = limit - timedelta(seconds=1), limit
    listed = [
        (state("1"), old), (paths.refused(state("1")), old), (state("2"), old), (paths.refused(state("2")), old),
        (state("3"), young), (state("4"), old), (state("40"), old), (state("5"), old), ("state/org/msdynci", old),
    ]  # fmt: skip
    gone = leftovers.states_to_delete(listed, {state("2"), paths.refused(state("2")), state("5")}, ["4"], limit)
    assert gone == sorted([state("1"), paths.refused(state("1")), state("40")])
