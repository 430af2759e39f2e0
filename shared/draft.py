"""What a task compares and how it is written: from the pinned snapshot and Dataverse's definitions to SQL."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from shared import inputs, profiles
from shared.dataverse import metadata, schema
from shared.dataverse.client import Client
from shared.delta.compare import Policy
from shared.errors import ConfigurationError, CorruptSnapshotError, RequirementError
from shared.keys import define_alternate_keys, still_unified
from shared.linking.rows import LinkTarget
from shared.linking.sources import NOT_LINKED
from shared.provision import not_written, refuse_unsuitable, table_schema
from shared.reading import Reading
from shared.runs.model import Kind, Mode, Run, Task
from shared.settings import Hydration
from shared.tables import catalog, discovery, rows
from shared.tables.catalog import ALTERNATE_KEY, CUSTOMER_PROFILE
from shared.tables.columns import columns, unknown_names
from shared.tables.rows import Rows
from shared.tables.values import Column
from shared.tables.values import Kind as ValueKind


@dataclass(frozen=True)
class Draft:
    """SQL for the rows of the snapshot and for those that are gone, and where they are sent to."""

    rows: Rows
    removal: str  # SQL over id: the record that is sent for a row that is gone
    set_name: str
    primary_id: str
    duplicates: int = 0  # rows that were left out before the comparison
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Planning:
    """What a plan works with."""

    reading: Reading
    run: Run
    task: Task
    former_origin: str = ""  # where the rows of the applied state came from

    @property
    def hydration(self) -> Hydration:
        """The configuration."""
        return self.reading.services.settings.hydration

    @property
    def client(self) -> Client:
        """The organization."""
        services = self.reading.services
        return services.dataverse.client(services.environment(self.run.environment).dataverse_url)

    @cached_property
    def found(self) -> discovery.Delivered:
        """What the snapshot delivers."""
        return discovery.read(self.reading.snapshot, self.hydration)

    @property
    def is_of_keys(self) -> bool:
        """Whether its rows are made of the alternate keys, which have two sources."""
        return self.task.kind is Kind.LINK or self.task.subject == ALTERNATE_KEY

    @property
    def origin(self) -> str:
        """Where the task's rows come from, where that may change."""
        if self.is_of_keys:
            return "the lake's AlternateKey table" if self.found.alternate_key.entity else "the profile's key columns"
        return inputs.named(self.task.subject, self.found.source(self.task.subject), self.hydration)

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
    task, ambiguous, snapshot = planning.task, planning.found.ambiguous, planning.reading.snapshot
    if snapshot.unreadable:
        return f"the manifest {min(snapshot.unreadable)} cannot be read"
    if not planning.is_of_keys:
        return ""
    if ambiguous:
        return f"the profile's column {ambiguous[0].attribute} is ambiguous"
    if planning.former_origin and planning.former_origin != planning.origin:
        return (
            f"the keys came from {planning.former_origin} before and come from {planning.origin} now; the next run "
            "removes what is still absent"
        )
    if task.kind is Kind.LINK and (found := still_unified(planning.reading.connection)):
        count, data_source, table = found
        return (
            f"{count:,} of their rows are unified still, in the table {table} of the data source {data_source}, which "
            "is not linked as it is configured"
        )
    return ""


# -- output tables ---------------------------------------------------------------------------------------


def _table(planning: Planning) -> Draft:
    table, hydration = planning.task.subject, planning.hydration
    existing = metadata.table(planning.client, planning.table_name(table))
    refuse_unsuitable(existing)
    source = planning.found.source(table)
    if not source.parts:
        raise ConfigurationError(f"The snapshot no longer delivers {table}.")
    attributes = inputs.attributes(table, source)
    schema_columns = columns(table, hydration, attributes)
    wanted = table_schema(table, schema_columns, hydration.publisher_prefix)
    if existing is not None and (faults := schema.conflicts(wanted, existing)):
        raise ConfigurationError(faults)
    written = inputs.written(table, source)
    kept = tuple(column for column in _fitted(schema_columns, existing) if column.source in written)
    drafted, duplicates = _profile(planning, kept) if table == CUSTOMER_PROFILE else _child(planning, kept)
    notes = [*unknown_names(table, hydration, attributes), *inputs.unused(table, source)]
    notes += not_written(existing, {column.logical_name for column in schema_columns}, hydration.publisher_prefix)
    if hydration.options(table).keep_days and catalog.TIME_STAMP not in written:
        notes += [f"keep_days has no effect: the lake's entity has no {catalog.TIME_STAMP}."]
    key = catalog.key_name(hydration.publisher_prefix, table)
    set_name = existing.set_name if existing else wanted.set_name
    return Draft(drafted, "id::VARCHAR", set_name, key, duplicates, tuple(notes))


def _profile(planning: Planning, kept: tuple[Column, ...]) -> tuple[Rows, int]:
    (part,) = planning.found.customer.parts
    planning.reading.view("customer", part.entity, [column.source for column in kept])
    return rows.profile(kept, planning.hydration), 0


def _child(planning: Planning, kept: tuple[Column, ...]) -> tuple[Rows, int]:
    """The rows of a table that points to profiles, and how many were left out as repeated."""
    table, reading, hydration = planning.task.subject, planning.reading, planning.hydration
    source = planning.found.source(table)
    _refuse_lost_inputs(planning)
    profile_set = _profile_set(planning)
    profiles.define(reading, planning.run, table)
    if table == ALTERNATE_KEY:
        define_alternate_keys(reading, planning.found)
        return rows.output(table, kept, hydration, profile_set), 0
    duplicates = inputs.define(reading, table, source, hydration)
    return rows.output(table, kept, hydration, profile_set, before=_expiry(planning)), duplicates


def _refuse_lost_inputs(planning: Planning) -> None:
    """An entity that is named, was there and is not: its part of each row would be dropped without a word."""
    if planning.is_of_keys or not planning.former_origin:
        return
    lacking = {name.casefold() for name in planning.found.source(planning.task.subject).lacking}
    if lost := sorted(lacking & set(json.loads(planning.former_origin))):
        table = planning.task.subject
        raise CorruptSnapshotError(
            f"{', '.join(lost)}: named in hydration.toml, delivered before, and not in this snapshot. If it is gone "
            f"for good, take it out of [tables.{table}] entities."
        )


def _expiry(planning: Planning) -> datetime | None:
    days, opened = planning.hydration.options(planning.task.subject).keep_days, planning.run.opened
    now = opened or planning.reading.services.clock.now()
    return now - timedelta(days=days) if days else None


def _profile_set(planning: Planning) -> str:
    """How the table of profiles is addressed. Raises RequirementError where it is not the app's."""
    existing = metadata.table(planning.client, planning.table_name(CUSTOMER_PROFILE))
    refuse_unsuitable(existing)
    return existing.set_name if existing else catalog.set_name(planning.hydration.publisher_prefix, CUSTOMER_PROFILE)


def _fitted(wanted: tuple[Column, ...], existing: metadata.Table | None) -> tuple[Column, ...]:
    """The columns as narrow as Dataverse has them: what does not fit rejects its row before it is sent."""
    if existing is None:
        return wanted
    return tuple(_narrowed(column, existing.columns.get(column.logical_name)) for column in wanted)


def _narrowed(column: Column, there: metadata.Column | None) -> Column:
    if there is None:
        return column
    length = min(column.max_length, there.max_length or column.max_length)
    places = there.precision if column.kind in {ValueKind.DECIMAL, ValueKind.DOUBLE} else None
    return replace(column, max_length=length, places=places)


# -- links -----------------------------------------------------------------------------------------------


def _links(planning: Planning) -> Draft:
    table = _source_table(planning)
    connection, profile_set = planning.reading.connection, _profile_set(planning)
    define_alternate_keys(planning.reading, planning.found)
    connection.execute("CREATE TABLE link_source (data_source VARCHAR, entity VARCHAR)")
    if pairs := [tuple(json.loads(pair)) for pair in planning.task.sources]:
        connection.executemany("INSERT INTO link_source VALUES (?, ?)", pairs)
    target = LinkTarget(planning.task.subject, table.primary_id, planning.hydration.publisher_prefix, profile_set)
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
