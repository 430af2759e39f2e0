"""Time comes from the storage service: workers whose own clocks are wrong still agree on leases.

The machine's clock may be minutes wrong, or be set while the process runs. What the process does first is to ask the
storage, and whatever reads the time does so after an answer of it, so no wrong time is ever used.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import Any

from azure.core.pipeline import PipelineRequest, PipelineResponse

_SENT = "hydration.sent"
TOLERANCE = timedelta(seconds=2)
"""The Date header has whole seconds: smaller differences are noise. So far a worker's clock may be off."""


def _of_the_machine() -> datetime:
    return datetime.now(UTC)


class Clock:
    """UTC now, corrected by what the storage service last said. Thread safe.

    `machine` is the clock that is corrected: it returns the time with its time zone.
    """

    def __init__(self, machine: Callable[[], datetime] = _of_the_machine) -> None:
        self._machine = machine
        self._offset = timedelta()
        self._lock = Lock()

    def now(self) -> datetime:
        """The time, with time zone."""
        return self._machine() + self._offset

    def learn(self, served: datetime) -> None:
        """Take over the service's time where ours differs by more than its resolution."""
        offset = served - self._machine()
        with self._lock:
            if abs(offset - self._offset) > TOLERANCE:
                self._offset = offset if abs(offset) > TOLERANCE else timedelta()

    def learn_late(self, served: datetime, elapsed: timedelta) -> None:
        """The same from an answer that took so long: it tells a time between its request and now.

        The clock is corrected only if that cannot be, and then it is right to half of the time that it took.
        """
        if elapsed < TOLERANCE:
            self.learn(served)
        elif not served - TOLERANCE <= self.now() <= served + elapsed + TOLERANCE:
            self.learn(served + elapsed / 2)


class ServerTime:
    """Reads the Date header of every answer of an Azure SDK client into a clock: its two hooks, for each single try.

    Policies of a service client's own do not reach the clients of its tables; hooks do.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def hooks(self) -> dict[str, Any]:
        """The client's options."""
        return {"raw_request_hook": self.asked, "raw_response_hook": self.answered}

    def asked(self, request: PipelineRequest) -> None:  # type: ignore[type-arg]
        """Called for every request."""
        request.context[_SENT] = time.monotonic()  # the machine's clock may be set meanwhile

    def answered(self, response: PipelineResponse) -> None:  # type: ignore[type-arg]
        """Called for every answer."""
        date, sent = response.http_response.headers.get("Date"), response.context.get(_SENT)
        if date and sent is not None:
            self._clock.learn_late(parsedate_to_datetime(date), timedelta(seconds=time.monotonic() - sent))
