"""The simulation can fail: whatever guard is taken away from the app, some history notices it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.histories import draw, live
from tests.simulation.sabotages import QUICK, SABOTAGES
from tests.simulation.strands import BrokenPromise
from tests.simulation.surroundings import surroundings
from tests.support.campaigns import SOAK, campaign

MOST_SEEDS = 400


@pytest.fixture(scope="module", autouse=True)
def _in_memory() -> Iterator[None]:
    with surroundings():
        yield


@pytest.mark.parametrize("name", SABOTAGES if SOAK else QUICK)
def test_a_guard_that_is_taken_away_is_missed_by_some_history(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    SABOTAGES[name](monkeypatch)
    with campaign("Simulation: sabotages noticed", "sabotages", seed=0) as tally:
        assert any(map(_breaks, range(MOST_SEEDS))), f"{name} {MOST_SEEDS} histories did not notice it."
        tally.count += 1


def _breaks(seed: int) -> bool:
    """Whether a promise is broken in a history, or the app stumbles."""
    try:
        live(draw(seed))
    except (Exception, BrokenPromise):  # noqa: BLE001
        return True
    return False
