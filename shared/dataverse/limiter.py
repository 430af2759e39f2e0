"""The pace of one application user for the threads of a process: the lock, the clock and the waiting around `Pace`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from shared.dataverse.pace import DEFAULT_AT_ONCE, MOST_AT_ONCE, WINDOW, Pace
from shared.errors import ThrottledError

__all__ = ["MOST_AT_ONCE", "Limiter", "News", "Others", "Slot"]


@dataclass(frozen=True)
class News:
    """What is new from other workers: seconds for which nothing may be sent, and how many workers send now."""

    hold_seconds: float = 0.0
    workers: int | None = None


class Others(Protocol):
    """The other workers of the same application user: shared.throttling. Neither method raises or takes long."""

    def tell(self, seconds: float) -> None:
        """Nothing may be sent for so long."""
        ...

    def hear(self) -> News | None:
        """What is new; asked before every request."""
        ...


@dataclass
class Slot:
    """The right to send one request; taken at `since`, in seconds of the limiter's clock."""

    limiter: Limiter
    since: float

    def hold_seconds(self) -> float:
        """Seconds until anything may be sent: look again right before sending."""
        return self.limiter.hold_seconds()

    def wait(self) -> None:
        """Return when Retry-After has passed. Raises ThrottledError if that takes too long."""
        self.limiter.wait_out_hold()

    def sent(self) -> None:
        """Note that the request goes out now."""
        self.since = self.limiter.clock()

    def answered(self, seconds: float, rows: int = 0, kind: str = "") -> None:
        """Note an answer that does not ask to slow down: how long the exchange took, and how many rows of what."""
        self.limiter.note_answer(self.since, seconds, rows, kind)

    def throttled(self, retry_after: float | None, code: str = "") -> float:
        """Note a 429; returns the seconds to wait."""
        return self.limiter.note_throttled(self.since, retry_after, code)


class Limiter:
    """One for each application user in the process, shared by its threads.

    `wait_seconds` is the longest wait for Retry-After, `slot_seconds` for a free slot; a longer one raises
    ThrottledError, so that the caller hands its work back to the queue. `users` is how many application users of this
    app share what Dataverse recommends; `window` the seconds of Dataverse's sliding window.
    """

    def __init__(
        self,
        start: int = DEFAULT_AT_ONCE,
        *,
        ceiling: int = MOST_AT_ONCE,
        users: int = 1,
        wait_seconds: float = 20.0,
        slot_seconds: float = 60.0,
        window: float = WINDOW,
        others: Others | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.clock = clock
        self._sleep = sleep
        self._wait_seconds = wait_seconds
        self._slot_seconds = slot_seconds
        self._others = others
        self._users = users
        self._pace = Pace(clock(), start=start, ceiling=ceiling, workers=users, window=window)
        self._waiting = 0
        self._free = threading.Condition()

    @property
    def at_once(self) -> int:
        """Requests that may be under way at the same time."""
        return self._pace.at_once

    @property
    def spare(self) -> int:
        """Requests that could be sent at once; negative: so many wait for their turn."""
        with self._free:
            return self._pace.at_once - self._pace.under_way - self._waiting

    def advise(self, dop_hint: int, *, workers: int | None = None) -> None:
        """Start from `x-ms-dop-hint`, split between the live workers of this user. Only the first advice counts."""
        with self._free:
            if workers is not None:
                self._pace.share(self.clock(), workers * self._users)
            self._pace.advise(self.clock(), dop_hint)
            self._free.notify_all()

    def hold(self, seconds: float) -> None:
        """Send nothing for so many seconds from now on, as another worker of this user was told."""
        with self._free:
            now = self.clock()
            self._pace.hold(now, now + seconds)

    def hold_seconds(self) -> float:
        """Seconds until anything may be sent; 0 when nothing holds."""
        with self._free:
            return max(0.0, self._pace.not_before - self.clock())

    @contextmanager
    def slot(self) -> Iterator[Slot]:
        """The right to send one request, once one is free. Raises ThrottledError if that takes too long."""
        self._take()
        try:
            yield Slot(self, self.clock())
        finally:
            with self._free:
                self._pace.release()
                self._free.notify()

    def wait_out_hold(self) -> None:
        """Return when nothing holds. Raises ThrottledError, without waiting, if that is too far off."""
        self._listen()
        while (seconds := self._go()) > 0:
            if seconds > self._wait_seconds:
                raise ThrottledError(f"Dataverse asked to send nothing for {seconds:.0f} seconds.", seconds)
            self._sleep(seconds)
            self._listen()

    def note_answer(self, sent_at: float, seconds: float, rows: int = 0, kind: str = "") -> None:
        """Note an answer that is no 429 to a request that went out at `sent_at`, by this limiter's clock."""
        with self._free:
            before = self._pace.at_once
            self._pace.answered(self.clock(), sent_at, seconds, rows, kind)
            if self._pace.at_once > before:
                self._free.notify(self._pace.at_once - before)

    def note_throttled(self, sent_at: float, retry_after: float | None, code: str = "") -> float:
        """Halve, once for all requests that were under way together, and hold everything. Returns the wait."""
        with self._free:
            seconds = self._pace.throttled(self.clock(), sent_at, retry_after, code)
        if self._others is not None:
            self._others.tell(seconds)
        return seconds

    def _go(self) -> float:
        with self._free:
            return self._pace.go(self.clock())

    def _listen(self) -> None:
        news = self._others.hear() if self._others is not None else None
        if news is None:
            return
        if news.hold_seconds > 0:
            self.hold(news.hold_seconds)
        if news.workers is not None:
            with self._free:
                self._pace.share(self.clock(), news.workers * self._users)
                self._free.notify_all()

    def _take(self) -> None:
        with self._free:
            self._waiting += 1
            try:
                taken = self._free.wait_for(self._pace.take, timeout=self._slot_seconds)
            finally:
                self._waiting -= 1
        if not taken:
            message = "All requests that the application user may send at once are under way."
            raise ThrottledError(message, self._slot_seconds)
