"""Any history of an environment: after every run its links are what an oracle in plain Python says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.campaigns import Tally, campaign, size
from tests.support.deltas import guid
from tests.support.link_story import Confirm, Hand, Mode, Night, Step, Story, What, profile
from tests.support.link_world import Dataverse, World, surroundings

EXAMPLES, CHAPTERS = size(120, 750), size(1, 3)
ROWS, CUSTOMERS = st.integers(1, 7), st.integers(1, 4)
MODES: tuple[Mode, ...] = ("incremental", "incremental", "incremental", "verify", "full", "plan")
RARELY = st.sampled_from([False, False, False, True])


whose = st.one_of(CUSTOMERS.map(lambda one: frozenset({one})), st.frozensets(CUSTOMERS, max_size=2))
gone = st.sets(ROWS, min_size=2).map(lambda rows: dict.fromkeys(rows, frozenset[int]()))
claims: st.SearchStrategy[dict[int, frozenset[int]]] = st.one_of(
    st.dictionaries(ROWS, whose, min_size=2, max_size=5), gone, st.just({})
)
customers = st.frozensets(CUSTOMERS, min_size=1, max_size=2)
TROUBLES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "profiles": customers.map(lambda some: {"toggled": some}),
    "unreadable": st.just({"unreadable": True}),
    "profiles held": customers.map(lambda some: {"profiles_held": True, "toggled": some}),
    "unborn": customers.map(lambda some: {"unborn": some}),
    "refused": st.dictionaries(ROWS, st.booleans(), min_size=2).map(lambda rows: {"refused": rows}),
    "cut": st.tuples(st.integers(0, 2), st.integers(0, 3)).map(lambda at: {"sent": at[0], "begun": at[1]}),
    "not committed": st.just({"committed": False}),
    "not committed, and cut": st.integers(0, 2).map(lambda at: {"committed": False, "sent": at, "begun": at}),
    "lost on the way": st.just({"landed": False, "sent": 1}),
}


@st.composite
def nights(draw: st.DrawFn) -> Night:
    """A run, with no more than two troubles."""
    options: dict[str, Any] = {"claims": draw(claims), "confirmed": draw(st.booleans())}
    for trouble in draw(st.lists(st.sampled_from(["none", *TROUBLES]), min_size=2, max_size=2)):
        options |= draw(TROUBLES[trouble]) if trouble in TROUBLES else {}
    return Night(mode=draw(st.sampled_from(MODES)), **options)


hands = st.builds(Hand, st.sampled_from(get_args(What)), ROWS, CUSTOMERS)
first = st.builds(
    lambda night, claims, wanted: replace(night, claims=claims, toggled=wanted),
    st.one_of(st.just(Night()), nights()),
    st.dictionaries(ROWS, whose, min_size=4),
    st.frozensets(CUSTOMERS, min_size=2),
)
calm = st.builds(Night, claims=claims, mode=st.sampled_from(MODES[:4]))
chapters = st.one_of(  # each ends with a run that may show what the one before has left
    st.tuples(nights(), st.just(Night())),
    st.tuples(nights(), calm),
    st.tuples(hands, nights(), st.just(Night())),
    st.tuples(nights(), st.one_of(hands, st.just(Confirm())), calm),
)
steps: st.SearchStrategy[list[Step]] = st.lists(chapters, min_size=1, max_size=CHAPTERS).map(
    lambda some: [*chain(*some)]
)


@dataclass(frozen=True)
class Start:
    """An environment before its first run. Links need the lookup."""

    rows: Mapping[int, int | None]
    lookup: bool
    by_code: bool
    keep: bool
    brake_percent: float
    restricts: bool  # where not, the lookup was there before the app

    def world(self) -> World:
        links = {guid(row): profile(to) if to and self.lookup else None for row, to in self.rows.items()}
        codes = {guid(row): f"Code-{row}" for row in range(1, 8)}
        there = Dataverse(links, codes, {to for to in links.values() if to}, int(self.lookup))
        there.restricts = self.restricts or not self.lookup
        return World(self.by_code, self.keep, self.brake_percent, there)


starts = st.builds(
    Start,
    rows=st.dictionaries(ROWS, st.one_of(st.none(), CUSTOMERS), min_size=3),
    lookup=st.booleans(),
    by_code=RARELY,
    keep=RARELY,
    brake_percent=st.sampled_from([10, 50, 100]),
    restricts=st.sampled_from([True, True, False]),
)


@pytest.fixture(scope="module", autouse=True, name="tally")
def _tally(pytestconfig: pytest.Config) -> Iterator[Tally]:
    """The app's surroundings; and how much was shown is written down, with the seed where one was given."""
    seed = pytestconfig.getoption("--hypothesis-seed") or 0
    with campaign("Histories of links", "histories", seed) as tally, surroundings():
        yield tally


@pytest.mark.parametrize("kind", ["a new lookup", "links that were there", "rows named by texts"])
@settings(max_examples=EXAMPLES // 3, deadline=None, suppress_health_check=list(HealthCheck))
@given(start=starts, opening=first, then=steps)
def test_links_are_what_unification_says_whatever_the_history(
    tally: Tally, kind: str, start: Start, opening: Night, then: list[Step]
) -> None:
    tally.count += 1
    by_code = kind == "rows named by texts"
    lookup = start.lookup if by_code else kind == "links that were there"
    story = Story(replace(start, by_code=by_code, lookup=lookup).world())
    try:
        for step in (opening, *then):
            story.tell(step)
    except BaseException:
        tally.violations = 1  # the same one is found often while it is made short
        raise
