"""Values as a user of the local Dataverse sees them."""

from __future__ import annotations

from typing import Any

import pytest

from local.dataverse.formatted import formatter
from local.dataverse.metadata import Column


@pytest.mark.parametrize(
    ("column", "stored", "shown"),
    [
        (Column("c", "Integer"), 1234567, "1,234,567"),
        (Column("c", "Decimal", precision=3), "1234.5", "1,234.500"),
        (Column("c", "Double", precision=1), 0.25, "0.2"),
        (Column("c", "Money", precision=4), "1234.5", "$1,234.50"),
        (Column("c", "Boolean"), 1, "Yes"),
        (Column("c", "Boolean", options=((1, "On"), (0, "Off"))), 0, "Off"),
        (Column("c", "Picklist", options=((7, "Seven"),)), 7, "Seven"),
        (Column("c", "Picklist"), 7, "7"),
        (Column("c", "DateTime", format="DateOnly", behavior="DateOnly"), "2024-05-01", "5/1/2024"),
        (Column("c", "DateTime", format="DateAndTime"), "2024-05-01T00:05:00Z", "5/1/2024 12:05 AM"),
        (Column("c", "DateTime", format="DateAndTime"), "2024-12-31T13:00:00.1234567Z", "12/31/2024 1:00 PM"),
    ],
)
def test_a_value_is_formatted(column: Column, stored: Any, shown: str) -> None:
    show = formatter(column)
    assert show is not None
    assert show(stored) == shown


@pytest.mark.parametrize("column", [Column("c", "String"), Column("c", "Memo"), Column("versionnumber", "BigInt")])
def test_texts_and_row_versions_are_shown_as_they_are(column: Column) -> None:
    assert formatter(column) is None
