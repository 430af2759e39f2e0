"""$select, $filter and $expand of metadata, and the forms of answers about it."""

from __future__ import annotations

import json
import re
from typing import Any

from local.dataverse import describe, errors, filters
from local.dataverse.call import Call, json_response, no_content
from local.dataverse.metadata import Table
from local.dataverse.wire import Response

EXPAND = re.compile(r"\s*(\w+)(?:\(([^()]*(?:\([^()]*\)[^()]*)*)\))?\s*(?:,|$)")
Properties = dict[str, Any]


def named(wanted: dict[str, str], logical_name: str, identity: str) -> bool:
    """Say whether a key in a path means something of this name or MetadataId."""
    return (
        wanted.get("LogicalName") == logical_name
        or wanted.get("SchemaName") == logical_name
        or (wanted.get("MetadataId") or wanted.get("") or "-").lower() == identity
    )


def made(call: Call, address: str) -> Response:
    """Return the answer to a definition that was created."""
    return no_content((("OData-EntityId", call.base + address),))


def one(call: Call, context: str, described: Properties, table: Table | None = None) -> Response:
    """Return the answer with one definition."""
    _check_options(call, ("$select", "$expand"))
    shown = chosen(described, call.options.get("$select"))
    if table is not None:
        shown |= _expanded(call, table)
    return json_response(json.dumps({"@odata.context": f"{call.base}$metadata#{context}/$entity", **shown}))


def many(call: Call, context: str, described: list[Properties], tables: list[Table] | None = None) -> Response:
    """Return the answer with those definitions that pass the $filter; `tables` for what $expand shows of them."""
    _check_options(call, ("$select", "$expand", "$filter"))
    filter_text = call.options.get("$filter")
    tree = filters.parse(filter_text) if filter_text else None
    value = []
    for position, properties in enumerate(described):
        if tree is None or filters.matches(tree, properties):
            shown = chosen(properties, call.options.get("$select"))
            value.append({**shown, **_expanded(call, tables[position])} if tables else shown)
    return json_response(json.dumps({"@odata.context": f"{call.base}$metadata#{context}", "value": value}))


def _check_options(call: Call, known: tuple[str, ...]) -> None:
    for name in call.options:
        if name.startswith("$") and name not in known:
            raise errors.bad_query(f"The query parameter '{name}' is not supported.")


def chosen(properties: Properties, select: str | None) -> Properties:
    """Return the properties that a $select names."""
    if not select:
        return properties
    names = [name.strip() for name in select.split(",") if name.strip()]
    if unknown := [name for name in names if name not in properties]:
        raise errors.bad_query(f"Could not find a property named '{unknown[0]}'.")
    kept = {name: value for name, value in properties.items() if name.startswith("@") or name == "OptionSet"}
    return kept | {name: properties[name] for name in [*names, "MetadataId"] if name in properties}


def expanded_names(text: str) -> list[str]:
    """Return the names in an $expand."""
    return [name for name, _ in _expand_parts(text)]


def inner_select(text: str, wanted: str) -> str | None:
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
            pairs = catalog.intersections.values()
            touching = [one for one in pairs if table.logical_name in (one.first, one.second)]
            listed = [describe.many_to_many(organization, one) for one in touching]
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
            listed = [chosen(properties, text) for properties in listed]
        else:
            raise errors.bad_query(f"The option '{name}' is not supported in $expand.")
    return listed
