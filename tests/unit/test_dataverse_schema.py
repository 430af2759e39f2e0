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
from shared.dataverse.schema import conflicts, unsuitable
from shared.dataverse.solution import hydration, option_prefix

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
    ("kind", "there", "exists", "wanted"),
    [
        ("text", Column("x_c", "Integer"), "Integer (whole number)", "text"),
        ("memo", Column("x_c", "String", 4000), "String (text)", "multiline text"),
        ("decimal", Column("x_c", "Double"), "Double (floating-point number)", "decimal number"),
        ("integer", Column("x_c", "Lookup"), "Lookup (lookup)", "whole number"),
        ("boolean", Column("x_c", "EntityName"), "EntityName (another type)", "yes/no"),
        ("date", Column("x_c", "DateTime", behavior="UserLocal"), "DateTime (date and time, UserLocal)", "date"),
        (
            "datetime",
            Column("x_c", "DateTime", behavior="DateOnly"),
            "DateTime (date and time, DateOnly)",
            "date and time",
        ),
    ],
)
def test_another_type_is_a_conflict_that_names_column_and_both_types(
    kind: Kind, there: Column, exists: str, wanted: str
) -> None:
    (sentence,) = conflicts(schema(ColumnSchema("x_c", kind, "C")), existing(there))
    told = f"Column x_c of x_thing exists as {exists}, it would have to be {wanted} now"
    assert sentence.startswith(told), sentence


def test_all_conflicts_are_told_at_once() -> None:
    wanted = schema(*(ColumnSchema(f"x_{letter}", "text", letter) for letter in "abc"))
    there = existing(Column("x_a", "Integer"), Column("x_b", "String", 10), Column("x_c", "Boolean"))
    assert [sentence.split()[1] for sentence in conflicts(wanted, there)] == ["x_a", "x_c"]


def test_smaller_columns_are_no_conflicts() -> None:
    wanted = schema(ColumnSchema("x_d", "decimal", "D"), ColumnSchema("x_f", "double", "F"))
    there = existing(
        Column("x_d", "Decimal", min=0.0, max=5.0, precision=2), Column("x_f", "Double", min=0.0, max=5.0, precision=0)
    )
    assert conflicts(wanted, there) == []


def test_the_app_writes_to_its_own_standard_tables_only() -> None:
    assert unsuitable(existing()) is None
    managed = unsuitable(existing(managed=True)) or ""
    assert "x_thing" in managed
    assert "managed solution" in managed
    assert "publisher_prefix" in managed


@pytest.mark.parametrize("kind", ["Virtual", "Elastic", "Activity"])
def test_rows_must_live_in_a_standard_table(kind: str) -> None:
    reason = unsuitable(existing(kind=kind)) or ""
    assert f"of type {kind.lower()}" in reason
    assert "publisher_prefix" in reason


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


def test_lookups_to_one_table_have_relationships_and_collections_of_their_own() -> None:
    tables = ["contact", "x_key", "x_" + "k" * 90, "x_" + "k" * 91]
    lookups = [LookupSchema(table, "x_lookupfield_customer", "Customer", "x_thing", "RemoveLink") for table in tables]
    bodies = [lookup_body(one, target_id="x_thingid") for one in lookups]
    for name in ("SchemaName", "ReferencedEntityNavigationPropertyName"):
        assert len({body[name].lower() for body in bodies}) == len(tables)
        assert max(len(body[name]) for body in bodies) <= 100
    assert bodies[0]["SchemaName"] == "x_lookupfield_customer_contact"
    assert {body["ReferencingEntityNavigationPropertyName"] for body in bodies} == {"x_lookupfield_customer"}


def test_the_solution_and_its_publisher_follow_the_prefix() -> None:
    own = hydration("msdynci")
    assert (own.unique_name, own.display) == ("CustomerInsightsHydration", "Customer Insights Hydration")
    assert own.publisher == "customerinsightshydrationmsdynci"
    assert own.headers == {"MSCRM.SolutionUniqueName": "CustomerInsightsHydration"}


def test_the_prefix_of_choices_is_in_range_and_always_the_same() -> None:
    found = {prefix: option_prefix(prefix) for prefix in ("msdynci", "abc", "z9", "contoso8")}
    assert all(10_000 <= number <= 99_999 for number in found.values())
    assert len(set(found.values())) == len(found)
    assert found["msdynci"] == 96_589
