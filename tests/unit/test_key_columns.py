from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.settings import DataSource
from shared.tables.keys import Ambiguous, KeyColumn, Reading, cut
from tests.support.catalogs import source


def read(
    attribute: str, *sources: DataSource, entities: tuple[str, ...] = ()
) -> tuple[tuple[KeyColumn, ...], tuple[Ambiguous, ...]]:
    return cut([attribute], {one.name: one for one in sources}, entities)


def reading(attribute: str, *sources: DataSource, entities: tuple[str, ...] = ()) -> tuple[str, str, str] | None:
    found, ambiguous = read(attribute, *sources, entities=entities)
    assert not ambiguous
    if not found:
        return None
    assert found[0].attribute == attribute
    one = found[0].reading
    return (one.data_source, one.table, one.primary_key)


# -- what needs nobody's word --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("CRM_contact_contactid", ("CRM", "contact", "contactid")),
        ("Shop_Customers_CustomerNumber", ("Shop", "Customers", "CustomerNumber")),
        ("POS_Kunden_KundenNr", ("POS", "Kunden", "KundenNr")),
        ("a_b_KEY", ("a", "b", "KEY")),
        ("Data Source_My Table_My Id", ("Data Source", "My Table", "My Id")),
    ],
)
def test_three_parts_of_which_the_last_names_an_id(attribute: str, expected: tuple[str, str, str]) -> None:
    assert reading(attribute) == expected


@pytest.mark.parametrize(
    "attribute",
    [
        "CustomerId",
        "customer_id",
        "Address_Home_City",
        "Address_Home_Postal_City",
        "",
        "_",
        "___",
        "a__id",
        "_a_id",
        "CRM_contact_",
    ],
)
def test_ordinary_attributes_are_no_keys(attribute: str) -> None:
    assert read(attribute) == ((), ())


def test_a_name_of_more_parts_that_nobody_knows_is_ambiguous_with_every_reading() -> None:
    found, [ambiguous] = read("My_CRM_contact_id")
    assert found == ()
    assert ambiguous.attribute == "My_CRM_contact_id"
    assert set(ambiguous.readings) == {
        Reading("My", "CRM", "contact_id"),
        Reading("My", "CRM_contact", "id"),
        Reading("My_CRM", "contact", "id"),
    }
    for one in ambiguous.readings:
        assert f"table {one.table} of data source {one.data_source} with key {one.primary_key}" in ambiguous.detail
    assert "[data_sources.My.tables.CRM]" in ambiguous.detail
    assert "hydration.toml" in ambiguous.detail


# -- what the lake's other entities say ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("attribute", "entities", "expected"),
    [
        ("My_CRM_contact_id", ("My_CRM_contact",), None),
        ("My_CRM_contact_id", ("Deduplication_My_CRM",), ("My", "CRM", "contact_id")),
        ("Shop_Buyers_Mail", ("Shop_Buyers",), ("Shop", "Buyers", "Mail")),
        ("SHOP_buyers_Mail", ("deduplication_shop_BUYERS",), ("SHOP", "buyers", "Mail")),
        ("Shop_Buyers_Mail", ("Shop_Sellers", "Shop", "Buyers"), None),
    ],
)
def test_an_entity_names_data_source_and_table(
    attribute: str, entities: tuple[str, ...], expected: tuple[str, str, str] | None
) -> None:
    found, ambiguous = read(attribute, entities=entities)
    if expected is None:
        assert found == ()
        # My_CRM_contact may be the table CRM_contact of My, or the table contact of My_CRM.
        assert [len(one.readings) for one in ambiguous] == ([2] if "My_CRM_contact" in entities else [])
    else:
        assert reading(attribute, entities=entities) == expected


# -- what hydration.toml says --------------------------------------------------------------------------


def test_a_configured_table_and_key_decide() -> None:
    crm = source("My_CRM", contact=(None, "contact_id"))
    assert reading("My_CRM_contact_contact_id", crm) == ("My_CRM", "contact", "contact_id")


def test_a_configured_table_without_a_key_decides() -> None:
    assert reading("My_CRM_contact_id", source("My_CRM", contact=(None, None))) == ("My_CRM", "contact", "id")


def test_the_configuration_is_stronger_than_the_lake() -> None:
    crm = source("My", CRM_contact=(None, None))
    assert reading("My_CRM_contact_id", crm, entities=("My_CRM_contact", "My_CRM")) == ("My", "CRM_contact", "id")


def test_case_does_not_matter() -> None:
    assert reading("CRM_Contact_ContactId", source("crm", contact=(None, "contactid"))) == (
        "CRM",
        "Contact",
        "ContactId",
    )


def cut_with(key: str, *attributes: str) -> tuple[list[str], list[Ambiguous]]:
    found, ambiguous = cut(attributes, {"CRM": source("CRM", contact=(None, key))}, [])
    return [one.attribute for one in found], list(ambiguous)


def test_beside_the_configured_key_the_other_columns_of_a_table_are_ordinary_ones() -> None:
    attributes = ("CRM_contact_parentid", "CRM_contact_contactid", "CRM_contact_mail")
    assert cut_with("ContactId", *attributes) == (["CRM_contact_contactid"], [])


def test_a_configured_key_that_no_column_holds_is_told_and_removes_nothing() -> None:
    found, [ambiguous] = cut_with("contactnumber", "crm_CONTACT_contactid", "CRM_contact_mail", "Name")
    assert found == []
    assert ambiguous == Ambiguous(
        "crm_CONTACT_contactid", (Reading("crm", "CONTACT", "contactid"),), configured="contactnumber"
    )
    assert "hydration.toml names another key of that table (contactnumber)" in ambiguous.detail
    assert "[data_sources.crm.tables.CONTACT]" in ambiguous.detail
    assert "no alternate key or link is removed" in ambiguous.detail


def test_every_column_of_a_table_is_told_where_none_names_an_id() -> None:
    found, ambiguous = cut_with("contactid", "CRM_contact_mail", "CRM_contact_phone", "CRM_lead_mail")
    assert [one.attribute for one in ambiguous] == ["CRM_contact_mail", "CRM_contact_phone"]
    assert found == ["CRM_lead_mail"]


def test_a_configured_table_that_no_column_speaks_of_is_simply_not_there() -> None:
    assert cut_with("contactid", "CRM_lead_leadid", "Name") == (["CRM_lead_leadid"], [])


def test_a_configured_data_source_leaves_its_other_tables_open() -> None:
    crm = source("CRM", contact=(None, "contactid"))
    assert reading("CRM_lead_leadid", crm) == ("CRM", "lead", "leadid")


def test_a_data_source_with_an_underscore_is_known_by_its_name() -> None:
    assert reading("My_CRM_contact_id", source("My_CRM")) == ("My_CRM", "contact", "id")


def test_a_configured_data_source_and_an_entity_decide_together() -> None:
    crm = source("My_CRM")
    assert reading("My_CRM_sales_lead_id", crm, entities=("My_CRM_sales_lead",)) == ("My_CRM", "sales_lead", "id")


def test_two_data_sources_of_which_one_begins_like_the_other() -> None:
    found, [ambiguous] = read("My_CRM_contact_id", source("My"), source("My_CRM"))
    assert found == ()
    assert {one.data_source for one in ambiguous.readings} == {"My", "My_CRM"}
    decided = source("My_CRM", contact=(None, "id"))
    assert reading("My_CRM_contact_id", source("My"), decided) == ("My_CRM", "contact", "id")


# -- all of it -----------------------------------------------------------------------------------------


def test_attributes_keep_their_order() -> None:
    found, ambiguous = cut(["b_t_id", "Name", "x_y_z_id", "a_t_id"], {}, [])
    assert [one.attribute for one in found] == ["b_t_id", "a_t_id"]
    assert [one.attribute for one in ambiguous] == ["x_y_z_id"]


names = st.text("ab_C", min_size=1, max_size=9)


@given(st.lists(names, max_size=5), st.lists(names, max_size=2, unique=True), st.lists(names, max_size=3))
def test_a_reading_is_always_a_way_to_cut_the_name(
    attributes: list[str], sources: list[str], entities: list[str]
) -> None:
    found, ambiguous = cut(attributes, {name: source(name) for name in sources}, entities)
    readings = [(one.attribute, one.reading) for one in found]
    readings += [(one.attribute, each) for one in ambiguous for each in one.readings]
    for attribute, one in readings:
        assert attribute == f"{one.data_source}_{one.table}_{one.primary_key}"
        assert all(part.strip("_") for part in (one.data_source, one.table, one.primary_key))
    assert all(len(set(one.readings)) > 1 for one in ambiguous)
