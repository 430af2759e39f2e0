"""A JSON body becomes a record: which properties a table takes, and what they mean.

Bodies come in large numbers with the same property names, so what a set of names means is worked out once (a *shape*),
and the bodies of a bulk call are read column by column (screens.py).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import repeat
from operator import itemgetter
from typing import Any

import msgspec

from local.dataverse import paths, screens, values
from local.dataverse.errors import (
    DataverseError,
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
JSON = msgspec.json.Decoder(float_hook=Decimal)  # reads half again as fast as json, and as strictly
IDS = screens.Screen(screens.TEXTS, screens.guids)

Pick = Callable[[Sequence[Any]], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Field:
    """A property that holds a value: how one value is read, and how those of many rows are."""

    name: str
    read: values.Reader
    screen: screens.Screen


@dataclass(frozen=True, slots=True)
class Bind:
    """A lookup in a body: the property, its relationship, and where its value stands among a record's values."""

    name: str
    relationship: Relationship
    set_name: str
    position: int
    typed: bool
    screen: screens.Screen


@dataclass(slots=True)
class Shape:
    """What a set of property names means for a table.

    `names` are the SQL columns of a record's values; `created` and `updated` pick the values that may be written.
    """

    table: Table
    fields: list[Field]
    binds: list[Bind]
    names: list[str]
    created: Pick = field(init=False)
    updated: Pick = field(init=False)
    insert_sql: str = field(init=False)
    update_sql: str = field(init=False)
    created_columns: tuple[str, ...] = field(init=False)
    updated_columns: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        known, names = self.table.columns, self.names
        creates = [i for i, name in enumerate(names) if name not in known or known[name].valid_for_create]
        updates = [i for i, name in enumerate(names) if name not in known or known[name].valid_for_update]
        self.created, self.updated = _pick(creates, len(names)), _pick(updates, len(names))
        self.created_columns = tuple(sorted(names[i] for i in creates if names[i] in known))
        self.updated_columns = tuple(sorted(names[i] for i in updates if names[i] in known))
        table, key = quoted(self.table.logical_name), quoted(self.table.primary_id)
        columns = [key, "createdon", "modifiedon", "versionnumber", OWNER, *(quoted(names[i]) for i in creates)]
        self.insert_sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        changes = ["modifiedon = ?", "versionnumber = ?", *(f"{quoted(names[i])} = ?" for i in updates)]
        self.update_sql = f"UPDATE {table} SET {', '.join(changes)} WHERE {key} = ?"


def _pick(positions: list[int], count: int) -> Pick:
    """Return the function that picks the values at these positions; values at the others are ignored silently."""
    if len(positions) == count:
        return lambda found: found
    if len(positions) < 2:
        return lambda found: [found[i] for i in positions]
    return itemgetter(*positions)


@dataclass(slots=True)
class Record:
    """One row to be written. `id` is None as long as it is not known."""

    id: str | None
    shape: Shape
    values: Sequence[Any]


def parse(body: bytes, set_name: str) -> Any:
    """Return the JSON of a body; numbers with a point stay exact. Raises DataverseError."""
    try:
        return JSON.decode(body.removeprefix(codecs.BOM_UTF8))
    except (ValueError, ArithmeticError, RecursionError) as error:
        reason = f"Microsoft.OData.ODataException: the body is not valid JSON: {error}"
        raise bad_payload(set_name, reason) from None


def parse_object(body: bytes, set_name: str) -> dict[str, Any]:
    """Return the JSON object of a body. Raises DataverseError."""
    found = parse(body, set_name)
    if not isinstance(found, dict):
        reason = "Microsoft.OData.ODataException: a JSON object is expected."
        raise bad_payload(set_name, reason)
    return found


def read(organization: Organization, table: Table, body: dict[str, Any]) -> Record:
    """Return the record of a body. Raises DataverseError for anything the table does not take."""
    shape = _shape_of(organization, table, tuple(body), body)
    found: list[Any] = []
    for one in shape.fields:
        value = body[one.name]
        found.append(None if value is None else one.read(value))
    for bind in shape.binds:
        target = _target(organization, table, bind, body[bind.name])
        found.append(target)
        if bind.typed:
            found.append(None if target is None else bind.relationship.referenced)
    row_id = _row_id(table, body[table.primary_id]) if table.primary_id in body else None
    return Record(row_id, shape, found)


def read_all(organization: Organization, table: Table, bodies: list[dict[str, Any]]) -> list[Record]:
    """Return the records of many bodies, each as `read` returns it. Raises DataverseError for the first at fault."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for position, body in enumerate(bodies):
        groups.setdefault(tuple(body), []).append(position)
    found: list[Record | None] = [None] * len(bodies)
    try:
        for names, positions in groups.items():
            group = [bodies[position] for position in positions]
            shape = _shape_of(organization, table, names, group[0])
            given = dict(zip(names, zip(*(body.values() for body in group), strict=True), strict=bool(names)))
            for position, record in zip(positions, by_columns(organization, shape, given, len(group)), strict=True):
                found[position] = record
    except DataverseError:
        # Something is at fault; which row is the first one shows when they are read in their order.
        return [read(organization, table, body) for body in bodies]
    return [record for record in found if record is not None]


Columns = dict[str, tuple[Any, ...]]


def by_columns(organization: Organization, shape: Shape, given: Columns, count: int) -> list[Record]:
    """Return the records of so many bodies of one shape. Raises DataverseError when any of them is at fault."""
    table = shape.table
    columns: list[Sequence[Any]] = []
    for one in shape.fields:
        column = one.screen.stored(given[one.name])
        columns.append([None if v is None else one.read(v) for v in given[one.name]] if column is None else column)
    for bind in shape.binds:
        column = bind.screen.stored(given[bind.name])
        if column is None:
            column = [_target(organization, table, bind, value) for value in given[bind.name]]
        columns.append(column)
        if bind.typed:
            columns.append([None if target is None else bind.relationship.referenced for target in column])
    rows = zip(*columns, strict=True) if columns else repeat((), count)
    ids = _row_ids(table, given[table.primary_id]) if table.primary_id in given else repeat(None, count)
    return [Record(row_id, shape, row) for row_id, row in zip(ids, rows, strict=True)]


def _row_ids(table: Table, given: Sequence[Any]) -> Sequence[str]:
    stored = IDS.stored(given)
    return [_row_id(table, value) for value in given] if stored is None or None in stored else stored


def _row_id(table: Table, value: Any) -> str:
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


def _shape_of(organization: Organization, table: Table, names: tuple[str, ...], body: dict[str, Any]) -> Shape:
    found: Shape | None = table.shapes.get(names)
    if found is None:
        found = table.shapes[names] = _shape(organization, table, body)
    return found


def _shape(organization: Organization, table: Table, body: dict[str, Any]) -> Shape:
    fields: list[Field] = []
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
            fields.append(_field(organization, table, name, value))
    binds = _binds(organization, table, len(fields), relationships)
    names = [one.name for one in fields]
    for bind in binds:
        column = bind.relationship.column
        names += [column, type_column(column)] if bind.typed else [column]
    return Shape(table, fields, binds, names)


def _check_annotation(table: Table, name: str, declared: Iterable[str]) -> None:
    annotated = name.partition("@")[0]
    if annotated and annotated not in table.properties and annotated not in declared:
        raise undeclared_navigation(table.set_name, annotated)


def _field(organization: Organization, table: Table, name: str, value: Any) -> Field:
    column = table.properties.get(name)
    if column is not None and column.kind not in LOOKUPS:
        return Field(name, values.reader(table, column), screens.of(column))
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
        screen = screens.references(target.set_name)
        found.append(Bind(name, relationship, target.set_name, position, typed, screen))
        position += 2 if typed else 1
    return found
