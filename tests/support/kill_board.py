"""What the processes of a kill campaign share: a file in memory, so that nothing of it dies with a worker.

For each tenant it holds what is to be done (a landing is announced, a run is asked for) and, for each point, how many
more workers are to die there and how many did.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

POINTS = (
    "after read",
    "before write",
    "after write, before status",
    "after status, before completion",
    "run opened, messages not sent",
    "chunk files written, plan not published",
    "plan published, messages not sent",
    "last chunk concluded, task not closed",
    "state committed, task not ended",
    "task ended, next stage not opened",
    "run ended, next run not started",
)
"""Where a worker kills itself: at each a window opens."""
AMID_ROWS = POINTS[:4]
"""Those of a chunk that is being sent."""

_FLAGS = 3  # open, landed, asked
_EACH = _FLAGS + 2 * len(POINTS)
_TICKED = 8  # bytes at the beginning: when somebody last looked at what is to be done


def tenant_of(environment: str) -> int:
    """The number of the tenant whose environment it is."""
    return int(environment[:8], 16)


class Board:
    """The shared numbers. Several may write at once: then one kill more happens than was wanted."""

    def __init__(self, file: Path, tenants: int) -> None:
        if not file.exists():
            file.write_bytes(bytes(_TICKED + 4 * _EACH * tenants))
        with file.open("r+b") as opened:
            self._memory = mmap.mmap(opened.fileno(), 0)
        self._numbers = memoryview(self._memory)[_TICKED:].cast("i")
        self.tenants = tenants

    def due(self, now: float, every: float) -> bool:
        """Whether it is time for the timers; who asks first sees to them."""
        (last,) = struct.unpack_from("d", self._memory)
        if now - last < every:
            return False
        struct.pack_into("d", self._memory, 0, now)
        return True

    # -- what is to be done ----------------------------------------------------------------------------

    def begin(self, tenant: int, wanted: dict[str, int], *, asked: bool) -> None:
        """A day was landed, and maybe a run is asked for; workers are to die so often at each point."""
        for place, point in enumerate(POINTS):
            self._numbers[tenant * _EACH + _FLAGS + place] = wanted.get(point, 0)
        self._numbers[tenant * _EACH : tenant * _EACH + _FLAGS] = memoryview(struct.pack("3i", 1, 1, asked)).cast("i")

    def end(self, tenant: int) -> None:
        """The day is over: nobody has to look at the tenant any more."""
        self._numbers[tenant * _EACH : (tenant + 1) * _EACH - len(POINTS)] = memoryview(
            bytes(4 * (_EACH - len(POINTS)))
        ).cast("i")

    def is_open(self, tenant: int) -> bool:
        return bool(self._numbers[tenant * _EACH])

    def open_days(self) -> int:
        """How many tenants' days are on; 1 where there is none."""
        return max(1, sum(self.is_open(tenant) for tenant in range(self.tenants)))

    def landed(self, tenant: int) -> bool:
        """Whether a landing is to be looked at."""
        return bool(self._numbers[tenant * _EACH + 1])

    def asked(self, tenant: int) -> bool:
        """Whether a person waits for the answer to a request."""
        return bool(self._numbers[tenant * _EACH + 2])

    def looked(self, tenant: int) -> None:
        self._numbers[tenant * _EACH + 1] = 0

    def answered(self, tenant: int) -> None:
        self._numbers[tenant * _EACH + 2] = 0

    # -- deaths ----------------------------------------------------------------------------------------

    def left(self, tenant: int, point: str) -> int:
        """How many more workers are to die."""
        return self._numbers[tenant * _EACH + _FLAGS + POINTS.index(point)]

    def take(self, tenant: int, point: str) -> None:
        """One more is about to die."""
        self._numbers[tenant * _EACH + _FLAGS + POINTS.index(point)] -= 1

    def count(self, tenant: int, point: str) -> None:
        """One has died."""
        self._numbers[tenant * _EACH + _FLAGS + len(POINTS) + POINTS.index(point)] += 1

    def died(self, point: str) -> int:
        """How many have died there, whoever the tenant was."""
        place = _FLAGS + len(POINTS) + POINTS.index(point)
        return sum(self._numbers[tenant * _EACH + place] for tenant in range(self.tenants))
