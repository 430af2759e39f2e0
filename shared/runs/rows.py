"""The smaller rows of the status storage, beside environments, runs, tasks and chunks (model.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.runs.model import Task


@dataclass(frozen=True)
class Lock:
    """Which run an environment works on, empty: none; and the last that began to write."""

    run: str = ""
    last: str = ""
    etag: str = ""


@dataclass(frozen=True)
class Moved:
    """When a task last got something done."""

    at: datetime | None = None


@dataclass(frozen=True)
class Asked:
    """When the closing of a task was last asked for."""

    at: datetime | None = None
    task: str = ""


@dataclass(frozen=True)
class Progress:
    """A run's tasks by key, when the run last got something done, and when which task was asked to be closed."""

    tasks: list[Task]
    moved: datetime | None
    closing: Mapping[str, datetime]


@dataclass(frozen=True)
class Pointer:
    """Which file holds what Dataverse has of a table because of us, and which plan attempt of which run wrote it."""

    path: str = ""
    run: str = ""
    attempt: str = ""
    table: str = ""
    kind: str = ""
    origin: str = ""  # where its rows came from, where that may change
    configuration: str = ""  # of a linked table: what its links depended on
    succeeded: bool = False  # some run brought the table to its end
    pending: tuple[str, ...] = ()  # deltas that may have been sent, whose outcome never reached the state
    refused: str = ""  # the file beside it: rows that Dataverse refused last
    etag: str = ""


@dataclass(frozen=True)
class Owner:
    """The environment that writes to an organization."""

    environment: str = ""
    etag: str = ""
