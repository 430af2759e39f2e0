"""The SQL of each output table and of the links, on rows made by hand."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from shared.delta import compare, state
from shared.delta.compare import Policy
from shared.linking.rows import LinkTarget
from shared.tables import catalog, guids, rows
from shared.tables.keys import KeyColumn, Reading
from shared.tables.rows import Rows
from tests.support import planning
from tests.support.catalogs import entity, hydration

ONE, TWO = "6b1e5d0c-6f4e-5c58-9b0a-3a8e0d2c7f41", "0d9c8b7a-1111-4222-8333-444455556666"
CONTACT, OTHER = "11111111-2222-4333-8444-555555555555", "99999999-2222-4333-8444-555555555555"


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with planning.connection() as opened:
        state.open_state(opened, None)
        yield opened


def table(
    connection: duckdb.DuckDBPyConnection, name: str, columns: Sequence[str], *cells: Sequence[str | None]
) -> None:
    typed = [pa.array([row[place] for row in cells], pa.string()) for place in range(len(columns))]
    connection.register("listed", pa.table(typed, names=list(columns)))
    connection.execute(f"CREATE TABLE {name} AS SELECT * FROM listed")


def staged(connection: duckdb.DuckDBPyConnection, drafted: Rows) -> dict[str, dict[str, Any]]:
    """By GUID: the record without its name of a table, or the fault."""
    compare.stage(connection, drafted, Policy())
    found = connection.execute("SELECT id::VARCHAR, record, fault FROM staged").fetchall()
    return {key: json.loads(record) if record else {"fault": fault} for key, record, fault in found}


# -- CustomerProfile -----------------------------------------------------------------------------------


def profiles(
    connection: duckdb.DuckDBPyConnection, attributes: Sequence[str], *cells: Sequence[str | None]
) -> dict[str, dict[str, Any]]:
    names = [attribute.partition(":")[0] for attribute in attributes]
    table(connection, "customer", names, *cells)
    configured = hydration()
    columns = catalog.profile_columns(entity("Customer", *attributes), configured)
    return staged(connection, rows.profile(columns, configured))


def test_a_profile_is_a_record_with_every_column(connection: duckdb.DuckDBPyConnection) -> None:
    attributes = (
        "CustomerId",
        "Full Name",
        "Age:int64",
        "Rate:decimal",
        "Member:boolean",
        "Born:date",
        "Seen:dateTime",
    )
    cells = (ONE, 'Ann "A" O\'Neil\n😀', "41", "1.50", "1", "1980-02-29", "2024-01-31 10:20:30")
    found = profiles(connection, attributes, cells, (TWO, None, None, None, None, None, None))
    assert found[ONE] == {
        "@odata.type": "Microsoft.Dynamics.CRM.msdynci_customerprofile",
        "msdynci_customerprofileid": ONE,
        "msdynci_age": 41,
        "msdynci_born": "1980-02-29",
        "msdynci_customerid": ONE,
        "msdynci_fullname": 'Ann "A" O\'Neil\n😀',
        "msdynci_member": True,
        "msdynci_rate": 1.5,
        "msdynci_seen": "2024-01-31T10:20:30Z",
    }
    empty = {name: value for name, value in found[TWO].items() if not name.startswith("@") and value is not None}
    assert empty == {"msdynci_customerprofileid": TWO, "msdynci_customerid": TWO}


@pytest.mark.parametrize("customer", [ONE, ONE.upper(), f"{{{ONE}}}", ONE.replace("-", ""), f" {ONE} "])
def test_the_id_of_a_profile_is_its_guid_and_keeps_its_spelling(
    connection: duckdb.DuckDBPyConnection, customer: str
) -> None:
    [(key, record)] = profiles(connection, ("CustomerId",), (customer,)).items()
    assert (key, record["msdynci_customerid"]) == (ONE, customer)


def test_another_id_gets_a_derived_guid(connection: duckdb.DuckDBPyConnection) -> None:
    assert set(profiles(connection, ("CustomerId",), ("C-1",), (" C-2 ",))) == {
        str(guids.from_identifier("C-1")),
        str(guids.from_identifier("C-2")),
    }


def test_attributes_may_be_called_like_the_columns_of_the_plan(connection: duckdb.DuckDBPyConnection) -> None:
    names = ("id", "source_key", "fault", "row_fault", "record", "entry", "select", 'quo"te', "d.id", "customer")
    [record] = profiles(connection, ("CustomerId", *names), (ONE, *names)).values()
    assert {value for name, value in record.items() if name.startswith("msdynci_")} == {ONE, *names}


def test_a_fault_of_one_cell_rejects_its_row(connection: duckdb.DuckDBPyConnection) -> None:
    found = profiles(connection, ("CustomerId", "Age:int64", "Born:date"), (ONE, "x", "y"), (TWO, "1", None))
    assert found[ONE] == {"fault": "msdynci_age: this is not a whole number"}
    assert found[TWO]["msdynci_age"] == 1


def test_an_id_that_is_too_long_rejects_its_row(connection: duckdb.DuckDBPyConnection) -> None:
    [found] = profiles(connection, ("CustomerId",), ("C" * 101,)).values()
    assert found == {"fault": "msdynci_customerid: the text is 101 long, the column takes 100"}


def test_the_entry_changes_with_the_record_and_with_nothing_else() -> None:
    def entries(number: str, text: str | None) -> uuid.UUID:
        with planning.connection() as opened:
            state.open_state(opened, None)
            profiles(opened, ("CustomerId", "Rate:decimal", "Name"), (ONE, number, text))
            return uuid.UUID(str(opened.execute("SELECT entry FROM staged").fetchall()[0][0]))

    assert entries("1.50", "a") == entries(" 1.5 ", "a") == entries("15e-1", "a")
    different = [
        entries("1.5", "a"),
        entries("1.51", "a"),
        entries("1.5", "b"),
        entries("1.5", ""),
        entries("1.5", None),
    ]
    assert len(set(different)) == len(different)


# -- AlternateKey --------------------------------------------------------------------------------------

COLUMNS = (
    KeyColumn("CRM_contact_contactid", Reading("CRM", "contact", "contactid")),
    KeyColumn("My Shop_Buyers_No", Reading("My Shop", "Buyers", "No")),
)


def keys_from_profile(connection: duckdb.DuckDBPyConnection, *cells: Sequence[str | None]) -> None:
    table(connection, "customer", ("CustomerId", *(one.attribute for one in COLUMNS), "Name"), *cells)
    triples = [(one.attribute, one.reading.data_source, one.reading.table) for one in COLUMNS]
    table(connection, "key_column", ("column_name", "data_source", "entity"), *triples)
    connection.execute(f"CREATE TABLE alternate_key AS {rows.keys_of_profile(COLUMNS)}")


def alternate_keys(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Any]]:
    configured = hydration(prefix="abc")
    return staged(connection, rows.alternate_key(catalog.alternate_key_columns(configured), configured))


def test_every_key_of_a_cell_is_a_row(connection: duckdb.DuckDBPyConnection) -> None:
    keys_from_profile(
        connection,
        ("C1", " b ;a;;a; ", "7", "x"),
        ("C2", None, "", "x"),
        ("C3", "c", ";", "x"),
    )
    found = connection.execute("SELECT DISTINCT * FROM alternate_key ORDER BY ALL").fetchall()
    assert found == [
        ("CRM", "contact", "a", "C1"),
        ("CRM", "contact", "b", "C1"),
        ("CRM", "contact", "c", "C3"),
        ("My Shop", "Buyers", "7", "C1"),
    ]


def test_an_alternate_key_is_a_record(connection: duckdb.DuckDBPyConnection) -> None:
    keys_from_profile(connection, (ONE, 'b;a"é', "7", "x"))
    found = alternate_keys(connection)
    identifier = 'CRM|contact|a"é'
    key = str(guids.from_identifier(identifier))
    ring = '[{"dataSourceName":"CRM","entityName":"contact","preferredKey":"a\\"é","keys":["a\\"é","b"]}]'
    assert found[key] == {
        "@odata.type": "Microsoft.Dynamics.CRM.abc_alternatekey",
        "abc_alternatekeyid": key,
        "abc_alternatevalue": 'a"é',
        "abc_customerid": ONE,
        "abc_datasourcename": "CRM",
        "abc_entityname": "contact",
        "abc_identifier": identifier,
        "abc_keyring": ring,
    }
    assert set(found) == {str(guids.from_identifier(f"CRM|contact|{key}")) for key in ('a"é', "b")} | {
        str(guids.from_identifier("My Shop|Buyers|7"))
    }


def test_the_smallest_key_by_ordinal_order_is_preferred(connection: duckdb.DuckDBPyConnection) -> None:
    keys_from_profile(connection, (ONE, "b;a;é;B;10;9;漢;😀", None, None))
    ring = json.loads(alternate_keys(connection)[str(guids.from_identifier("CRM|contact|é"))]["abc_keyring"])
    assert ring[0]["keys"] == sorted(["b", "a", "é", "B", "10", "9", "漢", "😀"])
    assert ring[0]["preferredKey"] == "10"


def test_a_key_of_two_customers_is_rejected_and_no_other(connection: duckdb.DuckDBPyConnection) -> None:
    keys_from_profile(connection, ("C1", "a;b", None, None), ("C2", "b;c", None, None), ("C1", "a", None, None))
    found = alternate_keys(connection)
    names = {str(guids.from_identifier(f"CRM|contact|{key}")): key for key in "abc"}
    assert {names[key] for key, row in found.items() if "fault" in row} == {"b"}
    assert found[str(guids.from_identifier("CRM|contact|b"))]["fault"].endswith("the key belongs to 2 customers")


def test_keys_of_the_lakes_own_table(connection: duckdb.DuckDBPyConnection) -> None:
    table(connection, "alternate_key_table", catalog.KEY_COLUMNS, (" CRM ", "contact ", " a ", "C1"))
    assert connection.execute(rows.keys_of_table()).fetchall() == [("CRM", "contact", "a", "C1")]


def test_the_order_of_the_rows_changes_nothing(connection: duckdb.DuckDBPyConnection) -> None:
    cells = [("C1", "b;a", "7", "x"), ("C2", "c", "8", "y"), ("C1", "d", None, None)]
    keys_from_profile(connection, *cells)
    found = alternate_keys(connection)
    with planning.connection() as opened:
        state.open_state(opened, None)
        keys_from_profile(opened, *cells[::-1])
        assert alternate_keys(opened) == found


# -- links ---------------------------------------------------------------------------------------------

TARGET = LinkTarget("contact", "contactid", "abc", "abc_customerprofiles")


def links(
    connection: duckdb.DuckDBPyConnection, *cells: tuple[str, str, str, str], sources: Sequence[tuple[str, str]]
) -> dict[str, dict[str, Any]]:
    table(connection, "alternate_key", ("data_source", "entity", "value", "customer_id"), *cells)
    table(connection, "link_source", ("data_source", "entity"), *sources)
    return staged(connection, TARGET.rows())


def test_a_link_binds_a_source_row_to_its_profile(connection: duckdb.DuckDBPyConnection) -> None:
    found = links(
        connection,
        ("CRM", "contact", CONTACT.upper(), f"{{{ONE}}}"),
        ("CRM", "contact", f"{{{OTHER}}}", " C-1 "),
        ("CRM", "lead", TWO, ONE),
        ("Shop", "contact", TWO, ONE),
        sources=[("CRM", "contact")],
    )
    assert found == {
        CONTACT: {
            "@odata.type": "Microsoft.Dynamics.CRM.contact",
            "contactid": CONTACT,
            "abc_lookupfield_customerprofile@odata.bind": f"/abc_customerprofiles({ONE})",
        },
        OTHER: {
            "@odata.type": "Microsoft.Dynamics.CRM.contact",
            "contactid": OTHER,
            "abc_lookupfield_customerprofile@odata.bind": f"/abc_customerprofiles({guids.from_identifier('C-1')})",
        },
    }
    assert str(connection.execute("SELECT entry FROM staged WHERE id = ?", [CONTACT]).fetchall()[0][0]) == ONE


def test_a_link_goes_where_the_profile_is(connection: duckdb.DuckDBPyConnection) -> None:
    customers = (ONE, f"{{{ONE}}}", "C-1", " C-1", "é")
    found = links(
        connection,
        *(("CRM", "contact", str(uuid.UUID(int=place)), customer) for place, customer in enumerate(customers)),
        sources=[("CRM", "contact")],
    )
    with planning.connection() as opened:
        state.open_state(opened, None)
        known = set(profiles(opened, ("CustomerId",), *((customer,) for customer in customers)))
    bound = {row["abc_lookupfield_customerprofile@odata.bind"].rpartition("(")[2][:-1] for row in found.values()}
    assert bound == known


def test_several_sources_of_one_table_are_linked_together(connection: duckdb.DuckDBPyConnection) -> None:
    found = links(
        connection,
        ("CRM", "contact", CONTACT, ONE),
        ("Sales", "People", CONTACT.upper(), ONE.upper()),
        ("Sales", "People", OTHER, TWO),
        sources=[("CRM", "contact"), ("Sales", "People")],
    )
    assert {key: "fault" in row for key, row in found.items()} == {CONTACT: False, OTHER: False}


def test_a_row_of_two_customers_is_not_linked(connection: duckdb.DuckDBPyConnection) -> None:
    found = links(
        connection,
        ("CRM", "contact", CONTACT, ONE),
        ("CRM", "contact", CONTACT.upper(), TWO),
        sources=[("CRM", "contact")],
    )
    assert found == {CONTACT: {"fault": "key: the source row belongs to 2 customers"}}


def test_a_key_that_is_no_guid_names_no_row(connection: duckdb.DuckDBPyConnection) -> None:
    found = links(connection, ("CRM", "contact", "4711", ONE), sources=[("CRM", "contact")])
    assert list(found.values()) == [{"fault": "key: the value is not a GUID, so it names no row of this table"}]


def test_a_link_is_cleared_by_null(connection: duckdb.DuckDBPyConnection) -> None:
    [(record,)] = connection.execute(f"SELECT {TARGET.clear()} FROM (SELECT ?::UUID AS id)", [CONTACT]).fetchall()
    assert json.loads(record) == {
        "@odata.type": "Microsoft.Dynamics.CRM.contact",
        "contactid": CONTACT,
        "abc_lookupfield_customerprofile@odata.bind": None,
    }
