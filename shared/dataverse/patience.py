"""Trying again: how often, how long, with which pauses."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from shared.dataverse.errors import AmbiguousError
from shared.errors import ThrottledError, TransientError

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Patience:
    """At most `attempts` within about `seconds`, but two in any case; pauses double from `first` to `longest`.

    Half of each pause is drawn at random, so that workers that failed together do not come back together.
    """

    attempts: int = 6
    seconds: float = 30.0
    first: float = 0.5
    longest: float = 10.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    draw: Callable[[], float] = random.random

    def persist(self, call: Callable[[], _Answer]) -> _Answer:
        """What `call` returns, once it does not fail for a passing reason.

        Raises its TransientError when patience ends: as AmbiguousError if any attempt may have been carried out.
        A ThrottledError is not paused for here: the limiter makes the next attempt wait.
        """
        start, ambiguous, attempt = self.clock(), False, 0
        while True:
            try:
                return call()
            except TransientError as error:
                attempt += 1
                ambiguous = ambiguous or isinstance(error, AmbiguousError)
                throttled = isinstance(error, ThrottledError)
                pause = error.retry_after if isinstance(error, ThrottledError) else self._pause(attempt)
                late = self.clock() - start + pause > self.seconds and (attempt > 1 or throttled)
                if attempt >= self.attempts or late:
                    if ambiguous and not throttled and not isinstance(error, AmbiguousError):
                        raise AmbiguousError(str(error)) from error
                    raise
                _log.info("dataverse.retry", extra={"attempt": attempt, "reason": type(error).__name__})
                if not throttled:
                    self.sleep(pause)

    def _pause(self, attempt: int) -> float:
        step = min(self.longest, self.first * 2.0 ** (attempt - 1))
        return step / 2 + step / 2 * self.draw()
