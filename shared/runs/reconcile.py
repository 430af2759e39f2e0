"""What comes next: pure functions of what is stored and of the time. Others carry the actions out.

`observe` looks at the lake, `choose` at the runs that wait, `reconcile` at the run that holds the environment.
Every action may be carried out twice, or by two workers at once: the writes behind them are guarded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.runs.model import LAST_STAGE, Environment, Mode, Phase, Run, Status, Task, TaskPhase
from shared.runs.outcome import NOTHING_WRITTEN, outcome, stopped


@dataclass(frozen=True)
class Patience:
    """How long to wait for what. Seconds."""

    settle: float
    whole_within: float
    resend: float  # a message is taken for lost when its work has not moved for so long
    tries: int = 10  # how often a plan is begun before its task fails


_MOST_AT_ONCE = 40


# -- the lake ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Observation:
    """What a look at the lake led to: the environment's new row, and whether its snapshot is ready to be taken."""

    environment: Environment
    ready: bool
    waits_for: str = ""


def observe(known: Environment, fingerprint: str, *, whole: bool, now: datetime, patience: Patience) -> Observation:
    """Whether a snapshot may be taken: unchanged for long enough, and whole or given up on.

    The environment's row remembers since when the fingerprint is what it is, and since when something is missing: a
    change after a snapshot was taken is a new landing, which has all its time to become whole.
    """
    same = fingerprint == known.seen_fingerprint and known.seen_since is not None
    since = known.seen_since if same and known.seen_since is not None else now
    new_landing = not same and known.seen_fingerprint == known.opened_fingerprint
    before = None if new_landing else known.incomplete_since
    incomplete = None if whole else (before or now)
    seen = replace(known, seen_fingerprint=fingerprint, seen_since=since, incomplete_since=incomplete)
    if now - since < timedelta(seconds=patience.settle):
        return Observation(seen, ready=False, waits_for="the lake to be unchanged for a while")
    if incomplete is not None and now - incomplete < timedelta(seconds=patience.whole_within):
        return Observation(seen, ready=False, waits_for="the missing files")
    return Observation(seen, ready=True)


@dataclass(frozen=True)
class Opening:
    """What a ready snapshot means for the runs: which one takes it, and which ones it covers."""

    taken_by: tuple[Run, ...] = ()  # waiting runs without a snapshot, now with this one
    opens: bool = False  # a new automatic run
    superseded: tuple[Run, ...] = ()


def open_runs(environment: Environment, waiting: Sequence[Run], fingerprint: str) -> Opening:
    """Idempotent: the same snapshot opens one automatic run, however often it is announced.

    At most 40 runs are changed at once: a transaction takes 100 rows, and the others follow at the next look.

    Waiting runs without a snapshot take this one. Automatic runs that wait with an older snapshot are covered by it,
    and so is one that gave its snapshot up, where another run waits with the new one. A plan takes a snapshot and
    covers none, because it writes nothing; what confirms another run needs none.
    """
    covered = any(run.fingerprint == fingerprint and run.covers for run in waiting)
    given_up = tuple(run for run in waiting if covered and not run.fingerprint and _automatic(run))
    free = (run for run in waiting if not run.fingerprint and run.mode is not Mode.CONFIRM and run not in given_up)
    without = tuple(replace(run, fingerprint=fingerprint) for run in free)[:_MOST_AT_ONCE]
    covers_all = any(run.covers for run in without)
    news = fingerprint != environment.opened_fingerprint
    older = tuple(run for run in waiting if run.fingerprint not in {"", fingerprint} and _automatic(run))
    replaced = older if news or covers_all else ()
    return Opening(without, opens=news and not covers_all, superseded=(*given_up, *replaced)[:_MOST_AT_ONCE])


def _automatic(run: Run) -> bool:
    return not run.manual and not run.tables


def choose(waiting: Sequence[Run]) -> Run | None:
    """The next run to start: what a person has confirmed, then the oldest that has a snapshot."""
    ready = (run for run in waiting if run.fingerprint or run.mode is Mode.CONFIRM)
    return min(ready, key=lambda run: (run.mode is not Mode.CONFIRM, run.id), default=None)


# -- the run that holds the environment ----------------------------------------------------------------


@dataclass(frozen=True)
class SendStart:
    """Ask (again) for the snapshot to be pinned."""


@dataclass(frozen=True)
class SendPlan:
    """Ask (again) for a task to be planned."""

    task: Task


@dataclass(frozen=True)
class EndTask:
    """End a task of which nothing was written and nothing will be."""

    task: Task
    status: Status
    reason: str


@dataclass(frozen=True)
class Conclude:
    """Conclude the open chunks of a task that nobody holds, as they are: nothing more of them is sent."""

    task: Task


@dataclass(frozen=True)
class Prepare:
    """All is planned: look at the lake again and make Dataverse ready."""

    already: bool  # the run is in that phase, its message may be lost


@dataclass(frozen=True)
class OpenStage:
    """Let the chunks of a stage be sent."""

    stage: int


@dataclass(frozen=True)
class Dispatch:
    """Send the messages of every open chunk up to this stage that nobody holds; `held`: of those too."""

    stage: int
    held: bool = False


@dataclass(frozen=True)
class SendClose:
    """Ask (again) for a task's applied state to be committed."""

    task: Task


@dataclass(frozen=True)
class EndRun:
    """Nothing is left to do."""

    status: Status
    detail: str


Action = SendStart | SendPlan | EndTask | Prepare | OpenStage | Dispatch | Conclude | SendClose | EndRun


def reconcile(
    run: Run,
    tasks: Sequence[Task],
    open_stage: Mapping[str, int],
    *,
    now: datetime,
    moved: datetime | None,
    patience: Patience,
    closing: Mapping[str, datetime] | None = None,
    paused: bool = False,
    lost: bool = False,
) -> list[Action]:
    """What the run needs next. While its environment is paused: only what ends what was begun.

    `open_stage` holds, for each planned task that still has a chunk without an outcome, the lowest stage of such a
    chunk. `moved` is when the run last got something done; a run that has not moved for `patience.resend` has lost a
    message, so it is sent again; so it is where messages are known to be `lost`, because a pause put them aside.
    `closing` says when which task was last asked to be closed; it is asked again after as long.
    """
    found = _needed(run, tasks, open_stage, now=now, moved=moved, patience=patience, lost=lost)
    resend = timedelta(seconds=patience.resend)
    asked = {task for task, at in (closing or {}).items() if now - at < resend and not lost}
    found = [action for action in found if not (isinstance(action, SendClose) and action.task.key in asked)]
    return [action for action in found if isinstance(action, _ENDING)] if paused else found


_ENDING = (EndTask, Conclude, SendClose, EndRun)


def _needed(
    run: Run,
    tasks: Sequence[Task],
    open_stage: Mapping[str, int],
    *,
    now: datetime,
    moved: datetime | None,
    patience: Patience,
    lost: bool,
) -> list[Action]:
    last = max((at for at in (moved, run.updated) if at is not None), default=now)
    stalled = lost or now - last >= timedelta(seconds=patience.resend)
    if run.stopped and run.phase not in {Phase.WAITING, Phase.ENDED}:
        return _stopping(run, tasks, open_stage, now)
    if run.phase is Phase.STARTING:
        return [SendStart()] if stalled else []
    if run.phase is Phase.PLANNING:
        return _planning(run, tasks, now, patience, stalled=stalled)
    if run.phase is Phase.PREPARING:
        return [Prepare(already=True)] if stalled else []
    if run.phase is Phase.SENDING:
        return _sending(run, tasks, open_stage, now=now, stalled=stalled, lost=lost)
    return []


def plannable(tasks: Sequence[Task]) -> list[Task]:
    """The tasks that may be planned now: the profiles first, because the rows of all others point to them."""
    waiting = [task for task in tasks if task.phase in {TaskPhase.WAITING, TaskPhase.PLANNING}]
    return [task for task in waiting if task.is_profile] or waiting


def _planning(run: Run, tasks: Sequence[Task], now: datetime, patience: Patience, *, stalled: bool) -> list[Action]:
    open_tasks = plannable(tasks)
    if not open_tasks:
        return [EndRun(*outcome(tasks, run.mode))] if run.mode is Mode.PLAN else [Prepare(already=False)]
    actions: list[Action] = []
    for task in open_tasks:
        if task.tries >= patience.tries and not _held(task, now):
            reason = f"It could not be planned: begun {task.tries} times, never finished."
            actions.append(EndTask(task, Status.FAILED, reason))
        elif stalled and not _held(task, now):
            actions.append(SendPlan(task))
    return actions


def _held(task: Task, now: datetime) -> bool:
    return bool(task.owner) and task.lease_until is not None and task.lease_until > now


def _stopping(run: Run, tasks: Sequence[Task], open_stage: Mapping[str, int], now: datetime) -> list[Action]:
    """A run that was stopped: nothing is begun, what is under way comes to its end, and what was sent is committed."""
    left = [task for task in tasks if task.phase is not TaskPhase.ENDED]
    if not left:
        return [EndRun(*stopped(run, tasks))]
    if run.phase is not Phase.SENDING:
        return [EndTask(task, run.ends_as, NOTHING_WRITTEN) for task in left]
    sending = [task for task in left if task.key in open_stage]
    closing = [task for task in left if task.key not in open_stage and not _held(task, now)]
    return [*map(Conclude, sending), *map(SendClose, closing)]


def _sending(
    run: Run, tasks: Sequence[Task], open_stage: Mapping[str, int], *, now: datetime, stalled: bool, lost: bool
) -> list[Action]:
    if all(task.phase is TaskPhase.ENDED for task in tasks):
        return [EndRun(*outcome(tasks))]
    actions: list[Action] = [
        SendClose(task)
        for task in tasks
        if task.phase is TaskPhase.PLANNED and task.key not in open_stage and not _held(task, now)
    ]
    lowest = min(open_stage.values(), default=LAST_STAGE + 1)
    if lowest <= LAST_STAGE and lowest > run.stage:
        return [*actions, OpenStage(lowest)]
    if lowest <= run.stage and (run.dispatched < run.stage or stalled):
        actions.append(Dispatch(run.stage, held=lost))
    return actions
