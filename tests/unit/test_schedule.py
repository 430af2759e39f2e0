from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from local.host.schedule import parse
from shared.errors import ConfigurationError


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "moment", "expected"),
    [
        ("*/2 * * * * *", "2026-11-21 10:00:00.5", "2026-11-21 10:00:02"),
        ("*/2 * * * * *", "2026-11-21 10:00:58", "2026-11-21 10:01:00"),
        ("0 * * * * *", "2026-11-21 10:00:00", "2026-11-21 10:01:00"),
        ("30 * * * * *", "2026-11-21 10:00:00", "2026-11-21 10:00:30"),
        ("0 */5 * * * *", "2026-11-21 10:59:00", "2026-11-21 11:00:00"),
        ("0 30 9-17/4 * * mon-fri", "2026-11-20 17:30:00", "2026-11-23 09:30:00"),
        ("0 0 0 1 jan *", "2026-11-21 10:00:00", "2027-01-01 00:00:00"),
        ("0 0 0 29 2 *", "2026-11-21 10:00:00", "2028-02-29 00:00:00"),
        ("0 0 0 * * 0,6", "2026-11-20 10:00:00", "2026-11-21 00:00:00"),
        ("15/20 * * * * *", "2026-11-21 10:00:15", "2026-11-21 10:00:35"),
        ("*/5 * * * *", "2026-11-21 10:00:01", "2026-11-21 10:05:00"),
        ("00:00:10", "2026-11-21 10:00:01", "2026-11-21 10:00:11"),
        ("1.02:00:00", "2026-11-21 10:00:00", "2026-11-22 12:00:00"),
    ],
)
def test_the_next_occurrence(schedule: str, moment: str, expected: str) -> None:
    assert parse(schedule).next_after(at(moment)) == at(expected)


def test_occurrences_never_repeat() -> None:
    schedule, moment = parse("*/7 * * * * *"), at("2026-11-21 10:00:00")
    seen = []
    for _ in range(20):
        moment = schedule.next_after(moment)
        seen.append(moment)
    assert len(set(seen)) == 20
    assert all(after - before <= timedelta(seconds=7) for before, after in pairwise(seen))


@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        ("* * *", "six fields"),
        ("60 * * * * *", "second"),
        ("* x * * * *", "minute"),
        ("* * 5-3 * * *", "hour"),
        ("* * * 0 * *", "day"),
        ("* * * * foo *", "month"),
        ("* * * * * 7", "day of the week"),
        ("*/0 * * * * *", "second"),
        ("", "six fields"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_field(schedule: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        parse(schedule)


def test_a_schedule_that_never_comes_due_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="never"):
        parse("0 0 0 30 2 *").next_after(at("2026-11-21 10:00:00"))
