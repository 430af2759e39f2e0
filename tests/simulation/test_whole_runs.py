"""Whole histories of an environment: landings, runs and people, while workers, storage and Dataverse fail.

SEED=<n> repeats one history: `SEED=7 python -m pytest tests/simulation/test_whole_runs.py -k seed`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.simulation.events import History
from tests.simulation.histories import draw, live, shorten
from tests.simulation.strands import BrokenPromise
from tests.simulation.surroundings import surroundings
from tests.support.campaigns import SEED, campaign, size

PARTS = 10


@pytest.fixture(scope="module", autouse=True)
def _in_memory() -> Iterator[None]:
    with surroundings():
        yield


def _broken(history: History) -> BaseException | None:
    try:
        live(history)
    except (Exception, BrokenPromise) as fault:  # noqa: BLE001  whatever is raised here nobody foresaw
        return fault
    return None


def _tell(seed: int, fault: BaseException) -> str:
    short = shorten(draw(seed), lambda history: type(_broken(history)) is type(fault))
    events = "\n".join(f"    {event!r}," for event in short)
    return f"SEED={seed}: {type(fault).__name__}: {fault}\nShortened, {_broken(short)}:\n{events}"


@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_is_lost_whatever_breaks_and_whatever_comes_twice_late_or_never(part: int) -> None:
    many = size(50, 1_000)
    with campaign("Simulation of whole runs", "histories") as tally:
        for seed in range(SEED + part * many, SEED + (part + 1) * many):
            if fault := _broken(draw(seed)):
                raise AssertionError(_tell(seed, fault)) from fault
            tally.count += 1


@pytest.mark.skipif("SEED" not in os.environ, reason="SEED=<n> repeats one history")
def test_the_history_of_one_seed_keeps_every_promise() -> None:
    if fault := _broken(draw(SEED)):
        raise AssertionError(_tell(SEED, fault)) from fault


def test_a_history_is_the_same_each_time_it_is_drawn_and_lived_through() -> None:
    assert draw(SEED) == draw(SEED)
    assert live(draw(SEED)) == live(draw(SEED))
