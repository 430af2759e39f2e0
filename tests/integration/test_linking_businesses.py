"""Business environments: accounts are linked to their unified account, their contacts to it through ContactProfile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.stack import Stack
from shared.runs.model import Mode
from tests.support.lakes import Entity
from tests.support.links import PROFILE, WITHOUT_KEYS, Home, Links, Outcome, names, paired, person, row, street

CONTACTS = ("CustomerId", "ContactId", "EntityName", "FirstName")
CONFIG = f"{WITHOUT_KEYS}\n[tables.ContactProfile]\nenabled = false\n"
ALL = names(range(3))
ACCOUNTS = paired(range(3))
WORK_FOR = {row(10): person(0), row(11): person(0), row(12): person(2)}


@pytest.fixture(scope="module", name="home")
def _home(bare_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with street(bare_stack, tmp_path_factory.mktemp("businesses"), 1, CONFIG, audience="businesses") as found:
        home = found.home()
        home.seed("account", map(row, range(4)), column="name")
        home.seed("contact", map(row, range(10, 15)))
        yield home


def land(home: Home, accounts: Links, contacts: Links) -> Outcome:
    rows = "".join(f"{profile},{one},{home.data_source}_contact,Ann\n" for one, profile in contacts.items())
    delivered = Entity("ContactProfile", CONTACTS, {"1.csv": rows})
    return home.land(ALL, delivered, account=accounts)


@pytest.fixture(scope="module", name="first")
def _first(home: Home) -> Outcome:
    return land(home, ACCOUNTS, WORK_FOR)


def test_accounts_and_their_contacts_are_linked_to_the_unified_account(home: Home, first: Outcome) -> None:
    assert first.told["status"] == "Successful", first.told
    assert first.counts("account") == {"created": 3, "writes": 3}
    assert first.counts("contact") == {"created": 3, "writes": 3}
    assert first.written == {PROFILE: 3, "account": 3, "contact": 3}
    home.assert_holds(ALL, account=ACCOUNTS, contact=WORK_FOR)


@pytest.mark.usefixtures("first")
def test_only_what_differs_is_written_the_next_time(home: Home) -> None:
    again = land(home, ACCOUNTS, WORK_FOR)
    assert (again.told["detail"], again.written) == ("Nothing had changed.", {})
    moved = {row(10): person(1), row(11): person(0), row(13): person(2)}
    after = land(home, ACCOUNTS, moved)
    assert after.told["status"] == "Successful", after.told
    assert after.counts("contact") == {"created": 1, "changed": 1, "removed": 1, "unchanged": 1, "writes": 3}
    assert after.written == {"contact": 3}
    home.assert_holds(ALL, account=ACCOUNTS, contact=moved)
    home.point("accounts", row(0), person(1))
    home.point("contacts", row(14), person(1))
    assert home.ask(Mode.VERIFY).written == {"account": 1, "contact": 1}
    home.assert_holds(ALL, account=ACCOUNTS, contact=moved)


@pytest.mark.usefixtures("first")
def test_contacts_keep_their_links_where_the_contacts_are_not_delivered(home: Home) -> None:
    before = home.links("contact")
    without = home.land(ALL, account=ACCOUNTS)
    assert (without.told["status"], without.written) == ("Successful", {}), without.told
    assert without.task("contact")["status"] == "Skipped"
    home.assert_holds(ALL, account=ACCOUNTS, contact=before)
