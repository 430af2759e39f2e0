"""The end of a task: what every row came to becomes the applied state, committed once, and counts for people."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from shared import lifecycle, links
from shared.claims import TaskClaim, claimed, is_held
from shared.delta import engine, exceptions, rejects, source, state
from shared.delta.counts import Counts
from shared.errors import ConflictError
from shared.linking import texts
from shared.runs import life, paths
from shared.runs.messages import TableMessage
from shared.runs.model import Chunk, Kind, Phase, Run, Status, Task, TaskPhase
from shared.runs.outcome import STOPPED
from shared.runs.rows import Pointer
from shared.services import Services
from shared.texts import counted

if TYPE_CHECKING:
    import duckdb

_log = logging.getLogger(__name__)
_MOST_NAMED = 10


def close(services: Services, message: TableMessage) -> None:
    """Commit one task's applied state and end it. Does nothing before all its chunks are concluded.

    Committing twice changes nothing. Raises TransientError.
    """
    run = services.store.run(message.environment, message.run)
    task = services.store.task(message.run, message.task)
    if run.phase is not Phase.SENDING or task.phase is not TaskPhase.PLANNED or is_held(services, task):
        return
    chunks = services.store.chunks(task)
    if len(chunks) < task.chunks or any(not chunk.done for chunk in chunks):
        return  # one that is concluded while they are read may stand in no page of the answer
    pointer = services.store.pointer(run.organization_id, services.settings.hydration.publisher_prefix, task.subject)
    if pointer.path != task.base_state and (pointer.run, pointer.attempt) != (run.id, task.attempt):
        leave_uncertain(services, run, task, "another run has committed the state of this table meanwhile.")
        lifecycle.advance(services, run.environment, run.id)
        return
    try:
        with claimed(services, task, phase=TaskPhase.PLANNED) as claim, source.faults():
            _close(services, run, claim, chunks, pointer)
    except ConflictError:
        return
    services.store.moved(run.id, task.key)
    lifecycle.advance(services, run.environment, run.id)


def _close(services: Services, run: Run, claim: TaskClaim, chunks: list[Chunk], pointer: Pointer) -> None:
    task = claim.task
    folder = paths.plan(run.environment, task, task.attempt)
    with engine.connect(services.settings) as (connection, place):
        _open_applied(services, connection, place, (task, folder), pointer)
        delta = _fetch(services, paths.delta(folder), place / "delta.parquet")
        exceptions.define(connection, _noted(services, folder, place, chunks))
        sent = state.conclude(connection, delta, [(chunk.number, chunk.sent, chunk.begun) for chunk in chunks])
        missing = list(_missing(connection, task, sent))
        planned = _fetch(services, paths.rejects(folder), place / "rejects.parquet")
        reported = rejects.write(connection, planned, delta, place / "rejects.csv")
        if reported:
            services.blobs.upload(paths.rejects_report(run.environment, task), place / "rejects.csv")
        _commit(services, run, replace(task, counts=sent), pointer, _saved(connection, place, task))
    claim.save(replace(_ended(run, _told(task, sent, chunks, missing), sent), reported=reported))
    _log.info("task.closed", extra={"run": run.id, "task": task.key})


def _saved(connection: duckdb.DuckDBPyConnection, place: Path, task: Task) -> tuple[Path, Path | None]:
    """The files of the new state, and of the rows that are refused where there are any."""
    file, beside = place / "next.parquet", place / "next-refused.parquet"
    state.save(connection, "next_state", file)
    return file, beside if state.save_refused(connection, beside, only_a_part=bool(task.confirms)) else None


def _fetch(services: Services, path: str, file: Path) -> Path:
    services.blobs.download(path, file)
    return file


def leave_uncertain(services: Services, run: Run, task: Task, reason: str) -> None:
    """End a task whose outcome cannot be committed: until a later run commits, all rows of its plan are uncertain."""
    prefix = services.settings.hydration.publisher_prefix
    known = services.store.pointer(run.organization_id, prefix, task.subject)
    task = services.store.task(task.run, task.key)  # after the pointer: of one that has ended the delta may be gone
    if task.phase is not TaskPhase.PLANNED or is_held(services, task):
        return
    delta = paths.delta(paths.plan(run.environment, task, task.attempt))
    if delta not in known.pending and (known.run, known.attempt) != (run.id, task.attempt):
        marked = replace(known, pending=(*known.pending, delta), table=task.subject, kind=task.kind)
        if task.read:  # what it found is not in the state of before: the next run has to look again
            marked = replace(marked, configuration="")
        services.store.save_pointer(run.organization_id, prefix, marked)
    lifecycle.end_task(services, task, Status.FAILED, f"Its outcome could not be recorded: {reason}")


def _open_applied(
    services: Services, connection: duckdb.DuckDBPyConnection, place: Path, plan: tuple[Task, str], pointer: Pointer
) -> None:
    """What the plan was made against: the applied state, or what Dataverse was found to hold."""
    refused = _fetch(services, pointer.refused, place / "refused.parquet") if pointer.refused else None
    task, folder = plan
    if task.read:
        state.open_state(connection, _fetch(services, paths.base(folder), place / "base.parquet"), (), refused)
        return
    pending = [_fetch(services, one, place / f"pending-{n}.parquet") for n, one in enumerate(pointer.pending)]
    base = _fetch(services, task.base_state, place / "base.parquet") if task.base_state else None
    state.open_state(connection, base, pending, refused)


def _noted(services: Services, folder: str, place: Path, chunks: list[Chunk]) -> Iterator[Path]:
    for chunk in chunks:
        if chunk.noted:
            content = services.blobs.read(paths.exceptions(folder, chunk.number, chunk.noted))
            yield exceptions.put(place, chunk.number, chunk.sent, content)


def _commit(services: Services, run: Run, task: Task, known: Pointer, saved: tuple[Path, Path | None]) -> None:
    """Let the pointer, as it was read before, name the new state. Raises ConflictError where it has changed."""
    prefix = services.settings.hydration.publisher_prefix
    if (known.run, known.attempt) == (run.id, task.attempt):
        return
    path = paths.state(run.organization_id, prefix, task.subject, run.id, task.attempt)
    file, refused = saved
    services.blobs.upload(path, file)
    if refused:
        services.blobs.upload(paths.refused(path), refused)
    pointer = Pointer(
        path, run.id, task.attempt, task.subject, task.kind, task.origin,
        configuration=task.configuration or known.configuration,
        succeeded=known.succeeded or not (task.failure or task.confirms or task.counts.unfinished),
        refused=paths.refused(path) if refused else "", etag=known.etag,
    )  # fmt: skip
    services.store.save_pointer(run.organization_id, prefix, pointer)


# -- what people see -------------------------------------------------------------------------------------


def _missing(connection: duckdb.DuckDBPyConnection, task: Task, sent: Counts) -> Iterator[str]:
    """Which source rows are missing: each is named in the run that finds it, and counted in all.

    A key that is no GUID is a customer's value, and not told.
    """
    if sent.missing:
        is_named = links.is_by_guid(task.configuration)
        count, first = state.newly_missing(connection, _MOST_NAMED) if is_named else (0, [])
        more = f" and {count - len(first):,} more" if count > len(first) else ""
        names = f" (found now: {', '.join(first)}{more})" if first else ""
        yield texts.MISSING.format(count=counted(sent.missing, "source row"), names=names)


def _told(task: Task, sent: Counts, chunks: list[Chunk], missing: list[str]) -> Task:
    """The task with what beside its counts is to be told."""
    told = list(missing)
    logic = any(chunk.custom_logic for chunk in chunks) if task.kind is Kind.LINK and sent.writes else None
    if logic is not None:
        told.append(texts.NOT_BYPASSED.format(table=task.subject) if logic else texts.BYPASSED)
    return replace(task, custom_logic=logic, notes=(*task.notes, *told))


def _ended(run: Run, task: Task, sent: Counts) -> Task:
    counts = replace(
        sent,
        unchanged=task.counts.unchanged,
        rejected=sent.rejected + task.counts.rejected,
        held=sent.held + task.counts.held,
    )
    status = Status.SUCCESSFUL
    if counts.rejected or counts.held:
        status = Status.COMPLETED_WITH_REJECTS
    if sent.unfinished and run.stopped:
        status = run.ends_as
    if task.failure:
        status = Status.FAILED
    detail = "\n".join(_sentences(task, counts, sent))
    return life.task(task, TaskPhase.ENDED, status=status, detail=detail, counts=counts)


def _sentences(task: Task, counts: Counts, sent: Counts) -> Iterator[str]:
    row = "row" if task.kind is Kind.TABLE else "link"
    created, changed, removed = (
        ("created", "changed", "removed") if task.kind is Kind.TABLE else ("set", "re-pointed", "cleared")
    )
    if task.failure:
        yield task.failure
    elif sent.unfinished:
        yield STOPPED
    done = [
        (counts.created, created),
        (counts.changed, changed),
        (counts.removed, removed),
        (counts.unchanged, "unchanged"),
    ]
    yield f"{', '.join(f'{number:,} {word}' for number, word in done if number) or f'No {row}s'}."
    if counts.rejected:
        yield f"{counted(counts.rejected, row)} rejected; rejects.csv of this task names each with its reason."
    if sent.held:
        yield f"{counted(sent.held, row)} not removed; rejects.csv says why of each, the next run tries again."
    if unfinished := _unfinished(sent, row):
        yield f"{unfinished}: the next run does what is left."
    yield from task.notes


def _unfinished(sent: Counts, row: str) -> str:
    """What was planned and has no outcome; empty where everything has one."""
    left = [(sent.unsent, "not attempted"), (sent.uncertain, "sent without an answer"), (sent.unremoved, "not removed")]
    return ", ".join(f"{counted(number, row)} {what}" for number, what in left if number)
