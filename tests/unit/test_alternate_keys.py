"""Alternate keys from files of a lake, and what may be concluded from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import pytest

from shared import keys
from shared.delta import compare, engine, state
from shared.delta.compare import Policy
from shared.errors import CorruptSnapshotError, RequirementError
from shared.lake.manifest import Entity
from shared.linking import rows as links
from shared.reading import Reading
from shared.services import Services
from shared.settings import Settings, load
from shared.tables import discovery, rows
from shared.tables.catalog import ALTERNATE_KEY, TABLES
from shared.tables.columns import columns
from shared.tables.discovery import Delivered
from tests.support import planning
from tests.support.catalogs import CRM, attributes, entity, hydration, snapshot, source, unreadable
from tests.support.deltas import guid
from tests.support.files import InMemory

PROFILE = entity("Customer", "CustomerId", "CRM_contact_contactid")
TABLE = entity("AlternateKey", *TABLES[ALTERNATE_KEY].needs)
WITH_RING = entity("AlternateKey", *TABLES[ALTERNATE_KEY].needs, "KeyRing")
STORAGE = "DefaultEndpointsProtocol=http;AccountName=one;AccountKey=eA==;BlobEndpoint=http://127.0.0.1:1/one"
BUS = "Endpoint=sb://127.0.0.1;SharedAccessKeyName=x;SharedAccessKey=y"
SETTINGS = {"LakeStorage": STORAGE, "StatusStorage": STORAGE, "ServiceBus": BUS}
Found = TypeVar("Found")


@dataclass(frozen=True)
class OnlyTheLake:
    """Of the services those that reading needs."""

    settings: Settings
    lake: InMemory


def reading(content: str, delivered: Entity, act: Callable[[Reading, Delivered], Found]) -> Found:
    # Rows that end with CRLF are copied: nothing is asked of a network.
    raw = content.replace("\n", "\r\n").encode()
    files = {part.path: raw for part in delivered.partitions}
    services = cast("Services", OnlyTheLake(load(SETTINGS, Path(__file__).parents[2]), InMemory(files)))
    found = snapshot([delivered])
    with engine.connect(services.settings) as (connection, _):
        return act(Reading(connection, services, found), discovery.read(found, hydration(source("CRM", CRM))))


def triples(content: str, delivered: Entity = TABLE) -> list[tuple[str, str, str]]:
    return reading(content, delivered, keys.read_link_sources)


def test_sources_of_the_keys_own_table_and_of_the_profile() -> None:
    rows = "CRM,lead,1,c\nCRM,contact,2,c\nCRM,contact,3,c\n"
    assert triples(rows) == [("CRM", "contact", ""), ("CRM", "lead", "")]
    assert triples("", PROFILE) == [("CRM", "contact", "contactid")]


@pytest.mark.parametrize(
    "content",
    [
        "".join(f"CRM,marker{number},{number},c\n" for number in range(1_001)),
        f"CRM,marker{'r' * 200},1,c\n",
    ],
)
def test_columns_that_are_shifted_are_refused_without_their_values(content: str) -> None:
    with pytest.raises(CorruptSnapshotError, match="do not hold what the manifest says") as raised:
        triples(content)
    assert "marker" not in str(raised.value)


def test_a_thousand_tables_are_not_too_many() -> None:
    assert len(triples("".join(f"CRM,t{number},{number},c\n" for number in range(1_000)))) == 1_000


@pytest.mark.parametrize("customer", ["", '""', '" "', '"\t"'])
def test_a_key_without_its_customer_is_refused(customer: str) -> None:
    with pytest.raises(CorruptSnapshotError, match="1 alternate keys lack"):
        triples(f"CRM,contact,1,c\nCRM,contact,2,{customer}\n")


def test_keys_that_are_not_delivered_are_never_none() -> None:
    found = discovery.read(unreadable(snapshot([PROFILE]), Old=0), hydration(source("CRM", CRM)))
    with pytest.raises(RequirementError, match=r"Old/model\.json cannot be read: it may deliver AlternateKey"):
        reading("", PROFILE, lambda some, _: keys.define_alternate_keys(some, found))


def test_a_table_of_keys_without_what_it_needs_is_refused() -> None:
    with pytest.raises(CorruptSnapshotError, match="AlternateKey table lacks EntityName, AlternateValue"):
        triples("", entity("AlternateKey", "DataSourceName", "CustomerId"))


def defined(content: str, delivered: Entity) -> list[tuple[str | None, ...]]:
    def define(some: Reading, found: Delivered) -> list[tuple[str | None, ...]]:
        keys.define_alternate_keys(some, found)
        columns_in_order = "data_source, entity, value, customer_id, preferred"
        return some.connection.execute(f"SELECT {columns_in_order} FROM alternate_key ORDER BY ALL").fetchall()

    return reading(content, delivered, define)


def test_what_the_lake_prefers_is_read_of_its_key_ring_where_it_has_one() -> None:
    ring = '"[{""preferredKey"":"" b "",""keys"":[""a""]}]"'
    assert defined(f" CRM ,contact, a ,c,{ring}\n", WITH_RING) == [("CRM", "contact", "a", "c", "b")]
    assert defined("CRM,contact,a,c\n", TABLE) == [("CRM", "contact", "a", "c", None)]
    assert defined("c,a;b\n", PROFILE) == [("CRM", "contact", key, "c", None) for key in "ab"]


# -- profiles without an id ----------------------------------------------------------------------------


@pytest.mark.parametrize("customer", [None, "", " ", "\t", "\r\n"])
def test_a_profile_without_an_id_is_a_row_without_a_key(customer: str | None) -> None:
    configured = hydration()
    with planning.connection() as opened:
        opened.execute('CREATE TABLE customer AS SELECT unnest([?, ?]) AS "CustomerId"', ["one", customer])
        state.open_state(opened, None)
        wanted = columns("CustomerProfile", configured, attributes("CustomerId"))
        with pytest.raises(CorruptSnapshotError, match="1 rows have no key"):
            compare.stage(opened, rows.profile(wanted, configured), Policy(), birth="now")


# -- links whose row did not leave ---------------------------------------------------------------------


def still_unified(applied: list[int], *unified: tuple[str, str, str], linked: str = "CRM") -> object:
    with planning.connection() as opened:
        opened.execute("CREATE TABLE state AS SELECT unnest(?::UUID[]) AS id", [[guid(number) for number in applied]])
        opened.execute("CREATE TABLE link_source AS SELECT ? AS data_source, 'contact' AS entity", [linked])
        opened.execute(
            "CREATE TABLE link_key (data_source VARCHAR, entity VARCHAR, value VARCHAR, customer_id VARCHAR)"
        )
        opened.executemany("INSERT INTO link_key VALUES (?, ?, ?, 'C')", unified)
        opened.execute(f"CREATE VIEW link AS {links.keys(by_alternate_key=False)}")
        opened.execute(f"CREATE VIEW elsewhere AS {links.elsewhere(by_alternate_key=False)}")
        return keys.still_unified(opened)


def test_a_link_whose_row_stands_in_a_table_that_is_not_linked_did_not_leave() -> None:
    linked, renamed = ("CRM", "contact", guid(1)), ("New", "Kontakte", f"{{{guid(2).upper()}}}")
    assert still_unified([1, 2, 3], linked, renamed) == (1, "New", "Kontakte")
    assert still_unified([1, 3], linked, renamed) is None
    assert still_unified([1, 2], linked, renamed, ("CRM", "contact", guid(2))) is None
    assert still_unified([1, 2], linked, ("Shop", "people", "2")) is None
    assert still_unified([1, 2], linked, linked="Other") == (1, "CRM", "contact")
