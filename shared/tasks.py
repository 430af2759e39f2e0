"""Which tasks a run has, those included that have nothing to do and say why."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from shared.delta import engine, source
from shared.errors import ConfigurationError, CorruptSnapshotError
from shared.keys import Contacts, contacts, read_link_sources
from shared.lake.snapshot import Snapshot
from shared.linking import texts
from shared.linking.sources import LinkedTable, configured_tables, linked_tables
from shared.reading import Reading
from shared.runs.model import LINKING, UNKNOWN, Kind, Run, Status, Task, TaskPhase
from shared.services import Services
from shared.settings import OUTPUT_TABLES
from shared.tables import discovery
from shared.tables.catalog import CONTACT_PROFILE, CUSTOMER_PROFILE
from shared.tables.discovery import Delivered, Source

_NOT_DELIVERED = "No manifest of this environment names it: it was left alone, nothing was written or removed."
_BUSINESSES_ONLY = (
    "Contact profiles belong to business environments, and this one unifies individuals: it was left alone. If that is "
    'wrong, set audience = "businesses" for the environment in hydration.toml.'
)


def find_tasks(services: Services, run: Run, snapshot: Snapshot) -> list[Task]:
    """The tasks of a run with a pinned snapshot. Raises TransientError."""
    found = discovery.read(snapshot, services.settings.hydration)
    tasks = [
        *_tables(services, run, found),
        *_links(services, run, snapshot, found),
        *_left_alone(run, found),
        *_broken(run, snapshot),
    ]
    return _only_asked_for(run, tasks)


def _tables(services: Services, run: Run, found: Delivered) -> Iterator[Task]:
    individuals = services.environment(run.environment).audience == "individuals"
    for table in OUTPUT_TABLES:
        source = found.source(table)
        if table == CONTACT_PROFILE and individuals:
            if source != Source():
                yield _skipped(run, table, _BUSINESSES_ONLY)
            continue
        yield _table(services, run, table, source)


def _table(services: Services, run: Run, table: str, source: Source) -> Task:
    hydration = services.settings.hydration
    if not hydration.options(table).enabled:
        return _skipped(run, table, "Disabled in hydration.toml; its rows were left alone.")
    if table != CUSTOMER_PROFILE and not hydration.options(CUSTOMER_PROFILE).enabled:
        return _skipped(run, table, "Its rows point to profiles, and CustomerProfile is disabled in hydration.toml.")
    if source.fault:
        return _failed(run, table, f"{source.fault} Nothing was written or removed.")
    if not source.parts:
        return _skipped(run, table, source.absent or _NOT_DELIVERED)
    return Task(run.id, table, table, Kind.TABLE, table, notes=source.notes)


def _left_alone(run: Run, found: Delivered) -> Iterator[Task]:
    for name, why in found.skipped:
        yield _skipped(run, name, why, key=f"skipped.{name}")
    for one in found.ambiguous:
        yield _skipped(run, f"AlternateKey ({one.attribute})", one.detail, key=f"ambiguous.{one.attribute}")


def _broken(run: Run, snapshot: Snapshot) -> Iterator[Task]:
    for path, reason in snapshot.unreadable.items():
        yield _failed(run, path, f"The manifest cannot be read: {reason}.", key=f"manifest.{path}")


# -- links -----------------------------------------------------------------------------------------------


def _links(services: Services, run: Run, snapshot: Snapshot, found: Delivered) -> Iterator[Task]:
    hydration, url = services.settings.hydration, services.environment(run.environment).dataverse_url
    pointers = services.store.pointers(run.organization_id, hydration.publisher_prefix)
    known = [pointer.table for pointer in pointers if pointer.kind == Kind.LINK]
    expected = sorted({*known, *configured_tables(hydration.data_sources, url)})
    if found.keys_fault:
        yield from _no_links(run, expected, Status.FAILED, texts.KEYS_UNREADABLE.format(reason=found.keys_fault))
        return
    if not found.keys_delivered:
        if found.keys.absent:
            yield from _no_links(run, expected, Status.SKIPPED, texts.NO_KEYS.format(reason=found.keys.absent))
        return
    businesses = services.environment(run.environment).audience == "businesses"
    if businesses and (fault := found.source(CONTACT_PROFILE).fault):
        yield from _no_links(run, expected, Status.FAILED, texts.CONTACTS_UNREADABLE.format(reason=fault))
        return
    try:
        triples = _triples(services, snapshot, found)
    except (CorruptSnapshotError, ConfigurationError) as fault:
        yield from _no_links(run, expected, Status.FAILED, texts.KEYS_UNREADABLE.format(reason=fault))
        return
    mapped = contacts(snapshot, hydration, found)
    told = not businesses or mapped is not None
    tables = linked_tables(triples, hydration.data_sources, url, known if told else ())
    yield from (_link(run, table) for table in tables)
    if not told and (left := sorted(set(known) - {table.logical_name for table in tables})):
        yield from _no_links(run, left, Status.SKIPPED, texts.NO_CONTACTS)
    yield from _ambiguous(run, mapped)


def _ambiguous(run: Run, mapped: Contacts | None) -> Iterator[Task]:
    for one in mapped.ambiguous if mapped else ():
        name = f"{CONTACT_PROFILE} ({one.attribute})"
        yield _skipped(run, name, one.detail, key=f"ambiguous.{CONTACT_PROFILE}.{one.attribute}")


def _triples(services: Services, snapshot: Snapshot, found: Delivered) -> list[tuple[str, str, str]]:
    try:
        return _read(services, snapshot, found, mend=False)
    except source.NotTextError:  # some rows are no UTF-8: the others count
        return _read(services, snapshot, found, mend=True)


def _read(services: Services, snapshot: Snapshot, found: Delivered, *, mend: bool) -> list[tuple[str, str, str]]:
    with source.faults(), engine.connect(services.settings) as (connection, _):
        return read_link_sources(Reading(connection, services, snapshot, mend=mend), found)


def _link(run: Run, table: LinkedTable) -> Task:
    name = f"{LINKING}{f' ({table.label})' if table.label else ''}: {table.logical_name}"
    if table.skipped:
        return _ended(Task(run.id, table.key, name, Kind.LINK, name), Status.SKIPPED, table.skipped)
    sources = tuple(json.dumps([one.data_source, one.entity, one.key]) for one in table.sources)
    return Task(run.id, table.key, name, Kind.LINK, table.logical_name, sources=sources)


def _no_links(run: Run, tables: Sequence[str], status: Status, detail: str) -> Iterator[Task]:
    """One task for each table that would be linked, or one for all where none is known yet."""
    for table in tables or ("",):
        name = f"{LINKING}: {table}" if table else LINKING
        task = Task(run.id, f"link.{table}" if table else "link", name, Kind.LINK, table or LINKING)
        yield _ended(task, status, detail)


# -- tasks that have nothing to do -----------------------------------------------------------------------


def _skipped(run: Run, name: str, detail: str, *, key: str = "") -> Task:
    return _ended(Task(run.id, key or name, name, Kind.TABLE, name), Status.SKIPPED, detail)


def _failed(run: Run, name: str, detail: str, *, key: str = "") -> Task:
    return _ended(Task(run.id, key or name, name, Kind.TABLE, name), Status.FAILED, detail)


def _ended(task: Task, status: Status, detail: str) -> Task:
    return Task(
        task.run, task.key, task.name, task.kind, task.subject, status=status, detail=detail, phase=TaskPhase.ENDED
    )


def _only_asked_for(run: Run, tasks: list[Task]) -> list[Task]:
    if not run.tables:
        return tasks
    asked = {name.casefold(): name for name in run.tables}
    kept = [task for task in tasks if _names(task) & asked.keys()]
    served = {name for task in kept for name in _names(task)}
    unknown = "This snapshot has no such table, and no such link."
    return kept + [
        _skipped(run, name, unknown, key=f"{UNKNOWN}{name}") for fold, name in asked.items() if fold not in served
    ]


def _names(task: Task) -> set[str]:
    return {task.name.casefold(), task.subject.casefold(), task.key.casefold()}
