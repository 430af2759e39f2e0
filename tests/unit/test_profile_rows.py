"""The profiles as records."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pytest

from shared.delta import state
from shared.tables import guids, rows
from shared.tables.columns import columns
from tests.support import planning
from tests.support.catalogs import attributes, hydration
from tests.support.staging import staged, table

ONE, TWO = "6b1e5d0c-6f4e-5c58-9b0a-3a8e0d2c7f41", "0d9c8b7a-1111-4222-8333-444455556666"


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with planning.connection() as opened:
        state.open_state(opened, None)
        yield opened


def profiles(
    connection: duckdb.DuckDBPyConnection, names: Sequence[str], *cells: Sequence[str | None]
) -> dict[str, dict[str, Any]]:
    found = attributes(*names)
    table(connection, "customer", [one.name for one in found], *cells)
    configured = hydration()
    return staged(connection, rows.profile(columns("CustomerProfile", configured, found), configured))


def test_a_profile_is_a_record_with_every_column(connection: duckdb.DuckDBPyConnection) -> None:
    names = (
        "CustomerId",
        "Full Name",
        "Age:int64",
        "Rate:decimal",
        "Member:boolean",
        "Born:date",
        "Seen:dateTime",
    )
    cells = (ONE, 'Ann "A" O\'Neil\n😀', "41", "1.50", "1", "1980-02-29", "2024-01-31 10:20:30")
    found = profiles(connection, names, cells, (TWO, None, None, None, None, None, None))
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
