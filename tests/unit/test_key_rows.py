"""The alternate keys as records, from the profile's key columns and from the lake's own table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pytest

from shared.delta import state
from shared.tables import guids, rows
from shared.tables.catalog import ALTERNATE_KEY, TABLES
from shared.tables.columns import columns
from shared.tables.keys import KeyColumn, Reading
from tests.support import planning
from tests.support.catalogs import hydration
from tests.support.staging import staged, table

ONE = "6b1e5d0c-6f4e-5c58-9b0a-3a8e0d2c7f41"
SET = "abc_customerprofiles"
BOUND = "abc_lookupfield_customer@odata.bind"


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with planning.connection() as opened:
        state.open_state(opened, None)
        yield opened


COLUMNS = (
    KeyColumn("CRM_contact_contactid", Reading("CRM", "contact", "contactid")),
    KeyColumn("My Shop_Buyers_No", Reading("My Shop", "Buyers", "No")),
)


def keys_from_profile(connection: duckdb.DuckDBPyConnection, *cells: Sequence[str | None]) -> None:
    table(connection, "customer", ("CustomerId", *(one.attribute for one in COLUMNS), "Name"), *cells)
    triples = [(one.attribute, one.reading.data_source, one.reading.table) for one in COLUMNS]
    table(connection, "key_column", ("column_name", "data_source", "entity"), *triples)
    connection.execute(f"CREATE TABLE alternate_key AS {rows.keys_of_profile(COLUMNS)}")


def alternate_keys(
    connection: duckdb.DuckDBPyConnection, *, profiles: Sequence[str] = (ONE, "C1", "C2")
) -> dict[str, dict[str, Any]]:
    """By GUID, where these customers have profiles."""
    configured = hydration(prefix="abc")
    listed = "SELECT id_guid(unnest(?::VARCHAR[])) AS id, 'first' AS born"
    connection.execute(f"CREATE TABLE profile AS {listed}", [list(profiles)])
    return staged(connection, rows.output(ALTERNATE_KEY, columns(ALTERNATE_KEY, configured), configured, SET))


LAKE = (*TABLES[ALTERNATE_KEY].needs, "KeyRing")


def keys_of_table(connection: duckdb.DuckDBPyConnection, *cells: Sequence[str | None]) -> None:
    table(connection, "alternate_key_table", LAKE, *cells)
    connection.execute(f"CREATE TABLE alternate_key AS {rows.keys_of_table(ring=True)}")


def test_every_key_of_a_cell_is_a_row(connection: duckdb.DuckDBPyConnection) -> None:
    keys_from_profile(
        connection,
        ("C1", " b ;a;;a; ", "7", "x"),
        ("C2", None, "", "x"),
        ("C3", "c", ";", "x"),
    )
    found = connection.execute("SELECT DISTINCT * FROM alternate_key ORDER BY ALL").fetchall()
    assert found == [
        ("CRM", "contact", "a", "C1", None),
        ("CRM", "contact", "b", "C1", None),
        ("CRM", "contact", "c", "C3", None),
        ("My Shop", "Buyers", "7", "C1", None),
    ]


def test_an_alternate_key_is_a_record(connection: duckdb.DuckDBPyConnection) -> None:
    keys_from_profile(connection, (ONE, 'b;a"é', "7", "x"))
    found = alternate_keys(connection)
    identifier = 'CRM|contact|a"é'
    key = "ef291c31-021c-53be-bcb5-6f7d0d4de6cd"  # by openssl
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
        BOUND: f"/{SET}({ONE})",
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


def test_a_key_whose_customer_has_no_profile_is_rejected(connection: duckdb.DuckDBPyConnection) -> None:
    keys_from_profile(connection, ("C1", "a", None, None), ("C9", "b", None, None))
    found = alternate_keys(connection)
    assert found[str(guids.from_identifier("CRM|contact|b"))] == {"fault": "CustomerId: no profile has this id"}
    assert found[str(guids.from_identifier("CRM|contact|a"))]["abc_customerid"] == "C1"


def test_a_key_whose_customer_cannot_be_read_is_rejected(connection: duckdb.DuckDBPyConnection) -> None:
    unreadable = [f"C{place}{guids.UNREADABLE}" for place in "12"]
    cells = [(unreadable[0], "a;b", None, None), (unreadable[1], "b", None, None), ("C1", "c", None, None)]
    keys_from_profile(connection, *cells)
    found = alternate_keys(connection)
    for value in "ab":
        key = str(guids.from_identifier(f"CRM|contact|{value}"))
        assert found.pop(key) == {"fault": "CustomerId: the text is not valid UTF-8"}
    [record] = found.values()
    [ring] = json.loads(record["abc_keyring"])
    assert (record["abc_customerid"], ring["keys"]) == ("C1", ["c"])


@pytest.mark.parametrize("other", ["A", "C1", "Z"])
def test_a_key_of_a_customer_that_cannot_be_read_is_rejected_whoever_else_has_it(
    connection: duckdb.DuckDBPyConnection, other: str
) -> None:
    keys_from_profile(connection, (f"{other}{guids.UNREADABLE}", "a", None, None), ("C1", "a;b", None, None))
    found = alternate_keys(connection)
    key = str(guids.from_identifier("CRM|contact|a"))
    assert found.pop(key) == {"fault": "CustomerId: the text is not valid UTF-8"}
    [record] = found.values()
    assert record["abc_alternatevalue"] == "b"


def test_a_key_is_written_again_when_its_profile_came_back_as_another_one(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    keys_from_profile(connection, ("C1", "a", None, None), ("C2", "b", None, None))
    alternate_keys(connection)
    before = dict(connection.execute("SELECT id::VARCHAR, entry FROM staged").fetchall())
    connection.execute("UPDATE profile SET born = 'again' WHERE id = id_guid('C2')")
    configured = hydration(prefix="abc")
    connection.execute("DROP TABLE staged; DROP TABLE expired")
    staged(connection, rows.output(ALTERNATE_KEY, columns(ALTERNATE_KEY, configured), configured, SET))
    after = dict(connection.execute("SELECT id::VARCHAR, entry FROM staged").fetchall())
    assert {key for key in before if before[key] != after[key]} == {str(guids.from_identifier("CRM|contact|b"))}


# -- the lake's own table ------------------------------------------------------------------------------


def test_keys_of_the_lakes_own_table(connection: duckdb.DuckDBPyConnection) -> None:
    keys_of_table(connection, (" CRM ", "contact ", " a ", "C1", None))
    assert connection.execute("FROM alternate_key").fetchall() == [("CRM", "contact", "a", "C1", None)]
    select = rows.keys_of_table(ring=False)
    assert connection.execute(select).fetchall() == [("CRM", "contact", "a", "C1", None)]


def test_the_vector_of_the_requirements(connection: duckdb.DuckDBPyConnection) -> None:
    keys_of_table(connection, ("testdatasource", "contact1", "cntid_1078", "C1", None))
    [(key, record)] = alternate_keys(connection).items()
    assert key == record["abc_alternatekeyid"] == "d3e175f7-4c0c-5101-a396-9b5f9bc7b219"  # by openssl
    assert record["abc_identifier"] == "testdatasource|contact1|cntid_1078"


RING = '[{"dataSourceName":"CRM","entityName":"contact","preferredKey":%s,"keys":["a","b"]}]'


@pytest.mark.parametrize(
    ("ring", "preferred"),
    [
        (RING % '"b"', "b"),
        (RING % '" b "', "b"),
        (RING % '"a"', "a"),
        (RING % '"z"', "a"),  # it is none of the keys
        (RING % "null", "a"),
        ("[]", "a"),
        ("{", "a"),
        ("", "a"),
        (None, "a"),
        ('{"preferredKey":"b"}', "a"),
    ],
)
def test_the_key_that_the_lake_prefers_is_preferred_where_it_is_one(
    connection: duckdb.DuckDBPyConnection, ring: str | None, preferred: str
) -> None:
    keys_of_table(connection, ("CRM", "contact", "a", "C1", None), ("CRM", "contact", "b", "C1", ring))
    for record in alternate_keys(connection).values():
        [found] = json.loads(record["abc_keyring"])
        assert (found["preferredKey"], found["keys"]) == (preferred, ["a", "b"])


def test_where_the_lake_prefers_several_keys_the_smallest_of_them_is_preferred(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    cells = [("CRM", "contact", key, "C1", RING % f'"{wanted}"') for key, wanted in ("ac", "bb", "cb")]
    keys_of_table(connection, *cells)
    rings = {record["abc_keyring"] for record in alternate_keys(connection).values()}
    assert [json.loads(ring)[0]["preferredKey"] for ring in rings] == ["b"]


def test_one_customer_in_several_spellings_holds_its_keys_alone(connection: duckdb.DuckDBPyConnection) -> None:
    spelled = (ONE, f"{{{ONE.upper()}}}", f" {ONE} ", "C1", " C1\t")
    keys_of_table(
        connection,
        *(("CRM", "contact", "guid", customer, None) for customer in spelled[:3]),
        *(("CRM", "contact", "text", customer, None) for customer in spelled[3:]),
    )
    assert not [record for record in alternate_keys(connection).values() if "fault" in record]


def test_the_order_of_the_rows_changes_nothing(connection: duckdb.DuckDBPyConnection) -> None:
    cells = [("C1", "b;a", "7", "x"), ("C2", "c", "8", "y"), ("C1", "d", None, None)]
    keys_from_profile(connection, *cells)
    found = alternate_keys(connection)
    with planning.connection() as opened:
        state.open_state(opened, None)
        keys_from_profile(opened, *cells[::-1])
        assert alternate_keys(opened) == found
