"""What workers of one application user tell each other, on real tables of Azurite."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import uuid4

import pytest
from azure.data.tables import TableServiceClient

from local import azurite, ports
from shared.clock import Clock
from shared.dataverse.limiter import Limiter, News
from shared.runs.tables import Write
from shared.settings import Connection
from shared.throttling import NAME, Throttling, Workers

APART = 4.0
"""By how much two right clocks may differ: a hold is kept for so much longer."""

HOST, USER = "contoso.crm.dynamics.com", "0bfc4568-a4ba-4c58-bd3e-5d3e76bd7fff"


class Time(Clock):
    """Time of the storage and ticks of the process, both turned by hand."""

    def __init__(self, off: float = 0.0, of: Time | None = None) -> None:
        super().__init__()
        self._passed, self._off, self._of = 0.0, off, of

    @property
    def passed(self) -> float:
        return self._of.passed if self._of else self._passed

    @passed.setter
    def passed(self, seconds: float) -> None:
        self._passed = seconds

    def now(self) -> datetime:
        return datetime(2026, 11, 22, tzinfo=UTC) + timedelta(seconds=self.passed + self._off)

    def ticks(self) -> float:
        return self.passed

    def learn(self, served: datetime) -> None:
        """The storage's own time is of no interest here."""


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("azurite")
    reserved = ports.reserve(folder / "ports.json", azurite.SERVICES)
    child = azurite.start(folder / "files", folder / "azurite.log", reserved)
    try:
        yield azurite.connection_string(reserved)
    finally:
        child.stop()


@pytest.fixture
def clock() -> Time:
    return Time()


class Make(Protocol):
    def __call__(self, name: str, off: float = 0.0) -> Workers:
        """A worker whose clock is so many seconds ahead."""
        ...


@pytest.fixture
def worker(connection: str, clock: Time) -> Make:
    """Makes workers of one user that no other test knows. The table is there, as after the first minute of the app."""
    partition = uuid4().hex

    def make(name: str, off: float = 0.0) -> Workers:
        client = TableServiceClient.from_connection_string(connection)
        client.create_table_if_not_exists(NAME)
        return Workers(client, Time(off, clock), partition, name, ticks=clock.ticks)

    return make


def test_a_hold_reaches_the_other_workers(worker: Make, clock: Time) -> None:
    first, second = worker("first"), worker("second")
    second.hear()
    first.tell(30.0)
    clock.passed += 1.0
    assert second.hear() == News(29.0 + APART)


def test_a_hold_is_news_once(worker: Make, clock: Time) -> None:
    first, second = worker("first"), worker("second")
    second.hear()
    first.tell(30.0)
    clock.passed += 1.0
    second.hear()
    clock.passed += 1.0
    assert second.hear() is None


def test_what_a_worker_was_told_itself_is_no_news_to_it(worker: Make, clock: Time) -> None:
    first = worker("first")
    first.hear()
    first.tell(30.0)
    clock.passed += 1.0
    assert first.hear() is None


def test_the_table_is_read_at_most_once_a_second(worker: Make, clock: Time) -> None:
    first, second = worker("first"), worker("second")
    second.hear()
    first.tell(30.0)
    clock.passed += 0.9
    assert second.hear() is None
    clock.passed += 0.1
    assert second.hear() is not None


def test_a_shorter_hold_does_not_replace_a_longer_one(worker: Make, clock: Time) -> None:
    first, second, third = worker("first"), worker("second"), worker("third")
    third.hear()
    first.tell(60.0)
    second.tell(5.0)
    clock.passed += 1.0
    assert third.hear() == News(59.0 + APART)


def test_workers_that_sent_lately_are_counted(worker: Make, clock: Time) -> None:
    first, second = worker("first"), worker("second")
    assert first.hear() == News(workers=1)
    assert second.hear() == News(workers=2)
    clock.passed += 29.0
    assert first.hear() is None
    clock.passed += 1.0
    assert first.hear() == News(workers=2)


def test_a_worker_that_was_not_seen_for_a_while_does_not_count(worker: Make, clock: Time) -> None:
    first = worker("first")
    worker("second").hear()
    clock.passed += 91.0
    assert first.hear() == News(workers=1)


def test_who_keeps_still_during_a_hold_counts_afterwards(worker: Make, clock: Time) -> None:
    first, second = worker("first"), worker("second")
    first.hear()
    second.hear()
    first.tell(240.0)
    clock.passed += 241.0
    assert first.hear() == News(workers=2)
    clock.passed += 95.0
    assert first.hear() == News(workers=1)


def test_a_429_of_one_process_holds_the_requests_of_the_other(worker: Make, clock: Time) -> None:
    def wait(seconds: float) -> None:
        clock.passed += seconds

    first, second = (Limiter(8, others=worker(name), clock=clock.ticks, sleep=wait) for name in ("first", "second"))
    with second.slot() as slot:
        slot.wait()
    clock.passed += 1.0
    told_at = clock.passed
    first.note_throttled(clock.ticks(), 12.0)
    with second.slot() as slot:
        slot.wait()
    assert clock.passed >= told_at + 12.0
    assert second.at_once == 4


def test_rows_of_workers_that_are_long_gone_are_removed(worker: Make, clock: Time, connection: str) -> None:
    gone = f"gone{uuid4().hex}"
    worker(gone).hear()
    clock.passed += 16 * 60.0
    worker("first").hear()
    table = TableServiceClient.from_connection_string(connection).get_table_client(NAME)
    assert list(table.query_entities("RowKey eq @row", parameters={"row": f"worker {gone}"})) == []


def test_the_table_is_made_where_there_is_none(connection: str, clock: Time) -> None:
    client = TableServiceClient.from_connection_string(connection)
    client.delete_table(NAME)
    first = Workers(client, clock, "fresh", "first", ticks=clock.ticks)
    first.hear()
    clock.passed += 1.0
    assert first.hear() == News(workers=1)


def test_a_table_that_is_deleted_is_made_again(worker: Make, clock: Time, connection: str) -> None:
    first, second = worker("first"), worker("second")
    second.hear()
    for told in (30.0, 90.0):
        TableServiceClient.from_connection_string(connection).delete_table(NAME)
        first.tell(told)
        clock.passed += 1.0
        assert second.hear() == News(told - 1.0 + APART)


# -- clocks and numbers that are wrong -------------------------------------------------------------------------------

HOURS = 3600.0


def test_a_hold_of_a_clock_that_is_ahead_lasts_no_longer_than_what_was_told(worker: Make) -> None:
    second = worker("second")
    worker("first", off=6 * HOURS).tell(5.0)
    assert second.hear() == News(5.0 + APART, workers=1)


def test_a_hold_of_a_clock_that_was_ahead_is_replaced_by_a_right_one(worker: Make, clock: Time) -> None:
    third = worker("third")
    worker("first", off=6 * HOURS).tell(5.0)
    worker("second").tell(20.0)
    clock.passed += 1.0
    heard = third.hear()
    assert heard is not None
    assert heard.hold_seconds == 19.0 + APART


def test_a_clock_that_the_table_corrects_is_right_in_what_it_tells(worker: Make, clock: Time) -> None:
    first, second = worker("first", off=6 * HOURS), worker("second")
    get = first._table.get

    def corrected(*arguments: Any) -> Any:
        found = get(*arguments)
        first._clock = clock
        return found

    first._table.get = corrected  # type: ignore[method-assign,assignment]
    first.tell(30.0)
    clock.passed += 1.0
    heard = second.hear()
    assert heard is not None
    assert heard.hold_seconds == 29.0 + APART


def test_clocks_that_are_a_little_apart_keep_the_whole_hold(worker: Make) -> None:
    first, second = worker("first", off=-1.9), worker("second", off=1.9)
    first.tell(5.0)
    heard = second.hear()
    assert heard is not None
    assert heard.hold_seconds >= 5.0


@pytest.mark.parametrize("seconds", [1e9, float("inf")])
def test_nobody_is_held_longer_than_an_hour(worker: Make, seconds: float) -> None:
    second = worker("second")
    worker("first").tell(seconds)
    heard = second.hear()
    assert heard is not None
    assert heard.hold_seconds == HOURS + APART


@pytest.mark.parametrize("seconds", [float("nan"), 0.0, -1.0])
def test_what_is_no_time_is_told_to_nobody(worker: Make, seconds: float) -> None:
    second = worker("second")
    worker("first").tell(seconds)
    assert second.hear() == News(workers=1)


def test_a_worker_of_the_future_does_not_count(worker: Make, clock: Time) -> None:
    worker("dead", off=24 * HOURS).hear()
    first = worker("first")
    assert first.hear() == News(workers=1)
    clock.passed += 24 * HOURS
    assert first.hear() == News(workers=1)


def test_threads_that_are_told_the_same_write_it_once(worker: Make, clock: Time) -> None:
    first = worker("first")
    asked: list[Write] = []
    write = first._table.write

    def counted(one: Write) -> str:
        asked.append(one)
        return write(one)

    first._table.write = counted  # type: ignore[method-assign,assignment]
    for _ in range(300):
        first.tell(5.0)
        clock.passed += 0.003
    first.tell(30.0)
    assert len(asked) == 2


NOWHERE = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;TableEndpoint=http://127.0.0.1:9/a;"


def test_a_table_that_does_not_answer_is_left_alone_for_a_while(clock: Time, caplog: pytest.LogCaptureFixture) -> None:
    client = TableServiceClient.from_connection_string(NOWHERE, retry_total=0)
    workers = Workers(client, clock, "user", "first", ticks=clock.ticks)
    asked = []
    for _ in range(12):
        workers.hear()
        asked.append(caplog.text.count("throttling.not_shared"))
        clock.passed += 1.0
    assert asked == [1] * 10 + [2] * 2


def test_a_table_that_does_not_answer_stops_nothing(clock: Time) -> None:
    workers = Throttling(Connection(NOWHERE), clock, "first").of(HOST, USER)
    limiter = Limiter(others=workers)
    began = time.monotonic()
    for _ in range(5):
        with limiter.slot() as slot:
            slot.wait()
            limiter.note_answer(slot.since, 0.1)
    assert limiter.note_throttled(limiter.clock(), 0.0) == 0.0
    assert time.monotonic() - began < 8.0
