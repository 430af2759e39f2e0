"""Between planning and sending: the lake must still be what was planned from, and Dataverse ready to take it."""

from __future__ import annotations

import logging
import uuid
from dataclasses import replace
from datetime import timedelta

from shared import inputs, lifecycle, links
from shared.dataverse import metadata, privileges, solution
from shared.dataverse.client import Client
from shared.dataverse.metadata import Lookup
from shared.dataverse.schema import Schema, provision
from shared.errors import ConfigurationError, ThrottledError, TransientError
from shared.lake.snapshot import Snapshot
from shared.linking import texts
from shared.organizations import refuse_another
from shared.provision import customer_schema, link_schema, table_schema
from shared.runs import openings, paths
from shared.runs.messages import TableMessage
from shared.runs.model import Kind, Mode, Phase, Run, Status, Task, TaskPhase
from shared.services import Services
from shared.tables import catalog, discovery
from shared.tables.columns import columns

_log = logging.getLogger(__name__)
_ALL = ("Create", "Read", "Write", "Delete", "Append", "AppendTo")
_USER_LACKS = (
    "The application user {user} lacks {privileges}. Several users share the work, and each writes rows that another "
    "one owns: add it to the user's security role for the whole organization."
)


def prepare(services: Services, message: TableMessage) -> None:
    """Check the fingerprint again and create what is missing; then sending may begin.

    A lake that changed meanwhile sends the run back to wait: nothing was written yet. Raises TransientError, and
    ConfigurationError where another organization stands behind the address than the run was planned for.
    """
    run = services.store.run(message.environment, message.run)
    if run.phase is not Phase.PREPARING or run.attempt != message.round or run.stopped:
        return
    if (left := _held_seconds(services, run)) > 0:
        raise ThrottledError("Another worker prepares the run.", left)
    run = _claim(services, replace(run, owner=uuid.uuid4().hex))
    try:
        _prepare(services, run)
    except TransientError:
        _release(services, run)
        raise
    lifecycle.advance(services, run.environment, run.id)


def _held_seconds(services: Services, run: Run) -> float:
    """How long the run is still held by who prepares it."""
    if not run.owner or run.lease_until is None:
        return 0.0
    return (run.lease_until - services.clock.now()).total_seconds()


def _claim(services: Services, run: Run) -> Run:
    """Hold the run (longer): of several workers one prepares it, and whoever held it before cannot finish any more."""
    lease = services.clock.now() + timedelta(seconds=services.settings.lease_seconds)
    return services.store.save_run(replace(run, lease_until=lease))


def _release(services: Services, claimed: Run) -> None:
    """Give the run back, so that nobody waits for the lease."""
    try:
        run = services.store.run(claimed.environment, claimed.id)
        if (run.owner, run.phase) == (claimed.owner, Phase.PREPARING):
            services.store.save_run(replace(run, owner="", lease_until=None))
    except TransientError:
        _log.info("claim.not_released", extra={"run": claimed.id})


def _prepare(services: Services, run: Run) -> None:
    url = services.environment(run.environment).dataverse_url
    refuse_another(url, services.dataverse.introduce(url).organization_id, run.organization_id)
    if run.mode is not Mode.CONFIRM:  # what another run held needs no look at the lake, and all that it needs is there
        if lifecycle.requeue_if_changed(services, run):
            return
        run = _prepare_tasks(services, run)
    begun, lock = openings.sending(run, services.store.lock(run.environment))
    services.store.save_runs([begun], lock=lock)


def _prepare_tasks(services: Services, run: Run) -> Run:
    """The run as it is held in the end. Raises ConflictError where it was stopped meanwhile, or another one took it."""
    snapshot = Snapshot.from_json(services.blobs.read(paths.snapshot(run)))
    planned = [task for task in services.store.tasks(run.id) if task.phase is TaskPhase.PLANNED and not task.failure]
    for task in sorted(planned, key=lambda one: (one.kind is Kind.LINK, not one.is_profile)):
        run = _claim(services, run)
        _prepare_task(services, run, task, snapshot)
        services.store.moved(run.id, task.key)
    return run


def _prepare_task(services: Services, run: Run, task: Task, snapshot: Snapshot) -> None:
    client = services.dataverse.client(services.environment(run.environment).dataverse_url)
    prefix = services.settings.hydration.publisher_prefix
    if not task.is_profile and metadata.table(client, catalog.table_name(prefix, catalog.CUSTOMER_PROFILE)) is None:
        detail = f"{texts.NOT_LINKED}\n{texts.NO_PROFILES}" if task.kind is Kind.LINK else texts.NO_PROFILES
        lifecycle.end_task(services, task, Status.SKIPPED, detail)
        return
    try:
        created = provision(client, _schema(services, task, snapshot))
        if task.kind is not Kind.LINK:  # of links the plan has looked at it
            _check_users(services, run, task)
    except ConfigurationError as fault:
        detail = f"{fault} Nothing of it was written or removed."
        lifecycle.end_task(services, task, Status.FAILED, detail)
        return
    notes = _summary(created)
    if task.kind is Kind.LINK:
        lookup = _lookup(client, task, prefix)
        if lookup is not None:
            task = replace(task, configuration=links.with_lookup(task.configuration, lookup))
            notes += _deletes(task, lookup)
    else:
        found = metadata.table(client, catalog.table_name(prefix, task.subject), strong=bool(created))
        if found is not None:
            task = replace(task, set_name=found.set_name)
    services.store.save_task(replace(task, notes=tuple(dict.fromkeys((*task.notes, *notes)))))  # maybe done twice


def _check_users(services: Services, run: Run, task: Task) -> None:
    """Of several users each must be able to do all, or only large runs would fail, and in their middle.

    Of one user the first request tells. Raises ConfigurationError, which names the user and what it lacks.
    """
    users = services.dataverse.users(services.environment(run.environment).dataverse_url)
    if len(users) < 2:
        return
    prefix = services.settings.hydration.publisher_prefix
    table, profile = catalog.table_name(prefix, task.subject), catalog.table_name(prefix, catalog.CUSTOMER_PROFILE)
    for user in users:
        if lacks := privileges.lacking(user, {profile: ("Read", "AppendTo"), table: _ALL}):
            raise ConfigurationError(_USER_LACKS.format(user=user.known_as, privileges=" and ".join(lacks)))


def _schema(services: Services, task: Task, snapshot: Snapshot) -> Schema:
    hydration, table = services.settings.hydration, task.subject
    prefix = hydration.publisher_prefix
    if task.kind is Kind.LINK:
        return Schema(lookups=(link_schema(table, prefix),), solution=solution.hydration(prefix))
    source = discovery.read(snapshot, hydration).source(table)
    wanted = table_schema(table, columns(table, hydration, inputs.attributes(table, source)), prefix)
    lookups = () if task.is_profile else (customer_schema(table, prefix),)
    return Schema((wanted,), lookups, solution.hydration(prefix))


def _lookup(client: Client, task: Task, prefix: str) -> Lookup | None:
    profile = catalog.table_name(prefix, catalog.CUSTOMER_PROFILE)
    table = metadata.table(client, task.subject, strong=True)
    return table.lookup(link_schema(task.subject, prefix).logical_name, profile) if table else None


def _deletes(task: Task, lookup: Lookup) -> list[str]:
    """A lookup that was there before may empty itself when its profile is deleted: say so."""
    if lookup.on_delete == "Restrict":
        return []
    return [texts.NOT_RESTRICTED.format(table=task.subject, on_delete=lookup.on_delete)]


def _summary(created: list[str]) -> list[str]:
    """What was created, short enough for a detail text."""
    return created if len(created) <= 3 else [created[0], f"{len(created) - 1} more columns or lookups were created."]
