"""Carrying out what a run held: another run, a continuation, writes exactly that, until a newer run has judged anew."""

from __future__ import annotations

import logging
from dataclasses import replace

from shared import lifecycle
from shared.errors import ConfigurationError, ConflictError, OvertakenError, TransientError
from shared.runs import openings
from shared.runs.model import Mode, Phase, Run, Task
from shared.services import Services

_log = logging.getLogger(__name__)
_ATTEMPTS = 20
_NOT_ENDED = "The run {run} has not ended: wait until it has, and look at what it holds."
_A_PLAN = (
    "The run {run} was a plan: nothing was written, so there is nothing to confirm. Ask for a run; what that one holds "
    "can be confirmed."
)
_NOTHING_HELD = "The run {run} holds nothing that can be confirmed: look at the held rows of its tasks, and why."
_CONFIRMED = "What the run {run} held was confirmed already: the run {by} ended {status}. Look at it."
_BUSY = (
    "The run {run} has the environment at the moment, and judges anew unless it is a plan. Wait until it has ended, "
    "and look at what it holds."
)
_ELSEWHERE = (
    "The run {run} wrote to the organization {before}; behind the environment's dataverse_url is now {now}. What it "
    "held is not carried out there: ask for a run."
)


def confirm(services: Services, run_id: str) -> Run:
    """The run that carries out what another one held; the same one, however often it is asked for.

    Raises NotFoundError, ConfigurationError where there is nothing to confirm, OvertakenError where it is too late.
    """
    for _ in range(_ATTEMPTS):
        run = services.store.find_run(run_id)
        if run.confirmed_by:
            return _going_on(services, run)
        _may_be_confirmed(services, run)
        services.environment(run.environment)
        made = openings.continuation(run, services.clock.now())
        try:
            # Both rows or none, guarded by the version of the confirmed run: of two who ask at once, one makes a run.
            services.store.save_runs([made, replace(run, confirmed_by=made.id)])
        except ConflictError:
            continue
        _log.info("run.confirmed", extra={"run": run.id, "environment": run.environment, "by": made.id})
        lifecycle.start_next(services, run.environment)
        return services.store.run(run.environment, made.id)
    raise TransientError(f"Other workers are busy with the run {run_id}. Try again.")


def _going_on(services: Services, run: Run) -> Run:
    found = services.store.run(run.environment, run.confirmed_by)
    if found.phase is Phase.ENDED:
        raise OvertakenError(_CONFIRMED.format(run=run.id, by=found.id, status=found.status))
    lifecycle.start_next(services, run.environment)  # who made it may have come no further
    return services.store.run(run.environment, found.id)


def _may_be_confirmed(services: Services, run: Run) -> None:
    if run.phase is not Phase.ENDED:
        raise ConfigurationError(_NOT_ENDED.format(run=run.id))
    if run.mode is Mode.PLAN:
        raise ConfigurationError(_A_PLAN.format(run=run.id))
    if not held(lifecycle.tasks_of(services, run)):
        raise ConfigurationError(_NOTHING_HELD.format(run=run.id))
    lock = services.store.lock(run.environment)
    if lock.last != run.id:
        raise OvertakenError(openings.overtaken_by(lock))
    if lock.run:
        raise OvertakenError(_BUSY.format(run=lock.run))


def held(tasks: list[Task]) -> list[Task]:
    """Those that held what a person may confirm, and with them those whose removals Dataverse refused because of it."""
    confirmable = [task for task in tasks if task.confirmable > 0]
    refused = [task for task in tasks if task.counts.held and not task.confirmable]
    return [*confirmable, *refused] if confirmable else []


def find_tasks(services: Services, run: Run) -> list[Task]:
    """The tasks of a continuation that is bound to its organization. Raises ConfigurationError."""
    confirmed = services.store.run(run.environment, run.confirms)
    if confirmed.organization_id != run.organization_id:
        before, now = confirmed.organization_id, run.organization_id
        raise ConfigurationError(_ELSEWHERE.format(run=confirmed.id, before=before, now=now))
    return [
        Task(
            run.id, task.key, task.name, task.kind, task.subject, confirms=task.attempt, round=run.attempt,
            sources=task.sources, origin=task.origin, configuration=task.configuration,
            set_name=task.set_name, primary_id=task.primary_id,
        )
        for task in held(lifecycle.tasks_of(services, confirmed))
    ]  # fmt: skip
