"""Requests on metadata: EntityDefinitions with Attributes, Keys and relationships; RelationshipDefinitions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from local.dataverse import describe, errors, filters, paths, payload, schema
from local.dataverse.call import Call, json_response, no_content
from local.dataverse.metadata import Column, Key, Relationship, Table
from local.dataverse.organization import Organization
from local.dataverse.paths import Segment
from local.dataverse.wire import Response

EXPAND = re.compile(r"\s*(\w+)(?:\(([^()]*(?:\([^()]*\)[^()]*)*)\))?\s*(?:,|$)")
KEY_INDEX_SECONDS = 0.5
Properties = dict[str, Any]


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
        "Attributes": _attributes,
        "Keys": _keys,
        "ManyToOneRelationships": _many_to_one,
        "OneToManyRelationships": _one_to_many,
    }.get(path[1].name)
    if part is None:
        if path[1].name == "ManyToManyRelationships" and call.method == "GET":
            return _list(call, "EntityDefinitions", [])
        raise errors.unknown_segment(path[1].name)
    return part(call, table, path[1:])


def _tables(call: Call) -> Response:
    if call.method == "POST":
        table = schema.create_table(call.organization, payload.parse_object(call.body, "EntityDefinitions"))
        return _made(call, f"EntityDefinitions({describe.metadata_id(call.organization, table.logical_name)})")
    if call.method != "GET":
        raise errors.method_not_allowed(call.method)
    found = list(call.organization.catalog.tables.values())
    return _list(call, "EntityDefinitions", [describe.table(call.organization, table) for table in found], found)


def _find_table(organization: Organization, predicate: str) -> Table:
    wanted = paths.pairs(predicate)
    for table in organization.catalog.tables.values():
        identity = describe.metadata_id(organization, table.logical_name)
        if _named(wanted, table.logical_name, identity):
            return table
    name = next(iter(wanted.values()))
    message = f"Could not find an entity with name {name} and id 00000000-0000-0000-0000-000000000000"
    raise errors.DataverseError(404, "0x80060888", message)


def _named(wanted: dict[str, str], logical_name: str, identity: str) -> bool:
    return (
        wanted.get("LogicalName") == logical_name
        or wanted.get("SchemaName") == logical_name
        or (wanted.get("MetadataId") or wanted.get("") or "-").lower() == identity
    )


def _table(call: Call, table: Table) -> Response:
    organization = call.organization
    if call.method == "GET":
        return _one(call, "EntityDefinitions", describe.table(organization, table), table)
    if call.method == "DELETE":
        return _drop_table(call, table)
    if call.method == "PUT":
        body = payload.parse_object(call.body, "EntityDefinitions")
        with organization.transaction():
            organization.catalog_changed = True
            table.display_name = schema.text_of(body.get("DisplayName")) or table.display_name
            collection = schema.text_of(body.get("DisplayCollectionName"))
            table.display_collection_name = collection or table.display_collection_name
            table.description = schema.text_of(body.get("Description")) or table.description
        return no_content()
    raise errors.method_not_allowed(call.method)


def _drop_table(call: Call, table: Table) -> Response:
    catalog, store = call.organization.catalog, call.organization.store
    others = [found for found in catalog.referencing(table.logical_name) if found.referencing != table.logical_name]
    if not table.is_custom or others:
        message = f"The component '{table.logical_name}' cannot be deleted because it is referenced by others."
        raise errors.DataverseError(400, "0x8004f01f", message)
    with call.organization.transaction():
        call.organization.catalog_changed = True
        store.drop_table(table)
        catalog.drop_table(table.logical_name)
    return no_content()


def _attributes(call: Call, table: Table, path: list[Segment]) -> Response:
    """Answer on Attributes, one of them, either with a cast to a type."""
    organization, cast = call.organization, _cast(path)
    if path[0].predicate is not None:
        return _attribute(call, table, _find_column(organization, table, path[0].predicate), path)
    if call.method == "POST":
        column = schema.create_column(organization, table, payload.parse_object(call.body, "Attributes"))
        return _made(call, _address(organization, table, "Attributes", column.logical_name))
    if call.method != "GET":
        raise errors.method_not_allowed(call.method)
    found = [column for column in table.columns.values() if cast in ("", describe.kind(column))]
    described = [_column(call, table, column, cast) for column in found]
    return _list(call, f"EntityDefinitions('{table.logical_name}')/Attributes", described)


def _cast(path: list[Segment]) -> str:
    """Return the type that a path casts to, "" when it does not. Raises DataverseError for what it cannot be."""
    if len(path) == 1:
        return ""
    name = path[1].name.removeprefix(schema.PREFIX)
    if name == path[1].name or not name.endswith("AttributeMetadata"):
        return "" if path[0].predicate is not None else _unknown(path[1].name)
    return name


def _unknown(name: str) -> str:
    raise errors.unknown_segment(name)


def _column(call: Call, table: Table, column: Column, cast: str) -> Properties:
    """Return a column as a request sees it: the properties of its type can be chosen only behind a cast."""
    described = describe.column(call.organization, table, column)
    chosen = call.options.get("$select", "")
    if not cast and chosen:
        described = {name: value for name, value in described.items() if name in describe.COMMON or name[0] == "@"}
    for name in _expanded_names(call.options.get("$expand", "")):
        if name == "OptionSet" and cast and column.kind in ("Picklist", "State", "Status", "Boolean"):
            described["OptionSet"] = _chosen(
                describe.option_set(call.organization, table, column),
                _inner(call.options["$expand"], "OptionSet"),
            )
        elif name == "GlobalOptionSet" and cast:
            described[name] = None
        else:
            raise errors.bad_query(f"Could not find a property named '{name}' on type '{cast or 'AttributeMetadata'}'.")
    return described


def _attribute(call: Call, table: Table, column: Column, path: list[Segment]) -> Response:
    organization, cast = call.organization, _cast(path)
    if call.method == "GET":
        context = f"EntityDefinitions('{table.logical_name}')/Attributes"
        if path[-1].name == "OptionSet":
            return _one(call, context + "/OptionSet", describe.option_set(organization, table, column))
        if cast and cast != describe.kind(column):
            raise errors.unknown_segment(cast)
        return _one(call, context, _column(call, table, column, cast))
    if not column.is_custom or column.logical_name in (table.primary_id, table.primary_name):
        raise errors.invalid_argument(f"'{column.logical_name}' cannot be changed.")
    if call.method == "PUT":
        schema.update_column(organization, table, column, payload.parse_object(call.body, "Attributes"))
        return no_content()
    if call.method == "DELETE":
        return _drop_column(call, table, column)
    raise errors.method_not_allowed(call.method)


def _drop_column(call: Call, table: Table, column: Column) -> Response:
    catalog, store = call.organization.catalog, call.organization.store
    if any(column.logical_name in key.columns for key in table.keys.values()):
        message = f"The component '{column.logical_name}' cannot be deleted because it is referenced by others."
        raise errors.DataverseError(400, "0x8004f01f", message)
    with call.organization.transaction():
        call.organization.catalog_changed = True
        for relationship in list(catalog.navigations(table.logical_name).values()):
            if relationship.column == column.logical_name:
                catalog.drop_relationship(relationship)
        store.drop_column(table, column)
        table.drop(column.logical_name)
    return no_content()


def _find_column(organization: Organization, table: Table, predicate: str) -> Column:
    wanted = paths.pairs(predicate)
    for column in table.columns.values():
        identity = describe.metadata_id(organization, table.logical_name, column.logical_name)
        if _named(wanted, column.logical_name, identity):
            return column
    name = next(iter(wanted.values()))
    message = f"Could not find attribute '{name}' of entity '{table.logical_name}'."
    raise errors.DataverseError(404, "0x80060888", message)


def _keys(call: Call, table: Table, path: list[Segment]) -> Response:
    organization = call.organization
    context = f"EntityDefinitions('{table.logical_name}')/Keys"
    if path[0].predicate is not None:
        return _key(call, table, _find_key(organization, table, path[0].predicate))
    if call.method == "POST":
        body = payload.parse_object(call.body, "Keys")
        made = schema.create_key(organization, table, body, KEY_INDEX_SECONDS)
        return _made(call, _address(organization, table, "Keys", made.logical_name))
    if call.method != "GET":
        raise errors.method_not_allowed(call.method)
    return _list(call, context, [describe.key(organization, table, key) for key in table.keys.values()])


def _find_key(organization: Organization, table: Table, predicate: str) -> Key:
    wanted = paths.pairs(predicate)
    for key in table.keys.values():
        if _named(
            wanted, key.logical_name, describe.metadata_id(organization, table.logical_name, "key", key.logical_name)
        ):
            return key
    message = f"Could not find a key '{predicate}' of entity '{table.logical_name}'."
    raise errors.DataverseError(404, "0x80060888", message)


def _key(call: Call, table: Table, key: Key) -> Response:
    if call.method == "GET":
        described = describe.key(call.organization, table, key)
        return _one(call, f"EntityDefinitions('{table.logical_name}')/Keys", described)
    if call.method != "DELETE":
        raise errors.method_not_allowed(call.method)
    with call.organization.transaction():
        call.organization.catalog_changed = True
        call.organization.store.drop_key(table, key)
        del table.keys[key.logical_name]
    return no_content()


def _many_to_one(call: Call, table: Table, path: list[Segment]) -> Response:
    return _relationships(call, path, lambda found: found.referencing == table.logical_name)


def _one_to_many(call: Call, table: Table, path: list[Segment]) -> Response:
    return _relationships(call, path, lambda found: found.referenced == table.logical_name)


def answer_relationships(call: Call, path: list[Segment]) -> Response:
    """Answer a request on RelationshipDefinitions. Raises DataverseError."""
    call.kind = "metadata read" if call.method == "GET" else "metadata write"
    if call.method == "POST" and len(path) == 1 and path[0].predicate is None:
        body = payload.parse_object(call.body, "RelationshipDefinitions")
        made = schema.create_relationship(call.organization, body)
        call.table = made.referencing
        identity = describe.metadata_id(call.organization, "relationship", made.schema_name.lower())
        return _made(call, f"RelationshipDefinitions({identity})")
    return _relationships(call, path, lambda _: True)


def _relationships(call: Call, path: list[Segment], belongs: Callable[[Relationship], bool]) -> Response:
    organization = call.organization
    cast = path[1].name.removeprefix(schema.PREFIX) if len(path) > 1 else "OneToManyRelationshipMetadata"
    if cast != "OneToManyRelationshipMetadata":
        raise errors.unknown_segment(cast)
    found = [one for one in organization.catalog.relationships.values() if belongs(one)]
    if path[0].predicate is None:
        if call.method != "GET":
            raise errors.method_not_allowed(call.method)
        return _list(call, "RelationshipDefinitions", [describe.relationship(organization, one) for one in found])
    wanted = paths.pairs(path[0].predicate)
    for one in found:
        described = describe.relationship(organization, one)
        if wanted.get("SchemaName") == one.schema_name or wanted.get("", "").lower() == described["MetadataId"]:
            if call.method == "DELETE" and one.is_custom:
                child = organization.catalog.tables[one.referencing]
                return _drop_column(call, child, child.columns[one.column])
            return _one(call, "RelationshipDefinitions", described)
    raise errors.DataverseError(404, "0x80060888", f"Could not find a relationship '{path[0].predicate}'.")


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


def _made(call: Call, address: str) -> Response:
    return no_content((("OData-EntityId", call.base + address),))


def _address(organization: Organization, table: Table, part: str, name: str) -> str:
    of = describe.metadata_id(organization, table.logical_name)
    names = (table.logical_name, "key", name) if part == "Keys" else (table.logical_name, name)
    return f"EntityDefinitions({of})/{part}({describe.metadata_id(organization, *names)})"


def _one(call: Call, context: str, described: Properties, table: Table | None = None) -> Response:
    _check_options(call, ("$select", "$expand"))
    shown = _chosen(described, call.options.get("$select"))
    if table is not None:
        shown |= _expanded(call, table)
    return json_response(json.dumps({"@odata.context": f"{call.base}$metadata#{context}/$entity", **shown}))


def _list(call: Call, context: str, described: list[Properties], tables: list[Table] | None = None) -> Response:
    _check_options(call, ("$select", "$expand", "$filter"))
    filter_text = call.options.get("$filter")
    tree = filters.parse(filter_text) if filter_text else None
    value = []
    for position, properties in enumerate(described):
        if tree is None or filters.matches(tree, properties):
            shown = _chosen(properties, call.options.get("$select"))
            value.append({**shown, **_expanded(call, tables[position])} if tables else shown)
    return json_response(json.dumps({"@odata.context": f"{call.base}$metadata#{context}", "value": value}))


def _check_options(call: Call, known: tuple[str, ...]) -> None:
    for name in call.options:
        if name.startswith("$") and name not in known:
            raise errors.bad_query(f"The query parameter '{name}' is not supported.")


def _chosen(properties: Properties, select: str | None) -> Properties:
    if not select:
        return properties
    names = [name.strip() for name in select.split(",") if name.strip()]
    if unknown := [name for name in names if name not in properties]:
        raise errors.bad_query(f"Could not find a property named '{unknown[0]}'.")
    kept = {name: value for name, value in properties.items() if name.startswith("@") or name == "OptionSet"}
    return kept | {name: properties[name] for name in [*names, "MetadataId"] if name in properties}


def _expanded_names(text: str) -> list[str]:
    return [name for name, _ in _expand_parts(text)]


def _inner(text: str, wanted: str) -> str | None:
    """Return the $select inside one part of an $expand."""
    for name, options in _expand_parts(text):
        if name == wanted:
            for option in options.split(";"):
                if option.strip().startswith("$select="):
                    return option.strip().removeprefix("$select=")
    return None


def _expand_parts(text: str) -> list[tuple[str, str]]:
    found = []
    position = 0
    while position < len(text):
        match = EXPAND.match(text, position)
        if match is None or match.end() == position:
            raise errors.bad_query(f"Syntax error in $expand={text}.")
        found.append((match[1], match[2] or ""))
        position = match.end()
    return found


def _expanded(call: Call, table: Table) -> Properties:
    organization = call.organization
    catalog = organization.catalog
    text = call.options.get("$expand", "")
    shown: Properties = {}
    for name, options in _expand_parts(text):
        if name == "Attributes":
            listed = [describe.column(organization, table, column) for column in table.columns.values()]
        elif name == "Keys":
            listed = [describe.key(organization, table, key) for key in table.keys.values()]
        elif name in ("ManyToOneRelationships", "OneToManyRelationships"):
            ends = catalog.navigations if name == "ManyToOneRelationships" else catalog.collections
            listed = [describe.relationship(organization, one) for one in ends(table.logical_name).values()]
        elif name == "ManyToManyRelationships":
            listed = []
        else:
            raise errors.bad_query(f"Could not find a property named '{name}' on type 'EntityMetadata'.")
        shown[name] = _within(listed, options)
    return shown


def _within(listed: list[Properties], options: str) -> list[Properties]:
    """Apply the $select and $filter inside an $expand."""
    for option in filter(None, (part.strip() for part in options.split(";"))):
        name, _, text = option.partition("=")
        if name == "$filter":
            tree = filters.parse(text)
            listed = [properties for properties in listed if filters.matches(tree, properties)]
        elif name == "$select":
            common = {item.strip() for item in text.split(",")}
            if listed and "AttributeType" in listed[0] and (derived := common - describe.COMMON):
                raise errors.bad_query(f"Could not find a property named '{min(derived)}' on type 'AttributeMetadata'.")
            listed = [_chosen(properties, text) for properties in listed]
        else:
            raise errors.bad_query(f"The option '{name}' is not supported in $expand.")
    return listed
