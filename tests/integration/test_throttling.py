"""What workers of one application user tell each other, on real tables of Azurite."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from azure.data.tables import TableServiceClient

from local import azurite, ports
from shared.clock import Clock
from shared.dataverse.limiter import Limiter, News
from shared.settings import Connection
from shared.throttling import NAME, Throttling, Workers

HOST, USER = "contoso.crm.dynamics.com", "0bfc4568-a4ba-4c58-bd3e-5d3e76bd7fff"


class Time(Clock):
    """Time of the storage and ticks of the process, both turned by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 22, tzinfo=UTC) + timedelta(seconds=self.passed)

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


@pytest.fixture
def worker(connection: str, clock: Time) -> Callable[[str], Workers]:
    """Makes workers of one user that no other test knows. The table is there, as after the first minute of the app."""
    partition = uuid4().hex

    def make(name: str) -> Workers:
        client = TableServiceClient.from_connection_string(connection)
        client.create_table_if_not_exists(NAME)
        return Workers(client, clock, partition, name, ticks=clock.ticks)

    return make


def test_a_hold_reaches_the_other_workers(worker: Callable[[str], Workers], clock: Time) -> None:
    first, second = worker("first"), worker("second")
    second.hear()
    first.tell(30.0)
    clock.passed += 1.0
    assert second.hear() == News(29.0)


def test_a_hold_is_news_once(worker: Callable[[str], Workers], clock: Time) -> None:
    first, second = worker("first"), worker("second")
    second.hear()
    first.tell(30.0)
    clock.passed += 1.0
    second.hear()
    clock.passed += 1.0
    assert second.hear() is None


def test_what_a_worker_was_told_itself_is_no_news_to_it(worker: Callable[[str], Workers], clock: Time) -> None:
    first = worker("first")
    first.hear()
    first.tell(30.0)
    clock.passed += 1.0
    assert first.hear() is None


def test_the_table_is_read_at_most_once_a_second(worker: Callable[[str], Workers], clock: Time) -> None:
    first, second = worker("first"), worker("second")
    second.hear()
    first.tell(30.0)
    clock.passed += 0.9
    assert second.hear() is None
    clock.passed += 0.1
    assert second.hear() is not None


def test_a_shorter_hold_does_not_replace_a_longer_one(worker: Callable[[str], Workers], clock: Time) -> None:
    first, second, third = worker("first"), worker("second"), worker("third")
    third.hear()
    first.tell(60.0)
    second.tell(5.0)
    clock.passed += 1.0
    assert third.hear() == News(59.0)


def test_workers_that_sent_lately_are_counted(worker: Callable[[str], Workers], clock: Time) -> None:
    first, second = worker("first"), worker("second")
    assert first.hear() == News(workers=1)
    assert second.hear() == News(workers=2)
    clock.passed += 29.0
    assert first.hear() is None
    clock.passed += 1.0
    assert first.hear() == News(workers=2)


def test_a_worker_that_was_not_seen_for_a_while_does_not_count(worker: Callable[[str], Workers], clock: Time) -> None:
    first = worker("first")
    worker("second").hear()
    clock.passed += 91.0
    assert first.hear() == News(workers=1)


def test_who_keeps_still_during_a_hold_counts_afterwards(worker: Callable[[str], Workers], clock: Time) -> None:
    first, second = worker("first"), worker("second")
    first.hear()
    second.hear()
    first.tell(240.0)
    clock.passed += 241.0
    assert first.hear() == News(workers=2)
    clock.passed += 95.0
    assert first.hear() == News(workers=1)


def test_a_429_of_one_process_holds_the_requests_of_the_other(worker: Callable[[str], Workers], clock: Time) -> None:
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


def test_rows_of_workers_that_are_long_gone_are_removed(
    worker: Callable[[str], Workers], clock: Time, connection: str
) -> None:
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
