"""Dataverse's errors as data: one table says what each code and status means and what to do about it.

Codes: "Web service error codes" and "Compose HTTP requests and handle errors" of Microsoft's Dataverse documentation.
"""

from __future__ import annotations

import json
import math
import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum

from shared.errors import TransientError

LONGEST_WAIT = 3600.0
"""The seconds that are believed of a Retry-After."""
_NO_WAIT, _INSTEAD = 0.1, 1.0


class Kind(StrEnum):
    """What a refused request means for the one who sent it."""

    TRANSIENT = "transient"  # try again
    THROTTLED = "throttled"  # try again, not before Retry-After
    TIMEOUT = "timeout"  # try again with fewer rows
    OVERSIZED = "oversized"  # send fewer rows
    ROW = "row"  # this row's own fault
    MISSING = "missing"  # a row that was named does not exist
    REFERENCED = "referenced"  # a delete is refused, other rows still refer to this one
    CONFIGURATION = "configuration"  # a person must act


class AmbiguousError(TransientError):
    """The request may or may not have been carried out: its rows are uncertain until they are sent again.

    `timed_out`: the answer did not come in time; fewer rows may help.
    """

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out


@dataclass(frozen=True)
class Fault:
    """One refused request.

    `text` says what to do and holds no customer's value: it may be logged. `message` is the service's own and may
    repeat values: for reject files only. `retry_after` is in seconds.
    """

    kind: Kind
    status: int
    code: str
    text: str
    message: str
    retry_after: float | None = None

    def __str__(self) -> str:
        """For logs and run details: the code and what to do, never the service's message."""
        return f"{self.text} (HTTP {self.status}, code {self.code or 'none'})"


_WAIT = "Dataverse asks to send less; the work continues after the wait it named."
_BUSY = "Dataverse is busy or restarting; the work is tried again."
_PRIVILEGE = "The application user lacks a privilege. Add it to the user's security role."
_SIGN_IN = (
    "Dataverse does not accept the app's token. Check that the app registration or managed identity is an "
    "application user of this environment, and that tenant and client id are right."
)
_NO_TABLE = "A table or operation does not exist in this environment. Check dataverse_url and the names of tables."
_NO_COLUMN = "A column does not exist in Dataverse. Let the app create it, or exclude it in the configuration."
_NO_ROW = "The row that is named does not exist."
_DUPLICATE = "Another row has the same key."
_RANGE = "The number lies outside the column's range."
_ROW_REFUSED = "Dataverse refuses this row."

# (code, status or None for any) -> what it is
_TABLE: dict[tuple[str, int | None], tuple[Kind, str]] = {
    ("0x80072322", None): (Kind.THROTTLED, f"Too many requests in five minutes. {_WAIT}"),
    ("0x80072321", None): (Kind.THROTTLED, f"Too much execution time in five minutes. {_WAIT}"),
    ("0x80072326", None): (Kind.THROTTLED, f"Too many requests at once. {_WAIT}"),
    # One customization at a time: a lock of the organization, not a limit of this user.
    ("0x80071151", None): (Kind.TRANSIENT, "Another customization of the environment is running; tried again."),
    ("0x80044151", None): (Kind.TIMEOUT, "Dataverse's database ran out of time; tried again with fewer rows."),
    ("0x80044150", None): (Kind.TRANSIENT, "Dataverse's database refused for the moment, by deadlock; tried again."),
    ("0x80040216", 500): (Kind.TRANSIENT, _BUSY),
    ("0x80040216", 503): (Kind.TRANSIENT, _BUSY),
    ("0x80040217", None): (Kind.MISSING, _NO_ROW),
    ("0x80060891", None): (Kind.MISSING, _NO_ROW),
    ("0x80040227", None): (Kind.REFERENCED, "Other rows still refer to this row; it is kept until they do not."),
    ("0x80060892", None): (Kind.ROW, _DUPLICATE),
    ("0x80040237", None): (Kind.ROW, _DUPLICATE),
    ("0x80060882", None): (Kind.ROW, "The row was changed by somebody else at the same moment."),
    ("0x80044331", None): (Kind.ROW, "A text is longer than its column allows."),
    ("0x80044330", None): (Kind.ROW, _RANGE),
    ("0x8004432f", None): (Kind.ROW, _RANGE),
    ("0x8004431a", None): (Kind.ROW, "The choice is not one of the column's options."),
    ("0x80040265", None): (Kind.ROW, "A plug-in of this environment refuses the row."),
    ("0x80040224", None): (Kind.ROW, "A plug-in of this environment fails on the row."),
    ("0x80048d19", None): (Kind.ROW, "A value cannot be read as its column's type."),
    ("0x80040220", None): (Kind.CONFIGURATION, _PRIVILEGE),
    ("0x80048306", None): (Kind.CONFIGURATION, _PRIVILEGE),
    ("0x80072560", None): (Kind.CONFIGURATION, _SIGN_IN),  # the user is not a member of the organization
    ("0x8006088a", None): (Kind.CONFIGURATION, _NO_TABLE),
    ("0x80060888", 404): (Kind.CONFIGURATION, _NO_TABLE),
}

_STATUS: dict[int, tuple[Kind, str]] = {
    400: (Kind.ROW, _ROW_REFUSED),
    401: (Kind.CONFIGURATION, _SIGN_IN),
    403: (Kind.CONFIGURATION, _PRIVILEGE),
    404: (Kind.CONFIGURATION, _NO_TABLE),
    405: (Kind.CONFIGURATION, _NO_TABLE),
    408: (Kind.TIMEOUT, "The request took too long; tried again with fewer rows."),
    409: (Kind.ROW, _ROW_REFUSED),
    412: (Kind.ROW, _ROW_REFUSED),
    413: (Kind.OVERSIZED, "The request is too large; sent in smaller parts."),
    429: (Kind.THROTTLED, _WAIT),
    501: (Kind.CONFIGURATION, "This Dataverse does not offer what the app needs."),
}

# Under these codes the same serves for a table's fault and for a row's: the words tell which. Under others a message
# may repeat a customer's value, which must not decide anything.
_TOLD_BY_WORDS = {"", "0x0", "0x80048d19", "0x80060888", "0x80040216"}
_NO_SUCH_COLUMN = re.compile(
    r"could not find a property named '([\w.@]+)'|(?:undeclared|invalid) property '([\w.@]+)'"
    r"|property '([\w.@]+)' does not exist",
    re.IGNORECASE,
)
_PRIVILEGE_NAME = re.compile(r"\bprv\w+")
_PRIVILEGE_TABLE = re.compile(r"for entity '(\w+)'")
_MAX_SIZE = re.compile(r"(the )?maximum (request length|message size)", re.IGNORECASE)


def classify(status: int, code: str, message: str, retry_after: float | None = None) -> Fault:
    """The meaning of one refused request; `status` is 300 or above, `retry_after` in seconds."""
    code = code.lower()
    found = _TABLE.get((code, status)) or _TABLE.get((code, None)) or _STATUS.get(status)
    if found is None:
        found = (Kind.TRANSIENT, _BUSY) if status >= 500 else (Kind.CONFIGURATION, _NO_TABLE)
    kind, text = _STATUS[413] if status == 413 else found
    if kind is Kind.ROW and code in _TOLD_BY_WORDS and (column := _NO_SUCH_COLUMN.search(message)):
        kind, text = Kind.CONFIGURATION, f"{_NO_COLUMN} Column: {next(filter(None, column.groups()))}."
    elif kind is Kind.ROW and _MAX_SIZE.match(message):
        kind, text = _STATUS[413]
    elif kind is Kind.CONFIGURATION and (privilege := _PRIVILEGE_NAME.search(message)):
        on = f" on table {table.group(1)}" if (table := _PRIVILEGE_TABLE.search(message)) else ""
        text = f"{text} Missing: {privilege.group()}{on}."
    return Fault(kind, status, code, text, message, retry_after)


def classify_body(status: int, body: bytes, retry_after: str | None = None, *, now: float = 0.0) -> Fault:
    """The same, from an answer's body and Retry-After header; `now` in seconds since 1970, for a header with a date."""
    code, message = "", ""
    try:
        error = json.loads(body)["error"]
        code, message = str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError):
        pass  # a gateway's answer: the status alone must do
    return classify(status, code, message, seconds_of(retry_after, now=now))


def seconds_of(retry_after: str | None, *, now: float = 0.0) -> float | None:
    """Retry-After in seconds; the header holds seconds or a date (RFC 9110, 10.2.3). Unreadable: None.

    A second where it asks for none, so that nobody asks again without a pause; at most an hour, after which it is asked
    again: no gateway stops the work for years.
    """
    if not retry_after:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        date = since_1970(retry_after)
        seconds = math.nan if date is None else date - now
    if not math.isfinite(seconds):
        return None
    return min(seconds, LONGEST_WAIT) if seconds >= _NO_WAIT else _INSTEAD


def since_1970(date: str | None) -> float | None:
    """A header's date in seconds; None where there is none, or one that cannot be read."""
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, OverflowError):
        return None


def answered_at(date: str | None) -> float:
    """When an answer was given, by its Date header: a Retry-After with a date is one of the service's clock.

    By the machine's clock, which may be wrong, only where the answer does not say.
    """
    served = since_1970(date)
    return time.time() if served is None else served
