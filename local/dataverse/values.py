"""Column types: which JSON value a column takes, how it is stored, and how it is shown again.

A *reader* turns a JSON value into what SQLite stores, or raises; a *writer* turns the stored value into JSON text.
Values are kept exactly as given ("" stays ""); only GUIDs (lower case) and times (UTC) are normalized.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

from local.dataverse import limits
from local.dataverse.errors import bad_payload, out_of_range, too_long, wrong_type
from local.dataverse.metadata import LOOKUPS, Column, Table

Reader = Callable[[Any], Any]
Writer = Callable[[Any], str]

GUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
TIME = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,7})?)?)(Z|[+-]\d{2}:\d{2})?", re.ASCII)

DECIMAL_RANGE, INTEGER_RANGE, CHOICE_RANGE, DATE_RANGE = "0x80044330", "0x8004432f", "0x8004431a", "0x80044332"
TYPES = {
    "String": "Edm.String",
    "Memo": "Edm.String",
    "Integer": "Edm.Int32",
    "BigInt": "Edm.Int64",
    "Decimal": "Edm.Decimal",
    "Money": "Edm.Decimal",
    "Double": "Edm.Double",
    "Boolean": "Edm.Boolean",
    "DateTime": "Edm.DateTimeOffset",
    "Uniqueidentifier": "Edm.Guid",
    "Lookup": "Edm.Guid",
    "Customer": "Edm.Guid",
    "Picklist": "Edm.Int32",
    "State": "Edm.Int32",
    "Status": "Edm.Int32",
}
SQL_TYPES = {"Integer": "INTEGER", "BigInt": "INTEGER", "Boolean": "INTEGER", "Picklist": "INTEGER", "Double": "REAL"}
SQL_TYPES |= {"State": "INTEGER", "Status": "INTEGER"}


def edm_type(column: Column) -> str:
    """Return the OData type of a column."""
    if column.kind == "DateTime" and column.behavior == "DateOnly":
        return "Edm.Date"
    return TYPES[column.kind]


def sql_type(column: Column) -> str:
    """Return how SQLite stores a column. Decimals are text: a float would not hold 21 digits."""
    return SQL_TYPES.get(column.kind, "TEXT")


def reader(table: Table, column: Column) -> Reader:
    """Return the function that checks a JSON value (never None) and returns what is stored."""
    kind = "Date" if edm_type(column) == "Edm.Date" else column.kind
    return READERS[kind](table, column)


def longest_text(column: Column) -> int:
    """Return how many UTF-16 units a text may have."""
    return column.max_length or limits.MAX_TEXT


def _text(table: Table, column: Column) -> Reader:
    limit = longest_text(column)
    short = limit // 2

    def read(value: Any) -> str:
        if type(value) is not str:
            raise wrong_type(table.set_name, value, "Edm.String")
        # Dataverse counts UTF-16 units (SQL Server's nvarchar), of which a character takes one or two.
        if len(value) > short and (len(value) > limit or _units(value) > limit):
            raise too_long(table.logical_name, column.logical_name, limit)
        if not value.isprintable() and _UNENCODABLE.search(value):
            raise bad_payload(table.set_name, "The text holds a character that Dataverse cannot store.")
        return value

    return read


# A lone surrogate cannot be encoded; NUL ends a text in SQL Server's tools. Not documented: refused, to be strict.
_UNENCODABLE = re.compile("[\x00\ud800-\udfff]")


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _type_range(column: Column) -> tuple[int, int]:
    big = column.kind == "BigInt"
    return (limits.MIN_BIGINT, limits.MAX_BIGINT) if big else (limits.MIN_INTEGER, limits.MAX_INTEGER)


def integer_range(column: Column) -> tuple[int, int]:
    """Return the least and the greatest whole number of a column."""
    low, high = _type_range(column)
    least = low if column.minimum is None else max(low, int(column.minimum))
    return least, high if column.maximum is None else min(high, int(column.maximum))


def _integer(table: Table, column: Column) -> Reader:
    low, high = _type_range(column)
    least, most = integer_range(column)
    expected = edm_type(column)

    def read(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise wrong_type(table.set_name, value, expected)
        if not least <= value <= most:
            raise out_of_range(INTEGER_RANGE, table.logical_name, column.logical_name, value, f"{least} to {most}")
        return value

    return read


def decimal_range(column: Column) -> tuple[Decimal, Decimal]:
    """Return the least and the greatest exact number of a column."""
    edge = limits.MAX_MONEY if column.kind == "Money" else limits.MAX_DECIMAL
    least = Decimal(-edge) if column.minimum is None else Decimal(str(column.minimum))
    return least, Decimal(edge) if column.maximum is None else Decimal(str(column.maximum))


def decimal_places(column: Column) -> int:
    """Return how many decimal places an exact number may have."""
    return limits.MAX_DECIMAL_PLACES if column.precision is None else column.precision


def _decimal(table: Table, column: Column) -> Reader:
    least, most = decimal_range(column)
    places, accepted = decimal_places(column), f"{least:f} to {most:f}"

    def read(value: Any) -> str:
        if type(value) is not int and type(value) is not Decimal:
            raise wrong_type(table.set_name, value, "Edm.Decimal")
        number = Decimal(value)
        if not least <= number <= most:
            raise out_of_range(DECIMAL_RANGE, table.logical_name, column.logical_name, value, accepted)
        # Not documented whether more places are rounded away or refused. Refused: rounding would hide a lost digit.
        if round(number, places) != number:
            exact = f"{accepted} with at most {places} decimal places"
            raise out_of_range(DECIMAL_RANGE, table.logical_name, column.logical_name, value, exact)
        return format(number, "f")

    return read


def double_range(column: Column) -> tuple[float, float]:
    """Return the least and the greatest floating-point number of a column."""
    least = -float(limits.MAX_DECIMAL) if column.minimum is None else column.minimum
    return least, float(limits.MAX_DECIMAL) if column.maximum is None else column.maximum


def _double(table: Table, column: Column) -> Reader:
    least, most = double_range(column)

    def read(value: Any) -> float:
        if type(value) is not int and type(value) is not Decimal:
            raise wrong_type(table.set_name, value, "Edm.Double")
        if not least <= value <= most:
            raise out_of_range(DECIMAL_RANGE, table.logical_name, column.logical_name, value, f"{least} to {most}")
        return float(value)

    return read


def _boolean(table: Table, _: Column) -> Reader:
    def read(value: Any) -> int:
        if type(value) is not bool:
            raise wrong_type(table.set_name, value, "Edm.Boolean")
        return int(value)

    return read


def _date(table: Table, column: Column) -> Reader:
    def read(value: Any) -> str:
        if type(value) is not str or not DATE.fullmatch(value):
            raise wrong_type(table.set_name, value, "Edm.Date")
        try:
            dt.date.fromisoformat(value)
        except ValueError:
            raise wrong_type(table.set_name, value, "Edm.Date") from None
        if value < limits.FIRST_DATE:
            raise out_of_range(DATE_RANGE, table.logical_name, column.logical_name, value, "1753-01-01 to 9999-12-31")
        return value

    return read


def _time(table: Table, column: Column) -> Reader:
    def read(value: Any) -> str:
        try:
            moment = utc(value)
        except ValueError:
            raise wrong_type(table.set_name, value, "Edm.DateTimeOffset") from None
        if moment < limits.FIRST_DATE:
            raise out_of_range(DATE_RANGE, table.logical_name, column.logical_name, value, "1753-01-01 to 9999-12-31")
        return moment

    return read


def utc(value: Any) -> str:
    """Return a time as `...Z`; one that is in UTC already stays as written. Raises ValueError.

    A time without an offset is in UTC: not documented, but sent by the functional tests of Microsoft's Python client.
    """
    match = TIME.fullmatch(value) if type(value) is str else None
    if match is None:
        raise ValueError(value)
    local, zone = match.groups()
    moment = dt.datetime.fromisoformat(local[:26])
    if zone == "Z":
        return value  # type: ignore[no-any-return]
    if zone is None:
        return f"{value}Z"
    hours, minutes = int(zone[1:3]), int(zone[4:])
    offset = dt.timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)
    try:
        return (moment - offset).isoformat() + "Z"
    except OverflowError:
        raise ValueError(value) from None


def _guid(table: Table, _: Column) -> Reader:
    def read(value: Any) -> str:
        if type(value) is not str or not GUID.fullmatch(value):
            raise wrong_type(table.set_name, value, "Edm.Guid")
        return value.lower()

    return read


def _choice(table: Table, column: Column) -> Reader:
    allowed = frozenset(value for value, _ in column.options)

    def read(value: Any) -> int:
        if type(value) is not int:
            raise wrong_type(table.set_name, value, "Edm.Int32")
        if value not in allowed:
            accepted = ", ".join(str(option) for option in sorted(allowed))
            raise out_of_range(CHOICE_RANGE, table.logical_name, column.logical_name, value, accepted)
        return value

    return read


READERS: dict[str, Callable[[Table, Column], Reader]] = {
    "String": _text,
    "Memo": _text,
    "Integer": _integer,
    "BigInt": _integer,
    "Decimal": _decimal,
    "Money": _decimal,
    "Double": _double,
    "Boolean": _boolean,
    "Date": _date,
    "DateTime": _time,
    "Uniqueidentifier": _guid,
    "Picklist": _choice,
    "State": _choice,
    "Status": _choice,
}


def writer(column: Column) -> Writer:
    """Return the function that shows a stored value (never None) as JSON text."""
    if column.kind in ("Decimal", "Integer", "BigInt", "Money", "Picklist", "State", "Status"):
        return str
    if column.kind == "Double":
        return repr
    if column.kind == "Boolean":
        return lambda value: "true" if value else "false"
    return encode_basestring


def from_text(column: Column, text: str) -> Any:
    """Return the JSON value that a CSV cell means in a column; texts pass as they are. Raises ValueError."""
    if column.kind in ("Integer", "BigInt", "Picklist", "State", "Status"):
        return int(text)
    if column.kind in ("Decimal", "Double", "Money"):
        return Decimal(text)
    if column.kind == "Boolean":
        return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
    if column.kind == "Uniqueidentifier" or column.kind in LOOKUPS:
        return any_guid(text)
    return text


def any_guid(text: str) -> str:
    """Return a GUID of any usual spelling (upper case, braces, parentheses, no hyphens) in lower case.

    Raises ValueError.
    """
    digits = re.sub(r"[-{}()\s]", "", text).lower()
    if not re.fullmatch("[0-9a-f]{32}", digits):
        message = f"not a GUID: {text!r}"
        raise ValueError(message)
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
