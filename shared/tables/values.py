"""Column kinds as SQL: whether a cell's text is valid, and what it looks like in JSON.

What does not pass rejects its row with a sentence. Limits are Dataverse's: text 4,000 UTF-16 units, memo 1,048,576,
whole number 32 bits, decimal 1e11 with 10 places, double 1e11 with 5 places, dates from 1753-01-01.
A decimal with more places than its column keeps is rejected. A double is rounded to them, on its text as delivered and
half away from zero (0.000005 is 0.00001), never by way of a binary double; its range is that of the rounded number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from shared.tables import cells, sql
from shared.tables.guids import GUID_PATTERN

TEXT_LENGTH = 4_000
MEMO_LENGTH = 1_048_576
NUMBER_LIMIT = 100_000_000_000
_PLACES = {"decimal": 10, "double": 5}  # the most that Dataverse keeps
_SHORT = "0|-?[1-9][0-9]{0,8}"  # a whole number that needs no second look


class Kind(StrEnum):
    """What a cell holds, by the attribute's data type in the manifest."""

    TEXT = "text"
    MEMO = "memo"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    GUID = "guid"


OF_DATA_TYPE = {
    "unclassified": Kind.TEXT,
    "string": Kind.TEXT,
    "int64": Kind.INTEGER,
    "double": Kind.DOUBLE,
    "date": Kind.DATE,
    "time": Kind.TEXT,
    "dateTime": Kind.DATETIME,
    "dateTimeOffset": Kind.DATETIME,
    "decimal": Kind.DECIMAL,
    "boolean": Kind.BOOLEAN,
    "guid": Kind.GUID,
    "json": Kind.MEMO,
}
"""The data types of model.json. Any other is read as text."""


@dataclass(frozen=True)
class Column:
    """One column of a Dataverse table: `source` is the lake's attribute, `max_length` counts UTF-16 units.

    `places` are the decimals that a decimal or double column keeps. With `truncate`, a text or memo that is too long
    is cut to fit instead of rejected. `behavior` is that of a DATETIME in Dataverse; cells do not depend on it.
    """

    logical_name: str
    source: str
    kind: Kind
    max_length: int = TEXT_LENGTH
    places: int | None = None  # None: as many as Dataverse keeps, 10 for decimal and 5 for double
    truncate: bool = False
    behavior: str = "UserLocal"

    @property
    def kept_places(self) -> int:
        """The decimals that a decimal or double column keeps."""
        return _PLACES[self.kind] if self.places is None else self.places


# Texts that hold characters outside the Basic Multilingual Plane are longer in UTF-16 than in code points.
_OUTSIDE = r"[\x{10000}-\x{10FFFF}]"
_UTF16 = r"(length({c}) + length(regexp_replace({c}, '[^\x{{10000}}-\x{{10FFFF}}]', '', 'g')))"


def _too_long(c: str, most: int) -> str:
    """Looks at the bytes first: no text has more UTF-16 units, and they are counted already."""
    return f"(strlen({c}) > {most} AND {_UTF16.format(c=c)} > {most})"


def _text_fault(column: Column) -> str:
    c, most = sql.name(column.logical_name), column.max_length
    long = f"WHEN {_too_long(c, most)} THEN 'the text is ' || {_UTF16.format(c=c)} || ' long, the column takes {most}'"
    return f"CASE WHEN {cells.is_unreadable(c)} THEN '{cells.NOT_UTF_8}' {'' if column.truncate else long} END"


def _cut(c: str, most: int) -> str:
    """The longest beginning that fits and splits no surrogate pair.

    Each character that takes two units is followed by a mark, so that units can be counted; one that lost its mark
    stands where the text was cut, and goes.
    """
    marked = rf"left(regexp_replace({c}, '({_OUTSIDE})', '\1.', 'g'), {most})"
    return rf"regexp_replace(regexp_replace({marked}, '{_OUTSIDE}$', ''), '({_OUTSIDE})\.', '\1', 'g')"


def _whole_fault(column: Column) -> str:
    c, low, high = sql.name(column.logical_name), -(2**31), 2**31 - 1
    refusal = cells.refusal(c, "this is not a whole number")
    return (
        f"CASE WHEN coalesce({c}, '') = '' OR regexp_full_match({c}, '{_SHORT}') THEN NULL "
        f"WHEN NOT regexp_full_match({c}, {sql.text(cells.WHOLE)}) THEN {refusal} "
        f"WHEN {cells.whole(c)} BETWEEN {low} AND {high} THEN NULL "
        f"ELSE 'the number is outside of {low} to {high}' END"
    )


def _decimal_fault(column: Column) -> str:
    """Places are counted in the text: a cast rounds what is too much."""
    c, places = sql.name(column.logical_name), column.kept_places
    return _number_fault(c, places, f"WHEN length({cells.decimals(c)}) > {places} THEN {_too_fine(places)}")


def _too_fine(places: int) -> str:
    return sql.text(f"the number has more than {places} decimals")


def _number_fault(c: str, places: int, more: str = "") -> str:
    return (
        f"CASE WHEN coalesce({c}, '') = '' OR regexp_full_match({c}, {sql.text(cells.plain(places))}) THEN NULL "
        f"WHEN NOT regexp_full_match({c}, {sql.text(cells.NUMBER)}) THEN {cells.refusal(c, 'this is not a number')} "
        f"{more} WHEN {cells.rounded(c, places)} BETWEEN -{NUMBER_LIMIT} AND {NUMBER_LIMIT} THEN NULL "
        f"ELSE 'the number is outside of -{NUMBER_LIMIT} to {NUMBER_LIMIT}' END"
    )


def _time_fault(pattern: str, moment: Callable[[str], str], what: str) -> Callable[[Column], str]:
    def fault(column: Column) -> str:
        c = sql.name(column.logical_name)
        return (
            f"CASE WHEN coalesce({c}, '') = '' THEN NULL "
            f"WHEN NOT regexp_full_match({c}, {sql.text(pattern)}) THEN {cells.refusal(c, f'this is not {what}')} "
            f"WHEN {moment(c)} BETWEEN '1753-01-01' AND '9999-12-31 23:59:59.999999' THEN NULL "
            f"WHEN {moment(c)} IS NULL THEN 'this is not {what}' "
            f"WHEN {moment(c)} < '1753-01-01' THEN 'Dataverse takes no date before 1753' "
            "ELSE 'Dataverse takes no date after 9999' END"
        )

    return fault


def _pattern_fault(pattern: str, what: str) -> Callable[[Column], str]:
    def fault(column: Column) -> str:
        c = sql.name(column.logical_name)
        matches = f"regexp_full_match({c}, {sql.text(pattern)}, 'i')"
        return f"CASE WHEN {c} <> '' AND NOT {matches} THEN {cells.refusal(c, f'this is not {what}')} END"

    return fault


_FAULTS: dict[Kind, Callable[[Column], str]] = {
    Kind.TEXT: _text_fault,
    Kind.MEMO: _text_fault,
    Kind.INTEGER: _whole_fault,
    Kind.DECIMAL: _decimal_fault,
    Kind.DOUBLE: lambda column: _number_fault(sql.name(column.logical_name), column.kept_places),
    Kind.BOOLEAN: _pattern_fault(cells.BOOLEAN, "true or false"),
    Kind.DATE: _time_fault(cells.DATE, cells.day, "a date (YYYY-MM-DD)"),
    Kind.DATETIME: _time_fault(cells.MOMENT, cells.moment, "a date and time (ISO 8601)"),
    Kind.GUID: _pattern_fault(GUID_PATTERN, "a GUID"),
}


def _text_json(column: Column) -> str:
    c, most = sql.name(column.logical_name), column.max_length
    return (
        f"to_json(CASE WHEN {_too_long(c, most)} THEN {_cut(c, most)} ELSE {c} END)"
        if column.truncate
        else f"to_json({c})"
    )


def _whole_json(column: Column) -> str:
    c = sql.name(column.logical_name)
    return f"CASE WHEN regexp_full_match({c}, '{_SHORT}') THEN {c} ELSE {cells.whole(c)}::VARCHAR END"


def _number_json(column: Column) -> str:
    c, places = sql.name(column.logical_name), column.kept_places
    number = f"{cells.rounded(c, places)}::VARCHAR"
    return (
        f"CASE WHEN NOT regexp_full_match({c}, {sql.text(cells.plain(places))}) "
        f"THEN {cells.without_zeros(number) if places else number} "
        f"WHEN contains({c}, '.') THEN {cells.without_zeros(c)} ELSE {c} END"
    )


def _time_json(moment: Callable[[str], str], form: str) -> Callable[[Column], str]:
    return lambda column: f"'\"' || strftime({moment(sql.name(column.logical_name))}, '{form}') || '\"'"


# What a valid cell looks like in JSON. Canonical: the same content has the same bytes, so it is never written twice.
_JSON: dict[Kind, Callable[[Column], str]] = {
    Kind.TEXT: _text_json,
    Kind.MEMO: _text_json,
    Kind.GUID: lambda column: f"to_json({sql.name(column.logical_name)})",  # text in Dataverse: it keeps its spelling
    Kind.INTEGER: _whole_json,
    Kind.DECIMAL: _number_json,
    Kind.DOUBLE: _number_json,
    Kind.BOOLEAN: lambda column: f"{cells.truth(sql.name(column.logical_name))}::VARCHAR",
    Kind.DATE: _time_json(cells.day, "%Y-%m-%d"),
    Kind.DATETIME: _time_json(cells.moment, "%Y-%m-%dT%H:%M:%SZ"),  # Dataverse keeps whole seconds: finer is cut off
}


def fault(column: Column) -> str:
    """SQL: NULL for a valid cell, else a sentence that names the column (never the value)."""
    return f"({sql.text(column.logical_name + ': ')} || {_FAULTS[column.kind](column)})"


def json_value(column: Column) -> str:
    """SQL: the cell as JSON text; `null` for an empty cell, and for an empty text in a column that is not text."""
    return f"coalesce({_JSON[column.kind](column)}, 'null')"
