"""The tables publisher, solution and solutioncomponent, and the rows that every organization has in them.

Sources: Microsoft's references of these tables (columns, lengths, which may be written). Owners, addresses and the
columns of Microsoft's marketplace are left out.
"""

from __future__ import annotations

from dataclasses import replace

from local.dataverse.metadata import CASCADE, RESTRICT, Catalog, Column, Relationship, Table
from local.dataverse.standard import read_only, system_columns
from local.dataverse.storage import Store

DEFAULT_PUBLISHER = "d21aab71-79e7-11dd-8874-00188b01e34f"
DEFAULT_SOLUTION = "fd140aaf-4df4-11dd-bd17-0019b9312238"
ACTIVE_SOLUTION = "fd140aae-4df4-11dd-bd17-0019b9312238"
DEFAULT_PREFIX = "new"
ENTITY, ATTRIBUTE, RELATIONSHIP = 1, 2, 10
INCLUDE_SUBCOMPONENTS, WITHOUT_SUBCOMPONENTS, SHELL_ONLY = 0, 1, 2

COMPONENT_TYPES = ((ENTITY, "Entity"), (ATTRIBUTE, "Attribute"), (RELATIONSHIP, "Entity Relationship"))
BEHAVIORS = (
    (INCLUDE_SUBCOMPONENTS, "Include Subcomponents"),
    (WITHOUT_SUBCOMPONENTS, "Do not include subcomponents"),
    (SHELL_ONLY, "Include As Shell Only"),
)
# The prefix's number has no default in the reference, yet Microsoft's sample "Create a publisher" leaves it out.
PUBLISHER = (
    Column("uniquename", "String", max_length=256, required="SystemRequired"),
    Column("friendlyname", "String", max_length=256, required="SystemRequired"),
    Column("customizationprefix", "String", max_length=8, required="SystemRequired"),
    Column("customizationoptionvalueprefix", "Integer", minimum=10_000, maximum=99_999, default=10_000),
    Column("description", "String", max_length=2_000),
    Column("emailaddress", "String", max_length=100),
    Column("supportingwebsiteurl", "String", max_length=200),
    read_only(Column("isreadonly", "Boolean", default=0)),
)
SOLUTION = (
    Column("uniquename", "String", max_length=65, required="SystemRequired", valid_for_update=False),
    Column("friendlyname", "String", max_length=256, required="SystemRequired"),
    Column("version", "String", max_length=256, required="SystemRequired"),
    Column("description", "String", max_length=2_000),
    read_only(Column("ismanaged", "Boolean", default=0)),
    read_only(Column("isvisible", "Boolean", default=1)),
)
COMPONENT = (
    Column("componenttype", "Picklist", options=COMPONENT_TYPES, required="SystemRequired"),
    Column("objectid", "Uniqueidentifier"),
    Column("rootcomponentbehavior", "Picklist", options=BEHAVIORS),
    Column("rootsolutioncomponentid", "Uniqueidentifier"),
    Column("ismetadata", "Boolean", default=1),
)
TABLES: tuple[tuple[str, str, str, int, tuple[Column, ...]], ...] = (
    ("publisher", "Publisher", "friendlyname", 7_101, PUBLISHER),
    ("solution", "Solution", "friendlyname", 7_100, SOLUTION),
    ("solutioncomponent", "Solution Component", "", 7_103, tuple(read_only(column) for column in COMPONENT)),
)
RELATIONSHIPS = (
    Relationship(
        "publisher_solution", "publisher", "solution", "publisherid", "publisherid", "publisher_solution", RESTRICT
    ),
    Relationship(
        "solution_solutioncomponent", "solution", "solutioncomponent", "solutionid", "solutionid",
        "solution_solutioncomponent", CASCADE,
    ),
)  # fmt: skip
STATES = ("statecode", "statuscode")


def add_packaging_tables(catalog: Catalog, store: Store, host: str) -> None:
    """Add the three tables, the default publisher, and the solutions Default and Active."""
    for name, display, primary_name, code, columns in TABLES:
        table = Table(
            name, display.replace(" ", ""), name + "s", name + "id", primary_name, display, display + "s",
            ownership="OrganizationOwned", object_type_code=code, is_managed=True, is_customizable=False,
        )  # fmt: skip
        for column in system_columns(table.primary_id):
            if column.logical_name not in STATES:
                _add(table, column)
        for column in columns:
            _add(table, column)
        catalog.add_table(table)
        store.create_table(table)
    for relationship in RELATIONSHIPS:
        catalog.add_relationship(relationship)
        child = catalog.tables[relationship.referencing]
        lookup = Column(relationship.column, "Lookup", targets=(relationship.referenced,), required="SystemRequired")
        _add(child, lookup if child.logical_name == "solution" else read_only(lookup))
        store.add_column(child, child.columns[relationship.column])
    _add_rows(store, host.partition(".")[0])


def _add(table: Table, column: Column) -> None:
    name = column.logical_name
    table.add(replace(column, schema_name=name, display_name=column.display_name or name.title()))


def _add_rows(store: Store, name: str) -> None:
    now = "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')"
    stamps = f"{now}, {now}, ?"
    store.write(
        "INSERT INTO publisher (createdon, modifiedon, versionnumber, publisherid, uniquename, friendlyname, "
        f"customizationprefix) VALUES ({stamps}, ?, ?, ?, ?)",
        [
            (
                store.next_version(), DEFAULT_PUBLISHER, f"DefaultPublisherFor{name}", f"Default Publisher for {name}",
                DEFAULT_PREFIX,
            )
        ],
    )  # fmt: skip
    store.write(
        "INSERT INTO solution (createdon, modifiedon, versionnumber, solutionid, uniquename, friendlyname, version, "
        f"isvisible, publisherid) VALUES ({stamps}, ?, ?, ?, '1.0', ?, ?)",
        [
            (store.next_version(), DEFAULT_SOLUTION, "Default", "Default Solution", 1, DEFAULT_PUBLISHER),
            (store.next_version(), ACTIVE_SOLUTION, "Active", "Active Solution", 0, DEFAULT_PUBLISHER),
        ],
    )
