"""An organization's web servers: which one takes a request, whether its limits allow it, and what each has done.

Azure's load balancer sets the cookie ARRAffinity, and brings whoever sends it back to the same web server. Whoever does
not is spread over all of them. Each web server protects itself alone, so that a user without cookies has their limits
added up.
"""

from __future__ import annotations

import hashlib
import math
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from local.dataverse.errors import DataverseError
from local.dataverse.profiles import Profile
from local.dataverse.protection import Protection, Refusal, text

COOKIE = "ARRAffinity"
_AFFINITY = re.compile(rf"(?:^|[;,\s]){COOKIE}=([0-9a-f]{{64}})")


@dataclass
class WebServer:
    """What one web server has done since start or reset; `under_way` is now."""

    requests: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    early: int = 0
    execution: float = 0.0
    under_way: int = 0
    most_at_once: int = 0

    def report(self) -> dict[str, Any]:
        """Return it as JSON shows it. `requests` are all that came, `refused` those of them that got 429, by code."""
        return {
            "requests": self.requests,
            "refused": dict(sorted(self.refused.items())),
            "early": self.early,
            "execution_seconds": round(self.execution, 6),
            "most_at_once": self.most_at_once,
        }


@dataclass
class Caller:
    """What one user has done on all web servers together, and until when any of them told it to wait.

    `early` are the requests sent to any web server while a Retry-After was in force, past the grace; one that a test
    injected counts as well. No web server knows of another's, but a client does.
    """

    requests: int = 0
    refused: int = 0
    early: int = 0
    told: float = -math.inf
    until: float = -math.inf

    def arrive(self, now: float, grace: float) -> None:
        """Count a request."""
        self.requests += 1
        self.early += self.told + grace < now < self.until

    def wait(self, now: float, seconds: float) -> None:
        """Note a refusal that asks to wait."""
        self.refused += 1
        if now >= self.until:
            self.told = now
        self.until = max(self.until, now + seconds)


class WebServers:
    """All of an organization's; `clock` gives seconds. They can be replaced while requests are under way."""

    def __init__(self, profile: Profile, clock: Callable[[], float] = time.monotonic) -> None:
        self.profile = profile
        self.clock = clock
        self._servers = [WebServer() for _ in range(profile.servers)]
        self._callers: dict[str, Caller] = {}
        self._protection = Protection(profile.limits)
        self._random = random.Random(profile.seed)  # noqa: S311 - repeatable, not secret
        self._next = 0
        self._cookies = [hashlib.sha256(f"server {number}".encode()).hexdigest() for number in range(profile.servers)]

    def reset(self) -> None:
        """Count from nothing again. The windows of service protection stay as they are."""
        for server in self._servers:
            fresh = WebServer(under_way=server.under_way)
            server.__dict__.update(fresh.__dict__)
        for caller in self._callers.values():
            caller.requests = caller.refused = caller.early = 0

    def report(self) -> dict[str, Any]:
        """Return what each has done, and each user by client id."""
        users = {
            user: {"requests": caller.requests, "refused": caller.refused, "early": caller.early}
            for user, caller in sorted(self._callers.items())
        }
        return {"servers": [server.report() for server in self._servers], "users": users}

    def arrive(self, user: str, cookies: str) -> Visit:
        """Take a request of a user, or refuse it, on the web server that its Cookie header or chance names."""
        number, known = self._choose(cookies)
        server, now = self._servers[number], self.clock()
        server.requests += 1
        caller = self._callers.setdefault(user, Caller())
        caller.arrive(now, self.profile.limits.grace)
        refusal = self._protection.arrive(user, number, now)
        if refusal is None:
            server.under_way += 1
            server.most_at_once = max(server.most_at_once, server.under_way)
        else:
            server.refused[refusal.code] += 1
            server.early += refusal.early
            caller.wait(now, refusal.retry_after)
        cookie = None if known or len(self._servers) == 1 else self._cookies[number]
        chance = self._random.random() if self.profile.costs.jitter else 0.5
        return Visit(self, user, number, refusal, cookie, chance)

    def seconds(self, visit: Visit, rows: int, operations: int) -> float:
        """Return how long a request takes beside what is under way with it."""
        under_way = self._servers[visit.server].under_way
        return self.profile.costs.seconds(rows, operations, under_way, visit.chance)

    def finish(self, visit: Visit, seconds: float) -> None:
        """Note the end of a request that was taken, and how long it executed."""
        server = self._servers[visit.server]
        server.under_way -= 1
        server.execution += seconds
        self._protection.finish(visit.user, visit.server, self.clock(), seconds)

    def told(self, visit: Visit, seconds: float) -> None:
        """Note that an injected 429 asks a user to wait."""
        self._callers[visit.user].wait(self.clock(), seconds)

    def headers(self, visit: Visit) -> list[tuple[str, str]]:
        """Return what an answer says of parallelism and of what is left. Seconds carry a separator, as recorded."""
        found = [("x-ms-dop-hint", str(self.profile.parallelism))]
        requests, execution = self._protection.remaining(visit.user, visit.server, self.clock())
        if requests is not None:
            found.append(("x-ms-ratelimit-burst-remaining-xrm-requests", str(requests)))
        if execution is not None:
            found.append(("x-ms-ratelimit-time-remaining-xrm-requests", f"{execution:,.2f}"))
        if visit.cookie:
            found.append(("Set-Cookie", f"{COOKIE}={visit.cookie};Path=/;HttpOnly"))
        return found

    def _choose(self, cookies: str) -> tuple[int, bool]:
        """Return the number of a web server, and whether a cookie named it."""
        if cookies and (match := _AFFINITY.search(cookies)) and match[1] in self._cookies:
            return self._cookies.index(match[1]), True
        if self.profile.seed is not None:
            return self._random.randrange(len(self._servers)), False
        self._next = (self._next + 1) % len(self._servers)
        return self._next, False


@dataclass(slots=True)
class Visit:
    """One request at a web server. One that was taken is ended with `finish`, whatever becomes of it."""

    servers: WebServers
    user: str
    server: int
    refusal: Refusal | None
    cookie: str | None
    chance: float

    def error(self) -> DataverseError | None:
        """Return the 429, None for a request that was taken."""
        if self.refusal is None:
            return None
        message = text(self.refusal.code, self.servers.profile.limits)
        return DataverseError(429, self.refusal.code, message, [("Retry-After", f"{self.refusal.retry_after:g}")])

    def seconds(self, rows: int, operations: int) -> float:
        """Return how long it takes."""
        return self.servers.seconds(self, rows, operations)

    def finish(self, seconds: float) -> None:
        """End it, after so many seconds of execution."""
        self.servers.finish(self, seconds)

    def told(self, seconds: float) -> None:
        """Note that its answer is an injected 429 with this Retry-After."""
        self.servers.told(self, seconds)

    def headers(self) -> list[tuple[str, str]]:
        """Return the headers of its answer."""
        return self.servers.headers(self)
