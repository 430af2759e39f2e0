"""What must exist in Dataverse before anything is sent, in the words of the requirements."""

from __future__ import annotations

from collections.abc import Sequence

from shared.dataverse.definitions import Kind as SchemaKind
from shared.dataverse.schema import ColumnSchema, LookupSchema, TableSchema
from shared.linking.rows import LOOKUP, LOOKUP_DISPLAY
from shared.tables.catalog import ALTERNATE_KEY, CUSTOMER_ID, CUSTOMER_PROFILE, logical_name, set_name, table_name
from shared.tables.values import Column, Kind

_DISPLAY = {
    CUSTOMER_PROFILE: ("Customer Profile", "Customer Profiles"),
    ALTERNATE_KEY: ("Alternate Key", "Alternate Keys"),
}
_PRIMARY_NAME = {CUSTOMER_PROFILE: CUSTOMER_ID, ALTERNATE_KEY: "Identifier"}


def table_schema(table: str, columns: Sequence[Column], prefix: str) -> TableSchema:
    """An output table with its columns."""
    display, plural = _DISPLAY[table]
    primary = logical_name(prefix, _PRIMARY_NAME[table])
    schemas = {column.logical_name: _column(column) for column in columns}
    others = tuple(one for name, one in schemas.items() if name != primary)
    return TableSchema(
        table_name(prefix, table), f"{prefix}_{table}", display, plural, schemas[primary], others,
        set_name=set_name(prefix, table),
    )  # fmt: skip


_KINDS: dict[Kind, SchemaKind] = {
    Kind.TEXT: "text",
    Kind.GUID: "text",
    Kind.MEMO: "memo",
    Kind.INTEGER: "integer",
    Kind.DECIMAL: "decimal",
    Kind.DOUBLE: "double",
    Kind.BOOLEAN: "boolean",
    Kind.DATE: "date",
    Kind.DATETIME: "datetime",
}


def _column(column: Column) -> ColumnSchema:
    kind = _KINDS[column.kind]
    length = column.max_length if kind in {"text", "memo"} else None
    return ColumnSchema(column.logical_name, kind, column.source, max_length=length)


def lookup_schema(table: str, prefix: str) -> LookupSchema:
    """The lookup "Customer Profile" of a source table. A profile that is still pointed to is not deleted."""
    profile = table_name(prefix, CUSTOMER_PROFILE)
    return LookupSchema(table, f"{prefix}_{LOOKUP}", LOOKUP_DISPLAY, profile, "Restrict")
