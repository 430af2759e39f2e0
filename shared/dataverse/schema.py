"""Creating the tables, columns and lookups that are missing. Nothing that exists is changed, shrunk or removed.

All that is wanted is looked at first; faults are told together, before anything is created. Each step creates what was
missing, so that a crash half-way, or somebody else who creates the same at the same moment, does no harm. What was
created serves the Web API at once; publishing shows it in apps. A crash between the two leaves that to the next
publishing of these tables.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from shared.dataverse import metadata, solution
from shared.dataverse.client import Client
from shared.dataverse.creation import Creation, create, customizing
from shared.dataverse.definitions import (
    ColumnSchema,
    Kind,
    LookupSchema,
    TableSchema,
    column_body,
    lookup_body,
    publish_body,
    table_body,
)
from shared.dataverse.solution import SolutionSchema
from shared.errors import ConfigurationError

__all__ = [
    "ColumnSchema",
    "LookupSchema",
    "Schema",
    "SolutionSchema",
    "TableSchema",
    "conflicts",
    "provision",
    "unsuitable",
]

_log = logging.getLogger(__name__)

_ACCEPTED: dict[Kind, set[str]] = {
    "text": {"String", "Memo"},
    "memo": {"Memo"},
    "integer": {"Integer", "BigInt"},
    "decimal": {"Decimal"},
    "double": {"Double"},
    "boolean": {"Boolean"},
    "date": {"DateTime"},
    "datetime": {"DateTime"},
}
_WORDS: dict[Kind, str] = {
    "text": "text",
    "memo": "multiline text",
    "integer": "whole number",
    "decimal": "decimal number",
    "double": "floating-point number",
    "boolean": "yes/no",
    "date": "date",
    "datetime": "date and time",
}
_TYPES = {
    "String": "text",
    "Memo": "multiline text",
    "Integer": "whole number",
    "BigInt": "big whole number",
    "Decimal": "decimal number",
    "Double": "floating-point number",
    "Money": "currency",
    "Boolean": "yes/no",
    "DateTime": "date and time",
    "Picklist": "choice",
    "Lookup": "lookup",
    "Uniqueidentifier": "unique identifier",
}


@dataclass(frozen=True)
class Schema:
    """What must exist. Targets of lookups must be among the tables or exist already.

    What is missing becomes part of `solution`, which is made where it is missing; None: of the default solution.
    """

    tables: tuple[TableSchema, ...] = ()
    lookups: tuple[LookupSchema, ...] = ()
    solution: SolutionSchema | None = None


def provision(client: Client, desired: Schema) -> list[str]:
    """Create what is missing and publish it; returns one sentence for each thing created, none if all was there.

    Raises ConfigurationError, before anything is created, when something exists in a way that the app cannot use, and
    when something cannot be created.
    """
    work = _Customizing(client, desired.solution)
    work.check(desired)
    for table in desired.tables:
        work.table(table)
    for lookup in desired.lookups:
        work.lookup(lookup)
    work.publish()
    return work.created


def unsuitable(existing: metadata.Table) -> str | None:
    """Why the app must not write to an existing table of its own name, and what to do; None: it may.

    It may write to standard, unmanaged tables only.
    """
    if existing.is_managed:
        reason = "is part of a managed solution, as Microsoft's own tables are: its rows belong to others"
    elif existing.type != "Standard":
        reason = f"is of type {existing.type.lower()}; the app writes to standard tables only"
    else:
        return None
    return (
        f"Table {existing.logical_name} exists and {reason}. Choose another publisher_prefix, so that the app creates "
        "tables of its own, or disable the table in the configuration."
    )


def conflicts(schema: TableSchema, existing: metadata.Table) -> list[str]:
    """One sentence for each existing column that cannot take the values: its name and both types.

    Shorter texts, fewer decimal places and narrower ranges are no conflicts: they are left as they are.
    """
    found = []
    for column in schema.all_columns:
        there = existing.columns.get(column.logical_name)
        if there is not None and not _serves(column, there):
            found.append(
                f"Column {column.logical_name} of {schema.logical_name} exists as {_type(there)}, it would "
                f"have to be {_WORDS[column.kind]} now: rename or remove the existing column, or exclude it in the "
                "configuration."
            )
    return found


def _serves(column: ColumnSchema, there: metadata.Column) -> bool:
    if there.type not in _ACCEPTED[column.kind]:
        return False
    # Columns of behavior DateOnly take dates only, and no others take dates.
    return there.type != "DateTime" or (there.behavior == "DateOnly") == (column.kind == "date")


def _type(column: metadata.Column) -> str:
    words = _TYPES.get(column.type, "another type")
    return f"{column.type} ({words}, {column.behavior})" if column.behavior else f"{column.type} ({words})"


class _Customizing:
    """One provisioning: what was read so far, what was created, and which tables are to be published."""

    def __init__(self, client: Client, schema: SolutionSchema | None) -> None:
        self.created: list[str] = []
        self._client = client
        self._solution = schema
        self._in_solution = False
        self._read: dict[str, metadata.Table | None] = {}
        self._touched: set[str] = set()

    def check(self, desired: Schema) -> None:
        """Raise ConfigurationError with every fault of what exists."""
        faults: list[str] = []
        for table in desired.tables:
            if existing := self._find(table.logical_name):
                reason = unsuitable(existing)
                faults += [reason] if reason else conflicts(table, existing)
        own = {table.logical_name for table in desired.tables}
        for lookup in desired.lookups:
            faults += self._faults_of(lookup, own)
        if faults:
            raise ConfigurationError(faults)

    def table(self, schema: TableSchema) -> None:
        """Create the table or what it lacks."""
        name = schema.logical_name
        if self._find(name) is None:
            body = table_body(schema)
            creation = Creation("EntityDefinitions", body, body["SchemaName"], lambda: self._again(name) is not None)
            if self._create(creation, name):
                self._note(name, f"Table {name} was created.")
            existing = self._existing(name)
            # Somebody else may have been faster, with other columns.
            if faults := [reason] if (reason := unsuitable(existing)) else conflicts(schema, existing):
                raise ConfigurationError(faults)
        for column in schema.all_columns:
            if column.logical_name not in self._existing(name).columns:
                self._column(name, column)

    def lookup(self, schema: LookupSchema) -> None:
        """Create the lookup."""
        if self._existing(schema.table).lookup(schema.logical_name, schema.target):
            return
        body = lookup_body(schema, target_id=self._existing(schema.target).primary_id)

        def present() -> bool:
            found = self._again(schema.table)
            return found is not None and found.lookup(schema.logical_name, schema.target) is not None

        creation = Creation("RelationshipDefinitions", body, body["SchemaName"], present)
        if self._create(creation, schema.table):
            sentence = f"Lookup {schema.logical_name} of {schema.table} to {schema.target} was created."
            self._note(schema.table, sentence)
            self._touched.add(schema.target)

    def publish(self) -> None:
        """Show in apps what was created."""

        def call() -> None:
            response = self._client.request("POST", "PublishXml", json=publish_body(self._touched))
            self._client.expect(response, "publishing")

        if self._touched:
            customizing(self._client).persist(call)

    def _faults_of(self, schema: LookupSchema, own: set[str]) -> list[str]:
        """Why a lookup that is missing cannot be added. `own`: tables that are about to be created."""
        existing, target = self._find(schema.table), self._find(schema.target)
        if existing is not None and existing.lookup(schema.logical_name, schema.target):
            return []
        faults = [
            f"{self._client.url} has no table {name}. Check the configuration."
            for name, found in ((schema.table, existing), (schema.target, target))
            if found is None and name not in own
        ]
        if target is not None and schema.target not in own and (reason := unsuitable(target)):
            faults.append(reason)
        if existing is None:
            return faults
        if not existing.is_standard:
            kind = existing.type.lower()
            faults.append(f"Table {schema.table} is of type {kind}: the app cannot add a lookup to it.")
        if there := existing.columns.get(schema.logical_name):
            targets = [one.target for one in existing.lookups if one.column == schema.logical_name]
            what = f"lookup to {', '.join(targets)}" if targets else _type(there)
            faults.append(
                f"Column {schema.logical_name} of {schema.table} exists as {what}, the app needs a lookup to "
                f"{schema.target}. Rename or remove the existing column."
            )
        return faults

    def _column(self, table: str, column: ColumnSchema) -> None:
        def present() -> bool:
            found = self._again(table)
            return found is not None and column.logical_name in found.columns

        body = column_body(column)
        path = f"EntityDefinitions(LogicalName='{table}')/Attributes"
        if self._create(Creation(path, body, f"{body['SchemaName']} of {table}", present), table):
            self._note(table, f"Column {column.logical_name} of {table} was created.")

    def _create(self, creation: Creation, table: str) -> bool:
        made = create(self._client, creation, self._headers())
        self._read.pop(table, None)
        return made

    def _headers(self) -> Mapping[str, str] | None:
        """The solution's, which is made sure of right before the first thing is created in it."""
        if self._solution is None:
            return None
        if not self._in_solution:
            for sentence in solution.ensure(self._client, self._solution):
                self._say(sentence, self._solution.unique_name)
            self._in_solution = True
        return self._solution.headers

    def _find(self, logical_name: str) -> metadata.Table | None:
        if logical_name not in self._read:
            return self._again(logical_name)
        return self._read[logical_name]

    def _again(self, logical_name: str) -> metadata.Table | None:
        self._read[logical_name] = metadata.table(self._client, logical_name, strong=True)
        return self._read[logical_name]

    def _existing(self, logical_name: str) -> metadata.Table:
        found = self._find(logical_name)
        if found is None:
            raise ConfigurationError(f"{self._client.url} has no table {logical_name}. Check the configuration.")
        return found

    def _note(self, table: str, sentence: str) -> None:
        self._say(sentence, table)
        self._touched.add(table)

    def _say(self, sentence: str, name: str) -> None:
        self.created.append(sentence)
        _log.info("dataverse.customized", extra={"table": name, "what": sentence})
