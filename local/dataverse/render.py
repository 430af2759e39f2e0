"""Rows as JSON text, column by column: decimals keep their digits, which a float would not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from json.encoder import encode_basestring
from typing import Any

from local.dataverse import formatted, values
from local.dataverse.metadata import LOOKUPS, MANY_TARGETS, Catalog, Column, Table
from local.dataverse.storage import quoted, type_column

LOOKUP_NAME = "@Microsoft.Dynamics.CRM.lookuplogicalname"
NAVIGATION = "@Microsoft.Dynamics.CRM.associatednavigationproperty"


class Notes:
    """Which annotations a request asks for by `odata.include-annotations`, and the catalog that they come from."""

    def __init__(self, catalog: Catalog, wanted: str) -> None:
        self.catalog = catalog
        self._wanted = [one.strip() for one in wanted.split(",")]
        self.formatted = self.asks(formatted.ANNOTATION)
        self.navigation = self.asks(NAVIGATION)
        self.lookup_name = self.asks(LOOKUP_NAME)

    def asks(self, annotation: str) -> bool:
        """Say whether one of the patterns names an annotation; one behind a minus takes it out again."""
        name = annotation.removeprefix("@")
        if any(one[:1] == "-" and fnmatchcase(name, one[1:]) for one in self._wanted):
            return False
        return any(fnmatchcase(name, one) for one in self._wanted)


class Renderer:
    """Shows rows of a table: chosen columns, with etags and on request with annotations.

    `select` is the SQL list of the columns in the order that `row` expects. `source` is the SQL name of the table
    where it has another one than its own.
    """

    def __init__(
        self,
        table: Table,
        columns: Iterable[Column],
        *,
        etag: bool = True,
        notes: Notes | None = None,
        source: str = "",
    ) -> None:
        self.columns = list(columns)
        self._etag = etag
        self._names = [encode_basestring(column.property_name) + ":" for column in self.columns]
        self._writers = [values.writer(column) for column in self.columns]
        self._notes = _annotated(table, self.columns, notes, source) if notes else []
        before = source + "." if source else ""
        fields = [
            before + name for name in ("versionnumber", *(quoted(column.logical_name) for column in self.columns))
        ]
        for note in self._notes:
            note.start = len(fields)
            fields += note.fields
        self.select = ", ".join(fields)

    def row(self, row: Sequence[Any], first: str = "") -> str:
        """Return one row as a JSON object; `first` is put before its members."""
        members = [first] if first else []
        if self._etag:
            members.append(f'"@odata.etag":"W/\\"{row[0]}\\""')
        for name, write, value in zip(self._names, self._writers, row[1:], strict=False):
            members.append(name + ("null" if value is None else write(value)))
        for note in self._notes:
            value = row[note.position + 1]
            if value is not None:
                members += note.members(value, row[note.start : note.start + len(note.fields)])
        return "{" + ",".join(members) + "}"


class _Note:
    """The annotations of one column. `fields` are the SQL expressions that it needs, `start` where they begin."""

    def __init__(self, position: int, fields: list[str], members: Callable[[Any, Sequence[Any]], list[str]]) -> None:
        self.position = position
        self.fields = fields
        self.start = 0
        self.members = members


def _annotated(table: Table, columns: list[Column], notes: Notes, source: str) -> list[_Note]:
    found = []
    for position, column in enumerate(columns):
        if column.kind in LOOKUPS:
            found.append(_lookup(table, column, notes, position, source))
        elif notes.formatted and (show := formatted.formatter(column)):
            found.append(_Note(position, [], _formatted(column, show)))
    return found


def _formatted(column: Column, show: Callable[[Any], str]) -> Callable[[Any, Sequence[Any]], list[str]]:
    name = f'"{column.property_name}{formatted.ANNOTATION}":'
    return lambda value, _: [name + encode_basestring(show(value))]


def _lookup(table: Table, column: Column, notes: Notes, position: int, source: str) -> _Note:
    """Return the annotations of a lookup: the target's table, the navigation property, and the target's name."""
    outer = source or quoted(table.logical_name)
    kind = f"{outer}.{quoted(type_column(column.logical_name))}" if column.kind == MANY_TARGETS else None
    navigations = {
        relationship.referenced: relationship.navigation
        for relationship in notes.catalog.navigations(table.logical_name).values()
        if relationship.column == column.logical_name
    }
    value = f"{outer}.{quoted(column.logical_name)}"
    fields = [kind or f"'{column.targets[0]}'"]
    if notes.formatted:
        fields.append(f"coalesce({', '.join(_titles(notes.catalog, column, value))}, NULL)")

    def members(_: Any, extra: Sequence[Any]) -> list[str]:
        name, shown = column.property_name, []
        if notes.navigation and extra[0] in navigations:
            shown.append(f'"{name}{NAVIGATION}":{encode_basestring(navigations[extra[0]])}')
        if notes.lookup_name:
            shown.append(f'"{name}{LOOKUP_NAME}":"{extra[0]}"')
        if notes.formatted and extra[1] is not None:
            shown.append(f'"{name}{formatted.ANNOTATION}":{encode_basestring(extra[1])}')
        return shown

    return _Note(position, fields, members)


def _titles(catalog: Catalog, column: Column, value: str) -> list[str]:
    """Return SQL for the primary name of what a lookup names, one for each table that it may be in."""
    found = []
    for name in column.targets:
        target = catalog.tables[name]
        if target.primary_name:
            title, inner = quoted(target.primary_name), quoted(name)
            found.append(f"(SELECT t.{title} FROM {inner} AS t WHERE t.{quoted(target.primary_id)} = {value})")
    return found or ["NULL"]
