"""One task: the snapshot becomes a delta against the applied state, the delta becomes published chunks.

A plan is published once, by one guarded write. What an attempt that was not published left behind is never looked at.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import replace
from pathlib import Path

from shared import lifecycle, notes, profiles
from shared.claims import TaskClaim, claimed, is_held
from shared.delta import chunks, compare, engine, source, state
from shared.delta.compare import Policy
from shared.delta.source import NotTextError
from shared.draft import confirmed, draft, policy
from shared.errors import (
    ConfigurationError,
    ConflictError,
    CorruptSnapshotError,
    LostBlobError,
    RequirementError,
    TransientError,
)
from shared.lake.snapshot import Snapshot
from shared.planning import Planning
from shared.reading import Reading
from shared.runs import life, paths
from shared.runs.messages import TableMessage
from shared.runs.model import Chunk, Kind, Mode, Phase, Run, Status, Task, TaskPhase
from shared.runs.reconcile import plannable
from shared.services import Services

_log = logging.getLogger(__name__)
_NOTHING = "Nothing of it was written or removed."
_OVERTAKEN = (
    "What the run {run} held is not carried out: something else is known of this table now than what that run left. "
    "Ask for a run; it judges anew."
)


def plan(services: Services, message: TableMessage) -> None:
    """Plan one task. Does nothing where it is planned already, or where another worker plans it.

    Raises TransientError when it must be tried again; any other fault ends the task.
    """
    # The task is read first: if its run begins another round in between, claiming it conflicts.
    task = services.store.task(message.run, message.task)
    run = services.store.run(message.environment, message.run)
    if run.phase is not Phase.PLANNING or run.stopped or not run.attempt == task.round == message.round:
        return
    if task.phase not in {TaskPhase.WAITING, TaskPhase.PLANNING}:
        _ask_for_what_follows(services, run, task)  # whoever planned it may have come no further
        return
    if task.key not in {one.key for one in plannable(lifecycle.tasks_of(services, run))}:
        return  # the profiles are planned first
    if is_held(services, task):
        return  # reconciliation asks again when its claim lapses
    try:
        with claimed(services, replace(task, status=Status.REFRESHING), phase=TaskPhase.PLANNING) as claim:
            _plan_or_end(services, run, claim)
    except ConflictError:
        return  # another worker was faster
    except TransientError:
        if not lifecycle.requeue_if_changed(services, run):
            raise
        return
    services.store.moved(run.id, task.key)
    _ask_for_what_follows(services, run, task)


def _ask_for_what_follows(services: Services, run: Run, task: Task) -> None:
    lifecycle.send_plans_after(services, run, task)
    lifecycle.advance(services, run.environment, run.id)


def _plan_or_end(services: Services, run: Run, claim: TaskClaim) -> None:
    try:
        try:
            with source.faults():
                _publish(services, run, claim, mend=False)
        except NotTextError:  # some rows are no UTF-8: they are rejected, and the others served
            with source.faults():
                _publish(services, run, claim, mend=True)
    except RequirementError as fault:
        _end(claim, Status.SKIPPED, str(fault))
    except (ConfigurationError, CorruptSnapshotError, LostBlobError) as fault:
        _end(claim, Status.FAILED, f"{fault} {_NOTHING}")


def _end(claim: TaskClaim, status: Status, detail: str) -> None:
    claim.save(life.task(claim.task, TaskPhase.ENDED, status=status, detail=detail))
    _log.info("task.ended", extra={"run": claim.task.run, "task": claim.task.key, "status": str(status)})


def _publish(services: Services, run: Run, claim: TaskClaim, *, mend: bool) -> None:
    task = claim.task
    pointer = services.store.pointer(run.organization_id, services.settings.hydration.publisher_prefix, task.subject)
    with engine.connect(services.settings) as (connection, folder):
        pending = [_download(services, path, folder / f"pending-{n}.parquet") for n, path in enumerate(pointer.pending)]
        base = _download(services, pointer.path, folder / "state.parquet") if pointer.path else None
        refused = _download(services, pointer.refused, folder / "refused.parquet") if pointer.refused else None
        state.open_state(connection, base, pending, refused)
        reading = Reading(connection, services, _snapshot(services, run), mend=mend)
        planning = Planning(reading, run, task, pointer)
        planned = _confirmed(planning, folder) if run.confirms else _compared(planning, folder)
        if planned.is_profile and not run.confirms:
            profiles.publish(services, connection, folder, planned, run)
    claim.save(planned)
    _log.info("task.planned", extra={"run": run.id, "task": planned.key, "chunks": planned.chunks})


def _snapshot(services: Services, run: Run) -> Snapshot:
    """The pinned one; what was held before needs none."""
    if run.confirms:
        return Snapshot(run.environment, (), {}, (), {}, "", None)
    return Snapshot.from_json(services.blobs.read(paths.snapshot(run)))


def _download(services: Services, path: str, file: Path) -> Path:
    services.blobs.download(path, file)
    return file


def _compared(planning: Planning, folder: Path) -> Task:
    """The task with the plan that the snapshot leads to."""
    connection, task = planning.reading.connection, planning.task
    drafted = draft(planning)
    rules = policy(planning)
    rules = replace(rules, hold=rules.hold or drafted.hold)
    attempt = uuid.uuid4().hex[:12]
    duplicates = drafted.duplicates + compare.stage(connection, drafted.rows, rules, birth=attempt)
    if drafted.read:
        state.adopt(connection)
    if unnamed := compare.unnamed(connection, drafted.rows):
        rules = replace(rules, hold=rules.hold or notes.unnamed(task, unnamed))
    delta = compare.number(connection, rules, write_stage=task.write_stage, remove_stage=task.remove_stage)
    delta = replace(delta, duplicates=duplicates)
    if planning.run.mode is Mode.PLAN:
        return replace(notes.would(connection, task, delta, drafted, rules), attempt=attempt)
    planned = replace(
        notes.planned(task, delta, drafted, rules),
        attempt=attempt, base_state=planning.pointer.path, origin=planning.origin,
    )  # fmt: skip
    _write_plan(planning, planned, folder, drafted.removal)
    return planned


def _confirmed(planning: Planning, folder: Path) -> Task:
    """The task with a plan of exactly the rows that another run held; RequirementError where that is overtaken.

    Removals that came to nothing are tried again: what referred to those rows may be what was held.
    """
    services, task, pointer = planning.reading.services, planning.task, planning.pointer
    if (pointer.run, pointer.attempt) != (planning.run.confirms, task.confirms) or pointer.pending:
        raise RequirementError(_OVERTAKEN.format(run=planning.run.confirms))
    held = paths.delta(paths.plan(planning.run.environment, replace(task, run=planning.run.confirms), task.confirms))
    drafted = confirmed(planning)
    held_file = _download(services, held, folder / "held.parquet")
    compare.stage_held(planning.reading.connection, held_file, drafted.rows)
    delta = compare.number_held(
        planning.reading.connection, write_stage=task.write_stage, remove_stage=task.remove_stage
    )
    planned = replace(
        notes.planned(task, delta, drafted, Policy()),
        attempt=uuid.uuid4().hex[:12], base_state=pointer.path,
        origin="" if task.kind is Kind.LINK else pointer.origin,  # a person has said that its rows are gone
        configuration=pointer.configuration,
    )  # fmt: skip
    _write_plan(planning, planned, folder, drafted.removal)
    return planned


def _write_plan(planning: Planning, task: Task, folder: Path, removal: str) -> None:
    services, connection = planning.reading.services, planning.reading.connection
    place = paths.plan(planning.run.environment, task, task.attempt)
    opened: list[Chunk] = []
    for stage, numbered in (
        (task.write_stage, chunks.write_records(connection)),
        (task.remove_stage, chunks.remove_records(connection, removal)),
    ):
        for number, records in numbered:
            services.blobs.write(paths.chunk(place, number), chunks.pack(records))
            opened.append(Chunk(task.run, task.key, task.attempt, number, stage, len(records)))
    rejected = "(SELECT id, source_key, fault FROM staged WHERE fault IS NOT NULL ORDER BY id)"
    saved = {"delta": paths.delta(place), rejected: paths.rejects(place)} | (
        {"state": paths.base(place)} if task.read else {}
    )
    for number, (what, path) in enumerate(saved.items()):
        file = folder / f"plan-{number}.parquet"
        state.save(connection, what, file)
        services.blobs.upload(path, file)
    services.store.add_chunks(opened)
