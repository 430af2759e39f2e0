"""The local Dataverse: pages while other clients insert and delete rows between them."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.local_dataverse import Api, column, lookup, running, table

NAVIGATION = "msdynci_lookupfield_customerprofile"
LOOKUP = f"_{NAVIGATION}_value"
SELECT = f"$select=contactid,{LOOKUP}"
PAGE = {"Prefer": "odata.maxpagesize=7"}
FILTERS = {"all": "", "linked": f"&$filter={LOOKUP} ne null", "keyed": "&$filter=msdynci_code eq 'kept'"}
LINKED, CODED = 60, 30


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("dataverse")) as url:
        yield Api(url)


class World:
    """An organization whose contacts are linked, half of them, and the client that changes it between pages."""

    def __init__(self, server: Api, seed: int) -> None:
        self.api = server.another()
        self.other = Api(self.api.url, self.api.host, client_id="other")
        self.random = random.Random(seed)  # noqa: S311 - rows of a test
        self.api.expect(204, "POST", "EntityDefinitions", json=table("msdynci_customerprofile"))
        relationship = lookup(NAVIGATION, "contact", "msdynci_customerprofile")
        self.api.expect(204, "POST", "RelationshipDefinitions", json=relationship)
        contact = "EntityDefinitions(LogicalName='contact')"
        for name in ("msdynci_code", "msdynci_number"):
            self.api.expect(204, "POST", f"{contact}/Attributes", json=column(name))
        key = {"SchemaName": "msdynci_key", "KeyAttributes": ["msdynci_code", "msdynci_number"]}
        self.api.expect(204, "POST", f"{contact}/Keys", json=key)
        self.profile = self.guid()
        self.api.seed("msdynci_customerprofile", f"msdynci_customerprofileid\n{self.profile}\n")
        self.kept = {self.guid(): number for number in range(LINKED + CODED)}
        self.passing = {self.guid(): number for number in range(1_000, 1_060)}
        self.put({**self.kept, **self.passing})

    def guid(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def row(self, contact: str, number: int) -> dict[str, str]:
        found = {"contactid": contact, "msdynci_number": str(number)}
        if number >= LINKED:
            found["msdynci_code"] = "kept"
        if number < LINKED or number >= 1_000:
            found[f"{NAVIGATION}@odata.bind"] = f"/msdynci_customerprofiles({self.profile})"
        return found

    def put(self, contacts: dict[str, int]) -> None:
        rows = [self.row(contact, number) for contact, number in contacts.items()]
        assert self.other.bulk("contacts", "CreateMultiple", rows).is_success

    def stir(self, last: str) -> None:
        """Delete some rows, the one that ended the page where it may go, and insert others anywhere."""
        gone = self.random.sample(sorted(self.passing), min(4, len(self.passing)))
        for contact in {*gone, *({last} & set(self.passing))}:
            self.other.expect(204, "DELETE", f"contacts({contact})")
            del self.passing[contact]
        fresh = {self.guid(): self.random.getrandbits(40) + 2_000 for _ in range(3)}
        self.passing |= fresh
        self.put(fresh)

    def read(self, query: str, between: Callable[[str], None]) -> list[list[dict[str, Any]]]:
        """All pages; the preference goes with every one, as the real service wants it."""
        pages: list[list[dict[str, Any]]] = []
        address = f"{self.api.root}contacts?{query}"
        while address:
            body = self.api.http.get(address, headers=PAGE).raise_for_status().json()
            pages.append(body["value"])
            assert len(pages) < 100
            address = body.get("@odata.nextLink", "")
            if address:
                between(body["value"][-1]["contactid"])
        return pages


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("which", FILTERS)
def test_rows_that_are_there_all_the_time_come_once_each(server: Api, which: str, seed: int) -> None:
    world = World(server, seed)
    pages = world.read(SELECT + FILTERS[which], world.stir)
    ids = [row["contactid"] for page in pages for row in page]
    ranges = {"all": (0, LINKED + CODED), "linked": (0, LINKED), "keyed": (LINKED, LINKED + CODED)}
    first, end = ranges[which]
    wanted = {contact for contact, number in world.kept.items() if first <= number < end}
    assert wanted <= set(ids)
    assert len(ids) == len(set(ids))
    assert set(ids).isdisjoint(set(world.kept) - wanted)
    assert all(len(page) == 7 for page in pages[:-1])
    assert len(pages) > len(wanted) // 7


def test_a_page_shows_the_chosen_columns_and_no_others(server: Api) -> None:
    world = World(server, 7)
    [row, *_] = world.read(SELECT + FILTERS["linked"], lambda _: None)[0]
    assert set(row) == {"@odata.etag", "contactid", LOOKUP}
    assert row[LOOKUP] == world.profile


def test_rows_whose_link_is_emptied_between_pages_hide_no_others(server: Api) -> None:
    world = World(server, 11)
    unlinked: set[str] = set()

    def unlink(last: str) -> None:
        # A filtered query that pages by position loses a row for each row before it that stops to match.
        world.other.expect(204, "PATCH", f"contacts({last})", json={f"{NAVIGATION}@odata.bind": None})
        unlinked.add(last)

    pages = world.read(SELECT + FILTERS["linked"], unlink)
    ids = [row["contactid"] for page in pages for row in page]
    linked = {contact for contact, number in world.kept.items() if number < LINKED}
    assert unlinked
    assert sorted(ids) == sorted(linked | set(world.passing))
