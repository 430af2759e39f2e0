"""Sending messages. Clients are reused; a batch is as large as the service takes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

from shared.errors import TransientError
from shared.runs.messages import (
    BACKSTAMPS_QUEUE,
    TABLES_QUEUE,
    UPSERTS_QUEUE,
    ChunkMessage,
    TableMessage,
    encode,
    message_id,
)
from shared.runs.model import Kind
from shared.settings import Connection

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusClient, ServiceBusSender

_log = logging.getLogger(__name__)


class Queues:
    """The three queues. Thread safe: the SDK's senders are not, so each is used by one thread at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client: ServiceBusClient | None = None
        self._senders: dict[str, ServiceBusSender] = {}
        self._lock = Lock()

    def send_step(self, *messages: TableMessage, at: datetime | None = None) -> None:
        """Ask for steps of runs, now or at a time."""
        self._send(TABLES_QUEUE, messages, at)

    def send_chunks(self, kind: Kind, messages: Sequence[ChunkMessage], *, at: datetime | None = None) -> None:
        """Ask for chunks to be sent, now or at a time."""
        self._send(UPSERTS_QUEUE if kind is Kind.TABLE else BACKSTAMPS_QUEUE, messages, at)

    def _send(self, queue: str, messages: Sequence[TableMessage | ChunkMessage], at: datetime | None) -> None:
        from azure.core.exceptions import AzureError  # noqa: PLC0415
        from azure.servicebus.exceptions import MessageSizeExceededError, ServiceBusError  # noqa: PLC0415

        with self._lock:
            try:
                sender = self._sender(queue)
                batch = sender.create_message_batch()
                for message in messages:
                    envelope = _envelope(message, at)
                    try:
                        batch.add_message(envelope)
                    except MessageSizeExceededError:
                        sender.send_messages(batch)
                        batch = sender.create_message_batch()
                        batch.add_message(envelope)
                sender.send_messages(batch)
            except (ServiceBusError, AzureError, ValueError) as fault:
                self._drop(queue)
                raise TransientError(f"The queue {queue} took no messages: {type(fault).__name__}.") from fault
            except BaseException:
                self._drop(queue)  # nobody knows what state it is in: the next message must not find it
                raise

    def _sender(self, queue: str) -> ServiceBusSender:
        if self._client is None:
            self._client = _connect(self._connection)
        if queue not in self._senders:
            self._senders[queue] = self._client.get_queue_sender(queue)
        return self._senders[queue]

    def _drop(self, queue: str) -> None:
        """Forget a sender that failed: the next message opens a new one."""
        if sender := self._senders.pop(queue, None):
            try:
                sender.close()
            except Exception:  # noqa: BLE001  it is broken already
                _log.debug("queue.sender_not_closed", exc_info=True)


def _envelope(message: TableMessage | ChunkMessage, at: datetime | None) -> Any:
    from azure.servicebus import ServiceBusMessage  # noqa: PLC0415  nearly half a second of cold start

    return ServiceBusMessage(
        encode(message),
        content_type="application/json",
        subject=message.id,
        message_id=message_id(message),
        scheduled_enqueue_time_utc=at,
    )


def _connect(connection: Connection) -> ServiceBusClient:
    from azure.servicebus import ServiceBusClient  # noqa: PLC0415

    if connection.connection_string:
        return ServiceBusClient.from_connection_string(connection.connection_string)
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415

    credential = DefaultAzureCredential(managed_identity_client_id=connection.identity)
    return ServiceBusClient(str(connection.address), credential)
