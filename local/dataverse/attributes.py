"""Requests on a table's columns and alternate keys."""

from __future__ import annotations

from local.dataverse import columns, describe, errors, paths, payload, schema, selection, solutions
from local.dataverse.call import Call, no_content
from local.dataverse.metadata import Column, Key, Table
from local.dataverse.organization import Organization
from local.dataverse.paths import Segment
from local.dataverse.selection import Properties
from local.dataverse.wire import Response

KEY_INDEX_SECONDS = 0.5


def answer(call: Call, table: Table, path: list[Segment]) -> Response:
    """Answer on Attributes, one of them, either with a cast to a type."""
    organization, cast = call.organization, _cast(path)
    if path[0].predicate is not None:
        return _attribute(call, table, _find_column(organization, table, path[0].predicate), path)
    if call.method == "POST":
        with organization.transaction():
            column = schema.create_column(organization, table, payload.parse_object(call.body, "Attributes"))
            solutions.note_column(call, table, column)
        return selection.made(call, _address(organization, table, "Attributes", column.logical_name))
    if call.method != "GET":
        raise errors.method_not_allowed(call.method)
    found = [column for column in table.columns.values() if cast in ("", describe.kind(column))]
    described = [_column(call, table, column, cast) for column in found]
    return selection.many(call, f"EntityDefinitions('{table.logical_name}')/Attributes", described)


def _cast(path: list[Segment]) -> str:
    """Return the type that a path casts to, "" when it does not. Raises DataverseError for what it cannot be."""
    if len(path) == 1:
        return ""
    name = path[1].name.removeprefix(columns.PREFIX)
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
    for name in selection.expanded_names(call.options.get("$expand", "")):
        if name == "OptionSet" and cast and column.kind in ("Picklist", "State", "Status", "Boolean"):
            described["OptionSet"] = selection.chosen(
                describe.option_set(call.organization, table, column),
                selection.inner_select(call.options["$expand"], "OptionSet"),
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
            return selection.one(call, context + "/OptionSet", describe.option_set(organization, table, column))
        if cast and cast != describe.kind(column):
            raise errors.unknown_segment(cast)
        return selection.one(call, context, _column(call, table, column, cast))
    fixed = column.logical_name in (table.primary_id, table.primary_name) or describe.file_of(table, column)
    if not column.is_custom or fixed:
        raise errors.invalid_argument(f"'{column.logical_name}' cannot be changed.")
    if call.method == "PUT":
        schema.update_column(organization, table, column, payload.parse_object(call.body, "Attributes"))
        return no_content()
    if call.method == "DELETE":
        return drop_column(call, table, column)
    raise errors.method_not_allowed(call.method)


def drop_column(call: Call, table: Table, column: Column) -> Response:
    """Delete a column; a lookup goes with its relationships."""
    catalog, store = call.organization.catalog, call.organization.store
    if any(column.logical_name in key.columns for key in table.keys.values()):
        message = f"The component '{column.logical_name}' cannot be deleted because it is referenced by others."
        raise errors.DataverseError(400, "0x8004f01f", message)
    organization = call.organization
    gone = [describe.metadata_id(organization, table.logical_name, column.logical_name)]
    with organization.transaction():
        for companion in columns.companions(column):
            drop_column(call, table, companion)
        organization.catalog_changed = True
        for relationship in list(catalog.navigations(table.logical_name).values()):
            if relationship.column == column.logical_name:
                gone.append(describe.metadata_id(organization, "relationship", relationship.schema_name.lower()))
                catalog.drop_relationship(relationship)
        solutions.forget(organization, gone)
        store.drop_column(table, column)
        table.drop(column.logical_name)
        catalog.retire(table.logical_name, column.logical_name)
    return no_content()


def _find_column(organization: Organization, table: Table, predicate: str) -> Column:
    wanted = paths.pairs(predicate)
    for column in table.columns.values():
        identity = describe.metadata_id(organization, table.logical_name, column.logical_name)
        if selection.named(wanted, column.logical_name, identity):
            return column
    name = next(iter(wanted.values()))
    message = f"Could not find attribute '{name}' of entity '{table.logical_name}'."
    raise errors.DataverseError(404, "0x80060888", message)


def answer_keys(call: Call, table: Table, path: list[Segment]) -> Response:
    """Answer on Keys or one of them."""
    organization = call.organization
    context = f"EntityDefinitions('{table.logical_name}')/Keys"
    if path[0].predicate is not None:
        return _key(call, table, _find_key(organization, table, path[0].predicate))
    if call.method == "POST":
        body = payload.parse_object(call.body, "Keys")
        made = schema.create_key(organization, table, body, KEY_INDEX_SECONDS)
        return selection.made(call, _address(organization, table, "Keys", made.logical_name))
    if call.method != "GET":
        raise errors.method_not_allowed(call.method)
    return selection.many(call, context, [describe.key(organization, table, key) for key in table.keys.values()])


def _find_key(organization: Organization, table: Table, predicate: str) -> Key:
    wanted = paths.pairs(predicate)
    for key in table.keys.values():
        if selection.named(
            wanted, key.logical_name, describe.metadata_id(organization, table.logical_name, "key", key.logical_name)
        ):
            return key
    message = f"Could not find a key '{predicate}' of entity '{table.logical_name}'."
    raise errors.DataverseError(404, "0x80060888", message)


def _key(call: Call, table: Table, key: Key) -> Response:
    if call.method == "GET":
        described = describe.key(call.organization, table, key)
        return selection.one(call, f"EntityDefinitions('{table.logical_name}')/Keys", described)
    if call.method != "DELETE":
        raise errors.method_not_allowed(call.method)
    with call.organization.transaction():
        call.organization.catalog_changed = True
        call.organization.store.drop_key(table, key)
        del table.keys[key.logical_name]
        call.organization.catalog.retire(table.logical_name, "key", key.logical_name)
    return no_content()


def _address(organization: Organization, table: Table, part: str, name: str) -> str:
    of = describe.metadata_id(organization, table.logical_name)
    names = (table.logical_name, "key", name) if part == "Keys" else (table.logical_name, name)
    return f"EntityDefinitions({of})/{part}({describe.metadata_id(organization, *names)})"
