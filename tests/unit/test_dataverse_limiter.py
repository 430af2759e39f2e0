import threading
import time

import pytest

from shared.dataverse.limiter import Limiter, News
from shared.errors import ThrottledError
from tests.support.limiting import Clock, Others, limiter


@pytest.fixture
def clock() -> Clock:
    return Clock()


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


def test_a_wait_that_is_too_long_is_handed_back(clock: Clock) -> None:
    one = limiter(clock, wait_seconds=20.0)
    one.note_throttled(clock(), 90.0)
    with one.slot() as slot, pytest.raises(ThrottledError) as raised:
        slot.wait()
    assert raised.value.retry_after == 90.0
    assert clock.slept == []


def test_other_workers_are_told(clock: Clock) -> None:
    others = Others()
    limiter(clock, others=others).note_throttled(clock(), 7.0)
    assert others.told == [7.0]


def test_what_other_workers_were_told_holds_right_before_a_request(clock: Clock) -> None:
    others = Others()
    one = limiter(clock, others=others)
    others.news = [News(hold_seconds=6.0)]
    with one.slot() as slot:
        slot.wait()
    assert clock.slept == [7.0]
    assert one.at_once == 4
    assert others.told == []


def test_what_comes_in_during_a_wait_lengthens_it(clock: Clock) -> None:
    others = Others()
    one = limiter(clock, others=others)
    others.news = [News(hold_seconds=2.0), News(hold_seconds=3.0)]
    one.wait_out_hold()
    assert clock.slept == [3.0, 4.0]


def test_more_workers_leave_each_a_smaller_share(clock: Clock) -> None:
    others = Others()
    one = limiter(clock, 12, others=others)
    others.news = [News(workers=3)]
    one.wait_out_hold()
    assert one.at_once == 4


def test_users_of_the_app_share_what_is_recommended(clock: Clock) -> None:
    others = Others()
    one = limiter(clock, 12, users=2, others=others)
    assert one.at_once == 6
    others.news = [News(workers=2)]
    one.wait_out_hold()
    assert one.at_once == 3


def test_spare_counts_what_is_under_way_and_who_waits(clock: Clock) -> None:
    one = limiter(clock, 2, slot_seconds=5.0)
    assert one.spare == 2

    def wait() -> None:
        with one.slot():
            pass

    waits = threading.Thread(target=wait)
    with one.slot(), one.slot():
        assert one.spare == 0
        waits.start()
        while one.spare == 0:
            time.sleep(0.001)
        assert one.spare == -1
    waits.join()
    assert one.spare == 2


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
