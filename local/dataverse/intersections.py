"""Many-to-many relationships: their definitions, and the pairs of rows.

The intersect table is no table of the catalog here: its rows can be reached by the collections of both ends only. A row
that is deleted takes its pairs along.
"""

from __future__ import annotations

import re
from typing import Any

from local.dataverse import access, describe, errors, pairing, paths, payload, query, schema
from local.dataverse.call import Call, no_content
from local.dataverse.columns import SCHEMA_NAME
from local.dataverse.metadata import ManyToMany, Table
from local.dataverse.organization import Organization
from local.dataverse.paths import Segment
from local.dataverse.privileges import APPEND, APPEND_TO
from local.dataverse.storage import quoted
from local.dataverse.wire import Response


def create(organization: Organization, body: dict[str, Any]) -> ManyToMany:
    """Create a many-to-many relationship. Raises DataverseError."""
    name = schema.relationship_name(organization, body)
    first, second = (schema.end(organization, body, side) for side in ("Entity1LogicalName", "Entity2LogicalName"))
    if first is second:
        what = "A many-to-many relationship of a table with itself"
        raise errors.not_supported(what)
    intersection = body.get("IntersectEntityName")
    catalog = organization.catalog
    if not isinstance(intersection, str) or not SCHEMA_NAME.fullmatch(intersection):
        raise errors.invalid_argument("IntersectEntityName is required: <prefix>_<name>.")
    taken = [one.intersection for one in catalog.intersections.values()]
    if intersection.lower() in (*catalog.tables, *taken):
        raise errors.already_there("Entity", intersection)
    pairs = ManyToMany(
        name, first.logical_name, second.logical_name, intersection.lower(),
        str(body.get("Entity1NavigationPropertyName") or name), str(body.get("Entity2NavigationPropertyName") or name),
    )  # fmt: skip
    for table, navigation in ((first, pairs.first_navigation), (second, pairs.second_navigation)):
        if not re.fullmatch(r"\w+", navigation) or navigation in (
            *table.properties, *catalog.navigations(table.logical_name), *catalog.collections(table.logical_name),
            *catalog.paired(table.logical_name),
        ):  # fmt: skip
            raise errors.already_there("Navigation property", navigation)
    with organization.transaction():
        organization.catalog_changed = True
        pairing.make(organization.store, pairs, first, second)
        catalog.intersections[name.lower()] = pairs
    return pairs


def drop(organization: Organization, pairs: ManyToMany) -> None:
    """Delete a many-to-many relationship with its pairs, inside a transaction."""
    organization.catalog_changed = True
    pairing.drop(organization.store, pairs)
    organization.catalog.drop_intersection(pairs)


def touching(organization: Organization, table: Table) -> list[ManyToMany]:
    """Return the many-to-many relationships of a table."""
    known = organization.catalog.intersections.values()
    return [pairs for pairs in known if table.logical_name in (pairs.first, pairs.second)]


def identity(organization: Organization, pairs: ManyToMany) -> str:
    """Return the MetadataId of a many-to-many relationship."""
    return describe.metadata_id(organization, "relationship", pairs.schema_name.lower())


def answer(call: Call, table: Table, pairs: ManyToMany, path: list[Segment]) -> Response:
    """Answer on a collection of a row: GET its rows, POST or DELETE a reference. Raises DataverseError."""
    organization = call.organization
    call.table = table.logical_name
    row_id = paths.row_id(organization, table, path[0].predicate or "")
    target = organization.catalog.tables[pairs.other(table.logical_name)]
    _check_row(organization, table, row_id)
    if len(path) == 2 and path[1].predicate is None and call.method == "GET":
        call.kind = "query"
        return query.many(call, target, (pairing.related(pairs, table, target), [row_id]))
    if len(path) != 3 or path[2].name != "$ref":
        raise errors.method_not_allowed(call.method)
    call.kind = "reference"
    if call.method == "POST":
        named, other = paths.reference(organization, payload.parse_object(call.body, "$ref").get("@odata.id"))
        if named is not target:
            raise errors.invalid_argument(f"'{path[1].name}' has rows of '{target.logical_name}'.")
        return _pair(call, pairs, (table, row_id), (target, other), together=True)
    if call.method != "DELETE":
        raise errors.method_not_allowed(call.method)
    if path[1].predicate is not None:
        other = paths.row_id(organization, target, path[1].predicate)
    else:
        named, other = paths.reference(organization, call.options.get("$id"))
        if named is not target:
            raise errors.invalid_argument(f"'{path[1].name}' has rows of '{target.logical_name}'.")
    return _pair(call, pairs, (table, row_id), (target, other), together=False)


def _pair(
    call: Call, pairs: ManyToMany, one: tuple[Table, str], other: tuple[Table, str], *, together: bool
) -> Response:
    organization = call.organization
    for table, row_id in (one, other):
        # Which end needs Append and which AppendTo depends on the direction in Dataverse; both are asked for here.
        access.require(organization, table, APPEND, APPEND_TO)
        _check_row(organization, table, row_id)
    first, second = (one[1], other[1]) if pairs.first == one[0].logical_name else (other[1], one[1])
    name = quoted(pairs.intersection)
    known = f"SELECT 1 FROM {name} WHERE first = ? AND second = ?"
    with organization.transaction():
        present = organization.store.connection.execute(known, (first, second)).fetchone() is not None
        if together and present:
            raise errors.duplicate_key()
        if together:
            organization.store.write(f"INSERT INTO {name} VALUES (?, ?)", [(first, second)])
        else:
            organization.store.write(f"DELETE FROM {name} WHERE first = ? AND second = ?", [(first, second)])
    return no_content()


def _check_row(organization: Organization, table: Table, row_id: str) -> None:
    if row_id not in organization.store.existing(table, [row_id]):
        raise errors.does_not_exist(table.logical_name, row_id)
