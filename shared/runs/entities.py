"""Frozen dataclasses as entities of Azure Tables and back. Keys are written in a safe alphabet."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import typing
from collections.abc import Hashable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, cast

T = TypeVar("T")

_UNSAFE = re.compile(r"[^A-Za-z0-9._ -]")
_LONGEST_KEY = 300  # a key takes 1 KiB of UTF-16, and some are made of two
_MOST_BYTES = 60_000  # of UTF-16; a property takes 64 KiB, whatever is longer lives in blobs

_NEWEST_FIRST = str.maketrans("0123456789", "9876543210")


def key(text: str) -> str:
    """The text in characters that a partition or row key takes: no slashes, signs or controls; at most 300.

    No two texts have the same key: a long one is cut and ends in its hash, after a mark that no other key has.
    """
    safe = _UNSAFE.sub(lambda m: "".join(f"={byte:02x}" for byte in _bytes(m[0])), text)
    if len(safe) <= _LONGEST_KEY:
        return safe
    mark = "==" + hashlib.sha256(_bytes(text)).hexdigest()
    return safe[: _LONGEST_KEY - len(mark)] + mark


def _bytes(text: str) -> bytes:
    """UTF-8, half a surrogate pair too: JSON of others may hold one."""
    return text.encode("utf-8", "surrogatepass")


def newest_first(run_id: str) -> str:
    """A run's id with its digits turned round, so that the newest run stands first in its partition."""
    return run_id.translate(_NEWEST_FIRST)


def run_row(run: str) -> str:
    """The row key of a run in its environment's partition."""
    return f"run {newest_first(key(run))}"


@cache
def _hints(cls: Hashable) -> Mapping[str, Any]:
    return typing.get_type_hints(cls)


def to_entity(value: Any, partition: str, row: str) -> dict[str, Any]:
    """A frozen dataclass as an entity; `etag` is left out: it belongs to the request.

    A text that is too long is cut. Raises ValueError for a field of parts that is too long: cut, it could not be read.
    """
    entity: dict[str, Any] = {"PartitionKey": partition, "RowKey": row}
    for field in dataclasses.fields(value):
        content = getattr(value, field.name)
        if field.name == "etag" or content is None:
            continue
        entity[field.name] = _written(f"{type(value).__name__}.{field.name}", content)
    return entity


def _written(name: str, content: Any) -> Any:
    if isinstance(content, str):
        whole = str(content).encode("utf-16-le", "surrogatepass")
        return whole[:_MOST_BYTES].decode("utf-16-le", "ignore")
    if isinstance(content, datetime):
        return content.isoformat()
    if isinstance(content, int):
        return content
    parts = json.dumps(content if isinstance(content, tuple) else dataclasses.asdict(content))
    if len(parts) * 2 > _MOST_BYTES:
        raise ValueError(f"{name} is too long for a row of the status storage.")
    return parts


def from_entity(cls: type[T], entity: Mapping[str, Any], etag: str | None) -> T:
    """The frozen dataclass that `to_entity` wrote. Unknown properties are ignored, missing ones have their default."""
    found: dict[str, Any] = {}
    for name, hint in _hints(cast("Hashable", cls)).items():
        if name in entity:
            found[name] = _read(hint, entity[name])
    if "etag" in _hints(cast("Hashable", cls)):
        found["etag"] = etag or ""
    return cls(**found)


def _read(hint: Any, content: Any) -> Any:
    if hint == datetime | None:
        return datetime.fromisoformat(content)
    if typing.get_origin(hint) is tuple:
        return tuple(json.loads(content))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(content)
    if dataclasses.is_dataclass(hint):
        known = {field.name for field in dataclasses.fields(hint)}
        return cast("Any", hint)(**{name: one for name, one in json.loads(content).items() if name in known})
    return content
