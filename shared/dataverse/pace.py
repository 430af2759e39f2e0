"""How many requests of one application user may be under way, and not before when: the decisions, without a clock.

What Dataverse documents ("Service protection API limits", "Send requests in parallel"): each user has on each web
server 6,000 requests, 1,200 seconds of execution and 52 requests at once in a sliding window of five minutes; who
pushes on is made to wait longer; `x-ms-dop-hint` is the recommended degree of parallelism, and more makes it slower.
How many servers there are, and what is left, nobody tells. What follows from that:

- Not to send for a while loses nothing, as long as the window is used up again later. So Retry-After is kept to the
  letter, for all requests, and nothing is saved up.
- Execution time is what is charged, and requests that wait for each other's cores are charged for waiting. So the hint
  is approached from a quarter of it, in rounds, and left as soon as a row takes longer than before.
- Every 429 and every slowdown halves. Then an answer adds one, as in TCP's slow start, up to a *target*: a little below
  what was too much at once, or a little above what was under way on average in the last window, which is what the
  window permits. From the target on it grows slowly.
- A slowdown is ours only if fewer at once makes rows faster *and* as many as before slow again; a wave of other users'
  load passes by itself, and looks as if halving had helped. Otherwise the number from before is restored, and the next
  slowdown is left alone for a while. No slowdown settles below half of what is recommended: only a 429 does.
- What other workers of the same user report counts as if it had been told to this one; growth is split between them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from shared.dataverse.slowness import Slowness, Stretch, Trial

REQUESTS, EXECUTION, CONCURRENCY = "0x80072322", "0x80072321", "0x80072326"
MOST_AT_ONCE = 52
DEFAULT_AT_ONCE = 4
DEFAULT_RETRY_AFTER = 5.0
WINDOW = 300.0

# Of what is recommended; the rest comes with the first rounds.
_FIRST_SHARE = 1 / 4
_FIRST_ROUND, _ROUND = 8, 16
# What a round must be stretched by, beyond doubt, to be a slowdown: the first rounds are small, and chance is large.
_FIRST_STRETCH, _STRETCH = 1.1, 1.05
# Targets, as shares of what was too much at once, and of what the last window had under way on average.
_AFTER_SLOWDOWN, _AFTER_CONCURRENCY, _AFTER_EXECUTION = 0.7, 0.9, 1.15
# What a slowdown leaves of what is recommended: at least, and of what went beyond it.
_LEAST_SHARE, _BEYOND_SHARE = 1 / 2, 0.85
# Steps for which slowdowns are left alone after one that was not ours; doubled each time.
_QUIET_STEPS = 2.0
# After a hold: how often the number that goes out is doubled, and how long it takes until others can have heard.
_FEELER_STEPS = 5
_HEARSAY = 1 / 300
_SHORTEST_WAIT = 1e-3
_NOISE = 1e-6
# Growth a step, of which a window has thirty: before any trouble, and right after it.
_STEPS = 30
_GROWTH, _CAREFUL_GROWTH = 0.04, 0.01
_CAREFUL_STEPS = 3
_SMALL = 4.0  # below, it grows as if it were this


class Pace:
    """The pace of one application user in one process. Not thread safe; every `now` is seconds of one clock.

    `window` is the length of Dataverse's sliding window: every time of the pace is a share of it.
    """

    def __init__(
        self,
        now: float,
        *,
        start: int = DEFAULT_AT_ONCE,
        ceiling: int = MOST_AT_ONCE,
        workers: int = 1,
        window: float = WINDOW,
    ) -> None:
        self.not_before = now
        self.under_way = 0
        self._window = window
        self._ceiling = float(max(1, min(ceiling, MOST_AT_ONCE)))
        self._workers = max(1, workers)
        self._advised = False
        self._limit = self._target = self._start = self._within(start / self._workers)
        self._starting = False  # on the way from the first share to what is recommended
        self._troubled = False
        self._trouble_at = self._grown_at = now
        self._was_full = False
        self._opened: int | None = None  # requests that went out since the last hold, while it is not fully open again
        self._trial: Trial | None = None  # of a slowdown that may be ours
        self._no_trial_before = now
        self._convicted = False  # a slowdown was believed without proof
        self._acquittals = 0  # in a row
        self._slowness = Slowness(now)
        self._spent = _Spent(window)

    @property
    def at_once(self) -> int:
        """Requests that may be under way at the same time."""
        return max(1, round(self._limit))

    # -- sending -----------------------------------------------------------------------------------------

    def take(self) -> bool:
        """Take the right to send one request, if one is free; `release` gives it back."""
        if self.under_way >= self.at_once:
            self._was_full = True
            return False
        self.under_way += 1
        self._was_full = self._was_full or self.under_way >= self.at_once
        return True

    def release(self) -> None:
        """Give the right back, whatever became of the request."""
        self.under_way -= 1

    def go(self, now: float) -> float:
        """Seconds to wait before asking again; 0: the request goes out now.

        After a hold one request goes first, then two, four and so on, each time when a refusal would have come back:
        Retry-After says when there is room for one, and those under way when it was said have used some of it since.
        """
        if now < self.not_before:
            return self.not_before - now
        if self._opened is None:
            return 0.0
        steps = int((now - self.not_before) / self._feeler + _NOISE)
        if steps >= _FEELER_STEPS:
            self._opened = None
            return 0.0
        if self._opened < 2 ** (steps + 1) - 1:
            self._opened += 1
            return 0.0
        return max(self.not_before + (steps + 1) * self._feeler - now, _SHORTEST_WAIT)

    # -- what is told ------------------------------------------------------------------------------------

    def advise(self, now: float, dop_hint: int) -> None:
        """Start from `x-ms-dop-hint`, split between the live workers of this user. Only the first advice counts."""
        if self._advised:
            return
        self._advised = True
        self._start = self._within(dop_hint / self._workers)
        self._limit = self._target = self._within(self._start * _FIRST_SHARE)
        self._starting = self._limit < self._start
        self._grown_at = now
        self._slowness.begin(now)

    def share(self, now: float, workers: int) -> None:
        """So many workers send for this user now, this one included."""
        workers = max(1, workers)
        if workers == self._workers:
            return
        factor = self._workers / workers
        self._workers = workers
        self._start = self._within(self._start * factor)
        self._target = self._within(self._target * factor)
        self._limit = min(self._limit, self._target)  # more comes with answers, less at once
        self._trial = None
        self._slowness.begin(now)

    def answered(self, now: float, sent_at: float, seconds: float, rows: int = 0, kind: str = "") -> None:
        """Note an answer that is no 429. `seconds` is what the exchange took; `kind` tells calls of a price apart."""
        self._spent.add(now, seconds)
        self._slowness.note(sent_at, seconds, rows, kind)
        if self._limit < self._target and sent_at >= self._trouble_at:
            self._limit = min(self._target, self._limit + 1.0)
        if self._slowness.answers >= (_FIRST_ROUND if self._starting else max(_ROUND, 1.5 * self.at_once)):
            self._conclude_round(now, self._slowness.judge())
        elif now - self._grown_at >= self._step and self._limit >= self._target and self._may_grow_in_a_round(rows):
            self._grow(now)

    def throttled(self, now: float, sent_at: float, retry_after: float | None, code: str = "") -> float:
        """Note a 429: hold everything, and halve once for all that were under way together. Returns the wait."""
        seconds = DEFAULT_RETRY_AFTER if retry_after is None else retry_after
        self._hold(now + seconds)
        if sent_at >= self._trouble_at:
            self._back_off(now, self._after(now, code))
        return seconds

    def hold(self, now: float, until: float) -> None:
        """Send nothing until then, as another worker of this user was told: it slows this one as its own 429 would.

        The other one goes first, and this one hears from it before it follows.
        """
        if until <= max(now, self.not_before):
            return
        same = now < self.not_before  # a hold is in force: this is the same trouble
        self._hold(until + self._window * _HEARSAY)
        if not same:
            self._back_off(now, self._after(now, EXECUTION))

    # -- decisions ---------------------------------------------------------------------------------------

    def _hold(self, until: float) -> None:
        self.not_before = max(self.not_before, until)
        self._opened = 0

    @property
    def _feeler(self) -> float:
        """Seconds after which a refusal would have come back."""
        return min(2 * self._slowness.bare, self._window * _HEARSAY)

    def _after(self, now: float, code: str) -> float:
        """Where to grow back to quickly after a 429."""
        if code == REQUESTS:
            return self._target  # fewer and larger calls are the answer, not fewer at once
        if code == CONCURRENCY:
            return _AFTER_CONCURRENCY * self._limit
        return max(self._limit / 2, _AFTER_EXECUTION * self._spent.seconds(now) / self._window)

    def _back_off(self, now: float, target: float) -> None:
        self._starting, self._troubled = False, True
        self._target = self._within(target)
        self._limit = self._within(min(self._limit / 2, self._target))
        self._trouble_at = now
        self._grown_at = max(now, self.not_before)
        self._trial = None
        self._slowness.begin(now)

    def _conclude_round(self, now: float, stretch: Stretch) -> None:
        trial, self._trial = self._trial, None
        slow = stretch.sure > (_FIRST_STRETCH if self._starting else _STRETCH)
        if trial is None:
            if slow:
                self._suspect(now, stretch)
            elif self._limit >= self._target:
                self._grow(now)
        elif trial.with_fewer is None:
            self._conclude_fewer(now, trial, stretch)
        elif trial.is_confirmed_by(stretch):
            self._acquittals = 0
            self._back_off(now, trial.target)
        else:
            self._acquit(now)
        self._slowness.begin(now)

    def _suspect(self, now: float, stretch: Stretch) -> None:
        """Try whether fewer at once are faster, unless there are few already; what is slow does not grow."""
        self._grown_at = now
        if self._limit <= self._least and not self._starting:
            self._slowness.accept()
        elif now >= self._no_trial_before:
            target = max(self._least, _AFTER_SLOWDOWN * self._limit / stretch.ratio)
            trial = Trial(stretch, self._limit, target, self._starting)
            self._back_off(now, target)
            self._trial = trial

    def _conclude_fewer(self, now: float, trial: Trial, stretch: Stretch) -> None:
        """Go back to as many as before; that they are slow again is still to be shown.

        The first slowdown is believed without: a hint that is too high costs most then, and it happens only once. Not
        so among workers, who grow back too slowly.
        What went beyond the recommended number is not tried again: little is lost without it.
        """
        self._limit = self._target = self._within(trial.limit)
        self._starting = trial.starting
        self._grown_at = now
        if not trial.is_helped_by(stretch):
            self._slowness.accept()
            self._acquit(now)
        elif not self._convicted and self._workers == 1:
            self._convicted = True
            self._back_off(now, trial.target)
        elif round(trial.limit) > max(1, round(self._start)):
            self._limit = self._target = max(trial.target, _BEYOND_SHARE * self._start)
            self._acquit(now)
        else:
            self._trial = replace(trial, with_fewer=stretch)

    def _acquit(self, now: float) -> None:
        """Leave slowdowns alone for a while, for longer each time."""
        self._no_trial_before = now + min(self._window, self._step * _QUIET_STEPS * 2.0**self._acquittals)
        self._acquittals += 1

    def _grow(self, now: float) -> None:
        """Grow if the limit was what held requests back; slowly, and more slowly after trouble."""
        if self._was_full:
            if self._starting:
                self._limit = min(self._start, 2 * self._limit)
                self._starting = self._limit < self._start
            else:
                steps = max(0.0, now - self._grown_at) / self._step
                self._limit = self._within(
                    self._limit + max(self._limit, _SMALL) * self._growth(now) * steps / self._workers
                )
            self._target = self._limit
        self._grown_at = now
        self._was_full = False

    def _may_grow_in_a_round(self, rows: int) -> bool:
        """Requests without rows have no slowdown to judge; and with few at once a round takes long."""
        return rows == 0 or (not self._starting and self._trial is None)

    def _growth(self, now: float) -> float:
        if not self._troubled:
            return _GROWTH
        quiet = max(0.0, now - self._trouble_at) / (_CAREFUL_STEPS * self._step)
        return min(_GROWTH, _CAREFUL_GROWTH * (1 + quiet))

    @property
    def _least(self) -> float:
        return self._within(self._start * _LEAST_SHARE)

    @property
    def _step(self) -> float:
        return self._window / _STEPS

    def _within(self, limit: float) -> float:
        return max(1.0, min(limit, self._ceiling))


class _Spent:
    """The seconds that requests took, summed over a sliding window, in sixtieths of it."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._parts: deque[tuple[float, float]] = deque()

    def add(self, now: float, seconds: float) -> None:
        if self._parts and now - self._parts[-1][0] < self._window / 60:
            began, sum_ = self._parts.pop()
            self._parts.append((began, sum_ + seconds))
        else:
            self._parts.append((now, seconds))

    def seconds(self, now: float) -> float:
        while self._parts and self._parts[0][0] <= now - self._window:
            self._parts.popleft()
        return sum(seconds for _, seconds in self._parts)
