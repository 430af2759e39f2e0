"""Keeping a claim on a task alive while one long step runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from shared.errors import ConflictError, NotFoundError, TransientError
from shared.runs import life
from shared.runs.model import Task, TaskPhase
from shared.services import Services

_log = logging.getLogger(__name__)


class TaskClaim:
    """A task that this worker holds. `task` is its newest version."""

    def __init__(self, services: Services, task: Task) -> None:
        self.task = task
        self._services = services
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def renew(self) -> None:
        """Take the lease anew."""
        with self._lock:
            if not self._stop.is_set():
                lease = self._services.clock.now() + timedelta(seconds=self._services.settings.lease_seconds)
                self.task = self._services.store.save_task(replace(self.task, lease_until=lease))

    def save(self, task: Task) -> Task:
        """Write the task for the last time under this claim. Raises ConflictError where somebody else took it."""
        with self._lock:
            self._stop.set()
            self.task = self._services.store.save_task(replace(task, etag=self.task.etag, owner="", lease_until=None))
            return self.task

    def release(self) -> None:
        """Give the task back at once, so that nobody waits for the lease. This try does not count."""
        phase = TaskPhase.WAITING if self.task.phase is TaskPhase.PLANNING else self.task.phase
        try:
            self.save(life.task(self.task, phase, tries=self.task.tries - 1))
        except (TransientError, NotFoundError):
            _log.info("claim.not_released", extra={"run": self.task.run, "task": self.task.key})

    def beat(self) -> None:
        """Renew the lease at every third of it until told to stop."""
        while not self._stop.wait(self._services.settings.lease_seconds / 3):
            try:
                self.renew()
            except (ConflictError, NotFoundError):
                return  # somebody else took it, or it is gone: what is saved under this claim conflicts
            except TransientError:
                _log.warning("claim.not_renewed", extra={"run": self.task.run, "task": self.task.key})

    def stop(self) -> None:
        """Let the lease run out."""
        self._stop.set()


@contextmanager
def claimed(services: Services, task: Task, *, phase: TaskPhase) -> Iterator[TaskClaim]:
    """Hold a task while something is done with it. Raises ConflictError where somebody else was faster."""
    held = life.task(
        task, phase, owner=services.worker, tries=task.tries + 1,
        lease_until=services.clock.now() + timedelta(seconds=services.settings.lease_seconds),
    )  # fmt: skip
    claim = TaskClaim(services, services.store.save_task(held))
    beat = threading.Thread(target=claim.beat, daemon=True, name=f"claim {task.key}")
    beat.start()
    try:
        yield claim
    except Exception:
        claim.release()
        raise
    finally:
        claim.stop()
        beat.join()


def is_held(services: Services, task: Task) -> bool:
    """Whether a worker holds the task right now."""
    return bool(task.owner) and task.lease_until is not None and task.lease_until > services.clock.now()
