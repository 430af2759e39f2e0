"""The life of a run and of its tasks: every change of a phase that there is, and why it happens.

Phases change nowhere else. What decides when is `reconcile`; docs/runs.md is made from these tables.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from shared.runs.model import Phase, Run, Task, TaskPhase

P = TypeVar("P", Phase, TaskPhase)


@dataclass(frozen=True)
class Change(Generic[P]):
    """A legal change of a phase. `before` is None where a run or task is made."""

    before: P | None
    after: P
    because: str


RUN: tuple[Change[Phase], ...] = (
    Change(None, Phase.WAITING, "a snapshot is new and settled, or a person asks for a run"),
    Change(None, Phase.ENDED, "the lake has a folder that nobody configured: one run tells of it"),
    Change(Phase.WAITING, Phase.STARTING, "it is its turn: it takes the environment's lock"),
    Change(Phase.WAITING, Phase.ENDED, "superseded by a newer snapshot, overtaken, without any output, or canceled"),
    Change(Phase.STARTING, Phase.PLANNING, "the snapshot is pinned and its tasks are known"),
    Change(Phase.STARTING, Phase.WAITING, "the lake has changed: the turn is given back"),
    Change(Phase.STARTING, Phase.ENDED, "it cannot begin, its message is dead, or it was canceled"),
    Change(Phase.PLANNING, Phase.PREPARING, "every task is planned"),
    Change(Phase.PLANNING, Phase.WAITING, "the lake has changed: all plans are discarded, nothing was written"),
    Change(Phase.PLANNING, Phase.ENDED, "it was only a plan, or it was canceled"),
    Change(Phase.PREPARING, Phase.SENDING, "the lake is still what was planned, and Dataverse is ready"),
    Change(Phase.PREPARING, Phase.WAITING, "the lake has changed: all plans are discarded, no row was written"),
    Change(Phase.PREPARING, Phase.ENDED, "its message is dead, or it was canceled"),
    Change(Phase.SENDING, Phase.ENDED, "every task has ended"),
)
"""A run has the environment's lock from `starting` until it waits again or has ended."""

TASK: tuple[Change[TaskPhase], ...] = (
    Change(None, TaskPhase.WAITING, "the run's snapshot is pinned, or a new round begins"),
    Change(None, TaskPhase.ENDED, "there is nothing to do, and it says why"),
    Change(TaskPhase.WAITING, TaskPhase.PLANNING, "a worker claims it"),
    Change(TaskPhase.WAITING, TaskPhase.ENDED, "its message is dead, or the run stops"),
    Change(TaskPhase.PLANNING, TaskPhase.PLANNING, "another worker claims it, because the claim has lapsed"),
    Change(TaskPhase.PLANNING, TaskPhase.WAITING, "a fault that may pass: the claim is given back"),
    Change(TaskPhase.PLANNING, TaskPhase.PLANNED, "its plan is published, once"),
    Change(TaskPhase.PLANNING, TaskPhase.ENDED, "skipped, failed or given up; or it was only a plan; or the run stops"),
    Change(TaskPhase.PLANNED, TaskPhase.PLANNED, "a worker claims it, to close it"),
    Change(TaskPhase.PLANNED, TaskPhase.ENDED, "its outcome is committed, or can never be; or nothing of it was sent"),
)
"""A round that begins anew replaces the tasks of the one before."""

RUN_CHANGES = frozenset((change.before, change.after) for change in RUN)
TASK_CHANGES = frozenset((change.before, change.after) for change in TASK)


def run(before: Run, phase: Phase, **fields: Any) -> Run:
    """The run in another phase, other fields changed with it. Raises ValueError where no run goes that way."""
    if (before.phase, phase) not in RUN_CHANGES:
        raise ValueError(f"No run goes from {before.phase} to {phase} ({before.id}).")
    return replace(before, phase=phase, **fields)


def task(before: Task, phase: TaskPhase, **fields: Any) -> Task:
    """The task in another phase, other fields changed with it. Raises ValueError where no task goes that way."""
    if (before.phase, phase) not in TASK_CHANGES:
        raise ValueError(f"No task goes from {before.phase} to {phase} ({before.run}, {before.key}).")
    return replace(before, phase=phase, **fields)
