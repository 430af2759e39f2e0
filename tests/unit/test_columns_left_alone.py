"""Columns that Dataverse has and that are not written: they keep what is in them, and that is told."""

from __future__ import annotations

from shared.dataverse.metadata import Column, Table
from shared.provision import not_written

TOLD = "Kept and not written, because the snapshot or hydration.toml leaves it out: "


def existing(*columns: Column) -> Table:
    there = {one.logical_name: one for one in columns}
    return Table("x_thing", "x_Thing", "x_things", "x_thingid", "x_name", False, "Standard", there, ())  # noqa: FBT003


def texts(*names: str) -> Table:
    return existing(*(Column(name, "String") for name in names))


def test_a_table_that_is_not_there_yet_has_no_such_column() -> None:
    assert not_written(None, {"x_a"}, "x") == []


def test_columns_that_are_written_are_not_told() -> None:
    assert not_written(texts("x_a", "x_b"), {"x_a", "x_b", "x_new"}, "x") == []


def test_columns_that_are_not_written_are_told_in_order() -> None:
    assert not_written(texts("x_c", "x_a", "x_b"), {"x_b"}, "x") == [f"{TOLD}x_a, x_c."]


def test_no_more_than_ten_names_are_told() -> None:
    names = [f"x_{letter}" for letter in "abcdefghijkl"]
    assert not_written(texts(*names[:10]), (), "x") == [f"{TOLD}{', '.join(names[:10])}."]
    assert not_written(texts(*names), (), "x") == [f"{TOLD}{', '.join(names[:10])} and 2 more."]


def test_columns_of_others_and_of_dataverse_are_not_told() -> None:
    there = existing(
        Column("createdon", "DateTime"),
        Column("y_a", "String"),
        Column("x_thingid", "Uniqueidentifier"),
        Column("x_lookupfield_customer", "Lookup"),
        Column("x_lookupfield_customername", "String"),
        Column("x_name", "String"),
    )
    assert not_written(there, (), "x") == [f"{TOLD}x_name."]
