"""What the SQL of an output table reads: one view over the entities that the lake has for it.

Attributes are found whatever their case. Of an aggregate, each entity becomes the same few columns: whose row it is,
what it is called, and its content as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise

from shared.errors import ConfigurationError
from shared.lake.manifest import Attribute, Entity
from shared.reading import Reading
from shared.settings import Hydration
from shared.tables import members, selection, sql
from shared.tables.catalog import (
    ALTERNATE_KEY,
    CONTACT_PROFILE,
    CUSTOMER_ID,
    CUSTOMER_MEASURE,
    CUSTOMER_PROFILE,
    ENRICHMENT,
    PREDICTION,
    SEGMENT_MEMBERSHIP,
    TABLES,
    UNIFIED_ACTIVITY,
)
from shared.tables.discovery import Source
from shared.tables.naming import Part, is_ready_made, member_names
from shared.tables.values import OF_DATA_TYPE, Kind


def attributes(table: str, source: Source) -> list[Attribute]:
    """The attributes of a table's entities that become columns (CustomerProfile) or members of its JSON."""
    if table not in {CUSTOMER_PROFILE, CUSTOMER_MEASURE, ENRICHMENT, PREDICTION}:
        return []
    found: dict[str, Attribute] = {}
    for part in source.parts:
        if not TABLES[table].fields:
            return list(part.entity.attributes)
        if not is_ready_made(table, part.entity):
            found |= {one.name: one for one in part.entity.attributes if not _is_customer(one)}
    return list(found.values())


def written(table: str, source: Source) -> set[str]:
    """The columns of the requirements that are written: those that the app makes, and those that the lake delivers."""
    output = TABLES[table]
    if output.payload:
        return {field.name for field in output.fields}
    have = {attribute.name.casefold() for part in source.parts for attribute in part.entity.attributes}
    return {field.name for field in output.fields if field.made or field.name.casefold() in have}


def named(table: str, source: Source, hydration: Hydration) -> str:
    """The entities of an aggregate that hydration.toml names one by one, as text to be remembered."""
    if not TABLES[table].payload:
        return ""
    wanted = {one.name.casefold() for one in hydration.options(table).entities or () if "*" not in one.name}
    return "|".join(sorted(wanted & {part.entity.name.casefold() for part in source.parts}))


def delivered(table: str, source: Source) -> set[str]:
    """The names of all that the table's columns are made of, whether it is written or not."""
    always = table == ALTERNATE_KEY or bool(TABLES[table].payload)
    made = {field.name for field in TABLES[table].fields if field.made or always}
    return made | {one.name for part in source.parts for one in part.entity.attributes}


def _is_customer(attribute: Attribute) -> bool:
    return attribute.name.casefold() == CUSTOMER_ID.casefold()


def define(reading: Reading, table: str, source: Source, hydration: Hydration) -> int:
    """Define what the table's SQL reads; returns how many rows were left out because they repeat another one's key.

    Raises ConfigurationError where two entities deliver the same, and CorruptSnapshotError.
    """
    defined: dict[str, Callable[[Reading, str, Source, Hydration], int]] = {
        CONTACT_PROFILE: _one_entity,
        UNIFIED_ACTIVITY: _one_entity,
        CUSTOMER_MEASURE: _measures,
        ENRICHMENT: _values,
        PREDICTION: _values,
        SEGMENT_MEMBERSHIP: _memberships,
    }
    return defined[table](reading, table, source, hydration)


# -- tables that are one entity ------------------------------------------------------------------------


def _one_entity(reading: Reading, table: str, source: Source, _: Hydration) -> int:
    """The view `delivered`: every attribute of the requirements, null where the lake does not have it."""
    (part,) = source.parts
    found = [(wanted, _spelled(part.entity, wanted)) for wanted in TABLES[table].attributes]
    reading.view("delivered_file", part.entity, [name for _, name in found if name])
    columns = ", ".join(
        f"{sql.name(name) if name else 'NULL::VARCHAR'} AS {sql.name(wanted)}" for wanted, name in found
    )
    reading.connection.execute(f"CREATE VIEW delivered AS SELECT {columns} FROM delivered_file")
    return 0


def _spelled(entity: Entity, *names: str) -> str:
    """How the entity spells the first of these attributes that it has; empty where it has none."""
    for wanted in names:
        for attribute in entity.attributes:
            if attribute.name.casefold() == wanted.casefold():
                return attribute.name
    return ""


# -- aggregates ----------------------------------------------------------------------------------------


def _measures(reading: Reading, table: str, source: Source, hydration: Hydration) -> int:
    """The table `measure` (id, customer_id, members, ready, fault): a row for each customer of each entity."""
    _refuse_repeated(table, source)
    selects = []
    for number, part in enumerate(source.parts):
        customer = _spelled(part.entity, CUSTOMER_ID)
        named, ready, fault = "[]::STRUCT(name VARCHAR, value VARCHAR)[]", "NULL", "NULL"
        if is_ready_made(table, part.entity):
            spelled = _spelled(part.entity, "Measures")
            reading.view(f"part_{number}", part.entity, [customer, spelled])
            ready, fault = sql.name(spelled), _json_fault("Measures", spelled)
        else:
            chosen = _chosen(part, table, source, hydration)
            reading.view(f"part_{number}", part.entity, [customer, *(one.name for one in chosen)])
            pairs = ", ".join(f"{{'name': {sql.text(one.name)}, 'value': {_value(one)}}}" for one in chosen)
            named, fault = f"[{pairs}]::STRUCT(name VARCHAR, value VARCHAR)[]", _faults(chosen)
        selects.append(
            f"SELECT {number} AS part, bare({sql.name(customer)}) AS customer_id, {ready}::VARCHAR AS ready, "
            f"list_filter({named}, lambda one: one.value IS NOT NULL) AS members, {fault}::VARCHAR AS fault "
            f"FROM part_{number}"
        )
    return _without_repeats(reading, " UNION ALL ".join(selects))


def _without_repeats(reading: Reading, select: str) -> int:
    """Of rows of one entity for one customer one stays: a valid one before a faulty one, then the smallest."""
    reading.connection.execute(f"""
        CREATE TABLE measure AS
        SELECT *, row_number() OVER (PARTITION BY part, id ORDER BY fault NULLS FIRST, members, ready) AS rank
        FROM (SELECT id_guid(customer_id) AS id, * FROM ({select}))""")
    reading.connection.execute("DELETE FROM measure WHERE rank > 1 AND id IS NOT NULL")
    (dropped,) = reading.connection.fetchone() or (0,)
    return int(dropped)


def _refuse_repeated(table: str, source: Source) -> None:
    """A measure in two entities could have two values."""
    ready = [part.entity.name for part in source.parts if is_ready_made(table, part.entity)]
    if ready and len(source.parts) > 1:
        others = [part.entity.name for part in source.parts if part.entity.name != ready[0]]
        raise ConfigurationError(
            f"The entity {ready[0]} holds all measures of a customer, and {', '.join(others)} hold some too: name the "
            f"ones that count in hydration.toml ([tables.{table}] entities)."
        )
    places = sorted(
        (one.name, part.entity.name) for part in source.parts for one in part.entity.attributes if not _is_customer(one)
    )
    for (name, first), (again, second) in pairwise(places):
        if name == again:
            raise ConfigurationError(
                f"The measure {name} stands in the entities {first} and {second}: name the ones that count in "
                f"hydration.toml ([tables.{table}] entities)."
            )


def _values(reading: Reading, table: str, source: Source, hydration: Hydration) -> int:
    """The view `valued` (provider, title, customer_id, content, fault): a row for each row of each entity."""
    provider, title = (
        ("EnrichmentProvider", "EnrichmentType") if table == ENRICHMENT else ("ModelProvider", "Model")
    )  # fmt: skip
    selects = []
    for number, part in enumerate(source.parts):
        customer = _spelled(part.entity, CUSTOMER_ID)
        if is_ready_made(table, part.entity):
            names = {one: _spelled(part.entity, one) for one in (provider, title, "Values")}
            reading.view(f"part_{number}", part.entity, [customer, *filter(None, names.values())])
            by, called = _or(names[provider], part.provider), _or(names[title], part.title)
            content, fault = sql.name(names["Values"]), _json_fault("Values", names["Values"])
        else:
            chosen = _chosen(part, table, source, hydration)
            reading.view(f"part_{number}", part.entity, [customer, *(one.name for one in chosen)])
            by, called = sql.text(part.provider), sql.text(part.title)
            pieces = [f"{sql.text(json.dumps(one.name, ensure_ascii=False) + ':')} || {_value(one)}" for one in chosen]
            content, fault = f"'{{' || concat_ws(',', NULL, {', '.join(pieces) or 'NULL'}) || '}}'", _faults(chosen)
        selects.append(
            f"SELECT {by} AS provider, {called} AS title, bare({sql.name(customer)}) AS customer_id, "
            f"{content} AS content, {fault} AS fault FROM part_{number}"
        )
    reading.connection.execute(f"CREATE VIEW valued AS {' UNION ALL '.join(selects)}")
    return 0


def _memberships(reading: Reading, table: str, source: Source, _: Hydration) -> int:
    """The view `membership` (provider, type, customer_id, segment, fault): a row for each member of each segment.

    A customer whose list is empty has one row without a segment.
    """
    selects = []
    for number, part in enumerate(source.parts):
        names = {one: _spelled(part.entity, one) for one in ("SegmentProvider", "SegmentMembershipType", "Segments")}
        customer, segment = _spelled(part.entity, CUSTOMER_ID), _spelled(part.entity, *member_names(part.entity))
        ready = is_ready_made(table, part.entity)
        used = [customer, *filter(None, [*names.values(), segment])] if ready else [customer]
        reading.view(f"part_{number}", part.entity, used)
        fault, called = "NULL::VARCHAR", sql.text(part.title)
        if ready and segment:
            called = f"bare({sql.name(segment)})"
            fault = f"CASE WHEN {called} IS NULL THEN {sql.text(segment + ': the row names no segment')} END"
        elif ready:
            fault, called = _list_fault(names["Segments"]), _listed(names["Segments"])
        provider = _or(names["SegmentProvider"] if ready else "", part.provider)
        kind = _or(names["SegmentMembershipType"] if ready else "", part.membership)
        selects.append(
            f"SELECT {provider} AS provider, {kind} AS type, bare({sql.name(customer)}) AS customer_id, "
            f"{called} AS segment, {fault} AS fault FROM part_{number}"
        )
    reading.connection.execute(f"CREATE VIEW membership AS {' UNION ALL '.join(selects)}")
    return 0


def _listed(name: str) -> str:
    """SQL: one row for each member of a JSON list, one with null where there is none."""
    many = f"json_extract_string({sql.name(name)}, '$[*]')"
    return f"unnest(CASE WHEN {_list_fault(name)} IS NULL AND len({many}) > 0 THEN {many} ELSE [NULL::VARCHAR] END)"


def _list_fault(name: str) -> str:
    column = sql.name(name)
    return (
        f"CASE WHEN bare({column}) IS NULL THEN NULL "
        f"WHEN NOT json_valid({column}) THEN {sql.text(name + ': this is not JSON')} "
        f"WHEN json_type({column}) <> 'ARRAY' THEN {sql.text(name + ': this is not a list')} END"
    )


def _json_fault(column: str, name: str) -> str:
    cell, fault = sql.name(name), sql.text(f"{column}: this is not JSON")
    return f"CASE WHEN bare({cell}) IS NOT NULL AND NOT json_valid({cell}) THEN {fault} END"


def _or(name: str, default: str) -> str:
    """SQL: what stands in the column, or the default where there is no column or nothing in it."""
    return f"coalesce(bare({sql.name(name)}), {sql.text(default)})" if name else sql.text(default)


# -- members -------------------------------------------------------------------------------------------


def _chosen(part: Part, table: str, source: Source, hydration: Hydration) -> list[Attribute]:
    """The attributes that become members, in the order of their names, which is that of their code points."""
    fields = [Attribute(field.name, "") for field in TABLES[table].fields]
    options = selection.of_members(hydration.options(table), fields, attributes(table, source))
    own = [one for one in part.entity.attributes if not _is_customer(one)]
    include = None if options.include is None else {name.casefold() for name in options.include}
    exclude = {name.casefold() for name in options.exclude}
    kept = [
        one for one in own if one.name.casefold() not in exclude and (include is None or one.name.casefold() in include)
    ]
    return sorted(kept, key=lambda one: one.name)


def _kind(attribute: Attribute) -> Kind:
    return OF_DATA_TYPE.get(attribute.data_type, Kind.TEXT)


def _value(attribute: Attribute) -> str:
    return members.value(attribute.name, _kind(attribute))


def _faults(attributes: Sequence[Attribute]) -> str:
    found = [members.fault(one.name, _kind(one)) for one in attributes]
    return f"coalesce({', '.join([*found, 'NULL::VARCHAR'])})"
