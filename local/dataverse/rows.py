"""Requests on rows: entity sets, single rows, their properties, and references between them."""

from __future__ import annotations

from json.encoder import encode_basestring
from typing import Any

from local.dataverse import access, bulk, errors, expansions, paths, payload, query, values, writes
from local.dataverse.call import Call, json_response, no_content
from local.dataverse.metadata import LOOKUPS, MANY_TARGETS, Relationship, Table
from local.dataverse.paths import Segment
from local.dataverse.privileges import READ
from local.dataverse.storage import quoted, type_column
from local.dataverse.targets import PREFIX
from local.dataverse.wire import Response


def answer(call: Call, table: Table, path: list[Segment]) -> Response:
    """Answer a request on an entity set or something in it. Raises DataverseError."""
    call.table = table.logical_name
    first, rest = path[0], path[1:]
    if first.predicate is None:
        return _on_set(call, table, rest)
    if not rest:
        return _on_row(call, table, first.predicate)
    row_id = paths.row_id(call.organization, table, first.predicate)
    return _inside_row(call, table, row_id, rest)


def _on_set(call: Call, table: Table, rest: list[Segment]) -> Response:
    if rest:
        name = rest[0].name.removeprefix(PREFIX)
        if name in bulk.ACTIONS and len(rest) == 1:
            return _bulk(call, table, name)
        if name == "$count" and call.method == "GET":
            call.kind = "query"
            where, arguments = query.condition(call, table)
            total = query.count(call, table, where, arguments)
            return Response(200, str(total).encode(), [("OData-Version", "4.0")], "text/plain")
        raise errors.unknown_segment(rest[0].name)
    if call.method == "GET":
        call.kind = "query"
        return query.many(call, table)
    if call.method == "POST":
        return _create(call, table)
    raise errors.method_not_allowed(call.method)


def _bulk(call: Call, table: Table, action: str) -> Response:
    call.kind = action
    if call.method != "POST":
        raise errors.method_not_allowed(call.method)
    body = bulk.run(call.organization, table, action, call.body, call.base)
    return no_content() if body is None else json_response(body)


def _create(call: Call, table: Table) -> Response:
    call.kind = "create"
    body = payload.parse_object(call.body, table.set_name)
    record = payload.read(call.organization, table, body)
    with call.organization.transaction():
        row_id = writes.insert(call.organization, table, [record])[0]
        return _written(call, table, row_id, created=True)


def _written(call: Call, table: Table, row_id: str, *, created: bool) -> Response:
    address = ("OData-EntityId", f"{call.base}{table.set_name}({row_id})")
    if call.preference("return") == "representation":
        applied = ("Preference-Applied", "return=representation")
        shown = _read(call, table, row_id)
        shown.status = 201 if created else 200
        shown.headers += [address, applied]
        return shown
    return no_content((address,))


def _on_row(call: Call, table: Table, predicate: str) -> Response:
    if call.method == "GET":
        call.kind = "read"
        query.check_options(call)
        return _read(call, table, paths.row_id(call.organization, table, predicate))
    if call.method == "PATCH":
        return _upsert(call, table, predicate)
    if call.method == "DELETE":
        return _delete(call, table, paths.row_id(call.organization, table, predicate))
    raise errors.method_not_allowed(call.method)


def _read(call: Call, table: Table, row_id: str) -> Response:
    _may_read(call, table, row_id)
    shown = query.renderer(call, table)
    sql = f"SELECT {shown.select} FROM {quoted(table.logical_name)} WHERE {quoted(table.primary_id)} = ?"
    row = call.organization.store.connection.execute(sql, (row_id,)).fetchone()
    if row is None:
        raise errors.does_not_exist(table.logical_name, row_id)
    if call.method == "GET" and call.headers.get("if-none-match") == etag(row[0]):
        return Response(304)
    members = [f'"@odata.context":{encode_basestring(query.context(call, table) + "/$entity")}']
    members += [expansions.shown(call, table, inner, row_id) for inner in query.expanded(call, table)]
    return json_response(shown.row(row, ",".join(members)), headers=(("ETag", etag(row[0])),))


def _may_read(call: Call, table: Table, *row_ids: str) -> None:
    access.require(call.organization, table, READ)
    access.require_rows(call.organization, table, READ, row_ids)


def etag(version: int) -> str:
    """Return a rowversion as an etag."""
    return f'W/"{version}"'


def _version(call: Call, table: Table, row_id: str) -> int | None:
    sql = f"SELECT versionnumber FROM {quoted(table.logical_name)} WHERE {quoted(table.primary_id)} = ?"
    row = call.organization.store.connection.execute(sql, (row_id,)).fetchone()
    return row[0] if row else None


def _check_version(call: Call, version: int | None) -> bool:
    """Apply If-Match and If-None-Match to a row's version (None: no such row). Return whether it must exist."""
    wanted = call.headers.get("if-match")
    if call.headers.get("if-none-match") == "*" and version is not None:
        raise errors.already_exists()
    if wanted is None or wanted == "null":
        return False
    if version is not None and wanted not in ("*", etag(version)):
        raise errors.version_mismatch()
    return True


def _upsert(call: Call, table: Table, predicate: str) -> Response:
    call.kind = "upsert"
    body = payload.parse_object(call.body, table.set_name)
    if call.headers.get("if-match") in (None, "null") and call.headers.get("if-none-match") != "*":
        bulk.may_upsert(call.organization, table)
    with call.organization.transaction():
        record = bulk.by_key(call.organization, table, predicate, body)
        version = _version(call, table, record.id) if record.id else None
        must_exist = _check_version(call, version)
        if version is None:
            if must_exist:
                if record.id is None:
                    raise errors.key_not_found(table.logical_name)
                raise errors.does_not_exist(table.logical_name, record.id)
            row_id = writes.insert(call.organization, table, [record])[0]
        else:
            writes.update(call.organization, table, [record])
            row_id = str(record.id)
        return _written(call, table, row_id, created=version is None)


def _delete(call: Call, table: Table, row_id: str) -> Response:
    call.kind = "delete"
    with call.organization.transaction():
        version = _version(call, table, row_id)
        if version is None:
            raise errors.does_not_exist(table.logical_name, row_id)
        _check_version(call, version)
        writes.delete(call.organization, table, {row_id})
    return no_content()


def _inside_row(call: Call, table: Table, row_id: str, rest: list[Segment]) -> Response:
    name = rest[0].name
    catalog = call.organization.catalog
    navigation = catalog.navigations(table.logical_name).get(name)
    collection = catalog.collections(table.logical_name).get(name)
    if _version(call, table, row_id) is None:
        raise errors.does_not_exist(table.logical_name, row_id)
    if navigation is not None:
        return _navigation(call, table, row_id, navigation, rest)
    if collection is not None:
        return _collection(call, row_id, collection, rest)
    if name in table.properties and len(rest) == 1:
        return _property(call, table, row_id, name)
    raise errors.unknown_segment(name)


def _navigation(call: Call, table: Table, row_id: str, relationship: Relationship, rest: list[Segment]) -> Response:
    """Answer on a lookup: GET the related row, PUT or DELETE its reference."""
    if len(rest) == 2 and rest[1].name == "$ref" and call.method in ("PUT", "DELETE"):
        call.kind = "reference"
        target = _referenced(call) if call.method == "PUT" else None
        return _bind(call, table, row_id, relationship, target)
    if call.method != "GET" or len(rest) > 2 or (len(rest) == 2 and rest[1].name != "$ref"):
        raise errors.method_not_allowed(call.method)
    call.kind = "read"
    _may_read(call, table, row_id)
    sql = f"SELECT {quoted(relationship.column)} FROM {quoted(table.logical_name)} WHERE {quoted(table.primary_id)} = ?"
    found = call.organization.store.connection.execute(sql, (row_id,)).fetchone()[0]
    if found is None:
        return no_content()
    target_table = call.organization.catalog.tables[relationship.referenced]
    if len(rest) == 2:
        address = encode_basestring(f"{call.base}{target_table.set_name}({found})")
        return json_response(f'{{"@odata.context":"{call.base}$metadata#$ref","@odata.id":{address}}}')
    return _read(call, target_table, found)


def _collection(call: Call, row_id: str, relationship: Relationship, rest: list[Segment]) -> Response:
    """Answer on the rows that name a row: GET them, POST or DELETE a reference."""
    child = call.organization.catalog.tables[relationship.referencing]
    if len(rest) == 1 and rest[0].predicate is None and call.method == "GET":
        call.kind = "query"
        return query.many(call, child, (f"{quoted(relationship.column)} = ?", [row_id]))
    if len(rest) != 2 or rest[1].name != "$ref":
        raise errors.method_not_allowed(call.method)
    call.kind = "reference"
    parent = call.organization.catalog.tables[relationship.referenced]
    if call.method == "POST":
        table, child_id = _referenced(call)
        if table is not child:
            raise errors.invalid_argument(f"'{relationship.collection}' has rows of '{child.logical_name}'.")
        return _bind(call, child, child_id, relationship, (parent, row_id))
    if call.method == "DELETE" and rest[0].predicate is not None:
        child_id = paths.row_id(call.organization, child, rest[0].predicate)
        return _bind(call, child, child_id, relationship, None)
    raise errors.method_not_allowed(call.method)


def _referenced(call: Call) -> tuple[Table, str]:
    return paths.reference(call.organization, payload.parse_object(call.body, "$ref").get("@odata.id"))


def _bind(
    call: Call, table: Table, row_id: str, relationship: Relationship, target: tuple[Table, str] | None
) -> Response:
    value = None if target is None else f"{target[0].set_name}({target[1]})"
    record = payload.read(call.organization, table, {f"{relationship.navigation}{payload.BIND}": value})
    record.id = row_id
    with call.organization.transaction():
        if _version(call, table, row_id) is None:
            raise errors.does_not_exist(table.logical_name, row_id)
        writes.update(call.organization, table, [record])
    return no_content()


def _property(call: Call, table: Table, row_id: str, name: str) -> Response:
    """Answer on one property: GET its value, PUT another one, DELETE it."""
    column = table.properties[name]
    if call.method == "GET":
        call.kind = "read"
        _may_read(call, table, row_id)
        key = quoted(table.primary_id)
        sql = f"SELECT {quoted(column.logical_name)} FROM {quoted(table.logical_name)} WHERE {key} = ?"
        found = call.organization.store.connection.execute(sql, (row_id,)).fetchone()[0]
        if found is None:
            return no_content()
        context = encode_basestring(f"{call.base}$metadata#{table.set_name}({row_id})/{name}")
        return json_response(f'{{"@odata.context":{context},"value":{values.writer(column)(found)}}}')
    call.kind = "update"
    if call.method == "DELETE" and column.kind in LOOKUPS:
        return _clear(call, table, row_id, column.logical_name)
    if call.method not in ("PUT", "DELETE"):
        raise errors.method_not_allowed(call.method)
    body: dict[str, Any] = {}
    if call.method == "PUT":
        body = payload.parse_object(call.body, table.set_name)
    record = payload.read(call.organization, table, {name: body.get("value")})
    record.id = row_id
    with call.organization.transaction():
        writes.update(call.organization, table, [record])
    return no_content()


def _clear(call: Call, table: Table, row_id: str, lookup: str) -> Response:
    changes = [f"{quoted(lookup)} = NULL", "modifiedon = ?", "versionnumber = ?"]
    if table.columns[lookup].kind == MANY_TARGETS:
        changes.append(f"{quoted(type_column(lookup))} = NULL")
    sql = f"UPDATE {quoted(table.logical_name)} SET {', '.join(changes)} WHERE {quoted(table.primary_id)} = ?"
    organization = call.organization
    target = {name: {None} for name in table.columns[lookup].targets}
    with organization.transaction():
        access.may_update(organization, table, [row_id], target)
        organization.store.write(sql, [(writes.now(), organization.store.next_version(), row_id)])
        organization.statistics.rows(table.logical_name, "updated", 1)
        organization.statistics.columns(table.logical_name, "updated", (lookup,), 1)
    return no_content()
