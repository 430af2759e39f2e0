"""One task: the snapshot becomes a delta against the applied state, the delta becomes published chunks.

A plan is published once, by one guarded write. What an attempt that was not published left behind is never looked at.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from shared import lifecycle, profiles
from shared.claims import TaskClaim, claimed, is_held
from shared.delta import chunks, compare, engine, source, state
from shared.delta.compare import Delta, Policy
from shared.delta.counts import Counts
from shared.delta.source import NotTextError
from shared.draft import Draft, Planning, draft, policy
from shared.errors import (
    ConfigurationError,
    ConflictError,
    CorruptSnapshotError,
    LostBlobError,
    RequirementError,
    TransientError,
)
from shared.lake.snapshot import Snapshot
from shared.reading import Reading
from shared.runs import paths
from shared.runs.messages import TableMessage
from shared.runs.model import Chunk, Kind, Phase, Run, Status, Task, TaskPhase
from shared.runs.reconcile import plannable
from shared.services import Services
from shared.texts import counted

_log = logging.getLogger(__name__)
_NOTHING = "Nothing of it was written or removed."


def plan(services: Services, message: TableMessage) -> None:
    """Plan one task. Does nothing where it is planned already, or where another worker plans it.

    Raises TransientError when it must be tried again; any other fault ends the task.
    """
    # The task is read first: if its run begins another round in between, claiming it conflicts.
    task = services.store.task(message.run, message.task)
    run = services.store.run(message.environment, message.run)
    if run.phase is not Phase.PLANNING or task.phase not in {TaskPhase.WAITING, TaskPhase.PLANNING}:
        return
    if not run.attempt == task.round == message.round:
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
    claim.save(replace(claim.task, phase=TaskPhase.ENDED, status=status, detail=detail))
    _log.info("task.ended", extra={"run": claim.task.run, "task": claim.task.key, "status": str(status)})


def _publish(services: Services, run: Run, claim: TaskClaim, *, mend: bool) -> None:
    snapshot = Snapshot.from_json(services.blobs.read(paths.snapshot(run)))
    prefix = services.settings.hydration.publisher_prefix
    pointer = services.store.pointer(run.organization_id, prefix, claim.task.subject)
    with engine.connect(services.settings) as (connection, folder):
        pending = [_download(services, path, folder / f"pending-{n}.parquet") for n, path in enumerate(pointer.pending)]
        base = _download(services, pointer.path, folder / "state.parquet") if pointer.path else None
        state.open_state(connection, base, pending)
        reading = Reading(connection, services, snapshot, mend=mend)
        planning = Planning(reading, run, claim.task, pointer.origin)
        drafted = draft(planning)
        rules = policy(planning)
        attempt = uuid.uuid4().hex[:12]
        duplicates = drafted.duplicates + compare.stage(connection, drafted.rows, rules, birth=attempt)
        if nameless := compare.keyless(connection):
            rules = replace(rules, hold=rules.hold or f"{counted(nameless, 'row')} without a key may be any of them")
        stages = {"write_stage": claim.task.write_stage, "remove_stage": claim.task.remove_stage}
        delta = replace(compare.number(connection, rules, **stages), duplicates=duplicates)
        planned = _planned(claim.task, delta, drafted, rules)
        planned = replace(planned, attempt=attempt, base_state=pointer.path, origin=planning.origin)
        _write_chunks(planning, planned, folder, drafted.removal)
        if planned.is_profile:
            profiles.publish(services, connection, folder, planned, run)
    claim.save(planned)
    _log.info("task.planned", extra={"run": run.id, "task": planned.key, "chunks": planned.chunks})


def _download(services: Services, path: str, file: Path) -> Path:
    services.blobs.download(path, file)
    return file


# -- what is published -----------------------------------------------------------------------------------


def _planned(task: Task, delta: Delta, drafted: Draft, rules: Policy) -> Task:
    return replace(
        task,
        phase=TaskPhase.PLANNED,
        status=Status.REFRESHING,
        detail=f"{delta.created + delta.changed:,} rows to write, {delta.removed:,} to remove.",
        counts=Counts(unchanged=delta.unchanged, rejected=delta.rejected, held=delta.held),
        chunks=delta.write_chunks + delta.remove_chunks,
        set_name=drafted.set_name,
        primary_id=drafted.primary_id,
        notes=(*task.notes, *drafted.notes, *_notes(task, delta, rules)),
    )


def _notes(task: Task, delta: Delta, rules: Policy) -> Iterator[str]:
    what = "row" if task.kind is Kind.TABLE else "link"
    if delta.expired:
        yield f"{counted(delta.expired, 'row')} left out for being older than keep_days."
    if delta.duplicates:
        yield f"{counted(delta.duplicates, 'row')} left out for repeating the key of another row."
    if delta.held and rules.hold:
        yield f"{counted(delta.held, what)} not removed though absent from the snapshot: {rules.hold}."
    elif delta.held:
        yield (
            f"{counted(delta.held, what)} not removed though absent from the snapshot: more than the brake allows "
            f"({rules.brake_percent:g} percent). Look at the snapshot; if it is right, raise brake_percent under "
            "[removal] in hydration.toml, deploy it and run again."
        )
    if delta.kept:
        yield f"{counted(delta.kept, what)} kept though absent from the snapshot, as hydration.toml asks."


def _write_chunks(planning: Planning, task: Task, folder: Path, removal: str) -> None:
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
    state.save(connection, "delta", folder / "delta.parquet")
    services.blobs.upload(paths.delta(place), folder / "delta.parquet")
    rejected = "(SELECT id, source_key, fault FROM staged WHERE fault IS NOT NULL ORDER BY id)"
    state.save(connection, rejected, folder / "rejects.parquet")
    services.blobs.upload(paths.rejects(place), folder / "rejects.parquet")
    services.store.add_chunks(opened)
