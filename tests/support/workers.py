"""The app's decisions and handlers in this process, over the real storage and Dataverse, with a clock that is turned.

A worker is one set of the app's services. Each of its writes, and each request to Dataverse, is a point at which it
can be killed, or held up while others go on. Messages lie in a bag here: delivered when their time has come, again
when a worker dies.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

import pytest

from local import landing
from local.inputs import lake_folder
from local.stack import Stack
from shared import deliver, lifecycle, retention
from shared.blobs import Blobs
from shared.clock import Clock
from shared.dataverse.client import Client
from shared.dataverse.patience import Patience
from shared.dataverse.signin import Credentials
from shared.errors import NotFoundError
from shared.lake.storage import Lake
from shared.organizations import Organizations
from shared.runs.messages import ChunkMessage, TableMessage, encode
from shared.runs.model import Kind, Phase, Run
from shared.runs.queues import Queues
from shared.runs.store import Store
from shared.services import Services
from shared.settings import Settings, load
from shared.views import run_with_tasks
from tests.support.campaigns import SOAK, size
from tests.support.fates import Fate
from tests.support.one_duckdb import one_duckdb
from tests.support.tenants import Tenant, configuration, next_number, write_sample

__all__ = ["LEASE_SECONDS", "SOAK", "TENANTS", "Bag", "Letter", "Workplace", "Workshop", "settings_of", "workplace"]

LEASE_SECONDS = 300
TENANTS = size(1, 6)
"""Of each campaign that tries one moment of each day; each lives both days."""
_SHORT = Patience(sleep=lambda seconds: time.sleep(seconds / 25))
"""With pauses in which a local Dataverse is well again."""


class TurnedClock(Clock):
    """Goes on by itself, and jumps when a test turns it."""

    def __init__(self) -> None:
        super().__init__()
        self.turned = timedelta()

    def now(self) -> datetime:
        return super().now() + self.turned

    def learn(self, served: datetime) -> None:
        """The storage here has the same clock."""


@dataclass
class Letter:
    """A message in the bag. `dead` is what becomes of it in the dead-letter queue; events have no such queue."""

    deliver: Callable[[Services], None]
    at: datetime | None = None
    message: TableMessage | ChunkMessage | None = None
    dead: Callable[[Services], None] | None = None

    def hand_over(self, services: Services) -> None:
        """Deliver it."""
        self.deliver(services)


class Bag(Queues):
    """The three queues: every message `copies` times."""

    def __init__(self, copies: int = 1) -> None:
        self.letters: list[Letter] = []
        self.known: list[Letter] = []  # every letter that there ever was
        self.copies = copies

    def send_step(self, *messages: TableMessage, at: datetime | None = None) -> None:
        for message in messages:
            self._put(message, at, deliver.step, deliver.dead_step)

    def send_chunks(self, kind: Kind, messages: Sequence[ChunkMessage], *, at: datetime | None = None) -> None:
        for message in messages:
            self._put(message, at, partial(deliver.chunk, kind=kind), deliver.dead_chunk)

    def _put(
        self,
        message: TableMessage | ChunkMessage,
        at: datetime | None,
        work: Callable[[Services, bytes], None],
        dead: Callable[[Services, bytes, str], None],
    ) -> None:
        body, copies = encode(message), self.copies if at is None else 1  # what is put off was delivered already
        letter = Letter(
            lambda services: work(services, body), at, message, lambda services: dead(services, body, "worn out")
        )
        self.put(letter, copies)

    def put(self, letter: Letter, copies: int = 1) -> None:
        self.letters += [letter] * copies
        self.known.append(replace(letter, at=None))


class _Watched(Organizations):
    def __init__(self, settings: Settings, fate: Fate) -> None:
        super().__init__(settings)
        self._fate = fate

    def _client(self, url: str, credentials: Credentials) -> Client:
        client = super()._client(url, credentials)
        client.patience = _SHORT
        self._fate.watch(client, "dataverse", "request")
        return client


@dataclass
class Workshop:
    """What workers share: storage, Dataverse, messages and the clock."""

    stack: Stack
    settings: Settings
    tenant: Tenant
    bag: Bag = field(default_factory=Bag)
    clock: TurnedClock = field(default_factory=TurnedClock)
    draw: random.Random | None = None  # the order of delivery; None: as sent
    workers: int = 0
    handle: Callable[[Letter, Services], None] = Letter.hand_over
    _closing: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def worker(self, fate: Fate | None = None) -> Services:
        fate, self.workers = fate or Fate(), self.workers + 1
        organizations = _Watched(self.settings, fate)
        self._closing.callback(organizations.close)
        services = Services(
            self.settings,
            self.clock,
            Store(self.settings.status_storage, self.clock),
            Blobs(self.settings),
            Lake(self.settings),
            self.bag,
            organizations,
            worker=f"worker{self.workers}",
        )
        tables = (services.store._runs, services.store._tasks, services.store._chunks, services.store._state)
        for table in tables:
            name = table._client.table_name
            fate.watch(table._client, name, "create_entity", "update_entity", "upsert_entity", "submit_transaction")
        fate.watch(services.blobs._container, "blobs", "upload_blob")
        self._keep_to_the_tenant(services.store)
        return services

    def _keep_to_the_tenant(self, store: Store) -> None:
        """Other tests of the session have environments of their own: the timers here do not look at them."""
        known = store.environments
        store.environments = lambda: [one for one in known() if one.id == self.tenant.environment]  # type: ignore[method-assign]

    # -- what happens ------------------------------------------------------------------------------------

    def land(self, day: int) -> None:
        """Land a day and announce it."""
        folder = lake_folder(self.tenant.lake(day))
        landing.land(folder, self.stack.lake_connection_string, self.settings.lake_container)
        self.announce()

    def announce(self) -> None:
        """Tell of the landing (once more)."""
        self.bag.put(Letter(self._look))

    def _look(self, services: Services) -> None:
        lifecycle.look(services, self.tenant.environment)

    def run(self, services: Services) -> Run | None:
        """The newest run."""
        return next(iter(services.store.runs(self.tenant.environment, limit=1)), None)

    def ended(self, services: Services) -> bool:
        if self.bag.letters:
            return False
        runs = services.store.runs(self.tenant.environment)
        return bool(runs) and all(run.phase is Phase.ENDED for run in runs)

    def work(self, services: Services) -> None:
        """Deliver what is due; where nothing is, the clock goes on and the timers tick."""
        due = [letter for letter in self.bag.letters if letter.at is None or letter.at <= self.clock.now()]
        if not due:
            self.clock.turned += timedelta(seconds=LEASE_SECONDS + 1)
            self._look(services)
            deliver.reconcile(services)
            retention.tidy(services)
            return
        letter = self.draw.choice(due) if self.draw else due[0]
        self.handle(letter, services)
        self.bag.letters.remove(letter)

    def work_to_the_end(self, services: Services, most: int = 500) -> None:
        """Until the run has ended and no message is left."""
        for _ in range(most):
            if self.ended(services):
                return
            self.work(services)
        runs = services.store.runs(self.tenant.environment)
        tasks = {run.id: services.store.tasks(run.id) for run in runs}
        raise AssertionError(f"not everything has ended: {runs}, {tasks}")

    def assert_day(self, services: Services, day: int, before_it: int | None = None) -> None:
        """The newest run went and tells as an undisturbed one, and Dataverse holds what it must."""
        self.tenant.assert_day(self.stack, day, self.told(services), before_it)

    def assert_state_agrees(self, services: Services, day: int) -> None:
        """What the app believes of Dataverse is so: the same files once more cause no write, and nothing is amiss."""
        before = self.tenant.written(self.stack)
        self.land(day)
        self.work_to_the_end(services)
        told = self.told(services)
        assert told["status"] == "Successful", told
        assert sum(task["writes"] for task in told["tasks"]) == 0, told
        assert self.tenant.written(self.stack) == before
        self.tenant.assert_content(self.stack, day)

    def told(self, services: Services) -> dict[str, Any]:
        """The newest run with its tasks, as the API tells."""
        run = self.run(services)
        if run is None:
            raise NotFoundError("no run")
        return run_with_tasks(services, run)


@dataclass
class Workplace:
    """A stack without a host, and as many tenants on it as are asked for."""

    stack: Stack
    root: Path

    def workshop(
        self, bag: Bag | None = None, draw: random.Random | None = None, *, settings: Mapping[str, str] | None = None
    ) -> Workshop:
        """A workshop for the next tenant, its rows in Dataverse. `settings`: app settings that are others for it."""
        tenant = Tenant(next_number(), self.root, lacks=4)
        tenant.seed(self.stack)
        config = self.root / f"tenant{tenant.number}" / "hydration.toml"
        config.write_text(configuration([tenant]), encoding="utf-8")
        own = settings_of(self.stack, config, **(settings or {}))
        return Workshop(self.stack, own, tenant, bag or Bag(), draw=draw)


@contextmanager
def workplace(stack: Stack, root: Path, people: int) -> Iterator[Workplace]:
    """Tenants on a stack without a host. A quarter of the contacts in the lake are not in Dataverse."""
    write_sample(root, people)
    with one_duckdb(), pytest.MonkeyPatch.context() as patch:
        for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
            patch.setenv(name, stack.settings[name])
        settings = settings_of(stack)
        Store(settings.status_storage, Clock()).create_tables()
        Blobs(settings).create_container()
        yield Workplace(stack, root)


def settings_of(stack: Stack, config: Path | None = None, **others: str) -> Settings:
    """The stack's settings with the times of the cloud: the clock is turned, so nobody waits for them.

    `config`: another configuration than the stack's; `others`: app settings that go over these.
    """
    times = {"HYDRATION_LEASE_SECONDS": str(LEASE_SECONDS), "DATAVERSE_TIMEOUT_SECONDS": "30"}
    settled = {"HYDRATION_SETTLE_SECONDS": "0", "HYDRATION_WHOLE_WITHIN_SECONDS": "0", "DATAVERSE_BATCH_ROWS": "8"}
    config = config or Path(stack.config)
    chosen = {"HYDRATION_CONFIG": str(config)} | times | settled | others
    return load(stack.settings | chosen, config.parent)
