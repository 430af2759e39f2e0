"""What the app cannot know of a link must not let a wrong one stand, nor an empty one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from tests.support.deltas import guid
from tests.support.link_story import Hand, Night, Story, profile
from tests.support.link_world import Dataverse, World, surroundings

ONE, TWO, THREE, BOTH, NOBODY = (frozenset(some) for some in ({1}, {2}, {3}, {1, 2}, set[int]()))
EVERYBODY = frozenset({1, 2, 3})


@pytest.fixture(scope="module", autouse=True)
def app() -> Iterator[None]:
    with surroundings():
        yield


def told(nights: Sequence[Night], *, keep: bool = False, restricts: bool = True) -> Story:
    """What two rows have come through, of which the second is always of the second customer."""
    rows = {guid(1): None, guid(2): None}
    codes = {row: row for row in rows}
    there = Dataverse(dict(rows), codes, lookup=1, restricts=restricts)
    story = Story(World(keep=keep, brake_percent=100, dataverse=there))
    for night in (Night(claims={1: ONE, 2: TWO}, toggled=EVERYBODY), *nights):
        story.tell(night)
    return story


@pytest.mark.parametrize("lost", [Night(claims={1: THREE}, sent=0), Night(claims={1: THREE}, committed=False)])
def test_an_uncertain_link_of_a_row_of_two_customers_is_cleared_where_it_is_to_a_third(lost: Night) -> None:
    story = told([lost, Night(claims={1: BOTH})])
    assert story.there[guid(1)] != profile(3)


@pytest.mark.parametrize(
    ("lost", "customer"),
    [
        (Night(claims={2: ONE}, sent=0), 1),
        (Night(claims={2: ONE}, sent=0, landed=False), 2),
        (Night(claims={2: ONE}, committed=False), 1),
    ],
)
def test_an_uncertain_link_of_a_row_of_two_customers_stays_where_it_is_to_one_of_them(
    lost: Night, customer: int
) -> None:
    story = told([lost, Night(claims={2: BOTH})])
    assert story.there[guid(2)] == profile(customer)


def test_a_link_that_was_not_cleared_for_certain_stays_where_one_of_two_customers_has_it() -> None:
    story = told([Night(claims={2: NOBODY}, sent=0, landed=False), Night(claims={2: BOTH})])
    assert story.there[guid(2)] == profile(2)


def test_an_uncertain_link_that_is_written_again_anyway_needs_no_reading() -> None:
    planned = told([Night(claims={2: ONE}, sent=0)]).world.plan("incremental")
    assert planned is not None
    assert not planned.read


def test_a_kept_link_that_went_with_its_profile_is_set_again_when_both_come_back() -> None:
    gone, reborn = Night(toggled=ONE), Night(claims={1: ONE}, toggled=ONE)
    story = told([Night(claims={1: NOBODY}), Night(mode="verify"), gone, reborn], keep=True, restricts=False)
    assert story.there[guid(1)] == profile(1)


def test_links_that_others_wrote_after_a_run_was_lost_are_held_by_the_brake() -> None:
    rows = range(1, 5)
    there = Dataverse(dict.fromkeys(map(guid, rows)), {guid(row): guid(row) for row in rows}, lookup=1)
    story = Story(World(brake_percent=10, dataverse=there))
    story.tell(Night(claims=dict.fromkeys(rows, ONE), toggled=EVERYBODY))
    story.tell(Night(claims=dict.fromkeys(rows, TWO), committed=False))
    for row in rows:
        story.tell(Hand("link", row, 3))
    story.tell(Night(mode="verify"))
    assert set(story.there.values()) == {profile(3)}
