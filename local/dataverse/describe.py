"""Metadata as the Web API shows it: tables, columns, keys and relationships as JSON objects."""

from __future__ import annotations

import time
import uuid
from typing import Any

from local.dataverse import privileges
from local.dataverse.metadata import FILE, LOOKUPS, STANDARD, Column, Key, ManyToMany, Relationship, Table
from local.dataverse.organization import Organization

PREFIX = "#Microsoft.Dynamics.CRM."
ENGLISH = 1033
STANDARD_DELETES = ("Assign", "Merge", "Reparent", "Share", "Unshare", "RollupView", "Archive")


def metadata_id(organization: Organization, *names: str) -> str:
    """Return the MetadataId of something: the same one whenever it is asked for.

    What was deleted and made again under its old name has another one, as in Dataverse.
    """
    name = "/".join(names)
    before = organization.catalog.retired.get(name, 0)
    return str(uuid.uuid5(uuid.UUID(organization.id), f"{name}#{before}" if before else name))


def label(text: str) -> dict[str, Any]:
    """Return a text as a Label."""
    if not text:
        return {"LocalizedLabels": [], "UserLocalizedLabel": None}
    localized = {"Label": text, "LanguageCode": ENGLISH, "IsManaged": False, "MetadataId": None, "HasChanged": None}
    return {"LocalizedLabels": [localized], "UserLocalizedLabel": localized}


def _changeable(*, value: Any, name: str) -> dict[str, Any]:
    return {"Value": value, "CanBeChanged": True, "ManagedPropertyLogicalName": name}


def table(organization: Organization, found: Table) -> dict[str, Any]:
    """Return a table's properties, without its columns, keys and relationships."""
    return {
        "MetadataId": metadata_id(organization, found.logical_name),
        "LogicalName": found.logical_name,
        "SchemaName": found.schema_name,
        "EntitySetName": found.set_name,
        "LogicalCollectionName": found.set_name,
        "CollectionSchemaName": found.set_name,
        "PrimaryIdAttribute": found.primary_id,
        "PrimaryNameAttribute": found.primary_name or None,
        "PrimaryImageAttribute": None,
        "DisplayName": label(found.display_name),
        "DisplayCollectionName": label(found.display_collection_name),
        "Description": label(found.description),
        "ObjectTypeCode": found.object_type_code,
        "OwnershipType": found.ownership,
        "TableType": found.kind,
        "IsCustomEntity": found.is_custom,
        "IsManaged": found.is_managed or not found.is_custom,
        "IsCustomizable": _changeable(value=found.is_customizable, name="iscustomizable"),
        "IsActivity": False,
        "IsIntersect": False,
        "IsPrivate": False,
        "IsLogicalEntity": False,
        "IsValidForAdvancedFind": True,
        "ChangeTrackingEnabled": found.tracks_changes,
        "CanChangeTrackingBeEnabled": _changeable(value=found.kind == STANDARD, name="canchangetrackingbeenabled"),
        "HasActivities": False,
        "HasNotes": False,
        "DataProviderId": None,
        "ExternalName": None,
        "Privileges": table_privileges(organization, found),
    }


def privilege_id(organization: Organization, name: str, of: Table | None = None) -> str:
    """Return the PrivilegeId: a table's privileges come and go with it."""
    parent = uuid.UUID(metadata_id(organization, of.logical_name) if of else organization.id)
    return str(uuid.uuid5(parent, name))


def table_privileges(organization: Organization, of: Table) -> list[dict[str, Any]]:
    """Return a table's privileges as SecurityPrivilegeMetadata. Without owners there is only the depth Global."""
    owned = of.ownership == "UserOwned"
    common = {"CanBeBasic": owned, "CanBeDeep": owned, "CanBeEntityReference": False, "CanBeGlobal": True}
    common |= {"CanBeLocal": owned, "CanBeParentEntityReference": False, "CanBeRecordFilter": False}
    return [
        {
            **common,
            "Name": (name := privileges.name(kind, of)),
            "PrivilegeId": privilege_id(organization, name, of),
            "PrivilegeType": kind,
        }
        for kind in privileges.types(of)
    ]


def kind(column: Column) -> str:
    """Return the name of a column's metadata type."""
    if column.is_file:
        return "FileAttributeMetadata"
    return {"Uniqueidentifier": "UniqueIdentifier", "Customer": "Lookup"}.get(column.kind, column.kind) + (
        "AttributeMetadata"
    )


def column(organization: Organization, of: Table, found: Column) -> dict[str, Any]:
    """Return a column's properties with those of its type."""
    return {"@odata.type": PREFIX + kind(found), **_common(organization, of, found), **_particular(found)}


def _common(organization: Organization, of: Table, found: Column) -> dict[str, Any]:
    kind = "Virtual" if found.is_file else found.kind
    type_name = (FILE if found.is_file else found.kind) + "Type"
    return {
        "MetadataId": metadata_id(organization, of.logical_name, found.logical_name),
        "LogicalName": found.logical_name,
        "SchemaName": found.schema_name or found.logical_name,
        "EntityLogicalName": of.logical_name,
        "AttributeType": kind,
        "AttributeTypeName": {"Value": type_name},
        "AttributeOf": file_of(of, found),
        "DisplayName": label(found.display_name),
        "Description": label(found.description),
        "RequiredLevel": _changeable(value=found.required, name="canmodifyrequirementlevelsettings"),
        "IsPrimaryId": found.logical_name == of.primary_id,
        "IsPrimaryName": found.logical_name == of.primary_name,
        "IsCustomAttribute": found.is_custom,
        "IsManaged": not found.is_custom,
        "IsLogical": False,
        "IsValidForCreate": found.valid_for_create,
        "IsValidForRead": True,
        "IsValidForUpdate": found.valid_for_update,
        "IsValidODataAttribute": True,
        "IsSecured": False,
        "ColumnNumber": 1 + list(of.columns).index(found.logical_name),
    }


def file_of(of: Table, found: Column) -> str | None:
    """Return the file column that a column of file names belongs to."""
    owner = of.columns.get(found.logical_name.removesuffix("_name"))
    return owner.logical_name if owner is not None and owner.is_file and owner is not found else None


COMMON = frozenset(
    {
        "MetadataId", "LogicalName", "SchemaName", "EntityLogicalName", "AttributeType", "AttributeTypeName",
        "AttributeOf", "DisplayName", "Description", "RequiredLevel", "IsPrimaryId", "IsPrimaryName",
        "IsCustomAttribute", "IsManaged", "IsLogical", "IsValidForCreate", "IsValidForRead", "IsValidForUpdate",
        "IsValidODataAttribute", "IsSecured", "ColumnNumber",
    }
)  # fmt: skip


def _particular(found: Column) -> dict[str, Any]:
    if found.is_file or found.kind in LOOKUPS:
        return (
            {"MaxSizeInKB": found.max_length} if found.is_file else {"Targets": list(found.targets), "Format": "None"}
        )
    if found.kind in ("String", "Memo"):
        return {"MaxLength": found.max_length, "FormatName": {"Value": found.format or "Text"}, "Format": "Text"}
    if found.kind in ("Integer", "BigInt"):
        return {"MinValue": found.minimum, "MaxValue": found.maximum, "Format": found.format or "None"}
    if found.kind in ("Decimal", "Double", "Money"):
        return {"MinValue": found.minimum, "MaxValue": found.maximum, "Precision": found.precision}
    if found.kind == "DateTime":
        behavior = {"Value": found.behavior or "UserLocal"}
        return {
            "Format": found.format or "DateAndTime",
            "DateTimeBehavior": behavior,
            "CanChangeDateTimeBehavior": None,
        }
    return {}


def option_set(organization: Organization, of: Table, found: Column) -> dict[str, Any]:
    """Return the option set of a choice or yes/no column."""
    name = f"{of.logical_name}_{found.logical_name}"
    owner = uuid.UUID(metadata_id(organization, of.logical_name, found.logical_name))
    common = {"MetadataId": str(uuid.uuid5(owner, "optionset")), "Name": name, "IsGlobal": False}
    if found.kind == "Boolean":
        labels = dict(found.options) or {1: "Yes", 0: "No"}
        yes, no = ({"Value": value, "Label": label(labels.get(value, ""))} for value in (1, 0))
        return {**common, "OptionSetType": "Boolean", "TrueOption": yes, "FalseOption": no}
    options = [{"Value": value, "Label": label(text), "Description": label("")} for value, text in found.options]
    return {**common, "OptionSetType": found.kind, "Options": options}


def key(organization: Organization, of: Table, found: Key) -> dict[str, Any]:
    """Return an alternate key; its index counts as being built for a moment."""
    status = "Failed" if found.failed else "Active" if found.ready_at <= time.time() else "InProgress"
    return {
        "MetadataId": metadata_id(organization, of.logical_name, "key", found.logical_name),
        "LogicalName": found.logical_name,
        "SchemaName": found.schema_name,
        "EntityLogicalName": of.logical_name,
        "DisplayName": label(found.display_name),
        "KeyAttributes": list(found.columns),
        "EntityKeyIndexStatus": status,
        "IsManaged": False,
    }


def relationship(organization: Organization, found: Relationship) -> dict[str, Any]:
    """Return a one-to-many relationship."""
    target = organization.catalog.tables[found.referenced]
    cascades: dict[str, str | None] = dict.fromkeys(STANDARD_DELETES, "NoCascade")
    return {
        "@odata.type": PREFIX + "OneToManyRelationshipMetadata",
        "MetadataId": metadata_id(organization, "relationship", found.schema_name.lower()),
        "SchemaName": found.schema_name,
        "RelationshipType": "OneToManyRelationship",
        "IsCustomRelationship": found.is_custom,
        "IsManaged": not found.is_custom,
        "IsValidForAdvancedFind": True,
        "SecurityTypes": "Append",
        "ReferencedEntity": found.referenced,
        "ReferencedAttribute": target.primary_id,
        "ReferencedEntityNavigationPropertyName": found.collection,
        "ReferencingEntity": found.referencing,
        "ReferencingAttribute": found.column,
        "ReferencingEntityNavigationPropertyName": found.navigation,
        "CascadeConfiguration": {**cascades, "Delete": found.on_delete},
        "IsHierarchical": False,
        "EntityKey": None,
    }


def many_to_many(organization: Organization, found: ManyToMany) -> dict[str, Any]:
    """Return a many-to-many relationship."""
    first, second = organization.catalog.tables[found.first], organization.catalog.tables[found.second]
    return {
        "@odata.type": PREFIX + "ManyToManyRelationshipMetadata",
        "MetadataId": metadata_id(organization, "relationship", found.schema_name.lower()),
        "SchemaName": found.schema_name,
        "RelationshipType": "ManyToManyRelationship",
        "IsCustomRelationship": True,
        "IsManaged": False,
        "IsValidForAdvancedFind": True,
        "SecurityTypes": "None",
        "Entity1LogicalName": first.logical_name,
        "Entity1IntersectAttribute": first.primary_id,
        "Entity1NavigationPropertyName": found.first_navigation,
        "Entity2LogicalName": second.logical_name,
        "Entity2IntersectAttribute": second.primary_id,
        "Entity2NavigationPropertyName": found.second_navigation,
        "IntersectEntityName": found.intersection,
    }
