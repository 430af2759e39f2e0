"""The plan of a table: what it holds, hands on and leaves for those who send it. Its rows are made by hand."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pytest
from pyarrow import parquet

from shared import plan, profiles
from shared.claims import TaskClaim
from shared.delta import chunks, compare, engine, state
from shared.delta.compare import Policy
from shared.errors import RequirementError
from shared.lake.snapshot import Snapshot
from shared.planning import Draft, Planning
from shared.runs import paths
from shared.runs.model import PROFILE_REMOVALS, PROFILES, Kind, Mode, Run, Task, TaskPhase
from shared.runs.rows import Pointer
from shared.services import Services
from shared.tables.rows import Rows
from tests.support import planning
from tests.support.link_world import Claim, Storage

PREFIX, ORGANIZATION = "xy", "organization"
PINNED = Snapshot("e", (), {}, (), {}, "fingerprint", None)
TASK = Task("r", "CustomerProfile", "CustomerProfile", Kind.TABLE, "CustomerProfile", phase=TaskPhase.PLANNING)
RUN = Run("r", "e", organization_id=ORGANIZATION)


def guid(number: int) -> str:
    return str(uuid.UUID(int=number))


class Planner:
    """`plan._publish` for one table whose rows (number -> content, None: a fault) a test gives."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self.storage, self.folder = Storage(), folder
        self.rows: dict[int | None, str | None] = {}
        self.once_more: dict[int | None, str | None] = {}
        self.drafted: dict[str, Any] = {}
        self.policy = Policy()
        self.published: list[tuple[str, str]] = []
        self.planning: Planning | None = None
        self.asked: list[tuple[str, ...]] = []
        hydration = SimpleNamespace(publisher_prefix=PREFIX)
        self.settings = SimpleNamespace(hydration=hydration)
        store = SimpleNamespace(pointer=self._pointer, add_chunks=self.storage.add_chunks)
        self.services = cast("Services", SimpleNamespace(settings=self.settings, store=store, blobs=self.storage))
        self.storage.blobs[paths.snapshot(RUN)] = PINNED.to_json()
        patch.setattr(plan, "draft", self._draft)
        of_held = Draft(Rows("", "NULL", "NULL", "entry"), "id::VARCHAR", "sets", "id")
        patch.setattr(plan, "confirmed", lambda _: of_held)
        patch.setattr(plan, "policy", lambda _: self.policy)
        patch.setattr(Planning, "origin", "its origin")
        patch.setattr(profiles, "publish", lambda *given: self.published.append((given[3].attempt, given[4].id)))
        patch.setattr(engine, "connect", self._connect)
        patch.setattr(compare, "LEAST_CHUNK_ROWS", 2)

    def _pointer(self, *asked: str) -> Pointer:
        self.asked.append(asked)
        return self.storage.known

    def _connect(self, settings: object) -> Any:
        assert settings is self.settings
        return _connected(self.folder)

    def _draft(self, given: Planning) -> Draft:
        self.planning = given
        connection = given.reading.connection
        columns = {"id": "UUID", "sourcekey": "VARCHAR", "content": "VARCHAR"}
        listed = [*self.rows.items(), *self.once_more.items()]
        cells = [(None if number is None else guid(number), f"key {number}", what) for number, what in listed]
        state.create(connection, "given", columns, cells)
        rows = Rows(
            "SELECT * FROM given", fault="CASE WHEN content IS NULL THEN 'content: no' END",
            record="""concat('{"id":"', id, '","content":"', content, '"}')""", entry="md5(record)::UUID",
        )  # fmt: skip
        return Draft(rows, "id::VARCHAR", "sets", "id", **self.drafted)

    def plan(self, run: Run = RUN, task: Task = TASK, *, mend: bool = False) -> Task:
        self.storage.opened = []
        claim = Claim(task)
        plan._publish(self.services, run, cast("TaskClaim", claim), mend=mend)
        return claim.task

    def table(self, path: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = parquet.read_table(pa.BufferReader(self.storage.read(path))).to_pylist()
        return rows

    def holds(self, **parts: Any) -> None:
        """The applied state: rows 1 to 4 as `a`, 5 refused."""
        with planning.connection() as connection:
            columns = {"id": "UUID", "entry": "UUID", "mark": "VARCHAR", "born": "VARCHAR"}
            record = """md5(concat('{"id":"', id, '","content":"a"}'))::UUID"""
            state.create(connection, "one", columns, [(guid(number), None, "", "once") for number in range(1, 5)])
            state.save(connection, f"(SELECT id, {record} AS entry, mark, born FROM one)", self.folder / "known")
            state.create(connection, "two", {"id": "UUID"}, [(guid(5),)])
            state.save(connection, "two", self.folder / "refused")
        for name in ("known", "refused"):
            self.storage.blobs[name] = (self.folder / name).read_bytes()
        self.storage.known = Pointer("known", "earlier", "attempt", refused="refused", **parts)


def _connected(folder: Path) -> Any:
    class Connected:
        def __enter__(self) -> tuple[Any, Path]:
            self.files = folder / uuid.uuid4().hex
            self.files.mkdir()
            self.opened = planning.connection()
            return self.opened.__enter__(), self.files

        def __exit__(self, *given: object) -> None:
            self.opened.__exit__(*cast("Any", given))

    return Connected()


@pytest.fixture
def planner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Planner:
    return Planner(monkeypatch, tmp_path)


def test_what_is_written_and_what_is_removed_travel_in_their_own_stages(planner: Planner) -> None:
    planner.holds()
    planner.rows = {1: "a", 2: "b", 5: "new", 6: "new", 7: "new", 8: None}
    task = planner.plan()
    place = paths.plan("e", task, task.attempt)
    files = [
        (one, chunks.unpack(planner.storage.read(paths.chunk(place, one.number)))) for one in planner.storage.opened
    ]
    numbers = [
        (one.number, one.stage, one.rows, [json.loads(line)["id"] if one.stage == PROFILES else line for line in lines])
        for one, lines in files
    ]
    assert numbers == [
        (1, PROFILES, 2, [guid(2), guid(6)]),
        (2, PROFILES, 1, [guid(7)]),
        (3, PROFILES, 1, [guid(5)]),  # it was refused last
        (4, PROFILE_REMOVALS, 2, [guid(3).encode(), guid(4).encode()]),
    ]
    assert {(one.run, one.task, one.attempt, one.sent, one.done) for one in planner.storage.opened} == {
        ("r", "CustomerProfile", task.attempt, 0, False)
    }
    assert (task.chunks, task.set_name, task.primary_id, task.counts.unchanged, task.counts.rejected) == (
        4, "sets", "id", 1, 1,
    )  # fmt: skip


def test_the_delta_and_the_rejects_stand_beside_the_chunks_and_nothing_that_was_not_read(planner: Planner) -> None:
    planner.rows = {1: "a", 2: None}
    task = planner.plan()
    place = paths.plan("e", task, task.attempt)
    assert [(str(row["id"]), row["op"], row["born"]) for row in planner.table(paths.delta(place))] == [
        (guid(1), "create", task.attempt)
    ]
    assert [(str(row["id"]), row["source_key"], row["fault"]) for row in planner.table(paths.rejects(place))] == [
        (guid(2), "key 2", "content: no")
    ]
    assert paths.base(place) not in planner.storage.blobs


def test_what_the_plan_was_made_against_is_named(planner: Planner) -> None:
    planner.holds()
    task = planner.plan()
    assert (task.base_state, task.origin, len(task.attempt)) == ("known", "its origin", 12)
    assert planner.asked == [(ORGANIZATION, PREFIX, "CustomerProfile")]
    assert planner.planning is not None
    assert (planner.planning.run, planner.planning.task, planner.planning.pointer) == (RUN, TASK, planner.storage.known)


@pytest.mark.parametrize("mend", [False, True])
def test_the_pinned_snapshot_is_read_and_mended_where_that_is_asked_for(planner: Planner, *, mend: bool) -> None:
    planner.plan(mend=mend)
    assert planner.planning is not None
    assert planner.planning.reading.snapshot == PINNED
    assert planner.planning.reading.mend is mend
    assert planner.planning.reading.services is planner.services


def test_profiles_are_handed_to_the_plans_of_all_others(planner: Planner) -> None:
    task = planner.plan()
    assert planner.published == [(task.attempt, "r")]
    planner.plan(task=replace(TASK, key="SegmentMembership", subject="SegmentMembership"))
    assert len(planner.published) == 1


def test_profiles_that_a_plan_would_make_are_handed_on_too(planner: Planner) -> None:
    planner.rows = {1: "a"}
    task = planner.plan(replace(RUN, mode=Mode.PLAN))
    assert (task.phase, task.counts.created, planner.storage.opened) == (TaskPhase.ENDED, 1, [])
    assert planner.published == [(task.attempt, "r")]
    assert len(task.attempt) == 12


@pytest.mark.parametrize(
    ("policy", "drafted", "because"),
    [
        (Policy(hold="the policy says so"), {"hold": "the draft says so"}, "the policy says so"),
        (Policy(), {"hold": "the draft says so"}, "the draft says so"),
    ],
)
def test_nothing_is_removed_where_the_policy_or_the_draft_holds_it(
    planner: Planner, policy: Policy, drafted: dict[str, str], because: str
) -> None:
    planner.holds()
    planner.policy, planner.drafted = policy, drafted
    task = planner.plan()
    assert (task.counts.held, planner.storage.opened) == (4, [])
    assert because in " ".join(task.notes)


def test_nothing_is_removed_while_a_row_without_a_key_may_be_any_of_them(planner: Planner) -> None:
    planner.holds()
    planner.rows = {None: "a"}
    task = planner.plan()
    assert (task.counts.held, planner.storage.opened) == (4, [])
    assert "1 row without a key may be any of them" in " ".join(task.notes)


def test_rows_that_repeat_a_key_are_counted_with_those_that_the_draft_left_out(planner: Planner) -> None:
    planner.drafted = {"duplicates": 2}
    planner.rows = {1: "a"}
    planner.once_more = {1: "b"}
    assert "3 rows left out for repeating the key of another row." in planner.plan().notes


def test_rows_of_plans_whose_outcome_is_not_known_are_written_again(planner: Planner) -> None:
    planner.rows = {1: "a", 2: "a"}
    first = planner.plan()
    second = planner.plan()
    pending = tuple(paths.delta(paths.plan("e", one, one.attempt)) for one in (first, second))
    planner.holds(pending=pending)
    planner.rows = dict.fromkeys(range(1, 5), "a")
    task = planner.plan()
    assert (task.counts.unchanged, [one.rows for one in planner.storage.opened]) == (2, [2])


def test_what_another_run_held_needs_no_snapshot(planner: Planner) -> None:
    found = plan._snapshot(planner.services, replace(RUN, confirms="earlier"))
    assert found == Snapshot("e", (), {}, (), {}, "", None)


def test_what_another_run_held_is_not_carried_out_once_something_else_is_known(planner: Planner) -> None:
    with pytest.raises(RequirementError, match=r"^What the run earlier held is not carried out"):
        planner.plan(replace(RUN, confirms="earlier"), replace(TASK, confirms="attempt"))


def test_what_a_person_confirms_of_a_table_is_carried_out_and_its_rows_come_from_where_they_came(
    planner: Planner,
) -> None:
    planner.holds()
    planner.policy = Policy(hold="the policy says so")
    held = planner.plan()
    assert held.counts.held == 4
    planner.storage.known = replace(planner.storage.known, run="r", attempt=held.attempt, origin="where they came from")
    task = planner.plan(replace(RUN, id="later", confirms="r"), replace(TASK, run="later", confirms=held.attempt))
    assert [(one.stage, one.rows) for one in planner.storage.opened] == [(PROFILE_REMOVALS, 2), (PROFILE_REMOVALS, 2)]
    assert (task.origin, task.base_state, len(task.attempt)) == ("where they came from", "known", 12)
    assert planner.published == [(held.attempt, "r")], "other plans are made with the profiles of a snapshot"
