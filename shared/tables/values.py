"""Column kinds as SQL: whether a cell's text is valid, and what it looks like in JSON.

Values are checked by pattern before anything is cast, because casts change them silently: '1.6' as INTEGER is 2, an
11th decimal is rounded, a malformed GUID is accepted. What does not pass rejects its row with a sentence.
Limits are Dataverse's: text 4,000 UTF-16 units, memo 1,048,576, whole number 32 bits, decimal 1e11 with 10 places,
double 1e11, dates from 1753-01-01.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from shared.tables import sql
from shared.tables.guids import GUID_PATTERN, SPACE

TEXT_LENGTH = 4_000
MEMO_LENGTH = 1_048_576
NUMBER_LIMIT = 100_000_000_000


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
    """One column of a Dataverse table: `source` is the lake's attribute, `max_length` counts UTF-16 units."""

    logical_name: str
    source: str
    kind: Kind
    max_length: int = TEXT_LENGTH


_WHOLE = rf"{SPACE}[+-]?[0-9]{{1,25}}(\.0*)?{SPACE}"
_NUMBER = rf"{SPACE}[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{{1,3}})?{SPACE}"
_FEW_PLACES = rf"{SPACE}[+-]?[0-9]*(\.[0-9]{{0,10}})?{SPACE}"  # nothing to count
_ZERO_ZONE = r"(Z|[+-]00(:?00)?)?"
_DATE = rf"{SPACE}[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([T ]00:00(:00(\.0+)?)?{_ZERO_ZONE})?{SPACE}"
_ZONE = r"(Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)?"  # more than 14 hours from Greenwich is no time zone
_TIME = rf"[T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]+)?)? ?{_ZONE}"
_MOMENT = rf"{SPACE}[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}({_TIME})?{SPACE}"

# Texts that hold characters outside the Basic Multilingual Plane are longer in UTF-16 than in code points.
_UTF16 = r"(length({c}) + length(regexp_replace({c}, '[^\x{{10000}}-\x{{10FFFF}}]', '', 'g')))"


def _bare(c: str) -> str:
    """What stands between the spaces: trim() alone does not take tabs and line ends."""
    return rf"trim({c}, E' \t\r\n\f')"


def _text_fault(column: Column) -> str:
    c, most = sql.name(column.logical_name), column.max_length
    long = f"(length({c}) > {most} OR (2 * length({c}) > {most} AND {_UTF16.format(c=c)} > {most}))"
    return f"CASE WHEN {long} THEN 'the text is ' || {_UTF16.format(c=c)} || ' long, the column takes {most}' END"


def _number_fault(pattern: str, cast: str, low: str, high: str, what: str) -> Callable[[Column], str]:
    def fault(column: Column) -> str:
        c = sql.name(column.logical_name)
        number = f"TRY_CAST({_bare(c)} AS {cast})"
        return (
            f"CASE WHEN coalesce({c}, '') = '' THEN NULL "
            f"WHEN NOT regexp_full_match({c}, {sql.text(pattern)}) THEN 'this is not {what}' "
            f"WHEN {number} IS NULL OR {number} NOT BETWEEN {low} AND {high} "
            f"THEN 'the number is outside of {low} to {high}' END"
        )

    return fault


def _decimal_fault(column: Column) -> str:
    """Places are counted in the text: a cast to more than 10 of them rounds as well, only later."""
    c = sql.name(column.logical_name)
    ranged = _number_fault(_NUMBER, "DECIMAL(38,10)", f"-{NUMBER_LIMIT}", f"{NUMBER_LIMIT}", "a number")(column)
    mantissa = f"regexp_extract({c}, '[0-9.]+')"
    digits = f"replace({mantissa}, '.', '')"
    zeros = f"(length({digits}) - length(rtrim({digits}, '0')))"
    exponent = f"coalesce(TRY_CAST(regexp_extract({c}, '[eE]([+-]?[0-9]+)', 1) AS INTEGER), 0)"
    places = f"length(split_part({mantissa}, '.', 2)) - {zeros} - {exponent}"
    return (
        f"CASE WHEN coalesce({c}, '') <> '' AND regexp_full_match({c}, {sql.text(_NUMBER)}) "
        f"AND NOT regexp_full_match({c}, {sql.text(_FEW_PLACES)}) AND rtrim({digits}, '0') <> '' AND {places} > 10 "
        f"THEN 'the number has more than 10 decimals' ELSE {ranged} END"
    )


def _time_fault(pattern: str, moment: Callable[[str], str], what: str) -> Callable[[Column], str]:
    def fault(column: Column) -> str:
        c = sql.name(column.logical_name)
        return (
            f"CASE WHEN coalesce({c}, '') = '' THEN NULL "
            f"WHEN NOT regexp_full_match({c}, {sql.text(pattern)}) OR {moment(c)} IS NULL THEN 'this is not {what}' "
            f"WHEN {moment(c)} < '1753-01-01' THEN 'Dataverse takes no date before 1753' "
            f"WHEN {moment(c)} >= '10000-01-01' THEN 'Dataverse takes no date after 9999' END"
        )

    return fault


def _day(c: str) -> str:
    return f"TRY_CAST({_bare(c)} AS DATE)"


def _moment(c: str) -> str:
    """ISO 8601 lets a space stand before the time zone and leaves seconds out; DuckDB's cast takes neither."""
    bare = _bare(c)
    closed_up = rf"regexp_replace({bare}, ' ?(Z|[+-][0-9:]+)$', '\1')"
    with_seconds = rf"regexp_replace({bare}, '^(.{{16}}) ?(Z|[+-][0-9:]+)$', '\1:00\2')"
    return f"coalesce({', '.join(f'TRY_CAST({text} AS TIMESTAMPTZ)' for text in (bare, closed_up, with_seconds))})"


def _pattern_fault(pattern: str, what: str) -> Callable[[Column], str]:
    def fault(column: Column) -> str:
        c = sql.name(column.logical_name)
        matches = f"regexp_full_match({c}, {sql.text(pattern)}, 'i')"
        return f"CASE WHEN {c} <> '' AND NOT {matches} THEN 'this is not {what}' END"

    return fault


_FAULTS: dict[Kind, Callable[[Column], str]] = {
    Kind.TEXT: _text_fault,
    Kind.MEMO: _text_fault,
    Kind.INTEGER: _number_fault(_WHOLE, "HUGEINT", "-2147483648", "2147483647", "a whole number"),
    Kind.DECIMAL: _decimal_fault,
    Kind.DOUBLE: _number_fault(_NUMBER, "DOUBLE", f"-{NUMBER_LIMIT}", f"{NUMBER_LIMIT}", "a number"),
    Kind.BOOLEAN: _pattern_fault(rf"{SPACE}(true|false|1|0){SPACE}", "true or false"),
    Kind.DATE: _time_fault(_DATE, _day, "a date (YYYY-MM-DD)"),
    Kind.DATETIME: _time_fault(_MOMENT, _moment, "a date and time (ISO 8601)"),
    Kind.GUID: _pattern_fault(GUID_PATTERN, "a GUID"),
}

# What a valid cell looks like in JSON. Canonical: the same content has the same bytes, so it is never written twice.
_JSON: dict[Kind, Callable[[str], str]] = {
    Kind.TEXT: "to_json({})".format,
    Kind.MEMO: "to_json({})".format,
    Kind.GUID: "to_json({})".format,  # a text column in Dataverse: it keeps its spelling
    Kind.INTEGER: lambda c: f"TRY_CAST({_bare(c)} AS HUGEINT)::VARCHAR",
    Kind.DECIMAL: lambda c: rf"regexp_replace(TRY_CAST({_bare(c)} AS DECIMAL(38,10))::VARCHAR, '\.?0+$', '')",
    # Adding zero takes the sign from a negative one.
    Kind.DOUBLE: lambda c: rf"regexp_replace((TRY_CAST({_bare(c)} AS DOUBLE) + 0)::VARCHAR, '\.0$', '')",
    Kind.BOOLEAN: lambda c: f"(lower(nullif({_bare(c)}, '')) IN ('true', '1'))::VARCHAR",
    Kind.DATE: lambda c: f"'\"' || strftime({_day(c)}, '%Y-%m-%d') || '\"'",
    # Dataverse keeps whole seconds: what is finer is cut off.
    Kind.DATETIME: lambda c: f"'\"' || strftime({_moment(c)}, '%Y-%m-%dT%H:%M:%SZ') || '\"'",
}


def fault(column: Column) -> str:
    """SQL: NULL for a valid cell, else a sentence that names the column (never the value)."""
    return f"({sql.text(column.logical_name + ': ')} || {_FAULTS[column.kind](column)})"


def json_value(column: Column) -> str:
    """SQL: the cell as JSON text; `null` for an empty cell, and for an empty text in a column that is not text."""
    return f"coalesce({_JSON[column.kind](sql.name(column.logical_name))}, 'null')"
