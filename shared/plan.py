"""One task: the snapshot becomes a delta against the applied state, the delta becomes published chunks.

A plan is published once, by one guarded write. What an attempt that was not published left behind is never looked at.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from shared.claims import TaskClaim, claimed, is_held
from shared.dataverse import metadata, schema
from shared.delta import chunks, compare, engine, source, state
from shared.delta.compare import Delta, Policy, Rows
from shared.delta.counts import Counts
from shared.errors import ConfigurationError, ConflictError, CorruptSnapshotError, RequirementError, TransientError
from shared.keys import define_alternate_keys, view
from shared.lake.snapshot import Snapshot
from shared.linking.rows import LinkTarget
from shared.linking.sources import NOT_LINKED
from shared.provision import table_schema
from shared.runs import lifecycle, paths
from shared.runs.messages import TableMessage
from shared.runs.model import Chunk, Kind, Mode, Phase, Run, Status, Task, TaskPhase
from shared.services import Services
from shared.tables import catalog, rows
from shared.tables.values import Column

if TYPE_CHECKING:
    import duckdb

_log = logging.getLogger(__name__)
_NOTHING = "Nothing of it was written or removed."


@dataclass(frozen=True)
class _Draft:
    """What a task compares and how it is written."""

    rows: Rows
    removal: str  # SQL over id: the record that is sent for a row that is gone
    set_name: str
    primary_id: str


def plan(services: Services, message: TableMessage) -> None:
    """Plan one task. Does nothing where it is planned already, or where another worker plans it.

    Raises TransientError when it must be tried again; any other fault ends the task.
    """
    run = services.store.run(message.environment, message.run)
    task = services.store.task(message.run, message.task)
    if run.phase is not Phase.PLANNING or task.phase not in {TaskPhase.WAITING, TaskPhase.PLANNING}:
        return
    if is_held(services, task):
        return  # reconciliation asks again when its claim lapses
    try:
        with claimed(services, replace(task, status=Status.REFRESHING), phase=TaskPhase.PLANNING) as claim:
            _plan_or_end(services, run, claim)
    except ConflictError:
        return  # another worker was faster
    lifecycle.advance(services, run.environment, run.id)


def _plan_or_end(services: Services, run: Run, claim: TaskClaim) -> None:
    import duckdb  # noqa: PLC0415  a quarter second of cold start

    try:
        _publish(services, run, claim)
    except RequirementError as fault:
        _end(claim, Status.SKIPPED, str(fault))
    except ConfigurationError as fault:
        _end(claim, Status.FAILED, f"{fault} {_NOTHING}")
    except CorruptSnapshotError as fault:
        _end(claim, Status.FAILED, f"{fault} {_NOTHING}")
    except duckdb.OutOfMemoryException:
        _end(claim, Status.FAILED, f"The comparison needs more memory than PLAN_MEMORY_LIMIT allows. {_NOTHING}")
    except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.BinderException) as fault:
        _end(claim, Status.FAILED, f"The snapshot cannot be read: {source.describe(fault)} {_NOTHING}")
    except duckdb.Error as fault:
        raise TransientError(f"The snapshot could not be compared: {source.describe(fault)}") from None


def _end(claim: TaskClaim, status: Status, detail: str) -> None:
    claim.save(replace(claim.task, phase=TaskPhase.ENDED, status=status, detail=detail))
    _log.info("task.ended", extra={"run": claim.task.run, "task": claim.task.key, "status": str(status)})


def _publish(services: Services, run: Run, claim: TaskClaim) -> None:
    snapshot = Snapshot.from_json(services.blobs.read(paths.snapshot(run)))
    attempt = uuid.uuid4().hex[:12]
    prefix = services.settings.hydration.publisher_prefix
    pointer = services.store.pointer(run.organization_id, prefix, claim.task.subject)
    with engine.connect(services.settings) as (connection, folder):
        pending = [_download(services, path, folder / f"pending-{n}.parquet") for n, path in enumerate(pointer.pending)]
        base = _download(services, pointer.path, folder / "state.parquet") if pointer.path else None
        state.open_state(connection, base, pending)
        found = catalog.read(snapshot, services.settings.hydration)
        draft = _draft(services, connection, run, claim.task, snapshot, found)
        policy = _policy(services, run, claim.task, found)
        duplicates = compare.stage(connection, draft.rows, policy)
        delta = compare.number(
            connection, policy, write_stage=claim.task.write_stage, remove_stage=claim.task.remove_stage
        )
        planned = _planned(claim.task, replace(delta, duplicates=duplicates), draft, policy)
        planned = replace(planned, attempt=attempt, base_state=pointer.path)
        _write_chunks(services, run, planned, connection, folder, draft)
    claim.save(planned)
    _log.info("task.planned", extra={"run": run.id, "task": planned.key, "chunks": planned.chunks})


def _download(services: Services, path: str, file: Path) -> Path:
    services.blobs.download(path, file)
    return file


# -- what is compared ------------------------------------------------------------------------------------


def _draft(
    services: Services,
    connection: duckdb.DuckDBPyConnection,
    run: Run,
    task: Task,
    snapshot: Snapshot,
    found: catalog.Catalog,
) -> _Draft:
    hydration, prefix = services.settings.hydration, services.settings.hydration.publisher_prefix
    client = services.dataverse.client(services.environment(run.environment).dataverse_url)
    if task.kind is Kind.LINK:
        define_alternate_keys(connection, services, snapshot, found)
        connection.execute("CREATE TABLE link_source (data_source VARCHAR, entity VARCHAR)")
        if pairs := [tuple(json.loads(pair)) for pair in task.sources]:
            connection.executemany("INSERT INTO link_source VALUES (?, ?)", pairs)
        target = _link_target(services, run, task)
        return _Draft(target.rows(), target.clear(), _source_table(services, run, task).set_name, target.primary_id)
    existing = metadata.table(client, catalog.table_name(prefix, task.subject))
    if task.subject == catalog.CUSTOMER_PROFILE and found.customer.entity is not None:
        columns = catalog.profile_columns(found.customer.entity, hydration)
        view(connection, services, snapshot, found.customer.entity, "customer", [column.source for column in columns])
        columns = _fitted(columns, existing)
        drafted = rows.profile(columns, hydration)
    else:
        define_alternate_keys(connection, services, snapshot, found)
        columns = _fitted(catalog.alternate_key_columns(hydration), existing)
        drafted = rows.alternate_key(columns, hydration)
    if existing is not None and (faults := schema.conflicts(table_schema(task.subject, columns, prefix), existing)):
        raise ConfigurationError(faults)
    logical_name = catalog.table_name(prefix, task.subject)
    return _Draft(
        drafted,
        "id::VARCHAR",
        existing.set_name if existing else f"{logical_name}s",
        catalog.key_name(prefix, task.subject),
    )


def _fitted(columns: tuple[Column, ...], existing: metadata.Table | None) -> tuple[Column, ...]:
    """The columns no longer than Dataverse has them: a text that does not fit rejects its row before it is sent."""
    if existing is None:
        return columns
    lengths = {name: column.max_length for name, column in existing.columns.items() if column.max_length}
    return tuple(
        replace(column, max_length=min(column.max_length, lengths.get(column.logical_name) or column.max_length))
        for column in columns
    )


def _source_table(services: Services, run: Run, task: Task) -> metadata.Table:
    client = services.dataverse.client(services.environment(run.environment).dataverse_url)
    table = metadata.table(client, task.subject)
    if table is None:
        raise RequirementError(
            f"{NOT_LINKED}\nThe organization {client.url} has no table {task.subject}. Source tables must keep their name; "
            "where the logical name is another one, set it in hydration.toml "
            "([data_sources.<name>.tables.<table>] logical_name)."
        )
    if task.primary_id and task.primary_id.lower() != table.primary_id:
        raise RequirementError(
            f"{NOT_LINKED}\nThe key used in unification ({task.primary_id}) is not the primary key of {task.subject} "
            f"({table.primary_id}). Choose the table's own primary key where the unification is set up."
        )
    return table


def _link_target(services: Services, run: Run, task: Task) -> LinkTarget:
    prefix = services.settings.hydration.publisher_prefix
    client = services.dataverse.client(services.environment(run.environment).dataverse_url)
    table = _source_table(services, run, task)
    profile = catalog.table_name(prefix, catalog.CUSTOMER_PROFILE)
    existing = metadata.table(client, profile)
    return LinkTarget(task.subject, table.primary_id, prefix, existing.set_name if existing else f"{profile}s")


def _policy(services: Services, run: Run, task: Task, found: catalog.Catalog) -> Policy:
    removal = services.settings.hydration.removal
    keeps = removal.rows == "keep" if task.kind is Kind.TABLE else removal.links == "keep"
    from_keys = task.kind is Kind.LINK or task.subject == catalog.ALTERNATE_KEY
    hold = f"the profile's column {found.ambiguous[0].attribute} is ambiguous" if from_keys and found.ambiguous else ""
    return Policy(run.mode is Mode.FULL, remove=not keeps, brake_percent=removal.brake_percent, hold=hold)


# -- what is published -----------------------------------------------------------------------------------


def _planned(task: Task, delta: Delta, draft: _Draft, policy: Policy) -> Task:
    return replace(
        task,
        phase=TaskPhase.PLANNED,
        status=Status.REFRESHING,
        detail=f"{delta.created + delta.changed:,} rows to write, {0 if delta.held or delta.kept else delta.gone:,} to remove.",
        counts=Counts(unchanged=delta.unchanged, rejected=delta.rejected, held=delta.held),
        chunks=delta.write_chunks + delta.remove_chunks,
        set_name=draft.set_name,
        primary_id=draft.primary_id,
        notes=(*task.notes, *_notes(task, delta, policy)),
    )


def _notes(task: Task, delta: Delta, policy: Policy) -> Iterator[str]:
    what = "rows" if task.kind is Kind.TABLE else "links"
    if delta.duplicates:
        yield f"{delta.duplicates:,} rows repeat the key of another row; one of each was taken."
    if delta.held and policy.hold:
        yield f"{delta.held:,} {what} that left the snapshot are held: {policy.hold}."
    elif delta.held:
        yield (
            f"{delta.held:,} {what} left the snapshot, more than the brake allows ({policy.brake_percent:g} percent): "
            "their removal is held. Look at the snapshot; if it is right, raise brake_percent and run again."
        )
    if delta.kept:
        yield f"{delta.kept:,} {what} left the snapshot and are kept, as hydration.toml asks."


def _write_chunks(
    services: Services, run: Run, task: Task, connection: duckdb.DuckDBPyConnection, folder: Path, draft: _Draft
) -> None:
    place = paths.plan(run.environment, task, task.attempt)
    opened: list[Chunk] = []
    for stage, numbered in (
        (task.write_stage, chunks.write_records(connection)),
        (task.remove_stage, chunks.remove_records(connection, draft.removal)),
    ):
        for number, records in numbered:
            services.blobs.write(paths.chunk(place, number), chunks.pack(records))
            opened.append(Chunk(run.id, task.key, task.attempt, number, stage, len(records)))
    state.save(connection, "delta", folder / "delta.parquet")
    services.blobs.upload(paths.delta(place), folder / "delta.parquet")
    rejected = "(SELECT id, source_key, fault FROM staged WHERE fault IS NOT NULL ORDER BY id)"
    state.save(connection, rejected, folder / "rejects.parquet")
    services.blobs.upload(paths.rejects(place), folder / "rejects.parquet")
    services.store.add_chunks(opened)
