"""Bodies that create tables, columns and lookups.

Sources: "Create and update table definitions", "... column definitions" and "... table relationships using the Web
API" of Microsoft's Dataverse documentation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["text", "memo", "integer", "decimal", "double", "boolean", "date", "datetime"]
OnDelete = Literal["Restrict", "RemoveLink"]
Behavior = Literal["UserLocal", "TimeZoneIndependent"]

_CRM = "Microsoft.Dynamics.CRM."
_ENGLISH = 1033
TEXT_LENGTH = 4000
MEMO_LENGTH = 1_048_576
LEAST_INTEGER, MOST_INTEGER = -(2**31), 2**31 - 1
MOST_DECIMAL, DECIMAL_PLACES = 100_000_000_000, 10
MOST_DOUBLE, DOUBLE_PLACES = 100_000_000_000, 5
# Not established for the Web API; names beyond a limit are refused (0x8004802A, RelationshipNameLengthExceedsLimit).
RELATIONSHIP_NAME_LENGTH = 100


@dataclass(frozen=True)
class ColumnSchema:
    """A column that must exist. `schema_name` defaults to the logical name; `behavior` is for kind datetime."""

    logical_name: str
    kind: Kind
    display: str
    schema_name: str = ""
    max_length: int | None = None
    behavior: Behavior = "UserLocal"


@dataclass(frozen=True)
class TableSchema:
    """A table that must exist, with at least these columns; `primary_name` is a text column."""

    logical_name: str
    schema_name: str
    display: str
    display_plural: str
    primary_name: ColumnSchema
    columns: tuple[ColumnSchema, ...] = ()
    set_name: str = ""  # of its address; empty: Dataverse's own choice

    @property
    def all_columns(self) -> tuple[ColumnSchema, ...]:
        """The primary name column and all others."""
        return (self.primary_name, *self.columns)


@dataclass(frozen=True)
class LookupSchema:
    """A lookup from `table` to `target` that must exist. Its navigation property has the name of `schema_name`."""

    table: str
    schema_name: str
    display: str
    target: str
    on_delete: OnDelete

    @property
    def logical_name(self) -> str:
        """The column's logical name."""
        return self.schema_name.lower()

    @property
    def relationship(self) -> str:
        """The relationship's schema name, of its own for each table; the target's collection of rows has it too."""
        name = f"{self.schema_name}_{self.table}"
        if len(name) <= RELATIONSHIP_NAME_LENGTH:
            return name
        mark = hashlib.sha256(name.encode()).hexdigest()[:8]
        return f"{name[: RELATIONSHIP_NAME_LENGTH - 9]}_{mark}"


def table_body(schema: TableSchema) -> dict[str, Any]:
    """For POST EntityDefinitions: the table with all of its columns, in one step."""
    primary = column_body(schema.primary_name) | {"IsPrimaryName": True}
    return {
        "@odata.type": f"{_CRM}EntityMetadata",
        "SchemaName": schema.schema_name,
        **({"EntitySetName": schema.set_name} if schema.set_name else {}),
        "DisplayName": _label(schema.display),
        "DisplayCollectionName": _label(schema.display_plural),
        "OwnershipType": "UserOwned",
        "HasActivities": False,
        "HasNotes": False,
        "IsActivity": False,
        "Attributes": [primary, *(column_body(column) for column in schema.columns)],
    }


def column_body(schema: ColumnSchema) -> dict[str, Any]:
    """For POST EntityDefinitions(LogicalName='...')/Attributes."""
    kind, facets = _facets(schema)
    return {
        "@odata.type": f"{_CRM}{kind}AttributeMetadata",
        "SchemaName": schema.schema_name or schema.logical_name,
        "DisplayName": _label(schema.display),
        "RequiredLevel": {"Value": "None"},
        **facets,
    }


def lookup_body(schema: LookupSchema, *, target_id: str) -> dict[str, Any]:
    """For POST RelationshipDefinitions; `target_id` is the target's primary key column."""
    cascades = dict.fromkeys(("Assign", "Merge", "Reparent", "Share", "Unshare", "RollupView"), "NoCascade")
    return {
        "@odata.type": f"{_CRM}OneToManyRelationshipMetadata",
        "SchemaName": schema.relationship,
        "ReferencedEntity": schema.target,
        "ReferencedAttribute": target_id,
        "ReferencedEntityNavigationPropertyName": schema.relationship,
        "ReferencingEntity": schema.table,
        "ReferencingEntityNavigationPropertyName": schema.schema_name,
        "CascadeConfiguration": {**cascades, "Delete": schema.on_delete},
        "Lookup": {
            "@odata.type": f"{_CRM}LookupAttributeMetadata",
            "SchemaName": schema.schema_name,
            "DisplayName": _label(schema.display),
            "RequiredLevel": {"Value": "None"},
        },
    }


def publish_body(tables: Iterable[str]) -> dict[str, str]:
    """For POST PublishXml; logical names hold nothing that XML would have to escape."""
    entities = "".join(f"<entity>{name}</entity>" for name in sorted(set(tables)))
    return {"ParameterXml": f"<importexportxml><entities>{entities}</entities></importexportxml>"}


def _facets(schema: ColumnSchema) -> tuple[str, dict[str, Any]]:
    """Dataverse's type of a column, and what is particular to it."""
    kind, fixed = _TYPES[schema.kind]
    facets = dict(fixed)
    if "MaxLength" in facets and schema.max_length is not None:
        facets["MaxLength"] = schema.max_length
    if schema.kind == "datetime":
        facets["DateTimeBehavior"] = {"Value": schema.behavior}
    return kind, facets


def _yes_no() -> dict[str, Any]:
    return {
        "OptionSetType": "Boolean",
        "TrueOption": {"Value": 1, "Label": _label("Yes")},
        "FalseOption": {"Value": 0, "Label": _label("No")},
    }


def _label(text: str) -> dict[str, Any]:
    localized = {"@odata.type": f"{_CRM}LocalizedLabel", "Label": text, "LanguageCode": _ENGLISH}
    return {"@odata.type": f"{_CRM}Label", "LocalizedLabels": [localized]}


_TYPES: dict[Kind, tuple[str, dict[str, Any]]] = {
    "text": ("String", {"MaxLength": TEXT_LENGTH, "FormatName": {"Value": "Text"}}),
    "memo": ("Memo", {"MaxLength": MEMO_LENGTH, "FormatName": {"Value": "TextArea"}}),
    "integer": ("Integer", {"Format": "None", "MinValue": LEAST_INTEGER, "MaxValue": MOST_INTEGER}),
    "decimal": ("Decimal", {"MinValue": -MOST_DECIMAL, "MaxValue": MOST_DECIMAL, "Precision": DECIMAL_PLACES}),
    "double": ("Double", {"MinValue": -MOST_DOUBLE, "MaxValue": MOST_DOUBLE, "Precision": DOUBLE_PLACES}),
    "boolean": ("Boolean", {"DefaultValue": False, "OptionSet": _yes_no()}),
    "date": ("DateTime", {"Format": "DateOnly", "DateTimeBehavior": {"Value": "DateOnly"}}),
    "datetime": ("DateTime", {"Format": "DateAndTime"}),
}
