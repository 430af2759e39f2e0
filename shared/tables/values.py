"""Column kinds as SQL: is a cell's text valid, and what does it look like in JSON?

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
from shared.tables.guids import GUID_PATTERN

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


_WHOLE = r"\s*[+-]?[0-9]{1,25}(\.0*)?\s*"
_NUMBER = r"\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?\s*"
_DATE = r"\s*[0-9]{4}-[0-9]{2}-[0-9]{2}([T ]00:00(:00(\.0+)?)?Z?)?\s*"
_MOMENT = (
    r"\s*[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?\s*(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?\s*"
)

# Texts that hold characters outside the Basic Multilingual Plane are longer in UTF-16 than in code points.
_UTF16 = r"(length({c}) + length(regexp_replace({c}, '[^\x{{10000}}-\x{{10FFFF}}]', '', 'g')))"


def _text_fault(column: Column) -> str:
    c, most = sql.name(column.logical_name), column.max_length
    long = f"(length({c}) > {most} OR (2 * length({c}) > {most} AND {_UTF16.format(c=c)} > {most}))"
    return f"CASE WHEN {long} THEN 'the text is ' || {_UTF16.format(c=c)} || ' long, the column takes {most}' END"


def _number_fault(pattern: str, cast: str, low: str, high: str, what: str) -> Callable[[Column], str]:
    def fault(column: Column) -> str:
        c = sql.name(column.logical_name)
        return (
            f"CASE WHEN coalesce({c}, '') = '' THEN NULL WHEN NOT regexp_full_match({c}, {sql.text(pattern)}) THEN 'this is not {what}' "
            f"WHEN TRY_CAST(trim({c}) AS {cast}) IS NULL OR TRY_CAST(trim({c}) AS {cast}) NOT BETWEEN {low} AND {high} "
            f"THEN 'the number is outside of {low} to {high}' END"
        )

    return fault


def _decimal_fault(column: Column) -> str:
    c = sql.name(column.logical_name)
    ranged = _number_fault(_NUMBER, "DOUBLE", f"-{NUMBER_LIMIT}", f"{NUMBER_LIMIT}", "a number")(column)
    wide, narrow = f"TRY_CAST(trim({c}) AS DECIMAL(38,24))", f"TRY_CAST(trim({c}) AS DECIMAL(38,10))"
    fine = rf"coalesce({c}, '') = '' OR regexp_full_match({c}, '\s*[+-]?[0-9]*(\.[0-9]{{0,10}}0*)?\s*') OR {wide} = {narrow}"
    return f"coalesce({ranged}, CASE WHEN NOT coalesce({fine}, false) THEN 'the number has more than 10 decimals' END)"


def _time_fault(pattern: str, cast: str, what: str) -> Callable[[Column], str]:
    def fault(column: Column) -> str:
        c = sql.name(column.logical_name)
        moment = f"TRY_CAST(trim({c}) AS {cast})"
        return (
            f"CASE WHEN coalesce({c}, '') = '' THEN NULL WHEN NOT regexp_full_match({c}, {sql.text(pattern)}) OR {moment} IS NULL "
            f"THEN 'this is not {what}' WHEN {moment} < {cast} '1753-01-01' THEN 'Dataverse takes no date before 1753' END"
        )

    return fault


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
    Kind.BOOLEAN: _pattern_fault(r"\s*(true|false|1|0)\s*", "true or false"),
    Kind.DATE: _time_fault(_DATE, "DATE", "a date (YYYY-MM-DD)"),
    Kind.DATETIME: _time_fault(_MOMENT, "TIMESTAMPTZ", "a date and time (ISO 8601)"),
    Kind.GUID: _pattern_fault(GUID_PATTERN, "a GUID"),
}

# What a valid cell looks like in JSON. Canonical: the same content has the same bytes, so it is never written twice.
_JSON: dict[Kind, str] = {
    Kind.TEXT: "to_json({c})",
    Kind.MEMO: "to_json({c})",
    Kind.GUID: "to_json({c})",
    Kind.INTEGER: "TRY_CAST(trim({c}) AS HUGEINT)::VARCHAR",
    Kind.DECIMAL: r"regexp_replace(TRY_CAST(trim({c}) AS DECIMAL(38,10))::VARCHAR, '\.?0+$', '')",
    Kind.DOUBLE: "regexp_replace(TRY_CAST(trim({c}) AS DOUBLE)::VARCHAR, '\\.0$', '')",
    Kind.BOOLEAN: "CASE WHEN lower(trim({c})) IN ('true', '1') THEN 'true' WHEN trim({c}) <> '' THEN 'false' END",
    Kind.DATE: "'\"' || strftime(TRY_CAST(trim({c}) AS DATE), '%Y-%m-%d') || '\"'",
    # Dataverse keeps whole seconds: what is finer is cut off.
    Kind.DATETIME: "'\"' || strftime(TRY_CAST(trim({c}) AS TIMESTAMPTZ), '%Y-%m-%dT%H:%M:%SZ') || '\"'",
}


def fault(column: Column) -> str:
    """SQL: NULL for a valid cell, else a sentence that names the column (never the value)."""
    return f"({sql.text(column.logical_name + ': ')} || {_FAULTS[column.kind](column)})"


def json_value(column: Column) -> str:
    """SQL: the cell as JSON text; `null` for an empty cell, and for an empty text in a column that is not text."""
    return f"coalesce({_JSON[column.kind].format(c=sql.name(column.logical_name))}, 'null')"
