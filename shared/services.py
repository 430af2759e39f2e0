"""The composition root: every part that talks to the outside, made once and shared by all handlers."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock

from azure.core.exceptions import AzureError

from shared.blobs import Blobs
from shared.clock import Clock
from shared.errors import ConfigurationError, TransientError
from shared.lake.storage import Lake
from shared.organizations import Organizations
from shared.runs.queues import Queues
from shared.runs.reconcile import Patience
from shared.runs.store import Store
from shared.settings import Environment, Settings, load
from shared.throttling import Throttling

_APP_FOLDER = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Services:
    """What handlers work with. `worker` names this process in claims."""

    settings: Settings
    clock: Clock
    store: Store
    blobs: Blobs
    lake: Lake
    queues: Queues
    dataverse: Organizations
    worker: str

    @property
    def patience(self) -> Patience:
        """How long to wait for what."""
        hydration = self.settings.hydration
        return Patience(hydration.settle_seconds, hydration.whole_within_seconds, self.settings.lease_seconds)

    def environment(self, environment: str) -> Environment:
        """The configuration of an environment. Raises ConfigurationError."""
        found = self.settings.hydration.environments.get(environment)
        if found is None:
            raise ConfigurationError(
                f"The environment {environment} is not configured: "
                f'add [environments."{environment}"] with its dataverse_url to hydration.toml.'
            )
        return found


def build(settings: Settings, clock: Clock | None = None) -> Services:
    """All parts, with the tables and the container that they need. The storage's answers set the clock.

    Raises TransientError where the storage does not answer: who asks again begins anew.
    """
    clock, worker = clock or Clock(), uuid.uuid4().hex
    services = Services(
        settings=settings,
        clock=clock,
        store=Store(settings.status_storage, clock),
        blobs=Blobs(settings),
        lake=Lake(settings),
        queues=Queues(settings.service_bus),
        dataverse=Organizations(settings, Throttling(settings.status_storage, clock, worker)),
        worker=worker,
    )
    try:
        services.store.create_tables()
    except AzureError as fault:
        raise TransientError(f"The status storage did not answer as expected: {type(fault).__name__}.") from fault
    services.blobs.create_container()
    return services


_BUILDING = Lock()


def services() -> Services:
    """The parts of this process, made at the first call that can.

    Raises ConfigurationError with every fault of the settings, and TransientError.
    """
    with _BUILDING:
        return _once()


@cache
def _once() -> Services:
    return build(load(os.environ, _APP_FOLDER))
