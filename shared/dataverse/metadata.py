"""Definitions of tables as Dataverse has them: columns, lookups, names. Read only.

Source: "Query table definitions using the Web API" of Microsoft's Dataverse documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.dataverse.client import Client

_TABLE = "LogicalName,SchemaName,EntitySetName,PrimaryIdAttribute,PrimaryNameAttribute,IsManaged,TableType"
_LOOKUP = (
    "MetadataId,SchemaName,ReferencingAttribute,ReferencedEntity,ReferencingEntityNavigationPropertyName,"
    "CascadeConfiguration"
)
# Without it a web server may answer from a definition it remembers from before a change.
_STRONG = {"Consistency": "Strong"}


@dataclass(frozen=True)
class Column:
    """A column; `type` is Dataverse's AttributeType (String, Memo, Integer, DateTime, Lookup, ...).

    `max_length` in UTF-16 units; `behavior` of a DateTime: UserLocal, TimeZoneIndependent or DateOnly.
    """

    logical_name: str
    type: str
    max_length: int | None = None
    min: float | None = None
    max: float | None = None
    precision: int | None = None
    behavior: str | None = None


@dataclass(frozen=True)
class Lookup:
    """A lookup column: each row names one row of `target`. `on_delete`: what deleting that one does."""

    column: str
    target: str
    navigation: str
    on_delete: str
    relationship: str
    metadata_id: str = ""  # another one when it was deleted and created again


@dataclass(frozen=True)
class Table:
    """A table's definition; all names logical names, but `set_name` and the navigation properties."""

    logical_name: str
    schema_name: str
    set_name: str
    primary_id: str
    primary_name: str
    is_managed: bool
    type: str
    columns: Mapping[str, Column]
    lookups: tuple[Lookup, ...]

    @property
    def is_standard(self) -> bool:
        """Whether rows live in Dataverse and bulk calls are all-or-nothing: neither virtual nor elastic."""
        return self.type not in {"Virtual", "Elastic"}

    def lookup(self, column: str, target: str) -> Lookup | None:
        """The lookup by that column to that table, if there is one."""
        return next((one for one in self.lookups if (one.column, one.target) == (column, target)), None)


def table(client: Client, logical_name: str, *, strong: bool = False) -> Table | None:
    """A table's definition, None if there is no such table. `strong`: as of now, not as a web server remembers it."""
    headers = _STRONG if strong else None
    query = f"EntityDefinitions?$select={_TABLE}&$filter=LogicalName eq '{logical_name}'"
    found = client.get(query, headers=headers)["value"]
    if not found:
        return None
    definition = f"EntityDefinitions(LogicalName='{logical_name}')"
    columns = client.get(f"{definition}/Attributes", headers=headers)["value"]
    lookups = client.get(f"{definition}/ManyToOneRelationships?$select={_LOOKUP}", headers=headers)["value"]
    return _table(found[0], columns, lookups)


def exists(client: Client, logical_name: str) -> bool:
    """Whether there is such a table."""
    return bool(client.get(f"EntityDefinitions?$select=LogicalName&$filter=LogicalName eq '{logical_name}'")["value"])


def cascading(client: Client, target: str, column: str) -> list[str]:
    """The tables whose rows Dataverse would delete with the row of `target` that their lookup `column` points to."""
    query = "$select=SchemaName,ReferencingEntity,ReferencingAttribute,CascadeConfiguration"
    found = client.get(f"EntityDefinitions(LogicalName='{target}')/OneToManyRelationships?{query}")
    return sorted(
        str(one["ReferencingEntity"])
        for one in found["value"]
        if one["ReferencingAttribute"] == column and (one.get("CascadeConfiguration") or {}).get("Delete") == "Cascade"
    )


def alternate_keys(client: Client, logical_name: str) -> dict[str, str]:
    """The columns that are alternate keys by themselves, with the state of each key's index: Active, Pending, ..."""
    found = client.get(
        f"EntityDefinitions(LogicalName='{logical_name}')/Keys?$select=KeyAttributes,EntityKeyIndexStatus"
    )
    return {
        str(one["KeyAttributes"][0]): str(one["EntityKeyIndexStatus"])
        for one in found["value"]
        if len(one["KeyAttributes"]) == 1
    }


def _table(found: dict[str, Any], columns: list[dict[str, Any]], lookups: list[dict[str, Any]]) -> Table:
    return Table(
        logical_name=found["LogicalName"],
        schema_name=found["SchemaName"],
        set_name=found["EntitySetName"],
        primary_id=found["PrimaryIdAttribute"],
        primary_name=found.get("PrimaryNameAttribute") or "",
        is_managed=bool(found.get("IsManaged")),
        type=found.get("TableType") or "Standard",
        columns={one["LogicalName"]: _column(one) for one in columns},
        lookups=tuple(_lookup(one) for one in lookups),
    )


def _column(found: dict[str, Any]) -> Column:
    return Column(
        logical_name=found["LogicalName"],
        type=found["AttributeType"],
        max_length=found.get("MaxLength"),
        min=found.get("MinValue"),
        max=found.get("MaxValue"),
        precision=found.get("Precision"),
        behavior=(found.get("DateTimeBehavior") or {}).get("Value"),
    )


def _lookup(found: dict[str, Any]) -> Lookup:
    return Lookup(
        column=found["ReferencingAttribute"],
        target=found["ReferencedEntity"],
        navigation=found["ReferencingEntityNavigationPropertyName"],
        on_delete=(found.get("CascadeConfiguration") or {}).get("Delete", ""),
        relationship=found["SchemaName"],
        metadata_id=str(found.get("MetadataId") or ""),
    )
