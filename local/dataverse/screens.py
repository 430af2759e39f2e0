"""A whole column of values at a glance: how the rows of a bulk call are checked.

A *screen* looks at the values that many rows have in one column. It returns what is stored when all of them are plainly
right, and None when it is not sure: then the column's reader (values.py) looks at each of them. So a screen refuses
nothing, and it accepts nothing but what the reader accepts with the same result.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import NoneType
from typing import Any

from local.dataverse import limits, values
from local.dataverse.metadata import Column

Check = Callable[[Sequence[Any]], Sequence[Any] | None]
"""Takes values of the types that its screen takes: at least one, none of them None. ValueError too is "not sure"."""

DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
HEX_DIGITS = bytes.maketrans(b"123456789abcdefABCDEF", b"0" * 21)
GUID = "00000000-0000-0000-0000-000000000000"
DATE = re.compile(r"0000-00-00")
TIME = re.compile(r"0000-00-00T00:00(?::00(?:\.0{1,7})?)?Z")


@dataclass(frozen=True, slots=True)
class Screen:
    """The types (of JSON, as Python reads it) that a column takes, and the look at their values."""

    types: frozenset[type]
    check: Check

    def stored(self, given: Sequence[Any]) -> Sequence[Any] | None:
        """Return what is stored for the given values, None when they must be looked at one by one."""
        types = set(map(type, given))
        empty = NoneType in types
        if not types - {NoneType} <= self.types:
            return None
        found = [value for value in given if value is not None] if empty else given
        if not found:
            return given
        try:
            stored = self.check(found)
        except ValueError:
            return None
        if stored is None or not empty:
            return stored
        following = iter(stored)
        return [None if value is None else next(following) for value in given]


def of(column: Column) -> Screen:
    """Return the screen of a column that is no lookup."""
    kind = "Date" if values.edm_type(column) == "Edm.Date" else column.kind
    types, check = SCREENS[kind]
    return Screen(types, check(column))


def references(set_name: str) -> Screen:
    """Return the screen of `@odata.bind` for rows of an entity set: `accounts(guid)`, stored as the GUID."""
    pattern = re.compile(rf"^/?{set_name}\(({values.GUID.pattern})\)$", re.MULTILINE)

    def check(texts: Sequence[str]) -> Sequence[str] | None:
        found: list[str] = pattern.findall(_lines(texts))
        return _lines(found).lower().split("\n") if len(found) == len(texts) else None

    return Screen(TEXTS, check)


def _lines(texts: Sequence[str]) -> str:
    """Return the texts, one a line. Raises ValueError when one of them has a line end itself."""
    lines = "\n".join(texts)
    if lines.count("\n") >= len(texts):
        raise ValueError
    return lines


def _forms(texts: Sequence[str], digits: bytes = DIGITS) -> set[str]:
    """Return the texts with a zero for each digit: few, however many texts there are. Raises ValueError."""
    return set(_lines(texts).encode().translate(digits).decode().split("\n"))


def _text(column: Column) -> Check:
    limit = values.longest_text(column)

    def check(texts: Sequence[str]) -> Sequence[str] | None:
        joined = "".join(texts)
        # Where each character takes one UTF-16 unit, units need not be counted. A lone surrogate is a ValueError.
        simple = joined.isascii() or len(joined.encode("utf-16-le")) == 2 * len(joined)
        longest = limit if simple else limit // 2
        return texts if max(map(len, texts)) <= longest and "\0" not in joined else None

    return check


def _integer(column: Column) -> Check:
    least, most = values.integer_range(column)

    def check(numbers: Sequence[int]) -> Sequence[int] | None:
        return numbers if least <= min(numbers) and max(numbers) <= most else None

    return check


def _decimal(column: Column) -> Check:
    least, most = values.decimal_range(column)
    form = re.compile(rf"-?0+(?:\.0{{0,{values.decimal_places(column)}}})?")

    def check(numbers: Sequence[Decimal]) -> Sequence[str] | None:
        texts = list(map(str, numbers))
        plain = all(map(form.fullmatch, _forms(texts)))  # without an exponent
        return texts if plain and least <= min(numbers) and max(numbers) <= most else None

    return check


def _double(column: Column) -> Check:
    least, most = values.double_range(column)

    def check(numbers: Sequence[Decimal]) -> Sequence[float] | None:
        return list(map(float, numbers)) if least <= min(numbers) and max(numbers) <= most else None

    return check


def _boolean(_: Column) -> Check:
    return lambda flags: list(map(int, flags))


def _date(_: Column) -> Check:
    def check(texts: Sequence[str]) -> Sequence[str] | None:
        list(map(dt.date.fromisoformat, texts))  # a day that does not exist is a ValueError
        return texts if all(map(DATE.fullmatch, _forms(texts))) and min(texts) >= limits.FIRST_DATE else None

    return check


def _time(_: Column) -> Check:
    def check(texts: Sequence[str]) -> Sequence[str] | None:
        list(map(dt.datetime.fromisoformat, texts))  # a moment that does not exist is a ValueError
        return texts if all(map(TIME.fullmatch, _forms(texts))) and min(texts) >= limits.FIRST_DATE else None

    return check


def _guid(_: Column) -> Check:
    return guids


def guids(texts: Sequence[str]) -> Sequence[str] | None:
    """Return GUIDs as they are stored, None when one of the texts may be none. Raises ValueError."""
    return _lines(texts).lower().split("\n") if _forms(texts, HEX_DIGITS) == {GUID} else None


def _choice(column: Column) -> Check:
    allowed = frozenset(value for value, _ in column.options)
    return lambda numbers: numbers if allowed.issuperset(numbers) else None


TEXTS = frozenset({str})
WHOLE = frozenset({int})
NUMBERS = frozenset({int, Decimal})
SCREENS: dict[str, tuple[frozenset[type], Callable[[Column], Check]]] = {
    "String": (TEXTS, _text),
    "Memo": (TEXTS, _text),
    "Integer": (WHOLE, _integer),
    "BigInt": (WHOLE, _integer),
    "Decimal": (NUMBERS, _decimal),
    "Money": (NUMBERS, _decimal),
    "Double": (NUMBERS, _double),
    "Boolean": (frozenset({bool}), _boolean),
    "Date": (TEXTS, _date),
    "DateTime": (TEXTS, _time),
    "Uniqueidentifier": (TEXTS, _guid),
    "Picklist": (WHOLE, _choice),
    "State": (WHOLE, _choice),
    "Status": (WHOLE, _choice),
}
