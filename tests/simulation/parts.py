"""What a worker talks to, in memory: blobs, lake, queues and the way to Dataverse. All of it goes by the gate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pyarrow as pa
from pyarrow import parquet

from shared.clock import TOLERANCE, Clock
from shared.dataverse.client import Client
from shared.dataverse.limiter import Limiter
from shared.dataverse.patience import Patience
from shared.errors import LostBlobError, TransientError
from shared.lake.snapshot import File, Snapshot, build
from shared.lake.storage import _ChangedError
from shared.organizations import Organizations
from shared.runs.messages import BACKSTAMPS_QUEUE, TABLES_QUEUE, UPSERTS_QUEUE, ChunkMessage, TableMessage, encode
from shared.runs.model import Kind
from shared.throttling import Throttling, Workers
from tests.simulation.days import ENVIRONMENT, FOLDER, Day, manifest
from tests.simulation.tables import Service

if TYPE_CHECKING:
    from tests.simulation.world import World

CONTAINER = "customerinsights"
_MANIFEST = f"{FOLDER}/model.json"


class SimulatedClock(Clock):
    """A worker's clock: the machine's may be wrong, and is corrected by the storage's answers."""

    def __init__(self, world: World, wrong: timedelta) -> None:
        super().__init__()
        self.world, self.wrong = world, wrong

    def _machine_now(self) -> datetime:
        return self.world.now + self.wrong

    def now(self) -> datetime:
        return self._machine_now() + self._offset

    def learn(self, served: datetime) -> None:
        offset = served - self._machine_now()
        if abs(offset - self._offset) > TOLERANCE:
            self._offset = offset if abs(offset) > TOLERANCE else timedelta()


@dataclass
class Blobs:
    """The app's own container."""

    world: World

    def write(self, path: str, content: bytes) -> None:
        def perform() -> None:
            self.world.blobs[path] = (content, self.world.now)

        self.world.call("blob", perform, writes=True)

    def read(self, path: str) -> bytes:
        def perform() -> bytes:
            if path not in self.world.blobs:
                raise LostBlobError(f"The blob {path} is gone.")
            return self.world.blobs[path][0]

        found: bytes = self.world.call("blob", perform)
        return found

    def upload(self, path: str, file: Path) -> None:
        content = file.read_bytes()
        if path.endswith("/delta.parquet") and creates(content):
            self.world.numbers[f"births of {path.split('/')[3]}"] += 1
        self.write(path, content)

    def download(self, path: str, file: Path) -> None:
        file.write_bytes(self.read(path))

    def list(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        found = [(path, at) for path, (_, at) in sorted(self.world.blobs.items()) if path.startswith(prefix)]
        yield from self.world.call("blob", lambda: found)

    def delete(self, path: str) -> None:
        self.world.call("blob", lambda: self.world.blobs.pop(path, None), writes=True)


class Lake:
    """The lake's container, as Customer Insights writes it and as the app reads it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._files: dict[str, tuple[bytes, File]] = {}
        self._versions = 0
        self._built: dict[str, Snapshot] = {}
        self.day: Day | None = None  # what lies there; None: something is missing
        self.days: dict[str, Day | None] = {}  # by fingerprint
        self.changed = world.now
        self.fingerprint = ""  # as it was seen last

    # -- Customer Insights ---------------------------------------------------------------------------------

    def land(self, day: Day, *entities: str) -> None:
        """Write a day, or some of its entities."""
        files = day.files()
        for name in entities or files:
            self._put(f"{FOLDER}/{name}/1.csv", files[name].encode())
        self._put(_MANIFEST, manifest().encode())
        before = self.day or Day()
        contacts = day.contacts if not entities or "AlternateKey" in entities else before.contacts
        customers = day.customers if not entities or "Customer" in entities else before.customers
        self.day = Day(customers, contacts) if self.day is not None or not entities else None

    def lose(self, entity: str) -> None:
        """A file is deleted: a new one is about to be written."""
        if self._files.pop(f"{FOLDER}/{entity}/1.csv", None):
            self.day = None

    def _put(self, path: str, content: bytes) -> None:
        self.changed = self._world.now
        self._versions += 1
        self._files[path] = (content, File(path, f"e{self._versions}", len(content), self._world.now))

    # -- the app -------------------------------------------------------------------------------------------

    def environments(self) -> list[str]:
        found: list[str] = self._world.call("lake", lambda: [ENVIRONMENT] if self._files else [])
        return found

    def snapshot(self, environment: str) -> Snapshot:
        found: Snapshot = self._world.call("lake", lambda: self._snapshot(environment))
        return found

    def _snapshot(self, environment: str) -> Snapshot:
        key = "|".join(f"{path} {file.etag}" for path, (_, file) in sorted(self._files.items()))
        if key not in self._built:
            contents = {_MANIFEST: self._files[_MANIFEST][0]} if _MANIFEST in self._files else {}
            files = [file for _, file in self._files.values()]
            self._built[key] = build(environment, CONTAINER, files, contents)
        self.days[self._built[key].fingerprint] = self.day
        self.fingerprint = self._built[key].fingerprint
        return self._built[key]

    def read_head(self, path: str, size: int, etag: str) -> bytes:
        def perform() -> bytes:
            content, file = self._files.get(path, (b"", None))
            if file is None or file.etag != etag:
                raise _ChangedError(f"{path} was replaced while it was read.")
            return content[:size]

        found: bytes = self._world.call("lake", perform)
        return found

    def read_blocks(self, path: str, etag: str) -> Iterator[bytes]:
        yield self.read_head(path, 1 << 30, etag)

    def content(self, name: str) -> bytes | None:
        """What stands in a file now, whatever its version; None: it is gone."""
        found = self._files.get(name.removeprefix(f"{CONTAINER}/"))
        return found[0] if found else None


@dataclass(frozen=True)
class Message:
    """A message in a queue. It is locked, or scheduled, until it is `due`."""

    queue: str
    body: bytes
    due: datetime
    deliveries: int = 0

    def again(self, due: datetime) -> Message:
        return replace(self, due=due, deliveries=self.deliveries + 1)


@dataclass
class Queues:
    """The three queues."""

    world: World

    def send_step(self, *messages: TableMessage, at: datetime | None = None) -> None:
        self._send(TABLES_QUEUE, messages, at)

    def send_chunks(self, kind: Kind, messages: Sequence[ChunkMessage], *, at: datetime | None = None) -> None:
        self._send(UPSERTS_QUEUE if kind is Kind.TABLE else BACKSTAMPS_QUEUE, messages, at)

    def _send(self, queue: str, messages: Sequence[TableMessage | ChunkMessage], at: datetime | None) -> None:
        def perform() -> None:
            for message in messages:
                self.world.enqueue(Message(queue, encode(message), at or self.world.now))

        self.world.call("queue", perform, writes=True)


# -- Dataverse -----------------------------------------------------------------------------------------------


class Tokens:
    """Always signed in."""

    def token(self, resource: str) -> str:
        return resource

    def renew(self, resource: str, rejected: str | None = None) -> str:
        return rejected or resource


class Connections:
    """The way from a worker to the organization that is behind the address just now."""

    world: World

    def __init__(self, base: str, *, timeout: float, use_proxies: bool) -> None:
        del base, timeout, use_proxies

    def exchange(
        self, method: str, url: str, headers: dict[str, str], *, content: bytes | None = None, json: object = None
    ) -> httpx.Response:
        assert json is None
        world = self.world
        path = url.partition("?")[0]

        def perform() -> httpx.Response:
            return world.answer(method, path, headers, content)

        response: httpx.Response = world.call("dataverse", perform, writes=method != "GET")
        response.elapsed = timedelta(seconds=0.1)
        response.request = httpx.Request(method, "https://contoso.crm.dynamics.com")
        return response

    def close(self) -> None:
        """Nothing is open."""


class SimulatedThrottling(Throttling):
    """The real one, but for its clock."""

    def __init__(self, world: World, clock: SimulatedClock, worker: str) -> None:
        self._world, self._clock, self._worker = world, clock, worker

    def of(self, host: str, user: str) -> Workers:
        service: Any = Service(self._world, self._clock)  # type: ignore[arg-type]
        partition = f"{host}|{user}".replace(".", "-")
        return Workers(service, self._clock, partition, self._worker, ticks=self._world.ticks)


class SimulatedOrganizations(Organizations):
    """The real ones, but for signing in, waiting and connecting."""

    def __init__(self, world: World, settings: Any, throttling: Throttling) -> None:
        super().__init__(settings, throttling, clock=world.ticks)
        self._world = world

    def _client(self, url: str, credentials: Any) -> Client:
        del credentials
        world = self._world
        others = self._throttling.of("contoso", "user") if self._throttling else None
        return Client(
            url, tokens=Tokens(), timeout=self._settings.dataverse_timeout_seconds,
            limiter=Limiter(others=others, clock=world.ticks, sleep=world.sleep),
            patience=Patience(clock=world.ticks, sleep=world.sleep, draw=lambda: 0.5),
        )  # fmt: skip


def refused() -> TransientError:
    return TransientError("The service did not answer.")


@lru_cache(maxsize=10_000)
def creates(delta: bytes) -> bool:
    """Whether a delta has rows that are new."""
    return "create" in parquet.read_table(pa.BufferReader(delta), columns=["op"])["op"].to_pylist()
