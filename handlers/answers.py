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
    TransientError,
)


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
    except ConfigurationError as fault:
        return _error(400, fault, fault.faults)
    except NotFoundError as fault:
        return _error(404, fault)
    except GoneError as fault:
        return _error(410, fault)
    except OvertakenError as fault:
        return _error(409, fault)
    except TransientError as fault:
        return _error(503, fault)


def _error(status: int, fault: HydrationError, faults: tuple[str, ...] = ()) -> func.HttpResponse:
    return answer({"error": {"message": str(fault), "faults": list(faults) or [str(fault)]}}, status)
