"""What must exist in Dataverse before anything is sent, in the words of the requirements."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import cast

from shared.dataverse import metadata, schema
from shared.dataverse.definitions import Behavior
from shared.dataverse.definitions import Kind as SchemaKind
from shared.dataverse.schema import ColumnSchema, LookupSchema, TableSchema
from shared.errors import RequirementError
from shared.linking import rows
from shared.tables.catalog import CUSTOMER_PROFILE, LOOKUP, LOOKUP_DISPLAY, TABLES, logical_name, set_name, table_name
from shared.tables.values import Column, Kind

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
_OF_ATTRIBUTES = {"String", "Memo", "Integer", "BigInt", "Decimal", "Double", "Boolean", "DateTime"}
_MOST_NAMES = 10


def table_schema(table: str, columns: Sequence[Column], prefix: str) -> TableSchema:
    """An output table with its columns."""
    output = TABLES[table]
    primary = logical_name(prefix, output.primary_name)
    schemas = {column.logical_name: _column(column) for column in columns}
    others = tuple(one for name, one in schemas.items() if name != primary)
    return TableSchema(
        table_name(prefix, table), f"{prefix}_{table}", output.display, output.plural, schemas[primary], others,
        set_name=set_name(prefix, table),
    )  # fmt: skip


def _column(column: Column) -> ColumnSchema:
    kind = _KINDS[column.kind]
    length = column.max_length if kind in {"text", "memo"} else None
    behavior = cast("Behavior", column.behavior)
    return ColumnSchema(column.logical_name, kind, column.source, max_length=length, behavior=behavior)


def link_schema(table: str, prefix: str) -> LookupSchema:
    """The lookup "Customer Profile" of a source table. A profile that is still pointed to is not deleted."""
    profile = table_name(prefix, CUSTOMER_PROFILE)
    return LookupSchema(table, f"{prefix}_{rows.LOOKUP}", rows.LOOKUP_DISPLAY, profile, "Restrict")


def customer_schema(table: str, prefix: str) -> LookupSchema:
    """The lookup "Customer" of an output table, which is emptied when its profile is deleted."""
    profile = table_name(prefix, CUSTOMER_PROFILE)
    return LookupSchema(table_name(prefix, table), f"{prefix}_{LOOKUP}", LOOKUP_DISPLAY, profile, "RemoveLink")


def refuse_unsuitable(existing: metadata.Table | None) -> None:
    """Raises RequirementError for a table of the app's name that is not the app's to write to."""
    if existing is not None and (why := schema.unsuitable(existing)):
        raise RequirementError(why)


def not_written(existing: metadata.Table | None, written: Collection[str], prefix: str) -> list[str]:
    """A sentence on the columns that Dataverse has and that are not written: they keep what is in them."""
    if existing is None:
        return []
    gone = sorted(
        name
        for name, column in existing.columns.items()
        if name.startswith(f"{prefix}_")
        and name not in written
        and column.type in _OF_ATTRIBUTES
        and not (name.endswith("name") and name[:-4] in existing.columns)  # what Dataverse itself adds to a lookup
    )
    if not gone:
        return []
    more = f" and {len(gone) - _MOST_NAMES} more" if len(gone) > _MOST_NAMES else ""
    names = ", ".join(gone[:_MOST_NAMES])
    return [f"Kept and not written, because the snapshot or hydration.toml leaves it out: {names}{more}."]
