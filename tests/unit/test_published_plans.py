"""What a plan leaves for those who send it: its chunks, its delta, what it was made against. Of links, by real SQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping

import pyarrow as pa
import pytest
from pyarrow import parquet

from shared.runs import paths
from shared.runs.model import Status, Task, TaskPhase
from tests.support.catalogs import ENVIRONMENT
from tests.support.link_world import Unified, World, surroundings

CUSTOMERS = [str(uuid.UUID(int=900 + number)) for number in range(9)]
ROWS = [str(uuid.UUID(int=100 + number)) for number in range(9)]


@pytest.fixture(scope="module", autouse=True)
def _around() -> Iterator[None]:
    with surroundings():
        yield


def world(rows: int, **options: object) -> World:
    """So many source rows in Dataverse, each with its customer, and no links yet."""
    made = World(**options)  # type: ignore[arg-type]
    made.dataverse.lookup = 1
    made.dataverse.links = dict.fromkeys(ROWS[:rows])
    made.dataverse.codes = dict.fromkeys(ROWS, "")
    made.dataverse.profiles = set(CUSTOMERS)
    made.unified = unified(rows)
    return made


def unified(rows: int) -> Unified:
    return Unified(tuple(zip(ROWS[:rows], CUSTOMERS, strict=False)), dict.fromkeys(CUSTOMERS[:rows], "born"))


def planned(made: World, mode: str = "incremental", confirms: Task | None = None) -> Task:
    task = made.plan(mode, confirms)
    assert task is not None
    return task


def sent(made: World, task: Task) -> Task:
    """All of it is written."""
    for stage in (task.write_stage, task.remove_stage):
        for chunk in made.writes(task, stage):
            made.dataverse.links |= {one.row: one.profile for one in chunk}
    reach = {chunk.number: (chunk.rows, chunk.rows) for chunk in made.storage.opened}
    return made.close(task, reach, {})


def table(made: World, path: str) -> list[Mapping[str, object]]:
    rows: list[Mapping[str, object]] = parquet.read_table(pa.BufferReader(made.storage.read(path))).to_pylist()
    return rows


def folder(task: Task) -> str:
    return paths.plan(ENVIRONMENT, task, task.attempt)


def test_every_row_to_write_stands_once_in_a_chunk_that_has_its_row_and_its_file() -> None:
    made = world(4)
    task = planned(made)
    assert (task.phase, task.status, task.chunks) == (TaskPhase.PLANNED, Status.REFRESHING, 2)
    assert [(one.run, one.task, one.attempt, one.number, one.stage, one.rows) for one in made.storage.opened] == [
        (task.run, task.key, task.attempt, number, task.write_stage, rows) for number, rows in ((1, 3), (2, 1))
    ]
    written = [(one.row, one.profile) for chunk in made.writes(task, task.write_stage) for one in chunk]
    assert written == list(zip(ROWS[:4], CUSTOMERS, strict=False))


def test_the_delta_tells_of_each_row_its_chunk_and_its_place() -> None:
    made = world(4)
    task = planned(made)
    rows = [(str(row["id"]), row["op"], row["chunk"], row["place"]) for row in table(made, paths.delta(folder(task)))]
    assert sorted(rows) == [(row, "create", 1 + at // 3, at % 3) for at, row in enumerate(ROWS[:4])]


def test_links_to_clear_travel_behind_those_to_write() -> None:
    made = world(4)
    sent(made, planned(made))
    made.unified = Unified(tuple(zip(ROWS[:3], CUSTOMERS, strict=False)), dict.fromkeys(CUSTOMERS, "born"))
    task = planned(made)
    assert [(one.number, one.stage, one.rows) for one in made.storage.opened] == [(1, task.remove_stage, 1)]
    assert [(one.row, one.profile) for (one,) in made.writes(task, task.remove_stage)] == [(ROWS[3], None)]


def test_what_was_read_of_dataverse_stands_beside_the_plan() -> None:
    made = world(2)
    made.dataverse.links[ROWS[0]] = CUSTOMERS[5]
    task = planned(made)
    assert task.read
    base = {str(row["id"]): (str(row["entry"]), row["mark"]) for row in table(made, paths.base(folder(task)))}
    assert base == {ROWS[0]: (CUSTOMERS[5], "foreign")}
    later = planned(made) if sent(made, task) else None
    assert later is not None
    assert not later.read
    assert paths.base(folder(later)) not in made.storage.blobs, "what the app wrote itself it need not read"


def test_rows_that_the_plan_rejects_stand_beside_it() -> None:
    made = world(3)
    made.unified = Unified(made.unified.keys, dict.fromkeys(CUSTOMERS[:2], "born"))
    task = planned(made)
    assert [str(row["id"]) for row in table(made, paths.rejects(folder(task)))] == [ROWS[2]]
    assert task.counts.rejected == 1


def test_a_plan_names_the_state_that_it_was_made_against_and_an_attempt_of_its_own() -> None:
    made = world(1)
    first = planned(made)
    assert first.base_state == ""
    sent(made, first)
    second = planned(made)
    assert second.base_state == made.storage.known.path != ""
    assert second.attempt not in {"", first.attempt}
    assert len(second.attempt) == 12
    assert (second.counts.unchanged, second.chunks, made.storage.opened) == (1, 0, [])


def test_a_run_that_only_plans_leaves_nothing_to_send() -> None:
    made = world(2)
    task = planned(made, "plan")
    assert (task.phase, task.counts.created, made.storage.opened) == (TaskPhase.ENDED, 2, [])
    assert made.storage.blobs == {}
    assert task.attempt, "profiles that it would make are told by it"


def test_an_outcome_that_is_not_known_is_planned_again() -> None:
    made = world(2)
    made.leave(planned(made))
    task = planned(made)
    assert [one.row for chunk in made.writes(task, task.write_stage) for one in chunk] == ROWS[:2]


def test_rows_that_were_refused_travel_in_a_chunk_of_their_own() -> None:
    made = world(3)
    task = planned(made)
    exceptions = {1: {1: [ROWS[1], "rejected", False, "0x1", "No."]}}
    made.dataverse.links |= {ROWS[0]: CUSTOMERS[0], ROWS[2]: CUSTOMERS[2]}
    made.close(task, {1: (3, 3)}, exceptions)
    made.unified = unified(5)
    made.dataverse.links |= dict.fromkeys(ROWS[3:5])
    again = planned(made, "verify")
    written = [[one.row for one in chunk] for chunk in made.writes(again, again.write_stage)]
    assert written == [ROWS[3:5], [ROWS[1]]]


# -- what a person confirms --------------------------------------------------------------------------------


def held(made: World) -> Task:
    """A run that held the clearing of three links."""
    sent(made, planned(made))
    made.unified = Unified((), dict.fromkeys(CUSTOMERS, "born"))
    task = planned(made)
    assert (task.counts.held, task.confirmable, made.storage.opened) == (3, 3, [])
    sent(made, task)
    return task


def test_what_was_held_is_carried_out_when_it_is_confirmed() -> None:
    made = world(3)
    task = held(made)
    confirmed = planned(made, "confirm", task)
    assert [one.row for chunk in made.writes(confirmed, confirmed.remove_stage) for one in chunk] == ROWS[:3]
    assert confirmed.base_state == made.storage.known.path
    assert confirmed.configuration == made.storage.known.configuration
    assert confirmed.attempt not in {"", task.attempt}
    assert confirmed.origin == ""
    sent(made, confirmed)
    assert set(made.dataverse.links.values()) == {None}


def test_what_was_held_is_not_carried_out_once_another_run_has_committed() -> None:
    made = world(3)
    task = held(made)
    sent(made, planned(made))
    assert made.plan("confirm", task) is None


def test_what_was_held_is_not_carried_out_while_an_outcome_is_unknown() -> None:
    made = world(3)
    task = held(made)
    made.leave(planned(made))
    assert made.plan("confirm", task) is None
