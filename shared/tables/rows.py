"""From the catalog to the comparison: the SQL of each output table, with its checks and its JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.settings import Hydration
from shared.tables import sql, values
from shared.tables.catalog import (
    CUSTOMER_ID,
    CUSTOMER_PROFILE,
    LOOKUP,
    TIME_STAMP,
    key_name,
    logical_name,
    table_name,
)
from shared.tables.keys import KeyColumn
from shared.tables.values import Column, Kind


@dataclass(frozen=True)
class Rows:
    """What a table's SQL yields. `select` has id, sourcekey, fault and the columns that the others read."""

    select: str
    fault: str  # SQL: NULL for a valid row, else a sentence that begins with the column's name
    record: str  # SQL: the row as the JSON that Dataverse takes
    entry: str  # SQL over `record` and the columns: the 128 bits that tell whether anything changed, as UUID
    needs_keys: bool = False  # a row without a key stops the whole table, instead of being rejected
    expired: str = "false"  # SQL: the row is valid and too old to be hydrated
    absent: str = "false"  # SQL: the row is known not to exist in Dataverse, so that it cannot be changed there
    born: str = "NULL::VARCHAR"  # SQL: of a link the birth of its profile; where that is another one, it is set again
    read: bool = False  # `state` is what Dataverse was just found to hold
    candidates: str = "NULL::UUID[]"  # SQL: of a faulty row the entries that may be right; NULL: any may be
    unnamed: str = "id IS NULL"  # SQL over `staged`: nobody knows which row it is


def profile(columns: Sequence[Column], hydration: Hydration) -> Rows:
    """CustomerProfile, from the view `customer`."""
    picked = ",\n    ".join(f"{sql.name(column.source)} AS {sql.name(column.logical_name)}" for column in columns)
    select = sql.load("customerprofile.sql").format(customer_id=CUSTOMER_ID, columns=picked)
    prefix = hydration.publisher_prefix
    faults = ", ".join(["fault", *(values.fault(column) for column in columns)])
    record = f"concat({_head(CUSTOMER_PROFILE, prefix)}, {_cells(columns)}, '}}')"
    # The hash is that of the record itself: what would be sent again is what was sent before.
    return Rows(select, f"coalesce({faults})", record, "md5(record)::UUID", needs_keys=True)


def output(
    table: str, columns: Sequence[Column], hydration: Hydration, profile_set: str, *, before: datetime | None = None
) -> Rows:
    """Any other output table, from the views that its SQL reads and from `profile` (id, born).

    `profile_set` is how the table of profiles is addressed. Activities from `before` that moment (UTC) on are hydrated.
    """
    prefix = hydration.publisher_prefix
    select = sql.load("lookup.sql").format(rows=sql.load(f"{table.lower()}.sql").format(prefix=prefix))
    nobody = f"CASE WHEN profile IS NULL THEN '{CUSTOMER_ID}: no profile has this id' END"
    faults = ", ".join(["fault", *(values.fault(column) for column in columns), nobody])
    tail = f"""',"{prefix}_{LOOKUP}@odata.bind":"/{profile_set}(', profile, ')"}}'"""
    record = f"concat({_head(table, prefix)}, {_cells(columns)}, {tail})"
    expired = _older(before, prefix) if before is not None else "false"
    return Rows(select, f"coalesce({faults})", record, "md5(record || born)::UUID", expired=expired)


def _older(before: datetime, prefix: str) -> str:
    """SQL: whether an activity is older; as JSON a moment has one spelling, which sorts by time."""
    stamp = Column(logical_name(prefix, TIME_STAMP), TIME_STAMP, Kind.DATETIME)
    moment = before.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    return f"{values.fault(stamp)} IS NULL AND {values.json_value(stamp)} < '\"{moment}Z\"'"


def keys_of_profile(key_columns: Sequence[KeyColumn]) -> str:
    """SQL: the alternate keys that stand in the profile's key columns, from the view `customer` and `key_column`."""
    names = ", ".join(sql.name(column.attribute) for column in key_columns)
    return sql.load("keys_of_profile.sql").format(customer_id=CUSTOMER_ID, key_columns=names)


def keys_of_table(*, ring: bool) -> str:
    """SQL: the alternate keys of the lake's own table, from `alternate_key_table`; `ring`: it has a KeyRing."""
    return sql.load("keys_of_table.sql").format(key_ring='"KeyRing"' if ring else "NULL::VARCHAR")


def _head(table: str, prefix: str) -> str:
    head = f'{{"@odata.type":"Microsoft.Dynamics.CRM.{table_name(prefix, table)}","{key_name(prefix, table)}":"'
    return f"{sql.text(head)}, id, '\"'"


def _cells(columns: Sequence[Column]) -> str:
    return ", ".join(f"""{sql.text(f',"{column.logical_name}":')}, {values.json_value(column)}""" for column in columns)
