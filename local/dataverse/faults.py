"""Faults that a test asks for: an error, a connection that breaks, an answer that is slow or cut, an expired token.

A fault names a `kind`, or says itself what happens; what it says goes over what its kind means:

requests, execution, concurrency    429 with that limit's code, and Retry-After
unavailable                         503
sql_timeout, deadlock               500 with the codes of SQL errors: nothing was written
reset, reset_after_commit           the connection breaks without an answer, before or after the work
truncated                           the work is done, and the answer's headers say more than comes
token_expired                       401; the token that was fine until now stays invalid
slow                                the work is done, and the answer comes late

Which requests are hit is said by `match`, `skip` and `times`; or by `rate` and `seed`, which hit that share of the
matching requests: of the same number of requests always the same ones.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field
from typing import Any

from local.dataverse import protection
from local.dataverse.errors import DataverseError, invalid_argument
from local.dataverse.protection import CONCURRENCY, EXECUTION, REQUESTS, Limits

SQL_TIMEOUT, SQL_ERROR = "0x80044151", "0x80044150"
TEXTS = {code: protection.text(code, Limits()) for code in (REQUESTS, EXECUTION, CONCURRENCY)} | {
    SQL_TIMEOUT: "SQL timeout expired.",
    SQL_ERROR: "Generic SQL error. Transaction was deadlocked (SQL error 1205).",
}
SCRIPTS: dict[str, dict[str, Any]] = {
    "requests": {"status": 429, "code": REQUESTS, "retry_after": 5},
    "execution": {"status": 429, "code": EXECUTION, "retry_after": 5},
    "concurrency": {"status": 429, "code": CONCURRENCY, "retry_after": 5},
    "unavailable": {"status": 503, "code": "0x0", "message": "The service is unavailable."},
    "sql_timeout": {"status": 500, "code": SQL_TIMEOUT},
    "deadlock": {"status": 500, "code": SQL_ERROR},
    "reset": {"reset": True},
    "reset_after_commit": {"reset": True, "after_commit": True},
    "truncated": {"truncated": True},
    "token_expired": {"token_expired": True},
    "slow": {"slow": 5},
}


@dataclass(slots=True)
class Fault:
    """One fault.

    `match` is a part of "METHOD /path?query" ("" matches every API request); the first `skip` matching requests pass,
    then `times` are hit (None: all), or `rate` of all. A hit answers with `status` (`code`, `message`, `retry_after` in
    seconds; 503 where nothing else is asked for), or breaks the connection (`reset`), or expires the token: before the
    work, or after it with `after_commit`. `truncated` and `slow` (seconds) spoil the real answer.
    """

    kind: str = ""
    match: str = ""
    times: int | None = 1
    skip: int = 0
    rate: float | None = None
    seed: int = 0
    status: int | None = None
    retry_after: float | None = None
    code: str = SQL_TIMEOUT
    message: str = ""
    after_commit: bool = False
    reset: bool = False
    truncated: bool = False
    token_expired: bool = False
    slow: float = 0
    _random: random.Random = field(init=False, repr=False, default_factory=random.Random)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - repeatable, not secret
        if self.status is None and not (self.reset or self.truncated or self.token_expired or self.slow):
            self.status = 503

    @property
    def replaces(self) -> bool:
        """Whether it comes in place of the real answer."""
        return self.reset or self.token_expired or self.status is not None

    @property
    def name(self) -> str:
        """What it is counted as: its kind, else what it does."""
        done = {"reset": self.reset, "token_expired": self.token_expired, str(self.status): self.status is not None}
        return self.kind or next(
            (name for name, does in done.items() if does), "truncated" if self.truncated else "slow"
        )

    def hits(self, request_line: str) -> bool:
        """Return whether it hits this request, and count it."""
        if self.times == 0 or self.match not in request_line:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.rate is not None and self._random.random() >= self.rate:
            return False
        if self.times is not None:
            self.times -= 1
        return True

    def error(self) -> DataverseError:
        """Return the error that it answers with."""
        headers = () if self.retry_after is None else (("Retry-After", f"{self.retry_after:g}"),)
        message = self.message or TEXTS.get(self.code, "An injected fault.")
        return DataverseError(self.status or 503, self.code, message, headers)

    def report(self) -> dict[str, Any]:
        """Return what is left of it."""
        shown = {name: value for name, value in asdict(self).items() if not name.startswith("_")}
        return {name: value for name, value in shown.items() if value not in (None, "", 0) or name == "times"}


KINDS: dict[str, tuple[type, ...]] = {
    "kind": (str,), "match": (str,), "times": (int, type(None)), "skip": (int,), "rate": (int, float), "seed": (int,),
    "status": (int,), "retry_after": (int, float, type(None)), "code": (str,), "message": (str,),
    "after_commit": (bool,), "reset": (bool,), "truncated": (bool,), "token_expired": (bool,), "slow": (int, float),
}  # fmt: skip


class Faults:
    """The faults that are waiting; of several that match, the first one asked for hits."""

    def __init__(self) -> None:
        self.waiting: list[Fault] = []

    def replace(self, wanted: list[dict[str, Any]]) -> None:
        """Replace what is waiting. Raises DataverseError for what no fault has."""
        if not isinstance(wanted, list) or not all(isinstance(fault, dict) for fault in wanted):
            reason = "A list of faults is expected."
            raise invalid_argument(reason)
        self.waiting = [_read(fault) for fault in wanted]

    def take(self, request_line: str) -> Fault | None:
        """Return the fault that hits this request, if any, and count it."""
        return next((fault for fault in self.waiting if fault.hits(request_line)), None)

    def report(self) -> list[dict[str, Any]]:
        """Return what is still waiting."""
        return [fault.report() for fault in self.waiting if fault.times != 0]


def _read(wanted: dict[str, Any]) -> Fault:
    if unknown := set(wanted) - set(KINDS):
        raise invalid_argument(f"A fault has no {sorted(unknown)}; known: {sorted(KINDS)}.")
    if wrong := [name for name, value in wanted.items() if not isinstance(value, KINDS[name])]:
        raise invalid_argument(f"A fault's {wrong} has the wrong type.")
    kind = wanted.get("kind", "")
    if kind and kind not in SCRIPTS:
        raise invalid_argument(f"There is no fault {kind!r}; known: {', '.join(SCRIPTS)}.")
    if "rate" in wanted and not 0 <= wanted["rate"] <= 1:
        raise invalid_argument("A fault's rate is a share from 0 to 1.")
    lasting = {"times": None} if "rate" in wanted else {}
    return Fault(**{**SCRIPTS.get(kind, {}), **lasting, **wanted})
