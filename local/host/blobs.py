"""Blob triggers with Event Grid as source: event -> storage queue -> call, as the real extension does it.

The queue outlives the host. A message whose blob is gone is dropped; one whose calls failed too often goes to the
poison queue. Every event runs the function, duplicates too.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.functions import blob
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import (
    QueueClient,
    QueueMessage,
    QueueServiceClient,
    TextBase64DecodePolicy,
    TextBase64EncodePolicy,
)

from local.host.app import Function, connection
from local.host.invocation import Invoker

log = logging.getLogger(__name__)
POLL_SECONDS = 1.0
VISIBLE_AGAIN_SECONDS = 6  # the real host takes minutes; renewed while the call runs
HOST_ID = "local"
POISON_QUEUE = "webjobs-blobtrigger-poison"
BLOB_CREATED = "Microsoft.Storage.BlobCreated"
_SUBJECT = re.compile(r"/blobServices/default/containers/([^/]+)/blobs/(.+)", re.DOTALL)


class BlobListener:
    """Takes events for the app's blob functions and calls them."""

    def __init__(self, functions: list[Function], invoker: Invoker, *, most: int, poison_after: int) -> None:
        self._functions = {function.name: function for function in functions}
        self._invoker, self._most, self._poison_after = invoker, most, poison_after
        self._blobs = {
            function.name: BlobServiceClient.from_connection_string(
                connection(function.trigger.connection, function.name)
            )
            for function in functions
        }
        storage = QueueServiceClient.from_connection_string(connection("AzureWebJobsStorage", "the host"))
        self._queue = _queue(storage, f"azure-webjobs-blobtrigger-{HOST_ID}")
        self._poison = _queue(storage, POISON_QUEUE)
        self._calls = ThreadPoolExecutor(most, thread_name_prefix="blob")
        self._stopping, self._news = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="blob queue", daemon=True)

    def start(self) -> None:
        """Begin to take from the queue."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more; what is running goes on."""
        self._stopping.set()
        self._news.set()

    def join(self, deadline: float) -> None:
        """Wait for the calls that are running, until the deadline (of time.monotonic)."""
        self._thread.join(max(0.0, deadline - time.monotonic()))

    def serves(self, function: str) -> bool:
        """Whether there is such a blob function."""
        return function in self._functions

    def accept(self, function: str, event: Mapping[str, Any]) -> bool:
        """Keep one event (Event Grid schema or CloudEvents) in the queue; False: not a blob that was created."""
        subject = _SUBJECT.fullmatch(str(event.get("subject", "")))
        if (event.get("eventType") or event.get("type")) != BLOB_CREATED or subject is None:
            return False
        entry = {
            "Type": "BlobTrigger",
            "FunctionId": f"Host.Functions.{function}",
            "BlobType": event.get("data", {}).get("blobType", "BlockBlob"),
            "ContainerName": subject[1],
            "BlobName": subject[2],
            "ETag": event.get("data", {}).get("eTag"),
        }
        self._queue.send_message(json.dumps(entry))
        self._news.set()
        return True

    def _run(self) -> None:
        running: dict[Future[None], QueueMessage] = {}
        while not self._stopping.is_set() or running:
            try:
                self._turn(running)
            except AzureError as error:
                log.warning("queue %s: %s", self._queue.queue_name, error)
                self._stopping.wait(POLL_SECONDS)

    def _turn(self, running: dict[Future[None], QueueMessage]) -> None:
        """Start what is there, wait for news, settle what has ended, and keep the rest invisible to other hosts."""
        self._news.clear()
        free = self._most - len(running)
        if free and not self._stopping.is_set():
            taken = self._queue.receive_messages(max_messages=free, visibility_timeout=VISIBLE_AGAIN_SECONDS)
            running.update({self._calls.submit(self._call, message): message for message in taken})
        if running:
            wait(running, timeout=POLL_SECONDS, return_when="FIRST_COMPLETED")
        else:
            self._news.wait(POLL_SECONDS)
        for call in [call for call in running if call.done()]:
            self._settle(running.pop(call), call.exception())
        for message in filter(_lapses_soon, running.values()):
            renewed = self._queue.update_message(message, visibility_timeout=VISIBLE_AGAIN_SECONDS)
            message.pop_receipt, message.next_visible_on = renewed.pop_receipt, renewed.next_visible_on

    def _call(self, message: QueueMessage) -> None:
        entry = json.loads(message.content)
        stream = self._read(entry)
        if stream is not None:
            self._invoker.call(self._functions[_name(entry)], stream)

    def _settle(self, message: QueueMessage, failure: BaseException | None) -> None:
        """What is done leaves the queue, a failure comes back until it is poison."""
        if failure is not None:
            log.info("%s: try %s failed: %s", message.content, message.dequeue_count, type(failure).__name__)
            if (message.dequeue_count or 0) < self._poison_after:
                self._queue.update_message(message, visibility_timeout=0)
                return
            self._poison.send_message(message.content)
        self._queue.delete_message(message)

    def _read(self, entry: Mapping[str, Any]) -> blob.InputStream | None:
        """The blob as the worker passes it; None: it is gone, or no function of this app wants it."""
        if _name(entry) not in self._functions:
            return None
        container, name = _path(entry)
        client = self._blobs[_name(entry)].get_blob_client(container, name)
        try:
            download = client.download_blob()
            content = download.readall()
        except ResourceNotFoundError:
            log.info("blob %s/%s is gone", container, name)
            return None
        found = download.properties
        properties = {
            "ETag": found.etag,
            "ContentLength": found.size,
            "ContentType": found.content_settings.content_type,
            "LastModified": found.last_modified.isoformat(),
        }
        return blob.InputStream(
            data=content,
            name=f"{container}/{name}",
            uri=client.url,
            length=found.size or None,  # the real worker gives None for an empty blob
            blob_properties=properties,
            metadata=found.metadata,
        )


def _queue(storage: QueueServiceClient, name: str) -> QueueClient:
    client = storage.get_queue_client(
        name, message_encode_policy=TextBase64EncodePolicy(), message_decode_policy=TextBase64DecodePolicy()
    )
    with contextlib.suppress(ResourceExistsError):
        client.create_queue()
    return client


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry["FunctionId"]).removeprefix("Host.Functions.")


def _path(entry: Mapping[str, Any]) -> tuple[str, str]:
    return entry["ContainerName"], entry["BlobName"]


def _lapses_soon(message: QueueMessage) -> bool:
    visible = message.next_visible_on
    return visible is None or visible.timestamp() - time.time() < VISIBLE_AGAIN_SECONDS / 2
