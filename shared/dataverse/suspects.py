"""Which rows of a refused bulk call its error speaks of. Pure functions over the records' bytes.

A record is one JSON object. Patterns with quoted names cannot match inside a string: a quote is escaped there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import cache

from shared.dataverse.errors import Fault, Kind

_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_TOO_LONG = re.compile(r"length of the '(\w+)' attribute .*maximum allowed length of '(\d+)'", re.DOTALL)
_OUT_OF_RANGE = re.compile(r"of '(\w+)' .*outside the valid range\D*?(-?[\d.]+) (?:to|-) (-?[\d.]+)", re.DOTALL)

_BACKSLASH = ord("\\")


def row_ids(records: Iterable[bytes], key: str) -> list[str]:
    """The GUIDs of records, in lower case; `key` is the name of the primary key column. ValueError: one has none."""
    name = b'"%b":"' % key.encode()  # as DuckDB writes it: several times as fast as the pattern
    length = len(name)
    found = []
    for record in records:
        start = record.find(name)
        if start > 0 and record[start - 1] != _BACKSLASH:
            start += length
            found.append(record[start : record.index(b'"', start)].decode().lower())
        elif other := _key_of(record, key):
            found.append(other.group(1).decode().lower())
        else:
            raise ValueError(f"a record has no {key}")
    return found


def without_key(record: bytes, key: str) -> bytes:
    """The record as the body of a PATCH, whose address names the row."""
    found = _key_of(record, key)
    if found is None:
        return record
    before, after = record[: found.start()].rstrip(), record[found.end() :].lstrip()
    if after.startswith(b","):
        return before + after[1:].lstrip()
    return before.removesuffix(b",") + after


def _key_of(record: bytes, key: str) -> re.Match[bytes] | None:
    pair = _pair(key)
    found = pair.search(record)
    while found and record[found.start() - 1] == _BACKSLASH:  # the quote stands inside a string
        found = pair.search(record, found.start() + 1)
    return found


@cache
def _pair(key: str) -> re.Pattern[bytes]:
    return re.compile(rb'"%s"\s*:\s*"([^"]*)"' % re.escape(key.encode()))


def guids(message: str) -> set[str]:
    """All GUIDs of a message, in lower case."""
    return {guid.lower() for guid in _GUID.findall(message)}


def missing(fault: Fault, ids: Iterable[str]) -> set[str]:
    """The rows of an update that do not exist, if the error names nothing but rows of this call; else none."""
    if fault.kind is not Kind.MISSING:
        return set()
    named = guids(fault.message)
    return named if named <= set(ids) else set()


def named(fault: Fault, records: Sequence[bytes]) -> list[int]:
    """Positions of the records that the error is about: those with a GUID it names, or with a value it refuses."""
    wanted = [guid.encode() for guid in guids(fault.message)]
    if wanted:
        return [i for i, record in enumerate(records) if any(guid in record.lower() for guid in wanted)]
    if found := _TOO_LONG.search(fault.message):
        column, limit = found.group(1), int(found.group(2))
        return [i for i, record in enumerate(records) if _units(_value(record, column)) > limit]
    if found := _OUT_OF_RANGE.search(fault.message):
        column, least, most = found.group(1), float(found.group(2)), float(found.group(3).rstrip("."))
        return [i for i, record in enumerate(records) if _outside(_value(record, column), least, most)]
    return []


def _value(record: bytes, column: str) -> object:
    values = json.loads(record)
    return values.get(column) if isinstance(values, dict) else None


def _units(value: object) -> int:
    """Length as Dataverse counts it: UTF-16 units."""
    return len(value.encode("utf-16-le", "surrogatepass")) // 2 if isinstance(value, str) else 0


def _outside(value: object, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not least <= value <= most
