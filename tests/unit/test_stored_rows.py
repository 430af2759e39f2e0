"""The store over tables in memory: what holds on real ones holds here too, and some facts of rows and faults beside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError, ServiceRequestError

from shared.errors import ConflictError, HydrationError, NotFoundError, TransientError
from shared.runs.model import Chunk, Environment, Files, Kind, Phase, Run, Task
from shared.runs.rows import Pointer, Progress
from shared.runs.store import NAMES, Store
from shared.runs.tables import Table, Write
from tests.integration.test_store import (  # noqa: F401  the same facts, collected here for this store
    test_a_chunk_moves_from_open_to_done_once,
    test_a_pointer_is_moved_by_one,
    test_a_round_that_has_begun_is_not_begun_again,
    test_a_round_that_is_over_replaces_nothing,
    test_a_write_that_finds_another_version_changes_nothing,
    test_an_environment_is_fresh_until_it_is_saved,
    test_another_round_has_exactly_its_own_tasks,
    test_more_chunks_than_a_page_holds,
    test_open_chunks_are_found_by_stage_lowest_first,
    test_pointers_are_those_of_the_organization_and_prefix,
    test_runs_and_their_environment_are_saved_together,
    test_runs_are_listed_the_newest_first,
    test_the_lock_changes_with_the_run_or_not_at_all,
    test_waiting_runs_are_listed_the_oldest_first,
    test_what_is_not_there_is_not_found,
)
from tests.support.memory import NOW, Memory


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    return Memory(monkeypatch)


@pytest.fixture
def store(memory: Memory) -> Store:
    return memory.store


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"{request.node.name}/{uuid4().hex[:6]}#?%\\é"


def run(number: int, environment: str = "e", **fields: Any) -> Run:
    return Run(f"20261122T10000{number}000000-abcdef", environment, **fields)


def test_every_write_of_a_run_and_a_task_says_when(memory: Memory) -> None:
    saved = memory.store.save_run(run(1))
    task = memory.store.save_task(Task("r", "t", "t", Kind.TABLE, "t"))
    assert (saved.updated, task.updated) == (NOW, NOW)
    memory.clock.turn(60)
    assert memory.store.save_run(saved).updated == memory.store.run("e", saved.id).updated == memory.now
    assert memory.store.save_task(task).updated == memory.store.task("r", "t").updated == memory.now
    memory.store.begin_round(Run("other", "e"), [Task("other", "t", "t", Kind.TABLE, "t")])
    assert memory.store.task("other", "t").updated == memory.now


def test_a_round_that_begins_twice_at_once_conflicts(memory: Memory) -> None:
    later = Run("r", "e", attempt=2)
    task = Task("r", "t", "t", Kind.TABLE, "t")
    memory.store.begin_round(Run("r", "e"), [task])
    before = memory.store.task("r", "t")
    memory.store.save_task(before)  # another worker, after this one has read
    stale = Store.tasks
    cast("Any", memory.store).tasks = lambda _: [before]
    with pytest.raises(ConflictError):
        memory.store.begin_round(later, [task])
    assert stale(memory.store, "r")[0].round == 1


def test_the_last_move_of_any_task_of_the_run_counts(memory: Memory) -> None:
    assert memory.store.progress("r").moved is None
    memory.store.moved("r", "a")
    memory.clock.turn(5)
    memory.store.moved("r", "b")
    memory.clock.turn(5)
    memory.store.moved("r2", "a")
    assert memory.store.progress("r").moved == NOW + timedelta(seconds=5)
    memory.store.moved("r", "a")
    assert memory.store.progress("r").moved == NOW + timedelta(seconds=10)


def test_tasks_their_moves_and_their_closings_are_told_apart(memory: Memory) -> None:
    memory.store.moved("r", "a")
    saved = memory.store.save_task(Task("r", "a", "a", Kind.TABLE, "a"))
    memory.clock.turn(5)
    memory.store.asked_to_close("r", "a/b")
    memory.store.asked_to_close("r2", "a")
    assert memory.store.tasks("r") == [saved]
    assert memory.store.progress("r") == Progress([saved], NOW, {"a/b": NOW + timedelta(seconds=5)})
    memory.clock.turn(5)
    memory.store.asked_to_close("r", "a/b")
    assert memory.store.progress("r").closing == {"a/b": NOW + timedelta(seconds=10)}


def test_all_pointers_of_an_organization_are_those_of_every_prefix(memory: Memory) -> None:
    for organization, prefix in (("o", "xy"), ("o", "zz"), ("p", "xy")):
        memory.store.save_pointer(organization, prefix, Pointer(f"{organization}{prefix}", table="contact"))
    memory.store.claim_organization("o", "e", ["e"])
    assert sorted(pointer.path for pointer in memory.store.all_pointers("o")) == ["oxy", "ozz"]


def test_an_organization_is_owned_by_who_asked_first_as_long_as_it_is_configured(memory: Memory) -> None:
    assert memory.store.owner("o", ["a", "b"]) == ""
    assert memory.store.claim_organization("o", "a", ["a", "b"]) == "a"
    assert memory.store.claim_organization("o", "b", ["a", "b"]) == "a"
    assert (memory.store.owner("o", ["a", "b"]), memory.store.owner("o", ["b"])) == ("a", "")
    assert memory.store.claim_organization("o", "b", ["b"]) == "b"
    assert memory.store.owner("o", ["a", "b"]) == "b"
    assert memory.store.owner("p", ["a", "b"]) == ""


def test_who_claims_an_organization_at_the_same_moment_learns_who_was_faster(memory: Memory) -> None:
    write = memory.store._state.write

    def late(one: Write) -> str:
        cast("Any", memory.store._state).write = write
        memory.store.claim_organization("o", "faster", ["faster", "late"])
        return write(one)

    cast("Any", memory.store._state).write = late
    assert memory.store.claim_organization("o", "late", ["faster", "late"]) == "faster"


def test_every_table_is_made_once(memory: Memory) -> None:
    made: list[str] = []

    def create(table: str) -> None:
        if table in made:
            raise ResourceExistsError("there")
        made.append(table)

    cast("Any", memory.store._service).create_table = create
    made.append(NAMES[1])
    memory.store.create_tables()
    assert sorted(made) == sorted(NAMES)


def test_runs_of_all_environments_are_listed_the_newest_first_and_so_many(memory: Memory) -> None:
    for number, environment in ((1, "a"), (3, "b"), (2, "a")):
        lock = replace(memory.store.lock(environment), run="x")
        memory.store.save_runs([run(number, environment)], lock=lock)
        memory.store.save_environment(memory.store.environment(environment))
    assert [one.id[14] for one in memory.store.runs()] == ["3", "2", "1"]
    assert [one.id[14] for one in memory.store.runs(limit=2)] == ["3", "2"]
    assert [one.id[14] for one in memory.store.runs("a")] == ["2", "1"]
    assert memory.store.find_run(run(3).id).environment == "b"


def test_what_is_not_found_is_named(memory: Memory) -> None:
    said: list[tuple[Callable[[], object], str]] = [
        (lambda: memory.store.run("e", "r"), "There is no run r of environment e."),
        (lambda: memory.store.find_run("r"), "There is no run r."),
        (lambda: memory.store.task("r", "t"), "Run r has no task t."),
    ]
    for call, text in said:
        with pytest.raises(NotFoundError) as raised:
            call()
        assert str(raised.value) == text


def test_chunks_are_concluded_in_as_few_transactions_as_a_transaction_takes(memory: Memory) -> None:
    task = Task("r", "t", "t", Kind.TABLE, "t", attempt="a")
    memory.store.add_chunks([Chunk("r", "t", "a", number, 1, 5) for number in range(1, 121)])
    memory.store.conclude_chunks(memory.store.open_chunks(task, up_to=4))
    assert memory.store.open_chunks(task, up_to=4) == []
    assert [(one.number, one.done) for one in memory.store.chunks(task)] == [(number, True) for number in range(1, 121)]


def test_rows_are_written_and_forgotten_in_as_few_transactions_as_possible(memory: Memory) -> None:
    sizes: list[int] = []

    def watch(table: Table) -> None:
        client = cast("Any", table._client)
        submit = client.submit_transaction

        def counted(operations: list[Any]) -> Any:
            sizes.append(len(operations))
            return submit(operations)

        client.submit_transaction = counted

    watch(memory.store._chunks)
    watch(memory.store._runs)
    memory.store.add_chunks([Chunk("r", "t", "a", number, 1, 5) for number in range(130)])
    assert sizes == [100, 30]
    assert memory.store.past.forget_chunks("r", 1_000) == 130
    assert sizes == [100, 30, 100, 30]
    memory.store.save_run(run(1))
    assert len(sizes) == 4, "one row alone needs none"


# -- what is over --------------------------------------------------------------------------------------------


def test_ended_runs_that_have_all_their_files_are_found_the_oldest_first(memory: Memory) -> None:
    past = memory.store.past
    for number, phase, files in (
        (3, Phase.ENDED, Files.ALL), (1, Phase.ENDED, Files.ALL), (2, Phase.ENDED, Files.REJECTS),
        (4, Phase.SENDING, Files.ALL),
    ):  # fmt: skip
        memory.store.save_run(run(number, phase=phase, files=files))
    memory.store.save_run(run(1, "other", phase=Phase.ENDED))
    assert [one.id[14] for one in past.untidied("e")] == ["1", "3"]
    assert [one.id[14] for one in past.open_runs("e")] == ["4"]
    assert [one.id[14] for one in past.opened_before("e", NOW + timedelta(seconds=2.5))] == ["1", "2"]


def test_marking_a_run_changes_nothing_else_and_finds_its_version(memory: Memory) -> None:
    saved = memory.store.save_run(run(1, phase=Phase.ENDED))
    memory.clock.turn(60)
    marked = memory.store.past.mark(replace(saved, files=Files.NONE))
    assert memory.store.run("e", saved.id) == marked
    assert marked.updated == NOW, "it counts as no change"
    with pytest.raises(ConflictError):
        memory.store.past.mark(saved)


def test_rows_of_a_run_are_forgotten_so_many_at_once_and_those_of_no_other(memory: Memory) -> None:
    past = memory.store.past
    for name in ("r", "r2"):
        for attempt in ("a", "b"):
            memory.store.add_chunks([Chunk(name, "t", attempt, number, 1, 5) for number in range(130)])
        memory.store.save_task(Task(name, "t", "t", Kind.TABLE, "t"))
        memory.store.moved(name, "t")
    assert [past.forget_chunks("r", 150) for _ in range(3)] == [150, 110, 0]
    assert [past.forget_tasks("r", 1) for _ in range(3)] == [1, 1, 0]
    other = Task("r2", "t", "t", Kind.TABLE, "t", attempt="b")
    assert len(memory.store.chunks(other)) == 130
    assert len(memory.store.tasks("r2")) == 1


def test_a_run_is_forgotten_as_the_version_that_was_read(memory: Memory) -> None:
    first = memory.store.save_run(run(1))
    second = memory.store.save_run(first)
    with pytest.raises(ConflictError):
        memory.store.past.forget(first)
    memory.store.past.forget(second)
    assert memory.store.runs("e") == []


# -- faults --------------------------------------------------------------------------------------------------


SILENT = "The status storage did not answer as expected"


class Failing:
    """A table that answers every call with a fault."""

    def __init__(self, fault: Exception) -> None:
        self._fault = fault

    def __getattr__(self, _: str) -> Any:
        def call(*_: Any, **__: Any) -> Any:
            raise self._fault

        return call


@pytest.mark.parametrize(
    ("fault", "expected", "said"),
    [
        (ResourceExistsError("x"), ConflictError, "A row of the status storage was changed by another worker."),
        (ResourceNotFoundError("x"), NotFoundError, "A row of the status storage is gone."),
        (
            ServiceRequestError("x"),
            TransientError,
            "The status storage did not answer as expected: ServiceRequestError.",
        ),
        (HttpResponseError("x"), TransientError, "The status storage did not answer as expected: HttpResponseError."),
    ],
)
def test_faults_of_the_storage_are_errors_of_the_app(
    fault: Exception, expected: type[HydrationError], said: str
) -> None:
    table = Table(cast("Any", Failing(fault)))
    with pytest.raises(expected) as raised:
        table.write(Write(Environment("e"), "e", "environment"))
    assert type(raised.value) is expected
    assert str(raised.value) == said
    assert raised.value.__cause__ is fault
