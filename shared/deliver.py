"""From a message to the work: what can pass is put off, what is dead ends its run, task or chunk with the reason.

A Service Bus function that raises abandons its message at once, and ten deliveries burn within seconds. So faults that
may pass are answered by a copy of the message that is scheduled for later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
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
_DEAD_WAIT = 5.0
_PAUSE = Event()
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


def step(services: Services, body: bytes) -> None:
    """Do one step of a run. Raises only for what nobody foresaw."""
    message = decode_table(body)
    try:
        if message.step in _NOT_WHILE_PAUSED and _paused(services, message):
            return
        _STEPS[message.step](services, message)
    except NotFoundError as fault:
        _log.warning("step.dropped", extra={"run": message.run, "step": str(message.step), "reason": str(fault)})
    except (ConfigurationError, LostBlobError) as fault:
        abandon_step(services, message, str(fault))
    except TransientError as fault:
        if message.tries >= MOST_TRIES:
            abandon_step(services, message, f"{fault} Given up after {message.tries} attempts.")
            return
        _log.info("step.again", extra={"run": message.run, "step": str(message.step), "reason": str(fault)})
        seconds = fault.retry_after if isinstance(fault, ThrottledError) else _wait(message.tries)
        later = services.clock.now() + timedelta(seconds=seconds)
        services.queues.send_step(replace(message, tries=message.tries + 1), at=later)


def chunk(services: Services, body: bytes, kind: Kind) -> None:
    """Send one chunk. Raises only for what nobody foresaw."""
    message = decode_chunk(body)
    try:
        later = None if _paused(services, message) else send.send(services, message)
    except NotFoundError as fault:
        _log.warning("chunk.dropped", extra={"run": message.run, "task": message.task, "reason": str(fault)})
        return
    except TransientError as fault:
        _log.info("chunk.again", extra={"run": message.run, "task": message.task, "reason": str(fault)})
        later = send.Later(services.clock.now() + timedelta(seconds=_wait(3)))
    if later is not None:
        services.queues.send_chunks(kind, [message], at=later.at)


def _paused(services: Services, message: TableMessage | ChunkMessage) -> bool:
    """Whether nothing is begun in the environment. The message can be dropped: who resumes asks for all again."""
    if services.store.environment(message.environment).paused is None:
        return False
    _log.info("message.put_aside", extra={"run": message.run, "work": message.id})
    return True


def dead_step(services: Services, body: bytes, reason: str) -> None:
    """A step whose message is dead: what it was to do ends Failed."""
    try:
        abandon_step(services, decode_table(body), f"Its message was given up: {reason}")
    except (CorruptSnapshotError, NotFoundError) as fault:
        _log.warning("dead_letter.dropped", extra={"reason": str(fault)})
    except TransientError:
        _PAUSE.wait(_DEAD_WAIT)  # a dead letter comes again at once, and nothing puts it off
        raise


def dead_chunk(services: Services, body: bytes, reason: str) -> None:
    """A chunk whose message is dead: it is concluded as it is, its task ends Failed, the others go on."""
    try:
        send.give_up(services, decode_chunk(body), f"A chunk's message was given up: {reason}")
    except (CorruptSnapshotError, NotFoundError) as fault:
        _log.warning("dead_letter.dropped", extra={"reason": str(fault)})
    except TransientError:
        _PAUSE.wait(_DEAD_WAIT)  # a dead letter comes again at once, and nothing puts it off
        raise


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
    """Look at every environment's folder: an event may have been missed, a snapshot may have settled."""
    for environment in services.lake.environments():
        try:
            _log.info("sweep", extra={"environment": environment, "found": lifecycle.look(services, environment)})
        except HydrationError as fault:
            _log.warning("sweep.put_off", extra={"environment": environment, "reason": str(fault)})
        except Exception as fault:  # noqa: BLE001  one environment's trouble must not stop the others
            _log.error("sweep.failed", extra={"environment": environment, "fault": type(fault).__name__})
