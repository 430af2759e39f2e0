"""Tables, columns, alternate keys and relationships of one organization: the model, and how it is stored.

Names compare in lower case (Dataverse's logical names); navigation properties keep their case.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

REMOVE_LINK, RESTRICT, CASCADE = "RemoveLink", "Restrict", "Cascade"
STANDARD, VIRTUAL, ELASTIC = "Standard", "Virtual", "Elastic"
FILE = "File"
PACKAGING = frozenset({"publisher", "solution", "solutioncomponent"})
"""Tables about customizations: their rows are metadata, no data of the organization."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `kind` is Dataverse's AttributeType; what the other facets mean depends on it."""

    logical_name: str
    kind: str
    schema_name: str = ""
    display_name: str = ""
    description: str = ""
    max_length: int | None = None
    precision: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    format: str | None = None
    behavior: str | None = None
    options: tuple[tuple[int, str], ...] = ()
    targets: tuple[str, ...] = ()
    required: str = "None"
    valid_for_create: bool = True
    valid_for_update: bool = True
    is_custom: bool = False
    default: int | None = None

    @property
    def is_file(self) -> bool:
        """Say whether this is a file column: it holds the id of its file, which no create or update may set."""
        return self.kind == "Uniqueidentifier" and self.format == FILE

    @property
    def property_name(self) -> str:
        """The column's name in the Web API: lookups are read as `_<column>_value`."""
        return f"_{self.logical_name}_value" if self.kind in LOOKUPS else self.logical_name


LOOKUPS = frozenset({"Lookup", "Customer"})
MANY_TARGETS = "Customer"


@dataclass(frozen=True, slots=True)
class Key:
    """An alternate key. `ready_at` is the time (Unix seconds) from which its index is reported Active."""

    logical_name: str
    schema_name: str
    display_name: str
    columns: tuple[str, ...]
    ready_at: float = 0.0
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Relationship:
    """One-to-many: each row of `referencing` may name a row of `referenced` in its lookup `column`."""

    schema_name: str
    referenced: str
    referencing: str
    column: str
    navigation: str
    collection: str
    on_delete: str = REMOVE_LINK
    is_custom: bool = False


@dataclass(frozen=True, slots=True)
class ManyToMany:
    """Rows of `first` and of `second` in pairs, kept in the SQL table `intersection`.

    `first_navigation` is the collection of the second table's rows that a row of the first one has.
    """

    schema_name: str
    first: str
    second: str
    intersection: str
    first_navigation: str
    second_navigation: str

    def other(self, table: str) -> str:
        """Return the table at the other end."""
        return self.second if table == self.first else self.first


@dataclass(slots=True)
class Table:
    """A table with its columns and keys. `shapes` caches how payloads of one set of property names are written.

    `kind` is Dataverse's TableType; `is_managed`: it is part of a managed solution, as every standard table is.
    """

    logical_name: str
    schema_name: str
    set_name: str
    primary_id: str
    primary_name: str
    display_name: str
    display_collection_name: str
    description: str = ""
    ownership: str = "UserOwned"
    is_custom: bool = False
    object_type_code: int = 10_000
    is_managed: bool = False
    is_customizable: bool = True
    kind: str = STANDARD
    tracks_changes: bool = False
    columns: dict[str, Column] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    shapes: dict[Any, Any] = field(default_factory=dict)
    properties: dict[str, Column] = field(default_factory=dict)

    def add(self, column: Column) -> None:
        """Add or replace a column."""
        self.columns[column.logical_name] = column
        self.properties[column.property_name] = column
        self.shapes.clear()

    def drop(self, logical_name: str) -> None:
        """Take a column away."""
        column = self.columns.pop(logical_name)
        self.properties.pop(column.property_name)
        self.shapes.clear()


class Catalog:
    """Everything an organization knows about its tables, indexed as requests ask for it."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}
        self.sets: dict[str, Table] = {}
        self.relationships: dict[str, Relationship] = {}
        self.intersections: dict[str, ManyToMany] = {}
        self.retired: dict[str, int] = {}

    def retire(self, *names: str) -> None:
        """Note that something of this name was deleted: another one of the same name gets another MetadataId."""
        name = "/".join(names)
        self.retired[name] = self.retired.get(name, 0) + 1

    def add_table(self, table: Table) -> None:
        """Add a table; a set name that is taken is a programming error of the caller."""
        self.tables[table.logical_name] = table
        self.sets[table.set_name] = table

    def drop_table(self, logical_name: str) -> None:
        """Take a table away with every relationship that touches it."""
        table = self.tables.pop(logical_name)
        self.sets.pop(table.set_name)
        touching = [r for r in self.relationships.values() if logical_name in (r.referenced, r.referencing)]
        for relationship in touching:
            del self.relationships[relationship.schema_name.lower()]
            self.retire("relationship", relationship.schema_name.lower())
        for pairs in [one for one in self.intersections.values() if logical_name in (one.first, one.second)]:
            self.drop_intersection(pairs)
        self.retire(logical_name)
        for column in table.columns:
            self.retire(logical_name, column)
        for key in table.keys:
            self.retire(logical_name, "key", key)

    def add_relationship(self, relationship: Relationship) -> None:
        """Add a relationship between two tables that exist."""
        self.relationships[relationship.schema_name.lower()] = relationship
        self.tables[relationship.referencing].shapes.clear()

    def drop_relationship(self, relationship: Relationship) -> None:
        """Take a relationship away."""
        del self.relationships[relationship.schema_name.lower()]
        self.retire("relationship", relationship.schema_name.lower())
        self.tables[relationship.referencing].shapes.clear()

    def drop_intersection(self, pairs: ManyToMany) -> None:
        """Take a many-to-many relationship away."""
        del self.intersections[pairs.schema_name.lower()]
        self.retire("relationship", pairs.schema_name.lower())

    def paired(self, table: str) -> dict[str, ManyToMany]:
        """Return the collections that a table has by many-to-many relationships."""
        found = {}
        for pairs in self.intersections.values():
            if pairs.first == table:
                found[pairs.first_navigation] = pairs
            if pairs.second == table:
                found[pairs.second_navigation] = pairs
        return found

    def navigations(self, table: str) -> dict[str, Relationship]:
        """Return the single-valued navigation properties of a table (case-sensitive, as in Dataverse)."""
        return {r.navigation: r for r in self.relationships.values() if r.referencing == table}

    def collections(self, table: str) -> dict[str, Relationship]:
        """Return the collection-valued navigation properties of a table."""
        return {r.collection: r for r in self.relationships.values() if r.referenced == table}

    def referencing(self, table: str) -> Iterator[Relationship]:
        """Yield the relationships through which other rows may name rows of a table."""
        return (r for r in self.relationships.values() if r.referenced == table)


def to_rows(catalog: Catalog) -> Iterator[tuple[str, str, str]]:
    """Yield (kind, name, JSON) for every table and relationship and for the names that were retired, to be stored."""
    for table in catalog.tables.values():
        yield "table", table.logical_name, table_json(table)
    for relationship in catalog.relationships.values():
        yield "relationship", relationship.schema_name.lower(), json.dumps(_plain(relationship))
    for pairs in catalog.intersections.values():
        yield "intersection", pairs.schema_name.lower(), json.dumps(_plain(pairs))
    yield "retired", "", json.dumps(catalog.retired)


def table_json(table: Table) -> str:
    """Return a table as JSON."""
    body = {name: value for name, value in _plain(table).items() if name not in ("shapes", "properties")}
    body["columns"] = [_plain(column) for column in table.columns.values()]
    body["keys"] = [_plain(key) for key in table.keys.values()]
    return json.dumps(body)


def _plain(found: Table | Column | Key | Relationship | ManyToMany) -> dict[str, Any]:
    """Return the fields of one object; ten times faster than asdict, which copies everything inside."""
    return {name: getattr(found, name) for name in type(found).__slots__}


def from_rows(rows: Iterable[tuple[str, str, str]]) -> Catalog:
    """Return the catalog that `to_rows` stored."""
    catalog = Catalog()
    readers: dict[str, Callable[[dict[str, Any]], None]] = {
        "table": lambda body: catalog.add_table(_table(body)),
        "relationship": lambda body: catalog.add_relationship(Relationship(**body)),
        "intersection": lambda body: catalog.intersections.update({body["schema_name"].lower(): ManyToMany(**body)}),
        "retired": catalog.retired.update,
    }
    for kind, _, body in sorted(rows, key=lambda row: row[0] != "table"):
        readers[kind](json.loads(body))
    return catalog


def _table(body: dict[str, Any]) -> Table:
    columns = body.pop("columns")
    keys = body.pop("keys")
    table = Table(**body)
    for column in columns:
        column["options"] = tuple((value, label) for value, label in column["options"])
        column["targets"] = tuple(column["targets"])
        table.add(Column(**column))
    table.keys = {key["logical_name"]: Key(**{**key, "columns": tuple(key["columns"])}) for key in keys}
    return table
