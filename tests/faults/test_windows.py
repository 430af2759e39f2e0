"""Every window in which something can break is closed, and here stands which test shows it.

A window is the time between two things that belong together: somebody may die in it, stall in it, or come twice.
"""

from __future__ import annotations

import ast
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

from shared import deliver
from shared.clock import TOLERANCE, Clock
from shared.errors import TransientError
from shared.runs.messages import TableMessage
from shared.runs.model import Kind, Phase
from shared.services import Services, build
from tests.support.campaigns import SOAK
from tests.support.fates import Fate, Killed
from tests.support.windows import Refusing, TwoAtEach, refused_or_done
from tests.support.workers import Bag, Letter, Workplace

TESTS = Path(__file__).resolve().parents[1]
POINTS = "kill_points::workers_killed_at_every_labelled_point_change_nothing"
TWO = "windows::of_two_workers_at_each_message_the_one_that_stalls_for_ten_minutes_does_no_harm"
FIVE = "messages_again::messages_five_times_shuffled_late_and_poison_change_nothing"
SIMULATED = "whole_runs::nothing_is_lost_whatever_breaks_and_whatever_comes_twice_late_or_never"
OVERTAKEN = "workers::a_worker_overtaken_by_the_next_day_does_no_harm"
LOST = "lost_answers::a_day_on_which_no_write_of_a_status_is_answered_is_as_any_other"
ACROSS = "histories_that_cross_runs::"
WINDOWS = {
    "between opening a run and sending its messages": (POINTS, SIMULATED),
    "amid the tasks of a round": ("windows::a_round_that_was_cut_off_amid_its_tasks_is_begun_anew",),
    "between writing chunk files and publishing the plan": (POINTS,),
    "between publishing the plan and sending its messages": (POINTS, SIMULATED),
    "between Dataverse's answer and the chunk's outcome": (POINTS, "http_faults::days_under_faults_are_as_other_days"),
    "between the last chunk and closing its task": (POINTS,),
    "between committing the state and ending the task": (POINTS,),
    "between ending a task and opening the next stage": (POINTS,),
    "between ending a run and starting the next": (POINTS,),
    "a message that comes five times, in any order": (FIVE,),
    "a message that comes after its run has ended": (FIVE,),
    "a message that comes after a newer run has started": (OVERTAKEN, SIMULATED),
    "another payload under the same id": (
        "deliveries::a_chunk_s_message_that_contradicts_what_is_stored_is_refused",
        "deliveries::a_step_that_contradicts_what_is_stored_is_refused",
    ),
    "a poison message": (FIVE, "deliveries::a_poison_message_is_refused_at_once"),
    "a message that nobody could handle": ("dead_letters::a_dead_message_loses_nothing",),
    "a message that is lost": ("bindings::a_lost_chunk_ends_its_task_and_the_next_landing_writes_it", SIMULATED),
    "an event that never comes": ("reruns::the_sweep_finds_what_no_event_told_of",),
    "a row that is written, then rejected, then gone": (f"{ACROSS}a_row_is_written_then_rejected_then_gone",),
    "a chunk of unknown outcome is given up, and the value changes back": (
        f"{ACROSS}a_chunk_is_given_up_with_an_unknown_outcome_and_the_value_changes_back",
    ),
    "a removal is refused": (f"{ACROSS}a_removal_is_refused_until_what_refers_to_the_row_is_gone",),
    "a run is canceled half-way": (f"{ACROSS}a_run_is_canceled_half_way_and_the_next_does_the_rest",),
    "the removal policy changes": (f"{ACROSS}the_removal_policy_changes",),
    "another organization behind the environment": (
        f"{ACROSS}another_organization_stands_behind_the_environment",
        "bindings::another_organization_stops_until_it_is_named",
    ),
    "two open a run at once": (TWO,),
    "two plan a task at once": (TWO,),
    "two prepare a run at once": (TWO, "preparing::of_two_workers_that_prepare_a_run_one_lets_it_be_sent"),
    "two reconcile at once": ("windows::two_that_reconcile_at_once_do_it_once",),
    "a chunk's claim is lost amid it": (TWO, "send::what_a_worker_notes_after_it_was_overtaken_is_never_read"),
    "a task's claim is lost amid planning": (TWO,),
    "a worker that stalled for ten minutes wants to send": (TWO,),
    "a write was carried out, and its answer lost": (
        LOST,
        "lost_answers::a_write_whose_answer_is_lost_is_known_as_ours",
    ),
    "tables, blobs or queues refuse for a while": (
        "windows::a_day_amid_which_a_service_refuses_again_and_again_is_as_any_other",
    ),
    "a cold start while the storage is away": ("deliveries::a_cold_start_that_fails_holds_the_delivery",),
    "partitions are replaced amid a run": (
        OVERTAKEN,
        "source_faults::what_a_fault_hides_is_not_removed_and_all_else_is_served",
    ),
    "partitions are deleted amid a run": ("windows::partitions_that_are_deleted_before_they_are_read_fail_no_landing",),
    "a clock is ten minutes wrong": (
        "windows::no_part_of_a_worker_reads_a_wrong_clock_before_the_storage_has_answered",
        "clock::one_answer_corrects_a_clock_that_is_wrong",
    ),
    "a clock is set while the process runs": (
        "clock::a_clock_that_is_set_while_the_process_runs_is_right_after_the_next_answer",
    ),
}
"""Each window, and the tests that show that it is closed."""


@pytest.mark.parametrize("window", WINDOWS)
def test_every_window_names_tests_that_there_are(window: str) -> None:
    for named in WINDOWS[window]:
        module, name = named.split("::")
        (file,) = TESTS.rglob(f"test_{module}.py")
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assert f"test_{name}" in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, named


# -- two at once -----------------------------------------------------------------------------------------


def test_of_two_workers_at_each_message_the_one_that_stalls_for_ten_minutes_does_no_harm(
    workplace: Workplace,
) -> None:
    """It stalls before or after its first or second write: before it claims, after that, and amid the work."""
    with workplace.workshop() as workshop, ThreadPoolExecutor(1) as threads:
        services, stalled = workshop.worker(), set[str]()
        for day in (1, 2) if SOAK else (1,):
            two = TwoAtEach(workshop, threads)
            workshop.handle = two.handle
            workshop.land(day)
            workshop.work_to_the_end(services)
            workshop.assert_day(services, day)
            assert two.late["chunk"] == [], "who was overtaken sends nothing"
            stalled.update(two.stalled)
        assert {one.split()[0] for one in stalled} == {"look", "start", "plan", "prepare", "chunk", "close"}
        assert stalled >= {f"{one} {where}" for one in ("plan", "chunk", "close") for where in ("before", "after")}
        workshop.handle = Letter.hand_over
        if SOAK:
            workshop.assert_state_agrees(services, 2)


@pytest.mark.parametrize("point", [2, 5, 13, 15, 17] if SOAK else [5])
def test_two_that_reconcile_at_once_do_it_once(workplace: Workplace, point: int) -> None:
    """A worker died before it changed the run, and its messages are lost.

    The points are those changes of a run that `reconcile` makes itself: its turn, the preparation, the stages, the end.
    """
    with workplace.workshop() as workshop, ThreadPoolExecutor(1) as threads:
        services, fate = workshop.worker(), Fate(1, held_up=True, of="HydrationRuns")
        workshop.land(1)
        with suppress(Killed):
            workshop.work_to_the_end(workshop.worker(Fate(point, of="HydrationRuns")))
        workshop.bag.letters.clear()
        workshop.clock.turned += timedelta(minutes=10)
        work = threads.submit(deliver.reconcile, workshop.worker(fate))
        while not fate.reached.wait(0.002) and not work.done():
            pass
        deliver.reconcile(services)
        first = workshop.run(services)
        asked = [letter.message for letter in workshop.bag.letters]
        fate.released.set()
        work.result(60)
        assert fate.reached.is_set()
        assert workshop.run(services) == first, "who comes second changes nothing"
        assert len(asked) == len(set(asked))
        workshop.work_to_the_end(services)
        workshop.assert_day(services, 1)


# -- what refuses, and what does not answer --------------------------------------------------------------


class Shut(Bag):
    """Queues that take no messages while they are shut."""

    refusing: Refusing

    def send_step(self, *messages: TableMessage, at: datetime | None = None) -> None:
        self._ask()
        super().send_step(*messages, at=at)

    def send_chunks(self, kind: Kind, messages: Any, *, at: datetime | None = None) -> None:
        self._ask()
        super().send_chunks(kind, messages, at=at)

    def _ask(self) -> None:
        if self.refusing.away == "queue":
            self.refusing.refused += 1
            raise TransientError("The queue took no messages.")


@pytest.mark.parametrize("away", [["Hydration"], ["blobs"], ["queue"]] if SOAK else [["Hydration", "blobs", "queue"]])
def test_a_day_amid_which_a_service_refuses_again_and_again_is_as_any_other(
    workplace: Workplace, away: list[str]
) -> None:
    """At three of four deliveries, and each time a little later: then the message is put off, or delivered again."""
    bag, refusing = Shut(), Refusing()
    bag.refusing = refusing
    with workplace.workshop(bag) as workshop:
        worker, refused, turn = refusing.of_services(workshop.worker(refusing)), Counter[str](), 0

        def handle(letter: Letter, _: Services) -> None:
            nonlocal turn
            turn, before = turn + 1, refusing.refused
            refusing.away = away[turn % len(away)] if turn % 4 else ""
            refusing.left = turn % (11 if refusing.away == "Hydration" else 2)
            if not refused_or_done(letter, worker):
                bag.letters.append(letter)
            refused[refusing.away] += refusing.refused - before
            refusing.away = ""

        workshop.handle = handle
        for day in (1, 2) if SOAK else (1,):
            workshop.land(day)
            workshop.work_to_the_end(workshop.worker(), most=2_000)
            workshop.assert_day(worker, day)
        assert all(refused[one] > 2 for one in away), refused


# -- the lake, and time ----------------------------------------------------------------------------------


def test_a_round_that_was_cut_off_amid_its_tasks_is_begun_anew(workplace: Workplace) -> None:
    """The next day lands before anybody goes on: the tasks that are there belong to a round that is over."""
    with workplace.workshop() as workshop:
        services = workshop.worker()
        workshop.land(1)
        with suppress(Killed):
            workshop.work_to_the_end(workshop.worker(Fate(3, of="HydrationTasks.create")))
        run = workshop.run(services)
        assert run is not None
        assert len(services.store.tasks(run.id)) == 2
        workshop.land(2)
        workshop.work_to_the_end(services)
        (run,) = services.store.runs(workshop.tenant.environment)
        assert (run.attempt, {task.round for task in services.store.tasks(run.id)}) == (2, {2})
        workshop.tenant.assert_content(workshop.stack, 2)


def test_partitions_that_are_deleted_before_they_are_read_fail_no_landing(workplace: Workplace) -> None:
    with workplace.workshop() as workshop:
        services, environment = workshop.worker(), workshop.tenant.environment
        workshop.land(1)
        while (run := workshop.run(services)) is None or run.phase is not Phase.PLANNING:
            workshop.work(services)
        folder = f"ci_{environment}/"
        with ContainerClient.from_connection_string(
            workshop.stack.lake_connection_string, workshop.settings.lake_container
        ) as lake:
            for name in list(lake.list_blob_names(name_starts_with=folder)):
                if name.endswith(".csv"):
                    lake.delete_blob(name)
        for _ in range(10):
            workshop.work(services)
        assert sum(workshop.tenant.written(workshop.stack).values()) == 0, "of files that are gone nothing is written"
        workshop.land(1)
        workshop.work_to_the_end(services)
        workshop.assert_day(services, 1)


@pytest.mark.parametrize("off", [timedelta(minutes=10), timedelta(minutes=-10)])
def test_no_part_of_a_worker_reads_a_wrong_clock_before_the_storage_has_answered(
    workplace: Workplace, off: timedelta
) -> None:
    read: list[str] = []

    class Watched(Clock):
        def now(self) -> datetime:
            read.append("too early")
            return super().now()

    clock = Watched(lambda: datetime.now(UTC) + off)
    with workplace.workshop() as workshop:
        services = build(workshop.settings, clock)
        services.dataverse.close()
    assert read == []
    assert abs(clock.now() - datetime.now(UTC)) <= TOLERANCE + timedelta(seconds=1)
