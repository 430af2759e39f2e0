"""Rows as JSON text, column by column: decimals keep their digits, which a float would not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from json.encoder import encode_basestring
from typing import Any

from local.dataverse import values
from local.dataverse.metadata import LOOKUPS, MANY_TARGETS, Catalog, Column, Table
from local.dataverse.storage import quoted, type_column

LOOKUP_NAME = "@Microsoft.Dynamics.CRM.lookuplogicalname"
NAVIGATION = "@Microsoft.Dynamics.CRM.associatednavigationproperty"


class Renderer:
    """Shows rows of a table: chosen columns, with etags and on request with the annotations of lookups.

    `select` is the SQL list of the columns in the order that `row` expects.
    """

    def __init__(
        self, table: Table, columns: Iterable[Column], *, etag: bool = True, notes: Catalog | None = None
    ) -> None:
        self.columns = list(columns)
        self._etag = etag
        self._names = [encode_basestring(column.property_name) + ":" for column in self.columns]
        self._writers = [values.writer(column) for column in self.columns]
        self._notes = [(p, column) for p, column in enumerate(self.columns) if notes and column.kind in LOOKUPS]
        self._navigations = _navigations(notes, table) if notes else {}
        fields = ["versionnumber", *(quoted(column.logical_name) for column in self.columns)]
        fields += [_type(column) for _, column in self._notes]
        self.select = ", ".join(fields)

    def row(self, row: Sequence[Any], first: str = "") -> str:
        """Return one row as a JSON object; `first` is put before its members."""
        members = [first] if first else []
        if self._etag:
            members.append(f'"@odata.etag":"W/\\"{row[0]}\\""')
        for name, write, value in zip(self._names, self._writers, row[1:], strict=False):
            members.append(name + ("null" if value is None else write(value)))
        for index, (position, column) in enumerate(self._notes):
            if row[position + 1] is not None:
                members += self._annotations(column, row[len(self.columns) + 1 + index])
        return "{" + ",".join(members) + "}"

    def _annotations(self, column: Column, target: str) -> list[str]:
        name = column.property_name
        navigation = self._navigations[column.logical_name, target]
        return [f'"{name}{NAVIGATION}":{encode_basestring(navigation)}', f'"{name}{LOOKUP_NAME}":"{target}"']


def _type(column: Column) -> str:
    return quoted(type_column(column.logical_name)) if column.kind == MANY_TARGETS else f"'{column.targets[0]}'"


def _navigations(catalog: Catalog, table: Table) -> dict[tuple[str, str], str]:
    found = catalog.navigations(table.logical_name).values()
    return {(relationship.column, relationship.referenced): relationship.navigation for relationship in found}
