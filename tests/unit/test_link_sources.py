from __future__ import annotations

from collections.abc import Sequence

import pytest

from shared.linking.sources import LinkedTable, LinkSource, configured_tables, linked_tables
from shared.linking.texts import NOT_INGESTED
from shared.settings import DataSource
from tests.support.catalogs import CRM, source


def linked(
    found: Sequence[tuple[str, ...]], *sources: DataSource, url: str = CRM, known: tuple[str, ...] = ()
) -> list[LinkedTable]:
    triples = [(data_source, entity, "".join(key)) for data_source, entity, *key in found]
    return linked_tables(triples, {one.name: one for one in sources}, url, known)


def table_of(logical_name: str, *sources: tuple[str, ...]) -> LinkedTable:
    return LinkedTable(logical_name, tuple(LinkSource(*one) for one in sources))


def test_a_table_of_the_connected_organization_is_linked() -> None:
    assert linked([("CRM", "contact")], source("CRM", CRM)) == [table_of("contact", ("CRM", "contact"))]


def test_logical_name_and_key_come_from_the_configuration() -> None:
    crm = source("CRM", CRM, Kontakte=("contact", "contactid"))
    assert linked([("CRM", "Kontakte")], crm) == [table_of("contact", ("CRM", "Kontakte", "contactid"))]


def test_names_of_the_lake_are_compared_without_case_and_kept_as_they_are() -> None:
    crm = source("crm", CRM, kontakte=("contact", None))
    assert linked([("CRM", "Kontakte"), ("CRM", "Lead")], crm) == [
        table_of("contact", ("CRM", "Kontakte")),
        table_of("lead", ("CRM", "Lead")),
    ]


def test_two_sources_of_one_table_are_one_task() -> None:
    sources = source("CRM", CRM), source("Sales", CRM + "/", people=("contact", "contactid"))
    assert linked([("Sales", "people"), ("CRM", "contact")], *sources) == [
        table_of("contact", ("CRM", "contact"), ("Sales", "people", "contactid"))
    ]


@pytest.mark.parametrize(("named", "url"), [(CRM, CRM), (CRM, f"{CRM}/"), (f"{CRM}/", CRM)])
def test_a_slash_at_the_end_of_an_address_makes_no_difference(named: str, url: str) -> None:
    crm = source("CRM", named, people=("Contact", "contactid"), Lead=(None, None))
    assert linked([("CRM", "lead")], crm, url=url) == [table_of("lead", ("CRM", "lead"))]
    others = source("Shop", "https://fabrikam.crm.dynamics.com", shop=("account", None)), source("Files", x=("y", None))
    assert configured_tables({one.name: one for one in (crm, *others)}, url) == {"contact", "lead"}


@pytest.mark.parametrize(
    ("sources", "reason"),
    [
        ((), "hydration.toml has no [data_sources.Shop]"),
        ((source("Shop"),), "[data_sources.Shop] names no Dataverse organization"),
        (
            (source("Shop", "https://fabrikam.crm.dynamics.com"),),
            "[data_sources.Shop] is ingested from another organization (https://fabrikam.crm.dynamics.com)",
        ),
    ],
)
def test_another_table_is_skipped_with_the_documented_text(sources: tuple[DataSource, ...], reason: str) -> None:
    [table] = linked([("Shop", "Customers")], *sources)
    assert table.logical_name == "customers"
    assert table.sources == (LinkSource("Shop", "Customers"),)
    assert table.skipped.startswith(NOT_INGESTED + "\n")
    assert f"The table Customers of the data source Shop is not linked: {reason}." in table.skipped


def test_a_source_that_is_skipped_is_told_beside_one_of_the_same_name_that_is_linked() -> None:
    skipped, linked_one = linked([("CRM", "contact"), ("Shop", "contact")], source("CRM", CRM))
    assert linked_one == table_of("contact", ("CRM", "contact"))
    assert (skipped.logical_name, skipped.sources) == ("contact", (LinkSource("Shop", "contact"),))
    assert "hydration.toml has no [data_sources.Shop]" in skipped.skipped
    assert (linked_one.key, skipped.key) == ("link.contact", "link.contact.Shop, contact")


def test_two_sources_that_are_skipped_are_two_tasks() -> None:
    found = linked([("Shop", "Contact"), ("POS", "contact"), ("POS", "lead")])
    assert [(table.logical_name, table.label) for table in found] == [
        ("contact", "POS, contact"),
        ("lead", ""),
        ("contact", "Shop, Contact"),
    ]
    assert len({table.key for table in found}) == 3


def test_the_links_of_a_table_that_left_unification_are_cleared() -> None:
    assert linked([("CRM", "lead")], source("CRM", CRM), known=("contact", "lead")) == [
        table_of("contact"),
        table_of("lead", ("CRM", "lead")),
    ]


@pytest.mark.parametrize("sources", [(), (source("CRM"),), (source("CRM", "https://typo.crm.dynamics.com"),)])
def test_a_table_that_was_linked_and_is_skipped_now_is_left_alone(sources: tuple[DataSource, ...]) -> None:
    [table] = linked([("CRM", "contact")], *sources, known=("contact",))
    assert (table.logical_name, table.key) == ("contact", "link.contact")
    assert table.skipped


def test_the_order_of_the_pairs_does_not_matter() -> None:
    pairs = [("CRM", "lead"), ("Shop", "b"), ("CRM", "contact"), ("Shop", "a")]
    assert linked(pairs, source("CRM", CRM)) == linked(pairs[::-1], source("CRM", CRM))


def test_nothing_unified_links_nothing() -> None:
    assert linked([]) == []


def test_a_key_of_the_configuration_comes_before_that_of_the_lake() -> None:
    crm = source("CRM", CRM, contact=(None, "contactid"))
    triples = [("CRM", "contact", "email"), ("CRM", "contact", ""), ("CRM", "lead", "leadid")]
    assert linked(triples, crm) == [
        table_of("contact", ("CRM", "contact", "contactid")),
        table_of("lead", ("CRM", "lead", "leadid")),
    ]


def test_a_source_with_two_keys_stands_there_with_both() -> None:
    triples = [("CRM", "contact", "email"), ("CRM", "contact", "contactid")]
    assert linked(triples, source("CRM", CRM)) == [
        table_of("contact", ("CRM", "contact", "contactid"), ("CRM", "contact", "email"))
    ]


def test_a_skipped_source_with_two_keys_is_one_task() -> None:
    assert len(linked([("Shop", "contact", "id"), ("Shop", "contact", "no")])) == 1


def test_a_table_of_no_known_data_source_is_skipped_by_its_name_in_the_lake() -> None:
    found = linked([("", "Web_person"), ("POS", "Web_person")], source("CRM", CRM))
    assert [(table.logical_name, table.label) for table in found] == [
        ("web_person", "Web_person"),
        ("web_person", "POS, Web_person"),
    ]
    assert "The table Web_person that the lake's ContactProfile names is not linked" in found[0].skipped
