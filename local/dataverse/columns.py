"""Columns from their JSON definitions, checked as strictly as the documents allow: names, lengths, ranges, options."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from local.dataverse import limits
from local.dataverse.errors import DataverseError, invalid_argument, not_supported
from local.dataverse.metadata import FILE, Column

PREFIX = "Microsoft.Dynamics.CRM."
SCHEMA_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{1,7}_[A-Za-z0-9_]+")
KINDS = {
    "String": "String", "Memo": "Memo", "Integer": "Integer", "BigInt": "BigInt", "Decimal": "Decimal",
    "Double": "Double", "Money": "Money", "Boolean": "Boolean", "DateTime": "DateTime", "Picklist": "Picklist",
    "UniqueIdentifier": "Uniqueidentifier", FILE: "Uniqueidentifier",
}  # fmt: skip
USUAL_FILE, LARGEST_FILE = 32_768, 10_485_760
"""Documented: MaxSizeInKB of file columns."""
FORMATS = {"DateOnly": "DateOnly", "UserLocal": "UserLocal", "TimeZoneIndependent": "TimeZoneIndependent"}


def kind_of(body: dict[str, Any]) -> str:
    """Return the metadata type of a definition without its namespace, "" without one."""
    return str(body.get("@odata.type") or "").removeprefix("#").removeprefix(PREFIX)


def schema_name(body: dict[str, Any], longest: int) -> str:
    """Return a definition's SchemaName. Raises DataverseError for one without a prefix or too long."""
    name = body.get("SchemaName")
    if not isinstance(name, str) or not SCHEMA_NAME.fullmatch(name) or name.lower().startswith("mscrm"):
        raise DataverseError(400, "0x80044153", f"The name '{name}' is not valid: <prefix>_<name> is expected.")
    if len(name) > longest:
        raise DataverseError(400, "0x80044153", f"The name '{name}' is longer than {longest} characters.")
    return name


def text_of(label: Any) -> str:
    """Return the text of a Label, "" without one."""
    labels = label.get("LocalizedLabels") if isinstance(label, dict) else None
    found = labels[0].get("Label") if isinstance(labels, list) and labels and isinstance(labels[0], dict) else None
    return found if isinstance(found, str) else ""


def column_of(body: Any) -> Column:
    """Return the column of a definition. Raises DataverseError."""
    if not isinstance(body, dict):
        raise invalid_argument("An attribute's definition must be an object.")
    kind = kind_of(body).removesuffix("AttributeMetadata")
    if kind in ("Lookup", "Customer"):
        raise invalid_argument("A lookup is created through RelationshipDefinitions.")
    if kind not in KINDS:
        what = f"An attribute of type '{body.get('@odata.type')}'"
        raise not_supported(what) if kind else invalid_argument("An attribute's '@odata.type' is missing.")
    name = schema_name(body, limits.MAX_NAME)
    if not text_of(body.get("DisplayName")):
        raise invalid_argument(f"DisplayName of '{name}' is required.")
    column = Column(
        name.lower(), KINDS[kind], name, text_of(body.get("DisplayName")), text_of(body.get("Description")),
        required=value_of(body.get("RequiredLevel")) or "None", is_custom=True,
    )  # fmt: skip
    return _file(column, body) if kind == FILE else _with_facets(column, body)


def _with_facets(column: Column, body: dict[str, Any]) -> Column:
    if column.kind in ("String", "Memo"):
        return _text(column, body)
    if column.kind in ("Integer", "BigInt", "Decimal", "Double", "Money"):
        return _number(column, body)
    if column.kind == "DateTime":
        return _date(column, body)
    if column.kind == "Boolean":
        return _yes_no(column, body)
    return replace(column, options=_options(column, body)) if column.kind == "Picklist" else column


def _file(column: Column, body: dict[str, Any]) -> Column:
    """Return a file column. Its `max_length` is the largest file in KB."""
    size = body.get("MaxSizeInKB", USUAL_FILE)
    if type(size) is not int or not 1 <= size <= LARGEST_FILE:
        text = f"MaxSizeInKB of '{column.schema_name}' must be from 1 to {LARGEST_FILE}."
        raise DataverseError(400, "0x80044354", text)
    return replace(column, format=FILE, max_length=size, valid_for_create=False, valid_for_update=False)


def companions(column: Column) -> list[Column]:
    """Return the columns that come with a column: a file column has one with the name of its file."""
    if not column.is_file:
        return []
    name = Column(
        f"{column.logical_name}_name", "String", f"{column.schema_name}_Name", column.display_name, max_length=200,
        valid_for_create=False, valid_for_update=False, is_custom=True,
    )  # fmt: skip
    return [name]


def value_of(wrapped: Any) -> str | None:
    """Return the value inside a wrapper such as RequiredLevel, None without one."""
    return wrapped.get("Value") if isinstance(wrapped, dict) else None


def _text(column: Column, body: dict[str, Any]) -> Column:
    most, usual = (limits.MAX_TEXT, 100) if column.kind == "String" else (limits.MAX_MEMO, 2_000)
    length = body.get("MaxLength", usual)
    if type(length) is not int or not 1 <= length <= most:
        raise DataverseError(400, "0x80044354", f"MaxLength of '{column.schema_name}' must be from 1 to {most}.")
    return replace(column, max_length=length, format=value_of(body.get("FormatName")))


RANGES: dict[str, tuple[float, float, int]] = {
    "Integer": (limits.MIN_INTEGER, limits.MAX_INTEGER, 0),
    "BigInt": (limits.MIN_BIGINT, limits.MAX_BIGINT, 0),
    "Decimal": (-limits.MAX_DECIMAL, limits.MAX_DECIMAL, limits.MAX_DECIMAL_PLACES),
    "Double": (-limits.MAX_DECIMAL, limits.MAX_DECIMAL, limits.MAX_DOUBLE_PLACES),
    "Money": (-limits.MAX_MONEY, limits.MAX_MONEY, 4),
}


def _number(column: Column, body: dict[str, Any]) -> Column:
    low, high, places = RANGES[column.kind]
    least, most = _bound(column, body, "MinValue", low), _bound(column, body, "MaxValue", high)
    if not low <= least <= most <= high:
        raise DataverseError(400, "0x80044356", f"MinValue and MaxValue of '{column.schema_name}' are out of range.")
    precision = body.get("Precision", min(2, places)) if places else None
    if precision is not None and (type(precision) is not int or not 0 <= precision <= places):
        raise DataverseError(400, "0x80044355", f"Precision of '{column.schema_name}' must be from 0 to {places}.")
    return replace(column, minimum=least, maximum=most, precision=precision)


def _bound(column: Column, body: dict[str, Any], name: str, usual: float) -> float:
    found = body.get(name)
    if found is None:
        return usual
    if isinstance(found, bool | str | list | dict):
        raise invalid_argument(f"{name} of '{column.schema_name}' must be a number.")
    return int(found) if found == int(found) else float(found)


def _date(column: Column, body: dict[str, Any]) -> Column:
    shown = body.get("Format", "DateOnly")
    behavior = value_of(body.get("DateTimeBehavior")) or "UserLocal"
    if shown not in ("DateOnly", "DateAndTime") or behavior not in FORMATS:
        raise invalid_argument(f"Format or DateTimeBehavior of '{column.schema_name}' is not known.")
    if behavior == "DateOnly" and shown != "DateOnly":
        raise invalid_argument(f"'{column.schema_name}': behavior DateOnly asks for format DateOnly.")
    return replace(column, format=shown, behavior=behavior)


def _yes_no(column: Column, body: dict[str, Any]) -> Column:
    """Read both options, which every documented example gives; whether they may be left out is not documented."""
    found = body.get("OptionSet")
    both = (
        isinstance(found, dict)
        and isinstance(found.get("TrueOption"), dict)
        and isinstance(found.get("FalseOption"), dict)
    )
    if not both or not isinstance(found, dict):
        raise invalid_argument(f"'{column.schema_name}' needs an OptionSet with TrueOption and FalseOption.")
    labels = ((1, text_of(found["TrueOption"].get("Label"))), (0, text_of(found["FalseOption"].get("Label"))))
    return replace(column, options=labels)


def _options(column: Column, body: dict[str, Any]) -> tuple[tuple[int, str], ...]:
    found = body.get("OptionSet")
    options = found.get("Options") if isinstance(found, dict) else None
    if not isinstance(options, list) or not all(isinstance(option, dict) for option in options):
        raise invalid_argument(f"'{column.schema_name}' needs an OptionSet with Options.")
    values = [option.get("Value") for option in options]
    if not all(type(value) is int for value in values) or len(set(values)) != len(values):
        raise invalid_argument(f"The options of '{column.schema_name}' need a whole number of their own each.")
    return tuple((int(option["Value"]), text_of(option.get("Label"))) for option in options)
