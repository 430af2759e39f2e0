"""Requests on metadata: EntityDefinitions and what is below, and publishing."""

from __future__ import annotations

import re

from local.dataverse import (
    attributes,
    changes,
    columns,
    describe,
    errors,
    intersections,
    paths,
    payload,
    relationships,
    schema,
    selection,
    solutions,
)
from local.dataverse.call import Call, no_content
from local.dataverse.metadata import Table
from local.dataverse.organization import Organization
from local.dataverse.paths import Segment
from local.dataverse.wire import Response


def answer_tables(call: Call, path: list[Segment]) -> Response:
    """Answer a request on EntityDefinitions. Raises DataverseError."""
    call.kind = "metadata read" if call.method == "GET" else "metadata write"
    if path[0].predicate is None:
        if len(path) > 1:
            raise errors.unknown_segment(path[1].name)
        return _tables(call)
    table = _find_table(call.organization, path[0].predicate)
    call.table = table.logical_name
    if len(path) == 1:
        return _table(call, table)
    part = {
        "Attributes": attributes.answer,
        "Keys": attributes.answer_keys,
        "ManyToOneRelationships": relationships.many_to_one,
        "OneToManyRelationships": relationships.one_to_many,
        "ManyToManyRelationships": relationships.many_to_many,
    }.get(path[1].name)
    if path[1].name == "Privileges" and call.method == "GET":
        context = f"EntityDefinitions('{table.logical_name}')/Privileges"
        return selection.many(call, context, describe.table_privileges(call.organization, table))
    if part is None:
        raise errors.unknown_segment(path[1].name)
    return part(call, table, path[1:])


def _tables(call: Call) -> Response:
    if call.method == "POST":
        with call.organization.transaction():
            table = schema.create_table(call.organization, payload.parse_object(call.body, "EntityDefinitions"))
            solutions.note_table(call, table)
        return selection.made(call, f"EntityDefinitions({describe.metadata_id(call.organization, table.logical_name)})")
    if call.method != "GET":
        raise errors.method_not_allowed(call.method)
    found = list(call.organization.catalog.tables.values())
    return selection.many(
        call, "EntityDefinitions", [describe.table(call.organization, table) for table in found], found
    )


def _find_table(organization: Organization, predicate: str) -> Table:
    wanted = paths.pairs(predicate)
    for table in organization.catalog.tables.values():
        identity = describe.metadata_id(organization, table.logical_name)
        if selection.named(wanted, table.logical_name, identity):
            return table
    name = next(iter(wanted.values()))
    message = f"Could not find an entity with name {name} and id 00000000-0000-0000-0000-000000000000"
    raise errors.DataverseError(404, "0x80060888", message)


def _table(call: Call, table: Table) -> Response:
    organization = call.organization
    if call.method == "GET":
        return selection.one(call, "EntityDefinitions", describe.table(organization, table), table)
    if call.method == "DELETE":
        return _drop_table(call, table)
    if call.method == "PUT":
        body = payload.parse_object(call.body, "EntityDefinitions")
        with organization.transaction():
            organization.catalog_changed = True
            table.display_name = columns.text_of(body.get("DisplayName")) or table.display_name
            collection = columns.text_of(body.get("DisplayCollectionName"))
            table.display_collection_name = collection or table.display_collection_name
            table.description = columns.text_of(body.get("Description")) or table.description
            _track(organization, table, wanted=body.get("ChangeTrackingEnabled"))
        return no_content()
    raise errors.method_not_allowed(call.method)


def _track(organization: Organization, table: Table, *, wanted: object) -> None:
    """Turn change tracking on. Documented: it cannot be turned off; not documented: the answer to trying."""
    if wanted is False and table.tracks_changes:
        raise errors.invalid_argument(
            f"Change tracking of '{table.logical_name}' cannot be disabled once it is enabled."
        )
    if wanted is True and not table.tracks_changes:
        table.tracks_changes = True
        changes.follow(organization, table)


def _drop_table(call: Call, table: Table) -> Response:
    catalog, store = call.organization.catalog, call.organization.store
    others = [found for found in catalog.referencing(table.logical_name) if found.referencing != table.logical_name]
    if table.is_managed:
        raise errors.not_customizable("Entity", describe.metadata_id(call.organization, table.logical_name), "Delete")
    if not table.is_custom or others:
        message = f"The component '{table.logical_name}' cannot be deleted because it is referenced by others."
        raise errors.DataverseError(400, "0x8004f01f", message)
    with call.organization.transaction():
        call.organization.catalog_changed = True
        solutions.forget(call.organization, _identities(call.organization, table))
        for pairs in intersections.touching(call.organization, table):
            intersections.drop(call.organization, pairs)
        store.drop_table(table)
        catalog.drop_table(table.logical_name)
    return no_content()


def _identities(organization: Organization, table: Table) -> list[str]:
    """Return the MetadataIds of a table and of all that goes with it."""
    name, known = table.logical_name, organization.catalog.relationships
    touching = [key for key, one in known.items() if name in (one.referenced, one.referencing)]
    return [
        describe.metadata_id(organization, name),
        *(describe.metadata_id(organization, name, column) for column in table.columns),
        *(describe.metadata_id(organization, "relationship", one) for one in touching),
        *(intersections.identity(organization, pairs) for pairs in intersections.touching(organization, table)),
    ]


def publish(call: Call, _: list[Segment]) -> Response:
    """Answer PublishXml and PublishAllXml: what is created here is in use at once."""
    call.kind = "metadata write"
    if call.method != "POST":
        raise errors.method_not_allowed(call.method)
    if call.path.strip("/") == "PublishXml":
        text = payload.parse_object(call.body, "PublishXml").get("ParameterXml")
        names = re.findall(r"<entity>(.*?)</entity>", text) if isinstance(text, str) else None
        if names is None or any(name not in call.organization.catalog.tables for name in names):
            raise errors.invalid_argument("ParameterXml is missing, or names a table that does not exist.")
    return no_content()
