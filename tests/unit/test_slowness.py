from __future__ import annotations

import random

import pytest

from shared.dataverse.slowness import Slowness, Stretch


def judged(slowness: Slowness, *calls: tuple[float, int], kind: str = "") -> Stretch:
    """The verdict on a round of calls, each of so many seconds and rows."""
    slowness.begin(0.0)
    for seconds, rows in calls:
        slowness.note(0.0, seconds, rows, kind)
    return slowness.judge()


@pytest.fixture
def slowness() -> Slowness:
    found = Slowness(0.0)
    found.note(0.0, 0.5, 0, "")  # what a request takes that writes nothing
    return found


def test_a_round_is_measured_by_the_best_so_far(slowness: Slowness) -> None:
    assert judged(slowness, *[(2.5, 100)] * 8).ratio == pytest.approx(1.0)
    assert judged(slowness, *[(3.5, 100)] * 8).ratio == pytest.approx(1.5)
    assert judged(slowness, *[(1.5, 100)] * 8).ratio == pytest.approx(1.0)
    assert judged(slowness, *[(2.5, 100)] * 8).ratio == pytest.approx(2.0, rel=0.05)


def test_smaller_calls_are_not_slower_for_their_share_of_the_request(slowness: Slowness) -> None:
    judged(slowness, *[(10.5, 1000)] * 8)
    assert judged(slowness, *[(1.0, 50)] * 8).ratio == pytest.approx(1.0)


def test_what_was_sent_before_the_round_does_not_count(slowness: Slowness) -> None:
    slowness.begin(10.0)
    slowness.note(9.0, 4.0, 100, "")
    assert slowness.answers == 0
    assert slowness.judge() == Stretch(1.0, 1.0)


def test_what_chance_explains_is_not_beyond_doubt(slowness: Slowness) -> None:
    chance = random.Random(1)  # noqa: S311  reproducible

    def noisy(mean: float, count: int) -> list[tuple[float, int]]:
        return [(0.5 + mean * chance.uniform(0.7, 1.3), 100) for _ in range(count)]

    judged(slowness, *noisy(2.0, 200))
    few, many = judged(slowness, *noisy(2.3, 6)), judged(slowness, *noisy(2.3, 400))
    assert few.sure < 1.05 < few.ratio
    assert many.sure > 1.05


def test_a_baseline_drifts_towards_what_is_measured(slowness: Slowness) -> None:
    judged(slowness, *[(1.5, 100)] * 8)
    first = judged(slowness, *[(2.5, 100)] * 8).ratio
    for _ in range(60):
        last = judged(slowness, *[(2.5, 100)] * 8).ratio
    assert first == pytest.approx(2.0)
    assert last < 1.3


def test_an_accepted_round_is_the_new_baseline(slowness: Slowness) -> None:
    judged(slowness, *[(1.5, 100)] * 8)
    judged(slowness, *[(2.5, 100)] * 8)
    slowness.accept()
    assert judged(slowness, *[(2.5, 100)] * 8).ratio == pytest.approx(1.0)


def test_kinds_of_calls_do_not_compare(slowness: Slowness) -> None:
    judged(slowness, *[(1.5, 100)] * 8, kind="contacts")
    assert judged(slowness, *[(9.5, 100)] * 8, kind="orders").ratio == pytest.approx(1.0)
