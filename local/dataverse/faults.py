"""Faults that a test asks for: an error status, or a connection that breaks, before or after the commit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from local.dataverse.errors import DataverseError, invalid_argument

TEXTS = {
    "0x80072322": "Number of requests exceeded the limit of 6000 over time window of 300 seconds.",
    "0x80072321": "Combined execution time of incoming requests exceeded limit of 1,200,000 milliseconds over time "
    "window of 300 seconds. Decrease number of concurrent requests or reduce the duration of requests and try again "
    "later.",
    "0x80072326": "Number of concurrent requests exceeded the limit of 52.",
    "0x80044151": "SQL timeout expired.",
    "0x80044150": "Generic SQL error. Transaction was deadlocked (SQL error 1205).",
}


@dataclass(slots=True)
class Fault:
    """One fault.

    `match` is a part of "METHOD /path?query" ("" matches every API request); the first `skip` matching requests pass,
    then `times` are hit. Either `status` (with `code`, `message`, `retry_after` in seconds) answers, or `reset` breaks
    the connection without an answer. `after_commit` does the work first.
    """

    match: str = ""
    times: int = 1
    skip: int = 0
    status: int = 503
    retry_after: float | None = None
    code: str = "0x80044151"
    message: str = ""
    after_commit: bool = False
    reset: bool = False

    def error(self) -> DataverseError:
        """Return the error that this fault answers with."""
        headers = () if self.retry_after is None else (("Retry-After", f"{self.retry_after:g}"),)
        message = self.message or TEXTS.get(self.code, "An injected fault.")
        return DataverseError(self.status, self.code, message, headers)


KINDS: dict[str, tuple[type, ...]] = {
    "match": (str,), "times": (int,), "skip": (int,), "status": (int,), "retry_after": (int, float, type(None)),
    "code": (str,), "message": (str,), "after_commit": (bool,), "reset": (bool,),
}  # fmt: skip


class Faults:
    """The faults that are waiting; of several that match, the first one asked for hits."""

    def __init__(self) -> None:
        self.waiting: list[Fault] = []

    def replace(self, wanted: list[dict[str, Any]]) -> None:
        """Replace what is waiting. Raises DataverseError for a key that no fault has."""
        if not isinstance(wanted, list) or not all(isinstance(fault, dict) for fault in wanted):
            reason = "A list of faults is expected."
            raise invalid_argument(reason)
        for fault in wanted:
            if unknown := set(fault) - set(KINDS):
                reason = f"A fault has no {sorted(unknown)}; known: {sorted(KINDS)}."
                raise invalid_argument(reason)
            if wrong := [name for name, value in fault.items() if not isinstance(value, KINDS[name])]:
                reason = f"A fault's {wrong} has the wrong type."
                raise invalid_argument(reason)
        self.waiting = [Fault(**fault) for fault in wanted]

    def take(self, request_line: str) -> Fault | None:
        """Return the fault that hits this request, if any, and count it."""
        for fault in self.waiting:
            if fault.times > 0 and fault.match in request_line:
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None

    def report(self) -> list[dict[str, Any]]:
        """Return what is still waiting."""
        return [asdict(fault) for fault in self.waiting if fault.times > 0]
