"""Rows of the output tables, from the rows of the lake's entities. Written from the requirements, table by table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.oracle import values
from tests.oracle.reading import Entity
from tests.oracle.reading import Row as Cells

COLUMNS = {
    "ContactProfile": [
        "BirthDate",
        "City",
        "ContactId",
        "CountryOrRegion",
        "CustomerId",
        "EntityName",
        "FirstName",
        "Gender",
        "Id",
        "Identifier",
        "JobTitle",
        "LastName",
        "PostalCode",
        "PrimaryEmail",
        "PrimaryPhone",
        "StateOrProvince",
        "StreetAddress",
    ],
    "AlternateKey": ["DataSourceName", "EntityName", "AlternateValue", "KeyRing", "CustomerId", "Identifier"],
    "UnifiedActivity": [
        "CustomerId",
        "ActivityId",
        "SourceEntityName",
        "SourceActivityId",
        "ActivityType",
        "ActivityTimeStamp",
        "Title",
        "Description",
        "URL",
        "SemanticData",
        "RangeIndex",
    ],
    "CustomerMeasure": ["CustomerId", "Measures", "Identifier"],
    "Enrichment": ["CustomerId", "EnrichmentProvider", "EnrichmentType", "Values", "Identifier"],
    "Prediction": ["CustomerId", "ModelProvider", "Model", "Values", "Identifier"],
    "SegmentMembership": ["CustomerId", "SegmentProvider", "SegmentMembershipType", "Segments", "Identifier"],
}
"""The requirements' columns but the GUID, which is the row's key. CustomerProfile has those of the lake."""

PROVIDER = "Audience insights"
SEGMENTS = "Segments"
"""The fixed Name in the identifier of a membership row: it aggregates all segments and has no name of its own."""


@dataclass(frozen=True)
class Input:
    """An entity of the lake and what it stands for in an output table.

    `subject` is the enrichment's type, the model or the segment; `membership` the type of a segment's members.
    `ready_made`: the entity's attributes are columns of the table (and SegmentName, one row a membership).
    """

    table: str
    entity: str
    provider: str = PROVIDER
    subject: str = ""
    membership: str = "Customer"
    ready_made: bool = False


@dataclass(frozen=True)
class Source:
    """A unified source table; `logical_name` only when it is ingested from the connected Dataverse."""

    data_source: str
    entity: str
    key_column: str  # the attribute of Customer that holds its keys; of no meaning where the lake has AlternateKey
    logical_name: str | None = None

    def holds(self, entity_name: str | None) -> bool:
        """Whether a contact with this EntityName is one of its rows: <DataSource>_<Table>, in any case."""
        return values.trimmed(entity_name or "").lower() == f"{self.data_source}_{self.entity}".lower()


@dataclass(frozen=True)
class Built:
    """A row: its GUID, its cells by the requirements' columns, and the customer it belongs to."""

    id: str
    cells: Mapping[str, Any]

    @property
    def customer(self) -> str:
        return str(self.cells["CustomerId"])


Inputs = Sequence[tuple[Input, Entity]]


def all_but_profiles(
    named: Mapping[str, Inputs], alternate_keys: Iterable[Built], oldest: datetime | None
) -> dict[str, Iterable[Built]]:
    """The rows of every table that belongs to a profile; activities from before `oldest` are left out."""
    return {
        "ContactProfile": contact_profiles(named["ContactProfile"]),
        "AlternateKey": alternate_keys,
        "UnifiedActivity": activities(named["UnifiedActivity"], oldest),
        "CustomerMeasure": measures(named["CustomerMeasure"]),
        "Enrichment": enrichments(named["Enrichment"]),
        "Prediction": predictions(named["Prediction"]),
        "SegmentMembership": memberships(named["SegmentMembership"]),
    }


def contact_profiles(inputs: Inputs) -> Iterator[Built]:
    for _, entity in inputs:
        for row in entity.rows():
            identifier = f"ContactProfile|{_id(row, 'CustomerId')}|{_id(row, 'ContactId')}"
            row_id = values.uuid5(identifier)
            own = {"Id": row_id, "Identifier": identifier, "BirthDate": values.seconds(row.get("BirthDate"))}
            yield Built(row_id, _cells("ContactProfile", row) | own)


def keys(inputs: Inputs, customer: Entity, sources: Sequence[Source]) -> Iterator[Built]:
    """AlternateKey: the lake's own rows as they are; where it has none, from the key columns of Customer.

    A ring that the lake does not have is that of all the customer's keys in the source table.
    """
    if not inputs:
        yield from _keys_of_profiles(customer.rows(), sources)
    rows = [row for _, entity in inputs for row in entity.rows()]
    owned: dict[tuple[str, ...], set[str]] = {}
    for row in rows:
        owned.setdefault(_owner(row), set()).add(_id(row, "AlternateValue"))
    for row in rows:
        data_source, entity_name, _ = _owner(row)
        ring = row.get("KeyRing") or _ring(data_source, entity_name, sorted(owned[_owner(row)]))
        yield _key(row | {"KeyRing": ring})


def _keys_of_profiles(customers: Iterable[Cells], sources: Sequence[Source]) -> Iterator[Built]:
    """Several keys in a cell are separated by semicolons."""
    owners: dict[Source, dict[str, tuple[str, list[str]]]] = {source: {} for source in sources}
    for customer in customers:
        for source in sources:
            ring = sorted({piece.strip() for piece in (customer[source.key_column] or "").split(";")} - {""})
            owners[source].update(dict.fromkeys(ring, (str(customer["CustomerId"]), ring)))
    for source, owned in owners.items():
        for key, (customer_id, ring) in owned.items():
            text = _ring(source.data_source, source.entity, ring)
            names = {"DataSourceName": source.data_source, "EntityName": source.entity}
            yield _key(names | {"AlternateValue": key, "KeyRing": text, "CustomerId": customer_id})


def _owner(row: Cells) -> tuple[str, ...]:
    """Whose key of which source table a row of AlternateKey is."""
    return _id(row, "DataSourceName"), _id(row, "EntityName"), values.guid(_id(row, "CustomerId"))


def _ring(data_source: str, entity: str, ring: Sequence[str]) -> str:
    """The JSON of the keys, which are sorted: the preferred one is the smallest."""
    entry = {"dataSourceName": data_source, "entityName": entity, "preferredKey": ring[0], "keys": ring}
    return json.dumps([entry], ensure_ascii=False, separators=(",", ":"))


def activities(inputs: Inputs, oldest: datetime | None) -> Iterator[Built]:
    """All activities, but for those that happened before `oldest`."""
    for _, entity in inputs:
        for row in entity.rows():
            stamp = row.get("ActivityTimeStamp")
            if oldest and stamp and values.moment(stamp)[0] < oldest:
                continue
            cells = _cells("UnifiedActivity", row) | {"ActivityTimeStamp": values.seconds(stamp)}
            yield Built(values.guid(_id(row, "ActivityId")), cells)


def measures(inputs: Inputs) -> Iterator[Built]:
    """One row for every customer of any entity of measures."""
    found: dict[str, tuple[str, dict[str, tuple[str | None, str]]]] = {}
    for one, entity in inputs:
        for row in entity.rows():
            if one.ready_made:
                yield _measured(str(row["CustomerId"]), row["Measures"])
                continue
            _, mine = found.setdefault(values.guid(_id(row, "CustomerId")), (str(row["CustomerId"]), {}))
            own = _attributes(entity, row)
            assert not own.keys() & mine.keys(), "a measure in two entities"
            mine.update(own)
    for customer_id, mine in found.values():
        yield _measured(customer_id, values.json_object(mine))


def enrichments(inputs: Inputs) -> Iterator[Built]:
    for one, entity in inputs:
        for row in entity.rows():
            provider = one.provider if not one.ready_made else row.get("EnrichmentProvider") or PROVIDER
            kind = one.subject if not one.ready_made else str(row["EnrichmentType"])
            content = row["Values"] if one.ready_made else values.json_object(_attributes(entity, row))
            identifier = "|".join(map(values.trimmed, (provider, kind, _id(row, "CustomerId"))))
            yield _identified(row, identifier, EnrichmentProvider=provider, EnrichmentType=kind, Values=content)


def predictions(inputs: Inputs) -> Iterator[Built]:
    for one, entity in inputs:
        for row in entity.rows():
            provider = one.provider if not one.ready_made else row.get("ModelProvider") or PROVIDER
            model = one.subject if not one.ready_made else str(row["Model"])
            content = row["Values"] if one.ready_made else values.json_object(_attributes(entity, row))
            identifier = "|".join(map(values.trimmed, (model, provider, _id(row, "CustomerId"))))
            yield _identified(row, identifier, ModelProvider=provider, Model=model, Values=content)


def memberships(inputs: Inputs) -> Iterator[Built]:
    """One row for every customer, provider and type, with the names of all its segments."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for one, entity in inputs:
        for row in entity.rows():
            mine = (str(row["CustomerId"]), one.provider, one.membership)
            name = one.subject
            if one.ready_made:
                mine = (mine[0], row.get("SegmentProvider") or PROVIDER, row.get("SegmentMembershipType") or mine[2])
                if "Segments" in row:
                    yield _membership(*mine, row["Segments"])
                    continue
                name = str(row["SegmentName"])
            found.setdefault(mine, set()).add(name)
    for mine, names in found.items():
        yield _membership(*mine, values.json_list(names))


def _key(row: Mapping[str, str | None]) -> Built:
    identifier = "|".join(_id(row, name) for name in ("DataSourceName", "EntityName", "AlternateValue"))
    return Built(values.uuid5(identifier), _cells("AlternateKey", row) | {"Identifier": identifier})


def _measured(customer_id: str, content: str | None) -> Built:
    identifier = f"Customer_Measure|{values.trimmed(customer_id)}"
    cells = {"CustomerId": customer_id, "Measures": content, "Identifier": identifier}
    return Built(values.guid(customer_id), cells)


def _membership(customer_id: str, provider: str, kind: str, content: str | None) -> Built:
    identifier = "|".join(map(values.trimmed, (customer_id, provider, kind, SEGMENTS)))
    cells = {"SegmentProvider": provider, "SegmentMembershipType": kind, "Segments": content}
    return _identified({"CustomerId": customer_id}, identifier, **cells)


def _identified(row: Mapping[str, str | None], identifier: str, **cells: str | None) -> Built:
    return Built(values.uuid5(identifier), {"CustomerId": row["CustomerId"], **cells, "Identifier": identifier})


def _attributes(entity: Entity, row: Cells) -> dict[str, tuple[str | None, str]]:
    return {name: (row[name], kind) for name, kind in entity.attributes if name != "CustomerId"}


def _cells(table: str, row: Mapping[str, str | None]) -> dict[str, Any]:
    return {name: row.get(name) for name in COLUMNS[table]}


def _id(row: Mapping[str, str | None], name: str) -> str:
    """A part of an identifier, without the spaces around it."""
    text = values.trimmed(row[name] or "")
    assert text, f"a row without {name} has no place in the oracle"
    return text
