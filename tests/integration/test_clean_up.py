"""What ended runs leave behind: it goes when nobody needs it, wherever its deletion is cut off. Over real storage."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from local.children import ROOT
from local.stack import Stack
from shared import close, confirm, lifecycle, reports, retention, views
from shared.delta import rejects
from shared.errors import GoneError, HydrationError, NotFoundError, OvertakenError
from shared.runs import paths
from shared.runs.messages import Step, TableMessage
from shared.runs.model import Files, Run, Status, TaskPhase
from shared.services import Services
from tests.support.fates import Fate, Killed
from tests.support.links import PROFILE, Home, Outcome, names, paired, person, row, street
from tests.support.workers import LEASE_SECONDS, Letter

ALL, LEFT = range(130), range(5)
LOST = person(3)  # deleted by hand: a link to it is refused
REFUSED = {row(3): LOST}


@pytest.fixture(scope="module", name="home")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One environment, alone on its stack: what a test leaves is where the next one begins."""
    root = tmp_path_factory.mktemp("tidy")
    alone = Stack(root / "stack", ROOT / "hydration.toml", host=False, keeps=False)
    with alone as stack, street(stack, root, 1) as found:
        home = found.home()
        home.seed("contact", map(row, range(10)))
        first = home.land(names(ALL), contact=paired([0, 1]))
        assert first.told["status"] == "Successful", first.told
        home.api.expect(204, "DELETE", f"{PROFILE}s({LOST})")
        yield home


def run_of(home: Home, outcome: Outcome) -> Run:
    return home.services.store.run(home.environment, outcome.told["id"])


def files(home: Home, run: Run) -> list[str]:
    """What the container holds of a run, below its folder."""
    folder = f"{paths.run(run.environment, run.id)}/"
    return [path.removeprefix(folder) for path, _ in home.services.blobs.list(folder)]


def later(home: Home, **time: float) -> None:
    home.workshop.clock.turned += timedelta(**time)


def tidy(home: Home, services: Services | None = None) -> None:
    """Look until nothing more goes."""
    worker = services or home.services
    for _ in range(30):
        before = everything(home)
        retention.tidy(worker)
        if everything(home) == before:
            return
    raise AssertionError("it comes to no end")


def everything(home: Home) -> list[str]:
    """All blobs, and all rows of runs."""
    store = home.services.store
    tables = [table._client for table in (store._runs, store._tasks, store._chunks)]
    rows = [(one["PartitionKey"], one["RowKey"], one.metadata["etag"]) for t in tables for one in t.list_entities()]
    return [*(path for path, _ in home.services.blobs.list("")), *map(str, rows)]


def lines(home: Home, run: Run, task: str) -> list[dict[str, str]]:
    content = reports.rejects(home.services, run.id, task).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(content, newline="")))


@pytest.fixture(scope="module", name="refused")
def _refused(home: Home) -> Run:
    """A run of which Dataverse refused a link."""
    outcome = home.land(names(ALL), contact=paired([0, 1, 2]) | REFUSED)
    assert outcome.counts("contact") == {"created": 1, "unchanged": 2, "rejected": 1, "writes": 1}
    return run_of(home, outcome)


def test_a_refused_link_is_named_by_its_key(home: Home, refused: Run) -> None:
    shown = views.run_with_tasks(home.services, refused)["tasks"]
    addresses = {task["rejects"] for task in shown}
    assert addresses == {None, f"/api/runs/{refused.id}/rejects/link.contact"}
    [line] = lines(home, refused, "link.contact")
    assert (line["source_key"], line["guid"], line["column"]) == (row(3), row(3), "")
    assert line["code"].startswith("0x")
    assert list(line) == list(rejects.COLUMNS)


def test_the_next_run_sends_it_apart(home: Home, refused: Run) -> None:
    outcome = home.land(names(ALL), contact=paired([0, 1, 2, 4, 5]) | REFUSED)
    store, run = home.services.store, run_of(home, outcome)
    assert run.id != refused.id
    assert outcome.counts("contact") == {"created": 2, "unchanged": 3, "rejected": 1, "writes": 2}
    assert sorted(chunk.rows for chunk in store.chunks(store.task(run.id, "link.contact"))) == [1, 2]


def test_nothing_goes_while_a_worker_may_be_at_it(home: Home, refused: Run) -> None:
    """A lease long: who is late has lost its claim by then."""
    fresh = run_of(home, home.ask())
    before = files(home, fresh)
    retention.tidy(home.services)
    assert files(home, fresh) == before
    assert fresh.id > refused.id


def test_killed_amid_it_the_next_look_goes_on_and_only_the_rejects_stay(home: Home, refused: Run) -> None:
    later(home, seconds=LEASE_SECONDS)
    for point in (1, 4, 2):
        fate = Fate(point, after=point == 4)
        worker = home.workshop.worker(fate)
        fate.watch(worker.blobs._container, "blobs", "delete_blob")
        with pytest.raises(Killed):
            retention.tidy(worker)
    assert len(files(home, refused)) > 1
    tidy(home)
    assert files(home, refused) == ["link.contact/rejects.csv"]
    for run in home.services.store.runs(home.environment):
        assert run.files is Files.REJECTS
        assert all(path.endswith("rejects.csv") for path in files(home, run))
    assert run_of_id(home, refused).updated == refused.updated, "people see no change"


def run_of_id(home: Home, run: Run) -> Run:
    return home.services.store.run(home.environment, run.id)


def test_little_goes_at_one_look(home: Home, refused: Run) -> None:
    run = run_of(home, home.ask())
    assert run.id > refused.id
    later(home, seconds=LEASE_SECONDS)
    before = len(files(home, run))
    retention.tidy(home.services, most=3)
    assert len(files(home, run)) == before - 3
    tidy(home)


def test_messages_that_come_late_change_nothing(home: Home, refused: Run) -> None:
    before, written = everything(home), home.written()
    for letter in home.workshop.bag.known:
        letter.hand_over(home.services)
    home.workshop.work_to_the_end(home.services)
    tidy(home)
    assert home.written() == written
    assert everything(home) == before
    shown = views.run_with_tasks(home.services, run_of_id(home, refused))
    assert shown["status"] == "Completed with rejects"
    assert lines(home, refused, "link.contact")


def test_a_worker_that_was_held_up_before_it_read_its_chunk_finds_it_gone_and_does_no_harm(home: Home) -> None:
    fate = Fate(1, after=True, held_up=True, of="HydrationChunks.update_entity")
    with ThreadPoolExecutor(1) as threads:
        home.put(names(ALL), home.keys_of({"contact": paired([0, 1, 2, 4, 5, 6]) | REFUSED}))
        home.workshop.announce()
        late = threads.submit(home.workshop.work_to_the_end, home.workshop.worker(fate))
        try:
            assert fate.reached.wait(60)
            home.workshop.work_to_the_end(home.services)
            later(home, seconds=LEASE_SECONDS)
            tidy(home)
            before, written = everything(home), home.written()
        finally:
            fate.released.set()
            with contextlib.suppress(HydrationError, ValueError):  # others have taken its message out of the bag
                late.result(timeout=60)
    run = next(iter(home.services.store.runs(home.environment, limit=1)))
    assert run.status is Status.COMPLETED_WITH_REJECTS, run
    assert files(home, run) == ["link.contact/rejects.csv"]
    home.workshop.work_to_the_end(home.services)
    assert (everything(home), home.written()) == (before, written)


# -- what somebody needs -----------------------------------------------------------------------------------


def test_what_is_held_can_be_confirmed_after_the_clean_up_and_goes_then(home: Home) -> None:
    held = run_of(home, home.land(names(LEFT), contact=paired([0, 1])))
    task = home.services.store.task(held.id, "CustomerProfile")
    assert task.confirmable == len(ALL) - len(LEFT), task.detail
    later(home, days=40)  # however long it takes
    tidy(home)
    delta = paths.delta(paths.plan(held.environment, task, task.attempt))
    assert [path for path in files(home, held) if path.endswith(".parquet")] == ["/".join(delta.split("/")[3:])]
    assert run_of_id(home, held).files is Files.ALL

    going = confirm.confirm(home.services, held.id)
    later(home, days=1)
    tidy(home)
    assert delta.split("/")[-1] in "".join(files(home, held)), "it is being carried out"
    home.workshop.work_to_the_end(home.services)
    done = home.services.store.run(home.environment, going.id)
    profiles = home.services.store.task(going.id, "CustomerProfile")
    assert profiles.counts.removed == len(ALL) - len(LEFT), (done, profiles)
    assert set(home.rows(PROFILE)) == {person(number) for number in LEFT} - {LOST}

    later(home, seconds=LEASE_SECONDS)
    tidy(home)
    assert files(home, run_of_id(home, done)) == []
    with pytest.raises((OvertakenError, NotFoundError)):
        confirm.confirm(home.services, held.id)


def test_a_plan_whose_outcome_is_unknown_stays_until_a_run_has_settled_it(home: Home) -> None:
    lost = run_of(home, unsettled(home))
    task = home.services.store.task(lost.id, "link.contact")
    delta = paths.delta(paths.plan(lost.environment, task, task.attempt))
    later(home, days=40)
    tidy(home)
    assert [path for path in files(home, lost) if not path.endswith("rejects.csv")] == ["/".join(delta.split("/")[3:])]
    settled = home.ask()
    assert settled.counts("contact")["writes"] == 1, "its rows were uncertain"
    later(home, seconds=LEASE_SECONDS)
    tidy(home)
    with pytest.raises(NotFoundError, match="There is no run"):
        run_of_id(home, lost)
    assert files(home, lost) == []


def unsettled(home: Home) -> Outcome:
    """A run of which nobody could commit what became of the links."""

    def handle(letter: Letter, services: Services) -> None:
        message = letter.message
        if isinstance(message, TableMessage) and message.step is Step.CLOSE and message.task == "link.contact":
            run = services.store.run(message.environment, message.run)
            close.leave_uncertain(services, run, services.store.task(run.id, message.task), "nobody could.")
            lifecycle.advance(services, run.environment, run.id)
            return
        letter.hand_over(services)

    home.workshop.handle = handle
    try:
        return home.land(names(LEFT), contact=paired([0, 1, 2]))
    finally:
        home.workshop.handle = Letter.hand_over


def test_the_state_that_an_open_task_was_planned_against_stays_until_it_is_closed(home: Home) -> None:
    """The worker dies with the new state committed and the task not ended: it is closed again, from the old one."""
    home.put(names(LEFT), home.keys_of({"contact": paired([0, 1])}))
    home.workshop.announce()
    with pytest.raises(Killed):
        home.workshop.work_to_the_end(home.workshop.worker(Fate(1, after=True, of="HydrationState.update_entity")))
    later(home, days=40)
    tidy(home)
    home.workshop.work_to_the_end(home.services)
    told = home.workshop.told(home.services)
    assert {task["key"]: task["status"] for task in told["tasks"] if task["chunks"]} == {"link.contact": "Successful"}
    assert told["status"] == "Successful", told


def test_a_close_that_was_held_up_names_no_plan_that_is_gone(home: Home) -> None:
    """It read its task before another worker closed it, and comes to the pointer after all was deleted."""
    store = home.services.store
    run = run_of(home, home.ask())
    task = store.task(run.id, "link.contact")
    late = replace(task, phase=TaskPhase.PLANNED, owner="", lease_until=None)
    pointer = store.pointer(run.organization_id, "msdynci", "contact")
    store.save_pointer(run.organization_id, "msdynci", replace(pointer, run="a later one"))
    close.leave_uncertain(home.services, run, late, "it was held up.")
    found = store.pointer(run.organization_id, "msdynci", "contact")
    assert found.pending == ()
    store.save_pointer(run.organization_id, "msdynci", replace(found, run=pointer.run))


# -- after the time ----------------------------------------------------------------------------------------


def test_after_the_time_only_the_newest_run_and_the_states_of_today_are_left(home: Home, refused: Run) -> None:
    home.land(names(LEFT), contact=paired([0, 1, 2]) | REFUSED)
    newest = run_of(home, home.ask())
    assert lines(home, newest, "link.contact")
    later(home, days=31)
    for point in (3, 9):
        fate = Fate(point)
        worker = home.workshop.worker(fate)
        fate.watch(worker.blobs._container, "blobs", "delete_blob")
        with pytest.raises(Killed):
            tidy(home, worker)
    with ThreadPoolExecutor(3) as several:
        list(several.map(retention.tidy, [home.workshop.worker() for _ in range(3)]))
    tidy(home)
    assert [run.id for run in home.services.store.runs(home.environment)] == [newest.id]
    pointers = home.services.store.all_pointers(newest.organization_id)
    named = {path for pointer in pointers for path in (pointer.path, pointer.refused) if path}
    assert {path for path, _ in home.services.blobs.list("")} == named
    assert home.services.store.chunks(home.services.store.task(newest.id, "link.contact")) == []
    with pytest.raises(NotFoundError, match=r"There is no run .* Runs are kept for 30 days"):
        views.find_run(home.services, refused.id)


def test_the_newest_run_is_shown_and_says_that_its_rejects_are_gone(home: Home) -> None:
    [run] = home.services.store.runs(home.environment)
    shown = views.run_with_tasks(home.services, run)
    [task] = [task for task in shown["tasks"] if task["key"] == "link.contact"]
    assert (task["rejected"], task["status"]) == (1, "Completed with rejects")
    assert task["detail"].endswith("Its rejects are gone: they are kept for 30 days.")
    assert task["rejects"] is None
    with pytest.raises(GoneError, match=f"The rejects of run {run.id} are gone: they are kept for 30 days"):
        reports.rejects(home.services, run.id, "link.contact")
    with pytest.raises(NotFoundError, match="has no rejects"):
        reports.rejects(home.services, run.id, "CustomerProfile")


def test_what_is_left_is_enough_to_go_on(home: Home) -> None:
    before = home.written()
    again = home.land(names(LEFT), contact=paired([0, 1, 2]) | REFUSED)
    assert again.counts("contact") == {"unchanged": 3, "rejected": 1}
    assert home.written() == before
