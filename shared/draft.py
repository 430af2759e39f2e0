"""What a task compares and how it is written: from the pinned snapshot and Dataverse's definitions to SQL."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from shared.dataverse import metadata, schema
from shared.dataverse.client import Client
from shared.delta.compare import Policy
from shared.errors import ConfigurationError, RequirementError
from shared.keys import define_alternate_keys, still_unified, view
from shared.lake.snapshot import Snapshot
from shared.linking.rows import LinkTarget
from shared.linking.sources import NOT_LINKED
from shared.provision import table_schema
from shared.runs.model import Kind, Mode, Run, Task
from shared.services import Services
from shared.settings import Hydration
from shared.tables import catalog, rows
from shared.tables.rows import Rows
from shared.tables.values import Column

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Draft:
    """SQL for the rows of the snapshot and for those that are gone, and where they are sent to."""

    rows: Rows
    removal: str  # SQL over id: the record that is sent for a row that is gone
    set_name: str
    primary_id: str


@dataclass(frozen=True)
class Planning:
    """What a plan works with."""

    services: Services
    connection: duckdb.DuckDBPyConnection
    run: Run
    task: Task
    snapshot: Snapshot
    former_origin: str = ""  # where the rows of the applied state came from

    @property
    def hydration(self) -> Hydration:
        """The configuration."""
        return self.services.settings.hydration

    @property
    def client(self) -> Client:
        """The organization."""
        return self.services.dataverse.client(self.services.environment(self.run.environment).dataverse_url)

    @cached_property
    def found(self) -> catalog.Catalog:
        """What the snapshot delivers."""
        return catalog.read(self.snapshot, self.hydration)

    @property
    def origin(self) -> str:
        """Where the task's rows come from, where that may change: alternate keys have two sources."""
        if self.task.kind is Kind.TABLE and self.task.subject != catalog.ALTERNATE_KEY:
            return ""
        return "the lake's AlternateKey table" if self.found.alternate_key.entity else "the profile's key columns"

    def table_name(self, table: str) -> str:
        """The logical name of an output table."""
        return catalog.table_name(self.hydration.publisher_prefix, table)


def draft(planning: Planning) -> Draft:
    """The SQL of the task. Defines the views that it reads.

    Raises RequirementError, ConfigurationError, CorruptSnapshotError and TransientError.
    """
    return _links(planning) if planning.task.kind is Kind.LINK else _table(planning)


def policy(planning: Planning) -> Policy:
    """What the run does with rows that are unchanged, and with rows that are gone. Needs what `draft` defines."""
    removal = planning.hydration.removal
    keeps = removal.rows == "keep" if planning.task.kind is Kind.TABLE else removal.links == "keep"
    full = planning.run.mode is Mode.FULL
    return Policy(full, remove=not keeps, brake_percent=removal.brake_percent, hold=_hold(planning))


def _hold(planning: Planning) -> str:
    """Why rows that are gone may be there all the same; empty where they are gone."""
    task, ambiguous = planning.task, planning.found.ambiguous
    if planning.snapshot.unreadable:
        return f"the manifest {min(planning.snapshot.unreadable)} cannot be read"
    if ambiguous and (task.kind is Kind.LINK or task.subject == catalog.ALTERNATE_KEY):
        return f"the profile's column {ambiguous[0].attribute} is ambiguous"
    if planning.former_origin and planning.former_origin != planning.origin:
        return (
            f"the keys came from {planning.former_origin} before and come from {planning.origin} now; the next run "
            "removes what is still absent"
        )
    if task.kind is Kind.LINK and (found := still_unified(planning.connection)):
        count, data_source, table = found
        return (
            f"{count:,} of their rows are unified still, in the table {table} of the data source {data_source}, which "
            "is not linked as it is configured"
        )
    return ""


# -- output tables ---------------------------------------------------------------------------------------


def _table(planning: Planning) -> Draft:
    table, prefix = planning.task.subject, planning.hydration.publisher_prefix
    existing = metadata.table(planning.client, planning.table_name(table))
    if table == catalog.CUSTOMER_PROFILE:
        columns = _fitted(_customer_columns(planning), existing)
        drafted = rows.profile(columns, planning.hydration)
    else:
        define_alternate_keys(planning.connection, planning.services, planning.snapshot, planning.found)
        columns = _fitted(catalog.alternate_key_columns(planning.hydration), existing)
        drafted = rows.alternate_key(columns, planning.hydration)
    if existing is not None and (faults := schema.conflicts(table_schema(table, columns, prefix), existing)):
        raise ConfigurationError(faults)
    set_name = existing.set_name if existing else catalog.set_name(prefix, table)
    return Draft(drafted, "id::VARCHAR", set_name, catalog.key_name(prefix, table))


def _customer_columns(planning: Planning) -> tuple[Column, ...]:
    customer = planning.found.customer.entity
    if customer is None:
        raise ConfigurationError("The snapshot no longer delivers the profile.")
    columns = catalog.profile_columns(customer, planning.hydration)
    sources = [column.source for column in columns]
    view(planning.connection, planning.services, planning.snapshot, "customer", entity=customer, attributes=sources)
    return columns


def _fitted(columns: tuple[Column, ...], existing: metadata.Table | None) -> tuple[Column, ...]:
    """The columns no longer than Dataverse has them: a text that does not fit rejects its row before it is sent."""
    if existing is None:
        return columns
    lengths = {name: column.max_length for name, column in existing.columns.items() if column.max_length}
    return tuple(
        replace(column, max_length=min(column.max_length, lengths.get(column.logical_name) or column.max_length))
        for column in columns
    )


# -- links -----------------------------------------------------------------------------------------------


def _links(planning: Planning) -> Draft:
    table = _source_table(planning)
    define_alternate_keys(planning.connection, planning.services, planning.snapshot, planning.found)
    planning.connection.execute("CREATE TABLE link_source (data_source VARCHAR, entity VARCHAR)")
    if pairs := [tuple(json.loads(pair)) for pair in planning.task.sources]:
        planning.connection.executemany("INSERT INTO link_source VALUES (?, ?)", pairs)
    prefix = planning.hydration.publisher_prefix
    existing = metadata.table(planning.client, planning.table_name(catalog.CUSTOMER_PROFILE))
    profile_set = existing.set_name if existing else catalog.set_name(prefix, catalog.CUSTOMER_PROFILE)
    target = LinkTarget(planning.task.subject, table.primary_id, prefix, profile_set)
    return Draft(target.rows(), target.clear(), table.set_name, table.primary_id)


def _source_table(planning: Planning) -> metadata.Table:
    task, client = planning.task, planning.client
    table = metadata.table(client, task.subject)
    if table is None:
        raise RequirementError(
            f"{NOT_LINKED}\nThe organization {client.url} has no table {task.subject}. Source tables must keep their "
            "name; where the logical name is another one, set it in hydration.toml "
            "([data_sources.<name>.tables.<table>] logical_name)."
        )
    if task.primary_id and task.primary_id.lower() != table.primary_id:
        raise RequirementError(
            f"{NOT_LINKED}\nThe key used in unification ({task.primary_id}) is not the primary key of {task.subject} "
            f"({table.primary_id}). Choose the table's own primary key where the unification is set up."
        )
    return table
