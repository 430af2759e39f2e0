"""Which attributes become columns."""

from __future__ import annotations

import pytest

from shared.lake.manifest import Attribute
from shared.settings import TableOptions
from shared.tables.selection import chosen, lengths, of_columns, of_members, unknown
from shared.texts import counted

ATTRIBUTES = [Attribute(name, "string") for name in ("CustomerId", "Name", "NAME", "City")]


def names(options: TableOptions) -> list[str]:
    return [one.name for one in chosen(ATTRIBUTES, options, always={"CustomerId"})]


def test_without_options_all_are_chosen() -> None:
    assert names(TableOptions()) == ["CustomerId", "Name", "NAME", "City"]


def test_a_name_means_what_is_spelled_like_it_before_what_is_only_alike() -> None:
    assert names(TableOptions(exclude=("NAME",))) == ["CustomerId", "Name", "City"]
    assert names(TableOptions(exclude=("name",))) == ["CustomerId", "City"]
    assert names(TableOptions(include=("city",))) == ["CustomerId", "City"]


def test_the_id_is_never_left_out() -> None:
    assert names(TableOptions(include=("City",), exclude=("CustomerId",))) == ["CustomerId", "City"]


def test_a_name_that_is_none_chooses_nothing_and_leaves_nothing_out() -> None:
    assert names(TableOptions(exclude=("Zebra",))) == ["CustomerId", "Name", "NAME", "City"]
    assert names(TableOptions(include=("Zebra", "City"))) == ["CustomerId", "City"]
    assert names(TableOptions(include=("Zebra",))) == ["CustomerId"]


def told(options: TableOptions) -> list[str]:
    return unknown([one.name for one in ATTRIBUTES], ["Name", "NAME"], options, table="CustomerProfile")


def test_a_name_that_is_none_is_told_with_what_may_be_meant() -> None:
    assert told(TableOptions(include=("Citty",), exclude=("Zebra",), lengths={"City": 5, "Nam": 5})) == [
        (
            "[tables.CustomerProfile] include in hydration.toml names Citty, which the lake's entity does not have. "
            "Did you mean City?"
        ),
        "[tables.CustomerProfile] exclude in hydration.toml names Zebra, which the lake's entity does not have.",
        "[tables.CustomerProfile] lengths in hydration.toml names City, which is no text column that is written.",
        (
            "[tables.CustomerProfile] lengths in hydration.toml names Nam, which is no text column that is written. "
            "Did you mean Name?"
        ),
    ]


def test_a_name_that_is_one_is_not_told_whatever_its_case() -> None:
    assert told(TableOptions()) == []
    assert told(TableOptions(include=("city", "NAME"), exclude=("customerid",), lengths={"name": 5})) == []


FIELDS = [Attribute(name, "") for name in ("CustomerId", "Values")]


@pytest.mark.parametrize(
    ("given", "of_table", "of_object"),
    [
        (("score", "Values"), ("Values",), ("score",)),
        (("VALUES",), ("VALUES",), ()),
        (("Zebra",), (), ("Zebra",)),  # columns are always there: it is a member that the lake has lost
        (("Grade", "Score"), (), ("Grade", "Score")),
    ],
)
def test_a_name_is_that_of_a_column_before_it_is_that_of_a_member(
    given: tuple[str, ...], of_table: tuple[str, ...], of_object: tuple[str, ...]
) -> None:
    options = TableOptions(exclude=given)
    assert of_columns(options, FIELDS).exclude == of_table
    assert of_members(options, FIELDS).exclude == of_object


def test_an_include_that_speaks_only_of_one_kind_leaves_the_other_whole() -> None:
    members_only, columns_only = TableOptions(include=("Score",)), TableOptions(include=("CustomerId",))
    assert of_columns(members_only, FIELDS).include is None
    assert of_members(members_only, FIELDS).include == ("Score",)
    assert of_columns(columns_only, FIELDS).include == ("CustomerId",)
    assert of_members(columns_only, FIELDS).include is None


def test_lengths_are_found_by_name_whatever_its_case() -> None:
    texts = ["Name", "NAME", "City"]
    assert lengths(texts, TableOptions(lengths={"city": 5, "NAME": 6})) == {"City": 5, "NAME": 6}
    assert lengths(texts, TableOptions(lengths={"name": 7})) == {"Name": 7, "NAME": 7}
    assert lengths(texts, TableOptions(lengths={"Citty": 5})) == {}


def test_numbers_with_their_nouns() -> None:
    assert [counted(number, "row") for number in (0, 1, 2000)] == ["0 rows", "1 row", "2,000 rows"]
