"""From a message to the work: what can pass is put off, what is dead ends its run, task or chunk with the reason.

A Service Bus function that raises abandons its message at once, and ten deliveries burn within seconds. So faults that
may pass are answered by a copy of the message that is scheduled for later. Where not even that can be sent, or the app
cannot reach what it needs to begin, the delivery is held for a while before it is given back (`unhurried`).

A message that contradicts what is stored is dropped, with an error in the log: nothing is changed because of it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from threading import Event

from shared import close, lifecycle, plan, prepare, send, start
from shared.claims import is_held
from shared.errors import (
    ConfigurationError,
    CorruptSnapshotError,
    HydrationError,
    LostBlobError,
    NotFoundError,
    ThrottledError,
    TransientError,
)
from shared.runs.messages import ChunkMessage, Step, TableMessage, decode_chunk, decode_table
from shared.runs.model import Kind, Phase, Status, TaskPhase
from shared.services import Services

_log = logging.getLogger(__name__)

MOST_TRIES = 60
"""How often a step is put off before it is given up: with the waits between them, most of a day."""

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 900.0
PAUSE_SECONDS = 30.0
"""How long a delivery that failed is held before it is given back, or what DELIVERY_PAUSE_SECONDS says: ten deliveries
last five minutes, and dead letters, which come again for ever, keep no worker busy. Locks are renewed for longer."""

_LONGEST_PAUSE = 240.0
_PAUSE = Event()
_OF_TASKS = {Step.PLAN, Step.CLOSE}
_ONLY_STEPS = {(Step.START, Phase.STARTING), (Step.PREPARE, Phase.PREPARING)}
_NOT_WHILE_PAUSED = {Step.START, Step.PLAN, Step.PREPARE}


def _advance(services: Services, message: TableMessage) -> None:
    lifecycle.advance(services, message.environment, message.run)


_STEPS: Mapping[Step, Callable[[Services, TableMessage], None]] = {
    Step.START: start.start,
    Step.PLAN: plan.plan,
    Step.PREPARE: prepare.prepare,
    Step.ADVANCE: _advance,
    Step.CLOSE: close.close,
}


@contextmanager
def unhurried(wait: Callable[[float], object] = _PAUSE.wait) -> Iterator[None]:
    """Hold a delivery that fails for a while, and say why: what raises in here is delivered again at once."""
    try:
        yield
    except Exception as fault:
        seconds = _pause_seconds()
        known = str(fault) if isinstance(fault, HydrationError) else type(fault).__name__
        _log.warning("delivery.held", extra={"reason": known, "seconds": seconds})
        wait(seconds)
        raise


def _pause_seconds() -> float:
    """As the app setting says; read here, because the settings may be what cannot be loaded."""
    try:
        seconds = float(os.environ.get("DELIVERY_PAUSE_SECONDS", ""))
    except ValueError:
        return PAUSE_SECONDS
    return seconds if 0 <= seconds <= _LONGEST_PAUSE else PAUSE_SECONDS


def step(services: Services, body: bytes) -> None:
    """Do one step of a run. Raises TransientError where it cannot even be put off, and what nobody foresaw."""
    try:
        message = decode_table(body)
    except CorruptSnapshotError as fault:
        _refuse(None, str(fault))
        return
    try:
        if contradicts := _against_step(services, message):
            _refuse(message, contradicts)
        elif message.step not in _NOT_WHILE_PAUSED or not _paused(services, message):
            _STEPS[message.step](services, message)
    except NotFoundError as fault:
        _drop(services, message, fault)
    except (ConfigurationError, CorruptSnapshotError, LostBlobError) as fault:
        abandon_step(services, message, str(fault))
    except TransientError as fault:
        _step_again(services, message, fault)


def _step_again(services: Services, message: TableMessage, fault: TransientError) -> None:
    if message.tries >= MOST_TRIES:
        abandon_step(services, message, f"{fault} Given up after {message.tries} attempts.")
        return
    _log.info("step.again", extra={"run": message.run, "step": str(message.step), "reason": str(fault)})
    seconds = fault.retry_after if isinstance(fault, ThrottledError) else _wait(message.tries)
    later = services.clock.now() + timedelta(seconds=seconds)
    services.queues.send_step(replace(message, tries=message.tries + 1), at=later)


def chunk(services: Services, body: bytes, kind: Kind) -> None:
    """Send one chunk. Raises TransientError where it cannot even be put off, and what nobody foresaw."""
    try:
        message = decode_chunk(body)
    except CorruptSnapshotError as fault:
        _refuse(None, str(fault))
        return
    try:
        if contradicts := _against_chunk(services, message, kind):
            _refuse(message, contradicts)
            return
        later = None if _paused(services, message) else send.send(services, message)
    except NotFoundError as fault:
        _drop(services, message, fault)
        return
    except TransientError as fault:
        _log.info("chunk.again", extra={"run": message.run, "task": message.task, "reason": str(fault)})
        later = send.Later(services.clock.now() + timedelta(seconds=_wait(3)))
    if later is not None:
        services.queues.send_chunks(kind, [message], at=later.at)


# -- messages that are not what they say -----------------------------------------------------------------


def _against_step(services: Services, message: TableMessage) -> str:
    """What speaks against a step; empty: nothing does. One that comes late is none of it."""
    if bool(message.task) is not (message.step in _OF_TASKS):
        return f"the step {message.step} is of {'a task' if message.step in _OF_TASKS else 'the run'}"
    attempt = services.store.run(message.environment, message.run).attempt
    return f"it is of round {message.round}, the run has come to round {attempt}" if message.round > attempt else ""


def _against_chunk(services: Services, message: ChunkMessage, kind: Kind) -> str:
    """What speaks against a chunk; empty: nothing does. One of another plan, or that is done, comes late."""
    task = services.store.task(message.run, message.task)
    if task.kind is not kind:
        return f"the task is of the kind {task.kind}, the queue is for the kind {kind}"
    if task.phase is not TaskPhase.PLANNED or task.attempt != message.attempt:
        return ""
    if services.store.chunk(task, message.stage, message.number) is None:
        return f"the task's plan has no chunk {message.number} of stage {message.stage}"
    return ""


def _drop(services: Services, message: TableMessage | ChunkMessage, fault: NotFoundError) -> None:
    """A message whose run, task or chunk is not there any more comes late; one that names what cannot be is wrong."""
    if contradicts := _names_wrongly(services, message):
        _refuse(message, contradicts)
    else:
        _log.warning("message.dropped", extra={"work": message.id, "reason": str(fault)})


def _names_wrongly(services: Services, message: TableMessage | ChunkMessage) -> str:
    try:
        run = services.store.find_run(message.run)
    except NotFoundError:
        return ""  # it was cleaned away
    if run.environment != message.environment:
        return f"the run is of environment {run.environment}, the message is of {message.environment}"
    late = isinstance(message, TableMessage) and message.round < run.attempt
    if late or not message.task or run.phase is Phase.ENDED:
        return ""
    try:
        services.store.task(message.run, message.task)
    except NotFoundError as fault:
        return str(fault)
    return ""


def _refuse(message: TableMessage | ChunkMessage | None, reason: str) -> None:
    _log.error("message.refused", extra={"work": message.id if message else "", "reason": reason})


# -- what keeps a message from its work ------------------------------------------------------------------


def _paused(services: Services, message: TableMessage | ChunkMessage) -> bool:
    """Whether nothing is begun in the environment. The message can be dropped: who resumes asks for all again."""
    if services.store.environment(message.environment).paused is None:
        return False
    _log.info("message.put_aside", extra={"run": message.run, "work": message.id})
    return True


def dead_step(services: Services, body: bytes, reason: str) -> None:
    """A step whose message is dead: what it was to do ends Failed. Raises TransientError."""
    try:
        abandon_step(services, decode_table(body), f"Its message was given up: {reason}")
    except (CorruptSnapshotError, NotFoundError) as fault:
        _log.warning("dead_letter.dropped", extra={"reason": str(fault)})


def dead_chunk(services: Services, body: bytes, reason: str) -> None:
    """A chunk whose message is dead: it is concluded as it is, its task ends Failed, the others go on.

    Raises TransientError.
    """
    try:
        send.give_up(services, decode_chunk(body), f"A chunk's message was given up: {reason}")
    except (CorruptSnapshotError, NotFoundError) as fault:
        _log.warning("dead_letter.dropped", extra={"reason": str(fault)})


def abandon_step(services: Services, message: TableMessage, reason: str) -> None:
    """End what a step was to do, with the reason. Nothing that was sent is forgotten."""
    _log.error("step.abandoned", extra={"run": message.run, "step": str(message.step), "reason": reason})
    run = services.store.run(message.environment, message.run)
    if run.phase is Phase.ENDED or run.attempt != message.round:
        return
    if message.task:
        task = services.store.task(message.run, message.task)
        if message.step is Step.CLOSE:
            close.leave_uncertain(services, run, task, reason)
        elif task.phase in {TaskPhase.WAITING, TaskPhase.PLANNING} and not is_held(services, task):
            lifecycle.end_task(services, task, Status.FAILED, reason)
            lifecycle.send_plans_after(services, run, task)
        lifecycle.advance(services, run.environment, run.id)
    elif (message.step, run.phase) in _ONLY_STEPS and not run.stopped:
        lifecycle.stop(services, run, Status.FAILED, reason)


def _wait(tries: int) -> float:
    return float(min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(tries, 10)))


def reconcile(services: Services) -> None:
    """Move every run on whose environment is taken, and start what waits. One environment's fault leaves the others."""
    for environment in services.store.environments():
        try:
            lock = services.store.lock(environment.id)
            if lock.run:
                lifecycle.advance(services, environment.id, lock.run)
            else:
                lifecycle.start_next(services, environment.id)
        except HydrationError as fault:
            _log.warning("reconcile.put_off", extra={"environment": environment.id, "reason": str(fault)})
        except Exception as fault:  # noqa: BLE001  one environment's trouble must not stop the others
            _log.error("reconcile.failed", extra={"environment": environment.id, "fault": type(fault).__name__})


def sweep(services: Services) -> None:
    """Look at every environment's folder: an event may have been missed, a snapshot may have settled.

    One that is configured is looked at without a folder too: somebody may wait for a run of it.
    """
    for environment in sorted({*services.lake.environments(), *services.settings.hydration.environments}):
        try:
            _log.info("sweep", extra={"environment": environment, "found": lifecycle.look(services, environment)})
        except HydrationError as fault:
            _log.warning("sweep.put_off", extra={"environment": environment, "reason": str(fault)})
        except Exception as fault:  # noqa: BLE001  one environment's trouble must not stop the others
            _log.error("sweep.failed", extra={"environment": environment, "fault": type(fault).__name__})
