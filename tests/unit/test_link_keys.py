"""What links are made of: the alternate keys, and for businesses the contacts that are mapped to an account."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import pytest

from shared import keys
from shared.errors import CorruptSnapshotError
from shared.lake.manifest import Entity
from shared.lake.snapshot import Snapshot
from shared.reading import Reading
from shared.settings import DataSource
from shared.tables import discovery
from shared.tables.catalog import ALTERNATE_KEY, TABLES
from shared.tables.discovery import Delivered
from shared.tables.keys import cut_entity_name
from tests.oracle import parse
from tests.support import planning
from tests.support.catalogs import CRM, entity, hydration, snapshot, source
from tests.support.outputs import ByHand
from tests.support.outputs import Delivered as Rows

ACCOUNT = entity("Customer", "CustomerId", "CRM_account_accountid")
KEYS = entity("AlternateKey", *TABLES[ALTERNATE_KEY].needs)
CONTACTS = entity("ContactProfile", "ContactId", "CustomerId", "EntityName")
GUID = "6B1E5D0C-6F4E-5C58-9B0A-3A8E0D2C7F41"
Found = TypeVar("Found")
Contents = Mapping[Entity, str]


@dataclass(frozen=True)
class InSnapshot(ByHand):
    """Rows made by hand, of a snapshot and with a configuration."""

    snapshot: Snapshot
    services: SimpleNamespace


def reading(contents: Contents, act: Callable[[Reading, Delivered], Found], **options: Any) -> Found:
    """`act` on these rows (as CSV) of a business environment with the data sources CRM and ERP."""
    sources = source("CRM", CRM, account=(None, None)), source("ERP", None, debtor=(None, None))
    configured, found = hydration(*sources, **{"businesses": True} | options), snapshot(list(contents))
    rows = {one.name: Rows(one, list(parse(text))) for one, text in contents.items()}
    services = SimpleNamespace(settings=SimpleNamespace(hydration=configured))
    with planning.connection() as opened:
        by_hand = cast("Reading", InSnapshot(opened, rows, found, services))
        return act(by_hand, discovery.read(found, configured))


def link_keys(contents: Contents, **options: Any) -> list[tuple[str, ...]]:
    """`link_key`, sorted."""

    def define(some: Reading, found: Delivered) -> list[tuple[str, ...]]:
        keys.define_link_keys(some, found)
        return some.connection.execute("SELECT data_source, entity, value, customer_id FROM link_key").fetchall()

    return sorted(reading(contents, define, **options))


def triples(contents: Contents, **options: Any) -> list[tuple[str, str, str]]:
    return reading(contents, keys.read_link_sources, **options)


def test_links_of_individuals_are_made_of_the_alternate_keys_alone() -> None:
    contents = {ACCOUNT: "A1,a;b\n", CONTACTS: "7,A1,CRM_contact\n"}
    assert link_keys(contents, businesses=False) == [("CRM", "account", "a", "A1"), ("CRM", "account", "b", "A1")]
    assert triples(contents, businesses=False) == [("CRM", "account", "accountid")]


def test_links_of_businesses_are_made_of_the_contacts_too() -> None:
    contents = {ACCOUNT: "A1,a\n", CONTACTS: f" {{{GUID}}} , A1 ,crm_Contact\nd,A1,debtor\n"}
    assert link_keys(contents) == [
        ("CRM", "Contact", f"{{{GUID}}}", "A1"),
        ("CRM", "account", "a", "A1"),
        ("ERP", "debtor", "d", "A1"),
    ]
    assert triples(contents) == [("CRM", "Contact", ""), ("CRM", "account", "accountid"), ("ERP", "debtor", "")]


def test_businesses_without_contacts_have_the_alternate_keys() -> None:
    assert link_keys({ACCOUNT: "A1,a\n"}) == [("CRM", "account", "a", "A1")]
    assert triples({KEYS: "CRM,account,a,A1\n"}) == [("CRM", "account", "")]


@pytest.mark.parametrize("row", [",A1,CRM_contact", '7,"",CRM_contact', "7,A1,", '" ",A1,CRM_contact', '7,A1," "'])
def test_a_contact_that_lacks_a_part_makes_no_link(row: str) -> None:
    assert link_keys({ACCOUNT: "A1,a\n", CONTACTS: f"{row}\n"}) == [("CRM", "account", "a", "A1")]


def test_a_contact_of_two_accounts_stays_two_rows() -> None:
    contents = {ACCOUNT: "A1,\nA2,\n", CONTACTS: "7,A1,CRM_contact\n7,A2,CRM_contact\n"}
    assert link_keys(contents) == [("CRM", "contact", "7", "A1"), ("CRM", "contact", "7", "A2")]


def test_attributes_of_contacts_are_found_whatever_their_case() -> None:
    shouted = entity("ContactProfile", "entityNAME", "CUSTOMERID", "contactid")
    assert link_keys({ACCOUNT: "", shouted: "CRM_contact,A1,7\n"}) == [("CRM", "contact", "7", "A1")]


def test_key_columns_of_contacts_name_source_rows_too() -> None:
    made = entity("ContactProfile", "ContactId", "CustomerId", "EntityName", "CRM_contact_contactid", "Notes")
    contents = {ACCOUNT: "", made: "7,A1,,x;y; ;,n\n8,,,z,n\n9,A2,ERP_person,,n\n"}
    assert link_keys(contents) == [
        ("CRM", "contact", "x", "A1"),
        ("CRM", "contact", "y", "A1"),
        ("ERP", "person", "9", "A2"),
    ]
    assert triples(contents) == [
        ("CRM", "account", "accountid"),
        ("CRM", "contact", "contactid"),
        ("ERP", "person", ""),
    ]


# -- keys whose customer is a contact ------------------------------------------------------------------


def resolved(keys_of_contacts: str, contacts: str, accounts: str = "A1\nA2\n") -> list[tuple[str, str]]:
    """By value, the customers of the alternate keys of contacts."""
    found = link_keys({entity("Customer", "CustomerId"): accounts, KEYS: keys_of_contacts, CONTACTS: contacts})
    return [(value, customer) for _, table, value, customer in found if table == "contact"]


def test_a_key_whose_customer_is_a_contact_belongs_to_the_contacts_account() -> None:
    spelled = GUID.lower().replace("-", "")
    rows = f"CRM,contact,x,{{{GUID}}}\nCRM,contact,y, C-1 \nCRM,contact,z,A2\n"
    assert resolved(rows, f"{spelled},A1,\nC-1,A2,\n") == [("x", "A1"), ("y", "A2"), ("z", "A2")]


def test_a_key_of_an_account_stays_its_own_though_a_contact_has_the_same_id() -> None:
    assert resolved("CRM,contact,x,A1\n", "A1,A2,\n") == [("x", "A1")]


def test_a_key_of_somebody_whom_nobody_knows_keeps_its_customer() -> None:
    assert resolved("CRM,contact,x,C-9\nCRM,contact,y,C-1\n", 'C-1,"",\n') == [("x", "C-9"), ("y", "C-1")]


def test_a_key_of_a_contact_of_two_accounts_belongs_to_both() -> None:
    assert resolved("CRM,contact,x,C-1\n", "C-1,A1,\nC-1,A2,\n") == [("x", "A1"), ("x", "A2")]


def test_without_profiles_no_key_is_taken_for_a_contacts() -> None:
    assert resolved("CRM,contact,x,C-1\n", "C-1,A1,\n", accounts="") == [("x", "C-1")]


# -- how an EntityName is cut --------------------------------------------------------------------------

CRM_SALES = source("CRM_Sales", None)
WITH_TABLE = source("CRM", CRM, sales_lead=(None, None), Kontakt=(None, None))


@pytest.mark.parametrize(
    ("name", "sources", "cut"),
    [
        ("CRM_contact", [source("CRM")], ("CRM", "contact")),
        ("crm_Contact", [source("CRM")], ("CRM", "Contact")),
        ("CRM_Sales_lead", [source("CRM"), CRM_SALES], ("CRM_Sales", "lead")),
        ("CRM_Sales_lead", [WITH_TABLE, CRM_SALES], ("CRM", "sales_lead")),
        ("KONTAKT", [WITH_TABLE, source("ERP")], ("CRM", "Kontakt")),
        ("Kontakt", [WITH_TABLE, source("ERP", None, kontakt=(None, None))], ("", "Kontakt")),
        ("ERP_x", [source("ERP"), source("CRM", CRM, ERP_x=(None, None))], ("CRM", "ERP_x")),
        ("Shop_contact", [source("CRM")], ("", "Shop_contact")),
        ("CRM_", [source("CRM")], ("", "CRM_")),
        ("CRMcontact", [source("CRM")], ("", "CRMcontact")),
        ("contact", [source("CRM")], ("", "contact")),
    ],
)
def test_an_entity_name_is_cut_with_the_data_sources(
    name: str, sources: Sequence[DataSource], cut: tuple[str, str]
) -> None:
    for ordered in (sources, sources[::-1]):
        assert cut_entity_name(name, {one.name: one for one in ordered}) == cut


def test_a_contact_of_no_known_data_source_is_a_pair_without_one() -> None:
    assert ("", "Web_person", "") in triples({ACCOUNT: "", CONTACTS: "7,A1,Web_person\n"})


# -- what cannot be told -------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [[f"marker{number}" for number in range(1_001)], [f"marker{'r' * 200}"]])
def test_contacts_whose_columns_are_shifted_are_refused_without_their_values(names: Sequence[str]) -> None:
    with pytest.raises(CorruptSnapshotError, match="ContactProfile table names more than") as raised:
        triples({ACCOUNT: "", CONTACTS: "".join(f"7,A1,{name}\n" for name in names)})
    assert "marker" not in str(raised.value)


@pytest.mark.parametrize(
    ("columns", "businesses", "told"),
    [
        (("ContactId", "CustomerId", "EntityName"), True, True),
        (("ContactId", "CustomerId", "EntityName"), False, False),
        (("ContactId", "CustomerId", "CRM_contact_contactid"), True, True),
        (("ContactId", "CustomerId", "Street_Address"), True, False),
    ],
)
def test_whether_contacts_say_where_they_come_from(columns: Sequence[str], *, businesses: bool, told: bool) -> None:
    configured = hydration(source("CRM", CRM), businesses=businesses)
    found = snapshot([ACCOUNT, entity("ContactProfile", *columns)])
    assert (keys.contacts(found, configured, discovery.read(found, configured)) is not None) == told


def test_a_key_column_of_contacts_that_can_be_cut_in_two_ways_is_told() -> None:
    configured = hydration(businesses=True)
    found = snapshot([ACCOUNT, entity("ContactProfile", "ContactId", "CustomerId", "EntityName", "A_b_c_contactid")])
    mapped = keys.contacts(found, configured, discovery.read(found, configured))
    assert mapped is not None
    assert [one.attribute for one in mapped.ambiguous] == ["A_b_c_contactid"]
    assert not mapped.columns
