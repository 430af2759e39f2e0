"""The broker, driven by the real azure-servicebus SDK."""

from __future__ import annotations

import datetime as dt
import gc
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import (
    AutoLockRenewer,
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceivedMessage,
    ServiceBusReceiveMode,
    ServiceBusReceiver,
    ServiceBusSender,
)
from azure.servicebus import exceptions as refusals

from local.broker.client import connection_string
from local.children import Child, base_environment


def start(folder: Path, *options: str, port: int = 0) -> tuple[Child, int]:
    given = ["--port", str(port), "--db", str(folder / "bus.db"), *options]
    child = Child.of_module("local.broker", given, folder / "broker.log", base_environment())
    (address,) = child.wait_for(r"^ready on 127\.0\.0\.1:(\d+)$")
    return child, int(address)


class Bus:
    """Links of one client, all closed at the end and at once: closing one takes the SDK a second."""

    def __init__(self, port: int) -> None:
        self.client = ServiceBusClient.from_connection_string(connection_string(port), retry_total=0)
        self.links: list[ServiceBusSender | ServiceBusReceiver] = []
        self.senders: dict[str, ServiceBusSender] = {}

    def sender(self, queue: str) -> ServiceBusSender:
        if queue not in self.senders:
            self.senders[queue] = self.client.get_queue_sender(queue)
            self.links.append(self.senders[queue])
            self.senders[queue].__enter__()
        return self.senders[queue]

    def open_senders(self, queues: list[str]) -> None:
        """All at once: opening one takes the SDK half a second, which it sleeps away."""
        with ThreadPoolExecutor(32) as threads:
            list(threads.map(self.sender, queues))

    def send(self, queue: str, *messages: ServiceBusMessage) -> None:
        self.sender(queue).send_messages(list(messages))

    def receiver(self, queue: str, **options: Any) -> ServiceBusReceiver:
        link = self.client.get_queue_receiver(queue, **options)
        self.links.append(link)
        return link.__enter__()  # opens it: a first receive with a short wait would not

    def close(self) -> None:
        with ThreadPoolExecutor(32) as threads:
            list(threads.map(lambda link: link.close(), self.links))
        self.client.close()


@contextmanager
def broker(folder: Path, *options: str, port: int = 0) -> Iterator[tuple[Bus, Child]]:
    child, port = start(folder, *options, port=port)
    with closing(Bus(port)) as links:
        yield links, child
    child.stop()


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    names = [f"q{number}" for number in range(10)]
    with broker(tmp_path_factory.mktemp("broker"), "--lock-seconds", "1.2", "--queue", *names) as (links, _):
        links.open_senders(names)
        yield links


def one(receiver: ServiceBusReceiver, within: float = 3) -> ServiceBusReceivedMessage:
    (message,) = receiver.receive_messages(1, max_wait_time=within)
    return message


def nothing(receiver: ServiceBusReceiver) -> bool:
    return receiver.receive_messages(1, max_wait_time=0.3) == []


def test_a_message_arrives_with_its_fields_and_is_gone_when_completed(bus: Bus) -> None:
    sent = ServiceBusMessage(
        b'{"a":1}', message_id="m1", subject="chunk", correlation_id="c", application_properties={"n": 7, "t": "x"}
    )
    bus.send("q0", sent)
    receiver = bus.receiver("q0")
    message = one(receiver)
    assert b"".join(message.body) == b'{"a":1}'
    assert (message.message_id, message.subject, message.correlation_id) == ("m1", "chunk", "c")
    assert message.application_properties == {b"n": 7, b"t": b"x"}
    assert message.delivery_count == 0
    assert message.locked_until_utc
    left = message.locked_until_utc - dt.datetime.now(dt.UTC)
    assert 0 < left.total_seconds() <= 1.2
    receiver.complete_message(message)
    assert nothing(receiver)


def test_a_batch_and_a_list_arrive_in_order(bus: Bus) -> None:
    sender = bus.sender("q1")
    batch = sender.create_message_batch()
    for number in range(50):
        batch.add_message(ServiceBusMessage(f"{number}"))
    sender.send_messages(batch)
    sender.send_messages([ServiceBusMessage(f"{number}") for number in range(50, 60)])
    got = []
    receiver = bus.receiver("q1", prefetch_count=20, max_wait_time=0.5)
    for message in receiver:
        got.append(int(str(message)))
        receiver.complete_message(message)
    assert got == list(range(60))


def test_abandoning_counts_and_the_tenth_failure_is_the_last(bus: Bus) -> None:
    bus.send("q2", ServiceBusMessage("bad", application_properties={"k": "v"}))
    receiver = bus.receiver("q2")
    for tries in range(10):
        message = one(receiver)
        assert message.delivery_count == tries
        receiver.abandon_message(message)
    assert nothing(receiver)
    receiver = bus.receiver("q2", sub_queue="deadletter")
    message = one(receiver)
    assert message.dead_letter_reason == "MaxDeliveryCountExceeded"
    assert message.application_properties
    assert message.application_properties[b"k"] == b"v"
    receiver.complete_message(message)
    assert nothing(receiver)


def test_a_dead_letter_says_why_and_can_be_read_by_its_path(bus: Bus) -> None:
    bus.send("q3", ServiceBusMessage("poison"))
    receiver = bus.receiver("q3")
    receiver.dead_letter_message(one(receiver), reason="BadBody", error_description="no such table")
    receiver = bus.receiver("q3/$DeadLetterQueue")
    message = one(receiver)
    assert (message.dead_letter_reason, message.dead_letter_error_description) == ("BadBody", "no such table")
    receiver.complete_message(message)


def test_a_lapsed_lock_redelivers_and_cannot_be_completed(bus: Bus) -> None:
    bus.send("q4", ServiceBusMessage("slow"))
    receiver = bus.receiver("q4")
    late = one(receiver)
    again = one(receiver)
    assert again.delivery_count == 1
    late._expiry = dt.datetime.now(dt.UTC) + dt.timedelta(1)  # the SDK's own clock would refuse first
    with pytest.raises(refusals.MessageLockLostError):
        receiver.complete_message(late)
    receiver.complete_message(again)


def test_a_renewed_lock_holds(bus: Bus) -> None:
    bus.send("q5", ServiceBusMessage("long work"))
    receiver = bus.receiver("q5")
    with AutoLockRenewer() as renewer:
        message = one(receiver)
        before = message.locked_until_utc
        assert before
        assert receiver.renew_message_lock(message) > before
        renewer.register(receiver, message, max_lock_renewal_duration=20)
        time.sleep(1.8)
        receiver.complete_message(message)
        assert nothing(receiver)


def test_scheduled_messages_wait_and_can_be_canceled(bus: Bus) -> None:
    due = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1.2)
    sender = bus.sender("q6")
    _, canceled = sender.schedule_messages([ServiceBusMessage("s1"), ServiceBusMessage("s2")], due)
    sender.cancel_scheduled_messages(canceled)
    sender.send_messages(ServiceBusMessage("s3", scheduled_enqueue_time_utc=due))
    receiver = bus.receiver("q6")
    assert nothing(receiver)
    got = [one(receiver), one(receiver)]
    assert dt.datetime.now(dt.UTC) >= due
    assert sorted(map(str, got)) == ["s1", "s3"]
    for message in got:
        receiver.complete_message(message)


def test_receive_and_delete_takes_at_once(bus: Bus) -> None:
    bus.send("q7", ServiceBusMessage("a"), ServiceBusMessage("b"))
    receiver = bus.receiver("q7", receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE)
    assert [str(one(receiver)), str(one(receiver))] == ["a", "b"]
    assert nothing(receiver)


def test_large_messages_come_whole_and_too_large_ones_are_refused(bus: Bus) -> None:
    body = os.urandom(200_000)
    sender = bus.sender("q8")
    sender.send_messages(ServiceBusMessage(body))
    with pytest.raises(refusals.MessageSizeExceededError):
        sender.send_messages(ServiceBusMessage(os.urandom(300_000)))
    receiver = bus.receiver("q8")
    message = one(receiver)
    assert b"".join(message.body) == body
    receiver.complete_message(message)


def test_an_unknown_queue_is_not_found(bus: Bus) -> None:
    with pytest.raises(refusals.MessagingEntityNotFoundError):
        bus.send("nowhere", ServiceBusMessage("lost"))
    with pytest.raises(refusals.MessagingEntityNotFoundError):
        bus.receiver("nowhere")


def test_a_waiting_receiver_is_woken_at_once(bus: Bus) -> None:
    receiver, sent = bus.receiver("q9"), []

    def send() -> None:
        sent.append(time.monotonic())
        bus.send("q9", ServiceBusMessage("ping"))

    timer = threading.Timer(0.3, send)
    timer.start()
    message = one(receiver)
    assert time.monotonic() - sent[0] < 0.5
    timer.join()
    receiver.complete_message(message)


def test_duplicates_are_dropped_where_asked(tmp_path: Path) -> None:
    with broker(tmp_path, "--queue", "once", "--duplicate-seconds", "60") as (links, _):
        for text, name in (("x", "same"), ("y", "same"), ("z", "other")):
            links.send("once", ServiceBusMessage(text, message_id=name))
        receiver = links.receiver("once")
        assert [str(message) for message in (one(receiver), one(receiver))] == ["x", "z"]
        assert nothing(receiver)


def test_expired_messages_become_dead_letters_where_asked(tmp_path: Path) -> None:
    with broker(tmp_path, "--queue", "brief", "--dead-letter-expired") as (links, _):
        links.send("brief", ServiceBusMessage("brief", time_to_live=dt.timedelta(seconds=0.4)))
        receiver = links.receiver("brief", sub_queue="deadletter")
        assert one(receiver).dead_letter_reason == "TTLExpiredException"
        receiver = links.receiver("brief")
        assert nothing(receiver)


# The SDK leaves the socket of a connection that the other side dropped to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_kill_9_of_the_broker_loses_nothing_and_repeats_nothing_that_was_completed(tmp_path: Path) -> None:
    options = ("--queue", "kept", "--lock-seconds", "1")
    with broker(tmp_path, *options) as (links, child):
        links.send("kept", *(ServiceBusMessage(str(number)) for number in range(300)))
        receiver = links.receiver("kept")
        taken = receiver.receive_messages(100, max_wait_time=3)
        for message in taken[:20]:
            receiver.complete_message(message)
        child.kill()
    done = {str(message) for message in taken[:20]}
    with broker(tmp_path, *options) as (links, _):
        receiver = links.receiver("kept")
        while len(done) < 300:
            for message in receiver.receive_messages(100, max_wait_time=3):
                assert str(message) not in done
                done.add(str(message))
                receiver.complete_message(message)
        assert nothing(receiver)
    del links, receiver, message, taken
    gc.collect()
