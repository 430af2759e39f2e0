"""Attributes as members of a JSON text: whether a cell is valid, and what it is in JSON.

Unlike a column's cell (see values) a member has no limits of Dataverse: the whole memo has one. An int64 keeps its 64
bits, a decimal its 38 digits (10 of them decimals), a double is the shortest text that reads back equal, a moment keeps
its fraction of a second, and a `json` attribute (Kind.MEMO) is the JSON that it holds.
Nothing between two delimiters is no value, nor is an empty text in an attribute that is no text.
"""

from __future__ import annotations

from collections.abc import Callable

from shared.tables import cells, sql
from shared.tables.guids import GUID_PATTERN
from shared.tables.values import Kind

_DIGITS = 38
_DECIMALS = 10
_STRING = r'"(?:[^"\\]|\\.)*"'
_STRING_OR_SPACES = rf"({_STRING})|[ \t\r\n]+"
_LOW, _HIGH = -(2**63), 2**63 - 1

# What nearly all numbers look like: they need no second look, which costs a hundred times as much.
_SHORT_WHOLE = "0|-?[1-9][0-9]{0,17}"
_SHORT_DECIMAL = rf"-?(0|[1-9][0-9]{{0,25}})(\.[0-9]{{1,{_DECIMALS}}})?"


def fault(attribute: str, kind: Kind) -> str:
    """SQL: NULL for a valid cell, else a sentence that begins with the attribute's name (never the value)."""
    c = sql.name(attribute)
    if kind is Kind.TEXT:
        said = f"CASE WHEN {cells.is_unreadable(c)} THEN '{cells.NOT_UTF_8}' END"
    else:
        said = f"CASE WHEN coalesce({c}, '') = '' THEN NULL {_FAULTS[kind](c)} END"
    return f"({sql.text(attribute + ': ')} || {said})"


def value(attribute: str, kind: Kind) -> str:
    """SQL: the JSON text of a valid cell; NULL where it has no value; of a faulty one anything, but no error."""
    c = sql.name(attribute)
    return f"to_json({c})::VARCHAR" if kind is Kind.TEXT else f"CASE WHEN {c} <> '' THEN {_VALUES[kind](c)} END"


# -- faults: `WHEN ... THEN` of a cell that holds something ------------------------------------------------


def _unlike(pattern: str, what: str) -> Callable[[str], str]:
    def fault(c: str) -> str:
        matches = f"regexp_full_match({c}, {sql.text(pattern)}, 'i')"
        return f"WHEN NOT {matches} THEN {cells.refusal(c, f'this is not {what}')}"

    return fault


def _whole_fault(c: str) -> str:
    return (
        f"WHEN regexp_full_match({c}, '{_SHORT_WHOLE}') THEN NULL "
        f"{_unlike(cells.WHOLE, 'a whole number')(c)} WHEN {cells.whole(c)} NOT BETWEEN {_LOW} AND {_HIGH} "
        "THEN 'the whole number has more than 64 bits'"
    )


def _decimal_fault(c: str) -> str:
    digits = f"length({cells.whole_digits(c)}) + length({cells.decimals(c)})"
    return (
        f"WHEN regexp_full_match({c}, '{_SHORT_DECIMAL}') THEN NULL "
        f"{_unlike(cells.NUMBER, 'a number')(c)} "
        f"WHEN length({cells.decimals(c)}) > {_DECIMALS} THEN 'the number has more than {_DECIMALS} decimals' "
        f"WHEN {digits} > {_DIGITS} THEN 'the number has more than {_DIGITS} digits'"
    )


def _double_fault(c: str) -> str:
    number = f"TRY_CAST({cells.bare(c)} AS DOUBLE)"
    return (
        f"{_unlike(cells.NUMBER, 'a number')(c)} "
        f"WHEN {number} IS NULL OR NOT isfinite({number}) THEN 'the number is too large for a double'"
    )


def _time_fault(pattern: str, moment: Callable[[str], str], what: str) -> Callable[[str], str]:
    """The years 1 to 9999, as .NET has them."""

    def fault(c: str) -> str:
        return (
            f"{_unlike(pattern, what)(c)} "
            f"WHEN {moment(c)} BETWEEN '0001-01-01' AND '9999-12-31 23:59:59.999999' THEN NULL "
            f"ELSE 'this is not {what}'"
        )

    return fault


def _json_fault(c: str) -> str:
    """DuckDB takes NaN, Infinity and commas behind the last member for JSON, which nobody else does."""
    bones = f"regexp_replace({c}, {sql.text(_STRING)}, '0', 'gs')"
    return (
        f"WHEN {cells.is_unreadable(c)} THEN '{cells.NOT_UTF_8}' "
        f"WHEN NOT json_valid({c}) OR regexp_matches({bones}, '(?i)nan|inf|,[ \\t\\r\\n]*[\\]}}]') "
        "THEN 'this is not valid JSON'"
    )


_FAULTS: dict[Kind, Callable[[str], str]] = {
    Kind.INTEGER: _whole_fault,
    Kind.DECIMAL: _decimal_fault,
    Kind.DOUBLE: _double_fault,
    Kind.BOOLEAN: _unlike(cells.BOOLEAN, "true or false"),
    Kind.DATE: _time_fault(cells.DATE, cells.day, "a date (YYYY-MM-DD)"),
    Kind.DATETIME: _time_fault(cells.MOMENT, cells.moment, "a date and time (ISO 8601)"),
    Kind.GUID: _unlike(GUID_PATTERN, "a GUID"),
    Kind.MEMO: _json_fault,
}


# -- values of valid cells ---------------------------------------------------------------------------------


def _whole(c: str) -> str:
    return f"CASE WHEN regexp_full_match({c}, '{_SHORT_WHOLE}') THEN {c} ELSE {cells.whole(c)}::VARCHAR END"


def _decimal(c: str) -> str:
    short = f"CASE WHEN contains({c}, '.') THEN {cells.without_zeros(c)} ELSE {c} END"
    return (
        f"CASE WHEN regexp_full_match({c}, '{_SHORT_DECIMAL}') "
        f"THEN CASE {short} WHEN '-0' THEN '0' ELSE {short} END ELSE {cells.written_out(c)} END"
    )


def _double(c: str) -> str:
    """DuckDB's own text has the fewest digits, and adding zero takes the sign from a negative one."""
    return rf"regexp_replace((TRY_CAST({cells.bare(c)} AS DOUBLE) + 0)::VARCHAR, '\.0$', '')"


def _like(pattern: str, value: str, c: str) -> str:
    """Only what matches: DuckDB raises for the moments at the end of its own time."""
    return f"CASE WHEN regexp_full_match({c}, {sql.text(pattern)}) THEN '\"' || {value} || '\"' END"


def _day(c: str) -> str:
    return _like(cells.DATE, f"strftime({cells.day(c)}, '%Y-%m-%d')", c)


def _moment(c: str) -> str:
    """The fraction of a second comes from the text: a time zone does not change it."""
    seconds = f"strftime({cells.moment(c)}, '%Y-%m-%dT%H:%M:%S')"
    fraction = f"CASE WHEN {cells.fraction(c)} = '' THEN '' ELSE '.' || {cells.fraction(c)} END"
    return _like(cells.MOMENT, f"{seconds} || {fraction} || 'Z'", c)


def _minified(c: str) -> str:
    """Without the spaces between its parts; numbers and texts are spelled as they were."""
    return rf"regexp_replace({c}, {sql.text(_STRING_OR_SPACES)}, '\1', 'gs')"


_VALUES: dict[Kind, Callable[[str], str]] = {
    Kind.INTEGER: _whole,
    Kind.DECIMAL: _decimal,
    Kind.DOUBLE: _double,
    Kind.BOOLEAN: lambda c: f"{cells.truth(c)}::VARCHAR",
    Kind.DATE: _day,
    Kind.DATETIME: _moment,
    Kind.GUID: lambda c: f"to_json({c})::VARCHAR",
    Kind.MEMO: _minified,
}
