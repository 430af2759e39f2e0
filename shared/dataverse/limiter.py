"""How many requests of one application user go out at once, and not before when.

Dataverse limits each user on each web server to 6,000 requests, 1,200 seconds of execution and 52 requests at once in
five minutes, and lengthens Retry-After for those who push on. So: start at the degree of parallelism that it
recommends, halve when told to slow down, grow slowly, and send nothing at all before Retry-After.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from shared.errors import ThrottledError

MOST_AT_ONCE = 52
_DEFAULT_AT_ONCE = 4
_GROWTH_SECONDS = 15.0
_DEFAULT_RETRY_AFTER = 5.0


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

    def succeeded(self) -> None:
        """Note an answer that does not ask to slow down."""
        self.limiter.note_success()

    def throttled(self, retry_after: float | None) -> float:
        """Note a 429; returns the seconds to wait."""
        return self.limiter.note_throttled(self.since, retry_after)


class Limiter:
    """One for each application user in the process, shared by its threads.

    `wait_seconds` is the longest wait for Retry-After, `slot_seconds` for a free slot; a longer one raises
    ThrottledError, so that the caller hands its work back to the queue. `on_hold(seconds)` is told of every
    Retry-After, to share it with other workers; what they report comes in by `hold(seconds)`.
    """

    def __init__(
        self,
        start: int = _DEFAULT_AT_ONCE,
        *,
        ceiling: int = MOST_AT_ONCE,
        wait_seconds: float = 20.0,
        slot_seconds: float = 60.0,
        on_hold: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.clock = clock
        self.on_hold = on_hold
        self._sleep = sleep
        self._wait_seconds = wait_seconds
        self._slot_seconds = slot_seconds
        self._ceiling = max(1, min(ceiling, MOST_AT_ONCE))
        self._at_once = max(1, min(start, self._ceiling))
        self._advised = False
        self._in_flight = 0
        self._not_before = clock()
        self._halved_at = clock()
        self._grown_at = clock()
        self._was_full = False
        self._free = threading.Condition()

    @property
    def at_once(self) -> int:
        """Requests that may be under way at the same time."""
        return self._at_once

    def advise(self, dop_hint: int, *, workers: int = 1) -> None:
        """Start from `x-ms-dop-hint`, split between the live workers of this user. Only the first advice counts."""
        with self._free:
            if not self._advised:
                self._advised = True
                self._at_once = max(1, min(dop_hint // max(1, workers), self._ceiling))
                self._free.notify_all()

    def hold(self, seconds: float) -> None:
        """Send nothing for so many seconds from now on, as another worker of this user was told."""
        with self._free:
            self._not_before = max(self._not_before, self.clock() + seconds)

    def hold_seconds(self) -> float:
        """Seconds until anything may be sent; 0 when nothing holds."""
        with self._free:
            return max(0.0, self._not_before - self.clock())

    @contextmanager
    def slot(self) -> Iterator[Slot]:
        """The right to send one request, once one is free. Raises ThrottledError if that takes too long."""
        self._take()
        try:
            yield Slot(self, self.clock())
        finally:
            with self._free:
                self._in_flight -= 1
                self._free.notify()

    def wait_out_hold(self) -> None:
        """Return when nothing holds. Raises ThrottledError, without waiting, if that is too far off."""
        while (seconds := self.hold_seconds()) > 0:
            if seconds > self._wait_seconds:
                raise ThrottledError(f"Dataverse asked to send nothing for {seconds:.0f} seconds.", seconds)
            self._sleep(seconds)

    def note_success(self) -> None:
        """Grow by one after a while without a 429, if the limit was what held requests back."""
        with self._free:
            now = self.clock()
            due = now - max(self._halved_at, self._grown_at) >= _GROWTH_SECONDS
            if due and self._was_full and self._at_once < self._ceiling:
                self._at_once += 1
                self._grown_at = now
                self._was_full = False
                self._free.notify()

    def note_throttled(self, sent_at: float, retry_after: float | None) -> float:
        """Halve, once for all requests that were under way together, and hold everything. Returns the wait."""
        seconds = _DEFAULT_RETRY_AFTER if retry_after is None else retry_after
        with self._free:
            now = self.clock()
            self._not_before = max(self._not_before, now + seconds)
            if sent_at >= self._halved_at:
                self._at_once = max(1, self._at_once // 2)
                self._halved_at = now
                self._was_full = False
        if self.on_hold is not None:
            self.on_hold(seconds)
        return seconds

    def _take(self) -> None:
        with self._free:
            if self._in_flight + 1 >= self._at_once:
                self._was_full = True
            if not self._free.wait_for(lambda: self._in_flight < self._at_once, timeout=self._slot_seconds):
                message = "All requests that the application user may send at once are under way."
                raise ThrottledError(message, self._slot_seconds)
            self._in_flight += 1
