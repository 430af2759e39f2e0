"""Deleting what nobody needs: what cannot be deleted now is no fault, and one environment's trouble is its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError, ServiceRequestError

from shared import retention
from shared.blobs import Blobs
from shared.errors import ConflictError, TransientError
from shared.runs import paths
from shared.runs.model import Run
from shared.runs.rows import Pointer
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


@pytest.mark.parametrize("status", [409, 412])
def test_a_folder_that_is_not_empty_and_a_blob_that_is_held_or_leased_are_left(
    caplog: pytest.LogCaptureFixture, status: int
) -> None:
    blobs(failing(HttpResponseError("not now"), status)).delete("a")
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


NOW = datetime(2026, 11, 2, 3, tzinfo=UTC)
REPLACED, COMMITTED = (paths.state("org", "msdynci", "contact", run, "a1") for run in ("1", "2"))


class Late:
    """A run that uploaded a state long ago commits it and ends, right before open runs are looked at."""

    def __init__(self) -> None:
        self.pointer = Pointer(path=REPLACED)
        self.deleted: list[str] = []
        hydration = SimpleNamespace(retention_days=30, environments={"e": None})
        self.services = cast(
            "Services",
            SimpleNamespace(
                clock=SimpleNamespace(now=lambda: NOW),
                settings=SimpleNamespace(hydration=hydration),
                blobs=SimpleNamespace(list=self.states, delete=self.deleted.append),
                store=SimpleNamespace(
                    environments=list,
                    all_pointers=lambda _: [self.pointer],
                    past=SimpleNamespace(open_runs=self.end),
                ),
            ),
        )

    def states(self, _: str) -> list[tuple[str, datetime]]:
        return [(path, NOW - timedelta(days=31)) for path in (REPLACED, COMMITTED) if path not in self.deleted]

    def end(self, _: str) -> list[Run]:
        self.pointer = Pointer(path=COMMITTED)
        return []


def test_a_state_that_is_committed_while_it_looks_is_not_deleted() -> None:
    late = Late()
    retention._tidy_states(late.services, retention._Share(10))
    assert late.deleted == []
    retention._tidy_states(late.services, retention._Share(10))
    assert late.deleted == [REPLACED]
