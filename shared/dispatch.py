"""The open chunks of a run that sends: which stages they are of, asking for them, concluding them as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shared.runs.messages import ChunkMessage
from shared.runs.model import LAST_STAGE, Phase, Run, Task, TaskPhase
from shared.services import Services


def open_stages(services: Services, run: Run, tasks: Sequence[Task]) -> dict[str, int]:
    """By task, the lowest stage of a chunk without an outcome; a task that has none left is not named."""
    if run.phase is not Phase.SENDING:
        return {}
    first = {task.key: services.store.open_chunks(task, up_to=LAST_STAGE, limit=1) for task in _with_chunks(tasks)}
    return {key: chunks[0].stage for key, chunks in first.items() if chunks}


def dispatch(services: Services, run: Run, tasks: Sequence[Task], stage: int, *, held: bool) -> None:
    """Send the messages of every open chunk up to the stage that nobody holds; `held`: of those too."""
    now = services.clock.now()
    for task in _with_chunks(tasks):
        free = [
            ChunkMessage(run.environment, run.id, task.key, task.attempt, chunk.stage, chunk.number)
            for chunk in services.store.open_chunks(task, up_to=stage)
            if held or chunk.lease_until is None or chunk.lease_until <= now
        ]
        if free:
            services.queues.send_chunks(task.kind, free)
            services.store.moved(run.id, task.key)
    if run.dispatched < stage:
        services.store.save_run(replace(run, dispatched=stage))


def conclude(services: Services, task: Task) -> bool:
    """Conclude, as they are, the open chunks that nobody holds; whether there were any.

    Whoever holds one concludes it before its next call.
    """
    now = services.clock.now()
    chunks = services.store.open_chunks(task, up_to=LAST_STAGE)
    free = [chunk for chunk in chunks if not (chunk.owner and chunk.lease_until and chunk.lease_until > now)]
    services.store.conclude_chunks(free)
    return bool(free)


def _with_chunks(tasks: Sequence[Task]) -> list[Task]:
    """Those that may have open ones: a plan without any needs no look."""
    return [task for task in tasks if task.phase is TaskPhase.PLANNED and task.chunks]
