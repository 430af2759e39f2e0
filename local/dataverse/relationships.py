"""Requests on relationships: RelationshipDefinitions, and the relationships of one table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from local.dataverse import (
    attributes,
    columns,
    describe,
    errors,
    intersections,
    paths,
    payload,
    schema,
    selection,
    solutions,
)
from local.dataverse.call import Call, no_content
from local.dataverse.metadata import ManyToMany, Relationship, Table
from local.dataverse.organization import Organization
from local.dataverse.paths import Segment
from local.dataverse.wire import Response

ONE_TO_MANY, MANY_TO_MANY = "OneToManyRelationshipMetadata", "ManyToManyRelationshipMetadata"
CONTEXT = "RelationshipDefinitions"
Either = Relationship | ManyToMany


def many_to_one(call: Call, table: Table, path: list[Segment]) -> Response:
    """Answer on the relationships whose lookup is in a table."""
    known = call.organization.catalog.relationships.values()
    return _answer(call, path, [one for one in known if one.referencing == table.logical_name])


def one_to_many(call: Call, table: Table, path: list[Segment]) -> Response:
    """Answer on the relationships whose lookups name a table."""
    known = call.organization.catalog.relationships.values()
    return _answer(call, path, [one for one in known if one.referenced == table.logical_name])


def many_to_many(call: Call, table: Table, path: list[Segment]) -> Response:
    """Answer on the many-to-many relationships of a table."""
    return _answer(call, path, intersections.touching(call.organization, table))


def answer_relationships(call: Call, path: list[Segment]) -> Response:
    """Answer a request on RelationshipDefinitions. Raises DataverseError."""
    call.kind = "metadata read" if call.method == "GET" else "metadata write"
    if call.method == "POST" and len(path) == 1 and path[0].predicate is None:
        return _create(call, payload.parse_object(call.body, CONTEXT))
    catalog = call.organization.catalog
    return _answer(call, path, [*catalog.relationships.values(), *catalog.intersections.values()])


def _create(call: Call, body: dict[str, Any]) -> Response:
    organization = call.organization
    with organization.transaction():
        if columns.kind_of(body) == MANY_TO_MANY:
            pairs = intersections.create(organization, body)
            solutions.note_many_to_many(call, pairs)
            return selection.made(call, f"{CONTEXT}({intersections.identity(organization, pairs)})")
        made = schema.create_relationship(organization, body)
        solutions.note_relationship(call, made)
    call.table = made.referencing
    identity = describe.metadata_id(organization, "relationship", made.schema_name.lower())
    return selection.made(call, f"{CONTEXT}({identity})")


def described(organization: Organization, found: Either) -> dict[str, Any]:
    """Return a relationship of either kind."""
    if isinstance(found, ManyToMany):
        return describe.many_to_many(organization, found)
    return describe.relationship(organization, found)


def _answer(call: Call, path: list[Segment], found: Iterable[Either]) -> Response:
    cast = path[1].name.removeprefix(columns.PREFIX) if len(path) > 1 else ""
    if cast not in ("", ONE_TO_MANY, MANY_TO_MANY):
        raise errors.unknown_segment(cast)
    if cast:
        found = [one for one in found if isinstance(one, ManyToMany) == (cast == MANY_TO_MANY)]
    if path[0].predicate is None:
        if call.method != "GET":
            raise errors.method_not_allowed(call.method)
        shown = [described(call.organization, one) for one in found]
        return selection.many(call, CONTEXT, _alike(shown) if "$select" in call.options else shown)
    wanted = paths.pairs(path[0].predicate)
    for one in found:
        properties = described(call.organization, one)
        named = wanted.get("MetadataId") or wanted.get("", "")
        if wanted.get("SchemaName") == one.schema_name or named.lower() == properties["MetadataId"]:
            return _one(call, one, properties)
    raise errors.DataverseError(404, "0x80060888", f"Could not find a relationship '{path[0].predicate}'.")


def _alike(shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give relationships of both kinds all properties of either, null where the kind lacks them.

    Microsoft's Python client documents that properties of one kind can be chosen of all relationships.
    """
    if len({one["RelationshipType"] for one in shown}) < 2:
        return shown
    names = dict.fromkeys(name for one in shown for name in one)
    return [{name: one.get(name) for name in names} for one in shown]


def _one(call: Call, found: Either, shown: dict[str, Any]) -> Response:
    if call.method == "GET":
        return selection.one(call, CONTEXT, shown)
    if call.method != "DELETE":
        raise errors.method_not_allowed(call.method)
    organization = call.organization
    if isinstance(found, ManyToMany):
        with organization.transaction():
            solutions.forget(organization, [shown["MetadataId"]])
            intersections.drop(organization, found)
        return no_content()
    if not found.is_custom:
        raise errors.not_customizable("Relationship", shown["MetadataId"], "Delete")
    child = organization.catalog.tables[found.referencing]
    return attributes.drop_column(call, child, child.columns[found.column])
