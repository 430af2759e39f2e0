"""`include`, `exclude`, `lengths` and `truncate` of every output table, and of the members of aggregates."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import ConfigurationError
from shared.settings import OUTPUT_TABLES
from shared.tables.catalog import TABLES
from shared.tables.columns import columns, unknown_names
from shared.tables.values import Column, Kind
from tests.support.catalogs import attributes, hydration

OTHERS = [table for table in OUTPUT_TABLES if table != "CustomerProfile"]
MEMBERS = attributes("LifetimeValue:decimal", "Visits:int64", "Values")
PROFILE = attributes("CustomerId", "Name", "Notes", "Extra:json", "Age:int64")


GIVEN = {"CustomerProfile": PROFILE, "CustomerMeasure": MEMBERS, "Enrichment": MEMBERS, "Prediction": MEMBERS}
FIXED = ["ContactProfile", "AlternateKey", "UnifiedActivity"]
CHANGING = [table for table in OUTPUT_TABLES if table not in FIXED]


def found(table: str, **options: Any) -> dict[str, Column]:
    made = columns(table, hydration(**{table: options}), GIVEN.get(table, ()))
    return {one.source: one for one in made}


def told(table: str, **options: Any) -> list[str]:
    """What is said of the names in the options."""
    return unknown_names(table, hydration(**{table: options}), GIVEN.get(table, ()))


def faults(table: str, **options: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as raised:
        found(table, **options)
    return raised.value.faults


# -- include and exclude -------------------------------------------------------------------------------


@pytest.mark.parametrize("table", OTHERS)
def test_all_but_the_customer_and_the_name_of_the_row_can_be_left_out(table: str) -> None:
    every = [field.name for field in TABLES[table].fields]
    kept = {"CustomerId", "ActivityId" if table == "UnifiedActivity" else "Identifier"}
    assert set(found(table, exclude=tuple(every))) == kept
    assert set(found(table, include=("customerid",))) == kept
    for name in set(every) - kept:
        assert set(found(table, exclude=(name.upper(),))) == set(every) - {name}
        assert set(found(table, include=(name.lower(),))) == kept | {name}


@pytest.mark.parametrize("table", OUTPUT_TABLES)
@pytest.mark.parametrize("option", ["include", "exclude"])
def test_a_column_that_is_none_is_told(table: str, option: str) -> None:
    [fault] = told(table, **{option: ("Zebra",)})
    assert fault.startswith(f"[tables.{table}] {option} in hydration.toml names Zebra, which the lake's entity does")


@pytest.mark.parametrize("table", FIXED)
@pytest.mark.parametrize("options", [{"include": ("Zebra",)}, {"exclude": ("Zebra",)}, {"lengths": {"Zebra": 10}}])
def test_where_the_columns_stand_in_the_requirements_a_name_that_is_none_fails_the_table(
    table: str, options: dict[str, Any]
) -> None:
    assert faults(table, **options) == tuple(told(table, **options))
    assert len(told(table, **options)) == 1


@pytest.mark.parametrize("table", CHANGING)
def test_where_the_lake_decides_a_name_that_it_lost_changes_no_other_column(table: str) -> None:
    """What an entity loses over night is told, and the others are written as they were."""
    every = found(table)
    assert found(table, exclude=("Zebra",), lengths={"Zebra": 10}) == every
    assert found(table, include=(*every, "Zebra")) == every
    assert len(told(table, include=(*every, "Zebra"), exclude=("Zebra",), lengths={"Zebra": 10})) == 3


@pytest.mark.parametrize("table", OUTPUT_TABLES)
def test_names_of_columns_and_of_members_are_not_told_whatever_their_case(table: str) -> None:
    names = [one.name for one in GIVEN.get(table, ())] + [one.name for one in TABLES[table].fields]
    texts = {name.upper(): 10 for name, column in found(table, truncate=True).items() if column.truncate}
    assert told(table, include=[one.lower() for one in names], exclude=[one.upper() for one in names]) == []
    assert told(table, lengths=texts) == []


def test_a_column_that_is_misspelled_is_told_with_what_may_be_meant() -> None:
    assert faults("UnifiedActivity", exclude=("SemanticDate", "Titel"))[0].endswith("Did you mean SemanticData?")
    assert len(faults("UnifiedActivity", exclude=("SemanticDate", "Titel"))) == 2
    assert faults("UnifiedActivity", lengths={"Titel": 10}) == (
        (
            "[tables.UnifiedActivity] lengths in hydration.toml names Titel, which is no text column that is written. "
            "Did you mean Title?"
        ),
    )
    assert told("CustomerMeasure", include=("Visit",))[0].endswith("Did you mean Visits?")


@pytest.mark.parametrize(("table", "payload"), [("CustomerMeasure", "Measures"), ("Prediction", "Values")])
def test_members_of_an_aggregate_are_no_columns(table: str, payload: str) -> None:
    every = {field.name for field in TABLES[table].fields}
    assert set(found(table, exclude=("visits",))) == every
    assert set(found(table, include=("Visits", "lifetimevalue"))) == every
    assert set(found(table, include=("CustomerId", "Visits"))) == {"CustomerId", "Identifier"}
    assert set(found(table, include=(payload, "Visits"))) == {"CustomerId", "Identifier", payload}
    assert set(found(table, exclude=(payload, "Visits"))) == every - {payload}


@pytest.mark.parametrize("include", [("Visits", "Zebra"), ("Zebra",)])
def test_a_member_that_the_lake_lost_takes_its_column_not_away(include: tuple[str, ...]) -> None:
    """Named columns or none: it must not look as if the column of all members were left out."""
    assert "Measures" in found("CustomerMeasure", include=include)


def test_a_name_of_a_column_and_of_a_member_means_the_column() -> None:
    assert "Values" not in found("Prediction", exclude=("Values",))
    assert "Measures" in found("CustomerMeasure", exclude=("Values",))


def test_no_column_but_those_that_a_row_needs() -> None:
    assert set(found("CustomerProfile", include=())) == {"CustomerId"}
    assert set(found("ContactProfile", include=())) == {"CustomerId", "Identifier"}
    assert set(found("CustomerMeasure", include=())) == {"CustomerId", "Identifier"}


# -- lengths -------------------------------------------------------------------------------------------


def test_texts_are_as_long_as_configured_whatever_the_case_of_their_name() -> None:
    made = found("UnifiedActivity", lengths={"title": 200, "Description": 20_000, "URL": 4_000})
    assert {
        name: (made[name].kind, made[name].max_length) for name in ("Title", "Description", "URL", "RangeIndex")
    } == {
        "Title": (Kind.TEXT, 200),
        "Description": (Kind.MEMO, 20_000),
        "URL": (Kind.TEXT, 4_000),
        "RangeIndex": (Kind.TEXT, 4_000),
    }


@pytest.mark.parametrize(
    ("length", "kind"), [(1, Kind.TEXT), (4_000, Kind.TEXT), (4_001, Kind.MEMO), (1_048_576, Kind.MEMO)]
)
def test_more_than_a_text_takes_is_a_memo(length: int, kind: Kind) -> None:
    made = found("CustomerProfile", lengths={"Name": length})
    assert (made["Name"].kind, made["Name"].max_length) == (kind, length)
    assert (made["Notes"].kind, made["Notes"].max_length) == (Kind.TEXT, 4_000)


@pytest.mark.parametrize("table", OUTPUT_TABLES)
def test_ids_and_json_have_the_length_that_they_need(table: str) -> None:
    made = {field.name for field in TABLES[table].fields if field.made or field.json}
    for name in made | {"CustomerId", *TABLES[table].needs}:
        wanted = {name: 50}
        [fault] = told(table, lengths=wanted)
        assert fault.startswith(
            f"[tables.{table}] lengths in hydration.toml names {name}, which is no text column that is written."
        )
        if table in FIXED:
            assert faults(table, lengths=wanted) == (fault,)
        else:
            assert found(table, lengths=wanted) == found(table)


@pytest.mark.parametrize(
    ("table", "lengths"),
    [
        ("CustomerProfile", {"Age": 10}),
        ("CustomerProfile", {"Extra": 10}),
        ("UnifiedActivity", {"ActivityTimeStamp": 10}),
        ("CustomerMeasure", {"Visits": 10}),
    ],
)
def test_only_texts_have_a_length(table: str, lengths: dict[str, int]) -> None:
    assert len(told(table, lengths=lengths)) == 1
    if table not in FIXED:
        assert found(table, lengths=lengths) == found(table)


def test_a_text_that_is_left_out_may_have_a_length_and_stays_out() -> None:
    options = {"lengths": {"Title": 10}, "exclude": ("Title",)}
    assert "Title" not in found("UnifiedActivity", **options)
    assert told("UnifiedActivity", **options) == []


# -- truncate ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", OUTPUT_TABLES)
def test_texts_are_cut_where_that_is_asked_for_and_never_ids_or_json(table: str) -> None:
    made = found(table, truncate=True)
    whole = {field.name for field in TABLES[table].fields if field.made or field.json or field.kind is not Kind.TEXT}
    whole |= set(TABLES[table].needs)  # cut, they would be those of another row
    whole |= {"Extra", "Age"} if table == "CustomerProfile" else set()
    assert {name for name, column in made.items() if not column.truncate} == whole
    assert not any(column.truncate for column in found(table).values())


def test_a_memo_that_was_made_of_a_text_is_cut_too() -> None:
    made = found("CustomerProfile", truncate=True, lengths={"Notes": 10_000})
    assert (made["Notes"].kind, made["Notes"].truncate) == (Kind.MEMO, True)
