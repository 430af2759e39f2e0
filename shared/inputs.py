"""What an output table reads and writes, from its entities and hydration.toml.

Attributes are found whatever their case.
"""

from __future__ import annotations

import json

from shared.aggregates import Aggregate, member_attributes, spelled
from shared.lake.manifest import Attribute
from shared.reading import Reading
from shared.settings import Hydration
from shared.tables import sql
from shared.tables.catalog import (
    ALTERNATE_KEY,
    CUSTOMER_MEASURE,
    CUSTOMER_PROFILE,
    ENRICHMENT,
    PREDICTION,
    SEGMENT_MEMBERSHIP,
    TABLES,
)
from shared.tables.discovery import Source


def attributes(table: str, source: Source) -> list[Attribute]:
    """The attributes of a table's entities that become columns (CustomerProfile) or members of its JSON."""
    if table == CUSTOMER_PROFILE:
        return [attribute for part in source.parts for attribute in part.entity.attributes]
    return member_attributes(table, source) if table in {CUSTOMER_MEASURE, ENRICHMENT, PREDICTION} else []


def written(table: str, source: Source) -> set[str]:
    """The columns that are written: those that the app makes, and those that the lake delivers."""
    output = TABLES[table]
    if not output.fields:
        return {attribute.name for attribute in attributes(table, source)}
    if output.payload or table == ALTERNATE_KEY:
        return {field.name for field in output.fields}
    have = {attribute.name.casefold() for part in source.parts for attribute in part.entity.attributes}
    return {field.name for field in output.fields if field.made or field.name.casefold() in have}


def unused(table: str, source: Source) -> list[str]:
    """A sentence on attributes that the table has no column for; none where attributes are columns or members."""
    output = TABLES[table]
    if not output.fields or output.payload or table == ALTERNATE_KEY:
        return []
    columns = {field.name.casefold() for field in output.fields} | {f"{table}id".casefold()}
    more = [one.name for part in source.parts for one in part.entity.attributes if one.name.casefold() not in columns]
    return [f"Not hydrated, because the table has no such column: {', '.join(more)}."] if more else []


def named(table: str, source: Source, hydration: Hydration) -> str:
    """The entities of an aggregate that hydration.toml names one by one, as text to be remembered."""
    if not TABLES[table].payload:
        return ""
    wanted = {one.name.casefold() for one in hydration.options(table).entities or () if "*" not in one.name}
    found = sorted(wanted & {part.entity.name.casefold() for part in source.parts})
    return json.dumps(found) if found else ""


def define(reading: Reading, table: str, source: Source, hydration: Hydration) -> int:
    """Define what the table's SQL reads; returns how many rows were left out because they repeat another one's key.

    Raises ConfigurationError where two entities deliver the same, and CorruptSnapshotError.
    """
    aggregate = Aggregate(reading, table, source, hydration)
    if table == CUSTOMER_MEASURE:
        return aggregate.define_measures()
    if table in {ENRICHMENT, PREDICTION}:
        return aggregate.define_values()
    if table == SEGMENT_MEMBERSHIP:
        return aggregate.define_memberships()
    _one_entity(reading, table, source)
    return 0


def _one_entity(reading: Reading, table: str, source: Source) -> None:
    """The view `delivered`: every attribute of the requirements, null where the lake does not have it."""
    (part,) = source.parts
    found = [(wanted, spelled(part.entity, wanted)) for wanted in TABLES[table].attributes]
    reading.view("delivered_file", part.entity, [name for _, name in found if name])
    columns = ", ".join(
        f"{sql.name(name) if name else 'NULL::VARCHAR'} AS {sql.name(wanted)}" for wanted, name in found
    )
    reading.connection.execute(f"CREATE VIEW delivered AS SELECT {columns} FROM delivered_file")
