"""The links of one source table through any history: the real plans and commits over a Dataverse in memory.

Planning and closing are the app's own functions, with its SQL, its state files and its chunks. Only what surrounds them
is replaced: storage is a dictionary, the lake is the table of keys itself, and Dataverse is a dictionary of lookups.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet

from shared import close, keys, lifecycle, links, plan, profiles
from shared.claims import TaskClaim
from shared.dataverse import metadata, privileges
from shared.dataverse.metadata import Column, Lookup, Table
from shared.delta import chunks, compare, engine, rejects, state
from shared.errors import RequirementError
from shared.reading import Reading
from shared.runs import paths
from shared.runs.model import Chunk, Kind, Mode, Run, Task, TaskPhase
from shared.runs.rows import Pointer
from shared.services import Services
from shared.settings import load
from shared.settings.model import Removal
from shared.tables.macros import MACROS
from tests.support.catalogs import CRM, ENVIRONMENT, entity, hydration, snapshot, source

BRAKE_ROWS, CHUNK_ROWS, PAGE_ROWS = 2, 3, 3
"""So low that a few rows are braked, and fill several chunks and pages."""

CODE = "new_code"
_LOOKUP, _PROFILE = "msdynci_lookupfield_customerprofile", "msdynci_customerprofile"
_PINNED = snapshot([entity("Customer", "CustomerId", "CRM_contact_contactid")])
_STORAGE = "DefaultEndpointsProtocol=http;AccountName=one;AccountKey=eA==;BlobEndpoint=http://127.0.0.1:1/one"
_BUS = "Endpoint=sb://127.0.0.1;SharedAccessKeyName=x;SharedAccessKey=y"
_SETTINGS = load({"LakeStorage": _STORAGE, "StatusStorage": _STORAGE, "ServiceBus": _BUS}, Path(__file__).parents[2])


@dataclass
class Dataverse:
    """A source table, the profiles that there are, and the lookup between them (0: there is none yet)."""

    links: dict[str, str | None] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)  # the alternate key of each row, whether it exists or not
    profiles: set[str] = field(default_factory=set)
    lookup: int = 0
    restricts: bool = True  # what is pointed to is not deleted; else deleting it empties the links

    def update(self, row: str, profile: str | None) -> str:
        """What a write comes to: the lookup restricts what it points to."""
        if row not in self.links:
            return "missing"
        if profile is not None and profile not in self.profiles:
            return "rejected"
        self.links[row] = profile
        return "written"

    def delete_profile(self, profile: str) -> bool:
        if self.restricts and profile in self.links.values():
            return False
        self.profiles.discard(profile)
        self.links = {row: None if to == profile else to for row, to in self.links.items()}
        return True

    def table(self, name: str) -> Table | None:
        on_delete = "Restrict" if self.restricts else "RemoveLink"
        lookup = Lookup(_LOOKUP, _PROFILE, _LOOKUP, on_delete, "r", f"lookup {self.lookup}")
        columns = {CODE: Column(CODE, "String", 100)} | ({_LOOKUP: Column(_LOOKUP, "Lookup")} if self.lookup else {})
        if name == _PROFILE:
            return Table(name, name, f"{name}s", f"{name}id", "msdynci_name", False, "Standard", {}, ())  # noqa: FBT003
        lookups = (lookup,) if self.lookup else ()
        return Table(name, name, f"{name}s", f"{name}id", "fullname", False, "Standard", columns, lookups)  # noqa: FBT003

    def pages(self) -> Iterator[list[Mapping[str, Any]]]:
        rows = [
            {"contactid": row, f"_{_LOOKUP}_value": to, CODE: self.codes[row]} for row, to in sorted(self.links.items())
        ]
        for start in range(0, len(rows), PAGE_ROWS):
            yield list(rows[start : start + PAGE_ROWS])


@dataclass
class Storage:
    """The app's blobs and tables."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    known: Pointer = field(default_factory=Pointer)
    opened: list[Chunk] = field(default_factory=list)
    asked: Task | None = None

    def read(self, path: str) -> bytes:
        return self.blobs[path]

    def write(self, path: str, content: bytes) -> None:
        self.blobs[path] = content

    def download(self, path: str, file: Path) -> None:
        file.write_bytes(self.blobs[path])

    def upload(self, path: str, file: Path) -> None:
        self.blobs[path] = file.read_bytes()

    def pointer(self, *_: str) -> Pointer:
        return self.known

    def save_pointer(self, _organization: str, _prefix: str, pointer: Pointer) -> None:
        self.known = pointer

    def task(self, *_: str) -> Task:
        assert self.asked is not None
        return self.asked

    def add_chunks(self, opened: list[Chunk]) -> None:
        self.opened = opened


@dataclass
class Claim:
    """A task that nobody else wants."""

    task: Task

    def save(self, task: Task) -> Task:
        self.task = task
        return task


@dataclass(frozen=True)
class Unified:
    """What a snapshot says: of source rows (value of the key, id of the customer), and the birth of each profile."""

    keys: tuple[tuple[str, str], ...] = ()
    profiles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Write:
    """A row of a chunk, and what was to be written."""

    chunk: int
    place: int
    row: str
    profile: str | None


@dataclass
class World:
    """One environment that links the table `contact`, by its primary key or by an alternate key."""

    by_code: bool = False
    keep: bool = False
    brake_percent: float = 10
    dataverse: Dataverse = field(default_factory=Dataverse)
    storage: Storage = field(default_factory=Storage)
    unified: Unified = field(default_factory=Unified)
    runs: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self._remembered: tuple[Pointer, Mapping[str, tuple[str, str]]] = Pointer(), {}
        removal = Removal(links="keep" if self.keep else "clear", brake_percent=self.brake_percent)
        configured = replace(hydration(source("CRM", CRM, contact=(None, None))), removal=removal)
        user = SimpleNamespace(url=CRM, known_as="user", world=self)
        self.services = cast("Services", SimpleNamespace(
            settings=replace(_SETTINGS, hydration=configured), store=self.storage, blobs=self.storage,
            dataverse=SimpleNamespace(client=lambda _: user, users=lambda _: [user]),
            environment=lambda _: SimpleNamespace(dataverse_url=CRM), world=self,
        ))  # fmt: skip

    # -- a run, as far as links go -------------------------------------------------------------------------

    def plan(self, mode: str, confirms: Task | None = None) -> Task | None:
        """The published plan; None where the task is skipped."""
        self.run = Run(f"run-{next(self.runs)}", ENVIRONMENT, Mode(mode), confirms=confirms.run if confirms else "")
        self.storage.opened = []
        sources = (json.dumps(["CRM", "contact", CODE if self.by_code else ""]),)
        task = Task(self.run.id, "link.contact", "contact", Kind.LINK, "contact", sources=sources)
        claim = Claim(replace(task, phase=TaskPhase.PLANNING, confirms=confirms.attempt if confirms else ""))
        try:
            plan._publish(self.services, self.run, cast("TaskClaim", claim), mend=False)
        except RequirementError:
            return None
        return claim.task

    def writes(self, task: Task, stage: int) -> list[list[Write]]:
        """What the chunks of a stage hold, chunk by chunk."""
        place = paths.plan(ENVIRONMENT, task, task.attempt)
        return [
            [
                Write(one.number, position, *_target(line))
                for position, line in enumerate(chunks.unpack(self.storage.read(paths.chunk(place, one.number))))
            ]
            for one in self.storage.opened
            if one.stage == stage
        ]

    def close(
        self, task: Task, reach: Mapping[int, tuple[int, int]], faults: Mapping[int, Mapping[int, Sequence[object]]]
    ) -> Task:
        """Commit what became of the chunks: (sent, begun) of each, and its rows with another outcome."""
        place, ended = paths.plan(ENVIRONMENT, task, task.attempt), []
        for one in self.storage.opened:
            sent, begun = reach[one.number]
            noted = "worker" if faults.get(one.number) else ""
            if noted:
                content = json.dumps(faults[one.number]).encode()
                self.storage.write(paths.exceptions(place, one.number, noted), content)
            ended.append(replace(one, done=True, sent=sent, begun=begun, noted=noted))
        stopped = any(one.sent < one.rows for one in ended)
        claim = Claim(replace(task, failure="It stopped." if stopped else ""))
        close._close(self.services, self.run, cast("TaskClaim", claim), ended, self.storage.known)
        return claim.task

    def leave(self, task: Task) -> None:
        """The outcome of the plan is never known."""
        self.storage.asked = task
        close.leave_uncertain(self.services, self.run, task, "the worker is gone.")

    # -- what the app remembers ----------------------------------------------------------------------------

    def lose_state(self) -> None:
        self.storage.known = Pointer()

    def state(self) -> Mapping[str, tuple[str, str]]:
        """Of each row its entry and its mark."""
        pointer = self.storage.known
        if self._remembered[0] == pointer:
            return self._remembered[1]
        with engine.connect(self.services.settings) as (connection, folder):
            files = [folder / f"{number}.parquet" for number, _ in enumerate((pointer.path, *pointer.pending))]
            for path, file in zip((pointer.path, *pointer.pending), files, strict=True):
                if path:
                    self.storage.download(path, file)
            state.open_state(connection, files[0] if pointer.path else None, files[1:])
            rows = connection.execute("SELECT id::VARCHAR, entry::VARCHAR, mark FROM state").fetchall()
        assert len({row for row, *_ in rows}) == len(rows), "a row stands twice in the state"
        self._remembered = pointer, {row: (entry, mark) for row, entry, mark in rows}
        return self._remembered[1]

    def refused(self) -> set[str]:
        """The rows that it will send apart, because Dataverse refused them last."""
        path = self.storage.known.refused
        listed = parquet.read_table(pa.BufferReader(self.storage.read(path))).to_pylist() if path else []
        return {str(one["id"]) for one in listed}

    def planned(self, task: Task) -> dict[str, str]:
        """What the plan does with each row."""
        delta = self.storage.read(paths.delta(paths.plan(ENVIRONMENT, task, task.attempt)))
        listed = parquet.read_table(pa.BufferReader(delta), columns=["id", "op"]).to_pylist()
        rows = [(str(one["id"]), str(one["op"])) for one in listed]
        assert len({row for row, _ in rows}) == len(rows), "a row stands twice in the plan"
        return dict(rows)


def _target(line: bytes) -> tuple[str, str | None]:
    record = json.loads(line)
    assert record["@odata.type"] == "Microsoft.Dynamics.CRM.contact"
    bound = record[f"{_LOOKUP}@odata.bind"]
    return record["contactid"], None if bound is None else bound.removeprefix(f"/{_PROFILE}s(").removesuffix(")")


# -- what surrounds the plans ------------------------------------------------------------------------------


@contextmanager
def surroundings() -> Iterator[None]:
    """Let the app's planning and closing work on worlds. One DuckDB serves all, with a database for each use."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as shared, pytest.MonkeyPatch.context() as patch:
        shared.execute("SET threads = 1")
        shared.execute("SET preserve_insertion_order = false")
        shared.execute("SET TimeZone = 'UTC'")
        shared.execute("SET enable_external_file_cache = false")  # files of one name follow each other
        shared.execute(MACROS)

        @contextmanager
        def connect(_: object) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
            shared.execute("ATTACH ':memory:' AS one_use")
            shared.execute("SET search_path = 'one_use.main,memory.main'")
            try:
                yield shared, Path(folder)
            finally:
                for file in Path(folder).iterdir():
                    file.unlink()
                shared.execute("SET search_path = 'memory.main'")
                shared.execute("DETACH one_use")

        patch.setattr(engine, "connect", connect)
        patch.setattr(compare, "BRAKE_ROWS", BRAKE_ROWS)
        patch.setattr(compare, "LEAST_CHUNK_ROWS", CHUNK_ROWS)
        patch.setattr(plan, "_snapshot", lambda *_: _PINNED)
        patch.setattr(metadata, "table", lambda client, name, **_: client.world.dataverse.table(name))
        patch.setattr(metadata, "exists", lambda *_, **_options: True)
        patch.setattr(metadata, "alternate_keys", lambda *_, **_options: {CODE: "Active"})
        patch.setattr(privileges, "lacking", lambda *_, **_options: [])
        patch.setattr(links, "pages", lambda client, _: client.world.dataverse.pages())
        patch.setattr(keys, "define_link_keys", _define_link_keys)
        patch.setattr(profiles, "define", _define_profiles)
        patch.setattr(rejects, "write", lambda *_: False)  # a report for people, shown elsewhere
        patch.setattr(close, "is_held", lambda *_: False)
        patch.setattr(lifecycle, "end_task", lambda *_: None)
        yield


def _define_link_keys(reading: Reading, _: object) -> None:
    keys_given = cast("Any", reading.services).world.unified.keys
    _texts(reading.connection, "link_key", {
        "data_source": ["CRM"] * len(keys_given), "entity": ["contact"] * len(keys_given),
        "value": [value for value, _ in keys_given], "customer_id": [customer for _, customer in keys_given],
    })  # fmt: skip


def _define_profiles(reading: Reading, *_: object) -> None:
    there = cast("Any", reading.services).world.unified.profiles
    _texts(reading.connection, "profile_text", {"id": list(there), "born": list(there.values())})
    reading.connection.execute("CREATE VIEW profile AS SELECT id::UUID AS id, born FROM profile_text")


def _texts(connection: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, Collection[str]]) -> None:
    picked = ", ".join(f"unnest(?::VARCHAR[]) AS {name}" for name in columns)
    connection.execute(f"CREATE TABLE {table} AS SELECT {picked}", [list(of) for of in columns.values()])
