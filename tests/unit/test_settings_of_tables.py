"""`[tables.<output table>]` of hydration.toml: every option, and every fault with its key and what is expected."""

from __future__ import annotations

import tomllib

import pytest

from shared.settings import OUTPUT_TABLES, Hydration, Input, TableOptions
from shared.settings import configuration as toml

MINIMAL = '[environments.one]\ndataverse_url = "https://contoso.crm.dynamics.com"\n'
MOST = 1_048_576


def parsed(text: str) -> tuple[Hydration, list[str]]:
    faults: list[str] = []
    return toml.parse(tomllib.loads(MINIMAL + text), faults, "hydration.toml"), faults


def options(table: str, text: str) -> TableOptions:
    found, faults = parsed(f"[tables.{table}]\n{text}")
    assert faults == []
    return found.options(table)


def fault(text: str) -> str:
    _, [only] = parsed(text)
    assert only.startswith("hydration.toml: tables")
    assert only.endswith((".", "?"))
    return only.removeprefix("hydration.toml: ")


def test_a_table_that_the_file_does_not_speak_of_has_every_default() -> None:
    found, faults = parsed("")
    assert faults == []
    assert all(found.options(table) == TableOptions() for table in OUTPUT_TABLES)
    assert TableOptions() == TableOptions(
        enabled=True, include=None, exclude=(), entities=None, lengths={}, truncate=False, keep_days=None
    )


@pytest.mark.parametrize("table", OUTPUT_TABLES)
def test_every_table_takes_every_option(table: str) -> None:
    text = 'enabled = false\nexclude = ["A"]\nentities = ["Mine"]\nlengths = { B = 10 }\ntruncate = true'
    assert options(table, text) == TableOptions(
        enabled=False, exclude=("A",), entities=(Input("Mine"),), lengths={"B": 10}, truncate=True
    )


def test_an_unknown_option_is_told_with_what_may_be_meant() -> None:
    assert fault("[tables.Prediction]\nentitys = ['a']") == (
        "tables.Prediction.entitys is unknown. Did you mean entities?"
    )


# -- entities ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "text", "expected"),
    [
        ("CustomerMeasure", '["A", " B ", "C_*"]', [Input("A"), Input("B"), Input("C_*")]),
        ("CustomerMeasure", '[{ name = " A " }]', [Input("A")]),
        (
            "Enrichment",
            '["A", { name = "B", provider = " P ", type = "T" }]',
            [Input("A"), Input("B", "P", "T")],
        ),
        ("Enrichment", '[{ name = "*", provider = "P" }]', [Input("*", "P")]),
        ("Prediction", '[{ name = "A", provider = "P", model = "M" }]', [Input("A", "P", "M")]),
        (
            "SegmentMembership",
            '[{ name = "A", provider = "P", segment = "S", type = "Contact" }]',
            [Input("A", "P", "S", "Contact")],
        ),
        ("SegmentMembership", '[{ name = "A", type = "Account" }]', [Input("A", membership="Account")]),
    ],
)
def test_entities_are_names_or_what_is_particular_to_them(table: str, text: str, expected: list[Input]) -> None:
    assert options(table, f"entities = {text}").entities == tuple(expected)


NAMES = 'a list of entity names such as ["Name", "Name_*"], or of { name = "..."'


@pytest.mark.parametrize(
    ("table", "text", "allowed"),
    [
        ("CustomerMeasure", '"A"', ""),
        ("CustomerMeasure", "[]", ""),
        ("CustomerMeasure", "[1]", ""),
        ("CustomerMeasure", '[" "]', ""),
        ("CustomerMeasure", '["A", ""]', ""),
        ("CustomerMeasure", '[["A"]]', ""),
        ("CustomerMeasure", '[{ name = "A", provider = "P" }]', ""),
        ("CustomerProfile", '[{ provider = "P" }]', ""),
        ("Enrichment", '[{ provider = "P" }]', ', provider = "...", type = "..."'),
        ("Enrichment", '[{ name = "A", model = "M" }]', ', provider = "...", type = "..."'),
        ("Enrichment", '[{ name = "A", type = " " }]', ', provider = "...", type = "..."'),
        ("Enrichment", '[{ name = "A", type = 1 }]', ', provider = "...", type = "..."'),
        ("Prediction", '[{ name = "A", type = "T" }]', ', provider = "...", model = "..."'),
        ("Prediction", '[{ name = 1, model = "M" }]', ', provider = "...", model = "..."'),
        (
            "SegmentMembership",
            '[{ name = "A", membership = "M" }]',
            ', provider = "...", type = "...", segment = "..."',
        ),
    ],
)
def test_entities_that_are_none_are_told_with_what_the_table_takes(table: str, text: str, allowed: str) -> None:
    assert fault(f"[tables.{table}]\nentities = {text}") == f"tables.{table}.entities must be {NAMES}{allowed} }}."


def test_an_entity_may_not_belong_to_two_tables() -> None:
    text = '[tables.Prediction]\nentities = ["Mine", "A"]\n[tables.Enrichment]\nentities = ["B", "MINE"]'
    assert fault(text) == (
        "tables names an entity twice: tables.Enrichment.entities and tables.Prediction.entities. "
        "It must belong to one table."
    )


def test_patterns_of_two_tables_may_overlap_and_a_name_may_stand_twice_in_one() -> None:
    found, faults = parsed('[tables.Prediction]\nentities = ["M_*", "m_*"]\n[tables.Enrichment]\nentities = ["M_A"]')
    assert faults == []
    assert found.options("Prediction").entities == (Input("M_*"), Input("m_*"))


# -- lengths and truncate ------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 100, 4_000, MOST])
def test_lengths_that_a_text_can_have(length: int) -> None:
    assert options("UnifiedActivity", f'lengths = {{ Title = {length}, "E Mail" = 5 }}').lengths == {
        "Title": length,
        "E Mail": 5,
    }


@pytest.mark.parametrize("value", ["3", "[]", "{ Title = 0 }", "{ Title = -1 }", "{ Title = 1.5 }", "{ Title = true }"])
def test_lengths_that_are_none(value: str) -> None:
    expected = f"columns with their length, such as {{ Notes = 20000 }}, from 1 to {MOST}."
    assert fault(f"[tables.UnifiedActivity]\nlengths = {value}") == f"tables.UnifiedActivity.lengths must be {expected}"


@pytest.mark.parametrize("value", [f"{{ Title = {MOST + 1} }}", "{ Title = '5' }", "{ A = 5, Title = 0 }"])
def test_one_wrong_length_is_enough(value: str) -> None:
    assert "lengths must be columns with their length" in fault(f"[tables.UnifiedActivity]\nlengths = {value}")


@pytest.mark.parametrize("value", ["1", "'yes'", "[]"])
def test_truncate_is_true_or_false(value: str) -> None:
    assert fault(f"[tables.Prediction]\ntruncate = {value}") == "tables.Prediction.truncate must be true or false."


# -- keep_days -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "days"), [("365", 365), ("0.5", 0.5), ("36500", 36_500)])
def test_days_for_which_activities_are_kept(value: str, days: float) -> None:
    assert options("UnifiedActivity", f"keep_days = {value}").keep_days == days


@pytest.mark.parametrize("value", ["0", "-1", "true", "'30'", "nan", "inf", "1e9", "400000", "[30]"])
def test_days_that_are_none(value: str) -> None:
    assert fault(f"[tables.UnifiedActivity]\nkeep_days = {value}") == (
        "tables.UnifiedActivity.keep_days must be a number of days greater than 0, at most 36500."
    )


@pytest.mark.parametrize("table", [one for one in OUTPUT_TABLES if one != "UnifiedActivity"])
def test_only_activities_have_a_time_stamp(table: str) -> None:
    assert fault(f"[tables.{table}]\nkeep_days = 30") == (
        f"tables.{table}.keep_days is an option of UnifiedActivity only: no other table has a time stamp."
    )


# -- all of it -----------------------------------------------------------------------------------------


def test_every_fault_of_every_table_is_told_at_once() -> None:
    text = """
    [tables.UnifiedActivity]
    enabled = 1
    entities = []
    lengths = { Title = 0 }
    truncate = "no"
    keep_days = 0
    keepdays = 1
    [tables.Prediction]
    keep_days = 1
    include = ["a"]
    exclude = ["b"]
    [tables.Predictions]
    """
    _, faults = parsed(text)
    told = [one.removeprefix("hydration.toml: ").split(" ")[0] for one in faults]
    assert sorted(told) == [
        "tables",
        "tables.Prediction.include",
        "tables.Prediction.keep_days",
        "tables.UnifiedActivity.enabled",
        "tables.UnifiedActivity.entities",
        "tables.UnifiedActivity.keep_days",
        "tables.UnifiedActivity.keepdays",
        "tables.UnifiedActivity.lengths",
        "tables.UnifiedActivity.truncate",
    ]
