"""The other half of the long run's histories: a file of its own, so that a process of its own lives through it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.seeds import live_through_part
from tests.simulation.surroundings import surroundings
from tests.support.campaigns import SOAK

pytestmark = pytest.mark.skipif(not SOAK, reason="make soak")


@pytest.fixture(scope="module", autouse=True)
def _in_memory() -> Iterator[None]:
    with surroundings():
        yield


@pytest.mark.parametrize("part", range(10, 20))
def test_nothing_is_lost_in_more_histories(part: int) -> None:
    live_through_part(part)
