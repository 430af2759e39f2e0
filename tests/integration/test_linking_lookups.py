"""Lookups that are not the app's own work, and what keeps a profile: made anew, made by others, held."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.stack import Stack
from tests.support.links import LOOKUP, PROFILE, Home, Street, names, paired, person, row, street
from tests.support.local_dataverse import lookup


@pytest.fixture(scope="module", name="lane")
def _lane(bare_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    with street(bare_stack, tmp_path_factory.mktemp("lookups"), 4) as found:
        yield found


def make_lookup(home: Home, on_delete: str) -> None:
    home.api.expect(204, "POST", "RelationshipDefinitions", json=lookup(LOOKUP, "contact", PROFILE, on_delete))


def test_a_lookup_that_was_made_again_right_after_the_first_run_is_filled_by_the_next(lane: Street) -> None:
    home = lane.home()
    home.seed("contact", map(row, range(3)))
    home.land(names(range(3)), contact=paired(range(3)))
    path = "EntityDefinitions(LogicalName='contact')/ManyToOneRelationships?$select=SchemaName,ReferencedEntity"
    made = next(one for one in home.api.get(path)["value"] if one["ReferencedEntity"] == PROFILE)
    home.api.expect(204, "DELETE", f"RelationshipDefinitions(SchemaName='{made['SchemaName']}')")
    make_lookup(home, "Restrict")
    assert home.links("contact") == {}
    assert home.ask().written == {"contact": 3}
    home.assert_holds(names(range(3)), contact=paired(range(3)))


def test_a_link_that_emptied_itself_is_set_again_when_its_profile_comes_back(lane: Street) -> None:
    """An earlier system made the lookup so that deleting a profile empties it. It is used as it is, and told."""
    home = lane.home()
    home.seed("contact", map(row, range(3)))
    home.land(names(range(3)))
    make_lookup(home, "RemoveLink")
    first = home.land(names(range(3)), contact=paired(range(3)))
    assert "it exists as RemoveLink, not Restrict" in first.task("contact")["detail"]
    home.lacks("prvAppendContact")
    gone = home.land(names([1, 2]), contact=paired([1, 2]))
    assert gone.task("contact")["status"] == "Skipped", "the links are not looked at, and one empties itself"
    home.lacks()
    assert home.links("contact") == paired([1, 2])
    assert home.land(names(range(3)), contact=paired(range(3))).counts("contact") == {
        "changed": 1,
        "unchanged": 2,
        "writes": 1,
    }
    home.assert_holds(names(range(3)), contact=paired(range(3)))


def test_a_profile_that_held_links_keep_goes_with_their_confirmation(lane: Street) -> None:
    home = lane.home()
    home.seed("contact", map(row, range(130)))
    links = {row(number): person(0 if number < 110 else 1) for number in range(130)}
    left = {one: profile for one, profile in links.items() if profile == person(1)}
    home.land(names([0, 1]), contact=links)
    held = home.land(names([1]), contact=left)
    assert (held.counts("contact")["held"], held.counts("CustomerProfile")["held"]) == (110, 1)
    home.assert_holds(names([0, 1]), contact=links)
    done = home.confirm(held.told["id"])
    assert done.told["status"] == "Successful", done.told
    assert done.written == {"contact": 110, PROFILE: 1}
    home.assert_holds(names([1]), contact=left)


def test_a_lookup_that_cascades_deletes_nobodys_contacts(lane: Street) -> None:
    home = lane.home()
    home.seed("contact", map(row, range(3)))
    home.land(names(range(3)))
    make_lookup(home, "Cascade")
    home.point("contacts", row(0), person(0))
    gone = home.land(names([1, 2]), contact=paired([1, 2]))
    assert gone.task("contact")["status"] == "Skipped"
    assert "exists with the delete behaviour Cascade" in gone.task("contact")["detail"]
    assert gone.counts("CustomerProfile")["held"] == 1
    assert "deleting a profile would delete rows of contact" in gone.task("CustomerProfile")["detail"]
    home.assert_holds(names(range(3)), contact={row(0): person(0)})
