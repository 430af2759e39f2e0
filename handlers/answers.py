"""HTTP answers: JSON, and errors that say what is wrong and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import azure.functions as func

from shared.errors import (
    ConfigurationError,
    GoneError,
    HydrationError,
    NotFoundError,
    OvertakenError,
    TooLargeError,
    TransientError,
)

_STATUSES: dict[type[HydrationError], int] = {
    ConfigurationError: 400,
    NotFoundError: 404,
    OvertakenError: 409,
    GoneError: 410,
    TooLargeError: 413,
    TransientError: 503,
}


def answer(content: Any, status: int = 200) -> func.HttpResponse:
    """A JSON answer."""
    return func.HttpResponse(json.dumps(content, ensure_ascii=False), status_code=status, mimetype="application/json")


def body(req: func.HttpRequest) -> Any:
    """The JSON of a request's body; None where it has none. Raises ConfigurationError."""
    try:
        return json.loads(req.get_body() or b"null")
    except ValueError as fault:
        raise ConfigurationError(f"The body is not JSON: {fault}.") from fault


def or_error(work: Callable[[], func.HttpResponse]) -> func.HttpResponse:
    """The work's answer, or an error that says why there is none."""
    try:
        return work()
    except tuple(_STATUSES) as fault:
        status = next(status for kind, status in _STATUSES.items() if isinstance(fault, kind))
        return _error(status, fault, getattr(fault, "faults", ()))


def _error(status: int, fault: HydrationError, faults: tuple[str, ...] = ()) -> func.HttpResponse:
    return answer({"error": {"message": str(fault), "faults": list(faults) or [str(fault)]}}, status)
