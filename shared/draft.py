"""What a task compares and how it is written: from the pinned snapshot and Dataverse's definitions to SQL."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

from shared import inputs, links, profiles
from shared.dataverse import metadata, schema
from shared.delta.compare import Policy
from shared.errors import ConfigurationError, CorruptSnapshotError
from shared.keys import define_alternate_keys
from shared.linking import texts
from shared.planning import Draft, Planning
from shared.provision import link_schema, not_written, refuse_unsuitable, table_schema
from shared.runs.model import Kind, Mode
from shared.tables import catalog, rows
from shared.tables.catalog import ALTERNATE_KEY, CUSTOMER_PROFILE
from shared.tables.columns import columns, unknown_names
from shared.tables.rows import Rows
from shared.tables.values import Column
from shared.tables.values import Kind as ValueKind


def draft(planning: Planning) -> Draft:
    """The SQL of the task. Defines the views that it reads.

    Raises RequirementError, ConfigurationError, CorruptSnapshotError and TransientError.
    """
    return links.draft(planning) if planning.task.kind is Kind.LINK else _table(planning)


def confirmed(planning: Planning) -> Draft:
    """How rows that another run held are removed, and links that it held written: SQL over `id` and `entry`.

    Raises RequirementError, ConfigurationError and TransientError.
    """
    if planning.task.kind is Kind.LINK:
        return links.confirmed(planning)
    name = planning.table_name(planning.task.subject)
    existing = metadata.table(planning.client, name)
    if existing is None:
        raise ConfigurationError(f"{planning.client.url} has no table {name} any more.")
    refuse_unsuitable(existing)
    key = catalog.key_name(planning.hydration.publisher_prefix, planning.task.subject)
    return Draft(Rows("", "NULL", "NULL", "entry"), "id::VARCHAR", existing.set_name, key)


def policy(planning: Planning) -> Policy:
    """What the run does with rows that are unchanged, and with rows that are gone. Needs what `draft` defines."""
    removal = planning.hydration.removal
    keeps = removal.rows == "keep" if planning.task.kind is Kind.TABLE else removal.links == "keep"
    full = planning.run.mode is Mode.FULL and planning.task.kind is Kind.TABLE  # links are read, and compared
    return Policy(full, remove=not keeps, brake_percent=removal.brake_percent, hold=_hold(planning))


def _hold(planning: Planning) -> str:
    """Why rows that are gone may be there all the same; empty where they are gone."""
    snapshot = planning.reading.snapshot
    if snapshot.unreadable:
        return f"the manifest {min(snapshot.unreadable)} cannot be read"
    if not planning.is_of_keys:
        return ""
    if planning.found.ambiguous:
        return f"the profile's column {planning.found.ambiguous[0].attribute} is ambiguous"
    before, now = planning.pointer.origin, planning.origin
    if before and before != now:
        return texts.KEYS_FROM_ELSEWHERE.format(before=before, now=now)
    return links.hold(planning) if planning.task.kind is Kind.LINK else ""


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
    hold = _cascades(planning) if table == CUSTOMER_PROFILE and existing else ""
    return Draft(drafted, "id::VARCHAR", set_name, key, duplicates, tuple(notes), hold)


def _cascades(planning: Planning) -> str:
    """Why no profile may be removed: rows of source tables would go with it, and the app deletes nobody's contacts."""
    lookup = link_schema("", planning.hydration.publisher_prefix).logical_name
    tables = metadata.cascading(planning.client, planning.table_name(CUSTOMER_PROFILE), lookup)
    return texts.WOULD_CASCADE.format(tables=", ".join(tables)) if tables else ""


def _profile(planning: Planning, kept: tuple[Column, ...]) -> tuple[Rows, int]:
    (part,) = planning.found.customer.parts
    planning.reading.view("customer", part.entity, [column.source for column in kept])
    return rows.profile(kept, planning.hydration), 0


def _child(planning: Planning, kept: tuple[Column, ...]) -> tuple[Rows, int]:
    """The rows of a table that points to profiles, and how many were left out as repeated."""
    table, reading, hydration = planning.task.subject, planning.reading, planning.hydration
    source = planning.found.source(table)
    _refuse_lost_inputs(planning)
    profile_set = planning.profile_set()
    profiles.define(reading, planning.run, table)
    if table == ALTERNATE_KEY:
        define_alternate_keys(reading, planning.found)
        return rows.output(table, kept, hydration, profile_set), 0
    duplicates = inputs.define(reading, table, source, hydration)
    return rows.output(table, kept, hydration, profile_set, before=_expiry(planning)), duplicates


def _refuse_lost_inputs(planning: Planning) -> None:
    """An entity that is named, was there and is not: its part of each row would be dropped without a word."""
    if planning.is_of_keys or not planning.pointer.origin:
        return
    lacking = {name.casefold() for name in planning.found.source(planning.task.subject).lacking}
    if lost := sorted(lacking & set(json.loads(planning.pointer.origin))):
        table = planning.task.subject
        raise CorruptSnapshotError(
            f"{', '.join(lost)}: named in hydration.toml, delivered before, and not in this snapshot. If it is gone "
            f"for good, take it out of [tables.{table}] entities."
        )


def _expiry(planning: Planning) -> datetime | None:
    days, opened = planning.hydration.options(planning.task.subject).keep_days, planning.run.opened
    now = opened or planning.reading.services.clock.now()
    return now - timedelta(days=days) if days else None


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
