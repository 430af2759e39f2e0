"""The parts of a process are made at the first call that can, and again where they could not be made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import azure.functions as func
import pytest
from azure.core.exceptions import ServiceRequestError

from handlers import status
from shared import services
from shared.errors import ConfigurationError, TransientError
from shared.settings import Settings

SETTINGS = cast("Settings", SimpleNamespace(status_storage=None, service_bus=None))


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is wrong: of `settings` and `storage`; the other parts are stood in for."""
    found: list[str] = []

    def load(*_: object) -> Settings:
        if "settings" in found:
            raise ConfigurationError(["ServiceBus must be set."])
        return SETTINGS

    class Store:
        def __init__(self, *_: object) -> None:
            """It opens no connection."""

        def create_tables(self) -> None:
            if "storage" in found:
                raise ServiceRequestError("refused")

        def environments(self) -> list[Any]:
            return []

    class Part:
        def __init__(self, *_: object) -> None:
            """Nobody asks it."""

        def create_container(self) -> None:
            """It is there."""

    monkeypatch.setattr(services, "load", load)
    monkeypatch.setattr(services, "Store", Store)
    for name in ("Blobs", "Lake", "Queues", "Organizations", "Throttling"):
        monkeypatch.setattr(services, name, Part)
    services._once.cache_clear()
    yield found
    services._once.cache_clear()


def test_a_storage_that_is_away_is_a_passing_fault_and_the_next_call_begins_anew(away: list[str]) -> None:
    away.append("storage")
    with pytest.raises(TransientError, match="The status storage did not answer as expected: ServiceRequestError"):
        services.services()
    away.clear()
    assert services.services() is services.services(), "made once"


def test_settings_that_were_wrong_are_read_again(away: list[str]) -> None:
    away.append("settings")
    with pytest.raises(ConfigurationError, match="ServiceBus must be set"):
        services.services()
    away.clear()
    assert services.services().settings is SETTINGS


@pytest.mark.parametrize("fault", ["settings", "storage"])
def test_health_says_that_a_process_cannot_begin(away: list[str], fault: str) -> None:
    (function,) = [one for one in status.blueprint._function_builders if one._function.get_function_name() == "health"]
    ask = function._function.get_user_function()
    away.append(fault)
    answer = ask(cast("func.HttpRequest", None))
    assert (answer.status_code, json.loads(answer.get_body())) == (503, {"status": "unhealthy"})
    away.clear()
    assert ask(cast("func.HttpRequest", None)).status_code == 200
