"""Links that an earlier system left: equal ones are taken over, few others overwritten, many held for a person."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.stack import Stack
from shared.runs.model import Mode
from tests.support.links import LOOKUP, PROFILE, Home, Street, names, paired, person, row, street
from tests.support.local_dataverse import column, lookup, table

ROWS = 130
ALL, LINKS = names(range(ROWS)), paired(range(ROWS))


@pytest.fixture(scope="module", name="lane")
def _lane(bare_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    with street(bare_stack, tmp_path_factory.mktemp("adopted"), 2) as found:
        yield found


def left_behind(home: Home, links: dict[str, str]) -> None:
    """What the earlier system made: the profiles, the lookup, and these links."""
    for one in ("contact", "lead"):
        home.seed(one, map(row, range(ROWS)))
    home.api.expect(204, "POST", "EntityDefinitions", json=table(PROFILE, column("msdynci_customerid")) | HEAD)
    home.api.expect(204, "POST", "RelationshipDefinitions", json=lookup(LOOKUP, "contact", PROFILE, "Restrict"))
    profiles = [f"{key},{key}" for key in ALL]
    home.api.seed(PROFILE, "\n".join([f"{PROFILE}id,msdynci_customerid", *profiles])).raise_for_status()
    former = [f"{one},{links.get(one, '')},Text of {one}" for one in LINKS]
    home.api.seed("contact", "\n".join([f"contactid,_{LOOKUP}_value,firstname", *former])).raise_for_status()
    home.remember("contact")
    assert home.links("contact") == links


HEAD = {"SchemaName": "msdynci_CustomerProfile", "EntitySetName": "msdynci_customerprofiles"}


def test_equal_links_are_taken_over_and_few_others_overwritten(lane: Street) -> None:
    home = lane.home()
    foreign = {row(1): person(5), row(2): person(6)}
    left_behind(home, {one: LINKS[one] for one in list(LINKS)[:100]} | foreign)
    first = home.land(ALL, contact=LINKS, lead=LINKS)
    assert first.told["status"] == "Successful", first.told
    assert first.counts("contact") == {"created": 30, "changed": 2, "unchanged": 98, "writes": 32}
    assert first.written["contact"] == 32
    assert "because no run has linked it to its end before" in first.task("contact")["detail"]
    home.assert_holds(ALL, contact=LINKS, lead=LINKS)
    assert home.land(ALL, contact=LINKS, lead=LINKS).written == {}


@pytest.fixture(scope="module", name="home")
def _home(lane: Street) -> Home:
    found = lane.home()
    left_behind(found, FORMER)
    return found


OTHERS = {row(number): person((number + 1) % ROWS) for number in range(110)}
FORMER = OTHERS | paired(range(110, 120))
HELD = FORMER | LINKS | OTHERS


def test_many_links_of_others_are_held_and_all_else_is_done(home: Home) -> None:
    first = home.land(ALL, contact=LINKS, lead=LINKS)
    assert first.told["status"] == "Completed with rejects", first.told
    task = first.task("contact")
    assert first.counts("contact") == {"created": 10, "unchanged": 10, "writes": 10, "held": 110}
    assert task["confirmable"] == 110
    assert (
        "110 links that somebody else wrote not overwritten: more than the brake allows (10 percent of 120)"
        in (task["detail"])
    )
    assert f"POST /api/runs/{first.told['id']}/confirm" in task["detail"]
    assert first.counts("lead") == {"created": ROWS, "writes": ROWS}
    home.assert_holds(ALL, contact=HELD, lead=LINKS)


def test_what_is_held_stays_held_in_later_runs(home: Home) -> None:
    again = home.land(ALL, contact=LINKS, lead=LINKS)
    assert again.counts("contact")["held"] == 110, again.task("contact")
    assert again.written == {}


def test_a_confirmation_overwrites_exactly_what_was_held(home: Home) -> None:
    held = home.ask(Mode.VERIFY, "contact")
    assert (held.counts("contact"), held.written) == ({"unchanged": 20, "held": 110}, {})
    home.assert_holds(ALL, contact=HELD, lead=LINKS)
    home.point("contacts", row(115), None)
    done = home.confirm(held.told["id"])
    assert done.told["status"] == "Successful", done.told
    assert done.counts("contact") == {"changed": 110, "writes": 110}
    assert done.written == {"contact": 110}
    home.assert_holds(ALL, contact={one: profile for one, profile in LINKS.items() if one != row(115)}, lead=LINKS)
