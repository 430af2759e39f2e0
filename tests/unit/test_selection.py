"""Which attributes become columns."""

from __future__ import annotations

import pytest

from shared.errors import ConfigurationError
from shared.lake.manifest import Attribute
from shared.settings import TableOptions
from shared.tables.selection import chosen
from shared.texts import counted

ATTRIBUTES = [Attribute(name, "string") for name in ("CustomerId", "Name", "NAME", "City")]


def names(options: TableOptions) -> list[str]:
    return [one.name for one in chosen(ATTRIBUTES, options, table="CustomerProfile", always="CustomerId")]


def test_without_options_all_are_chosen() -> None:
    assert names(TableOptions()) == ["CustomerId", "Name", "NAME", "City"]


def test_a_name_means_what_is_spelled_like_it_before_what_is_only_alike() -> None:
    assert names(TableOptions(exclude=("NAME",))) == ["CustomerId", "Name", "City"]
    assert names(TableOptions(exclude=("name",))) == ["CustomerId", "City"]
    assert names(TableOptions(include=("city",))) == ["CustomerId", "City"]


def test_the_id_is_never_left_out() -> None:
    assert names(TableOptions(include=("City",), exclude=("CustomerId",))) == ["CustomerId", "City"]


def test_a_name_that_is_none_is_told_with_what_may_be_meant() -> None:
    with pytest.raises(ConfigurationError) as told:
        names(TableOptions(include=("Citty",), exclude=("Zebra",)))
    assert told.value.faults == (
        (
            "[tables.CustomerProfile] include in hydration.toml names Citty, which the lake's entity does not have. "
            "Did you mean City?"
        ),
        "[tables.CustomerProfile] exclude in hydration.toml names Zebra, which the lake's entity does not have.",
    )


def test_numbers_with_their_nouns() -> None:
    assert [counted(number, "row") for number in (0, 1, 2000)] == ["0 rows", "1 row", "2,000 rows"]
