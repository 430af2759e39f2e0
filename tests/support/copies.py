"""Copies of messages: every one that the runs of an environment have had, or could have, sent by the app's own way."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from local import stack as stacks
from local.stack import Stack
from shared.runs.messages import ChunkMessage, Step, TableMessage
from shared.runs.model import Kind
from shared.runs.queues import Queues
from shared.runs.store import Store
from shared.settings import Connection

Sent = tuple[Kind | None, TableMessage | ChunkMessage]
"""A message; chunks with their kind."""


@contextmanager
def senders(stack: Stack) -> Iterator[Queues]:
    """The app's own way to send, closed at the end."""
    queues = Queues(Connection(stack.settings["ServiceBus"]))
    yield queues
    for name in stacks.QUEUES:
        queues._drop(name)
    if queues._client is not None:
        queues._client.close()


def messages(store: Store, environment: str) -> set[Sent]:
    """Every message that the environment's runs have had, or could have."""
    found = set[Sent]()
    for run in store.runs(environment):
        found |= {(None, TableMessage(step, environment, run.id)) for step in (Step.START, Step.PREPARE, Step.ADVANCE)}
        for task in store.tasks(run.id):
            found |= {(None, TableMessage(step, environment, run.id, task.key)) for step in (Step.PLAN, Step.CLOSE)}
            found |= {
                (task.kind, ChunkMessage(environment, run.id, task.key, task.attempt, chunk.stage, chunk.number))
                for chunk in store.chunks(task)
            }
    return found


def send(queues: Queues, found: Iterable[Sent], copies: int, draw: random.Random) -> None:
    """Send each so often, in any order."""
    many = [one for one in found for _ in range(copies)]
    for kind, message in draw.sample(many, len(many)):
        if isinstance(message, TableMessage):
            queues.send_step(message)
        elif kind is not None:
            queues.send_chunks(kind, [message])
