"""Service protection, rule by rule. The clock is a number."""

from __future__ import annotations

from typing import Any

import pytest

from local.dataverse.protection import (
    CONCURRENCY,
    EXECUTION,
    REQUESTS,
    UNLIMITED,
    Limits,
    Protection,
    Refusal,
    text,
)

USER = "user"


def limited(**given: Any) -> Protection:
    """Only the limits given; a window of 300 s, 2 s of grace, 600 s at the longest, whole seconds."""
    return Protection(Limits(**{"requests": None, "execution": None, "concurrent": None} | given))


def used(protection: Protection, *times: float, seconds: float = 0.0, user: str = USER, server: int = 0) -> None:
    """Requests that were taken at these times and ended at once."""
    for now in times:
        assert protection.arrive(user, server, now) is None
        protection.finish(user, server, now, seconds)


def told(protection: Protection, *times: float) -> list[float | None]:
    """The Retry-After that arrivals at these times are told; None for those that are taken, and end at once."""
    found = []
    for now in times:
        refusal = protection.arrive(USER, 0, now)
        found.append(refusal.retry_after if refusal else None)
        if refusal is None:
            protection.finish(USER, 0, now, 0.0)
    return found


# The documented limits


def test_the_default_limits_are_the_documented_ones() -> None:
    limits = Limits()
    assert (limits.window, limits.requests, limits.execution, limits.concurrent) == (300, 6000, 1200, 52)


def test_requests_above_the_limit_wait_until_the_oldest_leaves_the_window() -> None:
    protection = limited(requests=3)
    used(protection, 0, 100, 200)
    assert protection.arrive(USER, 0, 210) == Refusal(REQUESTS, 90)
    assert protection.arrive(USER, 0, 300) is None


def test_execution_above_the_limit_waits_until_enough_of_it_leaves_the_window() -> None:
    protection = limited(execution=10)
    used(protection, 0, seconds=1)
    used(protection, 50, seconds=6)
    used(protection, 60, seconds=6)
    assert protection.arrive(USER, 0, 100) == Refusal(EXECUTION, 250)
    assert protection.arrive(USER, 0, 350) is None


def test_execution_that_is_used_up_to_the_limit_leaves_no_room() -> None:
    protection = limited(execution=10)
    used(protection, 0, seconds=5)
    used(protection, 50, seconds=10)
    assert protection.arrive(USER, 0, 100) == Refusal(EXECUTION, 250)


def test_more_requests_at_once_than_the_limit_are_refused_immediately() -> None:
    protection = limited(concurrent=2)
    assert [protection.arrive(USER, 0, now) for now in (0, 0, 0)] == [None, None, Refusal(CONCURRENCY, 5)]
    protection.finish(USER, 0, 4, 4)
    assert protection.arrive(USER, 0, 5) is None


def test_a_request_that_ended_is_not_at_once_with_the_next() -> None:
    protection = limited(concurrent=1)
    used(protection, 0, 1, 2)
    assert protection.arrive(USER, 0, 3) is None


@pytest.mark.parametrize("limit", ["requests", "execution", "concurrent"])
def test_what_is_none_is_no_limit(limit: str) -> None:
    protection = limited(**{"requests": 1, "execution": 1.0, "concurrent": 1} | {limit: None})
    codes = {"requests": REQUESTS, "execution": EXECUTION, "concurrent": CONCURRENCY}
    assert protection.arrive(USER, 0, 0) is None
    protection.finish(USER, 0, 0, 5)
    refusal = protection.arrive(USER, 0, 1) or protection.arrive(USER, 0, 1)
    assert refusal is not None
    assert refusal.code != codes[limit]


def test_a_service_without_limits_refuses_nothing() -> None:
    protection = Protection(UNLIMITED)
    assert [protection.arrive(USER, 0, 0) for _ in range(10_000)] == [None] * 10_000


def test_users_and_web_servers_are_counted_apart() -> None:
    protection = limited(requests=1)
    used(protection, 0)
    used(protection, 0, user="another")
    used(protection, 0, server=1)
    for user, server in ((USER, 0), ("another", 0), (USER, 1)):
        assert protection.arrive(user, server, 1) == Refusal(REQUESTS, 299)


def test_of_several_limits_the_one_with_the_longest_wait_answers() -> None:
    protection = limited(requests=1, execution=1, concurrent=1)
    assert protection.arrive(USER, 0, 0) is None
    assert protection.arrive(USER, 0, 100) == Refusal(REQUESTS, 200)
    protection = limited(requests=10, execution=1, concurrent=1)
    used(protection, 0, seconds=2)
    assert protection.arrive(USER, 0, 100) == Refusal(EXECUTION, 200)


# Retry-After


def test_every_request_before_retry_after_is_refused_and_none_after_it() -> None:
    protection = limited(requests=2, grace=1000)
    used(protection, 0, 100)
    assert told(protection, 200, 200, 250, 299, 300) == [100, 100, 50, 1, None]


def test_a_refusal_for_concurrency_holds_back_even_when_there_is_room_again() -> None:
    protection = limited(concurrent=1)
    assert protection.arrive(USER, 0, 0) is None
    assert protection.arrive(USER, 0, 1) == Refusal(CONCURRENCY, 5)
    protection.finish(USER, 0, 2, 2)
    assert told(protection, 2, 6) == [4, None]


def test_retry_after_is_rounded_up_to_whole_steps() -> None:
    protection = limited(requests=1, resolution=5, grace=1000)
    used(protection, 0)
    assert told(protection, 250.5, 251, 299, 300.4, 300.5) == [50, 50, 5, 5, None]


def test_the_window_slides_so_that_a_steady_pace_waits_shortly() -> None:
    steady, burst = limited(requests=300), limited(requests=300)
    used(steady, *range(300))
    used(burst, *[number / 10 for number in range(300)])
    assert (told(steady, 299.5), told(burst, 30)) == ([1], [270])


# Pushing on


def test_what_was_under_way_when_the_refusal_came_changes_nothing() -> None:
    protection = limited(requests=1, grace=2)
    used(protection, 0)
    refusals = [protection.arrive(USER, 0, now) for now in (200, 200.5, 202)]
    assert refusals == [Refusal(REQUESTS, 100), Refusal(REQUESTS, 100), Refusal(REQUESTS, 98)]
    assert protection.arrive(USER, 0, 300) is None


def test_pushing_on_begins_the_wait_anew_and_doubles_it() -> None:
    protection = limited(concurrent=1)
    assert protection.arrive(USER, 0, 0) is None
    refusals = [protection.arrive(USER, 0, now) for now in (0, 3, 6, 9)]
    assert refusals == [Refusal(CONCURRENCY, 5), *(Refusal(CONCURRENCY, wait, early=True) for wait in (10, 20, 40))]
    protection.finish(USER, 0, 10, 10)
    assert told(protection, 49) == [None]


def test_those_that_push_on_together_lengthen_it_once() -> None:
    protection = limited(concurrent=1)
    assert protection.arrive(USER, 0, 0) is None
    assert told(protection, 0, 3, 3.5, 4.9) == [5, 10, 10, 9]


def test_without_a_grace_each_that_pushes_on_lengthens_it() -> None:
    protection = limited(concurrent=1, grace=0)
    assert protection.arrive(USER, 0, 0) is None
    assert told(protection, 0, 1, 1) == [5, 10, 20]


def test_pushing_on_lengthens_it_to_the_longest_and_no_further() -> None:
    protection = limited(concurrent=1, longest=18)
    assert protection.arrive(USER, 0, 0) is None
    assert told(protection, 0, 3, 6, 9, 12) == [5, 10, 18, 18, 18]


def test_a_window_that_needs_longer_than_the_longest_stands() -> None:
    protection = limited(execution=1, longest=18)
    used(protection, 0, seconds=1)
    assert told(protection, 100, 103) == [200, 200]


def test_who_pushes_on_is_counted_in_the_window() -> None:
    protection = limited(requests=2, longest=10)
    used(protection, 0, 0)
    told(protection, 100, 110)
    assert protection.remaining(USER, 0, 301) == (1, None)


def test_pushing_on_waits_for_room_where_that_takes_longer_than_twice_the_wait() -> None:
    protection = limited(requests=1)
    used(protection, 0)
    assert told(protection, 280, 285, 585) == [20, 300, None]


def test_after_retry_after_nothing_of_the_past_is_held_against_the_user() -> None:
    protection = limited(concurrent=1)
    assert protection.arrive(USER, 0, 0) is None
    assert told(protection, 0, 3) == [5, 10]
    assert told(protection, 13) == [5]


def test_a_user_who_pushes_on_does_not_lengthen_the_wait_of_another() -> None:
    protection = limited(concurrent=1)
    for user in (USER, "another"):
        assert protection.arrive(user, 0, 0) is None
        assert protection.arrive(user, 0, 0) == Refusal(CONCURRENCY, 5)
    assert told(protection, 3) == [10]
    protection.finish("another", 0, 3, 3)
    assert protection.arrive("another", 0, 5) is None


# What is left, and what is said


def test_what_remains_is_told_and_comes_back_as_the_window_slides() -> None:
    protection = limited(requests=10, execution=20.0)
    used(protection, 0, 100, seconds=2.5)
    assert protection.remaining(USER, 0, 100) == (8, 15)
    assert protection.remaining(USER, 0, 300) == (9, 17.5)
    assert protection.remaining("another", 0, 300) == (10, 20)


def test_the_texts_name_the_limits_in_force() -> None:
    assert text(REQUESTS, Limits()) == "Number of requests exceeded the limit of 6000 over time window of 300 seconds."
    assert text(CONCURRENCY, Limits(concurrent=7)) == "Number of concurrent requests exceeded the limit of 7."
    assert text(EXECUTION, Limits()).startswith(
        "Combined execution time of incoming requests exceeded limit of 1,200,000 milliseconds over time window of 300 "
    )
