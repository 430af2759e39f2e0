"""Whether a task's rejects are there, kept no longer or never were: what is answered, and what its view says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import azure.functions as func
import pytest

from handlers.answers import or_error
from shared import reports, views
from shared.delta.counts import Counts
from shared.errors import GoneError, HydrationError, LostBlobError, NotFoundError, TooLargeError
from shared.runs import paths
from shared.runs.model import Files, Kind, Mode, Phase, Run, Status, Task, TaskPhase
from shared.services import Services

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
RUN = Run("20261121T090000", "e/1", status=Status.COMPLETED_WITH_REJECTS, phase=Phase.ENDED, ended=NOW)
OLD = replace(RUN, ended=NOW - timedelta(days=31))
TASK = Task(
    RUN.id, "link.contact", "Link contact", Kind.LINK, "contact", status=Status.COMPLETED_WITH_REJECTS,
    phase=TaskPhase.ENDED, counts=Counts(rejected=5), detail="5 links rejected.", reported=True,
)  # fmt: skip
HELD = replace(TASK, counts=Counts(held=150), detail="Nothing changed.", reported=False)
UNRECORDED = replace(TASK, status=Status.FAILED, detail="Its outcome could not be recorded: so.\nMore.", reported=False)
PATH = paths.rejects_report(RUN.environment, TASK)
ADDRESS = f"/api/runs/{RUN.id}/rejects/link.contact"


class Kept:
    """The app's container."""

    def __init__(self, size: int) -> None:
        self._size = size

    def size(self, path: str) -> int:
        if not self._size or path != PATH:
            raise LostBlobError(path)
        return self._size

    def read(self, path: str) -> bytes:
        return b"x" * self.size(path)


def services(run: Run, task: Task, size: int = 0) -> Services:
    store = SimpleNamespace(find_run=lambda _: run, task=lambda *_: task)
    settings = SimpleNamespace(hydration=SimpleNamespace(retention_days=30.0), hydration_container="hydration")
    clock = SimpleNamespace(now=lambda: NOW)
    return cast("Services", SimpleNamespace(store=store, settings=settings, clock=clock, blobs=Kept(size)))


def asked(run: Run, task: Task, size: int = 0) -> bytes:
    return reports.rejects(services(run, task, size), run.id, task.key)


def shown(run: Run, task: Task) -> dict[str, Any]:
    return views.task_view(services(run, task), run, task, [])


def test_a_file_that_was_written_is_given_out_and_its_address_shown() -> None:
    assert asked(RUN, TASK, 3) == b"xxx"
    assert (shown(RUN, TASK)["rejects"], shown(RUN, TASK)["detail"]) == (ADDRESS, TASK.detail)


@pytest.mark.parametrize("run", [OLD, replace(RUN, files=Files.NONE), replace(OLD, files=Files.NONE)])
@pytest.mark.parametrize("size", [0, 3])
def test_what_is_kept_no_longer_is_gone_whether_it_was_deleted_yet_or_not(run: Run, size: int) -> None:
    with pytest.raises(GoneError, match="are gone: they are kept for 30 days"):
        asked(run, TASK, size)
    assert shown(run, TASK)["rejects"] is None
    assert shown(run, TASK)["detail"] == f"{TASK.detail}\nIts rejects are gone: they are kept for 30 days."


@pytest.mark.parametrize(
    ("mode", "task", "says"),
    [
        (Mode.INCREMENTAL, replace(TASK, counts=Counts(), reported=False), "has no rejects.$"),
        (Mode.INCREMENTAL, HELD, "has no rejects. What it holds stands in no file"),
        (Mode.PLAN, replace(TASK, reported=False), "has no rejects: the run was a plan"),
        (Mode.INCREMENTAL, UNRECORDED, "ended Failed without a file of its rejects: Its outcome could not .*: so.$"),
    ],
)
@pytest.mark.parametrize("run", [RUN, OLD, replace(OLD, files=Files.NONE)])
def test_what_never_was_is_not_there_before_and_after_its_time(run: Run, mode: Mode, task: Task, says: str) -> None:
    run = replace(run, mode=mode)
    with pytest.raises(NotFoundError, match=says):
        asked(run, task)
    assert (shown(run, task)["rejects"], shown(run, task)["detail"]) == (None, task.detail)


def test_before_the_task_has_ended_nothing_is_given_out() -> None:
    with pytest.raises(NotFoundError, match="has not ended"):
        asked(replace(RUN, phase=Phase.SENDING), replace(TASK, phase=TaskPhase.PLANNED, reported=False), 3)


def test_a_file_that_somebody_deleted_can_be_restored() -> None:
    with pytest.raises(GoneError, match=f"before their time. Restore the blob {PATH} "):
        asked(RUN, TASK)


def test_what_is_too_large_is_named_where_it_lies() -> None:
    assert len(asked(RUN, TASK, reports.MOST_BYTES)) == reports.MOST_BYTES
    with pytest.raises(TooLargeError, match=rf"20,000,001 bytes.* blob {PATH} from the app's container \(hydration\)"):
        asked(RUN, TASK, reports.MOST_BYTES + 1)


@pytest.mark.parametrize(("fault", "status"), [(NotFoundError, 404), (GoneError, 410), (TooLargeError, 413)])
def test_each_has_its_status(fault: type[HydrationError], status: int) -> None:
    def raises(error: HydrationError) -> Callable[[], func.HttpResponse]:
        def work() -> func.HttpResponse:
            raise error

        return work

    assert or_error(raises(fault("Why."))).status_code == status


def test_a_download_is_named_after_its_task_and_run() -> None:
    assert reports.file_name(RUN.id, TASK.key) == f"rejects-link.contact-{RUN.id}.csv"
    assert reports.file_name("r", 'ä"/\r\n') == "rejects-=c3=a4=22=2f=0d=0a-r.csv"
