"""The beginning of a run: pin the snapshot, make sure of the organization, find the tasks, ask for their plans."""

from __future__ import annotations

import json
from dataclasses import replace

from shared import lifecycle
from shared.dataverse.client import Client
from shared.delta import engine, source
from shared.errors import ConfigurationError, CorruptSnapshotError
from shared.keys import read_pairs
from shared.lake.snapshot import Snapshot
from shared.linking.sources import LinkedTable, linked_tables
from shared.runs import paths
from shared.runs.messages import Step, TableMessage
from shared.runs.model import LINKING, Kind, Phase, Run, Status, Task, TaskPhase
from shared.services import Services
from shared.tables import catalog

_NOT_DELIVERED = "No manifest of this environment names it: it was left alone, nothing was written or removed."


def start(services: Services, message: TableMessage) -> None:
    """Pin the newest snapshot and find the tasks. Does nothing where that was done already.

    Raises TransientError; a run that cannot begin for another reason ends Failed and says why.
    """
    run = services.store.run(message.environment, message.run)
    if run.phase is not Phase.STARTING or run.attempt != message.round:
        return
    try:
        run = _begin(services, run)
    except (ConfigurationError, CorruptSnapshotError) as fault:
        services.store.begin_round(run, [])
        lifecycle.end_run(services, run, Status.FAILED, str(fault))
        return
    plans = [
        TableMessage(Step.PLAN, run.environment, run.id, task.key, run.attempt)
        for task in services.store.tasks(run.id)
        if task.phase is TaskPhase.WAITING
    ]
    if plans and run.phase is Phase.PLANNING:
        services.queues.send_step(*plans)
    else:
        lifecycle.advance(services, run.environment, run.id)


def _begin(services: Services, run: Run) -> Run:
    """The run with its pinned snapshot and its tasks; or waiting again, where the lake has moved on."""
    snapshot = services.lake.snapshot(run.environment)
    if snapshot.fingerprint != run.fingerprint:
        return lifecycle.requeue(
            services, run, "The lake changed before the run began; it waits until the lake has settled."
        )
    if not snapshot.manifests:
        raise CorruptSnapshotError(f"No manifest can be read. {_unreadable(snapshot)}")
    client = services.dataverse.client(services.environment(run.environment).dataverse_url)
    bound = replace(run, organization_id=bind(services, run.environment, client))
    services.blobs.write(paths.snapshot(run), snapshot.to_json())
    services.store.begin_round(run, find_tasks(services, bound, snapshot))
    return services.store.save_run(replace(bound, phase=Phase.PLANNING, detail="The tables are being compared."))


def bind(services: Services, environment: str, client: Client) -> str:
    """The organization's id; remembered, and another one or another URL refused. Raises ConfigurationError."""
    configured = services.environment(environment)
    organization = client.who_am_i().organization_id
    known = services.store.environment(environment)
    moved = configured.organization_id is not None
    if moved and str(configured.organization_id).lower() != organization:
        raise ConfigurationError(
            f"Behind {client.url} is the organization {organization}, organization_id in hydration.toml names "
            f"{configured.organization_id}. Correct one of the two."
        )
    if_meant = f'If that is meant, set organization_id = "{organization}" for the environment in hydration.toml'
    if known.organization_id and known.organization_id != organization and not moved:
        raise ConfigurationError(
            f"Behind {client.url} is another organization ({organization}) than the one that this environment was "
            f"hydrated to ({known.organization_id}). {if_meant}: everything is then written anew."
        )
    if known.dataverse_url and known.dataverse_url != client.url and not moved:
        raise ConfigurationError(
            f"The environment was hydrated to {known.dataverse_url} and is now configured with {client.url}. "
            f"{if_meant}."
        )
    configured_ids = services.settings.hydration.environments.keys()
    owner = services.store.claim_organization(organization, environment, configured_ids)
    if owner != environment:
        raise ConfigurationError(
            f"The organization behind {client.url} is hydrated from the environment {owner} already; two would "
            "overwrite each other's rows."
        )
    if (known.organization_id, known.dataverse_url) != (organization, client.url):
        services.store.save_environment(replace(known, organization_id=organization, dataverse_url=client.url))
    return organization


# -- tasks -----------------------------------------------------------------------------------------------


def find_tasks(services: Services, run: Run, snapshot: Snapshot) -> list[Task]:
    """Every task of the run, those included that have nothing to do and say why."""
    found = catalog.read(snapshot, services.settings.hydration)
    tasks = [
        *(_table_task(services, run, table, source) for table, source in _sources(found).items()),
        *_link_tasks(services, run, snapshot, found),
        *(_ended(run, f"skipped.{name}", name, Kind.TABLE, Status.SKIPPED, detail) for name, detail in found.skipped),
        *(
            _ended(
                run,
                f"ambiguous.{one.attribute}",
                f"AlternateKey ({one.attribute})",
                Kind.TABLE,
                Status.SKIPPED,
                one.detail,
            )
            for one in found.ambiguous
        ),
        *(
            _ended(run, f"manifest.{path}", path, Kind.TABLE, Status.FAILED, f"The manifest cannot be read: {reason}")
            for path, reason in snapshot.unreadable.items()
        ),
    ]
    return _only_asked_for(run, tasks)


def _sources(found: catalog.Catalog) -> dict[str, catalog.Source]:
    keys = found.alternate_key
    if keys.entity is None and not keys.fault:  # its rows are derived from the profile
        keys = replace(found.customer, note="")
    return {catalog.CUSTOMER_PROFILE: found.customer, catalog.ALTERNATE_KEY: keys}


def _table_task(services: Services, run: Run, table: str, source: catalog.Source) -> Task:
    if not services.settings.hydration.options(table).enabled:
        return _ended(
            run, table, table, Kind.TABLE, Status.SKIPPED, "Disabled in hydration.toml; its rows were left alone."
        )
    if source.fault:
        return _ended(run, table, table, Kind.TABLE, Status.FAILED, f"{source.fault} Nothing was written or removed.")
    if source.entity is None:
        return _ended(run, table, table, Kind.TABLE, Status.SKIPPED, _NOT_DELIVERED)
    return Task(run.id, table, table, Kind.TABLE, table, notes=(source.note,) if source.note else ())


def _link_tasks(services: Services, run: Run, snapshot: Snapshot, found: catalog.Catalog) -> list[Task]:
    if found.keys_fault:
        detail = f"The alternate keys cannot be read: {found.keys_fault} No link was written or cleared."
        return [_ended(run, "link", LINKING, Kind.LINK, Status.FAILED, detail)]
    if not found.keys_delivered:
        return []
    try:
        with source.faults(), engine.connect(services.settings) as (connection, _):
            pairs = read_pairs(connection, services, snapshot, found)
    except CorruptSnapshotError as fault:
        detail = f"The alternate keys cannot be read: {fault} No link was written or cleared."
        return [_ended(run, "link", LINKING, Kind.LINK, Status.FAILED, detail)]
    hydration = services.settings.hydration
    pointers = services.store.pointers(run.organization_id, hydration.publisher_prefix)
    known = [pointer.table for pointer in pointers if pointer.kind == Kind.LINK]
    url = services.environment(run.environment).dataverse_url
    tables = linked_tables(pairs, hydration.data_sources, url, known)
    return [_link_task(run, table) for table in tables]


def _link_task(run: Run, table: LinkedTable) -> Task:
    key, name = f"link.{table.logical_name}", f"{LINKING}: {table.logical_name}"
    if table.skipped:
        return _ended(run, key, name, Kind.LINK, Status.SKIPPED, table.skipped)
    pairs = tuple(json.dumps(pair) for pair in table.sources)
    return Task(run.id, key, name, Kind.LINK, table.logical_name, sources=pairs, primary_id=table.primary_key or "")


def _ended(run: Run, key: str, name: str, kind: Kind, status: Status, detail: str) -> Task:  # noqa: PLR0917
    return Task(run.id, key, name, kind, name, status=status, detail=detail, phase=TaskPhase.ENDED)


def _only_asked_for(run: Run, tasks: list[Task]) -> list[Task]:
    if not run.tables:
        return tasks
    asked = {name.casefold(): name for name in run.tables}
    kept = [
        task for task in tasks if {task.name.casefold(), task.subject.casefold(), task.key.casefold()} & asked.keys()
    ]
    served = {name.casefold() for task in kept for name in (task.name, task.subject, task.key)}
    unknown = [name for fold, name in asked.items() if fold not in served]
    return kept + [
        _ended(
            run,
            f"unknown.{name}",
            name,
            Kind.TABLE,
            Status.SKIPPED,
            "This snapshot has no such table, and no such link.",
        )
        for name in unknown
    ]


def _unreadable(snapshot: Snapshot) -> str:
    return " ".join(f"{path}: {reason}." for path, reason in snapshot.unreadable.items())
