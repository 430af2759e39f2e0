"""What happens to a worker again and again: at each message of a day, and not at one moment of it as a Fate."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any

from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import RequestsTransport

from shared.errors import HydrationError
from shared.runs.messages import ChunkMessage, TableMessage
from shared.services import Services
from tests.support.fates import Fate
from tests.support.workers import Letter, Workshop

PLACES = ((1, False), (2, True), (1, True), (2, False))
"""Before or after which write to a table a worker stalls: it claims, and says how far its first call may reach."""
TEN_MINUTES = timedelta(minutes=10)


def asks_for(letter: Letter) -> str:
    """What a letter asks for: a step, a chunk, or that somebody looks at the lake."""
    if isinstance(letter.message, TableMessage):
        return str(letter.message.step)
    return "chunk" if isinstance(letter.message, ChunkMessage) else "look"


class Stall(Fate):
    """Held up at its n-th write to a table since it was `armed`; what it asks of Dataverse after that is noted."""

    def __init__(self) -> None:
        super().__init__(held_up=True, of="Hydration")
        self.late: list[str] = []

    def arm(self, point: int, *, after: bool) -> None:
        """From here on its writes count."""
        self.point, self.after, self.calls, self.late = point, after, [], []
        self.reached, self.released = threading.Event(), threading.Event()

    def _watched(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        if not name.startswith("dataverse"):
            return super()._watched(method, name)

        def request(*given: Any, before: Callable[[], None] | None = None, **named: Any) -> Any:
            def right_before() -> None:
                if before:
                    before()
                if self.reached.is_set():
                    self.late.append(" ".join(map(str, given[:2])))

            return method(*given, before=right_before, **named)

        return request


@dataclass
class TwoAtEach:
    """Each message goes to two workers: one stalls for ten minutes amid it, the other one does the work meanwhile."""

    workshop: Workshop
    threads: ThreadPoolExecutor
    stalled: list[str] = field(default_factory=list)  # what was asked for of those who stalled, and where they did
    late: dict[str, list[str]] = field(default_factory=dict)  # what they asked of Dataverse when they went on

    def __post_init__(self) -> None:
        self._stall, self._messages = Stall(), count()
        self._slow = self.workshop.worker(self._stall)

    def handle(self, letter: Letter, services: Services) -> None:
        """Deliver a letter to both."""
        point, after = PLACES[next(self._messages) % len(PLACES)]
        self._stall.arm(point, after=after)
        work = self.threads.submit(letter.deliver, self._slow)
        while not self._stall.reached.wait(0.002) and not work.done():
            pass
        try:
            if self._stall.reached.is_set():
                self.stalled.append(f"{asks_for(letter)} {'after' if after else 'before'}")
                self.workshop.clock.turned += TEN_MINUTES
                letter.deliver(services)
        finally:
            self._stall.released.set()
            work.result(timeout=60)
        self.late.setdefault(asks_for(letter), []).extend(self._stall.late)


class Refusing(Fate):
    """Of the services that are `away` no call is answered, not even one that only reads, from the n-th on."""

    def __init__(self) -> None:
        super().__init__()
        self.away, self.left, self.refused = "", 0, 0

    def of_services(self, services: Services) -> Services:
        """The same worker; its reads are refused too."""
        store = services.store
        for table in (store._runs, store._tasks, store._chunks, store._state):
            self.watch(table._client, table._client.table_name, "get_entity", "query_entities")
        self.watch(services.blobs._container, "blobs", "download_blob")
        return services

    def _watched(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            if self.away and self.away in name:
                self.left -= 1
                if self.left < 0:
                    self.refused += 1
                    raise ServiceRequestError("refused")
            return method(*given, **named)

        return call


class Unanswered(Fate):
    """Every guarded write to a table is carried out, and none is answered."""

    def _watched(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            answer = method(*given, **named)
            upserts = name.endswith("submit_transaction") and given[0][0][0] == "upsert"
            if upserts or name.endswith("upsert_entity") or not name.startswith("Hydration"):
                return answer
            self.calls.append(name)
            raise ServiceResponseError("the connection was reset")

        return call


class Losing(RequestsTransport):  # type: ignore[misc]
    """A connection on which the answers to the next `lost` writes never come; `between` happens meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.lost, self.carries_out, self.reads = 0, True, 0
        self.error: Callable[[], Exception] | int = lambda: ServiceResponseError("the connection was reset")
        self.between: Callable[[], object] = lambda: None

    def send(self, request: Any, **options: Any) -> Any:
        reads = request.method == "GET"
        self.reads += reads
        if reads or not self.lost:
            return super().send(request, **options)
        self.lost -= 1
        response = super().send(request, **options) if self.carries_out else None
        self.between()
        if isinstance(self.error, int) and response is not None:
            response.status_code = self.error
            return response
        raise self.error() if callable(self.error) else ServiceRequestError("refused")


def refused_or_done(letter: Letter, services: Services) -> bool:
    """Deliver a letter. False: it failed, and is delivered again."""
    try:
        letter.deliver(services)
    except HydrationError:
        return False
    return True
