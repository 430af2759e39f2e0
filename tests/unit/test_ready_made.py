"""Which entities have the form of their table already."""

from __future__ import annotations

import pytest

from shared.tables.naming import is_ready_made, member_names
from tests.support.catalogs import entity, ready_made


@pytest.mark.parametrize("table", ["CustomerMeasure", "Enrichment", "Prediction", "SegmentMembership"])
def test_an_entity_that_has_the_columns_of_its_table_is_ready_made(table: str) -> None:
    made = ready_made(table)
    assert is_ready_made(table, made)
    in_capitals = entity(table, *(one.name.upper() for one in made.attributes))
    assert is_ready_made(table, in_capitals)
    assert not is_ready_made(table, entity(table, *(one.name for one in made.attributes), "Score"))


@pytest.mark.parametrize(
    ("table", "columns", "ready"),
    [
        ("CustomerMeasure", ("CustomerId", "Measures"), True),
        ("CustomerMeasure", ("CustomerId", "LifetimeValue"), False),
        ("CustomerMeasure", ("CustomerId",), False),
        ("Enrichment", ("CustomerId", "Values"), True),
        ("Enrichment", ("CustomerId", "EnrichmentType", "EnrichmentProvider"), False),
        ("Prediction", ("CustomerId", "Values", "PredictionId"), True),
        ("Prediction", ("CustomerId", "Values", "EnrichmentId"), False),
        ("SegmentMembership", ("CustomerId", "Segments"), True),
        ("SegmentMembership", ("CustomerId", "SegmentName"), True),
        ("SegmentMembership", ("CustomerId", "segment", "SegmentMembershipType"), True),
        ("SegmentMembership", ("CustomerId", "Name"), True),
        ("SegmentMembership", ("CustomerId", "Name", "Email"), False),
        ("SegmentMembership", ("CustomerId",), False),
        ("SegmentMembership", ("CustomerId", "SegmentProvider"), False),
    ],
)
def test_ready_made_or_not(table: str, columns: tuple[str, ...], ready: bool) -> None:  # noqa: FBT001
    assert is_ready_made(table, entity(table, *columns)) is ready


def test_a_name_in_the_table_of_one_segment_is_that_of_a_customer() -> None:
    assert not is_ready_made("SegmentMembership", entity("Segment_VIP", "CustomerId", "Name"))
    assert is_ready_made("SegmentMembership", entity("Segment_VIP", "CustomerId", "SegmentName"))
    assert "Name" in member_names(entity("segmentmembership"))
    assert "Name" not in member_names(entity("Segment_VIP"))


def test_a_number_is_no_ready_made_object() -> None:
    assert not is_ready_made("CustomerMeasure", entity("Measure_x", "CustomerId", "Measures:int64"))
    assert is_ready_made("CustomerMeasure", entity("Measure_x", "CustomerId", "Measures:json"))
