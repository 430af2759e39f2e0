"""The sections of an encoded AMQP message: split, read, and extended without touching what the sender wrote."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from local.broker import codec

HEADER, DELIVERY_ANNOTATIONS, ANNOTATIONS, PROPERTIES, APPLICATION, BODY, SEQUENCE, VALUE, FOOTER = range(0x70, 0x79)


class Section(NamedTuple):
    """Where a section starts, where its value starts, and where both end."""

    code: int
    start: int
    value: int
    end: int


@dataclass(frozen=True)
class Incoming:
    """What the broker needs to know of a message; `tail` is everything from its properties on, as sent."""

    tail: bytes
    annotations: bytes | None
    message_id: str | None
    ttl_ms: int | None
    scheduled_ms: int


def sections(raw: bytes) -> list[Section]:
    """Split an encoded message. ValueError: it is none, or is cut off."""
    at, found = 0, []
    while at < len(raw):
        if raw[at] != 0:
            raise ValueError("not an AMQP message")
        code, value = codec.decode(raw, at + 1)
        if not isinstance(code, int) or not HEADER <= code <= FOOTER:
            raise ValueError("not a section of an AMQP message")
        end = codec.skip(raw, value)
        if end > len(raw):
            raise ValueError("truncated AMQP message")
        found.append(Section(code, at, value, end))
        at = end
    return found


def read(raw: bytes) -> Incoming:
    """Header, annotations and message id of a message that was sent."""
    ttl = annotations = message_id = None
    scheduled, tail = 0, b""
    for section in sections(raw):
        if section.code == HEADER:
            header = codec.decode(raw, section.value)[0]
            ttl = header[2] if len(header) > 2 else None
        elif section.code == ANNOTATIONS:
            annotations = raw[section.value : section.end]
            scheduled = int(codec.decode(raw, section.value)[0].get("x-opt-scheduled-enqueue-time") or 0)
        elif section.code >= PROPERTIES:
            if section.code == PROPERTIES:
                properties = codec.decode(raw, section.value)[0]
                message_id = None if not properties or properties[0] is None else str(properties[0])
            tail = raw[section.start :]
            break
    return Incoming(tail, annotations, message_id, ttl, scheduled)


def batch(raw: bytes) -> list[bytes]:
    """The messages of a batch: every data section holds one."""
    return [codec.decode(raw, section.value)[0] for section in sections(raw) if section.code == BODY]


def extend_map(raw: bytes | None, pairs: Mapping[str, Any]) -> bytes:
    """Add pairs to an encoded map; how the others are typed stays as it is."""
    count, body = 0, b""
    if raw:
        short = raw[0] == 0xC1
        count, body = (raw[2], raw[3:]) if short else (struct.unpack_from(">I", raw, 5)[0], raw[9:])
    body += b"".join(codec.encode(key) + codec.encode(value) for key, value in pairs.items())
    return codec.compound(0xC1, count + 2 * len(pairs), body)


def deliver(stored: Incoming, *, sequence: int, enqueued_ms: int, locked_until_ms: int, deliveries: int) -> bytes:
    """The message as a receiver gets it. `deliveries`: tries that ended before this one."""
    extra: dict[str, Any] = {
        codec.Symbol("x-opt-enqueued-time"): codec.Timestamp(enqueued_ms),
        codec.Symbol("x-opt-sequence-number"): sequence,
        codec.Symbol("x-opt-enqueue-sequence-number"): sequence,
    }
    if locked_until_ms:
        extra[codec.Symbol("x-opt-locked-until")] = codec.Timestamp(locked_until_ms)
    ttl = None if stored.ttl_ms is None else codec.UInt(min(stored.ttl_ms, 0xFFFFFFFF))
    header = codec.encode([None, None, ttl, None, codec.UInt(deliveries)])
    return b"\x00\x53\x70" + header + b"\x00\x53\x72" + extend_map(stored.annotations, extra) + stored.tail


def with_application_properties(tail: bytes, pairs: Mapping[str, Any]) -> bytes:
    """The tail with more application properties: where the reason of a dead letter stands."""
    if not pairs:
        return tail
    parts = sections(tail)
    found = next((part for part in parts if part.code == APPLICATION), None)
    if found:
        start, end, old = found.start, found.end, tail[found.value : found.end]
    else:
        start = parts[0].end if parts and parts[0].code == PROPERTIES else 0
        end, old = start, None
    return tail[:start] + b"\x00\x53\x74" + extend_map(old, pairs) + tail[end:]
