"""Requests on relationships: RelationshipDefinitions, and the relationships of one table."""

from __future__ import annotations

from collections.abc import Callable

from local.dataverse import attributes, columns, describe, errors, paths, payload, schema, selection, solutions
from local.dataverse.call import Call
from local.dataverse.metadata import Relationship, Table
from local.dataverse.paths import Segment
from local.dataverse.wire import Response


def many_to_one(call: Call, table: Table, path: list[Segment]) -> Response:
    """Answer on the relationships whose lookup is in a table."""
    return _relationships(call, path, lambda found: found.referencing == table.logical_name)


def one_to_many(call: Call, table: Table, path: list[Segment]) -> Response:
    """Answer on the relationships whose lookups name a table."""
    return _relationships(call, path, lambda found: found.referenced == table.logical_name)


def answer_relationships(call: Call, path: list[Segment]) -> Response:
    """Answer a request on RelationshipDefinitions. Raises DataverseError."""
    call.kind = "metadata read" if call.method == "GET" else "metadata write"
    if call.method == "POST" and len(path) == 1 and path[0].predicate is None:
        body = payload.parse_object(call.body, "RelationshipDefinitions")
        with call.organization.transaction():
            made = schema.create_relationship(call.organization, body)
            solutions.note_relationship(call, made)
        call.table = made.referencing
        identity = describe.metadata_id(call.organization, "relationship", made.schema_name.lower())
        return selection.made(call, f"RelationshipDefinitions({identity})")
    return _relationships(call, path, lambda _: True)


def _relationships(call: Call, path: list[Segment], belongs: Callable[[Relationship], bool]) -> Response:
    organization = call.organization
    cast = path[1].name.removeprefix(columns.PREFIX) if len(path) > 1 else "OneToManyRelationshipMetadata"
    if cast != "OneToManyRelationshipMetadata":
        raise errors.unknown_segment(cast)
    found = [one for one in organization.catalog.relationships.values() if belongs(one)]
    if path[0].predicate is None:
        if call.method != "GET":
            raise errors.method_not_allowed(call.method)
        return selection.many(
            call, "RelationshipDefinitions", [describe.relationship(organization, one) for one in found]
        )
    wanted = paths.pairs(path[0].predicate)
    for one in found:
        described = describe.relationship(organization, one)
        if wanted.get("SchemaName") == one.schema_name or wanted.get("", "").lower() == described["MetadataId"]:
            if call.method == "DELETE" and one.is_custom:
                child = organization.catalog.tables[one.referencing]
                return attributes.drop_column(call, child, child.columns[one.column])
            return selection.one(call, "RelationshipDefinitions", described)
    raise errors.DataverseError(404, "0x80060888", f"Could not find a relationship '{path[0].predicate}'.")
