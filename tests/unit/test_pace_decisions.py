"""The pace at its bounds: what is just enough and what is not, in numbers."""

from __future__ import annotations

from typing import Any, cast

import pytest

from shared.dataverse.pace import CONCURRENCY, EXECUTION, REQUESTS, WINDOW, Pace
from shared.dataverse.slowness import Stretch, Trial

STEP = WINDOW / 30


class Day:
    """A pace and its time."""

    def __init__(self, start: int = 8, **options: float) -> None:
        self.now = 1000.0
        self.pace = Pace(self.now, start=start, **options)  # type: ignore[arg-type]

    def call(self, seconds: float = 2.0, rows: int = 100, *, full: bool = True) -> None:
        """One call; `full`: all that may be under way was."""
        while full and self.pace.take():
            pass
        sent_at = self.now
        self.now += seconds / self.pace.at_once
        for _ in range(self.pace.under_way):
            self.pace.release()
        self.pace.answered(self.now, sent_at, seconds, rows)


# -- the beginning -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hint", "workers", "first"), [(16, 1, 4), (16, 2, 2), (48, 3, 4), (2, 1, 1)])
def test_the_first_share_is_a_quarter_of_what_each_worker_has_of_the_hint(hint: int, workers: int, first: int) -> None:
    day = Day(workers=workers)
    day.pace.advise(day.now, hint)
    assert day.pace.at_once == first


def test_requests_without_rows_are_enough_to_go_on_to_the_hint_a_step_at_a_time() -> None:
    day = Day()
    day.pace.advise(day.now, 20)
    for _ in range(3):
        day.call(STEP, rows=0)  # two seconds each, five at once
    assert day.pace.at_once == 5
    day.call(4 * STEP, rows=0)
    assert day.pace.at_once == 10


def test_with_rows_the_first_rounds_are_judged_before_there_are_more_at_once() -> None:
    day = Day()
    day.pace.advise(day.now, 20)
    for _ in range(7):
        day.call(30.0)  # six seconds each
    assert day.now - 1000 > 4 * STEP
    assert day.pace.at_once == 5
    day.call(30.0)
    assert day.pace.at_once == 10


def test_after_the_beginning_it_need_not_wait_for_a_whole_round_to_grow() -> None:
    day = Day(start=1)
    for _ in range(3):
        day.call(4.0)
    assert day.pace._limit == pytest.approx(1 + 4 * 0.04 * 12 / STEP)


def test_what_was_not_full_does_not_grow() -> None:
    day = Day(start=4)
    for _ in range(40):
        day.call(STEP, full=False)
    assert day.pace.at_once == 4


def test_what_was_just_full_grows_though_nobody_had_to_wait() -> None:
    day = Day(start=2)
    for _ in range(40):
        for _ in range(2):
            day.pace.take()
        day.call(STEP, full=False)
    assert day.pace.at_once > 2


def test_what_was_full_once_in_a_step_was_full_in_it() -> None:
    day = Day(start=2)
    for _ in range(40):
        for _ in range(2):
            day.pace.take()
        day.pace.release()
        day.pace.release()
        day.pace.take()
        day.call(STEP, full=False)
    assert day.pace.at_once > 2


# -- holds ---------------------------------------------------------------------------------------------------


def test_a_hold_that_is_just_over_is_no_trouble() -> None:
    day = Day()
    day.pace.hold(day.now, day.now)
    assert (day.pace.at_once, day.pace.not_before) == (8, day.now)


def test_a_hold_that_is_known_is_no_new_trouble() -> None:
    day = Day()
    day.pace.throttled(day.now, day.now, 30.0, REQUESTS)
    known = day.pace.not_before
    day.pace.hold(day.now, known)
    assert (day.pace.at_once, day.pace.not_before) == (4, known)


def test_what_another_one_was_told_halves_what_was_under_way_here() -> None:
    day = Day(start=16)
    for _ in range(5):
        day.call(STEP)
    day.pace.hold(day.now, day.now + 10)
    assert day.pace.at_once == 8
    assert day.pace.not_before == day.now + 10 + WINDOW / 300


def test_the_wait_that_is_told_is_returned_and_without_one_it_is_five_seconds() -> None:
    day = Day()
    assert day.pace.throttled(day.now, day.now, 17.0) == 17.0
    assert day.pace.throttled(day.now, day.now, None) == 5.0
    assert day.pace.not_before == day.now + 17.0


def test_a_hold_ends_exactly_when_it_was_said() -> None:
    day = Day()
    day.pace.throttled(day.now, day.now, 10.0)
    assert day.pace.go(day.now + 9.75) == 0.25
    assert day.pace.go(day.now + 10.0) == 0.0


def test_requests_that_went_out_before_the_trouble_are_the_same_trouble() -> None:
    day = Day(start=16)
    day.pace.throttled(day.now + 5, day.now, 0.0, REQUESTS)
    assert day.pace.at_once == 8
    day.pace.throttled(day.now + 6, day.now + 4.9, 0.0, REQUESTS)
    assert day.pace.at_once == 8
    day.pace.throttled(day.now + 7, day.now + 5, 0.0, REQUESTS)
    assert day.pace.at_once == 4


@pytest.mark.parametrize(
    ("code", "target"), [(REQUESTS, 16.0), (CONCURRENCY, 0.9 * 16), (EXECUTION, 8.0), ("", 8.0), ("0x1", 8.0)]
)
def test_how_far_it_comes_back_quickly_after_each_kind_of_429(code: str, target: float) -> None:
    day = Day(start=16)
    day.pace.throttled(day.now, day.now, 0.0, code)
    assert day.pace._limit == 8.0
    for _ in range(12):
        day.now += 0.001
        day.pace.answered(day.now, day.now, 1.0, 100)
    assert day.pace._limit == pytest.approx(target)


def test_what_the_window_permits_is_what_was_under_way_in_it_and_a_little_more() -> None:
    day = Day(start=20)
    for _ in range(30):  # sixteen seconds of execution a second
        day.now += STEP
        day.pace.answered(day.now, day.now, 16 * STEP, 100)
    day.pace.throttled(day.now, day.now, 0.0, EXECUTION)
    assert day.pace._target == pytest.approx(1.15 * 16)
    later = Day(start=20)
    later.pace.answered(later.now, later.now, 9_000.0, 100)
    later.now += WINDOW
    later.pace.throttled(later.now, later.now, 0.0, EXECUTION)
    assert later.pace._target == pytest.approx(10.0), "what is a window old counts no more"


# -- several workers ----------------------------------------------------------------------------------------


def test_every_change_of_the_workers_changes_the_share() -> None:
    day = Day(start=40)
    for workers, share in ((2, 20), (4, 10), (4, 10), (8, 5), (0, 5)):
        day.pace.share(day.now, workers)
        assert day.pace.at_once == share
    assert day.pace._target == 40.0, "with answers it comes back to all"


def test_least_of_a_share_is_half_of_what_is_recommended_for_it() -> None:
    day = Day(start=40)
    day.pace.share(day.now, 2)
    assert day.pace._least == 10.0


def test_growth_right_after_trouble_is_a_quarter_of_what_it_is_without() -> None:
    day = Day()
    assert day.pace._growth(day.now) == 0.04
    day.pace.throttled(day.now, day.now, 0.0)
    assert day.pace._growth(day.now) == 0.01
    assert day.pace._growth(day.now + 3 * STEP) == pytest.approx(0.02)
    assert day.pace._growth(day.now + 9 * STEP) == pytest.approx(0.04)
    assert day.pace._growth(day.now + 90 * STEP) == 0.04


def test_slowdowns_are_left_alone_for_two_steps_then_four_up_to_a_window() -> None:
    day = Day()
    for steps in (2, 4, 8, 16, 30, 30):
        day.pace._acquit(day.now)
        assert day.pace._no_trial_before == pytest.approx(day.now + steps * STEP)


# -- slowdowns ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ratio", "target"), [(1.25, 0.7 * 32 / 1.25), (1.1, 0.7 * 32 / 1.1), (2.0, 16.0)])
def test_a_slowdown_is_tried_with_so_many_fewer_but_no_less_than_half_of_what_is_recommended(
    ratio: float, target: float
) -> None:
    day = Day(start=32)
    day.pace._suspect(day.now, Stretch(ratio, ratio))
    trial = day.pace._trial
    assert trial is not None
    assert (trial.limit, trial.starting) == (32.0, False)
    assert trial.target == pytest.approx(target)
    assert day.pace._target == pytest.approx(target)
    assert day.pace._limit == 16.0


def test_on_the_way_to_what_is_recommended_a_slowdown_is_tried_from_there() -> None:
    day = Day(start=32)
    day.pace.advise(day.now, 32)
    day.pace._suspect(day.now, Stretch(1.5, 1.5))
    assert day.pace._trial is not None
    assert day.pace._trial.starting


def test_where_there_are_few_already_a_slowdown_is_accepted() -> None:
    day = Day(start=32)
    day.pace._limit = day.pace._target = 16.0
    day.pace._suspect(day.now, Stretch(1.5, 1.5))
    assert day.pace._trial is None
    assert day.pace._limit == 16.0


def test_a_slowdown_is_left_alone_until_just_before_it_may_be_tried_again() -> None:
    day = Day(start=32)
    day.pace._no_trial_before = day.now + 10
    day.pace._suspect(day.now + 9.9, Stretch(1.5, 1.5))
    assert day.pace._trial is None
    day.pace._suspect(day.now + 10, Stretch(1.5, 1.5))
    assert day.pace._trial is not None


# -- answers -------------------------------------------------------------------------------------------------


def test_answers_to_what_went_out_before_the_trouble_say_nothing_of_the_time_after_it() -> None:
    day = Day(start=16)
    day.pace.throttled(day.now, day.now, 0.0, REQUESTS)
    day.pace.answered(day.now + 1, day.now - 0.1, 1.0, 100)
    assert day.pace._limit == 8.0
    day.pace.answered(day.now + 1, day.now, 1.0, 100)
    assert day.pace._limit == 9.0


def test_an_answer_is_judged_by_its_rows_and_its_kind() -> None:
    day, heard = Day(), list[tuple[object, ...]]()
    cast("Any", day.pace._slowness).note = lambda *given: heard.append(given)
    day.pace.answered(day.now, 990.0, 2.0, 100, "contacts")
    day.pace.answered(day.now, 991.0, 3.0)
    assert heard == [(990.0, 2.0, 100, "contacts"), (991.0, 3.0, 0, "")]


@pytest.mark.parametrize(("starting", "sure", "tried"), [
    (False, 1.05, False), (False, 1.07, True), (True, 1.07, False), (True, 1.1, False), (True, 1.11, True),
])  # fmt: skip
def test_of_the_first_rounds_more_is_asked_before_they_count_as_slow(
    *, starting: bool, sure: float, tried: bool
) -> None:
    day = Day(start=32)
    day.pace._starting = starting
    day.pace._conclude_round(day.now, Stretch(1.2, sure))
    assert (day.pace._trial is not None) is tried


@pytest.mark.parametrize(("target", "limit"), [(10.0, 0.85 * 20), (19.0, 19.0)])
def test_what_went_beyond_the_recommended_number_and_was_slow_is_not_tried_again(target: float, limit: float) -> None:
    day = Day(start=20)
    day.pace._convicted = True
    day.pace._conclude_fewer(day.now, Trial(Stretch(1.5, 1.5), 30.0, target, starting=False), Stretch(1.0, 1.0))
    assert (day.pace._limit, day.pace._target, day.pace._trial) == (limit, limit, None)


def test_what_the_window_remembers_is_no_more_than_its_sixtieths() -> None:
    day = Day()
    for _ in range(6_000):
        day.now += WINDOW / 3_000
        day.pace.answered(day.now, day.now, 0.5, 100)
    assert day.pace._spent.seconds(day.now) == pytest.approx(0.5 * 3_000, rel=0.02)
    assert len(day.pace._spent._parts) <= 61
