"""The app's decisions and handlers in this process, over the real storage and Dataverse, with a clock that is turned.

A worker is one set of the app's services. Each of its writes, and each request to Dataverse, is a point at which it
can be killed, or held up while others go on. Messages lie in a bag here: delivered when their time has come, again
when a worker dies.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from local import landing
from local.inputs import lake_folder
from local.stack import Stack
from shared import deliver, lifecycle
from shared.blobs import Blobs
from shared.clock import Clock
from shared.dataverse.client import Client
from shared.errors import NotFoundError
from shared.lake.storage import Lake
from shared.runs.messages import ChunkMessage, TableMessage, encode
from shared.runs.model import Kind, Phase, Run
from shared.runs.queues import Queues
from shared.runs.store import Store
from shared.services import Organizations, Services
from shared.settings import Settings, load
from shared.views import run_with_tasks
from tests.support.tenants import Tenant

LEASE_SECONDS = 300


class Killed(BaseException):
    """The worker's process is gone."""


class TurnedClock(Clock):
    """Goes on by itself, and jumps when a test turns it."""

    def __init__(self) -> None:
        super().__init__()
        self.turned = timedelta()

    def now(self) -> datetime:
        return super().now() + self.turned

    def learn(self, served: datetime) -> None:
        """The storage here has the same clock."""


class Fate:
    """What becomes of a worker at its n-th call: killed or held up, before or after the call. n = 0: nothing.

    With `of`, only calls that name it count, such as a part of a blob's path.
    Calls that only read are no points: whoever dies before reading has done no more than after the write before it.
    """

    def __init__(self, point: int = 0, *, after: bool = False, held_up: bool = False, of: str = "") -> None:
        self.point, self.after, self.held_up, self.of = point, after, held_up, of
        self.calls: list[str] = []
        self.reached, self.released = threading.Event(), threading.Event()

    def watch(self, target: Any, name: str, *methods: str) -> None:
        """Let the methods of an object be points."""
        for method in methods:
            setattr(target, method, self._watched(getattr(target, method), f"{name}.{method}"))

    def _watched(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            if self.of in f"{name} {given[:1]}":
                self.calls.append(name)
            struck = len(self.calls) == self.point and not self.reached.is_set()
            # Between the last look at the claim and the request nothing can stop a worker: it is held up afterwards.
            after = self.after or (self.held_up and name.startswith("dataverse"))
            if struck and not after:
                self._strike()
            answer = method(*given, **named)
            if struck and after:
                self._strike()
            return answer

        return call

    def _strike(self) -> None:
        self.reached.set()
        if not self.held_up:
            raise Killed(self.calls[-1])
        self.released.wait()


@dataclass
class Letter:
    """A message in the bag."""

    deliver: Callable[[Services], None]
    at: datetime | None = None


class Bag(Queues):
    """The three queues: every message `copies` times."""

    def __init__(self, copies: int = 1) -> None:
        self.letters: list[Letter] = []
        self.known: list[Letter] = []  # every letter that there ever was
        self.copies = copies

    def send_step(self, *messages: TableMessage, at: datetime | None = None) -> None:
        for message in messages:
            self._put(encode(message), at, deliver.step)

    def send_chunks(self, kind: Kind, messages: Sequence[ChunkMessage], *, at: datetime | None = None) -> None:
        for message in messages:
            self._put(encode(message), at, lambda services, body: deliver.chunk(services, body, kind))

    def _put(self, body: bytes, at: datetime | None, work: Callable[[Services, bytes], None]) -> None:
        copies = self.copies if at is None else 1  # what is put off was delivered already
        self.put(Letter(lambda services: work(services, body), at), copies)

    def put(self, letter: Letter, copies: int = 1) -> None:
        self.letters += [letter] * copies
        self.known.append(replace(letter, at=None))


class _Watched(Organizations):
    def __init__(self, settings: Settings, fate: Fate) -> None:
        super().__init__(settings)
        self._fate, self._known = fate, set[str]()

    def client(self, url: str) -> Client:
        client = super().client(url)
        if url not in self._known:
            self._known.add(url)
            self._fate.watch(client, "dataverse", "request")
        return client

    def close(self) -> None:
        for client in self._clients.values():
            client.close()


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
            fate.watch(table._client, name, "create_entity", "update_entity", "submit_transaction")
        fate.watch(services.blobs._container, "blobs", "upload_blob")
        return services

    # -- what happens ------------------------------------------------------------------------------------

    def land(self, day: int) -> None:
        """Land a day and announce it."""
        folder = lake_folder(self.tenant.lake(day))
        landing.land(folder, self.stack.lake_connection_string, self.settings.lake_container)
        self.bag.put(Letter(self._look))

    def _look(self, services: Services) -> None:
        lifecycle.look(services, self.tenant.environment)

    def run(self, services: Services) -> Run | None:
        """The newest run."""
        return next(iter(services.store.runs(self.tenant.environment, limit=1)), None)

    def ended(self, services: Services) -> bool:
        runs = services.store.runs(self.tenant.environment)
        return bool(runs) and not self.bag.letters and all(run.phase is Phase.ENDED for run in runs)

    def work(self, services: Services) -> None:
        """Deliver what is due; where nothing is, the clock goes on and the timers tick."""
        due = [letter for letter in self.bag.letters if letter.at is None or letter.at <= self.clock.now()]
        if not due:
            self.clock.turned += timedelta(seconds=LEASE_SECONDS + 1)
            self._look(services)
            deliver.reconcile(services)
            return
        letter = self.draw.choice(due) if self.draw else due[0]
        letter.deliver(services)
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

    def told(self, services: Services) -> dict[str, Any]:
        """The newest run with its tasks, as the API tells."""
        run = self.run(services)
        if run is None:
            raise NotFoundError("no run")
        return run_with_tasks(services, run)


def settings_of(stack: Stack) -> Settings:
    """The stack's settings with the times of the cloud: the clock is turned, so nobody waits for them."""
    times = {"HYDRATION_LEASE_SECONDS": str(LEASE_SECONDS), "DATAVERSE_TIMEOUT_SECONDS": "30"}
    settled = {"HYDRATION_SETTLE_SECONDS": "0", "HYDRATION_WHOLE_WITHIN_SECONDS": "0", "DATAVERSE_BATCH_ROWS": "5"}
    return load(stack.settings | times | settled, Path(stack.config).parent)
