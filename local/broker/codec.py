"""AMQP 1.0 types on the wire, as far as a Service Bus-compatible endpoint needs them (OASIS AMQP 1.0, part 1)."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Symbol(str):
    """ASCII text from a constrained domain."""

    __slots__ = ()


class UByte(int):
    """Unsigned, 8 bits."""


class UInt(int):
    """Unsigned, 32 bits."""


class ULong(int):
    """Unsigned, 64 bits."""


class Int(int):
    """Signed, 32 bits (a plain Python int is a long)."""


class Timestamp(int):
    """Milliseconds since 1970, UTC."""


class Described(NamedTuple):
    """A value with its descriptor."""

    code: Any
    value: Any


class Array(NamedTuple):
    """Values of one fixed-width type, given by its constructor byte."""

    code: int
    items: list[int]


LONG, TIMESTAMP = 0x81, 0x83
_FIXED = {LONG: ">q", TIMESTAMP: ">q"}


def _variable(short_code: int, raw: bytes) -> bytes:
    if len(raw) < 256:
        return bytes((short_code, len(raw))) + raw
    return bytes((short_code + 0x10,)) + struct.pack(">I", len(raw)) + raw


def compound(short_code: int, count: int, body: bytes) -> bytes:
    """A list or map from its encoded items."""
    if len(body) < 255 and count < 256:
        return bytes((short_code, len(body) + 1, count)) + body
    return bytes((short_code + 0x10,)) + struct.pack(">II", len(body) + 4, count) + body


def _long(value: int) -> bytes:
    return b"\x55" + struct.pack(">b", value) if -128 <= value < 128 else b"\x81" + struct.pack(">q", value)


def _uint(value: int) -> bytes:
    if value == 0:
        return b"\x43"
    return bytes((0x52, value)) if value < 256 else b"\x70" + struct.pack(">I", value)


def _ulong(value: int) -> bytes:
    if value == 0:
        return b"\x44"
    return bytes((0x53, value)) if value < 256 else b"\x80" + struct.pack(">Q", value)


def _list(value: list[Any]) -> bytes:
    return compound(0xC0, len(value), b"".join(map(encode, value))) if value else b"\x45"


def _map(value: Mapping[Any, Any]) -> bytes:
    return compound(0xC1, 2 * len(value), b"".join(encode(k) + encode(v) for k, v in value.items()))


def _array(value: Array) -> bytes:
    body = bytes((value.code,)) + b"".join(struct.pack(_FIXED[value.code], item) for item in value.items)
    return b"\xf0" + struct.pack(">II", len(body) + 4, len(value.items)) + body


_ENCODERS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"\x40",
    bool: lambda v: b"\x41" if v else b"\x42",
    int: _long,
    UByte: lambda v: bytes((0x50, v)),
    UInt: _uint,
    ULong: _ulong,
    Int: lambda v: b"\x71" + struct.pack(">i", v),
    float: lambda v: b"\x82" + struct.pack(">d", v),
    Timestamp: lambda v: b"\x83" + struct.pack(">q", v),
    uuid.UUID: lambda v: b"\x98" + v.bytes,
    bytes: lambda v: _variable(0xA0, v),
    str: lambda v: _variable(0xA1, v.encode()),
    Symbol: lambda v: _variable(0xA3, v.encode()),
    list: _list,
    dict: _map,
    Array: _array,
    Described: lambda v: b"\x00" + encode(v.code) + encode(v.value),
}


def encode(value: Any) -> bytes:
    """The bytes of one value; its Python type chooses the AMQP type."""
    return _ENCODERS[type(value)](value)


_CONSTANTS: dict[int, Any] = {0x40: None, 0x41: True, 0x42: False, 0x43: 0, 0x44: 0}
_NUMBERS = {  # forms of constructors that follow each other, as `struct` writes them
    first + nth: struct.Struct(">" + form)
    for first, forms in {0x50: "BbBBbb?", 0x60: "Hh", 0x70: "IifI", 0x80: "Qqdq"}.items()
    for nth, form in enumerate(forms)
}
_WIDTHS = (0, 1, 2, 4, 8, 16)


def decode(raw: bytes, at: int = 0) -> tuple[Any, int]:
    """The value at a position and the position after it. ValueError: an unknown constructor."""
    return _value(raw[at], raw, at + 1)


def _value(code: int, raw: bytes, at: int) -> tuple[Any, int]:
    if code in _CONSTANTS:
        return _CONSTANTS[code], at
    if code in _NUMBERS:
        number = _NUMBERS[code]
        return number.unpack_from(raw, at)[0], at + number.size
    if code == 0x98:
        return uuid.UUID(bytes=bytes(raw[at : at + 16])), at + 16
    decoder = _BY_CATEGORY.get(code >> 4)
    if decoder is None:
        raise ValueError(f"unsupported AMQP constructor 0x{code:02x}")
    return decoder(code, raw, at)


def _described(code: int, raw: bytes, at: int) -> tuple[Any, int]:
    if code == 0x45:
        return [], at
    descriptor, at = decode(raw, at)
    value, at = decode(raw, at)
    return Described(descriptor, value), at


def _text(code: int, raw: bytes, at: int) -> tuple[Any, int]:
    wide = code >> 4 == 0xB
    size, at = (struct.unpack_from(">I", raw, at)[0], at + 4) if wide else (raw[at], at + 1)
    content = bytes(raw[at : at + size])
    kind = code & 0xF
    if kind == 0:
        return content, at + size
    return (content.decode() if kind == 1 else Symbol(content.decode())), at + size


def _count(raw: bytes, at: int, *, wide: bool) -> tuple[int, int]:
    return (struct.unpack_from(">I", raw, at + 4)[0], at + 8) if wide else (raw[at + 1], at + 2)


def _collection(code: int, raw: bytes, at: int) -> tuple[Any, int]:
    count, at = _count(raw, at, wide=code >> 4 == 0xD)
    items = []
    for _ in range(count):
        item, at = decode(raw, at)
        items.append(item)
    return (dict(zip(items[::2], items[1::2], strict=True)) if code & 0xF == 1 else items), at


def _uniform(code: int, raw: bytes, at: int) -> tuple[Any, int]:
    count, at = _count(raw, at, wide=code >> 4 == 0xF)
    constructor, at = raw[at], at + 1
    if constructor == 0:  # an array of described values: the descriptor says nothing that is needed here
        _, at = decode(raw, at)
        constructor, at = raw[at], at + 1
    items = []
    for _ in range(count):
        item, at = _value(constructor, raw, at)
        items.append(item)
    return items, at


_BY_CATEGORY: dict[int, Callable[[int, bytes, int], tuple[Any, int]]] = {
    0x0: _described,
    0x4: _described,
    0xA: _text,
    0xB: _text,
    0xC: _collection,
    0xD: _collection,
    0xE: _uniform,
    0xF: _uniform,
}


def skip(raw: bytes, at: int) -> int:
    """The position after the value at a position, without decoding it."""
    code = raw[at]
    at += 1
    if code == 0:
        return skip(raw, skip(raw, at))
    category = code >> 4
    if 4 <= category <= 9:
        return at + _WIDTHS[category - 4]
    if category in (0xA, 0xC, 0xE):
        return at + 1 + raw[at]
    return int(at + 4 + struct.unpack_from(">I", raw, at)[0])
