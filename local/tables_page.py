"""`python -m local.tables_page`: writes docs/tables.md, the output tables as the catalog and the SQL have them.

Nothing on the page is written by hand twice: columns, identifiers and keys come from the catalog, and the example rows
are made by the very SQL that makes rows from a lake.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import duckdb

from shared import inputs
from shared.lake.manifest import Attribute, Entity
from shared.lake.snapshot import Snapshot
from shared.reading import Reading
from shared.settings import Hydration
from shared.settings.model import Environment, Removal
from shared.tables import catalog, rows, sql
from shared.tables.catalog import ALTERNATE_KEY, CUSTOMER_PROFILE, TABLES, OutputTable
from shared.tables.columns import columns
from shared.tables.discovery import Source
from shared.tables.macros import MACROS
from shared.tables.naming import NAMES, PROVIDER, Part
from shared.tables.values import OF_DATA_TYPE, Column, Kind

if TYPE_CHECKING:
    from shared.services import Services

PAGE = Path(__file__).resolve().parent.parent / "docs" / "tables.md"
PREFIX = "msdynci"
_CUSTOMER = "0f2e1c3a-5b7d-4e9f-8a1b-2c3d4e5f6071"
_CONFIGURED = Hydration(
    publisher_prefix=PREFIX, settle_seconds=0, whole_within_seconds=0,
    environments={"example": Environment("example", "https://contoso.crm.dynamics.com", "individuals")},
    data_sources={}, tables={}, removal=Removal(),
)  # fmt: skip

# What the lake holds in the examples: the entity, its attributes with their data types, and the cells of one row.
_EXAMPLES: Mapping[str, tuple[str, dict[str, tuple[str, str]]]] = {
    "CustomerProfile": ("Customer", {
        "CustomerId": ("string", _CUSTOMER), "FullName": ("string", "Zoë Novák"), "BirthDate": ("date", "1980-02-29"),
        "LoyaltyPoints": ("int64", "1200"), "CRM_contact_contactid": ("string", "7b1a2c3d-0000-4000-8000-00000000c001"),
    }),
    "ContactProfile": ("ContactProfile", {
        "CustomerId": ("string", _CUSTOMER), "ContactId": ("string", "CON-17"), "FirstName": ("string", "Zoë"),
        "LastName": ("string", "Novák"), "BirthDate": ("dateTime", "1980-02-29T00:00:00Z"),
    }),
    "AlternateKey": ("AlternateKey", {
        "DataSourceName": ("string", "datasource5"), "EntityName": ("string", "contact1"),
        "AlternateValue": ("string", "cntid_1078"), "CustomerId": ("string", _CUSTOMER),
    }),
    "UnifiedActivity": ("UnifiedActivity", {
        "CustomerId": ("string", _CUSTOMER), "ActivityId": ("string", "ORD-2026-000017"),
        "SourceEntityName": ("string", "Shop_orders"), "SourceActivityId": ("string", "000017"),
        "ActivityType": ("string", "SalesOrder"), "ActivityTimeStamp": ("dateTime", "2026-03-01T09:30:00Z"),
        "Title": ("string", "Order 17"), "SemanticData": ("string", '{"total":12.5}'),
        "RangeIndex": ("string", "1772357400"),
    }),
    "CustomerMeasure": ("Customer_Measure", {
        "CustomerId": ("string", _CUSTOMER), "TotalPurchases": ("decimal", "149.90"), "Purchases": ("int64", "3"),
        "Tier": ("string", "Gold"), "LastClaim": ("date", ""),
    }),
    "Enrichment": ("BrandShareOfVoiceFromMicrosoft", {
        "CustomerId": ("string", _CUSTOMER), "Brand": ("string", "Contoso"), "Affinity": ("double", "0.75"),
    }),
    "Prediction": ("Prediction_Churn", {
        "CustomerId": ("string", _CUSTOMER), "ChurnScore": ("double", "0.125"), "AsOf": ("date", "2026-03-01"),
    }),
    "SegmentMembership": ("Segment_HighValue", {"CustomerId": ("string", _CUSTOMER)}),
}  # fmt: skip


@dataclass(frozen=True)
class _Example(Reading):
    """Reads one row of an example instead of a lake."""

    def view(self, name: str, entity: Entity, attributes: Sequence[str]) -> None:
        cells = dict(_cells(entity.name))
        picked = ", ".join(f"nullif({sql.text(cells[one])}, '') AS {sql.name(one)}" for one in attributes)
        self.connection.execute(f"CREATE VIEW {name} AS SELECT {picked}")


def page() -> str:
    """The whole page."""
    return "\n".join(["\n".join(_head()), *("\n".join(_section(table)) for table in TABLES.values())]) + "\n"


def main() -> None:
    """Write docs/tables.md."""
    PAGE.write_text(page(), encoding="utf-8")


def _head() -> Iterator[str]:
    yield "# The output tables"
    yield ""
    yield "Made by `make docs` from `shared/tables/catalog.py` and the SQL beside it; a test keeps it true."
    yield ""
    yield from _RULES.strip().splitlines()
    yield ""


_RULES = f"""
- **Names.** A table or column is called by the publisher's prefix (`publisher_prefix`, here `{PREFIX}`) and its name
  in lower case, without what Dataverse does not allow in a name.
- **Keys.** The primary key is a GUID that follows from the row's id alone, for ever. Where the requirement says that
  the GUID *is* the id and its text is a GUID, with or without dashes or braces, it is that GUID; anything else is
  UUIDv5 of the text in UTF-8 under the namespace `6b1e5d0c-6f4e-5c58-9b0a-3a8e0d2c7f41`. Spaces around an id do not
  count.
- **Lookup.** Every table but CustomerProfile has the lookup `{PREFIX}_lookupfield_customer` to the profile; it is
  emptied when the profile is deleted. A row whose customer has no profile is rejected.
- **Types.** Texts are as long as the table says, measured in UTF-16 units; a longer one rejects its row, unless
  `lengths` or `truncate` of the table says otherwise. Whole numbers have 32 bits. Decimals are written exactly, with
  at most 10 places. Doubles are rounded to the column's places (5), half away from zero, as decimals. Dates go from
  1753 to 9999. What does not fit its type rejects its row, and so does an id that is empty or no UTF-8 (nothing of
  that table is removed in such a run, because it could be any row's); only a profile without a CustomerId fails its
  table. A moment without a time zone is in UTC, and a column keeps whole seconds of it.
- **JSON** that is made of attributes is canonical: no spaces, members in the order of their names by code point,
  numbers as numbers. A measure or attribute without a value is left out; a quoted empty text is a value. A ready-made
  object is minified and its members ordered; a JSON text in a column of its own (SemanticData, an attribute of the
  profile) stays as the lake has it.
- **Which entities.** By `[tables.<table>] entities` of `hydration.toml`, which is then the only source; else by an
  annotation `OutputTable`; else by the names below, whatever their case. `Provider`, `Type`, `Model` and `Segment`
  are annotations too, and keys of `entities`. Without them the provider is `{PROVIDER}` (of `<Type>From<Provider>`
  the one in the name), and the type, model or segment is the entity's name without its prefix. The membership type is
  `Customer`; in a business environment `Contact` where the entity has a ContactId, else `Account`. A name in
  `entities` counts before a pattern. Attributes are found whatever their case, but for the profile's CustomerId,
  which must be spelled so.
- **Several manifests.** The newest that names a table decides. Of a table that is made of several entities the newest
  whole version of each is taken; while a manifest cannot be read such a table fails, because a part may be missing.
- **Ready-made.** An entity whose attributes are all columns of the table is taken row by row (SegmentMembership: also
  one row for each membership, with the segment in `SegmentName`); identifiers and GUIDs are made all the same.
"""


def _section(table: OutputTable) -> Iterator[str]:
    yield f"## {table.name}"
    yield ""
    yield f"{table.about} Dataverse: `{catalog.table_name(PREFIX, table.name)}`, addressed as "
    yield f"`{catalog.set_name(PREFIX, table.name)}`."
    yield ""
    yield f"- Entities: {', '.join(f'`{name}`' for name in NAMES[table.name])}{_or_derived(table)}"
    yield f"- Identifier: {f'`{table.identifier}`' if table.identifier else 'none'}{_name_rule(table)}"
    yield f"- `{catalog.key_name(PREFIX, table.name)}`: {table.guid}"
    yield ""
    yield "| Column | Type | Meaning |"
    yield "|---|---|---|"
    yield from _columns(table)
    yield ""
    yield "Example:"
    yield ""
    yield "```json"
    yield json.dumps(_record(table), indent=1, ensure_ascii=False)
    yield "```"
    yield ""


def _or_derived(table: OutputTable) -> str:
    derived = ". Where there is none: the profile's columns `{DataSource}_{Table}_{PrimaryKeyColumn}`"
    return derived if table.name == ALTERNATE_KEY else ""


def _name_rule(table: OutputTable) -> str:
    return "; `Name` is the word `Segments`, for the row holds all of them" if "|Name" in table.identifier else ""


def _data_types() -> Iterator[str]:
    yield "| Data type in the lake | Column of the profile |"
    yield "|---|---|"
    for name, kind in OF_DATA_TYPE.items():
        yield f"| `{name}` | {_OF_KIND[kind]} |"


_OF_KIND = {
    Kind.TEXT: "text, 4,000",
    Kind.GUID: "text, 4,000, as it is spelled; what is no GUID is rejected",
    Kind.MEMO: "multiline text, 1,048,576",
    Kind.INTEGER: "whole number",
    Kind.DECIMAL: "decimal, 10 places",
    Kind.DOUBLE: "double, 5 places",
    Kind.BOOLEAN: "yes/no (from `true`, `false`, `1`, `0`)",
    Kind.DATE: "date only",
    Kind.DATETIME: "date and time, UserLocal",
}


def _columns(table: OutputTable) -> Iterator[str]:
    if not table.fields:
        yield f"| `{PREFIX}_customerid` | text, 100 | ID of the customer |"
        yield f"| `{PREFIX}_<attribute>` | by its data type | every other attribute of the unified profile |"
        yield ""
        yield from _data_types()
        return
    made = {column.source: column for column in columns(table.name, _CONFIGURED)}
    for field in table.fields:
        column = made[field.name]
        yield f"| `{column.logical_name}` | {_type(column)} | {field.about} |"
    yield f"| `{PREFIX}_{catalog.LOOKUP}` | lookup to `{catalog.table_name(PREFIX, CUSTOMER_PROFILE)}` | The customer |"


def _type(column: Column) -> str:
    if column.kind is Kind.DATETIME:
        return f"date and time, {column.behavior}"
    return f"{'multiline text' if column.kind is Kind.MEMO else 'text'}, {column.max_length:,}"


# -- examples ------------------------------------------------------------------------------------------


def _cells(entity: str) -> dict[str, str]:
    attributes = next(given for name, given in _EXAMPLES.values() if name == entity)
    return {name: cell for name, (_, cell) in attributes.items()}


def _record(table: OutputTable) -> object:
    name, given = _EXAMPLES[table.name]
    entity = Entity(name, tuple(Attribute(attribute, kind) for attribute, (kind, _) in given.items()))
    titles = {"Enrichment": ("Microsoft", "BrandShareOfVoice"), "Prediction": (PROVIDER, "Churn")}
    provider, title = titles.get(table.name, (PROVIDER, "HighValue"))
    source = Source((Part(entity, provider, title, "Customer"),))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(MACROS)
        connection.execute(f"CREATE VIEW profile AS SELECT '{_CUSTOMER}'::UUID AS id, '' AS born")
        reading = _Example(connection, cast("Services", None), cast("Snapshot", None))
        drafted = _rows(reading, table.name, source)
        found = connection.execute(f"SELECT {drafted.record} FROM ({drafted.select})").fetchone()
    return json.loads(found[0] if found else "{}")


def _rows(reading: Reading, table: str, source: Source) -> rows.Rows:
    made = columns(table, _CONFIGURED, inputs.attributes(table, source))
    if table == CUSTOMER_PROFILE:
        reading.view("customer", source.parts[0].entity, [column.source for column in made])
        return rows.profile(made, _CONFIGURED)
    if table == ALTERNATE_KEY:
        reading.view("alternate_key_table", source.parts[0].entity, [*_cells(ALTERNATE_KEY)])
        reading.connection.execute(f"CREATE TABLE alternate_key AS {rows.keys_of_table(ring=False)}")
    else:
        inputs.define(reading, table, source, _CONFIGURED)
    written = inputs.written(table, source)
    kept = [column for column in made if column.source in written]
    return rows.output(table, kept, _CONFIGURED, catalog.set_name(PREFIX, CUSTOMER_PROFILE))


if __name__ == "__main__":
    main()
