"""What the limiter tells its pace, and what it tells those who wait: around the decisions, by a clock of the test."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from shared.dataverse.limiter import Limiter, News
from shared.errors import ThrottledError
from tests.support.limiting import Clock, Others, limiter


class Told:
    """A pace that only listens."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.at_once = 4

    def __getattr__(self, name: str) -> Any:
        def hear(*given: Any) -> float:
            self.heard.append((name, *given))
            return 0.0

        return hear

    def take(self) -> bool:
        return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told(clock: Clock) -> tuple[Limiter, Told]:
    one, pace = limiter(clock), Told()
    one._pace = pace  # type: ignore[assignment]
    return one, pace


def test_an_answer_is_told_with_when_its_request_went_out_and_how_long_it_took(
    clock: Clock, told: tuple[Limiter, Told]
) -> None:
    one, pace = told
    with one.slot() as slot:
        clock.now += 3  # it waited, after it had its turn
        slot.sent()
        clock.now += 2
        slot.answered(1.5, 100, "contacts")
        slot.answered(0.5)
    assert pace.heard[:2] == [
        ("answered", 1005.0, 1003.0, 1.5, 100, "contacts"),
        ("answered", 1005.0, 1003.0, 0.5, 0, ""),
    ]
    assert pace.heard[2:] == [("release",)]


def test_a_429_is_told_with_when_its_request_went_out_and_what_dataverse_calls_it(
    clock: Clock, told: tuple[Limiter, Told]
) -> None:
    one, pace = told
    with one.slot() as slot:
        clock.now += 2
        slot.throttled(7.0, "0x80072321")
        slot.throttled(None)
    assert pace.heard[:2] == [
        ("throttled", 1002.0, 1000.0, 7.0, "0x80072321"),
        ("throttled", 1002.0, 1000.0, None, ""),
    ]


def test_workers_and_the_users_of_the_app_share_what_is_advised(told: tuple[Limiter, Told]) -> None:
    one, pace = told
    one._users = 3
    one.advise(24, workers=2)
    one.advise(24)
    assert pace.heard == [("share", 1000.0, 6), ("advise", 1000.0, 24), ("advise", 1000.0, 24)]


def test_advice_lets_the_first_share_of_the_hint_out(clock: Clock) -> None:
    one = limiter(clock)
    one.advise(24, workers=2)
    assert one.at_once == 3


def test_there_are_never_more_at_once_than_the_ceiling(clock: Clock) -> None:
    assert limiter(clock, 8, ceiling=3).at_once == 3


def test_news_of_others_are_told_at_the_moment_of_hearing(told: tuple[Limiter, Told]) -> None:
    one, pace = told
    one._users, one._others = 2, Others(News(hold_seconds=0.5), News(workers=3), News(7.0, 2))
    for _ in range(4):
        one.wait_out_hold()
    heard = [what for what in pace.heard if what[0] != "go"]
    assert heard == [("hold", 1000.0, 1000.5), ("share", 1000.0, 6), ("hold", 1000.0, 1007.0), ("share", 1000.0, 4)]


def test_the_seconds_of_a_hold_count_down_to_nothing(clock: Clock) -> None:
    one = limiter(clock)
    assert one.hold_seconds() == 0.0
    with one.slot() as slot:
        slot.throttled(10.0)
        clock.now += 4
        assert (one.hold_seconds(), slot.hold_seconds()) == (6.0, 6.0)
    clock.now += 60
    assert one.hold_seconds() == 0.0


@pytest.mark.parametrize(("seconds", "waits"), [(0.5, True), (20.0, True), (20.5, False)])
def test_a_wait_is_waited_out_unless_it_is_longer_than_twenty_seconds(
    clock: Clock, seconds: float, *, waits: bool
) -> None:
    one = limiter(clock)
    one.note_throttled(clock(), seconds)
    if waits:
        one.wait_out_hold()
        assert clock.slept == [seconds]
        return
    with pytest.raises(ThrottledError, match=r"^Dataverse asked to send nothing for 20 seconds\.$") as raised:
        one.wait_out_hold()
    assert raised.value.retry_after == seconds


def test_who_waits_too_long_for_a_turn_is_told_when_to_come_again(clock: Clock) -> None:
    one = limiter(clock, 1, slot_seconds=0.01)
    said = r"^All requests that the application user may send at once are under way\.$"
    with one.slot(), pytest.raises(ThrottledError, match=said) as raised, one.slot():
        pass
    assert raised.value.retry_after == 0.01
    assert one.spare == 1, "who gave up waits no more"


def test_everybody_who_waits_is_counted(clock: Clock) -> None:
    one = limiter(clock, 1, slot_seconds=5.0)

    def wait() -> None:
        with one.slot():
            pass

    waits = [threading.Thread(target=wait) for _ in range(2)]
    with one.slot():
        for thread in waits:
            thread.start()
        while one.spare > -2:
            time.sleep(0.001)
    for thread in waits:
        thread.join()
    assert one.spare == 1


def test_an_answer_that_makes_room_wakes_who_waits(clock: Clock) -> None:
    one = limiter(clock, 4, slot_seconds=5.0)
    one.note_throttled(clock() + 1, 0.0, "0x80072322")  # too many requests: as many at once as before are soon right
    clock.now += 2
    assert one.at_once == 2
    began, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        with one.slot():
            began.set()
            go_on.wait(5)

    third = threading.Thread(target=wait)
    with one.slot(), one.slot():
        third.start()
        while one.spare > -1:
            time.sleep(0.001)
        one.note_answer(clock(), 1.0)
        assert one.at_once == 3
        assert began.wait(4), "it was not woken"
        go_on.set()
        third.join()


def test_what_is_not_known_of_an_answer_counts_as_none(clock: Clock, told: tuple[Limiter, Told]) -> None:
    one, pace = told
    one.note_answer(999.0, 1.0)
    one.note_throttled(998.0, 5.0)
    assert pace.heard == [("answered", clock.now, 999.0, 1.0, 0, ""), ("throttled", clock.now, 998.0, 5.0, "")]


def test_how_long_others_go_first_after_a_hold_is_a_share_of_the_window(clock: Clock) -> None:
    one = limiter(clock, window=30.0)
    one.hold(6.0)
    assert one.hold_seconds() == pytest.approx(6.1)
