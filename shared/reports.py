"""The rejects of a task as people and programs ask for them."""

from __future__ import annotations

from shared import retention, views
from shared.errors import ConfigurationError, GoneError, LostBlobError, NotFoundError
from shared.runs import paths
from shared.runs.model import Files, Run, TaskPhase
from shared.services import Services

MOST_BYTES = 100_000_000
"""An answer is put together in memory."""

_NOT_ENDED = "The task {task} of run {run} has not ended: its rejects are written when it does."
_NONE = "The task {task} of run {run} has no rejects."
_GONE = "The rejects of run {run} are gone: they are kept for {days:g} days (retention_days in hydration.toml)."
_TOO_LARGE = "The rejects are too large for one answer. Take the blob {path} from the app's container."


def rejects(services: Services, run_id: str, task_key: str) -> bytes:
    """The file. Raises NotFoundError, GoneError, ConfigurationError where it is too large, TransientError."""
    run = views.find_run(services, run_id)
    task = services.store.task(run.id, task_key)
    path = paths.rejects_report(run.environment, task)
    try:
        size = services.blobs.size(path)
        if size > MOST_BYTES:
            raise ConfigurationError(_TOO_LARGE.format(path=path))
        return services.blobs.read(path)
    except LostBlobError as fault:
        if task.phase is not TaskPhase.ENDED:
            raise NotFoundError(_NOT_ENDED.format(task=task.key, run=run.id)) from fault
        if are_gone(services, run) and (task.counts.rejected or task.counts.held):
            days = services.settings.hydration.retention_days
            raise GoneError(_GONE.format(run=run.id, days=days)) from fault
        raise NotFoundError(_NONE.format(task=task.key, run=run.id)) from fault


def are_gone(services: Services, run: Run) -> bool:
    """Whether the rejects of a run are kept no longer."""
    return run.files is Files.NONE or retention.is_expired(services, run)
