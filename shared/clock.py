"""Time comes from the storage service: workers whose own clocks are wrong still agree on leases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import Lock

from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import SansIOHTTPPolicy

_SENT = "hydration.sent"
TOLERANCE = timedelta(seconds=2)
"""The Date header has whole seconds: smaller differences are noise. So far a worker's clock may be off."""


class Clock:
    """UTC now, corrected by what the storage service last said. Thread safe."""

    def __init__(self) -> None:
        self._offset = timedelta()
        self._lock = Lock()

    def now(self) -> datetime:
        """The time, with time zone."""
        return datetime.now(UTC) + self._offset

    def learn(self, served: datetime) -> None:
        """Take over the service's time where ours differs by more than its resolution."""
        offset = served - datetime.now(UTC)
        with self._lock:
            if abs(offset - self._offset) > TOLERANCE:
                self._offset = offset if abs(offset) > TOLERANCE else timedelta()


class ServerTimePolicy(SansIOHTTPPolicy):  # type: ignore[type-arg]
    """Reads the Date header of every answer of an Azure SDK client into a clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def on_request(self, request: PipelineRequest) -> None:  # type: ignore[type-arg]
        """Called by the pipeline for every request."""
        request.context[_SENT] = datetime.now(UTC)

    def on_response(self, request: PipelineRequest, response: PipelineResponse) -> None:  # type: ignore[type-arg]
        """Called by the pipeline for every answer. An answer that took long tells the time of long ago."""
        date, sent = response.http_response.headers.get("Date"), request.context.get(_SENT)
        if date and sent is not None and datetime.now(UTC) - sent < TOLERANCE:
            self._clock.learn(parsedate_to_datetime(date))
