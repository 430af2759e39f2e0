"""Whether rows take longer than they must: the sign of more requests at once than Dataverse has cores for.

Answers are judged in rounds: some at least, all sent and answered in the round. A round's *stretch* is the time that
its rows took, divided by the time that they would take if every row took as long as in the best round so far. What a
request takes without its rows is left out, so that small calls compare with large ones; each kind of call has a
baseline of its own. A baseline drifts towards what is measured: an old one does not bind for ever.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

_DRIFT = 0.02
_MOST_KINDS = 200


@dataclass(frozen=True)
class Stretch:
    """How much longer rows took than in the best round; `sure`: at least so much, whatever the noise."""

    ratio: float
    sure: float


@dataclass(frozen=True)
class Trial:
    """A slowdown (`before`) at so many requests at once (`limit`), and what became of it `with_fewer`.

    `target` is where to go if it was ours; `starting` whether the recommended number had yet to be reached.
    """

    before: Stretch
    limit: float
    target: float
    starting: bool
    with_fewer: Stretch | None = None

    def is_helped_by(self, fewer: Stretch) -> bool:
        """Whether rows are clearly faster with fewer requests at once."""
        return fewer.ratio <= math.sqrt(self.before.ratio)

    def is_confirmed_by(self, again: Stretch) -> bool:
        """Whether rows are slower than with fewer, once there are as many as before.

        Less is asked than of the first time: that was picked for being slow, chance included.
        """
        return self.with_fewer is not None and again.ratio > self.with_fewer.ratio * math.cbrt(self.before.ratio)


@dataclass
class _Sum:
    answers: int = 0
    rows: int = 0
    seconds: float = 0.0
    squares: float = 0.0  # of the seconds a row

    def add(self, rows: int, seconds: float) -> None:
        self.answers += 1
        self.rows += rows
        self.seconds += seconds
        self.squares += (seconds / rows) ** 2

    @property
    def mean(self) -> float:
        """Seconds a row."""
        return self.seconds / self.rows

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return math.sqrt(max(0.0, self.squares / self.answers - self.mean**2) / self.answers)


@dataclass
class Slowness:
    """Rounds of answers and the baselines learnt from them. Times are seconds of any clock; the caller gives them."""

    began: float
    bare: float = math.inf
    """What a request takes without its rows: the least that any took."""
    _round: dict[str, _Sum] = field(default_factory=dict)
    _best: dict[str, float] = field(default_factory=dict)

    def begin(self, now: float) -> None:
        """Begin a round: what was sent before does not count in it."""
        self.began = now
        self._round = {}

    def note(self, sent_at: float, seconds: float, rows: int, kind: str) -> None:
        """Note an answer; `rows` is 0 where the request wrote none."""
        self.bare = min(self.bare, seconds)
        if rows > 0 and sent_at >= self.began:
            self._round.setdefault(kind, _Sum()).add(rows, seconds - self.bare)

    @property
    def answers(self) -> int:
        """How many the round has."""
        return sum(one.answers for one in self._round.values())

    def judge(self) -> Stretch:
        """The stretch of the round, from which the baselines learn too."""
        if len(self._best) > _MOST_KINDS:
            self._best = {}
        needed = took = doubt = 0.0
        for kind, one in self._usable():
            best = min(self._best.get(kind, math.inf), one.mean + one.error)
            self._best[kind] = best + _DRIFT * max(0.0, one.mean - best)
            needed += best * one.rows
            took += one.seconds
            doubt += (one.error * one.rows) ** 2
        if needed <= 0.0:
            return Stretch(1.0, 1.0)
        return Stretch(took / needed, (took - 2.0 * math.sqrt(doubt)) / needed)

    def accept(self) -> None:
        """Take the round as the new baseline: it is not our number of requests that makes rows slow."""
        self._best |= {kind: one.mean for kind, one in self._usable()}

    def _usable(self) -> Iterator[tuple[str, _Sum]]:
        return ((kind, one) for kind, one in self._round.items() if one.seconds > 0.0)
