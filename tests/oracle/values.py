"""The rules for single values: GUIDs, column names, cells, and canonical JSON. Written from the requirements."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

NAMESPACE = uuid.UUID("6b1e5d0c-6f4e-5c58-9b0a-3a8e0d2c7f41")
TEXTS = frozenset({"string", "unclassified"})
"""Data types whose empty text is a value."""

_DASHED = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_GUID = re.compile(rf"({_DASHED}|[0-9a-fA-F]{{32}})|\{{({_DASHED}|[0-9a-fA-F]{{32}})\}}")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(?:\.(\d+))?(?:Z|([+-])(\d\d):?(\d\d))?)?")
_SPACE_OUTSIDE_STRINGS = re.compile(r'("(?:[^"\\]|\\.)*")|\s+')


class Json(str):
    """Canonical JSON that knows where its doubles stand.

    `1e3` and `1000.0` are two notations of the same shortest digits, and either is right. All else has one form only.
    """

    __slots__ = ("doubles",)
    doubles: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, pieces: Iterable[tuple[str, bool]]) -> Json:
        """The text of its pieces; (text, whether it is a double)."""
        at, text, doubles = 0, "", []
        for piece, double in pieces:
            if double:
                doubles.append((at, at + len(piece)))
            text, at = text + piece, at + len(piece)
        found = cls(text)
        found.doubles = tuple(doubles)
        return found

    def same(self, found: object) -> bool:
        """Whether `found` is this text byte by byte, its doubles in any notation of the same shortest digits."""
        if not isinstance(found, str):
            return False
        pattern, at = "", 0
        for begin, end in self.doubles:
            pattern += re.escape(self[at:begin]) + r"(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
            at = end
        match = re.fullmatch(pattern + re.escape(self[at:]), found, re.DOTALL)
        return match is not None and all(
            float(self[begin:end]) == float(token) and _digits(self[begin:end]) == _digits(token)
            for (begin, end), token in zip(self.doubles, match.groups(), strict=True)
        )


def trimmed(text: str) -> str:
    """An id or a name as it goes into an identifier."""
    return text.strip(" ")


def uuid5(identifier: str) -> str:
    """The GUID derived from an identifier."""
    return str(uuid.uuid5(NAMESPACE, identifier))


def guid(text: str) -> str:
    """The GUID that the text spells, with or without dashes, braces and spaces around, else the one derived from it."""
    found = _GUID.fullmatch(text.strip())
    return str(uuid.UUID(found[1] or found[2])) if found else uuid5(trimmed(text))


def column(attribute: str, prefix: str) -> str:
    """The Dataverse column of an attribute: lower case, without characters outside [a-z0-9_]."""
    return f"{prefix}_{re.sub(r'[^a-z0-9_]', '', attribute.lower())}"


def moment(text: str) -> tuple[datetime, str]:
    """A date or date-time in UTC to the second, and the digits of its fraction without trailing zeros."""
    found = _MOMENT.fullmatch(text.strip())
    assert found, "no date-time"
    day, minutes, seconds, fraction, sign, hours, rest = found.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(rest or 0)) * (-1 if sign == "-" else 1)
    read = datetime.fromisoformat(f"{day}T{minutes or '00:00'}{seconds or ':00'}")
    return read.replace(tzinfo=timezone(offset)).astimezone(UTC), (fraction or "").rstrip("0")


def seconds(text: str | None) -> str | None:
    """A date-time as Dataverse holds it: UTC, to the second."""
    return f"{moment(text)[0]:%Y-%m-%dT%H:%M:%S}Z" if text else None


def json_value(text: str | None, kind: str) -> Any:
    """A cell of a profile as the Web API gives it."""
    if text is None:
        return None
    if kind in _CONVERSIONS:
        return _CONVERSIONS[kind](text) if text else None
    return text


def json_object(cells: Mapping[str, tuple[str | None, str]]) -> Json:
    """The object of the cells (text, data type) that have a value, by name in code point order."""
    pieces = [("{", False)]
    for name in sorted(cells):
        text, kind = cells[name]
        if text is None or (text == "" and kind not in TEXTS):
            continue
        pieces.append((("," if len(pieces) > 1 else "") + _dumps(name) + ":", False))
        pieces.append((_RENDERED[kind](text) if kind in _RENDERED else _dumps(text), kind == "double"))
    return Json.of([*pieces, ("}", False)])


def json_list(texts: Iterable[str]) -> Json:
    """The list of the unique texts in code point order."""
    return Json.of([(_dumps(sorted(set(texts))), False)])


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _decimal(text: str) -> str:
    """Exactly, in one form: no exponent, no plus sign, no zeros that do not count."""
    plain = f"{Decimal(text):f}"
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return "0" if plain in ("-0", "") else plain


def _utc(text: str) -> str:
    read, fraction = moment(text)
    return _dumps(f"{read:%Y-%m-%dT%H:%M:%S}{'.' if fraction else ''}{fraction}Z")


def _minified(text: str) -> str:
    json.loads(text)
    return _SPACE_OUTSIDE_STRINGS.sub(r"\1", text)


def _digits(number: str) -> str:
    return re.split("[eE]", number)[0].replace(".", "").lstrip("-").strip("0")


def _boolean(text: str) -> bool:
    return {"true": True, "false": False, "1": True, "0": False}[text.lower()]


_CONVERSIONS: dict[str, Callable[[str], Any]] = {
    "int64": int,
    "decimal": float,
    "double": float,
    "boolean": _boolean,
    "date": lambda text: text[:10],
    "dateTime": seconds,
}
_RENDERED: dict[str, Callable[[str], str]] = {
    "int64": lambda text: str(int(text)),
    "decimal": _decimal,
    "double": lambda text: repr(float(text)),
    "boolean": lambda text: _dumps(_boolean(text)),
    "date": lambda text: _dumps(text[:10]),
    "dateTime": _utc,
    "json": _minified,
}
