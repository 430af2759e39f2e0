"""What stands in the place of Azure and Dataverse while histories run. Decisions, handlers and SQL are the app's."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Event, Lock
from types import SimpleNamespace
from typing import Any

import pytest

from shared import claims, outcomes, plan, prepare, tasks, throttling
from shared.dataverse import batch, client, metadata, privileges
from shared.dataverse.schema import Schema
from shared.delta import compare, engine, rejects, source
from shared.lake.snapshot import Snapshot
from shared.runs import openings, store
from shared.runs import tables as runs_tables
from shared.runs.entities import from_entity
from shared.tables import discovery, naming
from tests.simulation import sessions
from tests.simulation.days import MARKER
from tests.simulation.parts import Connections
from tests.simulation.strands import BrokenPromise
from tests.simulation.tables import Row, Service

BRAKE_ROWS, CHUNK_ROWS = 2, 3
"""So low that a few rows are braked, and fill several chunks."""
_MOST_SNAPSHOTS = 500


class _Names:
    """uuid4, but the same in every history of the same events. `of` says whom it names."""

    def __init__(self, of: str) -> None:
        self._of = of

    def uuid4(self) -> Any:
        world = Connections.world
        if self._of == "plan" and world.current:
            return SimpleNamespace(hex=world.attempt(world.current.task))
        world.numbers[self._of] += 1
        return SimpleNamespace(hex=f"{self._of[:6]:_<6}{world.numbers[self._of]:06}")


class _NoThread:
    """A claim is not renewed: nothing takes long enough, unless its worker is held up altogether."""

    def __init__(self, **_: object) -> None:
        """Nothing runs."""

    def start(self) -> None:
        """Nothing runs."""

    def join(self) -> None:
        """Nothing ran."""


class _Listener(logging.Handler):
    """Looks for customers' values in all that is logged."""

    def emit(self, record: logging.LogRecord) -> None:
        if MARKER in str(record.__dict__):
            raise BrokenPromise(f"A log record holds a customer's value: {record.__dict__}")
        if record.msg in {"reconcile.failed", "sweep.failed"}:
            raise BrokenPromise(f"Something happened that nobody foresaw: {record.__dict__}")


@contextmanager
def surroundings() -> Iterator[None]:
    """Let the app work on worlds, one after the other."""
    with sessions.engines() as engines, pytest.MonkeyPatch.context() as patch:

        def connect(_: object) -> AbstractContextManager[tuple[sessions.Session, Path]]:
            return sessions.session(engines, Connections.world.lake.content)

        patch.setattr(engine, "connect", connect)
        patch.setattr(engine, "folder_of", lambda connection: connection.folder)
        patch.setattr(engine, "reach_lake", lambda *_: None)
        patch.setattr(source, "_LAKE", sessions.LAKE)
        patch.setattr(compare, "BRAKE_ROWS", BRAKE_ROWS)
        patch.setattr(compare, "LEAST_CHUNK_ROWS", CHUNK_ROWS)
        patch.setattr(tasks, "OUTPUT_TABLES", ("CustomerProfile", "AlternateKey"))
        patch.setattr(rejects, "write", lambda *_: False)  # a report for people, shown elsewhere
        _storage(patch)
        _definitions(patch)
        _remembered(patch)
        patch.setattr(claims, "threading", SimpleNamespace(Lock=Lock, Event=Event, Thread=_NoThread))
        for module, of in (
            (plan, "plan"),
            (outcomes, "send"),
            (openings, "run"),
            (runs_tables, "mark"),
            (batch, "batch"),
        ):
            patch.setattr(module, "uuid", _Names(of))
        listener = _Listener()
        patch.setattr(logging.Logger, "callHandlers", lambda _, record: listener.emit(record))  # thousands of lines
        patch.setattr(logging.getLogger("shared"), "level", logging.INFO)
        yield


def _storage(patch: pytest.MonkeyPatch) -> None:
    def service(_: object, clock: Any, **__: object) -> Service:
        return Service(clock.world, clock)

    def decoded(cls: Any, entity: Row, etag: str) -> Any:
        if cls not in entity.decoded:
            entity.decoded[cls] = from_entity(cls, entity, etag)
        return entity.decoded[cls]

    patch.setattr(runs_tables, "from_entity", decoded)  # of the same version of a row it makes the same
    patch.setattr(store, "service", service)
    patch.setattr(throttling, "service", service)


def _remembered(patch: pytest.MonkeyPatch) -> None:
    """What depends on the snapshot alone is found out once."""
    claims_of, known = naming.claims, dict[str, Any]()

    def claims(snapshot: Snapshot, hydration: Any) -> Any:
        if len(known) > _MOST_SNAPSHOTS:
            known.clear()
        if snapshot.fingerprint not in known:
            known[snapshot.fingerprint] = claims_of(snapshot, hydration)
        return known[snapshot.fingerprint]

    parsed = lru_cache(maxsize=_MOST_SNAPSHOTS)(Snapshot.from_json)
    patch.setattr(Snapshot, "from_json", staticmethod(parsed))
    patch.setattr(discovery, "claims", claims)


def _definitions(patch: pytest.MonkeyPatch) -> None:
    def ask(answer: Any) -> Any:
        return Connections.world.call("dataverse definition", answer)

    def provision(_: object, schema: Schema) -> list[str]:
        def create() -> list[str]:
            organization = Connections.world.organization
            organization.tables |= {one.logical_name for one in schema.tables}
            organization.lookups |= {one.table for one in schema.lookups}
            return []

        found: list[str] = ask(create)
        return found

    patch.setattr(prepare, "provision", provision)
    patch.setattr(metadata, "table", lambda _, name, **__: ask(lambda: Connections.world.organization.table(name)))
    patch.setattr(metadata, "exists", lambda _, name: ask(lambda: name in Connections.world.organization.tables))
    patch.setattr(metadata, "alternate_keys", lambda *_: {})
    patch.setattr(metadata, "cascading", lambda *_: [])
    patch.setattr(privileges, "lacking", lambda *_: [])
    patch.setattr(client, "Connections", Connections)
