"""Tables that several entities make up: each entity becomes the same few columns.

Whose row it is, what it is called, its content as JSON, and what is wrong with it. The SQL of the table does the rest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from shared.errors import ConfigurationError
from shared.lake.manifest import Attribute, Entity
from shared.reading import Reading
from shared.settings import Hydration
from shared.tables import members, selection, sql
from shared.tables.catalog import CUSTOMER_ID, ENRICHMENT, TABLES
from shared.tables.columns import columns
from shared.tables.discovery import Source
from shared.tables.naming import Part, is_ready_made, member_names
from shared.tables.values import OF_DATA_TYPE, Kind

_NOTHING = "NULL::VARCHAR"


def spelled(entity: Entity, *names: str) -> str:
    """How the entity spells the first of these attributes that it has; empty where it has none."""
    have = [attribute.name for attribute in entity.attributes]
    for wanted in names:
        alike = [name for name in have if name.casefold() == wanted.casefold()]
        if alike:
            return wanted if wanted in alike else alike[0]
    return ""


def member_attributes(table: str, source: Source) -> list[Attribute]:
    """The attributes that the JSON of the table holds, each name once; none of entities that are ready-made."""
    found: dict[str, Attribute] = {}
    for part in source.parts:
        if not is_ready_made(table, part.entity):
            found |= {one.name: one for one in _own(part)}
    return list(found.values())


@dataclass(frozen=True)
class _Measures:
    """SQL of one entity: id, customer and fault; where from; its measures by name, or the ready-made object."""

    head: str
    tail: str
    members: Mapping[str, str]
    ready: str


@dataclass(frozen=True)
class Aggregate:
    """The entities of one table, and what hydration.toml says of it."""

    reading: Reading
    table: str
    source: Source
    hydration: Hydration

    def define_measures(self) -> int:
        """The view `measure` (id, customer_id, content, fault): a row for each customer that an entity knows.

        Returns how many rows were left out for repeating a customer. Raises ConfigurationError.
        """
        self._refuse_repeated()
        parts = [self._measures_of(number, part) for number, part in enumerate(self.source.parts)]
        if len(parts) == 1:
            (part,) = parts
            content = part.ready or _object(part.members)
            self.reading.connection.execute(
                f"CREATE VIEW measure AS SELECT {part.head}, {content} AS content {part.tail}"
            )
            return 0
        repeated = sum(self._one_a_customer(number, part) for number, part in enumerate(parts))
        self._join(parts)
        return repeated

    def define_values(self) -> int:
        """The view `valued` (provider, title, customer_id, content, fault): a row for each row of each entity."""
        provider, title = ("EnrichmentProvider", "EnrichmentType") if self.table == ENRICHMENT else _OF_MODELS
        selects = []
        for number, part in enumerate(self.source.parts):
            customer = spelled(part.entity, CUSTOMER_ID)
            if is_ready_made(self.table, part.entity):
                names = {one: spelled(part.entity, one) for one in (provider, title, "Values")}
                self.reading.view(f"part_{number}", part.entity, [customer, *filter(None, names.values())])
                by, called = _or(names[provider], part.provider), _or(names[title], part.title)
                content, fault = members.value(names["Values"], Kind.MEMO), self._ready_fault(names["Values"])
            else:
                chosen = self._chosen(part)
                self.reading.view(f"part_{number}", part.entity, [customer, *(one.name for one in chosen)])
                by, called = sql.text(part.provider), sql.text(part.title)
                content, fault = _object({one.name: _value(one) for one in chosen}), _faults(chosen)
            selects.append(
                f"SELECT {by} AS provider, {called} AS title, bare({sql.name(customer)}) AS customer_id, "
                f"{content} AS content, {fault} AS fault FROM part_{number}"
            )
        self.reading.connection.execute(f"CREATE VIEW valued AS {' UNION ALL '.join(selects)}")
        return 0

    def define_memberships(self) -> int:
        """The view `membership` (provider, type, customer_id, segment, fault): a row for each member of each segment.

        A customer whose list is empty has one row without a segment.
        """
        selects = []
        for number, part in enumerate(self.source.parts):
            names = {one: spelled(part.entity, one) for one in ("SegmentProvider", "SegmentMembershipType", "Segments")}
            customer, segment = spelled(part.entity, CUSTOMER_ID), spelled(part.entity, *member_names(part.entity))
            ready = is_ready_made(self.table, part.entity)
            used = [customer, *filter(None, [*names.values(), segment])] if ready else [customer]
            self.reading.view(f"part_{number}", part.entity, used)
            fault, called = _NOTHING, sql.text(part.title)
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
        self.reading.connection.execute(f"CREATE VIEW membership AS {' UNION ALL '.join(selects)}")
        return 0

    # -- measures --------------------------------------------------------------------------------------

    def _measures_of(self, number: int, part: Part) -> _Measures:
        customer, ready, fault = spelled(part.entity, CUSTOMER_ID), "", _NOTHING
        chosen = self._chosen(part)
        if is_ready_made(self.table, part.entity):
            name = spelled(part.entity, "Measures")
            self.reading.view(f"part_{number}", part.entity, [customer, name])
            ready, fault = f"coalesce({members.value(name, Kind.MEMO)}, '{{}}')", self._ready_fault(name)
        else:
            self.reading.view(f"part_{number}", part.entity, [customer, *(one.name for one in chosen)])
            fault = _faults(chosen)
        whose = f"bare({sql.name(customer)})"
        head = f"id_guid({whose}) AS id, {whose} AS customer_id, {fault} AS fault"
        return _Measures(head, f"FROM part_{number}", {one.name: _value(one) for one in chosen}, ready)

    def _one_a_customer(self, number: int, part: _Measures) -> int:
        """The table of one of several entities, without rows that repeat a customer: the smallest valid one stays."""
        connection, table = self.reading.connection, f"measure_{number}"
        cells = "".join(f", {value} AS value_{place}" for place, value in enumerate(part.members.values()))
        connection.execute(f"CREATE TABLE {table} AS SELECT {part.head}{cells} {part.tail}")
        order = ", ".join(f"value_{place}" for place in range(len(part.members)))
        connection.execute(f"""
            DELETE FROM {table} WHERE rowid IN (
                SELECT place FROM (
                    SELECT rowid AS place, row_number() OVER (
                        PARTITION BY id ORDER BY fault NULLS FIRST, {order + "," if order else ""} customer_id) AS rank
                    FROM {table} WHERE id IN (SELECT id FROM {table} GROUP BY id HAVING count(*) > 1))
                WHERE rank > 1)""")
        (dropped,) = connection.fetchone() or (0,)
        return int(dropped)

    def _join(self, parts: Sequence[_Measures]) -> None:
        """All entities side by side: each customer's measures are one object, in the order of their names."""
        tables = [f"measure_{number}" for number in range(len(parts))]
        values = {
            name: f"measure_{number}.value_{place}"
            for number, part in enumerate(parts)
            for place, name in enumerate(part.members)
        }
        joined = " FULL JOIN ".join([tables[0], *(f"{table} USING (id)" for table in tables[1:])])
        customer = ", ".join(f"{table}.customer_id" for table in tables)
        fault = ", ".join(f"{table}.fault" for table in tables)
        self.reading.connection.execute(
            f"CREATE VIEW measure AS SELECT id, least({customer}) AS customer_id, coalesce({fault}) AS fault, "
            f"{_object(values)} AS content FROM {joined}"
        )

    def _refuse_repeated(self) -> None:
        """A measure in two entities could have two values."""
        parts, where = self.source.parts, f"[tables.{self.table}]"
        ready = [part.entity.name for part in parts if is_ready_made(self.table, part.entity)]
        if ready and len(parts) > 1:
            others = ", ".join(part.entity.name for part in parts if part.entity.name != ready[0])
            raise ConfigurationError(
                f"The entity {ready[0]} holds all measures of a customer, and {others} holds some too: name the ones "
                f"that count in hydration.toml ({where} entities)."
            )
        places = sorted((one.name, part.entity.name) for part in parts for one in self._chosen(part))
        for (name, first), (again, second) in pairwise(places):
            if name == again:
                raise ConfigurationError(
                    f"The measure {name} stands in the entities {first} and {second}: exclude it in hydration.toml "
                    f"({where} exclude), or name the entities that count (entities)."
                )

    # -- members ---------------------------------------------------------------------------------------

    @cached_property
    def _attributes(self) -> list[Attribute]:
        return member_attributes(self.table, self.source)

    @cached_property
    def _is_payload_written(self) -> bool:
        """Whether the column is written that holds the JSON: what is not written rejects nothing."""
        written = columns(self.table, self.hydration, self._attributes)
        return any(column.source == TABLES[self.table].payload for column in written)

    def _ready_fault(self, name: str) -> str:
        """What is not written rejects nothing."""
        return _json_fault(name, "OBJECT", "an object") if self._is_payload_written else _NOTHING

    def _chosen(self, part: Part) -> list[Attribute]:
        """The attributes that become members, in the order of their names, which is that of their code points."""
        if not self._is_payload_written or is_ready_made(self.table, part.entity):
            return []
        fields = [Attribute(field.name, "") for field in TABLES[self.table].fields]
        options = selection.of_members(self.hydration.options(self.table), fields)
        own = _own(part)
        kept = selection.chosen(own, options, always=())
        self._refuse_alike(kept, part.entity.name)
        return sorted(kept, key=lambda one: one.name)

    def _refuse_alike(self, kept: Sequence[Attribute], entity: str) -> None:
        """DuckDB does not tell names apart that differ in case only: one would get the other's values."""
        for first, second in pairwise(sorted(kept, key=lambda one: one.name.casefold())):
            if first.name.casefold() == second.name.casefold():
                raise ConfigurationError(
                    f"The attributes {first.name} and {second.name} of the entity {entity} differ in case only: "
                    f"exclude one of them in hydration.toml ([tables.{self.table}] exclude)."
                )


_OF_MODELS = ("ModelProvider", "Model")


def _own(part: Part) -> list[Attribute]:
    return [one for one in part.entity.attributes if one.name.casefold() != CUSTOMER_ID.casefold()]


def _kind(attribute: Attribute) -> Kind:
    return OF_DATA_TYPE.get(attribute.data_type, Kind.TEXT)


def _value(attribute: Attribute) -> str:
    return members.value(attribute.name, _kind(attribute))


def _faults(attributes: Sequence[Attribute]) -> str:
    found = [members.fault(one.name, _kind(one)) for one in attributes]
    return f"coalesce({', '.join([*found, _NOTHING])})"


def _object(values: Mapping[str, str]) -> str:
    """SQL: one JSON object of the values (SQL, by name) that are there, ordered by the code points of the names."""
    pieces = [f"{sql.text(json.dumps(name, ensure_ascii=False) + ':')} || {values[name]}" for name in sorted(values)]
    return f"'{{' || concat_ws(',', {', '.join([*pieces, _NOTHING])}) || '}}'"


def _listed(name: str) -> str:
    """SQL: one row for each member of a JSON list, one with null where there is none."""
    many = f"json_extract_string(CASE WHEN {_list_fault(name)} IS NULL THEN bare({sql.name(name)}) END, '$[*]')"
    return f"unnest(CASE WHEN len({many}) > 0 THEN {many} ELSE [NULL::VARCHAR] END)"


def _list_fault(name: str) -> str:
    return _json_fault(name, "ARRAY", "a list")


def _json_fault(name: str, kind: str, what: str) -> str:
    """SQL: why a cell is no JSON of that kind; NULL where it is, or where nothing stands in it."""
    valid, cell = members.fault(name, Kind.MEMO), f"bare({sql.name(name)})"
    other = f"json_type(CASE WHEN {valid} IS NULL THEN {cell} END) <> '{kind}'"
    return f"coalesce({valid}, CASE WHEN {other} THEN {sql.text(f'{name}: this is not {what}')} END)"


def _or(name: str, default: str) -> str:
    """SQL: what stands in the column, or the default where there is no column or nothing in it."""
    return f"coalesce(bare({sql.name(name)}), {sql.text(default)})" if name else sql.text(default)
