"""The pace in a Dataverse whose own speed comes and goes, half an hour in virtual time for each wave."""

from __future__ import annotations

import pytest

from tests.support.virtual_dataverse import CALM, Wave, unlimited
from tests.support.virtual_senders import share_of_hint

WAVES = [
    Wave(1.2, lasts=20.0, every=60.0),
    Wave(1.5, lasts=30.0, every=120.0),
    Wave(2.0, lasts=30.0, every=120.0),
    Wave(4.0, lasts=30.0, every=300.0),
]


@pytest.mark.parametrize("wave", WAVES, ids=str)
def test_waves_of_others_load_leave_most_of_what_is_recommended(wave: Wave) -> None:
    """Calls of four seconds, which do not get smaller in a wave."""
    assert share_of_hint(unlimited(wave), rows=800) >= 0.85


def test_they_leave_it_to_workers_that_share_it_too() -> None:
    assert share_of_hint(unlimited(WAVES[2]), workers=4) >= 0.85


def test_without_waves_all_of_it_is_used() -> None:
    assert share_of_hint(unlimited(CALM)) >= 0.95
