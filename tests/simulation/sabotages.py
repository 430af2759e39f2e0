"""Ways to break the app that histories must notice: each takes one guard away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from shared import close, lifecycle, send
from shared.claims import TaskClaim
from shared.dataverse.limiter import Limiter
from shared.delta import state
from shared.runs import model, reconcile
from shared.runs.model import Chunk, Run, Task
from shared.runs.rows import Lock, Pointer
from shared.runs.store import Store

Patch = pytest.MonkeyPatch


def _send_unchecked(patch: Patch) -> None:
    """A worker that was held up sends without looking whether the run is still on and the chunk still its own."""
    patch.setattr(send._Sending, "_before", lambda _: None)


def _begun_is_not_noted(patch: Patch) -> None:
    """How far a call may reach is not written down before it."""
    real = send._Sending._claim

    def claim(self: Any, chunk: Chunk, *, begun: int) -> Chunk:
        return replace(real(self, chunk, begun=min(begun, chunk.sent)), begun=begun)

    patch.setattr(send._Sending, "_claim", claim)


def _uncertain_is_forgotten(patch: Patch) -> None:
    """Rows that were sent without an answer count as never sent."""
    real = state.conclude

    def conclude(connection: Any, delta: Any, progress: Iterable[tuple[int, int, int]]) -> Any:
        return real(connection, delta, [(chunk, sent, sent) for chunk, sent, _ in progress])

    patch.setattr(state, "conclude", conclude)


def _uncertain_is_written(patch: Patch) -> None:
    """Rows that were sent without an answer count as written."""
    real = state.conclude

    def conclude(connection: Any, delta: Any, progress: Iterable[tuple[int, int, int]]) -> Any:
        return real(connection, delta, [(chunk, begun, begun) for chunk, _, begun in progress])

    patch.setattr(state, "conclude", conclude)


def _refused_is_written(patch: Patch) -> None:
    """What Dataverse refused is not noted."""
    real = send._Sending._note
    patch.setattr(send._Sending, "_note", lambda self, start, end, records, _: real(self, start, end, records, []))


def _outcome_is_lost(patch: Patch) -> None:
    """A task whose outcome cannot be committed ends, and nothing of its plan is remembered."""

    def leave(services: Any, _: Run, task: Task, reason: str) -> None:
        found = services.store.task(task.run, task.key)
        if found.phase is model.TaskPhase.PLANNED:
            lifecycle.end_task(services, found, model.Status.FAILED, reason)

    patch.setattr(close, "leave_uncertain", leave)


def _stages_are_ignored(patch: Patch) -> None:
    """Chunks are sent in any order: rows before their profiles, profiles before their links are cleared."""
    real = Store.open_chunks
    patch.setattr(send, "_wanted", lambda run, task, message: run.phase is model.Phase.SENDING
                  and task.phase is model.TaskPhase.PLANNED and task.attempt == message.attempt)  # fmt: skip
    patch.setattr(Store, "open_chunks", lambda self, task, *, up_to, limit=None: list(
        reversed(real(self, task, up_to=max(up_to, 4), limit=limit))))  # fmt: skip


def _claims_are_not_guarded(patch: Patch) -> None:
    """Whoever writes a task writes over what others wrote."""
    real = Store.save_task

    def save(self: Store, task: Task) -> Task:
        return real(self, replace(task, etag=self.task(task.run, task.key).etag))

    patch.setattr(Store, "save_task", save)


def _lock_is_ignored(patch: Patch) -> None:
    """A run begins though another one has the environment."""
    real = Store.lock
    patch.setattr(Store, "lock", lambda self, environment: replace(real(self, environment), run=""))


def _runs_are_not_guarded(patch: Patch) -> None:
    """Whoever moves a run on writes over what others wrote."""
    real = Store.save_runs

    def save(self: Store, runs: Iterable[Run], *, environment: Any = None, lock: Lock | None = None) -> list[Run]:
        now = {run.id: run.etag for run in self.runs(limit=1_000)}
        environment = environment and replace(environment, etag=self.environment(environment.id).etag)
        runs = [replace(run, etag=now.get(run.id, "")) for run in runs]
        lock = lock and replace(lock, etag=self.lock(runs[0].environment).etag)
        return real(self, runs, environment=environment, lock=lock)

    patch.setattr(Store, "save_runs", save)


def _snapshots_open_again(patch: Patch) -> None:
    """A snapshot that is announced again opens another run."""
    real = reconcile.open_runs
    patch.setattr(reconcile, "open_runs", lambda environment, waiting, fingerprint: real(
        replace(environment, opened_fingerprint=""), waiting, fingerprint))  # fmt: skip


def _states_are_not_guarded(patch: Patch) -> None:
    """Whoever commits a state writes over what others committed, and as often as asked."""
    real = Store.save_pointer

    def save(self: Store, organization: str, prefix: str, pointer: Pointer) -> None:
        etag = self.pointer(organization, prefix, pointer.table).etag
        real(self, organization, prefix, replace(pointer, etag=etag, pending=()))

    patch.setattr(Store, "save_pointer", save)


def _retry_after_is_ignored(patch: Patch) -> None:
    """Sending goes on though Dataverse has asked to wait."""
    patch.setattr(Limiter, "wait_out_hold", lambda _: None)
    patch.setattr(Limiter, "hold_seconds", lambda _: 0.0)


def _cancel_is_ignored(patch: Patch) -> None:
    """Workers do not look whether their run was stopped."""
    real = Store.run
    patch.setattr(Store, "run", lambda self, environment, run: replace(real(self, environment, run), stopped=""))


def _changes_are_ignored(patch: Patch) -> None:
    """The lake is not looked at again before anything is written."""
    patch.setattr(lifecycle, "requeue_if_changed", lambda *_: False)


def _dead_letters_count_as_written(patch: Patch) -> None:
    """A chunk whose message is dead counts as sent."""
    real = Store.conclude_chunk
    patch.setattr(Store, "conclude_chunk", lambda self, chunk: real(
        self, replace(chunk, sent=chunk.rows, begun=chunk.rows) if chunk.failure else chunk))  # fmt: skip


def _claims_are_for_ever(patch: Patch) -> None:
    """A task that somebody held once is never taken by another worker."""
    patch.setattr(close, "is_held", lambda _, task: bool(task.owner))
    patch.setattr(TaskClaim, "release", lambda _: None)
    patch.setattr(reconcile, "_held", lambda task, _: bool(task.owner))


SABOTAGES: Mapping[str, Callable[[Patch], None]] = {
    (one.__doc__ or "").strip(): one
    for one in (
        _send_unchecked, _begun_is_not_noted, _uncertain_is_forgotten, _uncertain_is_written, _refused_is_written,
        _outcome_is_lost, _stages_are_ignored, _claims_are_not_guarded, _lock_is_ignored,
        _runs_are_not_guarded, _snapshots_open_again, _states_are_not_guarded, _retry_after_is_ignored,
        _cancel_is_ignored, _changes_are_ignored, _dead_letters_count_as_written, _claims_are_for_ever,
    )
}  # fmt: skip

QUICK = tuple((one.__doc__ or "").strip() for one in (_send_unchecked, _cancel_is_ignored, _refused_is_written))
"""Those that a few histories notice: the others are for the long run."""
