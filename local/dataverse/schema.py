"""Creating and changing metadata: JSON definitions are checked and become tables, columns, keys and relationships.

Checked as strictly as the documents allow: names with a publisher's prefix, lengths and ranges, no second of a name.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Any

from local.dataverse import limits
from local.dataverse.errors import DataverseError, already_there, invalid_argument, not_supported
from local.dataverse.metadata import CASCADE, REMOVE_LINK, RESTRICT, Column, Key, Relationship, Table
from local.dataverse.organization import Organization
from local.dataverse.standard import system_columns

PREFIX = "Microsoft.Dynamics.CRM."
SCHEMA_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{1,7}_[A-Za-z0-9_]+")
KINDS = {
    "String": "String", "Memo": "Memo", "Integer": "Integer", "BigInt": "BigInt", "Decimal": "Decimal",
    "Double": "Double", "Money": "Money", "Boolean": "Boolean", "DateTime": "DateTime", "Picklist": "Picklist",
    "UniqueIdentifier": "Uniqueidentifier",
}  # fmt: skip
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


def create_table(organization: Organization, body: dict[str, Any]) -> Table:
    """Create a table with its primary name column, and further columns where the body has some."""
    if kind_of(body) != "EntityMetadata":
        raise invalid_argument("'@odata.type' must be Microsoft.Dynamics.CRM.EntityMetadata.")
    name = schema_name(body, limits.MAX_TABLE_NAME)
    logical_name = name.lower()
    if logical_name in organization.catalog.tables:
        raise already_there("Entity", name)
    set_name = str(body.get("EntitySetName") or plural(logical_name)).lower()
    if set_name in organization.catalog.sets:
        raise already_there("EntitySet", set_name)
    display, collection = text_of(body.get("DisplayName")), text_of(body.get("DisplayCollectionName"))
    if not display or not collection:
        raise invalid_argument("DisplayName and DisplayCollectionName are required.")
    if body.get("OwnershipType") not in ("UserOwned", "OrganizationOwned"):
        raise invalid_argument("OwnershipType must be UserOwned or OrganizationOwned.")
    primary, others = _attributes(body)
    table = Table(
        logical_name, name, set_name, logical_name + "id", primary.logical_name, display, collection,
        text_of(body.get("Description")), str(body["OwnershipType"]), is_custom=True,
        object_type_code=10_000 + len(organization.catalog.tables),
    )  # fmt: skip
    return add_table(organization, table, [primary, *others])


def _attributes(body: dict[str, Any]) -> tuple[Column, list[Column]]:
    """Return the primary name column of a table's definition, and its further columns."""
    attributes = body.get("Attributes")
    listed = attributes if isinstance(attributes, list) else []
    primary = [found for found in listed if isinstance(found, dict) and found.get("IsPrimaryName") is True]
    if len(primary) != 1 or kind_of(primary[0]) != "StringAttributeMetadata":
        raise invalid_argument("Attributes must hold one StringAttributeMetadata with IsPrimaryName true.")
    return column_of(primary[0]), [column_of(found) for found in listed if found is not primary[0]]


def add_table(organization: Organization, table: Table, columns: list[Column]) -> Table:
    """Add a table with the columns that every table has, and these."""
    for column in system_columns(table.primary_id, custom=table.is_custom):
        table.add(
            replace(column, schema_name=column.logical_name, display_name=column.display_name or table.display_name)
        )
    for column in columns:
        if column.logical_name in table.columns:
            raise already_there("Attribute", column.schema_name)
        table.add(column)
    with organization.transaction():
        organization.catalog_changed = True
        organization.catalog.add_table(table)
        organization.store.create_table(table)
    return table


def plural(logical_name: str) -> str:
    """Return the set name that Dataverse gives a table. Not documented; read it from EntitySetName, never guess it."""
    if logical_name.endswith("y"):
        return logical_name[:-1] + "ies"
    return logical_name + ("es" if logical_name.endswith(("s", "x", "z", "ch", "sh")) else "s")


def create_column(organization: Organization, table: Table, body: dict[str, Any]) -> Column:
    """Create a column of any type but a lookup."""
    column = column_of(body)
    if column.logical_name in table.columns:
        raise already_there("Attribute", column.schema_name)
    add_column(organization, table, column)
    return column


def add_column(organization: Organization, table: Table, column: Column) -> None:
    """Add a column to a table and its SQL table."""
    with organization.transaction():
        organization.catalog_changed = True
        organization.store.add_column(table, column)
        table.add(column)


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
        required=_value(body.get("RequiredLevel")) or "None", is_custom=True,
    )  # fmt: skip
    return _with_facets(column, body)


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


def _value(wrapped: Any) -> str | None:
    return wrapped.get("Value") if isinstance(wrapped, dict) else None


def _text(column: Column, body: dict[str, Any]) -> Column:
    most, usual = (limits.MAX_TEXT, 100) if column.kind == "String" else (limits.MAX_MEMO, 2_000)
    length = body.get("MaxLength", usual)
    if type(length) is not int or not 1 <= length <= most:
        raise DataverseError(400, "0x80044354", f"MaxLength of '{column.schema_name}' must be from 1 to {most}.")
    return replace(column, max_length=length, format=_value(body.get("FormatName")))


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
    behavior = _value(body.get("DateTimeBehavior")) or "UserLocal"
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
    if len(set(values)) != len(values) or not all(type(value) is int for value in values):
        raise invalid_argument(f"The options of '{column.schema_name}' need a whole number of their own each.")
    return tuple((int(option["Value"]), text_of(option.get("Label"))) for option in options)


def update_column(organization: Organization, table: Table, column: Column, body: dict[str, Any]) -> None:
    """Change what may change of a column: texts, lengths, ranges, options; never its name or type."""
    changed = column_of({"SchemaName": column.schema_name, **body})
    if changed.kind != column.kind or changed.logical_name != column.logical_name:
        raise invalid_argument(f"Name and type of '{column.schema_name}' cannot be changed.")
    if column.max_length and changed.max_length and changed.max_length < column.max_length:
        # Dataverse lets a text be shortened and keeps what is longer; refused, to be strict.
        raise invalid_argument(f"MaxLength of '{column.schema_name}' cannot be reduced.")
    with organization.transaction():
        organization.catalog_changed = True
        table.add(changed)


def create_key(organization: Organization, table: Table, body: dict[str, Any], delay: float) -> Key:
    """Create an alternate key; its index is reported Active after `delay` seconds."""
    name = schema_name(body, limits.MAX_NAME)
    columns = body.get("KeyAttributes")
    if not isinstance(columns, list) or not 1 <= len(columns) <= limits.MAX_KEY_COLUMNS:
        raise invalid_argument(f"A key has 1 to {limits.MAX_KEY_COLUMNS} KeyAttributes.")
    if len(table.keys) >= limits.MAX_KEYS:
        raise invalid_argument(f"A table has at most {limits.MAX_KEYS} keys.")
    if unknown := [column for column in columns if column not in table.columns]:
        raise invalid_argument(f"'{table.logical_name}' has no attribute '{unknown[0]}'.")
    if name.lower() in table.keys:
        raise already_there("EntityKey", name)
    with organization.transaction():
        organization.catalog_changed = True
        key = Key(name.lower(), name, text_of(body.get("DisplayName")), tuple(columns), time.time() + delay)
        key = replace(key, failed=not organization.store.add_key(table, key))
        table.keys[key.logical_name] = key
    return key


def create_relationship(organization: Organization, body: dict[str, Any]) -> Relationship:
    """Create a one-to-many relationship with its lookup column."""
    kind = kind_of(body)
    if kind != "OneToManyRelationshipMetadata":
        raise not_supported(f"A relationship of type '{body.get('@odata.type')}'")
    name = schema_name(body, limits.MAX_RELATIONSHIP_NAME)
    if name.lower() in organization.catalog.relationships:
        raise already_there("Relationship", name)
    parent, child = _end(organization, body, "ReferencedEntity"), _end(organization, body, "ReferencingEntity")
    lookup = body.get("Lookup")
    if not isinstance(lookup, dict) or kind_of(lookup) not in ("LookupAttributeMetadata", ""):
        raise invalid_argument("A relationship needs a Lookup of type LookupAttributeMetadata.")
    column_name = schema_name(lookup, limits.MAX_NAME)
    if column_name.lower() in child.columns:
        raise already_there("Attribute", column_name)
    if not text_of(lookup.get("DisplayName")):
        raise invalid_argument(f"DisplayName of '{column_name}' is required.")
    if body.get("ReferencedAttribute") not in (None, parent.primary_id):
        raise invalid_argument(f"ReferencedAttribute must be '{parent.primary_id}'.")
    relationship = Relationship(
        name, parent.logical_name, child.logical_name, column_name.lower(),
        str(body.get("ReferencingEntityNavigationPropertyName") or column_name),
        str(body.get("ReferencedEntityNavigationPropertyName") or name),
        _on_delete(body), is_custom=True,
    )  # fmt: skip
    column = Column(
        column_name.lower(), "Lookup", column_name, text_of(lookup.get("DisplayName")),
        text_of(lookup.get("Description")), targets=(parent.logical_name,), is_custom=True,
        required=_value(lookup.get("RequiredLevel")) or "None",
    )  # fmt: skip
    return _add_relationship(organization, child, column, relationship)


def _add_relationship(
    organization: Organization, child: Table, column: Column, relationship: Relationship
) -> Relationship:
    catalog = organization.catalog
    taken = {*child.properties, *catalog.navigations(child.logical_name)} - {column.logical_name}
    if relationship.navigation in taken or relationship.collection in catalog.collections(relationship.referenced):
        raise already_there("Navigation property", relationship.navigation)
    with organization.transaction():
        organization.catalog_changed = True
        organization.store.add_column(child, column)
        child.add(column)
        catalog.add_relationship(relationship)
    return relationship


def _end(organization: Organization, body: dict[str, Any], side: str) -> Table:
    table = organization.catalog.tables.get(str(body.get(side)))
    if table is None:
        raise DataverseError(404, "0x80041102", f"{side} '{body.get(side)}' does not exist.")
    return table


def _on_delete(body: dict[str, Any]) -> str:
    cascades = body.get("CascadeConfiguration")
    wanted = cascades.get("Delete", REMOVE_LINK) if isinstance(cascades, dict) else REMOVE_LINK
    if wanted not in (REMOVE_LINK, RESTRICT, CASCADE):
        raise invalid_argument(f"CascadeConfiguration.Delete must be RemoveLink, Restrict or Cascade, not '{wanted}'.")
    return str(wanted)
