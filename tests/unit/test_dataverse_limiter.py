import threading
import time

import pytest

from shared.dataverse.limiter import Limiter
from shared.errors import ThrottledError


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def limiter(clock: Clock, start: int = 8, **options: object) -> Limiter:
    return Limiter(start, clock=clock, sleep=clock.sleep, **options)  # type: ignore[arg-type]


def test_only_the_first_advice_counts_and_is_split_between_workers(clock: Clock) -> None:
    one = limiter(clock, 4)
    one.advise(20, workers=3)
    one.advise(50)
    assert one.at_once == 6


def test_the_limit_stays_between_one_and_fifty_two(clock: Clock) -> None:
    assert limiter(clock, 400).at_once == 52
    one = limiter(clock, 4)
    one.advise(1, workers=5)
    assert one.at_once == 1


def test_a_429_halves_once_for_all_requests_under_way(clock: Clock) -> None:
    one = limiter(clock, 16)
    sent_at = clock()
    clock.now += 1
    for _ in range(5):
        one.note_throttled(sent_at, 2.0)
    assert one.at_once == 8
    clock.now += 1
    one.note_throttled(clock(), 2.0)
    assert one.at_once == 4


def test_retry_after_is_a_floor_for_every_request(clock: Clock) -> None:
    one = limiter(clock)
    one.note_throttled(clock(), 10.0)
    with one.slot() as slot:
        slot.wait()
    assert clock.slept == [10.0]


def test_a_shorter_retry_after_does_not_shorten_a_longer_one(clock: Clock) -> None:
    one = limiter(clock)
    one.note_throttled(clock(), 15.0)
    one.note_throttled(clock(), 3.0)
    assert one.hold_seconds() == 15.0


def test_a_wait_that_is_too_long_is_handed_back(clock: Clock) -> None:
    one = limiter(clock, wait_seconds=20.0)
    one.hold(90.0)
    with one.slot() as slot, pytest.raises(ThrottledError) as raised:
        slot.wait()
    assert raised.value.retry_after == 90.0
    assert clock.slept == []


def test_a_429_without_retry_after_still_waits(clock: Clock) -> None:
    one = limiter(clock)
    assert one.note_throttled(clock(), None) == 5.0
    assert one.hold_seconds() == 5.0


def test_other_workers_are_told(clock: Clock) -> None:
    told: list[float] = []
    one = limiter(clock, on_hold=told.append)
    one.note_throttled(clock(), 7.0)
    assert told == [7.0]


def test_it_grows_slowly_and_only_when_it_was_what_held_back(clock: Clock) -> None:
    one = limiter(clock, 2)
    for _ in range(10):
        clock.now += 10
        one.note_success()
    assert one.at_once == 2
    with one.slot(), one.slot():
        clock.now += 10
        one.note_success()
        assert one.at_once == 3
        one.note_success()
    assert one.at_once == 3


def test_no_more_than_the_limit_at_the_same_time() -> None:
    one = Limiter(3)
    lock, now, most = threading.Lock(), 0, 0

    def work() -> None:
        nonlocal now, most
        for _ in range(5):
            with one.slot():
                with lock:
                    now += 1
                    most = max(most, now)
                time.sleep(0.002)
                with lock:
                    now -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 3


def test_waiting_for_a_slot_ends(clock: Clock) -> None:
    one = limiter(clock, 1, slot_seconds=0.01)
    with one.slot(), pytest.raises(ThrottledError), one.slot():
        pass
