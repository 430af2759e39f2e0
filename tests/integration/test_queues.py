"""Sending messages to the broker: to the right queue, in any number, at their time, and again after it was away."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusClient

from local.broker.client import connection_string
from local.children import Child, base_environment
from shared.errors import TransientError
from shared.runs.messages import (
    BACKSTAMPS_QUEUE,
    TABLES_QUEUE,
    UPSERTS_QUEUE,
    ChunkMessage,
    Step,
    TableMessage,
    decode_chunk,
    decode_table,
)
from shared.runs.model import Kind
from shared.runs.queues import Queues
from shared.settings import Connection

ALL = (TABLES_QUEUE, UPSERTS_QUEUE, BACKSTAMPS_QUEUE)


class Broker:
    """A broker that can be away for a while."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, 0
        self.start()
        self.queues = Queues(Connection(connection_string(self.port)))

    def start(self) -> None:
        options = ["--port", str(self.port), "--db", str(self.folder / "bus.db"), "--queue", *ALL]
        self.child = Child.of_module("local.broker", options, self.folder / "log", base_environment())
        (port,) = self.child.wait_for(r"^ready on 127\.0\.0\.1:(\d+)$")
        self.port = int(port)

    def stop(self) -> None:
        for queue in ALL:
            self.queues._drop(queue)
        if self.queues._client is not None:
            self.queues._client.close()
        self.child.stop()

    def receive(self, queue: str, number: int, within: float = 10) -> list[bytes]:
        """So many bodies, or what came of them in time."""
        found: list[bytes] = []
        deadline = time.monotonic() + within
        client = ServiceBusClient.from_connection_string(connection_string(self.port), retry_total=0)
        with client, client.get_queue_receiver(queue, receive_mode="receiveanddelete") as receiver:
            while len(found) < number and time.monotonic() < deadline:
                found += [b"".join(one.body) for one in receiver.receive_messages(1000, max_wait_time=0.5)]
        return found


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    running = Broker(tmp_path_factory.mktemp("broker"))
    yield running
    running.stop()


def chunk(number: int) -> ChunkMessage:
    return ChunkMessage("e" * 36, "r" * 30, "link.contact", "a" * 12, 2, number)


def test_each_message_goes_to_its_queue(broker: Broker) -> None:
    step = TableMessage(Step.PLAN, "e", "r", "t", 2, 3)
    broker.queues.send_step(step, step)
    broker.queues.send_chunks(Kind.TABLE, [chunk(1)])
    broker.queues.send_chunks(Kind.LINK, [chunk(2)])
    broker.queues.send_step()
    broker.queues.send_chunks(Kind.LINK, [])
    assert [decode_table(body) for body in broker.receive(TABLES_QUEUE, 2)] == [step, step]
    assert [decode_chunk(body) for body in broker.receive(UPSERTS_QUEUE, 1)] == [chunk(1)]
    assert [decode_chunk(body) for body in broker.receive(BACKSTAMPS_QUEUE, 1)] == [chunk(2)]


def test_more_messages_than_a_batch_takes(broker: Broker) -> None:
    broker.queues.send_chunks(Kind.LINK, [chunk(number) for number in range(3000)])
    numbers = [decode_chunk(body).number for body in broker.receive(BACKSTAMPS_QUEUE, 3000, within=60)]
    assert numbers == list(range(3000))


def test_a_message_comes_at_its_time(broker: Broker) -> None:
    at = datetime.now(UTC) + timedelta(seconds=1.5)
    broker.queues.send_step(TableMessage(Step.CLOSE, "e", "r"), at=at)
    assert len(broker.receive(TABLES_QUEUE, 1)) == 1
    assert datetime.now(UTC) >= at - timedelta(seconds=0.1)


def test_threads_share_the_senders(broker: Broker) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: broker.queues.send_chunks(Kind.TABLE, [chunk(number)]), range(40)))
    numbers = [decode_chunk(body).number for body in broker.receive(UPSERTS_QUEUE, 40)]
    assert sorted(numbers) == list(range(40))


# The SDK leaves the socket of a connection that the other side dropped to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_a_broker_that_is_away_is_a_passing_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(tmp_path)
    broker.queues.send_chunks(Kind.TABLE, [chunk(1)])
    broker.child.kill()
    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", lambda _: None)  # the SDK's pauses between its tries
        with pytest.raises(TransientError, match="hydration-upserts took no messages"):
            broker.queues.send_chunks(Kind.TABLE, [chunk(2)])
    broker.start()
    broker.queues.send_chunks(Kind.TABLE, [chunk(3)])
    assert [decode_chunk(body).number for body in broker.receive(UPSERTS_QUEUE, 2)] == [1, 3]
    broker.stop()
    del broker
    gc.collect()
