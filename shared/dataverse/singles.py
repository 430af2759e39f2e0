"""Single requests, many at a time: parts of `$batch` requests with continue-on-error, each answered on its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import httpx

from shared.dataverse import batch
from shared.dataverse.client import NO_CUSTOM_LOGIC, ROOT, Client, refuses_bypass
from shared.dataverse.errors import AmbiguousError, Fault, Kind, answered_at, classify_body
from shared.dataverse.sizing import Sizing
from shared.errors import ConfigurationError, ThrottledError, TransientError

Before = Callable[[], None]
MOST_HALVINGS = 3
_OF_ROWS = {Kind.ROW, Kind.MISSING, Kind.REFERENCED, Kind.OVERSIZED}
"""Faults of a part that are a verdict on its row."""
FINAL_PARTS = 20
"""How many parts to send at once that were tried often: few, so that what is done is soon on record."""
_MOST_FAILED = 5
_GRAVITY = {Kind.CONFIGURATION: 3, Kind.THROTTLED: 2, Kind.TRANSIENT: 1}


@dataclass
class Singles:
    """Single requests of one kind to one table. `before` is called right before every sending.

    `teaches` is the size of the bulk calls to the same table, which are faster. `final`: this was tried often; a part
    that by itself fails for a passing reason, and for as long as patience lasts, while others do not, is refused.
    `doubtful`: some request got no answer, so its parts may have been carried out before they were sent again.
    """

    client: Client
    table: str
    before: Before
    sizing: Sizing
    method: str
    teaches: Sizing | None = None
    final: bool = False
    doubtful: bool = field(default=False, init=False)

    def send(self, parts: Sequence[batch.Part]) -> dict[int, Fault | None]:
        """The fault of every part, by its place; None where it succeeded. Raises as `Client.request` does."""
        answers: dict[int, Fault | None] = {}
        bodies = [part.body for part in parts]
        start = 0
        try:
            while start < len(parts):
                end = self.sizing.reach(bodies, start)
                self._send(range(start, end), parts, answers)
                start = end
        except ThrottledError:
            raise
        except TransientError as trouble:
            if not self.final:
                raise
            self._send_alone(parts, answers, trouble)
        return answers

    def _send_alone(
        self, parts: Sequence[batch.Part], answers: dict[int, Fault | None], trouble: TransientError
    ) -> None:
        """Send what has no answer part by part; who fails, while the service answers others after it, is refused."""
        failed: dict[int, Fault | None] = {}
        for place in [place for place in range(len(parts)) if place not in answers]:
            try:
                self._send([place], parts, answers)
            except ThrottledError:
                raise
            except TransientError as error:
                failed[place] = Fault(Kind.TRANSIENT, 0, "", str(error), "")
                if len(failed) > _MOST_FAILED:
                    raise  # so many one after another: it is the service
            else:
                self._refuse(failed, answers)
        if failed and not answers and len(parts) > 1:
            raise trouble
        if failed:
            self.client.get("WhoAmI")  # is it there?
            self._refuse(failed, answers)

    def _refuse(self, failed: dict[int, Fault | None], answers: dict[int, Fault | None]) -> None:
        self.doubtful = self.doubtful or bool(failed)
        answers |= failed
        failed.clear()

    def _send(
        self,
        places: Sequence[int],
        parts: Sequence[batch.Part],
        answers: dict[int, Fault | None],
        *,
        halvings: int = MOST_HALVINGS,
    ) -> None:
        """Send parts in one batch, in halves where that takes too long; into `answers`."""
        may_halve = len(places) > 1 and halvings > 0

        def still_open() -> list[int]:
            return [place for place in places if place not in answers]

        def call() -> Fault | None:
            asked = still_open()
            sent_at = self.client.limiter.clock()
            found = self._exchange([parts[place] for place in asked], may_halve=may_halve)
            if isinstance(found, Fault):
                return found
            self._take_all(answers, dict(zip(asked, found, strict=False)), sent_at)
            if still_open():
                raise AmbiguousError(f"{self.table}: Dataverse left parts of a batch unanswered.")
            return None

        fault = self.client.patience.persist(lambda: self._watched(call, may_halve=may_halve))
        if fault is None:
            return
        left = still_open()
        if len(left) == 1 and fault.kind is Kind.OVERSIZED:
            answers[left[0]] = fault
            return
        middle = len(left) // 2
        for half in filter(None, (left[:middle], left[middle:])):
            self._send(half, parts, answers, halvings=halvings - 1)

    def _watched(self, call: Callable[[], Fault | None], *, may_halve: bool) -> Fault | None:
        try:
            return call()
        except AmbiguousError as error:
            self.doubtful = True
            if error.timed_out and may_halve:
                return Fault(Kind.TIMEOUT, 0, "", str(error), "")
            raise

    def _take_all(self, answers: dict[int, Fault | None], found: dict[int, Fault | None], sent_at: float) -> None:
        """Note every definite answer, then raise what speaks against going on."""
        stops: list[Fault] = []
        for place, fault in found.items():
            if fault is None or fault.kind in _OF_ROWS:
                answers[place] = fault
            else:
                stops.append(fault)
        if stops:
            self._stop(stops, sent_at)

    def _stop(self, stops: list[Fault], sent_at: float) -> None:
        """Raise the gravest of the faults; of those that ask to wait the longest, so that it is noted once."""
        if self.client.bypass_in_force and any(refuses_bypass(fault) for fault in stops):
            self.client.stop_bypassing()
            raise TransientError(f"{self.table}: tried again with the environment's custom logic.")
        self.doubtful = self.doubtful or any(stop.status >= 500 for stop in stops)
        fault = max(stops, key=lambda stop: (_GRAVITY.get(stop.kind, 0), stop.status, stop.retry_after or 0.0))
        self.client.raise_for(fault, self.table, sent_at=sent_at)
        raise TransientError(f"{self.table}: {fault}")

    def _exchange(self, parts: Sequence[batch.Part], *, may_halve: bool) -> list[Fault | None] | Fault:
        """The fault of each part, None where it succeeded; or that of a batch that is too large, or can be halved."""
        if not self.client.bypass_in_force:
            parts = [replace(part, headers=_without(part.headers, NO_CUSTOM_LOGIC)) for part in parts]
        content_type, body = batch.compose(parts, root=ROOT)
        headers = {"Content-Type": content_type, "Prefer": "odata.continue-on-error"}
        response = self._request(body, headers, len(parts))
        if not response.is_success:
            return self._refused(self.client.fault(response), len(parts), len(body), may_halve=may_halve)
        seconds = response.elapsed.total_seconds()
        self.sizing.answered(len(parts), seconds)
        if self.teaches is not None:
            self.teaches.took_at_most(len(parts), seconds)
        try:
            found = batch.parse(response.headers.get("Content-Type", ""), response.content)
        except ValueError as error:
            raise AmbiguousError(f"{self.table}: the answer to a batch cannot be read: {error}") from error
        now = answered_at(response.headers.get("Date"))  # the parts have no header of their own that says
        return [_fault(answer, now) for answer in found]

    def _refused(self, fault: Fault, parts: int, size: int, *, may_halve: bool) -> Fault:
        if fault.kind is Kind.OVERSIZED:
            if parts > 1:
                self.sizing.refused_size(size)
            return fault
        if fault.kind is not Kind.TIMEOUT:
            raise ConfigurationError(f"{self.table}: a batch is refused: {fault}")
        self.sizing.too_large(parts)
        self.doubtful = True
        if may_halve:
            return fault
        raise AmbiguousError(f"{self.table}: {fault}")

    def _request(self, body: bytes, headers: Mapping[str, str], rows: int) -> httpx.Response:
        try:
            with self.sizing.learning():
                return self.client.request(
                    "POST",
                    "$batch",
                    content=body,
                    headers=headers,
                    before=self.before,
                    rows=rows,
                    kind=f"{self.method} {self.table}",
                )
        except AmbiguousError as error:
            if error.timed_out:
                self.sizing.too_large(rows)
            raise


def _fault(answer: batch.Answer, now: float) -> Fault | None:
    if answer.status < 300:
        return None
    return classify_body(answer.status, answer.body, answer.headers.get("retry-after"), now=now)


def _without(headers: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in names}
