"""The decisions of the pace, one by one, in seconds that the tests count themselves."""

from __future__ import annotations

import pytest

from shared.dataverse.pace import CONCURRENCY, EXECUTION, REQUESTS, Pace


class Day:
    """A pace, its time, and calls of 100 rows that take as long as the test says."""

    def __init__(self, start: int = 8, **options: float) -> None:
        self.now = 1000.0
        self.pace = Pace(self.now, start=start, **options)  # type: ignore[arg-type]

    def call(self, seconds: float = 2.0, rows: int = 100, kind: str = "") -> None:
        """One call, sent when nothing else was free."""
        while self.pace.take():
            pass
        sent_at = self.now
        self.now += seconds / self.pace.at_once
        for _ in range(self.pace.under_way):
            self.pace.release()
        self.pace.answered(self.now, sent_at, seconds, rows, kind)

    def calls(self, count: int, seconds: float = 2.0, **options: object) -> None:
        self.pace.answered(self.now, self.now, 0.1)  # what a request takes that writes nothing
        for _ in range(count):
            self.call(seconds, **options)  # type: ignore[arg-type]

    def throttled(self, retry_after: float | None = 2.0, code: str = EXECUTION) -> None:
        """A 429 to a request sent just now, and the wait."""
        self.now += 1.0
        self.pace.throttled(self.now, self.now, retry_after, code)
        self.now = self.pace.not_before


def test_it_begins_with_a_quarter_of_the_hint_and_doubles_with_each_round_up_to_it() -> None:
    day = Day()
    day.pace.advise(day.now, 20)
    seen = [day.pace.at_once]
    for _ in range(60):
        day.call()
        if day.pace.at_once != seen[-1]:
            seen.append(day.pace.at_once)
    assert seen[:3] == [5, 10, 20]
    assert seen[-1] <= 22


def test_only_the_first_advice_counts() -> None:
    day = Day()
    day.pace.advise(day.now, 20)
    day.pace.advise(day.now, 48)
    assert day.pace.at_once == 5


def test_the_hint_is_split_between_workers() -> None:
    assert Day(start=12, workers=3).pace.at_once == 4


@pytest.mark.parametrize(("start", "ceiling", "expected"), [(400, 52, 52), (400, 90, 52), (0, 52, 1), (30, 8, 8)])
def test_the_number_stays_between_one_and_fifty_two(start: int, ceiling: int, expected: int) -> None:
    assert Day(start=start, ceiling=ceiling).pace.at_once == expected


def test_a_429_halves_once_for_all_that_were_under_way() -> None:
    day = Day(start=16)
    sent_at = day.now
    for _ in range(5):
        day.now += 0.1
        day.pace.throttled(day.now, sent_at, 2.0, EXECUTION)
    assert day.pace.at_once == 8


def test_a_shorter_retry_after_does_not_shorten_a_longer_one() -> None:
    day = Day()
    day.pace.throttled(day.now, day.now, 15.0)
    day.pace.throttled(day.now, day.now, 3.0)
    assert day.pace.not_before == day.now + 15.0


def test_a_429_without_retry_after_still_waits() -> None:
    day = Day()
    assert day.pace.throttled(day.now, day.now, None) == 5.0
    assert day.pace.not_before == day.now + 5.0


def test_after_too_many_at_once_it_comes_back_quickly_to_a_little_less() -> None:
    day = Day(start=20)
    day.throttled(code=CONCURRENCY)
    assert day.pace.at_once == 10
    day.calls(12)
    assert day.pace.at_once == 18
    day.calls(1)
    assert day.pace.at_once == 18


def test_after_too_many_requests_it_comes_back_to_as_many_at_once() -> None:
    day = Day(start=20)
    day.throttled(code=REQUESTS)
    assert day.pace.at_once == 10
    day.calls(12)
    assert day.pace.at_once == 20


def test_after_too_much_execution_it_comes_back_to_what_the_window_permits() -> None:
    day = Day(start=40, ceiling=40)
    day.calls(600, 4.0)  # 40 at once for a minute: in five minutes it could have been eight
    day.throttled(200.0)
    day.calls(40, 4.0)
    assert day.pace.at_once == 20  # never less than half
    day.throttled(200.0)
    day.calls(12, 4.0)
    assert 10 <= day.pace.at_once <= 11


def test_it_grows_slowly_only_when_it_was_what_held_back() -> None:
    idle, busy = Day(), Day()
    for _ in range(400):
        idle.now += 0.25
        idle.pace.answered(idle.now, idle.now - 2.0, 2.0, 100)
    busy.calls(400)
    assert idle.pace.at_once == 8
    assert 10 <= busy.pace.at_once <= 16


def test_growth_is_split_between_workers() -> None:
    alone, four = Day(start=8), Day(start=32, workers=4)
    alone.calls(400)
    four.calls(400)
    assert 0 <= four.pace.at_once - 8 <= (alone.pace.at_once - 8) / 2


def test_rows_that_take_longer_because_of_us_leave_fewer_at_once() -> None:
    day = Day(start=16)
    day.calls(24, 2.0)
    day.calls(24, 3.0)
    assert day.pace.at_once < 12
    for _ in range(200):  # ten cores: slow again with as many as before
        day.call(2.0 * max(1.0, day.pace.at_once / 10))
    assert 8 <= day.pace.at_once <= 11


def test_a_slowdown_that_passes_by_itself_leaves_as_many_at_once() -> None:
    """Halving seems to have helped; as many as before are fast again."""
    day = Day(start=32, workers=2)
    day.calls(24, 2.0)
    day.calls(24, 3.0)
    assert day.pace.at_once < 12
    day.calls(60, 2.0)
    assert day.pace.at_once >= 16


def test_the_first_slowdown_is_believed_when_halving_helped() -> None:
    day = Day(start=16)
    day.calls(24, 2.0)
    day.calls(24, 3.0)
    day.calls(60, 2.0)
    assert day.pace.at_once < 12


def test_slowdowns_that_were_not_ours_are_left_alone_for_longer_each_time() -> None:
    day = Day(start=16)
    halved = []
    for _ in range(20):  # a wave each minute
        end, least = day.now + 60.0, day.pace.at_once
        while day.now < end:
            day.call(3.0 if end - day.now > 40.0 else 2.0)
            least = min(least, day.pace.at_once)
        halved.append(least < 12)
    assert any(halved[:5])
    assert sum(halved[10:]) <= 3


def test_a_slowdown_does_not_settle_below_half_of_what_is_recommended() -> None:
    day = Day()
    day.pace.advise(day.now, 24)
    day.pace.answered(day.now, day.now, 0.1)
    for _ in range(600):
        day.call(2.0 * day.pace.at_once)  # one core
    assert 12 <= day.pace.at_once <= 15


def test_a_429_goes_below_half_of_what_is_recommended() -> None:
    day = Day(start=24)
    for _ in range(3):
        day.throttled()
        day.calls(3, 2.0)
    assert day.pace.at_once < 12


def test_slowness_for_another_reason_is_accepted() -> None:
    day = Day(start=16)
    day.calls(24, 2.0)
    day.calls(500, 6.0)
    assert day.pace.at_once >= 16


def test_a_table_with_dearer_rows_is_no_slowdown() -> None:
    day = Day(start=16)
    day.calls(48, 2.0, kind="contacts")
    day.calls(48, 8.0, kind="orders")
    assert day.pace.at_once >= 16


def test_larger_calls_are_no_slowdown() -> None:
    day = Day(start=16)
    day.calls(48, 0.6, rows=100)
    day.calls(48, 5.1, rows=1000)
    assert day.pace.at_once >= 16


def test_the_hint_is_left_when_more_at_once_makes_rows_slower() -> None:
    day = Day()
    day.pace.advise(day.now, 40)
    day.pace.answered(day.now, day.now, 0.1)
    for _ in range(300):
        day.call(2.0 * max(1.0, day.pace.at_once / 24))
    assert 20 <= day.pace.at_once <= 28


def test_what_another_worker_was_told_slows_this_one_too() -> None:
    day = Day(start=16)
    day.pace.hold(day.now, day.now + 30.0)
    assert day.pace.at_once == 8


def test_who_hears_of_a_hold_lets_the_one_that_was_told_go_first() -> None:
    day = Day()
    day.pace.hold(day.now, day.now + 30.0)
    assert day.pace.not_before == day.now + 31.0


def test_after_a_hold_one_request_goes_first_and_then_twice_as_many_each_time() -> None:
    day = Day(start=32)
    day.pace.answered(day.now, day.now, 0.1)  # a refusal comes back at least this fast
    assert day.pace.go(day.now) == 0.0
    day.throttled()
    gone = []
    for _ in range(5):
        gone.append(0)
        while (wait := day.pace.go(day.now)) <= 0 and gone[-1] < 100:
            gone[-1] += 1
        day.now += wait
    assert gone == [1, 2, 4, 8, 16]
    day.now += 0.001
    assert all(day.pace.go(day.now) == 0.0 for _ in range(100))


def test_nothing_goes_before_a_hold_is_over() -> None:
    day = Day()
    day.pace.throttled(day.now, day.now, 12.0)
    assert day.pace.go(day.now + 11.0) == pytest.approx(1.0)


def test_the_same_trouble_told_twice_halves_once() -> None:
    day = Day(start=16)
    day.pace.throttled(day.now, day.now, 30.0)
    day.now += 1.0
    day.pace.hold(day.now, day.now + 31.0)
    assert day.pace.not_before == day.now + 32.0
    assert day.pace.at_once == 8


def test_a_hold_that_is_over_or_known_changes_nothing() -> None:
    day = Day(start=16)
    day.pace.hold(day.now, day.now - 1.0)
    assert day.pace.at_once == 16


def test_a_worker_that_leaves_lets_the_others_grow_into_its_share() -> None:
    day = Day(start=16, workers=2)
    assert day.pace.at_once == 8
    day.pace.share(day.now, 1)
    assert day.pace.at_once == 8
    day.calls(10)
    assert day.pace.at_once == 16


def test_a_worker_that_joins_takes_its_share_at_once() -> None:
    day = Day(start=16)
    day.pace.share(day.now, 4)
    assert day.pace.at_once == 4


def test_every_time_is_a_share_of_the_window() -> None:
    long, short = Day(), Day(window=15.0)
    long.calls(200, 2.0)
    short.calls(200, 0.1)
    assert long.pace.at_once == short.pace.at_once


def test_one_at_a_time_becomes_two_before_long() -> None:
    day = Day(start=1)
    day.calls(25, 2.0)
    assert day.pace.at_once == 2
