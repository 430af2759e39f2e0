import pytest

from shared.dataverse.definitions import (
    ColumnSchema,
    Kind,
    LookupSchema,
    TableSchema,
    column_body,
    lookup_body,
    table_body,
)
from shared.dataverse.metadata import Column, Table
from shared.dataverse.schema import conflicts

NAME = ColumnSchema("x_name", "text", "Name")


def schema(*columns: ColumnSchema) -> TableSchema:
    return TableSchema("x_thing", "x_Thing", "Thing", "Things", NAME, columns)


def existing(*columns: Column, managed: bool = False, kind: str = "Standard") -> Table:
    found = {one.logical_name: one for one in (Column("x_name", "String", 100), *columns)}
    return Table("x_thing", "x_Thing", "x_things", "x_thingid", "x_name", managed, kind, found, ())


@pytest.mark.parametrize(
    ("kind", "there"),
    [
        ("text", Column("x_c", "String", 10)),
        ("text", Column("x_c", "Memo")),
        ("integer", Column("x_c", "BigInt")),
        ("date", Column("x_c", "DateTime", behavior="DateOnly")),
        ("datetime", Column("x_c", "DateTime", behavior="UserLocal")),
        ("datetime", Column("x_c", "DateTime", behavior="TimeZoneIndependent")),
    ],
)
def test_a_column_that_can_take_the_values_serves(kind: Kind, there: Column) -> None:
    assert conflicts(schema(ColumnSchema("x_c", kind, "C")), existing(there)) == []


@pytest.mark.parametrize(
    ("kind", "there", "named"),
    [
        ("text", Column("x_c", "Integer"), "Integer"),
        ("memo", Column("x_c", "String", 4000), "String"),
        ("decimal", Column("x_c", "Double"), "Double"),
        ("date", Column("x_c", "DateTime", behavior="UserLocal"), "DateTime (UserLocal)"),
        ("datetime", Column("x_c", "DateTime", behavior="DateOnly"), "DateTime (DateOnly)"),
    ],
)
def test_another_type_is_a_conflict_that_names_column_and_both_types(kind: Kind, there: Column, named: str) -> None:
    (sentence,) = conflicts(schema(ColumnSchema("x_c", kind, "C")), existing(there))
    assert "x_c" in sentence
    assert named in sentence
    assert f"needs {kind}" in sentence


def test_a_managed_table_is_not_added_to() -> None:
    wanted = schema(ColumnSchema("x_c", "text", "C"))
    assert conflicts(wanted, existing()) == []
    assert "managed" in conflicts(wanted, existing(managed=True))[0]


@pytest.mark.parametrize("kind", ["Virtual", "Elastic"])
def test_rows_must_live_in_a_standard_table(kind: str) -> None:
    assert kind.lower() in conflicts(schema(), existing(kind=kind))[0]


def test_a_table_is_created_with_all_columns_and_one_primary_name() -> None:
    body = table_body(schema(ColumnSchema("x_c", "decimal", "C")))
    assert [column.get("IsPrimaryName", False) for column in body["Attributes"]] == [True, False]
    assert body["Attributes"][1]["Precision"] == 10


def test_facets_follow_kind_length_and_behavior() -> None:
    assert column_body(NAME)["MaxLength"] == 4000
    assert column_body(ColumnSchema("x_c", "text", "C", max_length=50))["MaxLength"] == 50
    assert column_body(ColumnSchema("x_c", "memo", "C"))["MaxLength"] == 1_048_576
    assert column_body(ColumnSchema("x_c", "integer", "C"))["MinValue"] == -(2**31)
    assert column_body(ColumnSchema("x_c", "date", "C"))["DateTimeBehavior"] == {"Value": "DateOnly"}
    moment = ColumnSchema("x_c", "datetime", "C", behavior="TimeZoneIndependent")
    assert column_body(moment)["DateTimeBehavior"] == {"Value": "TimeZoneIndependent"}


def test_a_lookup_s_navigation_property_is_its_schema_name() -> None:
    wanted = LookupSchema("contact", "x_profile", "Profile", "x_thing", "Restrict")
    body = lookup_body(wanted, target_id="x_thingid")
    assert body["ReferencingEntityNavigationPropertyName"] == "x_profile"
    assert body["CascadeConfiguration"]["Delete"] == "Restrict"
    assert body["ReferencedAttribute"] == "x_thingid"
