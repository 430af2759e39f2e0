"""Workers and their calls. Only one that is held up has a thread of its own, and waits there for the baton."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from shared.services import Services
from tests.simulation.parts import SimulatedClock


class BrokenPromise(BaseException):
    """An invariant does not hold."""


class KilledError(BaseException):
    """The worker's process is gone: nothing of it runs any more."""


@dataclass(frozen=True)
class Fate:
    """What happens to a worker at its n-th call, and how often. `kind`: of its writes to that service alone."""

    what: str
    at: int
    many: int = 1
    kind: str = ""


@dataclass
class Worker:
    """A process. `known`: until when it was told to send nothing."""

    name: str
    services: Services
    clock: SimulatedClock
    told_until: datetime | None = None


@dataclass
class Delivery:
    """A call of a handler in a worker."""

    worker: Worker
    fate: Fate | None
    task: str = ""
    calls: int = 0
    writes: Counter[str] = field(default_factory=Counter)  # by kind
    after_stop: int = 0  # requests that it sent after its run was stopped
    dead: bool = False
    strand: Strand | None = None
    stood_still: bool = False


class Strand:
    """A call that may be held up, in a thread of its own. Only who has the baton runs."""

    def __init__(self, work: Callable[[], str]) -> None:
        self._work, self._mine, self._main = work, threading.Semaphore(0), threading.Semaphore(0)
        self._outcome, self._fault = "", None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> str:
        self._thread.start()
        return self._wait()

    def resume(self) -> str:
        self._mine.release()
        return self._wait()

    def hold(self) -> None:
        """Called by the work itself: the others run."""
        self._outcome = "held"
        self._main.release()
        self._mine.acquire()

    def _wait(self) -> str:
        self._main.acquire()
        if self._outcome != "held":
            self._thread.join()
        if self._fault is not None:
            raise self._fault
        return self._outcome

    def _run(self) -> None:
        try:
            self._outcome = self._work()
        except BaseException as fault:  # noqa: BLE001  it is raised where the baton is
            self._outcome, self._fault = "failed", fault  # type: ignore[assignment]
        self._main.release()


def fate_of(delivery: Delivery, kind: str, *, writes: bool) -> str:
    """What happens at this call."""
    delivery.calls += 1
    delivery.writes[kind] += writes
    fate = delivery.fate
    if fate is None or (fate.kind and not (writes and kind == fate.kind)):
        return ""
    number = delivery.writes[kind] if fate.kind else delivery.calls
    return fate.what if fate.at <= number < fate.at + fate.many else ""
