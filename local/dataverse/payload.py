"""A JSON body becomes a record: which properties a table takes, and what they mean.

Bodies come in large numbers with the same property names, so what a set of names means is worked out once (a *shape*).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from local.dataverse import paths, values
from local.dataverse.errors import (
    bad_payload,
    direct_lookup,
    not_supported,
    undeclared_navigation,
    undeclared_property,
    wrong_type,
)
from local.dataverse.metadata import LOOKUPS, MANY_TARGETS, Relationship, Table
from local.dataverse.organization import Organization
from local.dataverse.storage import OWNER, quoted, type_column

BIND = "@odata.bind"
SIMPLE = re.compile(rf"/?([a-z0-9_]+)\(({values.GUID.pattern})\)")


@dataclass(frozen=True, slots=True)
class Bind:
    """A lookup in a body: the property, its relationship, and where its value stands among a record's values."""

    name: str
    relationship: Relationship
    set_name: str
    position: int
    typed: bool


@dataclass(slots=True)
class Shape:
    """What a set of property names means for a table. `creates` and `updates` pick the values that may be written."""

    table: Table
    readers: list[tuple[str, values.Reader]]
    binds: list[Bind]
    names: list[str]
    creates: list[int]
    updates: list[int]
    insert_sql: str = ""
    update_sql: str = ""
    created_columns: tuple[str, ...] = ()
    updated_columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = self.table.columns
        self.created_columns = tuple(sorted(self.names[i] for i in self.creates if self.names[i] in known))
        self.updated_columns = tuple(sorted(self.names[i] for i in self.updates if self.names[i] in known))
        table, key = quoted(self.table.logical_name), quoted(self.table.primary_id)
        created = [quoted(self.names[i]) for i in self.creates]
        fields = [key, "createdon", "modifiedon", "versionnumber", OWNER, *created]
        self.insert_sql = f"INSERT INTO {table} ({', '.join(fields)}) VALUES ({', '.join('?' * len(fields))})"
        changes = ["modifiedon = ?", "versionnumber = ?", *(f"{quoted(self.names[i])} = ?" for i in self.updates)]
        self.update_sql = f"UPDATE {table} SET {', '.join(changes)} WHERE {key} = ?"


@dataclass(slots=True)
class Record:
    """One row to be written. `id` is None as long as it is not known."""

    id: str | None
    shape: Shape
    values: list[Any]


def parse(body: bytes, set_name: str) -> Any:
    """Return the JSON of a body; numbers with a point stay exact. Raises DataverseError."""
    try:
        return json.loads(body.decode("utf-8-sig"), parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = f"Microsoft.OData.ODataException: the body is not valid JSON: {error}"
        raise bad_payload(set_name, reason) from None


def _no_constant(name: str) -> None:
    message = f"{name} is not a number of JSON"
    raise ValueError(message)


def parse_object(body: bytes, set_name: str) -> dict[str, Any]:
    """Return the JSON object of a body. Raises DataverseError."""
    found = parse(body, set_name)
    if not isinstance(found, dict):
        reason = "Microsoft.OData.ODataException: a JSON object is expected."
        raise bad_payload(set_name, reason)
    return found


def read(organization: Organization, table: Table, body: dict[str, Any]) -> Record:
    """Return the record of a body. Raises DataverseError for anything the table does not take."""
    names = tuple(body)
    shape = table.shapes.get(names)
    if shape is None:
        shape = table.shapes[names] = _shape(organization, table, body)
    found: list[Any] = []
    for name, reader in shape.readers:
        value = body[name]
        found.append(None if value is None else reader(value))
    for bind in shape.binds:
        target = _target(organization, table, bind, body[bind.name])
        found.append(target)
        if bind.typed:
            found.append(None if target is None else bind.relationship.referenced)
    return Record(_row_id(table, body), shape, found)


def _row_id(table: Table, body: dict[str, Any]) -> str | None:
    value = body.get(table.primary_id)
    if value is None:
        if table.primary_id in body:
            raise wrong_type(table.set_name, value, "Edm.Guid")
        return None
    if type(value) is not str or not values.GUID.fullmatch(value):
        raise wrong_type(table.set_name, value, "Edm.Guid")
    return value.lower()


def _target(organization: Organization, table: Table, bind: Bind, value: Any) -> str | None:
    if value is None:
        return None
    if type(value) is not str:
        raise undeclared_navigation(table.set_name, bind.relationship.navigation)
    match = SIMPLE.fullmatch(value)
    if match and match[1] == bind.set_name:
        return match[2].lower()
    target, row_id = paths.reference(organization, value)
    if target.set_name != bind.set_name:
        reason = f"'{value}' is not a row of '{bind.set_name}', which '{bind.relationship.navigation}' refers to."
        raise bad_payload(table.set_name, reason)
    return row_id


def _shape(organization: Organization, table: Table, body: dict[str, Any]) -> Shape:
    readers: list[tuple[str, values.Reader]] = []
    relationships: list[tuple[str, Relationship]] = []
    navigations = organization.catalog.navigations(table.logical_name)
    for name, value in body.items():
        if name.endswith(BIND):
            navigation = name.removesuffix(BIND)
            if navigation not in navigations:
                raise undeclared_navigation(table.set_name, navigation)
            relationships.append((name, navigations[navigation]))
        elif "@" in name:
            _check_annotation(table, name, navigations)
        elif name != table.primary_id:
            readers.append((name, _reader(organization, table, name, value)))
    binds = _binds(organization, table, len(readers), relationships)
    names = [name for name, _ in readers]
    for bind in binds:
        column = bind.relationship.column
        names += [column, type_column(column)] if bind.typed else [column]
    creates, updates = _writable(table, names)
    return Shape(table, readers, binds, names, creates, updates)


def _check_annotation(table: Table, name: str, declared: Iterable[str]) -> None:
    annotated = name.partition("@")[0]
    if annotated and annotated not in table.properties and annotated not in declared:
        raise undeclared_navigation(table.set_name, annotated)


def _reader(organization: Organization, table: Table, name: str, value: Any) -> values.Reader:
    column = table.properties.get(name)
    if column is not None and column.kind not in LOOKUPS:
        return values.reader(table, column)
    if column is not None:
        raise direct_lookup(name)
    catalog, logical_name = organization.catalog, table.logical_name
    nested = name in catalog.navigations(logical_name) or name in catalog.collections(logical_name)
    if nested and isinstance(value, dict | list):
        what = f"Deep insert (property '{name}')"
        raise not_supported(what)
    if nested or name in table.columns:
        raise direct_lookup(name)
    raise undeclared_property(table.set_name, logical_name, name)


def _binds(
    organization: Organization, table: Table, position: int, relationships: list[tuple[str, Relationship]]
) -> list[Bind]:
    found: list[Bind] = []
    for name, relationship in relationships:
        if any(bind.relationship.column == relationship.column for bind in found):
            reason = f"The lookup '{relationship.column}' is set twice."
            raise bad_payload(table.set_name, reason)
        typed = table.columns[relationship.column].kind == MANY_TARGETS
        target = organization.catalog.tables[relationship.referenced]
        found.append(Bind(name, relationship, target.set_name, position, typed))
        position += 2 if typed else 1
    return found


def _writable(table: Table, names: list[str]) -> tuple[list[int], list[int]]:
    """Return the positions of the values that a create and an update may write; the others are ignored silently."""
    creates, updates = [], []
    for position, name in enumerate(names):
        column = table.columns.get(name)
        if column is None or column.valid_for_create:
            creates.append(position)
        if column is None or column.valid_for_update:
            updates.append(position)
    return creates, updates
