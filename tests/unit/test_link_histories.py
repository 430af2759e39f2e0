"""Any history of an environment: after every run its links are what an oracle in plain Python says."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.deltas import guid
from tests.support.link_story import EVERYTHING, Confirm, Hand, Night, Step, Story, profile
from tests.support.link_world import Dataverse, World, surroundings

EXAMPLES = 10_000 if os.environ.get("SOAK") else 300
ROWS, CUSTOMERS = st.integers(1, 7), st.integers(1, 4)
RARELY = st.sampled_from([False, False, False, True])


def mostly(usual: Any, other: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.just(usual), st.just(usual), st.just(usual), other)


whose = st.one_of(CUSTOMERS.map(lambda one: frozenset({one})), st.frozensets(CUSTOMERS, max_size=2))
claims = st.dictionaries(ROWS, whose, max_size=5)
customers = st.frozensets(CUSTOMERS, max_size=2)
reach = st.integers(0, 2)
nights = st.builds(
    Night,
    mode=st.sampled_from(["incremental", "incremental", "incremental", "verify", "full", "plan"]),
    claims=claims,
    toggled=mostly(frozenset(), customers),
    unreadable=RARELY,
    profiles_held=RARELY,
    unborn=mostly(frozenset(), customers),
    refused=mostly({}, st.dictionaries(ROWS, st.booleans(), max_size=3)),
    sent=mostly(EVERYTHING, reach),
    begun=mostly(EVERYTHING, reach),
    landed=st.booleans(),
    committed=st.sampled_from([True, True, True, False]),
)
hands = st.builds(
    Hand,
    st.sampled_from(["link", "link", "empty", "delete", "create", "recreate lookup", "lose state", "swap codes"]),
    ROWS,
    CUSTOMERS,
)
first = st.builds(
    lambda claims, wanted: Night(claims=claims, toggled=wanted),
    st.dictionaries(ROWS, whose, min_size=2),
    st.frozensets(CUSTOMERS, min_size=2),
)
steps = st.lists(st.one_of(nights, nights, nights, hands, hands, st.just(Confirm())), max_size=6)


@dataclass(frozen=True)
class Start:
    """An environment before its first run. Links need the lookup."""

    rows: Mapping[int, int | None]
    lookup: bool
    by_code: bool
    keep: bool
    brake_percent: float

    def world(self) -> World:
        links = {guid(row): profile(to) if to and self.lookup else None for row, to in self.rows.items()}
        codes = {guid(row): f"Code-{row}" for row in range(1, 8)}
        there = Dataverse(links, codes, {to for to in links.values() if to}, int(self.lookup))
        return World(self.by_code, self.keep, self.brake_percent, there)


starts = st.builds(
    Start,
    rows=st.dictionaries(ROWS, st.one_of(st.none(), CUSTOMERS), min_size=3),
    lookup=st.booleans(),
    by_code=RARELY,
    keep=RARELY,
    brake_percent=st.sampled_from([10, 50, 100]),
)


@pytest.fixture(scope="module", autouse=True)
def app() -> Iterator[None]:
    with surroundings():
        yield


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(starts, first, steps)
def test_links_are_what_unification_says_whatever_the_history(start: Start, opening: Night, then: list[Step]) -> None:
    story = Story(start.world())
    for step in (opening, *then):
        story.tell(step)
