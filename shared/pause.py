"""Environments that a person holds still: what was begun is finished, nothing else is begun until it is resumed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from shared import lifecycle
from shared.errors import ConfigurationError, ConflictError, NotFoundError, TransientError
from shared.runs.model import Environment
from shared.services import Services

_log = logging.getLogger(__name__)
_ATTEMPTS = 20
_LONGEST_REASON = 500  # characters
_PAUSED = "Paused since {since}{reason}. Resume with POST /api/environments/{id}/resume."
_UNKNOWN = (
    "There is no environment {id}: hydration.toml does not name it, and the lake never had its output. "
    "GET /api/environments lists those that there are."
)
_BAD_REASON = f"reason must be a text of 1 to {_LONGEST_REASON} characters; it may be left out."
_BAD_BODY = 'The body must be empty or a JSON object such as {"reason": "Maintenance."}.'


def known(services: Services) -> list[Environment]:
    """Every environment that is configured or was seen, by id."""
    found = {environment.id: environment for environment in services.store.environments()}
    configured = services.settings.hydration.environments
    return [found.get(name) or Environment(name) for name in sorted({*found, *configured})]


def find(services: Services, environment: str) -> Environment:
    """One of them. Raises NotFoundError."""
    found = services.store.environment(environment)
    if not found.etag and environment not in services.settings.hydration.environments:
        raise NotFoundError(_UNKNOWN.format(id=environment))
    return found


def pause(services: Services, environment: str, reason: str) -> Environment:
    """Begin nothing more in the environment. One that is paused stays so since when it was, with the newer reason."""
    now = services.clock.now()

    def paused(found: Environment) -> Environment:
        return replace(found, paused=found.paused or now, pause_reason=reason or found.pause_reason)

    return _change(services, environment, paused)


def resume(services: Services, environment: str) -> Environment:
    """Go on, at once: all that is open is asked for again. Done again where an earlier call came to no end."""
    found = _change(services, environment, lambda one: replace(one, paused=None, pause_reason=""))
    lifecycle.ask_again(services, environment)
    return found


def read_reason(content: object) -> str:
    """Why, as the request says; empty where it does not. Raises ConfigurationError."""
    if content is None:
        return ""
    if not isinstance(content, dict):
        raise ConfigurationError(_BAD_BODY)
    faults = [f"{name} is not known here: only reason is." for name in sorted(content.keys() - {"reason"})]
    reason = content.get("reason", "-")
    if not isinstance(reason, str) or not reason.strip() or len(reason) > _LONGEST_REASON:
        faults.append(_BAD_REASON)
    if faults:
        raise ConfigurationError(faults)
    return str(content.get("reason", "")).strip()


def sentence(environment: Environment, *, named: bool = False) -> str:
    """Since when and why it is paused (which, where it is to be `named`), how to resume; empty where it is not."""
    if environment.paused is None:
        return ""
    since = environment.paused.isoformat(timespec="seconds")
    reason = f": {environment.pause_reason.rstrip('.')}" if environment.pause_reason else ""
    said = _PAUSED.format(since=since, reason=reason, id=environment.id)
    return f"Environment {environment.id}: {said}" if named else said


def _change(services: Services, environment: str, change: Callable[[Environment], Environment]) -> Environment:
    for _ in range(_ATTEMPTS):
        found = find(services, environment)
        wanted = change(found)
        if wanted == found:
            return found
        try:
            saved = services.store.save_environment(wanted)
        except ConflictError:
            continue  # somebody looks at the lake at the same moment, or has bound the environment
        _log.info("environment.changed", extra={"environment": environment, "paused": saved.paused is not None})
        return saved
    raise TransientError(f"Other workers are busy with the environment {environment}. Try again.")
