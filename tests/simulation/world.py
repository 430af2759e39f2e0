"""One environment with its workers, in virtual time: everything that leaves a worker goes by one gate.

There a worker may be killed, held up to go on much later, refused or left without an answer. Workers take turns on one
thread; only one that is held up has a thread of its own, and waits for the baton. So a history is its events, and
nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, cast

import httpx
from azure.core.exceptions import AzureError, ResourceModifiedError, ServiceResponseError

from shared.errors import HydrationError
from shared.runs.store import Store
from shared.services import Services
from shared.settings import load
from shared.settings.model import Removal
from tests.simulation.days import ENVIRONMENT, THERE, contact_id
from tests.simulation.organization import CONTACT, Organization
from tests.simulation.organization import Row as OrganizationRow
from tests.simulation.parts import (
    Blobs,
    Connections,
    Lake,
    Message,
    Queues,
    SimulatedClock,
    SimulatedOrganizations,
    SimulatedThrottling,
    refused,
)
from tests.simulation.promises import Promises
from tests.simulation.strands import BrokenPromise, Delivery, Fate, KilledError, Strand, Worker, fate_of
from tests.simulation.tables import Row, Storage
from tests.support.catalogs import CRM, hydration, source

_STORAGE = "DefaultEndpointsProtocol=http;AccountName=one;AccountKey=eA==;BlobEndpoint=http://127.0.0.1:1/one"
_BUS = "Endpoint=sb://127.0.0.1;SharedAccessKeyName=x;SharedAccessKey=y"
_LOADED = load({"LakeStorage": _STORAGE, "StatusStorage": _STORAGE, "ServiceBus": _BUS}, Path(__file__).parents[2])
_HYDRATION = replace(
    hydration(source("CRM", CRM, contact=("contact", "contactid"))), settle_seconds=60, whole_within_seconds=900
)
SETTINGS = replace(_LOADED, dataverse_batch_rows=2, hydration=_HYDRATION)
_STEP = timedelta(milliseconds=20)
LOCK = timedelta(minutes=5)
"""How long the lock of a message lasts whose worker does not renew it."""
MOST_DELIVERIES = 10


@dataclass
class World:
    """Everything that outlives a worker, and the workers that there are."""

    now: datetime = datetime(2026, 3, 1, tzinfo=UTC)
    blobs: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)
    bag: list[Message] = field(default_factory=list)
    dead: list[Message] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)
    troubles: Counter[str] = field(default_factory=Counter)
    numbers: Counter[str] = field(default_factory=Counter)
    throttled_until: datetime | None = None
    removal: Removal = field(default_factory=lambda: Removal(brake_percent=50))
    named_organization: str | None = None
    current: Delivery | None = None
    held: list[Delivery] = field(default_factory=list)
    touched: dict[tuple[str, str], datetime] = field(default_factory=dict)  # rows that a person changed, and when
    ended: list[str] = field(default_factory=list)  # runs whose end nobody has looked at yet
    writes: int = 0

    def __post_init__(self) -> None:
        self.promises = Promises(self)
        self.storage = Storage(self.promises.stored)
        self.lake = Lake(self)
        self.organizations = [Organization("11111111-0000-4000-8000-000000000000"),
                              Organization("22222222-0000-4000-8000-000000000000")]  # fmt: skip
        for one in self.organizations:
            one.rows[CONTACT] = {contact_id(contact): OrganizationRow() for contact in THERE}
            one.wrote = self.promises.wrote
        self.organization = self.organizations[0]
        self.workers: list[Worker] = []
        Connections.world = self

    # -- workers -------------------------------------------------------------------------------------------

    def worker(self, number: int) -> Worker:
        """A worker that is not busy."""
        busy = {id(one.worker) for one in self.held}
        while len(self.workers) <= number:
            self.workers.append(self._new_worker(timedelta()))
        found = self.workers[number]
        if id(found) in busy:
            return self.worker(number + 1)
        return found

    def replace_worker(self, number: int, wrong: timedelta = timedelta()) -> None:
        """A new process in place of one: with the settings of now, and with its machine's clock."""
        gone = self.worker(number)
        self.workers[self.workers.index(gone)] = self._new_worker(wrong)

    def restart(self) -> None:
        """New settings: new processes. Those that are held up keep the old ones."""
        busy = [one.worker for one in self.held]
        self.workers = [one if one in busy else self._new_worker(timedelta()) for one in self.workers]

    def _new_worker(self, wrong: timedelta) -> Worker:
        self.numbers["worker"] += 1
        name = f"worker-{self.numbers['worker']}"
        clock = SimulatedClock(self, wrong)
        environment = replace(_HYDRATION.environments[ENVIRONMENT], organization_id=self.named_organization)
        settings = replace(SETTINGS, hydration=replace(
            _HYDRATION, removal=self.removal, environments={ENVIRONMENT: environment}
        ))  # fmt: skip
        throttling = SimulatedThrottling(self, clock, name)
        services = Services(
            settings=settings, clock=clock, store=Store(settings.status_storage, clock), worker=name,
            blobs=cast("Any", Blobs(self)), lake=cast("Any", self.lake), queues=cast("Any", Queues(self)),
            dataverse=SimulatedOrganizations(self, settings, throttling),
        )  # fmt: skip
        return Worker(name, services, clock)

    # -- calls of handlers ---------------------------------------------------------------------------------

    def run(self, work: Callable[[Services], object], fate: Fate | None, *, worker: int = 0, task: str = "") -> str:
        """Call a handler in a worker: done, raised, killed or held. What nobody foresaw is raised."""
        delivery = Delivery(self.worker(worker), fate, task)
        call = self._call_of(delivery, work)
        if fate is None or not fate.what.startswith("hold"):
            return call()
        delivery.strand = Strand(call)
        outcome = delivery.strand.start()
        self.current = None
        return outcome

    def _call_of(self, delivery: Delivery, work: Callable[[Services], object]) -> Callable[[], str]:
        def call() -> str:
            self.current = delivery
            try:
                work(delivery.worker.services)
            except HydrationError:
                return "raised"
            except KilledError:
                self._buried(delivery.worker)
                return "killed"
            finally:
                self.current = None
            return "done"

        return call

    def _buried(self, gone: Worker) -> None:
        self.workers = [self._new_worker(timedelta()) if one is gone else one for one in self.workers]

    def resume(self, place: int = 0, *, killed: bool = False) -> None:
        """One that was held up goes on."""
        if not self.held:
            return
        delivery = self.held.pop(place % len(self.held))
        delivery.dead = killed
        self.current = delivery
        assert delivery.strand is not None
        delivery.strand.resume()
        self.current = None

    def close(self) -> None:
        """Nobody goes on who is still held up."""
        while self.held:
            self.resume(killed=True)

    # -- the gate ------------------------------------------------------------------------------------------

    def call(self, kind: str, perform: Callable[[], Any], *, writes: bool = False) -> Any:
        """Whatever leaves a worker: may be refused, held up, broken off before or after, or left without answer."""
        self.now += _STEP
        delivery = self.current
        if delivery is None:
            return perform()
        if delivery.dead:
            raise KilledError
        what = fate_of(delivery, kind, writes=writes)
        if what == "hold" and kind == "dataverse":
            return self._under_way(delivery, perform)
        if what in {"kill", "hold"}:
            self._stop(delivery, what)
        if what == "refuse" or self.troubles[kind] > 0:
            self.troubles[kind] -= what != "refuse"
            return self._trouble(kind, lost=False)
        told = delivery.worker.told_until
        found = perform()
        if what == "lose" and writes:
            delivery.worker.told_until = told  # no answer, no Retry-After
        if what == "kill after" or (what == "hold after" and kind != "dataverse"):
            self._stop(delivery, what.removesuffix(" after"))
        if what == "lose" and writes:
            return self._trouble(kind, lost=True)
        if what == "lose twice" and writes and kind == "table":
            raise ResourceModifiedError("the client has tried again what was done already")
        return found

    def _stop(self, delivery: Delivery, what: str) -> None:
        """The worker's process is gone; or it stands still, and goes on later."""
        if what == "hold":
            self._hold(delivery)
        else:
            delivery.dead = True
            raise KilledError

    def _hold(self, delivery: Delivery) -> None:
        self.held.append(delivery)
        delivery.stood_still = True
        self.current = None
        assert delivery.strand is not None
        delivery.strand.hold()
        if delivery.dead:
            raise KilledError

    def _under_way(self, delivery: Delivery, perform: Callable[[], Any]) -> Any:
        """A request that takes long. After its time limit there is no answer, whether it was carried out or not."""
        since, carried_out = self.now, delivery.calls % 2 == 0
        told = delivery.worker.told_until
        found = perform() if carried_out else None
        said = delivery.worker.told_until
        self._hold(delivery)
        if self.now - since > timedelta(seconds=SETTINGS.dataverse_timeout_seconds):
            if delivery.worker.told_until == said:  # its other calls have heard nothing since
                delivery.worker.told_until = told  # no answer, no Retry-After
            raise httpx.ReadTimeout("no answer")
        return found if carried_out else perform()

    def _trouble(self, kind: str, *, lost: bool) -> Any:
        if kind == "table":
            raise cast("AzureError", ServiceResponseError("no answer"))
        if kind == "dataverse":
            if lost:
                raise httpx.ReadTimeout("no answer")
            self.numbers["refused"] += 1
            if self.numbers["refused"] % 2:
                raise httpx.ConnectError("no connection")
            return httpx.Response(503)
        raise refused()

    # -- time ----------------------------------------------------------------------------------------------

    def ticks(self) -> float:
        """A clock that is never set, in seconds."""
        return self.now.timestamp()

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    # -- messages ------------------------------------------------------------------------------------------

    def enqueue(self, message: Message) -> None:
        self.bag.append(message)
        self.sent.append(message)

    def attempt(self, task: str) -> str:
        """The name of a new plan attempt. Rows are born with it: it is another one once it may have created any.

        Histories that went alike so far have the same names, so that what was compared once need not be again.
        """
        run = self.holder
        birth = f"{task[:6]:_<6}{self.numbers[f'births of {task}']:03}"
        self.numbers[f"{run} {birth}"] += 1
        return f"{birth}{self.numbers[f'{run} {birth}']:03}"

    # -- Dataverse -----------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, headers: dict[str, str], content: bytes | None) -> httpx.Response:
        worker = self.current.worker if self.current else None
        if worker and worker.told_until and self.now < worker.told_until:
            raise BrokenPromise(f"{worker.name} sends before its Retry-After has passed.")
        if self.throttled_until and self.now < self.throttled_until:
            left = int((self.throttled_until - self.now).total_seconds()) + 1
            if worker:
                worker.told_until = self.now + timedelta(seconds=left)
            content = b'{"error":{"code":"0x80072322","message":"Number of requests exceeded the limit."}}'
            return httpx.Response(429, headers={"Retry-After": str(left)}, content=content)
        if self.current and path.rpartition(".")[2] in {"UpsertMultiple", "UpdateMultiple"}:
            self.promises.sent(self.current)
        response = self.organization.answer(method, path, headers, content)
        response.headers["Date"] = format_datetime(self.now, usegmt=True)
        return response

    def row(self, run: str) -> Row | None:
        """The row of a run."""
        return next((one for one in self.storage.rows("HydrationRuns") if one.get("id") == run), None)

    @property
    def holder(self) -> str:
        """The run that has the environment."""
        lock = self.storage.get("HydrationRuns", ENVIRONMENT, "lock")
        return str(lock["run"]) if lock else ""
