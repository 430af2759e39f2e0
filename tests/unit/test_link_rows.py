"""The links of source rows to their profiles, as records."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pytest

from shared.delta import state
from shared.linking.rows import LinkTarget, keys
from shared.tables import guids, rows
from shared.tables.columns import columns
from tests.support import planning
from tests.support.catalogs import attributes, hydration
from tests.support.outputs import BOUND, delivered, output
from tests.support.staging import staged, table

ONE, TWO = "6b1e5d0c-6f4e-5c58-9b0a-3a8e0d2c7f41", "0d9c8b7a-1111-4222-8333-444455556666"
CONTACT, OTHER = "11111111-2222-4333-8444-555555555555", "99999999-2222-4333-8444-555555555555"


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with planning.connection() as opened:
        state.open_state(opened, None)
        yield opened


TARGET = LinkTarget("contact", "contactid", "abc_lookupfield_customerprofile", "abc_customerprofiles")


def links(
    connection: duckdb.DuckDBPyConnection,
    *cells: tuple[str, str, str, str],
    sources: Sequence[tuple[str, str]],
    there: Sequence[str] | None = None,
) -> dict[str, dict[str, Any]]:
    table(connection, "link_key", ("data_source", "entity", "value", "customer_id"), *cells)
    table(connection, "link_source", ("data_source", "entity"), *sources)
    customers = sorted({customer for *_, customer in cells} if there is None else there)
    connection.execute(
        "CREATE TABLE profile AS SELECT id_guid(bare(unnest(?::VARCHAR[]))) AS id, 'b' AS born", [customers]
    )
    connection.execute(f"CREATE VIEW link AS {keys(by_alternate_key=False)}")
    return staged(connection, TARGET.rows(read=False))


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


def profiles(*customers: str) -> set[str]:
    """The GUIDs of their profiles."""
    configured = hydration()
    with planning.connection() as opened:
        state.open_state(opened, None)
        table(opened, "customer", ["CustomerId"], *((customer,) for customer in customers))
        return set(
            staged(opened, rows.profile(columns("CustomerProfile", configured, attributes("CustomerId")), configured))
        )


def test_a_link_goes_where_the_profile_is(connection: duckdb.DuckDBPyConnection) -> None:
    customers = (ONE, f"{{{ONE}}}", "C-1", " C-1", "é")
    found = links(
        connection,
        *(("CRM", "contact", str(uuid.UUID(int=place)), customer) for place, customer in enumerate(customers)),
        sources=[("CRM", "contact")],
    )
    known = profiles(*customers)
    bound = {row["abc_lookupfield_customerprofile@odata.bind"].rpartition("(")[2][:-1] for row in found.values()}
    assert bound == known


@pytest.mark.parametrize("customer", ["C-1\t", "\r\nC-1", f"\t{{{ONE}}}\n", " \tC-1\f "])
def test_profile_link_and_row_agree_on_the_spaces_around_an_id(
    connection: duckdb.DuckDBPyConnection, customer: str
) -> None:
    [profile] = profiles(customer)
    [link] = links(connection, ("CRM", "contact", CONTACT, customer), sources=[("CRM", "contact")]).values()
    assert link["abc_lookupfield_customerprofile@odata.bind"] == f"/abc_customerprofiles({profile})"
    row = output("Prediction", delivered("Model_X", ("CustomerId",), (customer,)), profiles=[profile]).only
    assert row[BOUND] == f"/msdynci_customerprofiles({profile})"


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
    assert found == {CONTACT: {"fault": "key: the source row belongs to several customers"}}


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


def test_a_row_whose_customer_cannot_be_read_is_not_linked(connection: duckdb.DuckDBPyConnection) -> None:
    found = links(
        connection,
        ("CRM", "contact", CONTACT, f"C{guids.UNREADABLE}"),
        ("CRM", "contact", OTHER, ONE),
        sources=[("CRM", "contact")],
    )
    assert found[CONTACT] == {"fault": "CustomerId: the text is not valid UTF-8"}
    assert "fault" not in found[OTHER]
