"""What is left of ended runs: files that only planning and sending needed go soon, the rest after `retention_days`.

All of it can be broken off anywhere and done again, by several workers at once. A run's row goes last: as long as it is
there, the next look finds what was not deleted yet.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared import confirm, lifecycle
from shared.errors import ConflictError, HydrationError, NotFoundError
from shared.runs import leftovers, paths
from shared.runs.leftovers import Ended
from shared.runs.model import Files, Run, Task
from shared.services import Services

_log = logging.getLogger(__name__)

MOST_DELETED = 500
"""How many blobs or rows go at one look, so that it is over soon; what is left goes at the next ones."""


@dataclass
class _Share:
    """How much may be deleted still."""

    left: int

    def take(self, wanted: list[str]) -> list[str]:
        taken = wanted[: self.left]
        self.left -= len(taken)
        return taken


def tidy(services: Services, most: int = MOST_DELETED) -> None:
    """Delete what nobody needs any more, at most so much. One environment's fault leaves the others."""
    share = _Share(most)
    for environment in _environments(services):
        try:
            _tidy_runs(services, environment, share)
        except ConflictError:
            continue  # another worker tidies, or somebody confirms: the next look sees what is left
        except HydrationError as fault:
            _log.warning("tidy.put_off", extra={"environment": environment, "reason": str(fault)})
    try:
        _tidy_states(services, share)
    except HydrationError as fault:
        _log.warning("tidy.put_off", extra={"environment": "", "reason": str(fault)})


def is_expired(services: Services, run: Run) -> bool:
    """Whether what is left of a run is kept no longer."""
    return leftovers.is_expired(run, services.clock.now(), services.settings.hydration.retention_days)


def _environments(services: Services) -> list[str]:
    found = {environment.id for environment in services.store.environments()}
    return sorted({*found, *services.settings.hydration.environments})


def _limit(services: Services) -> datetime:
    return services.clock.now() - timedelta(days=services.settings.hydration.retention_days)


# -- runs ------------------------------------------------------------------------------------------------


def _tidy_runs(services: Services, environment: str, share: _Share) -> None:
    now, past = services.clock.now(), services.store.past
    old = [run for run in past.opened_before(environment, _limit(services)) if is_expired(services, run)]
    runs = {run.id: run for run in (*old, *past.untidied(environment))}
    newest = next((run.id for run in services.store.runs(environment, limit=1)), "")
    for run in runs.values():
        if not share.left:
            return
        over = leftovers.is_over(run, now, lease_seconds=services.settings.lease_seconds)
        if over and not (run.id == newest and run.files is Files.NONE):
            _tidy_run(services, run, share, newest=run.id == newest)


def _tidy_run(services: Services, run: Run, share: _Share, *, newest: bool) -> None:
    ended, expired = _ended(services, run, newest=newest), is_expired(services, run)
    if not _delete_blobs(services, ended, share, expired=expired):
        return
    if expired and not _delete_rows(services.store.past.forget_chunks, run, share):
        return
    if (left := leftovers.files_after(ended, expired=expired)) is not run.files:
        run = services.store.past.mark(replace(run, files=left))
        _log.info("run.tidied", extra={"run": run.id, "environment": run.environment, "left": str(left)})
    if leftovers.rows_may_go(ended, expired=expired) and _delete_rows(services.store.past.forget_tasks, run, share):
        services.store.past.forget(run)
        _log.info("run.forgotten", extra={"run": run.id, "environment": run.environment})


def _delete_blobs(services: Services, ended: Ended, share: _Share, *, expired: bool) -> bool:
    """Delete what may go; whether all of it went."""
    folder = paths.run(ended.run.environment, ended.run.id)
    found = [path for path, _ in services.blobs.list(f"{folder}/")]
    wanted = leftovers.blobs_to_delete(ended, found, expired=expired)
    taken = share.take(wanted)
    for path in taken:
        services.blobs.delete(path)
    return len(taken) == len(wanted)


def _delete_rows(forget: Callable[[str, int], int], run: Run, share: _Share) -> bool:
    """Delete rows of a kind; whether none is left."""
    most = share.left
    if most <= 0:
        return False
    share.left -= (deleted := forget(run.id, most))
    return deleted < most


def _ended(services: Services, run: Run, *, newest: bool) -> Ended:
    """Who may need something of the run. What comes later can need less, but never more."""
    pointers = services.store.all_pointers(run.organization_id) if run.organization_id else []
    pending = frozenset(path for pointer in pointers for path in pointer.pending)
    return Ended(run, pending, _confirmable(services, run), newest)


def _confirmable(services: Services, run: Run) -> list[Task]:
    """The tasks whose held rows can be confirmed still."""
    held = confirm.held(lifecycle.tasks_of(services, run))
    if not held:
        return []
    try:
        continuation = services.store.run(run.environment, run.confirmed_by) if run.confirmed_by else None
    except NotFoundError:
        continuation = None
    last = services.store.lock(run.environment).last
    return held if leftovers.can_be_confirmed(run, last, continuation) else []


# -- applied states --------------------------------------------------------------------------------------


def _tidy_states(services: Services, share: _Share) -> None:
    """Delete applied states that a newer one has replaced. Who needs one is looked up after it was found.

    What a run commits and ends with between the looks at pointers and at open runs would be in neither: where pointers
    have changed meanwhile, the next look decides. A run that opens later is planned against what they name.
    """
    if not share.left:
        return
    limit = _limit(services)
    old = [(path, written) for path, written in services.blobs.list(paths.STATES) if written < limit]
    if not old:
        return
    named = _named(services, old)
    opened = [run for one in _environments(services) for run in services.store.past.open_runs(one)]
    bases = {task.base_state for run in opened for task in services.store.tasks(run.id)}
    if _named(services, old) != named:
        return
    for path in share.take(leftovers.states_to_delete(old, named | bases, [run.id for run in opened], limit)):
        services.blobs.delete(path)


def _named(services: Services, states: list[tuple[str, datetime]]) -> set[str]:
    """What the pointers of the organizations name that the states belong to."""
    organizations = {path.split("/")[1] for path, _ in states}
    pointers = [pointer for each in organizations for pointer in services.store.all_pointers(each)]
    return {path for pointer in pointers for path in (pointer.path, pointer.refused)}
