"""The messages of the three queues: references, never rows. Every one may come twice, late or out of order."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from shared.errors import CorruptSnapshotError

TABLES_QUEUE = "hydration-tables"
UPSERTS_QUEUE = "hydration-upserts"
BACKSTAMPS_QUEUE = "hydration-backstamps"


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


def decode_table(body: bytes) -> TableMessage:
    """The step in a body. Raises CorruptSnapshotError where it is none."""
    try:
        content = json.loads(body)
        environment, run, task = (str(content[name]) for name in ("environment", "run", "task"))
        return TableMessage(Step(content["step"]), environment, run, task, int(content["round"]), int(content["tries"]))
    except (ValueError, KeyError, TypeError, OverflowError) as fault:
        raise CorruptSnapshotError(f"A message of {TABLES_QUEUE} is not one of this app: {fault!r}.") from fault


def decode_chunk(body: bytes) -> ChunkMessage:
    """The chunk named in a body. Raises CorruptSnapshotError where it is none."""
    try:
        c = json.loads(body)
        environment, run, task, attempt = (str(c[name]) for name in ("environment", "run", "task", "attempt"))
        return ChunkMessage(environment, run, task, attempt, int(c["stage"]), int(c["number"]))
    except (ValueError, KeyError, TypeError, OverflowError) as fault:
        raise CorruptSnapshotError(f"A message of the chunk queues is not one of this app: {fault!r}.") from fault
