"""CustomerMeasure: one object of all measures of a customer."""

from __future__ import annotations

import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import ConfigurationError
from tests.support.catalogs import hydration, only
from tests.support.outputs import BOUND, Cells, Delivered, delivered, output

GUID = "6b1e5d0c-6f4e-5c58-9b0a-3a8e0d2c7f41"
SPELLED = "{6B1E5D0C-6F4E-5C58-9B0A-3A8E0D2C7F41}"
C1, C2 = "52d9ce3e-b428-5ef5-94a0-c9de3f84c60e", "97affd2b-4210-51d3-843b-f84694e1ef3a"  # by openssl: C-1, C-2
CUSTOMER = ("CustomerId",)


def measures(columns: tuple[str, ...], *rows: Cells) -> Delivered:
    return delivered("Customer_Measure", columns, *rows)


def objects(*contents: Delivered) -> dict[str, str]:
    return output("CustomerMeasure", *contents).cells("measures")


# -- the row -------------------------------------------------------------------------------------------


def test_a_customer_is_a_record_with_all_its_measures() -> None:
    numbers = ("Visits:int64", "Average basket:decimal", "Rate:double", "Loyal:boolean")
    columns = (*CUSTOMER, *numbers, "First:date", "Last:dateTime", "Store", "Extra:json", "Key:guid")
    cells = ("C-1", "+7", "12.50", "1e-1", "TRUE", "2020-02-29", "2024-01-31T10:20:30.250+01:00", 'Köln "1"')
    row = (*cells, '{ "b" : 1, "a" : [ 2 ] }', SPELLED)
    assert output("CustomerMeasure", measures(columns, row)).only == {
        "@odata.type": "Microsoft.Dynamics.CRM.msdynci_customermeasure",
        "msdynci_customermeasureid": C1,
        "msdynci_customerid": "C-1",
        "msdynci_identifier": "Customer_Measure|C-1",
        "msdynci_measures": (
            '{"Average basket":12.5,"Extra":{"b":1,"a":[2]},"First":"2020-02-29","Key":"'
            + SPELLED
            + '","Last":"2024-01-31T09:20:30.25Z","Loyal":true,"Rate":0.1,"Store":"Köln \\"1\\"","Visits":7}'
        ),
        BOUND: f"/msdynci_customerprofiles({C1})",
    }


@pytest.mark.parametrize(
    ("customer", "guid", "named"),
    [
        ("C-1", C1, "C-1"),
        (" C-1\t\r\n", C1, "C-1"),
        (GUID, GUID, GUID),
        (SPELLED, GUID, SPELLED),
        (GUID.upper(), GUID, GUID.upper()),
        ("Mü|ller 漢😀", "a6eeb9b5-a0c5-5544-ab6f-9b9da1eb824d", "Mü|ller 漢😀"),
    ],
)
def test_the_guid_of_a_row_is_that_of_its_customer(customer: str, guid: str, named: str) -> None:
    record = output("CustomerMeasure", measures((*CUSTOMER, "a"), (customer, "x")), profiles=[customer.strip()]).only
    assert record["msdynci_customermeasureid"] == guid
    assert record["msdynci_identifier"] == f"Customer_Measure|{named}"
    assert record[BOUND] == f"/msdynci_customerprofiles({guid})"


# -- the object ----------------------------------------------------------------------------------------


def test_a_measure_without_a_value_is_left_out_and_an_empty_text_is_a_value() -> None:
    columns = (*CUSTOMER, "Number:int64", "Text", "Date:date", "Json:json")
    assert objects(measures(columns, ("C-1", "", "", "", ""), ("C-2", None, None, None, None))) == {
        C1: '{"Text":""}',
        C2: "{}",
    }


def test_an_entity_without_measures_has_customers_without_values() -> None:
    assert objects(measures(CUSTOMER, ("C-1",))) == {C1: "{}"}


def test_members_stand_in_the_order_of_their_code_points_with_their_names_as_they_are() -> None:
    names = ["b", "C", "a", "é", "漢", "\uffee", "😀", "a b", 'q"uote', "it's", "back\\slash", "new\nline", "{x}", "1"]
    found = objects(measures((*CUSTOMER, *names), ("C-1", *names)))
    expected = json.dumps(dict(sorted(zip(names, names, strict=True))), ensure_ascii=False, separators=(",", ":"))
    assert found == {C1: expected}


def test_measures_that_differ_in_case_only_are_refused_until_one_is_excluded() -> None:
    """DuckDB would give one of them the values of the other."""
    data = measures((*CUSTOMER, "b", "a", "B"), ("C-1", "small", "x", "capital"))
    with pytest.raises(
        ConfigurationError, match="The attributes b and B of the entity Customer_Measure differ in case"
    ):
        objects(data)
    for excluded, expected in (("B", '{"a":"x","b":"small"}'), ("b", '{"B":"capital","a":"x"}')):
        configured = hydration(CustomerMeasure={"exclude": (excluded,)})
        assert output("CustomerMeasure", data, configured=configured).cells("measures") == {C1: expected}


def test_measures_of_two_entities_that_differ_in_case_only_are_two_measures() -> None:
    one, two = (
        measures((*CUSTOMER, "b"), ("C-1", "small")),
        delivered("Measure_Two", (*CUSTOMER, "B"), ("C-1", "capital")),
    )
    assert objects(one, two) == {C1: '{"B":"capital","b":"small"}'}


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("int64", "9223372036854775807", "9223372036854775807"),
        ("int64", "-9223372036854775808", "-9223372036854775808"),
        ("int64", " 007 ", "7"),
        ("decimal", "12345678901234567890.1234567890", "12345678901234567890.123456789"),
        ("decimal", "1.50", "1.5"),
        ("double", "0.1", "0.1"),
        ("double", "100", "100"),
        ("boolean", "0", "false"),
        ("date", "2020-01-02", '"2020-01-02"'),
        ("dateTime", "2020-01-02", '"2020-01-02T00:00:00Z"'),
        ("dateTime", "2020-01-02T03:04:05.1200000", '"2020-01-02T03:04:05.12Z"'),
        ("json", "[ 1 , 2 ]", "[1,2]"),
        ("string", "null", '"null"'),
        ("string", "漢 / \\", '"漢 / \\\\"'),
        ("unclassified", "1", '"1"'),
        ("complex", "1", '"1"'),
    ],
)
def test_the_same_content_has_the_same_bytes(kind: str, cell: str, value: str) -> None:
    assert objects(measures((*CUSTOMER, f"m:{kind}"), ("C-1", cell))) == {C1: f'{{"m":{value}}}'}


@pytest.mark.parametrize(
    ("kind", "cell"),
    [("int64", "1.5x"), ("double", "NaN"), ("decimal", "Infinity"), ("date", "31.1.2020"), ("json", "{")],
)
def test_a_value_that_is_none_rejects_its_customer_and_no_other(kind: str, cell: str) -> None:
    found = output("CustomerMeasure", measures((*CUSTOMER, "ok", f"m:{kind}"), ("C-1", "x", cell), ("C-2", "x", None)))
    assert list(found.faults) == [C1]
    assert found.fault.startswith("m: ")
    assert cell not in found.fault
    assert found.cells("measures") == {C2: '{"ok":"x"}'}


def test_an_object_that_is_too_long_rejects_its_customer() -> None:
    fits = 1_048_576 - len('{"m":""}')
    found = output("CustomerMeasure", measures((*CUSTOMER, "m"), ("C-1", "x" * fits), ("C-2", "x" * (fits + 1))))
    assert list(found.records) == [C1]
    assert found.fault == "msdynci_measures: the text is 1048577 long, the column takes 1048576"
    cut = hydration(CustomerMeasure={"truncate": True})
    assert output("CustomerMeasure", measures((*CUSTOMER, "m"), ("C-1", "x" * (fits + 1))), configured=cut).faults


# -- several entities ----------------------------------------------------------------------------------


def test_measures_of_several_entities_are_one_object() -> None:
    one = measures((*CUSTOMER, "b", "d"), ("C-1", "1", "2"), ("C-2", None, None))
    two = delivered("Measure_Two", ("customerid", "c:int64", "a"), (" C-1", "3", "4"))
    three = delivered("Measure_Three", CUSTOMER, ("C-1",))
    assert objects(one, two, three) == {C1: '{"a":"4","b":"1","c":3,"d":"2"}', C2: "{}"}


def test_a_customer_of_one_entity_has_the_measures_of_that_one() -> None:
    one, two = measures((*CUSTOMER, "a"), ("C-1", "1")), delivered("Measure_Two", (*CUSTOMER, "b"), ("C-2", "2"))
    assert objects(one, two) == {C1: '{"a":"1"}', C2: '{"b":"2"}'}


def test_a_fault_in_one_entity_rejects_the_whole_customer() -> None:
    one, two = measures((*CUSTOMER, "a"), ("C-1", "1")), delivered("Measure_Two", (*CUSTOMER, "b:int64"), ("C-1", "x"))
    assert output("CustomerMeasure", one, two).fault.startswith("b: ")


def test_one_customer_in_several_spellings_is_one_row() -> None:
    one, two = measures((*CUSTOMER, "a"), (SPELLED, "1")), delivered("Measure_Two", (*CUSTOMER, "b"), (GUID, "2"))
    for contents in ((one, two), (two, one)):
        record = output("CustomerMeasure", *contents, profiles=[GUID]).only
        assert record["msdynci_measures"] == '{"a":"1","b":"2"}'
        assert record["msdynci_customerid"] == GUID


def test_a_measure_of_two_entities_is_refused() -> None:
    one, two = (
        measures((*CUSTOMER, "a", "b"), ("C-1", "1", "2")),
        delivered("Measure_Two", (*CUSTOMER, "b"), ("C-1", "3")),
    )
    with pytest.raises(ConfigurationError, match="measure b stands in the entities Customer_Measure and Measure_Two"):
        output("CustomerMeasure", one, two)
    found = output("CustomerMeasure", one, two, configured=hydration(CustomerMeasure=only("Measure_*")))
    assert found.cells("measures") == {C1: '{"b":"3"}'}


def test_a_measure_that_is_excluded_may_stand_in_two_entities() -> None:
    one, two = (
        measures((*CUSTOMER, "a", "b"), ("C-1", "1", "2")),
        delivered("Measure_Two", (*CUSTOMER, "b"), ("C-1", "3")),
    )
    configured = hydration(CustomerMeasure={"exclude": ("b",)})
    assert output("CustomerMeasure", one, two, configured=configured).cells("measures") == {C1: '{"a":"1"}'}


# -- what is left out ----------------------------------------------------------------------------------


def test_members_are_included_and_excluded_by_name_whatever_its_case() -> None:
    data = measures((*CUSTOMER, "a", "B", "c:int64"), ("C-1", "1", "2", "no number"))
    for options in ({"exclude": ("C",)}, {"include": ("A", "b")}, {"include": ("a", "b", "Measures")}):
        found = output("CustomerMeasure", data, configured=hydration(CustomerMeasure=options))
        assert found.cells("measures") == {C1: '{"B":"2","a":"1"}'}


@pytest.mark.parametrize("options", [{"include": ("Identifier",)}, {"exclude": ("Measures",)}])
def test_what_is_not_written_rejects_nothing(options: dict[str, tuple[str, ...]]) -> None:
    data = measures((*CUSTOMER, "c:int64"), ("C-1", "no number"))
    assert "msdynci_measures" not in output("CustomerMeasure", data, configured=hydration(CustomerMeasure=options)).only


# -- repeated rows -------------------------------------------------------------------------------------


def test_of_rows_of_one_customer_one_stays_whatever_their_order_and_the_others_are_counted() -> None:
    rows: list[Cells] = [("C-1", "2"), (" C-1", "1"), ("C-1", "x"), ("C-2", "5"), ("C-2", "5")]
    kept = set()
    for order in (rows, rows[::-1], [*rows[2:], *rows[:2]]):
        found = output("CustomerMeasure", measures((*CUSTOMER, "m:int64"), *order))
        assert (found.duplicates, found.faults) == (3, {})
        assert found.cells("measures")[C2] == '{"m":5}'
        kept.add(found.cells("measures")[C1])
    assert kept in ({'{"m":1}'}, {'{"m":2}'})


def test_of_several_entities_the_smallest_row_of_a_customer_stays() -> None:
    rows: list[Cells] = [("C-1", "2"), (" C-1", "1"), ("C-1", "x"), ("C-2", "5"), ("C-2", "5")]
    other = delivered("Measure_other", (*CUSTOMER, "n"), ("C-1", "z"))
    for order in (rows, rows[::-1], [*rows[2:], *rows[:2]]):
        found = output("CustomerMeasure", measures((*CUSTOMER, "m:int64"), *order), other)
        assert (found.duplicates, found.faults) == (3, {})
        assert found.cells("measures") == {C1: '{"m":1,"n":"z"}', C2: '{"m":5}'}


def test_a_measure_may_have_any_name() -> None:
    names = ("one", "id", "fault", "content", "value_0", "customer_id", "members", "rank", "part", 'a"b', "{x}")
    cells = measures(("CustomerId", *names), ("C-1", *(str(place) for place, _ in enumerate(names))))
    other = delivered("Measure_other", ("CustomerId", "measure_0"), ("C-1", "o"))
    alone, both = output("CustomerMeasure", cells), output("CustomerMeasure", cells, other)
    expected = {name: str(place) for place, name in enumerate(names)}
    assert json.loads(alone.cells("measures")[C1]) == expected
    assert json.loads(both.cells("measures")[C1]) == expected | {"measure_0": "o"}


def test_of_spellings_of_one_customer_the_same_one_stays_whatever_their_order() -> None:
    rows: list[Cells] = [(SPELLED, "1"), (GUID, "1"), (GUID.upper(), "1"), (GUID.replace("-", ""), "1")]
    first, second = (
        output("CustomerMeasure", measures((*CUSTOMER, "m"), *order), profiles=[GUID]) for order in (rows, rows[::-1])
    )
    assert first == second
    assert first.duplicates == 3


rows_drawn = st.lists(
    st.tuples(
        st.sampled_from(["C-1", "C-2", GUID, SPELLED]), st.sampled_from([None, "", "1", "x"]), st.text(max_size=2)
    ),
    max_size=8,
)


@settings(max_examples=15, deadline=None)
@given(rows_drawn, rows_drawn, st.randoms(use_true_random=False))
def test_the_order_of_rows_and_entities_changes_nothing(one: list[Cells], two: list[Cells], seed: Random) -> None:
    def contents(first: list[Cells], second: list[Cells]) -> list[Delivered]:
        return [
            measures((*CUSTOMER, "b:int64", "a"), *first),
            delivered("Measure_Two", (*CUSTOMER, "d:int64", "c"), *second),
        ]

    shuffled = list(one), list(two)
    for rows in shuffled:
        seed.shuffle(rows)
    profiles = ["C-1", "C-2", GUID]
    found = output("CustomerMeasure", *contents(one, two), profiles=profiles)
    assert found == output("CustomerMeasure", *contents(*shuffled)[::-1], profiles=profiles)


# -- ready-made ----------------------------------------------------------------------------------------


def test_a_ready_made_table_is_taken_as_it_is_without_spaces() -> None:
    columns = ("CustomerId", "MEASURES", "Identifier", "CustomerMeasureId")
    rows: list[Cells] = [("C-1", '{ "a": 1.0 }', "wrong", GUID), ("C-2", None, None, None)]
    found = output("CustomerMeasure", measures(columns, *rows))
    assert found.cells("measures") == {C1: '{"a":1.0}', C2: "{}"}
    assert found.cells("identifier") == {C1: "Customer_Measure|C-1", C2: "Customer_Measure|C-2"}


def test_ready_made_measures_that_are_no_object_reject_their_customer() -> None:
    found = output("CustomerMeasure", measures(("CustomerId", "Measures"), ("C-1", "[1]"), ("C-2", "{}")))
    assert found.fault == "Measures: this is not an object"
    assert list(found.records) == [C2]


@pytest.mark.parametrize("cell", ["{", "a", '{"a":1,}', '{"a":NaN}', "{'a':1}"])
def test_ready_made_measures_that_are_no_json_reject_their_customer(cell: str) -> None:
    found = output("CustomerMeasure", measures(("CustomerId", "Measures"), ("C-1", cell), ("C-2", "{}")))
    assert found.fault == "Measures: this is not valid JSON"
    assert list(found.records) == [C2]


def test_a_ready_made_cell_without_a_value_is_an_object_without_one_and_a_blank_one_is_no_json() -> None:
    found = output("CustomerMeasure", measures(("CustomerId", "Measures"), ("C-1", ""), ("C-2", " ")))
    assert found.cells("measures") == {C1: "{}"}
    assert found.fault == "Measures: this is not valid JSON"


def test_a_ready_made_table_beside_others_is_refused() -> None:
    ready = measures(("CustomerId", "Measures"), ("C-1", "{}"))
    other = delivered("Measure_A", (*CUSTOMER, "a"), ("C-1", "1"))
    with pytest.raises(ConfigurationError, match="Customer_Measure holds all measures of a customer, and Measure_A"):
        output("CustomerMeasure", ready, other)
