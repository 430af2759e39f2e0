"""Deleting what nobody needs: what cannot be deleted now is no fault, and one environment's trouble is its own."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError, ServiceRequestError

from shared import retention
from shared.blobs import Blobs
from shared.errors import ConflictError, TransientError
from shared.services import Services


def blobs(delete: Callable[..., None]) -> Blobs:
    found = object.__new__(Blobs)
    found._container = cast("Any", SimpleNamespace(delete_blob=delete))
    return found


def failing(fault: Exception, status: int = 0) -> Callable[..., None]:
    def delete(*_: object, **__: object) -> None:
        if isinstance(fault, HttpResponseError):
            fault.status_code = status
        raise fault

    return delete


def test_what_is_gone_is_deleted() -> None:
    blobs(failing(ResourceNotFoundError("gone"), 404)).delete("a")


def test_a_folder_that_is_not_empty_or_a_blob_under_a_hold_is_left(caplog: pytest.LogCaptureFixture) -> None:
    blobs(failing(HttpResponseError("not empty"), 409)).delete("a")
    assert [record.message for record in caplog.records] == ["blob.not_deleted"]


@pytest.mark.parametrize(("fault", "status"), [(HttpResponseError("no"), 403), (ServiceRequestError("off"), 0)])
def test_any_other_answer_puts_it_off(fault: Exception, status: int) -> None:
    with pytest.raises(TransientError):
        blobs(failing(fault, status)).delete("a")


def test_one_environments_trouble_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def tidy_runs(_: Services, environment: str, __: object) -> None:
        seen.append(environment)
        if environment == "a":
            raise ConflictError("somebody else")
        if environment == "b":
            raise TransientError("no answer")

    monkeypatch.setattr(retention, "_tidy_runs", tidy_runs)
    monkeypatch.setattr(retention, "_tidy_states", lambda *_: seen.append("states"))
    known = [SimpleNamespace(id=name) for name in ("c", "a")]
    services = SimpleNamespace(
        store=SimpleNamespace(environments=lambda: known),
        settings=SimpleNamespace(hydration=SimpleNamespace(environments={"b": None, "c": None})),
    )
    retention.tidy(cast("Services", services))
    assert seen == ["a", "b", "c", "states"]
