"""Creating what was looked for and is missing: once, whoever else creates the same at the same moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.dataverse.client import Client
from shared.dataverse.errors import Kind
from shared.dataverse.patience import Patience
from shared.errors import ConfigurationError, TransientError


@dataclass(frozen=True)
class Creation:
    """One POST. `name` is what messages call it by; `present` looks whether it is there by now."""

    path: str
    body: Mapping[str, Any]
    name: str
    present: Callable[[], bool]


def customizing(client: Client) -> Patience:
    """The client's patience for customizations: Dataverse makes one at a time, and another one may take minutes."""
    return replace(client.patience, attempts=12, seconds=150.0, first=2.0, longest=20.0)


def create(client: Client, creation: Creation, headers: Mapping[str, str] | None = None) -> bool:
    """Create what is known to be missing. False: somebody else was faster.

    Raises ConfigurationError for a refusal, TransientError and ThrottledError when patience is at its end.
    """
    sent = False

    def call() -> bool:
        nonlocal sent
        if sent and creation.present():
            return True  # an attempt without an answer was carried out
        sent = True
        response = client.request("POST", creation.path, json=dict(creation.body), headers=headers)
        if response.is_success:
            return True
        fault = client.fault(response)
        if fault.kind is Kind.TIMEOUT or "Cannot start the requested operation" in fault.message:
            raise TransientError(f"{client.url}, creating {creation.name}: {fault}")
        if creation.present():
            return False
        # The message speaks of names only, none of a customer's values.
        raise ConfigurationError(f"{client.url} refuses to create {creation.name}: {fault.message} {fault}")

    return customizing(client).persist(call)
