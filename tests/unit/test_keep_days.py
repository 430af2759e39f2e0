"""Activities that are too old are not hydrated."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.support.catalogs import hydration
from tests.support.outputs import Cells, Delivered, delivered, output

GUID = "6b1e5d0c-6f4e-5c58-9b0a-3a8e0d2c7f41"
A1 = "8f3bed24-f512-5799-acf5-fc2783a53ed0"  # of A-1


def activities(*rows: Cells) -> Delivered:
    return delivered("UnifiedActivity", ("CustomerId", "ActivityId", "ActivityTimeStamp"), *rows)


MOMENT = datetime(2024, 1, 31, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stamp", "expired"),
    [
        ("2024-01-31T10:00:00Z", False),
        ("2024-01-31T09:59:59Z", True),
        ("2024-01-31T09:59:59.999Z", True),
        ("2024-01-31T11:59:59+02:00", True),
        ("2024-01-31T12:00:00+02:00", False),
        ("2024-01-31", True),
        ("1753-01-01", True),
        ("9999-12-31", False),
        (None, False),
        ("", False),
    ],
)
def test_older_activities_are_not_hydrated(stamp: str | None, expired: bool) -> None:  # noqa: FBT001
    data = activities(("C-1", "A-1", stamp), ("C-1", GUID, "2024-02-01"))
    found = output("UnifiedActivity", data, before=MOMENT)
    assert found.expired == ({A1} if expired else set())
    assert set(found.records) == ({GUID} if expired else {A1, GUID})
    assert output("UnifiedActivity", data).expired == frozenset()


def test_an_activity_whose_moment_is_none_is_rejected_and_not_taken_for_old() -> None:
    found = output("UnifiedActivity", activities(("C-1", "A-1", "yesterday")), before=MOMENT)
    assert (found.fault, found.expired) == (
        "msdynci_activitytimestamp: this is not a date and time (ISO 8601)",
        frozenset(),
    )


def test_an_old_activity_without_a_profile_is_old() -> None:
    found = output("UnifiedActivity", activities(("C-9", "A-1", "2020-01-01")), before=MOMENT)
    assert found.expired == {A1}
    assert not found.faults


def test_of_an_old_and_a_young_row_with_one_key_the_young_one_stays() -> None:
    rows: list[Cells] = [("C-1", "A-1", "2020-01-01"), ("C-1", "A-1", "2025-01-01"), ("C-1", " A-1", "2019-01-01")]
    for order in (rows, rows[::-1]):
        found = output("UnifiedActivity", activities(*order), before=MOMENT)
        assert (found.duplicates, found.expired) == (2, frozenset())
        assert found.only["msdynci_activitytimestamp"] == "2025-01-01T00:00:00Z"


def test_activities_expire_though_their_time_stamp_is_not_written() -> None:
    configured = hydration(UnifiedActivity={"exclude": ("ActivityTimeStamp",)})
    data = activities(("C-1", "A-1", "2020-01-01"))
    assert output("UnifiedActivity", data, configured=configured, before=MOMENT).expired == {A1}


def test_a_moment_of_the_first_millennium_is_before_everything() -> None:
    found = output("UnifiedActivity", activities(("C-1", "A-1", "2024-01-01")), before=datetime(931, 1, 1, tzinfo=UTC))
    assert found.expired == frozenset()
