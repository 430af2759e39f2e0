"""Service Bus triggers: peek-lock, one message a call, complete on return, abandon on exception."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from typing import Any

from azure.functions import servicebus
from azure.servicebus import ServiceBusClient, ServiceBusReceivedMessage, ServiceBusReceiver
from azure.servicebus.exceptions import ServiceBusError

from local.host.app import Function, connection, resolve
from local.host.invocation import Invoker

log = logging.getLogger(__name__)
RECEIVE_SECONDS = 1.0  # how long a receiver waits before it looks whether the host stops
IDLE_SECONDS = 15.0  # after this a receiver more than one goes
RECONNECT_SECONDS = 1.0


class QueueListener:
    """Calls one function for the messages of its queue, with as many receivers as there is work for.

    A receiver belongs to one thread, which renews its message's lock while another thread runs the function: the
    SDK's receivers are not made for two threads.
    """

    def __init__(self, function: Function, invoker: Invoker, *, most: int, renew_for: float) -> None:
        self.function, self._invoker, self._most, self._renew_for = function, invoker, most, renew_for
        self._queue = resolve(function.trigger.queue_name)
        self._connection = connection(function.trigger.connection, function.name)
        self._calls = ThreadPoolExecutor(most, thread_name_prefix=function.name)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._receivers: set[threading.Thread] = set()
        self._busy = 0

    def start(self) -> None:
        """Begin with one receiver."""
        self._grow()

    def stop(self) -> None:
        """Take no more messages; what is running goes on."""
        self._stopping.set()

    def join(self, deadline: float) -> None:
        """Wait for running calls and their settling, until the deadline (of time.monotonic)."""
        with self._lock:
            threads = list(self._receivers)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _grow(self) -> None:
        with self._lock:
            if self._stopping.is_set() or self._busy < len(self._receivers) or len(self._receivers) >= self._most:
                return
            thread = threading.Thread(target=self._receive_until_stopped, name=f"{self._queue} receiver", daemon=True)
            self._receivers.add(thread)
        thread.start()

    def _receive_until_stopped(self) -> None:
        while not self._stopping.is_set():
            try:
                with (
                    ServiceBusClient.from_connection_string(self._connection, retry_total=0) as client,
                    client.get_queue_receiver(self._queue) as receiver,
                ):
                    self._receive(receiver)
                    break
            except Exception as error:  # noqa: BLE001 - a broken connection shows itself in many ways
                log.warning("queue %s: %s: %s; connecting again", self._queue, type(error).__name__, error)
                self._stopping.wait(RECONNECT_SECONDS)
        with self._lock:
            self._receivers.discard(threading.current_thread())

    def _receive(self, receiver: ServiceBusReceiver) -> None:
        """Until the host stops, or this receiver is not needed any more."""
        active = time.monotonic()
        while not self._stopping.is_set():
            for message in receiver.receive_messages(1, max_wait_time=RECEIVE_SECONDS):
                self._handle(receiver, message)
                active = time.monotonic()
            if time.monotonic() - active > IDLE_SECONDS and self._is_spare():
                return

    def _is_spare(self) -> bool:
        with self._lock:
            if len(self._receivers) == 1:
                return False
            self._receivers.discard(threading.current_thread())
            return True

    def _handle(self, receiver: ServiceBusReceiver, message: ServiceBusReceivedMessage) -> None:
        with self._lock:
            self._busy += 1
        self._grow()
        try:
            call = self._calls.submit(self._invoker.call, self.function, as_trigger(message))
            self._hold(receiver, message, call)
            if call.exception() is None:
                receiver.complete_message(message)
            else:
                receiver.abandon_message(message)
        finally:
            with self._lock:
                self._busy -= 1

    def _hold(self, receiver: ServiceBusReceiver, message: ServiceBusReceivedMessage, call: Future[Any]) -> None:
        """Renew the message's lock, each time at half of what is left of it, until the call has ended."""
        give_up = time.monotonic() + self._renew_for
        while not wait([call], timeout=_half_of_lock(message)).done:
            if time.monotonic() > give_up:
                log.warning("%s: the lock of message %s is renewed no longer", self._queue, message.message_id)
                wait([call])
                return
            try:
                receiver.renew_message_lock(message)
            except ServiceBusError as error:  # the call goes on, as on the real host: its message is redelivered
                log.warning("%s: the lock of message %s is lost: %s", self._queue, message.message_id, error)
                wait([call])
                return


def _half_of_lock(message: ServiceBusReceivedMessage) -> float:
    if message.locked_until_utc is None:
        return RECEIVE_SECONDS
    return max(0.1, (message.locked_until_utc - datetime.now(UTC)).total_seconds() / 2)


def as_trigger(message: ServiceBusReceivedMessage) -> servicebus.ServiceBusMessage:
    """The message as the real worker passes it. The host counts deliveries from one, the Python SDK from none."""
    properties = {_text(name): _text(value) for name, value in (message.application_properties or {}).items()}
    return servicebus.ServiceBusMessage(
        body=b"".join(message.body),
        application_properties=properties,
        user_properties=properties,
        content_type=message.content_type,
        correlation_id=message.correlation_id,
        dead_letter_error_description=message.dead_letter_error_description,
        dead_letter_reason=message.dead_letter_reason,
        delivery_count=(message.delivery_count or 0) + 1,
        enqueued_time_utc=message.enqueued_time_utc,
        expires_at_utc=message.expires_at_utc,
        label=message.subject,
        lock_token=str(message.lock_token),
        locked_until=message.locked_until_utc,
        message_id=message.message_id or "",
        scheduled_enqueue_time_utc=message.scheduled_enqueue_time_utc,
        sequence_number=message.sequence_number,
        subject=message.subject,
        time_to_live=message.time_to_live,
        to=message.to,
    )


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
