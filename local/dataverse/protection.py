"""Service protection: what one user may ask of one web server, and how long whoever asked for more has to wait.

What the documents say
    Each web server counts for itself, each user apart. Within a sliding window of 300 seconds a user has 6,000
    requests (0x80072322) and 1,200 seconds of execution (0x80072321); more than 52 requests at once are refused
    immediately (0x80072326). A refusal says in Retry-After how long no request of this user is taken. It is longer the
    more demanding the requests of the last window were, and longer still for whoever goes on sending.

What they leave open, and what is chosen here (the stricter reading)
    - Retry-After is the time until enough of the window has passed for one more request, rounded up to whole steps.
      Of several limits that are exceeded, the one with the longest wait answers.
    - Until then *every* request is refused, with that limit's code and what is left of the wait.
    - A request that comes within the grace after the first refusal was under way already: it changes nothing.
    - One that comes later pushes on. The wait begins anew and doubles, to `longest` at most, once for each grace (those
      sent together with it are not held against their user one by one). It is counted in the window.
    - A refusal for concurrency holds everything back as well, for a sixtieth of the window (5 of 300 seconds).
    - Limits act at once and not only after a whole first window.
    - Execution is known when it ends: it counts from then on, so what is under way can exceed the limit.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

REQUESTS, EXECUTION, CONCURRENCY = "0x80072322", "0x80072321", "0x80072326"
GROWTH = 2.0
CONCURRENCY_SHARE = 1 / 60
_NOISE = 1e-9


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a user has on a web server. Times are in seconds; None is no limit.

    `grace`: after a first refusal, how long further arrivals count as under way already. `longest`: to which pushing on
    lengthens Retry-After at most (a window that takes longer to have room again stands). `resolution`: Retry-After is
    rounded up to whole steps of it.
    """

    window: float = 300.0
    requests: int | None = 6000
    execution: float | None = 1200.0
    concurrent: int | None = 52
    grace: float = 2.0
    longest: float = 600.0
    resolution: float = 1.0


UNLIMITED = Limits(requests=None, execution=None, concurrent=None)


def text(code: str, limits: Limits) -> str:
    """Return what a refusal says (documented), with the limits that are in force."""
    if code == REQUESTS:
        return (
            f"Number of requests exceeded the limit of {limits.requests} over time window of {limits.window:g} seconds."
        )
    if code == CONCURRENCY:
        return f"Number of concurrent requests exceeded the limit of {limits.concurrent}."
    return (
        f"Combined execution time of incoming requests exceeded limit of {(limits.execution or 0) * 1000:,.0f} "
        f"milliseconds over time window of {limits.window:g} seconds. Decrease number of concurrent requests or reduce "
        "the duration of requests and try again later."
    )


@dataclass(frozen=True)
class Refusal:
    """Why and for how long. `early`: sent while a Retry-After was in force, and past the grace."""

    code: str
    retry_after: float
    early: bool = False


@dataclass
class _Hold:
    """A Retry-After in force: from the first refusal (`since`) to `until`; `length` is what pushing on doubles."""

    code: str
    since: float
    until: float
    length: float
    lengthened: float = -math.inf


@dataclass
class _Use:
    """What one user has used of one web server in the window that ends now."""

    arrivals: deque[float] = field(default_factory=deque)
    executions: deque[tuple[float, float]] = field(default_factory=deque)
    execution: float = 0.0
    under_way: int = 0
    hold: _Hold | None = None

    def slide(self, start: float) -> None:
        """Forget what was before the window."""
        while self.arrivals and self.arrivals[0] <= start:
            self.arrivals.popleft()
        while self.executions and self.executions[0][0] <= start:
            self.execution -= self.executions.popleft()[1]
        if not self.executions:
            self.execution = 0.0  # what adding and taking away leaves behind


class Protection:
    """The rules above. Times are seconds of any clock that does not run backwards; the caller gives them."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._uses: dict[tuple[str, int], _Use] = {}

    def arrive(self, user: str, server: int, now: float) -> Refusal | None:
        """Take a request, None: it is under way until `finish`. Otherwise why it is refused."""
        use = self._use(user, server, now)
        if use.hold is not None and now < use.hold.until - _NOISE:
            return self._held(use, use.hold, now)
        waits = self._waits(use, now)
        if waits:
            wait, code = max(waits)
            wait = self._rounded(wait)
            use.hold = _Hold(code, now, now + wait, wait)
            return Refusal(code, wait)
        self._count(use, now)
        use.under_way += 1
        return None

    def finish(self, user: str, server: int, now: float, seconds: float) -> None:
        """Note the end of a request that was taken, and how long it executed."""
        use = self._use(user, server, now)
        use.under_way -= 1
        if self.limits.execution is not None:
            use.executions.append((now, seconds))
            use.execution += seconds

    def remaining(self, user: str, server: int, now: float) -> tuple[int | None, float | None]:
        """Return the requests and the seconds of execution that are left in the window."""
        use, limits = self._use(user, server, now), self.limits
        requests = None if limits.requests is None else max(0, limits.requests - len(use.arrivals))
        execution = None if limits.execution is None else max(0.0, limits.execution - use.execution)
        return requests, execution

    def under_way(self, user: str, server: int) -> int:
        """Return how many requests of a user are under way on a server."""
        use = self._uses.get((user, server))
        return use.under_way if use else 0

    def _count(self, use: _Use, now: float) -> None:
        if self.limits.requests is not None:
            use.arrivals.append(now)

    def _held(self, use: _Use, hold: _Hold, now: float) -> Refusal:
        early = now > hold.since + self.limits.grace
        if early:
            self._count(use, now)
            if now >= hold.lengthened + self.limits.grace:
                self._lengthen(use, hold, now)
        return Refusal(hold.code, self._rounded(hold.until - now), early)

    def _lengthen(self, use: _Use, hold: _Hold, now: float) -> None:
        doubled = min(hold.length * GROWTH, self.limits.longest)
        room = max((wait for wait, _ in self._waits(use, now)), default=0.0)
        hold.length = self._rounded(max(hold.length, doubled, room))
        hold.until = now + hold.length
        hold.lengthened = now

    def _waits(self, use: _Use, now: float) -> list[tuple[float, str]]:
        """Return the limits that have no room for one more, each with the seconds until it has."""
        limits, found = self.limits, []
        if limits.requests is not None and (excess := len(use.arrivals) - limits.requests) >= 0:
            # A limit of 0 never has room: a whole window, again and again.
            leaves = use.arrivals[excess] if excess < len(use.arrivals) else now
            found.append((leaves + limits.window - now, REQUESTS))
        if limits.execution is not None and use.execution >= limits.execution:
            found.append((self._until_executed(use, limits.execution) + limits.window - now, EXECUTION))
        if limits.concurrent is not None and use.under_way >= limits.concurrent:
            found.append((limits.window * CONCURRENCY_SHARE, CONCURRENCY))
        return found

    def _until_executed(self, use: _Use, limit: float) -> float:
        """Return when that execution ended which has to leave the window for the sum to be below the limit."""
        left = use.execution
        for ended, seconds in use.executions:
            left -= seconds
            if left < limit:
                return ended
        return use.executions[-1][0] if use.executions else 0.0

    def _rounded(self, seconds: float) -> float:
        """Return the seconds in whole steps, one at least."""
        step = self.limits.resolution
        return max(1, math.ceil(seconds / step - _NOISE)) * step

    def _use(self, user: str, server: int, now: float) -> _Use:
        use = self._uses.get((user, server))
        if use is None:
            use = self._uses[user, server] = _Use()
        use.slide(now - self.limits.window)
        return use
