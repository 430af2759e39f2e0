"""Single requests, many at a time: parts of `$batch` requests with continue-on-error, each answered on its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from shared.dataverse import batch
from shared.dataverse.client import NO_CUSTOM_LOGIC, ROOT, Client, refuses_bypass
from shared.dataverse.errors import AmbiguousError, Fault, Kind, classify_body
from shared.dataverse.sizing import Sizing
from shared.errors import ConfigurationError, HydrationError, TransientError

Before = Callable[[], None]


@dataclass
class Singles:
    """Single requests to one table. `before` is called right before every sending.

    `doubtful`: some request got no answer, so its parts may have been carried out before they were sent again.
    """

    client: Client
    table: str
    before: Before
    sizing: Sizing
    doubtful: bool = field(default=False, init=False)

    def send(self, parts: Sequence[batch.Part]) -> dict[int, Fault | None]:
        """The fault of every part, by its place; None where it succeeded. Raises as `Client.request` does."""
        answers: dict[int, Fault | None] = {}
        start = 0
        while start < len(parts):
            end = min(start + self.sizing.rows(), len(parts))
            answers |= self._answered(list(range(start, end)), parts)
            start = end
        return answers

    def _answered(self, places: list[int], parts: Sequence[batch.Part]) -> dict[int, Fault | None]:
        answers: dict[int, Fault | None] = {}

        def call() -> Fault | None:
            still_open = [place for place in places if place not in answers]
            sent_at = self.client.limiter.clock()
            found = self._exchange([parts[place] for place in still_open])
            if isinstance(found, Fault):
                return found
            self._take_all(answers, dict(zip(still_open, found, strict=False)), sent_at)
            if len(answers) < len(places):
                raise AmbiguousError(f"{self.table}: Dataverse left parts of a batch unanswered.")
            return None

        oversized = self.client.patience.persist(lambda: self._watched(call))
        if oversized is None:
            return answers
        if len(places) == 1:
            return {places[0]: oversized}
        self.sizing.too_large(len(places), for_good=oversized.kind is Kind.OVERSIZED)
        middle = len(places) // 2
        return self._answered(places[:middle], parts) | self._answered(places[middle:], parts)

    def _watched(self, call: Callable[[], Fault | None]) -> Fault | None:
        try:
            return call()
        except AmbiguousError:
            self.doubtful = True
            raise

    def _take_all(self, answers: dict[int, Fault | None], found: dict[int, batch.Answer], sent_at: float) -> None:
        """Note every definite answer, then raise what speaks against going on."""
        stops: list[HydrationError] = []
        for place, answer in found.items():
            try:
                answers[place] = self._definite(answer, sent_at)
            except HydrationError as error:
                stops.append(error)
        if stops:
            raise next((stop for stop in stops if isinstance(stop, ConfigurationError)), stops[0])

    def _definite(self, answer: batch.Answer, sent_at: float) -> Fault | None:
        if answer.status < 300:
            return None
        fault = classify_body(answer.status, answer.body, answer.headers.get("retry-after"), now=time.time())
        if self.client.bypass_in_force and refuses_bypass(fault):
            self.client.stop_bypassing()
            raise TransientError(f"{self.table}: tried again with the environment's custom logic.")
        if fault.kind is Kind.TIMEOUT:
            raise TransientError(f"{self.table}: {fault}")
        self.client.raise_for(fault, self.table, sent_at=sent_at)
        return fault

    def _exchange(self, parts: Sequence[batch.Part]) -> list[batch.Answer] | Fault:
        """The answers to the parts; or the fault of a batch that is too large."""
        if not self.client.bypass_in_force:
            parts = [replace(part, headers=_without(part.headers, NO_CUSTOM_LOGIC)) for part in parts]
        content_type, body = batch.compose(parts, root=ROOT)
        headers = {"Content-Type": content_type, "Prefer": "odata.continue-on-error"}
        with self.sizing.learning():
            response = self.client.request(
                "POST", "$batch", content=body, headers=headers, before=self.before, rows=len(parts)
            )
        if not response.is_success:
            fault = self.client.fault(response)
            if fault.kind in {Kind.OVERSIZED, Kind.TIMEOUT}:
                return fault
            raise ConfigurationError(f"{self.table}: a batch is refused: {fault}")
        self.sizing.answered(len(parts), response.elapsed.total_seconds())
        try:
            return batch.parse(response.headers.get("Content-Type", ""), response.content)
        except ValueError as error:
            raise AmbiguousError(f"{self.table}: the answer to a batch cannot be read: {error}") from error


def _without(headers: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in names}
