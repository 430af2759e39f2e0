"""What Dataverse must hold after a landing, computed from the lake's files by plain Python.

It imports nothing of the app and shares no rule with it: it is written from the requirements. `values` has the rules
for cells, `tables` those of each table, `reading` opens the lake.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.oracle import tables
from tests.oracle.reading import Entity, entities, parse
from tests.oracle.samples import BUSINESS_SAMPLE, BUSINESS_SOURCES, SAMPLE, SOURCES
from tests.oracle.tables import Built, Input, Source
from tests.oracle.values import NAMESPACE, Json, column, guid, json_value

__all__ = [
    "BUSINESS_SAMPLE",
    "BUSINESS_SOURCES",
    "NAMESPACE",
    "SAMPLE",
    "SOURCES",
    "TABLES",
    "Difference",
    "Entity",
    "Expected",
    "Input",
    "Json",
    "Source",
    "column",
    "difference",
    "entities",
    "expected",
    "guid",
    "json_value",
    "parse",
]

Row = dict[str, Any]
TABLES = ("CustomerProfile", *tables.COLUMNS)


@dataclass(frozen=True)
class Expected:
    """Rows by lower-case GUID, for every output table; links by logical name: source row -> profile.

    A row holds every cell by its column, a lookup as `_<column>_value`. `rejected` has, by table or logical name, the
    rows whose customer has no profile: they are not expected in Dataverse.
    """

    tables: dict[str, dict[str, Row]]
    links: dict[str, dict[str, str]]
    rejected: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def profiles(self) -> dict[str, Row]:
        return self.tables["CustomerProfile"]

    @property
    def alternate_keys(self) -> dict[str, Row]:
        return self.tables["AlternateKey"]

    def task(self, name: str) -> dict[str, Any]:
        """What one task answers for: the name of an output table, or a linked table's logical name."""
        return self.tables[name] if name in self.tables else self.links[name]


@dataclass(frozen=True)
class Difference:
    """Row ids by what must happen to them."""

    created: frozenset[str]
    changed: frozenset[str]
    removed: frozenset[str]
    unchanged: frozenset[str]

    @property
    def writes(self) -> int:
        return len(self.created) + len(self.changed) + len(self.removed)


def expected(
    lake: Path,
    environment: str,
    sources: Sequence[Source],
    prefix: str = "msdynci",
    *,
    audience: str = "individuals",
    inputs: Sequence[Input] | None = None,
    keep_days: float | None = None,
    now: datetime | None = None,
) -> Expected:
    """What Dataverse holds after a landing.

    `inputs` says which entity is which table, beside the entities that say so by annotation; the default is that of the
    sample, and entities that the lake does not have stand for nothing. ContactProfile is for businesses only. With
    `keep_days`, activities older than that at `now` are left out.
    """
    assert (keep_days is None) == (now is None), "what is older than some days depends on the time"
    oldest = now - timedelta(days=keep_days) if now and keep_days else None
    found = entities(lake, environment)
    customer = next(entity for entity in found if entity.name.lower() in ("customer", "customerprofile"))
    profiles = _profiles(customer, prefix)
    default = BUSINESS_SAMPLE if audience == "businesses" else SAMPLE
    named = _named(found, default if inputs is None else inputs)
    if audience != "businesses":
        named["ContactProfile"] = []
    keys = list(tables.keys(named["AlternateKey"], customer, sources))
    rows = {table: _rows(table, built, prefix) for table, built in tables.all_but_profiles(named, keys, oldest).items()}
    contacts = list(tables.contact_profiles(named["ContactProfile"]))
    links = {one.logical_name: _links(one, keys, contacts, profiles) for one in sources if one.logical_name}
    lookup = _lookup(prefix)
    return Expected(
        {"CustomerProfile": profiles}
        | {table: {key: row for key, row in mine.items() if row[lookup] in profiles} for table, mine in rows.items()},
        {table: {key: to for key, to in mine.items() if to in profiles} for table, mine in links.items()},
        {table: {key: row for key, row in mine.items() if row[lookup] not in profiles} for table, mine in rows.items()}
        | {table: {key: to for key, to in mine.items() if to not in profiles} for table, mine in links.items()},
    )


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> Difference:
    both = before.keys() & after.keys()
    changed = frozenset(each for each in both if before[each] != after[each])
    return Difference(
        created=frozenset(after.keys() - before.keys()),
        changed=changed,
        removed=frozenset(before.keys() - after.keys()),
        unchanged=frozenset(both) - changed,
    )


def _profiles(customer: Entity, prefix: str) -> dict[str, Row]:
    """CustomerProfile: every attribute of the lake's customers."""
    types = dict(customer.attributes)
    profiles: dict[str, Row] = {}
    for row in customer.rows():
        assert row["CustomerId"], "a profile without an id has no place in the oracle"
        cells = {column(name, prefix): json_value(text, types[name]) for name, text in row.items()}
        assert profiles.setdefault(guid(row["CustomerId"]), cells) is cells, "two profiles of one id"
    return profiles


def _named(found: Sequence[Entity], inputs: Sequence[Input]) -> dict[str, list[tuple[Input, Entity]]]:
    """The entities of each table: those that the caller names, then those that name themselves."""
    by_name = {one.entity.lower(): one for one in inputs}
    assert len(by_name) == len(inputs), "an entity stands for one table"
    named: dict[str, list[tuple[Input, Entity]]] = {table: [] for table in tables.COLUMNS}
    for entity in found:
        one = by_name.get(entity.name.lower()) or _annotated(entity)
        if one:
            named[one.table].append((one, entity))
    return named


def _annotated(entity: Entity) -> Input | None:
    said = {name.rpartition(":")[2].lower(): value for name, value in entity.annotations.items()}
    table = said.get("outputtable")
    if table is None:
        return None
    subject = said.get("type") or said.get("model") or said.get("segment") or entity.name
    return Input(table, entity.name, provider=said.get("provider", tables.PROVIDER), subject=subject)


def _links(
    source: Source, keys: Sequence[Built], contacts: Sequence[Built], profiles: Mapping[str, Row]
) -> dict[str, str]:
    """The source's rows among the keys, each with its customer; contacts with the account that they are mapped to.

    The customer of a key may be a contact instead of a profile, who stands for the account.
    """
    accounts = {guid(one.cells["ContactId"]): one.customer for one in contacts}
    accounts = {contact: account for contact, account in accounts.items() if contact not in profiles}
    claims = [
        (one.cells["AlternateValue"], accounts.get(guid(one.customer), one.customer))
        for one in keys
        if (one.cells["DataSourceName"], one.cells["EntityName"]) == (source.data_source, source.entity)
    ]
    claims += [(one.cells["ContactId"], one.customer) for one in contacts if source.holds(one.cells["EntityName"])]
    links: dict[str, str] = {}
    for value, customer in claims:
        assert links.setdefault(guid(value), guid(customer)) == guid(customer), "a source row of two customers"
    return links


def _rows(table: str, built: Iterable[Built], prefix: str) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for one in built:
        assert one.id not in rows, f"{table} holds a key twice"
        cells = {column(name, prefix): value for name, value in one.cells.items()}
        rows[one.id] = cells | {_lookup(prefix): guid(one.customer)}
    return rows


def _lookup(prefix: str) -> str:
    return f"_{prefix}_lookupfield_customer_value"
