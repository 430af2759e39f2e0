"""Creating the tables, columns and lookups that are missing. Nothing that exists is changed, shrunk or removed.

Each step looks first and creates what is missing then, so that a crash half-way, or somebody else who creates the same
at the same moment, does no harm. What was created serves the Web API at once; publishing shows it in apps. A crash
between the two leaves that to the next publishing of these tables.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from shared.dataverse import metadata
from shared.dataverse.client import Client
from shared.dataverse.definitions import (
    ColumnSchema,
    LookupSchema,
    TableSchema,
    column_body,
    lookup_body,
    publish_body,
    table_body,
)
from shared.dataverse.errors import Kind
from shared.dataverse.patience import Patience
from shared.errors import ConfigurationError, TransientError

__all__ = ["ColumnSchema", "LookupSchema", "Schema", "TableSchema", "conflicts", "provision"]

_log = logging.getLogger(__name__)

_ACCEPTED = {
    "text": {"String", "Memo"},
    "memo": {"Memo"},
    "integer": {"Integer", "BigInt"},
    "decimal": {"Decimal"},
    "double": {"Double"},
    "boolean": {"Boolean"},
    "date": {"DateTime"},
    "datetime": {"DateTime"},
}


@dataclass(frozen=True)
class Schema:
    """What must exist. Targets of lookups must be among the tables or exist already."""

    tables: tuple[TableSchema, ...] = ()
    lookups: tuple[LookupSchema, ...] = ()


def provision(client: Client, desired: Schema) -> list[str]:
    """Create what is missing and publish it; returns one sentence for each thing created, none if all was there.

    Raises ConfigurationError when something exists with another type, or cannot be created by the app.
    """
    # Dataverse makes one customization at a time: another one may take minutes.
    patience = replace(client.patience, attempts=12, seconds=150.0, first=2.0, longest=20.0)
    customizing = _Customizing(client, patience)
    for table in desired.tables:
        customizing.table(table)
    for lookup in desired.lookups:
        customizing.lookup(lookup)
    customizing.publish()
    return customizing.created


def conflicts(schema: TableSchema, existing: metadata.Table) -> list[str]:
    """Why an existing table cannot serve: one sentence for each column of another type, or that cannot be added."""
    found = []
    if not existing.is_standard:
        found.append(
            f"Table {schema.logical_name} exists as {existing.type.lower()} table; the app needs a standard one."
        )
    for column in schema.all_columns:
        there = existing.columns.get(column.logical_name)
        if there is None and existing.is_managed:
            found.append(
                f"Table {schema.logical_name} is part of a managed solution and lacks the column "
                f"{column.logical_name}: the app does not add to it. Choose another publisher_prefix, or exclude it."
            )
        elif there is not None and not _serves(column, there):
            found.append(
                f"Column {column.logical_name} of {schema.logical_name} exists as {_type(there)}, the app needs "
                f"{column.kind}. Rename or remove the existing column, or exclude it in the configuration."
            )
    return found


def _serves(column: ColumnSchema, there: metadata.Column) -> bool:
    if there.type not in _ACCEPTED[column.kind]:
        return False
    # Columns of behavior DateOnly take dates only, and no others take dates.
    return there.type != "DateTime" or (there.behavior == "DateOnly") == (column.kind == "date")


def _type(column: metadata.Column) -> str:
    return f"{column.type} ({column.behavior})" if column.behavior else column.type


class _Customizing:
    def __init__(self, client: Client, patience: Patience) -> None:
        self.created: list[str] = []
        self._client = client
        self._patience = patience
        self._touched: set[str] = set()

    def table(self, schema: TableSchema) -> None:
        def found() -> metadata.Table | None:
            return metadata.table(self._client, schema.logical_name, strong=True)

        existing = found()
        if existing is None:
            if self._create("EntityDefinitions", table_body(schema), lambda: found() is not None):
                self._note(schema.logical_name, f"Table {schema.logical_name} was created.")
            existing = self._existing(schema.logical_name)
        if faults := conflicts(schema, existing):
            raise ConfigurationError(faults)
        for column in schema.all_columns:
            if column.logical_name not in existing.columns:
                self._column(schema.logical_name, column)

    def lookup(self, schema: LookupSchema) -> None:
        existing = self._existing(schema.table)
        if existing.lookup(schema.logical_name, schema.target):
            return
        if not existing.is_standard:
            kind = existing.type.lower()
            raise ConfigurationError(f"Table {schema.table} is a {kind} table: the app cannot add a lookup to it.")
        if there := existing.columns.get(schema.logical_name):
            targets = [one.target for one in existing.lookups if one.column == schema.logical_name]
            what = f"lookup to {', '.join(targets)}" if targets else _type(there)
            raise ConfigurationError(
                f"Column {schema.logical_name} of {schema.table} exists as {what}, the app needs a lookup to "
                f"{schema.target}. Rename or remove the existing column."
            )
        body = lookup_body(schema, target_id=self._existing(schema.target).primary_id)

        def present() -> bool:
            return self._existing(schema.table).lookup(schema.logical_name, schema.target) is not None

        if self._create("RelationshipDefinitions", body, present):
            sentence = f"Lookup {schema.logical_name} of {schema.table} to {schema.target} was created."
            self._note(schema.table, sentence)
            self._touched.add(schema.target)

    def publish(self) -> None:
        def call() -> None:
            response = self._client.request("POST", "PublishXml", json=publish_body(self._touched))
            self._client.expect(response, "publishing")

        if self._touched:
            self._patience.persist(call)

    def _column(self, table: str, column: ColumnSchema) -> None:
        def present() -> bool:
            return column.logical_name in self._existing(table).columns

        if self._create(f"EntityDefinitions(LogicalName='{table}')/Attributes", column_body(column), present):
            self._note(table, f"Column {column.logical_name} of {table} was created.")

    def _create(self, path: str, body: dict[str, Any], present: Callable[[], bool]) -> bool:
        """Create what is known to be missing. False: somebody else was faster."""
        sent = False

        def call() -> bool:
            nonlocal sent
            if sent and present():
                return True  # an attempt without an answer was carried out
            sent = True
            response = self._client.request("POST", path, json=body)
            if response.is_success:
                return True
            fault = self._client.fault(response)
            if fault.kind is Kind.TIMEOUT or "Cannot start the requested operation" in fault.message:
                raise TransientError(f"{self._client.url}, creating {body['SchemaName']}: {fault}")
            if present():
                return False
            # The message speaks of names only, none of a customer's values.
            raise ConfigurationError(
                f"{self._client.url} refuses to create {body['SchemaName']}: {fault.message} {fault}"
            )

        return self._patience.persist(call)

    def _existing(self, logical_name: str) -> metadata.Table:
        found = metadata.table(self._client, logical_name, strong=True)
        if found is None:
            raise ConfigurationError(f"{self._client.url} has no table {logical_name}. Check the configuration.")
        return found

    def _note(self, table: str, sentence: str) -> None:
        self.created.append(sentence)
        self._touched.add(table)
        _log.info("dataverse.customized", extra={"table": table, "what": sentence})
