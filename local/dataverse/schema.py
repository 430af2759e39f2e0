"""Creating and changing metadata: tables, columns, alternate keys and relationships, each with its SQL counterpart."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from local.dataverse import changes, limits
from local.dataverse.columns import column_of, companions, kind_of, schema_name, text_of, value_of
from local.dataverse.describe import metadata_id, option_set
from local.dataverse.errors import DataverseError, already_there, invalid_argument, not_customizable, not_supported
from local.dataverse.metadata import CASCADE, REMOVE_LINK, RESTRICT, Column, Key, Relationship, Table
from local.dataverse.organization import Organization
from local.dataverse.standard import system_columns


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
        tracks_changes=body.get("ChangeTrackingEnabled") is True,
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
        for each in (column, *companions(column)):
            if each.logical_name in table.columns:
                raise already_there("Attribute", each.schema_name)
            table.add(each)
    with organization.transaction():
        organization.catalog_changed = True
        organization.catalog.add_table(table)
        organization.store.create_table(table)
        if table.tracks_changes:
            changes.follow(organization, table)
    return table


def plural(logical_name: str) -> str:
    """Return the set name that Dataverse gives a table. Not documented; read it from EntitySetName, never guess it."""
    if logical_name.endswith("y") and logical_name[-2:-1] not in set("aeiou"):
        return logical_name[:-1] + "ies"
    return logical_name + ("es" if logical_name.endswith(("s", "x", "z", "ch", "sh")) else "s")


def create_column(organization: Organization, table: Table, body: dict[str, Any]) -> Column:
    """Create a column of any type but a lookup."""
    _check_customizable(organization, table, "Create")
    column = column_of(body)
    if column.logical_name in table.columns:
        raise already_there("Attribute", column.schema_name)
    for each in (column, *companions(column)):
        add_column(organization, table, each)
    return column


def _check_customizable(organization: Organization, table: Table, operation: str) -> None:
    """Refuse changes below a table whose managed properties say IsCustomizable false."""
    if not table.is_customizable:
        raise not_customizable("Attribute", metadata_id(organization, table.logical_name), operation)


def add_column(organization: Organization, table: Table, column: Column) -> None:
    """Add a column to a table and its SQL table."""
    with organization.transaction():
        organization.catalog_changed = True
        organization.store.add_column(table, column)
        table.add(column)


def update_column(organization: Organization, table: Table, column: Column, body: dict[str, Any]) -> None:
    """Change what may change of a column: texts, lengths, ranges, options; never its name or type.

    Options stay as they are where the body has none: without $expand, a client that reads a definition and puts it back
    has not seen them.
    """
    _check_customizable(organization, table, "Update")
    if column.kind in ("Picklist", "Boolean") and not body.get("OptionSet"):
        body = {**body, "OptionSet": option_set(organization, table, column)}
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
    if unknown := [column for column in columns if str(column) not in table.columns]:
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
    name = relationship_name(organization, body)
    parent, child = end(organization, body, "ReferencedEntity"), end(organization, body, "ReferencingEntity")
    lookup = body.get("Lookup")
    if not isinstance(lookup, dict) or kind_of(lookup) not in ("LookupAttributeMetadata", ""):
        raise invalid_argument("A relationship needs a Lookup of type LookupAttributeMetadata.")
    _check_customizable(organization, child, "Create")
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
        required=value_of(lookup.get("RequiredLevel")) or "None",
    )  # fmt: skip
    return _add_relationship(organization, child, column, relationship)


def relationship_name(organization: Organization, body: dict[str, Any]) -> str:
    """Return the name of a new relationship. Raises DataverseError."""
    name = schema_name(body, limits.MAX_RELATIONSHIP_NAME)
    catalog = organization.catalog
    if name.lower() in catalog.relationships or name.lower() in catalog.intersections:
        raise already_there("Relationship", name)
    return name


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


def end(organization: Organization, body: dict[str, Any], side: str) -> Table:
    """Return the table at one end of a relationship. Raises DataverseError."""
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
