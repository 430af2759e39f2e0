"""Whole histories of an environment: landings, runs and people, while workers, storage and Dataverse fail.

SEED=<n> repeats one history: `SEED=7 python -m pytest tests/simulation/test_whole_runs.py -k seed`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.simulation.histories import draw, live
from tests.simulation.seeds import live_through, live_through_part
from tests.simulation.surroundings import surroundings
from tests.support.campaigns import SEED


@pytest.fixture(scope="module", autouse=True)
def _in_memory() -> Iterator[None]:
    with surroundings():
        yield


@pytest.mark.parametrize("part", range(10))
def test_nothing_is_lost_whatever_breaks_and_whatever_comes_twice_late_or_never(part: int) -> None:
    live_through_part(part)


@pytest.mark.skipif("SEED" not in os.environ, reason="SEED=<n> repeats one history")
def test_the_history_of_one_seed_keeps_every_promise() -> None:
    live_through(SEED)


def test_a_history_is_the_same_each_time_it_is_drawn_and_lived_through() -> None:
    assert draw(SEED) == draw(SEED)
    assert live(draw(SEED)) == live(draw(SEED))
