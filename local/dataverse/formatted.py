"""Values as a user sees them: `@OData.Community.Display.V1.FormattedValue` of choices, numbers, dates and lookups.

For an English (United States) user in UTC, as application users are.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from local.dataverse.metadata import Column

ANNOTATION = "@OData.Community.Display.V1.FormattedValue"
CHOICES = frozenset({"Picklist", "State", "Status", "Boolean"})


def formatter(column: Column) -> Callable[[Any], str] | None:
    """Return what formats a stored value (never None); None for columns whose values are shown as they are."""
    if column.kind in CHOICES:
        usual = {1: "Yes", 0: "No"} if column.kind == "Boolean" else {}
        labels = usual | dict(column.options)
        return lambda value: labels.get(value) or str(value)
    if column.kind in ("Integer", "BigInt") and column.logical_name != "versionnumber":
        return lambda value: f"{value:,}"
    if column.kind in ("Decimal", "Double", "Money"):
        places = 2 if column.precision is None else column.precision
        sign = "$" if column.kind == "Money" else ""
        return lambda value: f"{sign}{Decimal(str(value)):,.{2 if sign else places}f}"
    if column.kind == "DateTime":
        return _date if column.format == "DateOnly" else _time
    return None


def _date(value: str) -> str:
    day = dt.date.fromisoformat(value[:10])
    return f"{day.month}/{day.day}/{day.year}"


def _time(value: str) -> str:
    moment = dt.datetime.fromisoformat(value.removesuffix("Z")[:26])
    return f"{_date(value)} {moment.hour % 12 or 12}:{moment.minute:02} {'AM' if moment.hour < 12 else 'PM'}"
