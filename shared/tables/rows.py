"""From the catalog to the comparison: the SQL of each output table, with its checks and its JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.settings import Hydration
from shared.tables import sql, values
from shared.tables.catalog import ALTERNATE_KEY, CUSTOMER_ID, CUSTOMER_PROFILE, KEY_COLUMNS, key_name, table_name
from shared.tables.keys import KeyColumn
from shared.tables.values import Column


@dataclass(frozen=True)
class Rows:
    """What a table's SQL yields. `select` has id, source_key, fault and the columns that `record` and `entry` read."""

    select: str
    fault: str  # SQL: NULL for a valid row, else a sentence that begins with the column's name
    record: str  # SQL: the row as the JSON that Dataverse takes
    entry: str  # SQL over `record` and the columns: the 128 bits that tell whether anything changed, as UUID


def profile(columns: Sequence[Column], hydration: Hydration) -> Rows:
    """CustomerProfile, from the view `customer`."""
    picked = ",\n    ".join(f"{sql.name(column.source)} AS {sql.name(column.logical_name)}" for column in columns)
    select = sql.load("customerprofile.sql").format(customer_id=CUSTOMER_ID, columns=picked)
    return _table(select, columns, CUSTOMER_PROFILE, hydration.publisher_prefix)


def alternate_key(columns: Sequence[Column], hydration: Hydration) -> Rows:
    """AlternateKey, from the view or table `alternate_key`."""
    select = sql.load("alternatekey.sql").format(prefix=hydration.publisher_prefix)
    return _table(select, columns, ALTERNATE_KEY, hydration.publisher_prefix)


def keys_of_profile(key_columns: Sequence[KeyColumn]) -> str:
    """SQL: the alternate keys that stand in the profile's key columns, from the view `customer` and `key_column`."""
    names = ", ".join(sql.name(column.attribute) for column in key_columns)
    return sql.load("keys_of_profile.sql").format(customer_id=CUSTOMER_ID, key_columns=names)


def keys_of_table() -> str:
    """SQL: the alternate keys of the lake's own table, from the view `alternate_key_table`."""
    data_source, entity, value, customer_id = KEY_COLUMNS
    return sql.load("keys_of_table.sql").format(
        data_source=data_source, entity=entity, value=value, customer_id=customer_id
    )


def _table(select: str, columns: Sequence[Column], table: str, prefix: str) -> Rows:
    faults = ", ".join(["fault", *(values.fault(column) for column in columns)])
    head = f'{{"@odata.type":"Microsoft.Dynamics.CRM.{table_name(prefix, table)}","{key_name(prefix, table)}":"'
    cells = ", ".join(
        f"""{sql.text(f',"{column.logical_name}":')}, {values.json_value(column)}""" for column in columns
    )
    # The hash is that of the record itself: what would be sent again is what was sent before.
    return Rows(
        select, f"coalesce({faults})", f"concat({sql.text(head)}, id, '\"', {cells}, '}}')", "md5(record)::UUID"
    )
