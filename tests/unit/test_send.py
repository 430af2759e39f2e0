"""One chunk and its claim: who takes over from whom, and what is told. Storage and Dataverse are stood in for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shared import send
from shared.dataverse.bulk import RowFault, Writer
from shared.dataverse.errors import AmbiguousError
from shared.delta import chunks
from shared.errors import ConflictError, ThrottledError, TransientError
from shared.runs import paths
from shared.runs.model import Chunk, Kind, Phase, Run, Task

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
IDS = [f"00000000-0000-4000-8000-{number:012}" for number in range(4)]
RUN = cast("Run", SimpleNamespace(id="run", environment="environment", stage=1, organization_id="org"))
TASK = Task("run", "task", "task", Kind.TABLE, "CustomerProfile", attempt="attempt", primary_id="id")
FOLDER = paths.plan("environment", TASK, "attempt")


@dataclass
class Storage:
    """The chunk's row, guarded by its version, and the blobs."""

    chunk: Chunk = field(default_factory=lambda: Chunk("run", "task", "attempt", 1, 1, len(IDS), etag="0"))
    blobs: dict[str, bytes] = field(default_factory=dict)
    failed: list[Task] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.blobs[paths.chunk(FOLDER, 1)] = chunks.pack([json.dumps({"id": one}).encode() for one in IDS])

    def save_chunk(self, chunk: Chunk) -> Chunk:
        if chunk.etag != self.chunk.etag:
            raise ConflictError("changed")
        self.chunk = replace(chunk, etag=str(int(chunk.etag) + 1))
        return self.chunk

    def conclude_chunk(self, chunk: Chunk) -> Chunk:
        return self.save_chunk(replace(chunk, done=True))

    def run(self, *_: str) -> Any:
        return SimpleNamespace(phase=Phase.SENDING, stopped="")

    def task(self, *_: str) -> Task:
        return TASK

    def save_task(self, task: Task) -> None:
        self.failed.append(task)

    def moved(self, *_: str) -> None:
        """Nobody looks."""

    def open_chunks(self, *_: Any, **__: Any) -> list[int]:
        return [2]

    def exceptions(self) -> dict[str, list[Any]]:
        """What closing reads."""
        found: dict[str, list[Any]] = json.loads(self.blobs[paths.exceptions(FOLDER, 1, self.chunk.noted)])
        return {place: row for place, row in found.items() if int(place) < self.chunk.sent}


class User:
    """An application user's client, as far as choosing one goes."""

    def __init__(self, hold: float = 0.0) -> None:
        self.limiter, self.organization_id = SimpleNamespace(hold_seconds=lambda: hold), "org"


class Worker(send._Sending):
    """Two rows a call; `call` says what Dataverse answers."""

    def __init__(self, storage: Storage, name: str, call: Callable[[Worker], list[RowFault]], *users: User) -> None:
        turns = iter(users)
        services = SimpleNamespace(
            store=storage,
            blobs=SimpleNamespace(read=storage.blobs.__getitem__, write=storage.blobs.__setitem__),
            clock=SimpleNamespace(now=lambda: NOW),
            settings=SimpleNamespace(
                lease_seconds=300, dataverse_timeout_seconds=120, hydration=SimpleNamespace(publisher_prefix="xy")
            ),
            dataverse=SimpleNamespace(sender=lambda _: next(turns, users[-1]), sizes=lambda _: None),
            environment=lambda _: SimpleNamespace(dataverse_url="https://contoso.crm.dynamics.com"),
            worker=name,
        )
        self.sent_by: list[Writer] = []
        self._script = call
        super().__init__(cast("Any", services), RUN, TASK, storage.chunk)

    def _writer(self) -> Writer:
        writer = super()._writer()
        self.sent_by.append(writer)
        return cast("Writer", SimpleNamespace(reach=lambda records, start, _: min(start + 2, len(records))))

    def _call(self, *_: Any) -> list[RowFault]:
        return self._script(self)


def clean(_: Worker) -> list[RowFault]:
    return []


def failing(error: TransientError) -> Callable[[Worker], list[RowFault]]:
    def call(_: Worker) -> list[RowFault]:
        raise error

    return call


def test_what_a_worker_notes_after_it_was_overtaken_is_never_read() -> None:
    storage = Storage()

    def held_up(worker: Worker) -> list[RowFault]:
        if worker._chunk.sent == 0:
            return [RowFault(0, "rejected", "0x1", "No.")]
        assert Worker(storage, "second", clean, User()).go() is None  # its lease is over meanwhile
        return [RowFault(1, "rejected", "0x2", "Refused only when the first one sent it.")]

    with pytest.raises(ConflictError):
        Worker(storage, "first", held_up, User()).go()
    assert (storage.chunk.sent, storage.chunk.done) == (4, True)
    assert list(storage.exceptions()) == ["0"]


def test_what_put_a_chunk_off_is_told_when_it_is_given_up() -> None:
    storage = Storage()
    later = Worker(storage, "worker", failing(AmbiguousError("https://contoso, contacts: took too long.")), User()).go()
    assert later is not None
    assert later.at > NOW
    storage.chunk = replace(storage.chunk, tries=send.MOST_TRIES)
    assert Worker(storage, "worker", clean, User()).go() is None
    assert storage.failed[0].failure == "Given up after 50 attempts. https://contoso, contacts: took too long."


def test_rows_that_were_tried_often_are_sent_one_by_one() -> None:
    storage = Storage()
    storage.chunk = replace(storage.chunk, tries=send.FINAL_TRIES - 2)
    for final in (False, True):
        worker = Worker(storage, "worker", failing(TransientError("SQL timeout")), User())
        worker.go()
        assert [writer.final for writer in worker.sent_by] == [final]


@pytest.mark.parametrize(("others", "seconds"), [([], 300.0), ([User()], 0.0), ([User(40.0)], 40.0)])
def test_a_throttled_chunk_waits_no_longer_than_until_some_user_is_free(others: list[User], seconds: float) -> None:
    storage = Storage()
    later = Worker(storage, "worker", failing(ThrottledError("wait", 300.0)), User(300.0), *others).go()
    assert later == send.Later(NOW + timedelta(seconds=seconds))
    assert storage.chunk.tries == 0, "waiting as told is no failure"
    assert storage.chunk.trouble == "wait"
