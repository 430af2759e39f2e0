"""The beginning of a run: pin the snapshot, make sure of the organization, find the tasks, ask for their plans."""

from __future__ import annotations

from dataclasses import replace

from shared import confirm, lifecycle
from shared.errors import ConfigurationError, CorruptSnapshotError
from shared.lake.snapshot import Snapshot
from shared.runs import life, paths
from shared.runs.messages import TableMessage
from shared.runs.model import Mode, Phase, Run, Status
from shared.services import Services
from shared.tasks import find_tasks


def start(services: Services, message: TableMessage) -> None:
    """Pin the newest snapshot and find the tasks. Does nothing where that was done already.

    Raises TransientError; a run that cannot begin for another reason ends Failed and says why.
    """
    run = services.store.run(message.environment, message.run)
    if run.phase is not Phase.STARTING or run.attempt != message.round or run.stopped:
        return
    try:
        run = _begin(services, run)
    except (ConfigurationError, CorruptSnapshotError) as fault:
        lifecycle.stop(services, run, Status.FAILED, str(fault))  # tasks that somebody found before end with it
        return
    if run.phase is Phase.PLANNING:
        lifecycle.send_plans(services, run)
    lifecycle.advance(services, run.environment, run.id)


def _begin(services: Services, run: Run) -> Run:
    """The run with its pinned snapshot and its tasks; or waiting again, where the lake has moved on."""
    if run.mode is Mode.CONFIRM:
        return _begin_continuation(services, run)
    snapshot = services.lake.snapshot(run.environment)
    if snapshot.fingerprint != run.fingerprint:
        return lifecycle.requeue(
            services, run, "The lake changed before the run began; it waits until the lake has settled."
        )
    if not snapshot.manifests:
        raise CorruptSnapshotError(f"No manifest can be read. {_unreadable(snapshot)}")
    bound = _bound(services, run)
    services.blobs.write(paths.snapshot(run), snapshot.to_json())
    services.store.begin_round(run, find_tasks(services, bound, snapshot))
    return services.store.save_run(life.run(bound, Phase.PLANNING, detail="The tables are being compared."))


def _begin_continuation(services: Services, run: Run) -> Run:
    """The run with its tasks: what another run held needs no snapshot."""
    bound = _bound(services, run)
    services.store.begin_round(run, confirm.find_tasks(services, bound))
    return services.store.save_run(life.run(bound, Phase.PLANNING, detail="What was held is being put together."))


def _bound(services: Services, run: Run) -> Run:
    return replace(run, organization_id=bind(services, run.environment, remember=run.mode is not Mode.PLAN))


def bind(services: Services, environment: str, *, remember: bool = True) -> str:
    """The organization's id; remembered, and another one or another URL refused. Raises ConfigurationError.

    Every application user must be a member of it: that shows here, before anything is planned. Without `remember` it
    is checked only: a plan binds nothing.
    """
    configured = services.environment(environment)
    client = services.dataverse.client(configured.dataverse_url)
    organization = services.dataverse.introduce(configured.dataverse_url).organization_id
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
    owner = services.store.owner(organization, configured_ids) or environment
    if remember:
        owner = services.store.claim_organization(organization, environment, configured_ids)
    if owner != environment:
        raise ConfigurationError(
            f"The organization behind {client.url} is hydrated from the environment {owner} already; two would "
            "overwrite each other's rows."
        )
    if remember and (known.organization_id, known.dataverse_url) != (organization, client.url):
        services.store.save_environment(replace(known, organization_id=organization, dataverse_url=client.url))
    return organization


def _unreadable(snapshot: Snapshot) -> str:
    return " ".join(f"{path}: {reason}." for path, reason in snapshot.unreadable.items())
