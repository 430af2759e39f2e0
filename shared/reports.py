"""The rejects of a task as people and programs ask for them."""

from __future__ import annotations

from shared import views
from shared.errors import GoneError, LostBlobError, NotFoundError, TooLargeError
from shared.runs import paths
from shared.runs.entities import key
from shared.runs.model import Mode, Run, Status, Task, TaskPhase
from shared.services import Services

MOST_BYTES = 20_000_000
"""An answer is put together in memory, several times over, and several may be asked for at once."""

_NOT_ENDED = "The task {task} of run {run} has not ended: its rejects are written when it does."
_NONE = "The task {task} of run {run} has no rejects."
_A_PLAN = "The task {task} of run {run} has no rejects: the run was a plan, which refuses nothing and writes no file."
_HELD = "The task {task} of run {run} has no rejects. What it holds stands in no file; its detail says why it is held."
_UNWRITTEN = "The task {task} of run {run} ended {status} without a file of its rejects: {reason}"
_GONE = "The rejects of run {run} are gone: they are kept for {days:g} days (retention_days in hydration.toml)."
_LOST = (
    "The rejects of run {run} are gone before their time. Restore the blob {path} (soft delete keeps deleted blobs)."
)
_TOO_LARGE = (
    "The rejects are too large for one answer ({size:,} bytes; at most {most:,}). Take the blob {path} from the app's "
    "container ({container})."
)


def rejects(services: Services, run_id: str, task_key: str) -> bytes:
    """The file. Raises NotFoundError, GoneError, TooLargeError, TransientError."""
    run = views.find_run(services, run_id)
    task = services.store.task(run.id, task_key)
    if task.phase is not TaskPhase.ENDED:
        raise NotFoundError(_NOT_ENDED.format(task=task.key, run=run.id))
    if task.reported and not views.keeps_rejects(services, run):
        days = services.settings.hydration.retention_days
        raise GoneError(_GONE.format(run=run.id, days=days))
    path = paths.rejects_report(run.environment, task)
    try:
        size = services.blobs.size(path)
        if size > MOST_BYTES:
            container = services.settings.hydration_container
            raise TooLargeError(_TOO_LARGE.format(size=size, most=MOST_BYTES, path=path, container=container))
        return services.blobs.read(path)
    except LostBlobError as fault:
        if task.reported:
            raise GoneError(_LOST.format(run=run.id, path=path)) from fault
        raise NotFoundError(_why_none(run, task)) from fault


def file_name(run_id: str, task_key: str) -> str:
    """What a download is called, in characters that a header and a file system take."""
    return f"rejects-{key(task_key)}-{key(run_id)}.csv"


def _why_none(run: Run, task: Task) -> str:
    """Why a task that has ended has no file of rejects."""
    if run.mode is Mode.PLAN:
        text = _A_PLAN
    elif task.status not in {Status.SUCCESSFUL, Status.COMPLETED_WITH_REJECTS}:
        text = _UNWRITTEN
    else:
        text = _HELD if task.counts.held else _NONE
    return text.format(task=task.key, run=run.id, status=task.status, reason=task.detail.partition("\n")[0])
