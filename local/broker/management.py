"""Requests to `$cbs` and `<queue>/$management`, and their answers."""

from __future__ import annotations

import uuid
from typing import Any

from local.broker import codec, message
from local.broker.store import BusError, Queue, Store


def answer(store: Store, queue: Queue | None, raw: bytes) -> bytes:
    """The encoded answer to an encoded request. Without a queue it is a token for `$cbs`: every token is taken."""
    properties: list[Any] = []
    application: dict[str, Any] = {}
    body: dict[str, Any] = {}
    for section in message.sections(raw):
        value = codec.decode(raw, section.value)[0]
        if section.code == message.PROPERTIES:
            properties = value
        elif section.code == message.APPLICATION:
            application = value
        elif section.code == message.VALUE and isinstance(value, dict):
            body = value
    if queue is None:
        return _encode(properties[0], {"status-code": codec.Int(202), "status-description": "OK"}, {})
    try:
        result = _perform(store, queue, str(application.get("operation", "")), body)
    except BusError as error:
        refused = {"statusCode": codec.Int(error.status), "statusDescription": error.text}
        return _encode(properties[0], {**refused, "errorCondition": codec.Symbol(error.condition)}, {})
    return _encode(properties[0], {"statusCode": codec.Int(200), "statusDescription": "OK"}, result)


def _encode(correlation: Any, application: dict[str, Any], body: dict[str, Any]) -> bytes:
    properties = codec.encode([None] * 5 + [correlation])
    encoded = b"\x00\x53\x74" + codec.encode(application) + b"\x00\x53\x77" + codec.encode(body)
    return b"\x00\x53\x73" + properties + encoded


def _perform(store: Store, queue: Queue, operation: str, body: dict[str, Any]) -> dict[str, Any]:
    name = operation.removeprefix("com.microsoft:")
    if name == "renew-lock":
        until = store.renew(queue, _tokens(body))
        return {"expirations": codec.Array(codec.TIMESTAMP, until)}
    if name == "schedule-message":
        numbers = [store.enqueue(queue, entry["message"]) for entry in body["messages"]]
        return {"sequence-numbers": codec.Array(codec.LONG, numbers)}
    if name == "cancel-scheduled-message":
        store.cancel(queue, body["sequence-numbers"])
        return {}
    if name == "update-disposition":  # how the SDK settles when the receiving link is gone
        for token in _tokens(body):
            _settle(store, token, body)
        return {}
    raise BusError("amqp:not-implemented", f"Operation '{operation}' is not served by this broker.", 501)


def _tokens(body: dict[str, Any]) -> list[bytes]:
    tokens: list[uuid.UUID] = body["lock-tokens"]
    return [token.bytes_le for token in tokens]


def _settle(store: Store, token: bytes, body: dict[str, Any]) -> None:
    how = body["disposition-status"]
    if how == "completed":
        store.complete(token)
    elif how == "abandoned":
        store.abandon(token)
    elif how == "suspended":
        store.dead_letter(token, body.get("deadletter-reason"), body.get("deadletter-description"))
    else:
        raise BusError("amqp:not-implemented", f"Disposition '{how}' is not served by this broker.", 501)
