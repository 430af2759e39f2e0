"""What is sent: rows of 30 columns and about 700 bytes, the same ones to every contender."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.dataverse.bulk import TableName

TABLE = TableName("new_benches", "new_bench")
KEY = "new_benchid"
CRM = "Microsoft.Dynamics.CRM."
_TEXTS, _NUMBERS, _DECIMALS, _DATES = 12, 7, 4, 6  # with the name: 30 columns


@dataclass(frozen=True)
class Row:
    """One row, as each contender's interface takes it, made beforehand: nobody's time is spent on it.

    `record` is what a chunk file holds (made by the plan's SQL); `values` is the dictionary that an SDK takes, with the
    primary key, without "@odata.type", which Microsoft's SDK adds itself.
    """

    id: str
    record: bytes
    values: dict[str, Any]


def rows(count: int, *, seed: int = 1) -> list[Row]:
    """So many rows; the same seed makes the same ones."""
    return [_row(number, random.Random(f"{seed}/{number}")) for number in range(count)]  # noqa: S311 - no secret


def _row(number: int, draw: random.Random) -> Row:
    values: dict[str, Any] = {KEY: str(uuid.UUID(int=draw.getrandbits(128), version=4)), "new_name": f"Row {number}"}
    values |= {f"new_t{i:02}": f"{draw.getrandbits(40):x}"[: draw.randint(4, 10)] for i in range(_TEXTS)}
    values |= {f"new_n{i:02}": draw.randint(-999, 999_999) for i in range(_NUMBERS)}
    values |= {f"new_d{i:02}": draw.randint(0, 99_999) / 100 for i in range(_DECIMALS)}
    values |= {f"new_w{i:02}": f"2026-{draw.randint(1, 12):02}-17T08:{i:02}:00Z" for i in range(_DATES)}
    record = json.dumps({"@odata.type": CRM + TABLE.logical_name, **values}, separators=(",", ":"))
    return Row(values[KEY], record.encode(), values)


def calls(found: Sequence[Row], size: int) -> list[list[Row]]:
    """The rows in calls of so many."""
    return [list(found[start : start + size]) for start in range(0, len(found), size)]


def definition(*, columns: bool = True) -> dict[str, Any]:
    """The table as the Web API makes it; without the 29 columns beside its name if those are not needed."""
    return table(TABLE.logical_name, *(_columns() if columns else []))


def table(name: str, *columns: dict[str, Any]) -> dict[str, Any]:
    """The definition of a table with a name and these columns."""
    return {
        "@odata.type": CRM + "EntityMetadata",
        "SchemaName": name,
        "DisplayName": label(name),
        "DisplayCollectionName": label(f"{name}s"),
        "OwnershipType": "UserOwned",
        "HasActivities": False,
        "HasNotes": False,
        "Attributes": [column("new_name", "String", IsPrimaryName=True, MaxLength=100), *columns],
    }


def column(name: str, kind: str, **facets: Any) -> dict[str, Any]:
    """The definition of a column."""
    return {"@odata.type": f"{CRM}{kind}AttributeMetadata", "SchemaName": name, "DisplayName": label(name), **facets}


def label(text: str) -> dict[str, Any]:
    """A name to show."""
    return {"LocalizedLabels": [{"Label": text, "LanguageCode": 1033}]}


def _columns() -> list[dict[str, Any]]:
    found = [column(f"new_t{i:02}", "String", MaxLength=100) for i in range(_TEXTS)]
    found += [column(f"new_n{i:02}", "Integer", MinValue=-999, MaxValue=999_999) for i in range(_NUMBERS)]
    found += [column(f"new_d{i:02}", "Decimal", Precision=2, MinValue=0, MaxValue=99_999) for i in range(_DECIMALS)]
    return found + [column(f"new_w{i:02}", "DateTime", Format="DateAndTime") for i in range(_DATES)]
