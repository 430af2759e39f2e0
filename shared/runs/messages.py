"""The messages of the three queues: references, never rows. Every one may come twice, late or out of order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from shared.errors import CorruptSnapshotError

TABLES_QUEUE = "hydration-tables"
UPSERTS_QUEUE = "hydration-upserts"
BACKSTAMPS_QUEUE = "hydration-backstamps"
_LONGEST_ID = 128  # of Service Bus


class Step(StrEnum):
    """What a message of `hydration-tables` asks for."""

    START = "start"  # pin the snapshot, find the tasks
    PLAN = "plan"  # plan one task
    PREPARE = "prepare"  # look at the lake again, create what is missing in Dataverse
    ADVANCE = "advance"  # look at the run and do what comes next
    CLOSE = "close"  # commit one task's applied state and end it


@dataclass(frozen=True)
class TableMessage:
    """One step of a run, or of one of its tasks."""

    step: Step
    environment: str
    run: str
    task: str = ""
    round: int = 1  # the run's attempt that it belongs to
    tries: int = 0  # how often it was put off

    @property
    def id(self) -> str:
        """Names the work for logs; deliveries of the same work share it."""
        return f"{self.run}|{self.step}|{self.task}"


@dataclass(frozen=True)
class ChunkMessage:
    """One chunk to send."""

    environment: str
    run: str
    task: str
    attempt: str
    stage: int
    number: int

    @property
    def id(self) -> str:
        """Names the work for logs; deliveries of the same work share it."""
        return f"{self.run}|{self.task}|{self.attempt}|{self.stage}|{self.number}"


def encode(message: TableMessage | ChunkMessage) -> bytes:
    """The message's body: compact JSON."""
    return json.dumps(asdict(message), separators=(",", ":")).encode()


def message_id(message: TableMessage | ChunkMessage) -> str:
    """The Service Bus message id: the id of the work, so that whoever looks into a queue sees what comes twice.

    All messages for the same work share it, those that put it off too. So duplicate detection must stay off: a queue
    that has it throws the copy away that was scheduled for later, and what reconciliation asks for again, and the work
    stands still as long as its window lasts. Nothing needs it: what is done twice changes nothing.
    """
    if len(message.id) <= _LONGEST_ID:
        return message.id
    mark = "|" + hashlib.sha256(message.id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return message.id[: _LONGEST_ID - len(mark)] + mark


def decode_table(body: bytes) -> TableMessage:
    """The step in a body. Raises CorruptSnapshotError where it is none."""
    try:
        content = json.loads(body)
        environment, run, task = (_text(content, name) for name in ("environment", "run", "task"))
        step = Step(_text(content, "step"))
        return TableMessage(step, environment, run, task, _count(content, "round"), _count(content, "tries"))
    except (ValueError, KeyError, TypeError, RecursionError) as fault:
        raise CorruptSnapshotError(f"A message of {TABLES_QUEUE} is not one of this app: {fault!r}.") from fault


def decode_chunk(body: bytes) -> ChunkMessage:
    """The chunk named in a body. Raises CorruptSnapshotError where it is none."""
    try:
        c = json.loads(body)
        environment, run, task, attempt = (_text(c, name) for name in ("environment", "run", "task", "attempt"))
        return ChunkMessage(environment, run, task, attempt, _count(c, "stage"), _count(c, "number"))
    except (ValueError, KeyError, TypeError, RecursionError) as fault:
        raise CorruptSnapshotError(f"A message of the chunk queues is not one of this app: {fault!r}.") from fault


def _text(content: Mapping[str, Any], name: str) -> str:
    found = content[name]
    if isinstance(found, str):
        return found
    raise TypeError(f"{name} is no text")


def _count(content: Mapping[str, Any], name: str) -> int:
    found = content[name]
    if isinstance(found, int) and not isinstance(found, bool) and found >= 0:
        return found
    raise TypeError(f"{name} is no number from 0")
