"""Who sends to the virtual Dataverse: our pace and sizing, a naive client, and Microsoft's SDK as it is commonly used.

`measure` is the whole experiment; its figures are what the benchmarks report.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from shared.dataverse.pace import REQUESTS, Pace
from shared.dataverse.sizing import Sizing
from tests.support.virtual_dataverse import LARGEST_CALL, Reply, Spread, VirtualDataverse, World, draw

NAIVE_AT_ONCE = 52
LAG_SECONDS = 1.0
"""How old may be what a worker knows of the others' holds."""
WRITE_SECONDS = 0.03
"""How long it takes until others can read a hold."""

Kind = Literal["ours", "naive", "sdk"]


@dataclass(frozen=True)
class Figures:
    """What became of a seed. `share` is of the rows that the limits permit to all users together."""

    seed: int
    share: float
    rows: float
    permitted: float
    requests: int
    refused: int
    early: int


class Board:
    """The hold that workers of one user share."""

    def __init__(self) -> None:
        self.until = 0.0

    def write(self, until: float) -> None:
        self.until = max(self.until, until)


class Paced:
    """A worker of ours, with more rows to write than time; `rows` a call, or as many as its sizing finds."""

    def __init__(self, service: VirtualDataverse, user: str, board: Board, share: int, rows: int | None = None) -> None:
        self.pace = Pace(service.now, workers=share, window=service.world.limits.window)
        self._service, self._user, self._board = service, user, board
        self._sizing = Sizing() if rows is None else Sizing(rows, most=rows, seconds=math.inf)
        self._looked_at = -LAG_SECONDS
        self._wakes_at = 0.0
        self.pace.take()
        service.send(user, 0, self._introduced)  # WhoAmI

    def _introduced(self, reply: Reply) -> None:
        self.pace.advise(self._service.now, self._service.world.hint)
        self._answered(reply)

    def _send(self) -> None:
        now = self._service.now
        while self.pace.take():
            self._look(now)
            wait = self.pace.go(now)
            if wait > 0:
                self.pace.release()
                self._wake(now + wait)
                return
            self._service.send(self._user, self._sizing.rows(), self._answered)

    def _wake(self, when: float) -> None:
        if self._wakes_at != when:
            self._wakes_at = when
            self._service.at(when, self._send)

    def _look(self, now: float) -> None:
        if now - self._looked_at >= LAG_SECONDS:
            self._looked_at = now
            self.pace.hold(now, self._board.until)

    def _answered(self, reply: Reply) -> None:
        now = self._service.now
        self.pace.release()
        if reply.refusal is None:
            if reply.rows:
                self._sizing.answered(reply.rows, reply.seconds)
            self.pace.answered(now, reply.sent_at, reply.seconds, reply.rows)
        else:
            if reply.refusal.code == REQUESTS:
                self._sizing.fewer_requests()
            self.pace.throttled(now, reply.sent_at, reply.refusal.retry_after, reply.refusal.code)
            self._service.at(now + WRITE_SECONDS, self._board.write, now + reply.refusal.retry_after)
        self._send()


def share_of_hint(world: World, *, rows: int | None = None, workers: int = 1) -> float:
    """How much of the recommended parallelism our workers may use on average; more than it counts as all of it."""
    service = VirtualDataverse(world)
    board = Board()
    senders = [Paced(service, "user", board, workers, rows) for _ in range(workers)]
    seen: list[float] = []

    def look() -> None:
        seen.append(min(1.0, sum(sender.pace.at_once for sender in senders) / world.hint))
        service.at(service.now + 1.0, look)

    look()
    service.run()
    return sum(seen) / len(seen)


class Stubborn:
    """A fixed number of threads that send 1,000 rows a call, again and again.

    `waits`: each thread waits for the Retry-After that it was told itself; otherwise it sends again at once.
    """

    def __init__(self, service: VirtualDataverse, user: str, threads: int, *, waits: bool) -> None:
        self._service, self._user, self._waits = service, user, waits
        for _ in range(threads):
            self._send()

    def _send(self) -> None:
        self._service.send(self._user, LARGEST_CALL, self._answered)

    def _answered(self, reply: Reply) -> None:
        pause = reply.refusal.retry_after if reply.refusal is not None and self._waits else 0.0
        self._service.at(self._service.now + pause, self._send)


def measure(
    seed: int,
    kind: Kind = "ours",
    *,
    users: int = 1,
    workers: int = 1,
    spread: Spread | None = None,
    cores_for: int = 0,
    lasts: float = 600.0,
) -> Figures:
    """Ten virtual minutes in the world of a seed. `workers` of each of the users; `cores_for` so many users.

    "naive" has 52 requests under way and repeats at once what was refused. "sdk" is Microsoft's SDK in as many threads
    as the hint says: it refuses to cut calls or to wait, so each thread sends 1,000 rows and waits for its own
    Retry-After before it repeats, which is more than the SDK does by itself.
    """
    world = replace(draw(seed, users=cores_for or users, spread=spread), lasts=lasts)
    service = VirtualDataverse(world)
    names = [f"user {number}" for number in range(users)]
    for name in names:
        _sender(kind, service, name, workers, users)()
    service.run()
    rows = sum(service.rows(name) for name in names)
    permitted = world.permitted * users
    refused = service.refused.total()
    return Figures(seed, rows / permitted, rows, permitted, service.requests, refused, service.early)


def _sender(kind: Kind, service: VirtualDataverse, user: str, workers: int, users: int) -> Callable[[], object]:
    world: World = service.world
    board = Board()
    senders: dict[Kind, Callable[[], object]] = {
        "ours": lambda: [Paced(service, user, board, workers * users) for _ in range(workers)],
        "naive": lambda: Stubborn(service, user, NAIVE_AT_ONCE, waits=False),
        "sdk": lambda: Stubborn(service, user, min(NAIVE_AT_ONCE, world.hint), waits=True),
    }
    return senders[kind]
