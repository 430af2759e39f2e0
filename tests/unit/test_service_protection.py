"""Service protection, rule by rule. The clock is a number."""

from __future__ import annotations

from typing import Any

import pytest

from local.dataverse.protection import CONCURRENCY, EXECUTION, REQUESTS, UNLIMITED, Limits, Protection, Refusal

USER = "user"


def limited(**given: Any) -> Protection:
    """Only the limits given; grace 2 s, longest 600 s."""
    return Protection(Limits(**{"requests": None, "execution": None, "concurrent": None} | given))


def used(protection: Protection, *times: float, seconds: float = 0.0, user: str = USER, server: int = 0) -> None:
    """Requests that were taken at these times and ended at once."""
    for now in times:
        assert protection.arrive(user, server, now) is None
        protection.finish(user, server, now, seconds)


def test_requests_above_the_limit_wait_until_the_oldest_leaves_the_window() -> None:
    protection = limited(requests=3)
    used(protection, 0, 100, 200)
    assert protection.arrive(USER, 0, 210) == Refusal(REQUESTS, 90)
    assert protection.arrive(USER, 0, 300) is None


@pytest.mark.parametrize("limit", ["requests", "execution", "concurrent"])
def test_what_is_none_is_no_limit(limit: str) -> None:
    protection = limited(**{"requests": 1, "execution": 1.0, "concurrent": 1} | {limit: None})
    others = {"requests": REQUESTS, "execution": EXECUTION, "concurrent": CONCURRENCY}
    assert protection.arrive(USER, 0, 0) is None
    protection.finish(USER, 0, 0, 5)
    refusal = protection.arrive(USER, 0, 1)
    assert refusal is not None
    assert refusal.code != others[limit]


def test_a_service_without_limits_refuses_nothing() -> None:
    protection = Protection(UNLIMITED)
    assert [protection.arrive(USER, 0, 0) for _ in range(10_000)] == [None] * 10_000
