"""Dataverse under service protection in virtual time: the local Dataverse's own rules, without sockets and sleep.

A *world* is drawn by seed; who sends knows nothing of it but the hint. Drawn are, per user and web server:

- the limits: requests from a fifteenth of the documented 6,000 to half as many again (evenly on a logarithmic scale),
  execution from half to one and a half times 1,200 seconds, concurrency from a third to one and a quarter times 52;
- the grace, half a second to five seconds beyond the latency (a shorter one nobody could keep);
- one to eight web servers, with so many cores that a user at its limit of execution takes a quarter to four fifths of
  them: that is what the limits are for; the hint is their number, wrong by up to a factor of two either way;
- the price: 10 to 60 ms a request, 1 to 20 ms a row, up to 30% more or less by chance; latency 20 to 200 ms;
- how requests spread over the servers: in turn, or to the server with the fewest under way.

`spread="random"` spreads them by chance instead. Then some server is always ahead of the others; as its Retry-After
stops all requests of the user, nobody can use up what the others permit: it is reported apart.

What the limits permit (`World.permitted`) is computed knowing all of this: calls of 1,000 rows, never stretched by
others, not one second or request of any window on any server left over, requests placed on the right server by hand.
A `Wave` makes everything slower now and then, whatever is under way: other users' load, backups.

Rows count when they are written; what a server took beyond its limit of execution (it is known only when a request
ends) does not count, per server and window: more on one does not make up for less on another.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from local.dataverse.protection import UNLIMITED, Limits, Protection, Refusal
from local.dataverse.timing import Costs

LARGEST_CALL = 1_000
Spread = Literal["turn", "least", "random"]


@dataclass(frozen=True)
class Wave:
    """Every `every` seconds everything takes `factor` times as long for `lasts` seconds."""

    factor: float
    lasts: float
    every: float

    def at(self, now: float) -> float:
        """How many times as long it takes then."""
        return self.factor if now % self.every < self.lasts else 1.0


CALM = Wave(1.0, 0.0, 1.0)


@dataclass(frozen=True)
class World:
    """What a seed stands for. Times are in seconds; `lasts` is how long the experiment goes on."""

    seed: int
    limits: Limits
    costs: Costs
    servers: int
    latency: float
    hint: int
    spread: Spread
    lasts: float = 600.0
    wave: Wave = CALM

    @property
    def permitted(self) -> float:
        """The rows that one user may write, by an oracle that knows everything."""
        limits, costs = self.limits, self.costs
        call = costs.request + LARGEST_CALL * costs.row
        windows = self.lasts / limits.window
        bounds = [
            costs.cores * self.lasts / call,
            math.inf if limits.requests is None else limits.requests * windows,
            math.inf if limits.execution is None else limits.execution * windows / call,
            math.inf if limits.concurrent is None else limits.concurrent * self.lasts / (call + self.latency),
        ]
        return LARGEST_CALL * self.servers * min(bounds)


def draw(seed: int, *, users: int = 1, spread: Spread | None = None) -> World:
    """The world of a seed; with several users there are cores for all of them."""
    chance = random.Random(f"world {seed}")  # noqa: S311  reproducible
    servers = chance.choice((1, 1, 2, 2, 3, 4, 6, 8))
    execution = 1200 * chance.uniform(0.5, 1.5)
    cores = max(2, math.ceil(users * execution / 300 * chance.uniform(1.25, 4)))
    latency = chance.uniform(0.02, 0.2)
    limits = Limits(
        requests=round(6000 * _between(chance, 1 / 15, 1.5)),
        execution=execution,
        concurrent=round(52 * _between(chance, 1 / 3, 1.25)),
        grace=latency + chance.uniform(0.5, 5.0),
    )
    costs = Costs(
        request=chance.uniform(0.01, 0.06),
        row=_between(chance, 0.001, 0.02),
        cores=cores,
        jitter=chance.uniform(0.0, 0.3),
    )
    hint = max(1, round(cores * servers * _between(chance, 0.5, 2.0)))
    spreads: tuple[Spread, ...] = ("turn", "least")
    drawn = chance.choice(spreads)
    return World(seed, limits, costs, servers, latency, hint, spread or drawn)


def unlimited(wave: Wave, *, hint: int = 20, seed: int = 0) -> World:
    """A world that refuses nothing and has cores for twice the hint: its speed is not what the user makes of it."""
    costs = Costs(request=0.03, row=0.005, cores=2 * hint, jitter=0.2)
    return World(seed, UNLIMITED, costs, 1, 0.05, hint, "turn", lasts=1800.0, wave=wave)


def _between(chance: random.Random, low: float, high: float) -> float:
    """A number between the two, evenly on a logarithmic scale."""
    return math.exp(chance.uniform(math.log(low), math.log(high)))


@dataclass(frozen=True)
class Reply:
    """What comes back: a refusal or the end of the work; `seconds` is what the exchange took."""

    sent_at: float
    seconds: float
    rows: int
    refusal: Refusal | None


class VirtualDataverse:
    """One organization in virtual time. `at` plans something, `run` lets the time of the world pass."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.now = 0.0
        self.refused: Counter[str] = Counter()
        self.early = 0
        self.requests = 0
        self._protection = Protection(world.limits)
        self._under_way = [0] * world.servers
        self._written: dict[tuple[str, int, int], tuple[int, float]] = {}
        self._chance = random.Random(f"run {world.seed}")  # noqa: S311  reproducible
        self._turn = itertools.count()
        self._plan: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = itertools.count()

    def at(self, when: float, what: Callable[..., None], *arguments: Any) -> None:
        """Call something at a time."""
        heapq.heappush(self._plan, (when, next(self._order), what, arguments))

    def run(self) -> None:
        """Let everything happen that happens while the experiment lasts."""
        while self._plan and self._plan[0][0] <= self.world.lasts:
            self.now, _, what, arguments = heapq.heappop(self._plan)
            what(*arguments)

    def send(self, user: str, rows: int, answer: Callable[[Reply], None]) -> None:
        """A request of a user that writes rows; `answer` is called when the reply is there."""
        self.requests += 1
        self.at(self.now + self.world.latency / 2, self._arrive, user, rows, answer, self.now)

    def rows(self, user: str) -> float:
        """The rows written for a user, without what a server took beyond its limit of execution."""
        limit = self.world.limits.execution or math.inf
        return sum(
            rows * min(1.0, limit / seconds) for (one, _, _), (rows, seconds) in self._written.items() if one == user
        )

    def _arrive(self, user: str, rows: int, answer: Callable[[Reply], None], sent_at: float) -> None:
        server = self._server()
        refusal = self._protection.arrive(user, server, self.now)
        if refusal is not None:
            self.refused[refusal.code] += 1
            self.early += refusal.early
            self._reply(rows, answer, sent_at, refusal)
            return
        self._under_way[server] += 1
        seconds = self.world.costs.seconds(rows, 0, self._under_way[server], self._chance.random())
        seconds *= self.world.wave.at(self.now)
        self.at(self.now + seconds, self._finish, (user, server), rows, seconds)
        self.at(self.now + seconds, self._reply, rows, answer, sent_at, None)

    def _finish(self, place: tuple[str, int], rows: int, seconds: float) -> None:
        user, server = place
        self._under_way[server] -= 1
        self._protection.finish(user, server, self.now, seconds)
        window = user, server, int(self.now // self.world.limits.window)
        before, spent = self._written.get(window, (0, 0.0))
        self._written[window] = before + rows, spent + seconds

    def _reply(self, rows: int, answer: Callable[[Reply], None], sent_at: float, refusal: Refusal | None) -> None:
        arrives = self.now + self.world.latency / 2
        self.at(arrives, answer, Reply(sent_at, arrives - sent_at, rows, refusal))

    def _server(self) -> int:
        if self.world.spread == "turn":
            return next(self._turn) % self.world.servers
        if self.world.spread == "random":
            return self._chance.randrange(self.world.servers)
        fewest = min(self._under_way)
        return self._chance.choice([server for server, busy in enumerate(self._under_way) if busy == fewest])
