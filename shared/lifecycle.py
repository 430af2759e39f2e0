"""Carrying out what `reconcile` decides: runs are observed, opened, started, moved on and ended.

Every function may run twice or in two workers at once: the writes are guarded by versions, and who comes second finds
that there is nothing left to do.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

from shared import dispatch
from shared.errors import ConflictError, NotFoundError
from shared.runs import life, openings
from shared.runs import reconcile as decide
from shared.runs.messages import Step, TableMessage
from shared.runs.model import LAST_STAGE, Mode, Phase, Run, Status, Task, TaskPhase
from shared.services import Services
from shared.tables.discovery import is_whole

_log = logging.getLogger(__name__)
_ATTEMPTS = 20


# -- the lake --------------------------------------------------------------------------------------------


def look(services: Services, environment: str) -> str:
    """Look at an environment's folder and open what is ready. Returns a sentence for the log."""
    if environment not in services.settings.hydration.environments:
        return _not_configured(services, environment)
    for _ in range(_ATTEMPTS):
        try:
            return _look(services, environment)
        except ConflictError:
            continue  # another worker looks at the same moment: look at what it wrote
    return "other workers are busy with this environment"


def _look(services: Services, environment: str) -> str:
    snapshot = services.lake.snapshot(environment)
    known = services.store.environment(environment)
    if not snapshot.manifests and not snapshot.unreadable:
        return _no_manifest(services, environment)
    whole = is_whole(snapshot, services.settings.hydration)
    seen = decide.observe(
        known, snapshot.fingerprint, whole=whole, now=services.clock.now(), patience=services.patience
    )
    if not seen.ready:
        if replace(seen.environment, etag="") != replace(known, etag=""):
            services.store.save_environment(seen.environment)
        return f"waits for {seen.waits_for}"
    waiting = services.store.waiting_runs(environment)
    opening = decide.open_runs(known, waiting, snapshot.fingerprint)
    now = services.clock.now()
    runs = [*opening.taken_by, *(openings.superseded(run, now) for run in opening.superseded)]
    if opening.opens:
        runs.append(openings.automatic(environment, snapshot.fingerprint, now))
    if runs:
        opened = snapshot.fingerprint if opening.opens or any(run.covers for run in opening.taken_by) else ""
        marked = replace(seen.environment, opened_fingerprint=opened or known.opened_fingerprint)
        services.store.save_runs(runs, environment=marked)
        _log.info("snapshot.taken", extra={"environment": environment, "fingerprint": snapshot.fingerprint})
    elif replace(seen.environment, etag="") != replace(known, etag=""):
        services.store.save_environment(seen.environment)
    start_next(services, environment)
    return "a run was opened" if opening.opens else "nothing is new"


def _no_manifest(services: Services, environment: str) -> str:
    """Runs that somebody asked for do not wait for ever for an environment without output."""
    patience = timedelta(seconds=services.settings.hydration.whole_within_seconds)
    for run in services.store.waiting_runs(environment):
        if run.mode is Mode.CONFIRM:
            continue  # it needs no snapshot
        if run.opened is None or services.clock.now() - run.opened >= patience:
            what = "no model.json or manifest.cdm.json"
            reason = f"The folder ci_{environment} has {what}: Customer Insights has written nothing to it."
            end_run(services, run, Status.FAILED, reason)
    return "no manifest is there"


def _not_configured(services: Services, environment: str) -> str:
    """One Skipped run tells of a folder that nobody configured; what waited since it was ends the same way."""
    for waiting in services.store.waiting_runs(environment):
        end_run(services, waiting, Status.SKIPPED, openings.no_longer_configured(environment))
    run = openings.not_configured(environment, services.clock.now())
    try:
        services.store.run(environment, run.id)
    except NotFoundError:
        services.store.save_run(run)
    return "not configured"


# -- asking for a run ------------------------------------------------------------------------------------


def request_run(services: Services, environment: str, mode: Mode, tables: tuple[str, ...]) -> Run:
    """A manual rerun: it waits for its turn and takes the newest settled snapshot. Raises ConfigurationError."""
    services.environment(environment)
    for waiting in services.store.waiting_runs(environment):
        if waiting.manual and (waiting.mode, waiting.tables) == (mode, tables):
            return waiting  # the same was asked for already, and has not begun
    run = services.store.save_run(openings.asked_for(environment, mode, tables, services.clock.now()))
    look(services, environment)
    return services.store.run(environment, run.id)


# -- taking turns ----------------------------------------------------------------------------------------


def start_next(services: Services, environment: str) -> None:
    """Give the environment to the next waiting run, if it is free and not paused."""
    for _ in range(_ATTEMPTS):
        lock = services.store.lock(environment)
        run = None if lock.run else decide.choose(services.store.waiting_runs(environment))
        if run is None or services.store.environment(environment).paused:
            return
        late = openings.overtaken(run, lock, services.clock.now())
        begun, taken = openings.started(run, lock)
        try:
            services.store.save_runs([late or begun], lock=None if late else taken)
        except ConflictError:
            continue
        if late:
            continue
        services.queues.send_step(TableMessage(Step.START, environment, run.id, round=run.attempt))
        _log.info("run.started", extra={"run": run.id, "environment": environment})
        return


def requeue(services: Services, run: Run, reason: str) -> Run:
    """The lake moved on before anything was written: give the turn back and wait for the lake to settle."""
    again = life.run(
        run, Phase.WAITING, status=Status.QUEUED, fingerprint="", attempt=run.attempt + 1, stage=0, dispatched=0,
        detail=reason, owner="", lease_until=None,
    )  # fmt: skip
    lock = services.store.lock(run.environment)
    (again,) = services.store.save_runs([again], lock=replace(lock, run="") if lock.run == run.id else None)
    _log.info("run.requeued", extra={"run": run.id, "environment": run.environment})
    return again


def requeue_if_changed(services: Services, run: Run) -> bool:
    """Discard the run's attempt where the lake is not any more what it was pinned as. Nothing was written yet.

    A run that confirms another one has no snapshot.
    """
    if run.mode is Mode.CONFIRM:
        return False
    if services.lake.snapshot(run.environment).fingerprint == run.fingerprint:
        return False
    requeue(services, run, "The lake changed while the run was planned; nothing was written. It waits and plans anew.")
    return True


def end_run(services: Services, run: Run, status: Status, detail: str) -> None:
    """End the run and free the environment, in one transaction; then it is the next one's turn."""
    lock = services.store.lock(run.environment)
    ended = life.run(run, Phase.ENDED, status=status, detail=detail, ended=services.clock.now())
    services.store.save_runs([ended], lock=replace(lock, run="") if lock.run == run.id else None)
    _log.info("run.ended", extra={"run": run.id, "environment": run.environment, "status": str(status)})
    start_next(services, run.environment)


def end_task(services: Services, task: Task, status: Status, detail: str) -> Task:
    """End a task that wrote nothing."""
    ended = life.task(task, TaskPhase.ENDED, status=status, detail=detail, owner="", lease_until=None)
    ended = services.store.save_task(ended)
    _log.info("task.ended", extra={"run": task.run, "task": task.key, "status": str(status)})
    return ended


def stop(services: Services, run: Run, status: Status, reason: str) -> None:
    """Begin nothing more of a run; it ends as `status` when what is under way has come to its end.

    Raises ConflictError where the run has moved on meanwhile.
    """
    detail = f"{reason} What is under way is finished; nothing more is sent." if run.phase is Phase.SENDING else reason
    services.store.save_run(replace(run, stopped=reason, ends_as=status, detail=detail))
    _log.info("run.stopped", extra={"run": run.id, "environment": run.environment, "status": str(status)})
    advance(services, run.environment, run.id)


# -- moving on -------------------------------------------------------------------------------------------


def ask_again(services: Services, environment: str) -> None:
    """Ask at once for everything that is open, because messages were put aside. What is done twice changes nothing."""
    if holder := services.store.lock(environment).run:
        advance(services, environment, holder, lost=True)
    start_next(services, environment)


def advance(services: Services, environment: str, run_id: str, *, lost: bool = False) -> None:
    """Do what the run needs next, until it waits for somebody else. `lost`: what was asked for is asked for again."""
    for _ in range(_ATTEMPTS):
        run = services.store.run(environment, run_id)
        if run.phase in {Phase.WAITING, Phase.ENDED}:
            return
        progress = services.store.progress(run_id)
        tasks = _of_round(run, progress.tasks)
        actions = decide.reconcile(
            run, tasks, dispatch.open_stages(services, run, tasks),
            now=services.clock.now(), moved=progress.moved, closing=progress.closing, patience=services.patience,
            paused=services.store.environment(environment).paused is not None, lost=lost,
        )  # fmt: skip
        try:
            again = [_carry_out(services, run, tasks, action) for action in actions]
        except ConflictError:
            continue  # another worker did it first: look again
        if not any(again):
            return
        lost = False


def tasks_of(services: Services, run: Run) -> list[Task]:
    """The tasks of the run's round: a worker that was held up may have left one of an earlier round."""
    return _of_round(run, services.store.tasks(run.id))


def _of_round(run: Run, tasks: list[Task]) -> list[Task]:
    return [task for task in tasks if task.round == run.attempt]


def send_plans(services: Services, run: Run) -> None:
    """Ask for the plans that may be made now."""
    step = TableMessage(Step.PLAN, run.environment, run.id, round=run.attempt)
    if plans := [replace(step, task=task.key) for task in decide.plannable(tasks_of(services, run))]:
        services.queues.send_step(*plans)


def send_plans_after(services: Services, run: Run, task: Task) -> None:
    """Ask for the plans that waited for this task, whatever became of it."""
    if task.is_profile and run.phase is Phase.PLANNING:
        send_plans(services, run)


def _carry_out(services: Services, run: Run, tasks: list[Task], action: decide.Action) -> bool:
    """Carry an action out. True: the run is another one now, look again."""
    match action:
        case decide.EndTask(task, status, reason):
            end_task(services, task, status, reason)
            if not run.stopped:
                send_plans_after(services, run, task)
            return True
        case decide.Conclude(task):
            return dispatch.conclude(services, task)
        case decide.Prepare(already):
            if not already:
                detail = "All is planned; Dataverse is being prepared."
                services.store.save_run(life.run(run, Phase.PREPARING, detail=detail))
            _ask(services, run, action)
        case decide.OpenStage(stage):
            services.store.save_run(replace(run, stage=stage, detail=f"Stage {stage} of {LAST_STAGE} is being sent."))
            return True
        case decide.Dispatch(stage, held):
            dispatch.dispatch(services, run, tasks, stage, held=held)
        case decide.EndRun(status, detail):
            end_run(services, run, status, detail)
        case _:
            _ask(services, run, action)
    return False


def _ask(services: Services, run: Run, action: decide.Action) -> None:
    """Ask for a step. It is noted, and not asked for again before it had its time."""
    step = TableMessage(Step.START, run.environment, run.id, round=run.attempt)
    match action:
        case decide.SendPlan(task):
            step = replace(step, step=Step.PLAN, task=task.key)
        case decide.SendClose(task):
            step = replace(step, step=Step.CLOSE, task=task.key)
        case decide.Prepare():
            step = replace(step, step=Step.PREPARE)
    services.queues.send_step(step)
    if step.step is Step.CLOSE:
        services.store.asked_to_close(run.id, step.task)
    else:
        services.store.moved(run.id, step.task)
