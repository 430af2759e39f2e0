"""Moments of a day: the n-th line of the app's own log, and a little more.

So they spread over the steps of a run and not over its waits.
"""

from __future__ import annotations

import random
import re
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LINES = {1: 40, 2: 32}  # of the app in an undisturbed day
JITTER_SECONDS = 0.1
_LINE = re.compile(rb" (INFO|WARNING|ERROR) (shared|handlers)\.")


@dataclass(frozen=True)
class Moment:
    """When something happens on a day of a tenant, and for how long it lasts."""

    tenant: int
    day: int
    what: str
    line: int
    wait: float
    seconds: float

    def __str__(self) -> str:
        return f"{self.what}-tenant{self.tenant}-day{self.day}-line{self.line}"


def moments(wanted: dict[str, int], longest: dict[str, float], draw: random.Random) -> list[Moment]:
    """So many moments of each kind, on the days of as few tenants as that takes; each kind spread over the lines."""
    found: list[tuple[str, float]] = []
    for what, number in wanted.items():
        found += [(what, (place + draw.random()) / number) for place in draw.sample(range(number), number)]
    draw.shuffle(found)
    return [_moment(place, what, where, longest[what], draw) for place, (what, where) in enumerate(found)]


def _moment(place: int, what: str, where: float, longest: float, draw: random.Random) -> Moment:
    day = 1 + place % 2
    return Moment(
        place // 2, day, what, 1 + int(where * LINES[day]), draw.uniform(0, JITTER_SECONDS), draw.uniform(0, longest)
    )


def wait_for_line(log: Path, begin: int, number: int, landed: Future[dict[str, Any]]) -> None:
    """Until the app has logged so many lines since the log was `begin` long, or the day is over without them."""
    while not landed.done():
        with log.open("rb") as lines:
            lines.seek(begin)
            if len(_LINE.findall(lines.read())) >= number:
                return
        time.sleep(0.02)
