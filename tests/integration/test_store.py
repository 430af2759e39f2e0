"""The truth about runs, on real tables of Azurite: guarded writes, transactions, order, pages, locks and chunks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from uuid import uuid4

import pytest
from azure.data.tables import TableServiceClient

from local import azurite, ports
from shared import views
from shared.clock import Clock
from shared.delta.counts import Counts
from shared.errors import ConflictError, NotFoundError, TransientError
from shared.runs.model import (
    CHILD_REMOVALS,
    LAST_STAGE,
    PROFILES,
    ROWS,
    Chunk,
    Kind,
    Phase,
    Run,
    Status,
    Task,
    TaskPhase,
)
from shared.runs.rows import Lock, Pointer, Progress
from shared.runs.store import Store
from shared.services import Services
from shared.settings import Connection

OPENED = datetime(2026, 11, 2, 3, tzinfo=UTC)


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("azurite")
    reserved = ports.reserve(folder / "ports.json", azurite.SERVICES)
    child = azurite.start(folder / "files", folder / "azurite.log", reserved)
    try:
        yield azurite.connection_string(reserved)
    finally:
        child.stop()


@pytest.fixture(scope="module")
def store(connection: str) -> Store:
    found = Store(Connection(connection), Clock())
    found.create_tables()
    found.create_tables()  # what is there stays
    return found


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """An environment, run or organization of the test's own: with characters that no key takes."""
    return f"{request.node.name}/{uuid4().hex[:6]}#?%\\é"


# -- environments and runs -------------------------------------------------------------------------------


def test_an_environment_is_fresh_until_it_is_saved(store: Store, name: str) -> None:
    fresh = store.environment(name)
    assert (fresh.id, fresh.etag) == (name, "")
    saved = store.save_environment(replace(fresh, seen_fingerprint="a", seen_since=OPENED))
    assert store.environment(name) == saved
    assert saved in store.environments()
    with pytest.raises(ConflictError):
        store.save_environment(fresh)
    with pytest.raises(ConflictError):
        store.save_environment(replace(saved, etag='W/"1"'))
    again = store.save_environment(replace(saved, seen_fingerprint="b", seen_since=None))
    assert store.environment(name) == again
    assert again.seen_since is None, "what is gone from a row is gone"


def test_a_write_that_finds_another_version_changes_nothing(store: Store, name: str) -> None:
    run = store.save_run(Run("1", name, opened=OPENED))
    assert run.updated is not None
    with pytest.raises(ConflictError):
        store.save_run(Run("1", name))
    first = store.save_run(replace(run, detail="first"))
    with pytest.raises(ConflictError):
        store.save_run(replace(run, detail="second"))
    assert store.run(name, "1") == first


def test_many_workers_write_one_after_the_other(store: Store, name: str) -> None:
    run, start = store.save_run(Run("1", name)), threading.Barrier(8)

    def write(number: int) -> bool:
        start.wait()
        try:
            store.save_run(replace(run, detail=str(number)))
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as workers:
        assert sum(workers.map(write, range(8))) == 1


def test_what_is_not_there_is_not_found(store: Store, name: str) -> None:
    for find in (
        lambda: store.run(name, "1"),
        lambda: store.find_run(name),
        lambda: store.task(name, "t"),
        lambda: store.save_run(Run("1", name, etag='W/"1"')),
        lambda: store.save_task(replace(task(name), etag='W/"1"')),
    ):
        with pytest.raises((NotFoundError, ConflictError)):
            find()


def test_runs_are_listed_the_newest_first(store: Store, name: str) -> None:
    ids = [f"{OPENED + timedelta(minutes=minute):%Y%m%dT%H%M%S%f}-{minute:06x}" for minute in range(12)]
    for run in ids[::2] + ids[1::2]:
        store.save_run(Run(run, name))
    store.save_environment(store.environment(name))
    assert [run.id for run in store.runs(name)] == ids[::-1]
    assert [run.id for run in store.runs(name, limit=3)] == ids[:-4:-1]
    other = store.save_run(Run("20991231T000000000000-zz", f"{name}2"))
    assert store.runs(limit=1) == [other], "of all environments"
    assert store.find_run(ids[4]).environment == name
    assert store.runs(f"{name}3") == []


def test_waiting_runs_are_listed_the_oldest_first(store: Store, name: str) -> None:
    for run, phase in (("3", Phase.WAITING), ("1", Phase.WAITING), ("2", Phase.SENDING), ("0", Phase.ENDED)):
        store.save_run(Run(run, name, phase=phase))
    assert [run.id for run in store.waiting_runs(name)] == ["1", "3"]


def test_the_lock_changes_with_the_run_or_not_at_all(store: Store, name: str) -> None:
    one, other = store.save_run(Run("1", name)), store.save_run(Run("2", name))
    free = store.lock(name)
    assert free == Lock()
    (started,) = store.save_runs([replace(one, phase=Phase.STARTING)], lock=replace(free, run="1"))
    with pytest.raises(ConflictError):
        store.save_runs([replace(other, phase=Phase.STARTING)], lock=replace(free, run="2"))
    assert store.run(name, "2") == other
    held = store.lock(name)
    assert held.run == "1"
    with pytest.raises(ConflictError):
        store.save_runs([replace(one, phase=Phase.ENDED)], lock=replace(held, run=""))
    assert store.lock(name) == held, "the run was another version: the lock stays"
    store.save_runs([replace(started, phase=Phase.ENDED)], lock=replace(held, run="", last="1"))
    assert (store.lock(name).run, store.lock(name).last) == ("", "1")
    assert store.lock(name).etag


def test_only_one_of_many_takes_the_lock(store: Store, name: str) -> None:
    runs = [store.save_run(Run(str(number), name)) for number in range(6)]
    free, start = store.lock(name), threading.Barrier(6)

    def take(run: Run) -> bool:
        start.wait()
        try:
            store.save_runs([replace(run, phase=Phase.STARTING)], lock=replace(free, run=run.id))
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(6) as workers:
        took = list(workers.map(take, runs))
    assert sum(took) == 1
    assert store.lock(name).run == str(took.index(True))


def test_runs_and_their_environment_are_saved_together(store: Store, name: str) -> None:
    known = store.save_environment(store.environment(name))
    store.save_environment(replace(known, seen_fingerprint="a"))
    with pytest.raises(ConflictError):
        store.save_runs([Run("1", name)], environment=replace(known, opened_fingerprint="b"))
    assert store.runs(name) == []
    saved = store.save_runs(
        [Run("1", name), Run("2", name)], environment=replace(store.environment(name), opened_fingerprint="b")
    )
    assert [store.run(name, run.id) for run in saved] == saved
    assert store.environment(name).opened_fingerprint == "b"


# -- tasks -------------------------------------------------------------------------------------------------


def task(run: str, key: str = "CustomerProfile", **fields: object) -> Task:
    return replace(Task(run, key, key, Kind.TABLE, key), **fields)  # type: ignore[arg-type]


def test_a_task_keeps_everything_it_knows(store: Store, name: str) -> None:
    told = task(
        name, "link.contact/é", notes=("One.", "Zwei; drei."), sources=('["CRM", "contact"]',), lease_until=OPENED,
        counts=Counts(created=5, writes=5), phase=TaskPhase.PLANNED, tries=3, detail="Line 1\nLine 2, <b>",
    )  # fmt: skip
    saved = store.save_task(told)
    assert store.task(name, "link.contact/é") == saved
    assert replace(saved, etag="", updated=None) == told
    with pytest.raises(ConflictError):
        store.save_task(told)
    with pytest.raises(ConflictError):
        store.save_task(replace(saved, etag=saved.etag.replace("20", "19")))


def test_another_round_has_exactly_its_own_tasks(store: Store, name: str) -> None:
    store.begin_round(Run(name, "e"), [task(name, "a"), task(name, "b", tries=4)])
    store.moved(name, "a")
    again = Run(name, "e", attempt=2)
    store.begin_round(again, [task(name, "b"), *(task(name, f"c{number:03}") for number in range(150))])
    found = store.tasks(name)
    assert [one.key for one in found] == ["b", *(f"c{number:03}" for number in range(150))]
    assert {(one.tries, one.round) for one in found} == {(0, 2)}
    assert store.tasks(f"{name}2") == []


def test_a_round_that_has_begun_is_not_begun_again(store: Store, name: str) -> None:
    run = Run(name, "e")
    store.begin_round(run, [task(name, "a"), task(name, "b")])
    planned = store.save_task(replace(store.task(name, "a"), phase=TaskPhase.PLANNED, attempt="x"))
    store.begin_round(run, [task(name, "a"), task(name, "b")])
    assert store.task(name, "a") == planned
    assert len(store.tasks(name)) == 2


def test_a_round_that_is_over_replaces_nothing(store: Store, name: str) -> None:
    store.begin_round(Run(name, "e", attempt=2), [task(name, "a")])
    found = store.tasks(name)
    with pytest.raises(ConflictError):
        store.begin_round(Run(name, "e", attempt=1), [task(name, "a"), task(name, "b")])
    assert store.tasks(name) == found


def test_the_last_move_of_any_task_counts(store: Store, name: str) -> None:
    assert store.progress(name).moved is None
    store.moved(name, "a")
    first = store.progress(name).moved
    store.moved(name, "b")
    last = store.progress(name).moved
    assert first is not None
    assert last is not None
    assert first < last
    assert abs(last - datetime.now(UTC)) < timedelta(seconds=60)


def test_how_far_a_run_is_comes_in_one_answer(store: Store, name: str) -> None:
    store.begin_round(Run(name, "e"), [task(name, "a"), task(name, "link.contact/é")])
    store.moved(name, "a")
    store.asked_to_close(name, "link.contact/é")
    found = store.progress(name)
    assert found.tasks == store.tasks(name)
    assert found.moved is not None
    assert found.moved <= found.closing["link.contact/é"]
    assert store.progress(f"{name}2") == Progress([], None, {})


def test_a_run_is_shown_with_its_tasks_in_order_and_how_far_they_are(store: Store, name: str) -> None:
    run = store.save_run(Run("1", name, phase=Phase.SENDING))
    planned = task("1", phase=TaskPhase.PLANNED, attempt=name, chunks=3, detail="Rows.", counts=Counts(unchanged=7))
    links = [replace(task("1", key), kind=Kind.LINK, name=f"Link {key}") for key in ("lead", "contact")]
    store.begin_round(run, [*links, task("1", "AlternateKey"), planned])
    store.add_chunks([chunk(planned, number) for number in (1, 2, 3)])
    store.conclude_chunk(store.open_chunks(planned, up_to=ROWS)[0])
    services = cast("Services", SimpleNamespace(store=store, clock=store.clock))
    shown = views.run_with_tasks(services, run)["tasks"]
    assert [one["name"] for one in shown] == ["CustomerProfile", "AlternateKey", "Link contact", "Link lead"]
    assert (shown[0]["chunks_done"], shown[0]["unchanged"], shown[0]["group"]) == (1, 7, "Dataverse Hydration")
    assert shown[0]["detail"] == "Rows. 1 of 3 chunks are done."
    until = OPENED.replace(year=2126)
    store.save_chunk(replace(store.open_chunks(planned, up_to=ROWS)[0], lease_until=until, trouble="Busy."))
    waiting = views.run_with_tasks(services, run)
    assert (waiting["detail"], waiting["waits_until"]) == ("1 chunk waits until 03:00 UTC: Busy.", until.isoformat())
    ended = views.run_with_tasks(services, replace(run, phase=Phase.ENDED, status=Status.FAILED))["tasks"]
    assert "chunks_done" not in ended[0]


# -- chunks ------------------------------------------------------------------------------------------------


def chunk(of: Task, number: int, stage: int = PROFILES) -> Chunk:
    return Chunk(of.run, of.key, of.attempt, number, stage, rows=10)


def test_a_chunk_moves_from_open_to_done_once(store: Store, name: str) -> None:
    planned = task(name, attempt="a")
    store.add_chunks([chunk(planned, 1)])
    found = store.chunk(planned, PROFILES, 1)
    assert found is not None
    claimed = store.save_chunk(replace(found, owner="w", lease_until=OPENED, begun=10))
    with pytest.raises(ConflictError):
        store.conclude_chunk(found)
    assert store.chunk(planned, PROFILES, 1) == claimed
    store.conclude_chunk(replace(claimed, sent=10))
    done = store.chunk(planned, PROFILES, 1)
    assert done is not None
    assert (done.done, done.sent, done.begun, done.owner, done.lease_until) == (True, 10, 10, "", None)
    assert store.chunks(planned) == [done], "it stands there once"
    for late in (store.conclude_chunk, store.save_chunk):
        with pytest.raises((ConflictError, NotFoundError)):
            late(claimed)
    assert store.chunks(planned) == [done]


def test_of_many_workers_one_concludes_a_chunk(store: Store, name: str) -> None:
    planned = task(name, attempt="a")
    store.add_chunks([chunk(planned, 1)])
    found = store.open_chunks(planned, up_to=PROFILES)[0]

    def conclude(_: int) -> bool:
        try:
            store.conclude_chunk(found)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(6) as workers:
        assert sum(workers.map(conclude, range(6))) == 1


def test_open_chunks_are_found_by_stage_lowest_first(store: Store, name: str) -> None:
    planned = task(name, attempt="a")
    stages = {1: ROWS, 2: ROWS, 10: PROFILES, 11: CHILD_REMOVALS}
    store.add_chunks([chunk(planned, number, stage) for number, stage in stages.items()])
    store.add_chunks([chunk(replace(planned, attempt="b"), 99)])
    assert [one.number for one in store.open_chunks(planned, up_to=LAST_STAGE)] == [10, 1, 2, 11]
    assert [one.number for one in store.open_chunks(planned, up_to=ROWS)] == [10, 1, 2]
    assert [one.number for one in store.open_chunks(planned, up_to=LAST_STAGE, limit=1)] == [10]
    store.conclude_chunk(store.open_chunks(planned, up_to=PROFILES)[0])
    assert store.open_chunks(planned, up_to=PROFILES) == []
    assert [one.number for one in store.open_chunks(planned, up_to=LAST_STAGE, limit=1)] == [1]
    assert len(store.chunks(planned)) == 4


def test_more_chunks_than_a_page_holds(store: Store, name: str) -> None:
    planned = task(name, attempt="a")
    store.add_chunks([chunk(planned, number, ROWS) for number in range(1, 1206)])
    assert [one.number for one in store.open_chunks(planned, up_to=ROWS)] == list(range(1, 1206))
    assert len(store.chunks(planned)) == 1205
    assert len(store.open_chunks(planned, up_to=ROWS, limit=1100)) == 1100
    store.add_chunks([chunk(planned, 7, ROWS)])
    assert len(store.chunks(planned)) == 1205, "adding them again changes nothing"


# -- applied state -----------------------------------------------------------------------------------------


def test_a_pointer_is_moved_by_one(store: Store, name: str) -> None:
    fresh = store.pointer(name, "msdynci", "contact")
    assert fresh == Pointer()
    store.save_pointer(name, "msdynci", Pointer("state/1", "run", "a", "contact", Kind.LINK))
    with pytest.raises(ConflictError):
        store.save_pointer(name, "msdynci", Pointer("state/2", table="contact"))
    known = store.pointer(name, "msdynci", "contact")
    assert (known.path, known.kind, known.pending) == ("state/1", "link", ())
    store.save_pointer(name, "msdynci", replace(known, pending=("delta/1", "delta/2")))
    with pytest.raises(ConflictError):
        store.save_pointer(name, "msdynci", replace(known, path="state/3"))
    assert store.pointer(name, "msdynci", "contact").pending == ("delta/1", "delta/2")


def test_pointers_are_those_of_the_organization_and_prefix(store: Store, name: str) -> None:
    for organization, prefix, table in (
        (name, "a", "contact"), (name, "a", "zürich"), (name, "ab", "lead"), (f"{name}2", "a", "account"),
    ):  # fmt: skip
        store.save_pointer(organization, prefix, Pointer("path", table=table))
    store.claim_organization(name, "environment", ["environment"])
    assert sorted(pointer.table for pointer in store.pointers(name, "a")) == ["contact", "zürich"]
    assert store.pointers(name, "c") == []


def test_an_organization_belongs_to_the_first_that_asks(store: Store, name: str) -> None:
    start = threading.Barrier(6)
    configured = [f"environment{number}" for number in range(6)]

    def claim(number: int) -> str:
        start.wait()
        return store.claim_organization(name, f"environment{number}", configured)

    with ThreadPoolExecutor(6) as workers:
        owners = set(workers.map(claim, range(6)))
    assert len(owners) == 1
    assert {store.claim_organization(name, "late", [*configured, "late"])} == owners
    assert store.claim_organization(name, "late", ["late"]) == "late", "the owner is configured no more"


# -- faults --------------------------------------------------------------------------------------------------


def test_a_storage_that_does_not_answer_is_a_passing_fault(tmp_path: Path) -> None:
    nobody = azurite.connection_string(ports.reserve(tmp_path / "ports.json", azurite.SERVICES))
    client = TableServiceClient.from_connection_string(nobody, retry_total=0)
    dead = Store(Connection(nobody), Clock())
    dead._runs._client = client.get_table_client("HydrationRuns")
    for call in (lambda: dead.environment("e"), dead.environments, lambda: dead.save_run(Run("1", "e"))):
        with pytest.raises(TransientError) as caught:
            call()
        assert not isinstance(caught.value, ConflictError)
