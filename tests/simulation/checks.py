"""What must be true whenever a run has ended, said in plain Python: nothing of the app decides what is right."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa
from pyarrow import parquet

from shared.runs.entities import from_entity
from shared.runs.model import Mode, Phase, Run, Status, Task, TaskPhase
from shared.runs.rows import Pointer
from tests.simulation.days import MARKER, Day
from tests.simulation.organization import CONTACT, KEY, PROFILE, Organization
from tests.simulation.strands import BrokenPromise
from tests.simulation.world import World

SUBJECTS = {PROFILE: "CustomerProfile", KEY: "AlternateKey", CONTACT: "contact"}
_WELL = {Status.SUCCESSFUL, Status.COMPLETED_WITH_REJECTS}


@dataclass(frozen=True)
class Known:
    """What the app remembers of a row."""

    entry: str
    mark: str
    born: str


def runs(world: World) -> list[Run]:
    """All runs, the oldest first."""
    rows = [row for row in world.storage.rows("HydrationRuns") if "phase" in row]
    return sorted((from_entity(Run, row, row.metadata["etag"]) for row in rows), key=lambda run: run.id)


def tasks(world: World, run: Run) -> list[Task]:
    """The tasks of a run's last round."""
    rows = world.storage.partitions("HydrationTasks").get(run.id, {}).values()
    found = [from_entity(Task, row, row.metadata["etag"]) for row in rows if "phase" in row]
    return [task for task in found if task.round == run.attempt]


def state(world: World, organization: str, table: str) -> dict[str, Known]:
    """What the app remembers of a table's rows; those of plans without an outcome are uncertain."""
    row = world.storage.get("HydrationState", organization, f"state msdynci|{SUBJECTS[table]}")
    pointer = from_entity(Pointer, row, "") if row else Pointer()
    found = dict(_state(world.blobs[pointer.path][0])) if pointer.path else {}
    for path in pointer.pending:
        for row_id in _sent(world.blobs[path][0]):
            known = found.get(row_id, Known("", "", ""))
            found[row_id] = Known(known.entry, "uncertain", known.born)
    return found


@lru_cache(maxsize=10_000)
def _state(content: bytes) -> dict[str, Known]:
    listed = parquet.read_table(pa.BufferReader(content)).to_pylist()
    rows = {str(one["id"]): Known(str(one["entry"]), one["mark"], one["born"] or "") for one in listed}
    if len(rows) < len(listed):
        raise BrokenPromise("A row stands twice in a state.")
    return rows


@lru_cache(maxsize=10_000)
def _sent(content: bytes) -> list[str]:
    listed = parquet.read_table(pa.BufferReader(content), columns=["id", "op"]).to_pylist()
    return [str(one["id"]) for one in listed if one["op"] in {"create", "change", "remove"}]


# -- a run that has ended ------------------------------------------------------------------------------------


def check_ended(world: World) -> None:
    """Look at every run that has ended since somebody looked last."""
    ended, world.ended = world.ended, []
    for run in runs(world) if ended else ():
        if run.id in ended:
            _check_run(world, run)


def _check_run(world: World, run: Run) -> None:
    found = tasks(world, run)
    if run.status in _WELL:
        _check_closed(world, run, found)
    day = world.lake.days.get(run.fingerprint)
    for task in found:
        if task.status in _WELL and run.mode is not Mode.CONFIRM and day is not None:
            _check_counts(run, task, day)
    organization = next((one for one in world.organizations if one.id == run.organization_id), None)
    if organization is None or any(one.phase is Phase.SENDING for one in runs(world)):
        return
    for table in SUBJECTS:
        check_state(world, organization, table)
    covers = not run.tables and run.mode not in {Mode.PLAN, Mode.CONFIRM}
    if run.status is Status.SUCCESSFUL and covers and day is not None:
        _forgive(world, run)
        check_rows(world, organization, day, f"after the run {run.id}")


def _check_closed(world: World, run: Run, found: list[Task]) -> None:
    allowed = {Status.SUCCESSFUL, Status.SKIPPED} | ({run.status} & _WELL)
    if wrong := [task.key for task in found if task.phase is not TaskPhase.ENDED or task.status not in allowed]:
        raise BrokenPromise(f"The run {run.id} ended {run.status}, and its tasks {wrong} did not.")
    for task in found:
        plan = world.storage.partitions("HydrationChunks").get(f"{run.id}|{task.key}|{task.attempt}", {})
        if task.attempt and any(row.startswith("open") for row in plan):
            raise BrokenPromise(f"The run {run.id} ended {run.status} with open chunks of {task.key}.")


def _check_counts(run: Run, task: Task, day: Day) -> None:
    if task.status is Status.SKIPPED or task.subject not in SUBJECTS.values():
        return
    counts, rows = task.counts, day.rows(task.subject)
    told = counts.created + counts.changed + counts.unchanged + counts.rejected + counts.missing
    if not rows - task.confirmable <= told <= rows:
        raise BrokenPromise(f"{task.key} of the run {run.id} has {rows} rows and accounts for {told}: {counts}")


def _forgive(world: World, run: Run) -> None:
    """What a person did before a run that looks at Dataverse itself has been mended by it."""
    mended = {Mode.FULL: set(SUBJECTS), Mode.VERIFY: {CONTACT}}.get(run.mode, set())
    opened = run.opened
    assert opened is not None
    world.touched = {
        (table, row): at for (table, row), at in world.touched.items() if table not in mended or at >= opened
    }


# -- state and Dataverse -------------------------------------------------------------------------------------


def check_state(world: World, organization: Organization, table: str) -> None:
    """Applied state and Dataverse agree both ways."""
    known, rows = state(world, organization.id, table), organization.rows[table]
    for row_id, row in rows.items():
        ours = table != CONTACT or row.points_to is not None
        if (
            ours
            and (table, row_id) not in world.touched
            and known.get(row_id, Known("", "missing", "")).mark == "missing"
        ):
            raise BrokenPromise(f"{table} {row_id} is in Dataverse, and unknown to the state.")
    births = _births(world)
    for row_id, one in known.items():
        if (table, row_id) in world.touched or one.mark not in {"", "kept", "missing"}:
            continue
        if fault := _fault(organization, table, row_id, one, births):
            raise BrokenPromise(f"{table} {row_id} is remembered as {one}, and {fault}.")


def _births(world: World) -> list[str]:
    """What a profile's birth may be called: like any plan of the profiles that may have created some."""
    births = [f"Custom{number:03}" for number in range(world.numbers["births of CustomerProfile"], -1, -1)]
    return [f"{birth}{attempt:03}" for birth in births for attempt in range(1, 10)]


def _fault(organization: Organization, table: str, row_id: str, known: Known, births: list[str]) -> str:
    row = organization.rows[table].get(row_id)
    if known.mark == "missing":
        return "there is such a row" if row is not None else ""
    if row is None:
        return "there is no such row"
    if table == CONTACT:
        return "" if row.points_to == known.entry else f"points to {row.points_to}"
    if table == PROFILE:
        return "" if _digest(row.record) == known.entry else f"another record was written: {row.record!r}"
    return "" if any(_digest(row.record + birth.encode()) == known.entry for birth in births) else "another was written"


@lru_cache(maxsize=100_000)
def _digest(record: bytes) -> str:
    return str(uuid.UUID(hashlib.md5(record, usedforsecurity=False).hexdigest()))


# -- Dataverse and the lake ----------------------------------------------------------------------------------


def check_rows(world: World, organization: Organization, day: Day, when: str) -> None:
    """Every cell in Dataverse is what the lake says, no row too many and none missing."""
    for table, wanted in ((PROFILE, day.profiles), (KEY, day.keys)):
        found = {row: one for row, one in organization.rows[table].items() if (table, row) not in world.touched}
        kept = {row for row, one in state(world, organization.id, table).items() if one.mark == "kept"}
        lacking = {row for row in wanted if (table, row) not in world.touched} - set(found)
        for row in (set(found) - kept - set(wanted)) | lacking:
            raise BrokenPromise(f"{table} {row} is {'too many' if row in found else 'missing'} {when}.")
        for row in set(found) & set(wanted):
            if found[row].cells != wanted[row]:
                raise BrokenPromise(f"{table} {row} is {found[row].cells} {when}, not {wanted[row]}.")
            if table == KEY and found[row].points_to != wanted[row]["msdynci_customerid"]:
                raise BrokenPromise(f"{table} {row} points to {found[row].points_to} {when}.")
    for row, to in _links(world, organization):
        if to != day.links.get(row):
            raise BrokenPromise(f"contact {row} points to {to} {when}, not to {day.links.get(row)}.")


def _links(world: World, organization: Organization) -> Iterator[tuple[str, str | None]]:
    """The contacts, but for those that a person touched, and for links that the policy keeps."""
    known = state(world, organization.id, CONTACT)
    for row, one in organization.rows[CONTACT].items():
        if (CONTACT, row) not in world.touched and known.get(row, Known("", "", "")).mark != "kept":
            yield row, one.points_to


# -- values of customers -------------------------------------------------------------------------------------


def check_marker(world: World) -> None:
    """No value of a customer stands in a table or a message."""
    for name, partitions in world.storage.tables.items():
        for partition in partitions.values():
            for row in partition.values():
                if any(isinstance(value, str) and MARKER in value for value in row.values()):
                    raise BrokenPromise(f"A row of {name} holds a customer's value: {dict(row)}")
    if any(MARKER.encode() in message.body for message in world.sent):
        raise BrokenPromise("A message holds a customer's value.")


def picture(world: World) -> tuple[str, int]:
    """What must not change when messages come again: runs, tasks, chunks, states and all rows in Dataverse."""
    tables = {
        name: {key: dict(row) for key, row in sorted(partition.items()) if not key.startswith("moved ")}
        for table in ("HydrationRuns", "HydrationTasks", "HydrationChunks", "HydrationState")
        for name, partition in world.storage.partitions(table).items()
    }
    return json.dumps(tables, default=str), world.writes
