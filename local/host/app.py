"""The app under this host: its functions, its host.json, its settings."""

from __future__ import annotations

import importlib
import inspect
import json
import logging
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import azure.functions as func

from shared.errors import ConfigurationError

SERVICE_BUS, TIMER, BLOB, HTTP = "serviceBusTrigger", "timerTrigger", "blobTrigger", "httpTrigger"
KINDS = (SERVICE_BUS, TIMER, BLOB, HTTP)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Function:
    """One registered function. `argument`: the parameter that takes what triggered it."""

    name: str
    kind: str
    trigger: Any
    call: Callable[..., Any]
    directory: Path

    @property
    def argument(self) -> str:
        """The name of the parameter that the trigger is bound to."""
        return str(self.trigger.name)

    @property
    def takes_context(self) -> bool:
        """Whether it has a parameter `context`."""
        return "context" in inspect.signature(self.call).parameters


@dataclass(frozen=True)
class Limits:
    """What host.json says, with the real host's defaults; times in seconds."""

    concurrent_calls: int = 16
    renew_locks_for: float = 300.0
    blobs_at_once: int = 8
    poison_after: int = 5
    route_prefix: str = "api"


def load(directory: Path) -> list[Function]:
    """Import function_app.py as the worker does, and list what it registers.

    ConfigurationError: no such file, no app in it, or a trigger that this host does not serve.
    """
    if not (directory / "function_app.py").exists():
        raise ConfigurationError(f"{directory} holds no function_app.py: name the app's folder with --app")
    sys.path.insert(0, str(directory))
    os.chdir(directory)  # as Core Tools do: relative paths in settings are the app's
    module = importlib.import_module("function_app")
    apps = [value for value in vars(module).values() if isinstance(value, func.FunctionRegister)]
    if len(apps) != 1:
        raise ConfigurationError(f"function_app.py must hold one FunctionApp, it holds {len(apps)}")
    functions = [_function(registered, directory) for registered in apps[0].get_functions()]
    unserved = [
        f"function {each.name}: this host serves no {each.kind}" for each in functions if each.kind not in KINDS
    ]
    if unserved:
        raise ConfigurationError(unserved)
    return functions


def _function(registered: Any, directory: Path) -> Function:
    trigger = registered.get_trigger()
    call = registered.get_user_function()
    return Function(str(registered.get_function_name()), str(trigger.type), trigger, call, directory)


def limits(directory: Path) -> Limits:
    """The limits that the app's host.json sets."""
    file = directory / "host.json"
    extensions = (json.loads(file.read_text()) if file.exists() else {}).get("extensions", {})
    bus, blobs = extensions.get("serviceBus", {}), extensions.get("blobs", {})
    plain = Limits()
    return Limits(
        concurrent_calls=bus.get("maxConcurrentCalls", plain.concurrent_calls),
        renew_locks_for=seconds(bus.get("maxAutoLockRenewalDuration", "00:05:00")),
        blobs_at_once=blobs.get("maxDegreeOfParallelism", plain.blobs_at_once),
        poison_after=blobs.get("poisonBlobThreshold", plain.poison_after),
        route_prefix=extensions.get("http", {}).get("routePrefix", plain.route_prefix),
    )


def seconds(span: str) -> float:
    """A .NET time span, `[d.]hh:mm:ss`. ConfigurationError: it is none."""
    parts = re.fullmatch(r"(?:(\d+)\.)?(\d+):(\d+):(\d+)", span)
    if parts is None:
        raise ConfigurationError(f"host.json: {span!r} is no time span, expected [d.]hh:mm:ss")
    days, hours, minutes, rest = (int(part or 0) for part in parts.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + rest)


def resolve(text: str) -> str:
    """Replace each %SETTING% by the setting's value. ConfigurationError: it is not set."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            raise ConfigurationError(f"setting {found[1]} is not set, and a trigger uses it as %{found[1]}%")
        return os.environ[found[1]]

    return re.sub(r"%([^%\s]+)%", value, text)


def connection(name: str, function: str) -> str:
    """The connection string behind a trigger's connection name. ConfigurationError: there is none."""
    found = os.environ.get(name) or os.environ.get(f"AzureWebJobs{name}")
    if not found:
        raise ConfigurationError(
            f"setting {name} is not set, and function {function} connects by it (this host needs a connection string)"
        )
    return found
