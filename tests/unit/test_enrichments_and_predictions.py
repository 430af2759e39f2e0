"""Enrichment and Prediction: one object of what an entity says of a customer, by provider and type or model."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.settings import Input
from tests.support.catalogs import hydration, only
from tests.support.outputs import BOUND, Cells, Delivered, delivered, output

# By openssl, from the text that is named beside each.
C1, C2 = "52d9ce3e-b428-5ef5-94a0-c9de3f84c60e", "97affd2b-4210-51d3-843b-f84694e1ef3a"  # C-1, C-2
INTERESTS = "8f2e59e0-631e-51a6-81da-f31b2b90af12"  # Audience insights|Interests|C-1
VOICE = "c6044048-2d10-5638-b68f-3618d6016faa"  # Microsoft|BrandShareOfVoice|C-1
FIRM = "c4d3088d-0b65-5bfb-b557-83dad083b47b"  # Leadspace|Firm o'graphics|Mü|ller 漢😀
CHURN = "da06f39a-1f55-5f81-a9fe-09a9188a2b93"  # Churn|Audience insights|C-1
AUTO = "a5263013-b51f-5e70-bdb5-72e162ba7651"  # Churn|AutoML|Mü|ller 漢😀
ODD = "Mü|ller 漢😀"
PREFIXES = {"Enrichment": "Enrichment_", "Prediction": "Model_"}
of_both = pytest.mark.parametrize(("table", "prefix"), PREFIXES.items())


def of(name: str, columns: tuple[str, ...], *rows: Cells) -> Delivered:
    return delivered(name, ("CustomerId", *columns), *rows)


# -- the row -------------------------------------------------------------------------------------------


def test_an_enrichment_is_a_record_with_every_column() -> None:
    data = of("Enrichment_Interests", ("Score:double", "Brand"), ("C-1", "0.5", 'A "1"'))
    assert output("Enrichment", data).only == {
        "@odata.type": "Microsoft.Dynamics.CRM.msdynci_enrichment",
        "msdynci_enrichmentid": INTERESTS,
        "msdynci_customerid": "C-1",
        "msdynci_enrichmentprovider": "Audience insights",
        "msdynci_enrichmenttype": "Interests",
        "msdynci_identifier": "Audience insights|Interests|C-1",
        "msdynci_values": '{"Brand":"A \\"1\\"","Score":0.5}',
        BOUND: f"/msdynci_customerprofiles({C1})",
    }


def test_a_prediction_is_a_record_with_every_column() -> None:
    data = of("Model_Churn", ("Score:decimal", "At:dateTime"), ("C-1", "0.50", "2024-01-31"))
    assert output("Prediction", data).only == {
        "@odata.type": "Microsoft.Dynamics.CRM.msdynci_prediction",
        "msdynci_predictionid": CHURN,
        "msdynci_customerid": "C-1",
        "msdynci_identifier": "Churn|Audience insights|C-1",
        "msdynci_model": "Churn",
        "msdynci_modelprovider": "Audience insights",
        "msdynci_values": '{"At":"2024-01-31T00:00:00Z","Score":0.5}',
        BOUND: f"/msdynci_customerprofiles({C1})",
    }


def test_the_provider_of_an_enrichment_stands_in_its_name() -> None:
    record = output("Enrichment", of("BrandShareOfVoiceFromMicrosoft", ("a",), (" C-1\t", "x"))).only
    assert (record["msdynci_enrichmentprovider"], record["msdynci_enrichmenttype"]) == (
        "Microsoft",
        "BrandShareOfVoice",
    )
    assert (record["msdynci_enrichmentid"], record["msdynci_identifier"]) == (VOICE, "Microsoft|BrandShareOfVoice|C-1")


@pytest.mark.parametrize(
    ("table", "named", "guid", "identifier"),
    [
        ("Enrichment", Input("Mine", "Leadspace", "Firm o'graphics"), FIRM, f"Leadspace|Firm o'graphics|{ODD}"),
        ("Prediction", Input("Mine", "AutoML", "Churn"), AUTO, f"Churn|AutoML|{ODD}"),
    ],
)
def test_hydration_toml_names_provider_and_title(table: str, named: Input, guid: str, identifier: str) -> None:
    found = output(table, of("Mine", ("a",), (ODD, "x")), profiles=[ODD], configured=hydration(**{table: only(named)}))
    record = found.record(guid)
    assert record["msdynci_identifier"] == identifier
    assert record["msdynci_customerid"] == ODD


@of_both
def test_every_entity_has_a_row_of_its_own(table: str, prefix: str) -> None:
    one, two = of(f"{prefix}A", ("x",), ("C-1", "1"), ("C-2", "2")), of(f"{prefix}B", ("x", "y"), ("C-1", "3", "4"))
    found = output(table, one, two)
    assert sorted(found.cells("values").values()) == ['{"x":"1"}', '{"x":"2"}', '{"x":"3","y":"4"}']
    assert (found.duplicates, len(set(found.cells("identifier").values()))) == (0, 3)


# -- the object ----------------------------------------------------------------------------------------


@of_both
def test_what_has_no_value_is_left_out_of_the_object(table: str, prefix: str) -> None:
    data = of(f"{prefix}A", ("b:int64", "a", "c:double"), ("C-1", "", "", None), ("C-2", None, None, None))
    assert set(output(table, data).cells("values").values()) == {'{"a":""}', "{}"}
    assert output(table, of(f"{prefix}A", (), ("C-1",))).only["msdynci_values"] == "{}"


@of_both
def test_values_stand_in_the_order_of_their_code_points_with_their_names_as_they_are(table: str, prefix: str) -> None:
    names = ("b", "C", "é", "\uffee", "😀", 'q"', "it's", "\\", "{x}", "new\nline")
    record = output(table, of(f"{prefix}A", names, ("C-1", *"0123456789"))).only
    assert record["msdynci_values"] == (
        '{"C":"1","\\\\":"7","b":"0","it\'s":"6","new\\nline":"9","q\\"":"5","{x}":"8","é":"2","\uffee":"3","😀":"4"}'
    )


@of_both
def test_a_value_that_is_none_rejects_its_row_and_no_other(table: str, prefix: str) -> None:
    one = of(f"{prefix}A", ("n:int64",), ("C-1", "none"), ("C-2", "2"))
    found = output(table, one, of(f"{prefix}B", ("n:int64",), ("C-1", "1")))
    assert found.fault.startswith("n: ")
    assert sorted(found.cells("values").values()) == ['{"n":1}', '{"n":2}']


@of_both
def test_members_are_included_and_excluded_by_name(table: str, prefix: str) -> None:
    contents = of(f"{prefix}A", ("a", "b"), ("C-1", "1", "2")), of(f"{prefix}B", ("B", "c"), ("C-1", "3", "4"))
    without = output(table, *contents, configured=hydration(**{table: {"exclude": ("b",)}}))
    assert sorted(without.cells("values").values()) == ['{"a":"1"}', '{"c":"4"}']
    with_it = output(table, *contents, configured=hydration(**{table: {"include": ("b",)}}))
    assert sorted(with_it.cells("values").values()) == ['{"B":"3"}', '{"b":"2"}']


@of_both
def test_an_attribute_that_is_called_like_a_column_is_a_member(table: str, prefix: str) -> None:
    record = output(table, of(f"{prefix}A", ("Values", "x"), ("C-1", "1", "2"))).only
    assert record["msdynci_values"] == '{"Values":"1","x":"2"}'


# -- repeated rows -------------------------------------------------------------------------------------


@of_both
def test_of_rows_with_one_key_a_valid_one_stays_and_the_others_are_counted(table: str, prefix: str) -> None:
    rows: list[Cells] = [("C-1", "none"), ("C-1", "2"), (" C-1 ", "2"), ("C-2", "none"), ("C-2", "none")]
    for order in (rows, rows[::-1]):
        found = output(table, of(f"{prefix}A", ("n:int64",), *order))
        assert (found.duplicates, len(found.faults)) == (3, 1)
        assert list(found.cells("values").values()) == ['{"n":2}']


rows_drawn = st.lists(
    st.tuples(
        st.sampled_from(["C-1", " C-1", "C-2", "C-9"]), st.sampled_from([None, "", "1", "x"]), st.text(max_size=1)
    ),
    max_size=8,
)


@of_both
@settings(max_examples=12, deadline=None)
@given(one=rows_drawn, two=rows_drawn, seed=st.randoms(use_true_random=False))
def test_the_order_of_rows_and_entities_changes_nothing(
    table: str, prefix: str, one: list[Cells], two: list[Cells], seed: Random
) -> None:
    def contents(first: list[Cells], second: list[Cells]) -> list[Delivered]:
        return [of(f"{prefix}A", ("n:int64", "t"), *first), of(f"{prefix}B", ("t", "n:int64"), *second)]

    shuffled = list(one), list(two)
    for rows in shuffled:
        seed.shuffle(rows)
    assert output(table, *contents(one, two)) == output(table, *contents(*shuffled)[::-1])


# -- ready-made ----------------------------------------------------------------------------------------

READY: list[Cells] = [
    ("C-1", "P", " T ", '{"a": 1}', "wrong", C2),
    ("C-1", "Q", "T", "{}", None, None),
    ("C-1", None, " ", '{"b":2}', None, None),
]


def test_a_ready_made_enrichment_names_provider_and_type_in_its_rows() -> None:
    columns = ("EnrichmentProvider", "ENRICHMENTTYPE", "Values", "Identifier", "EnrichmentId")
    found = output("Enrichment", of("Enrichment", columns, *READY))
    assert found.cells("identifier") == {
        "e387fc2d-f33a-5ea6-98e4-0d17616f718b": "P|T|C-1",
        "f73ecb95-d104-58bf-9ac8-ac7c9a3e0b98": "Q|T|C-1",
        "61f7fcca-b80d-5678-a0cb-12b7ce9320de": "Audience insights|Enrichment|C-1",
    }
    assert sorted(found.cells("enrichmentprovider").values()) == ["Audience insights", "P", "Q"]
    assert sorted(found.cells("enrichmenttype").values()) == ["Enrichment", "T", "T"]
    assert sorted(found.cells("values").values()) == ['{"a":1}', '{"b":2}', "{}"]


def test_a_ready_made_prediction_names_model_and_provider_in_its_rows() -> None:
    columns = ("Model", "modelprovider", "VALUES", "Identifier", "PredictionId")
    found = output("Prediction", of("Prediction", columns, *READY))
    assert found.cells("identifier") == {
        "e387fc2d-f33a-5ea6-98e4-0d17616f718b": "P|T|C-1",
        "f73ecb95-d104-58bf-9ac8-ac7c9a3e0b98": "Q|T|C-1",
        "ddbdddc7-613d-5619-abc4-d959f7f03874": "Prediction|Audience insights|C-1",
    }
    assert sorted(found.cells("model").values()) == ["P", "Prediction", "Q"]
    assert sorted(found.cells("modelprovider").values()) == ["Audience insights", "T", "T"]


@of_both
@pytest.mark.parametrize("cell", ["{", "a", '{"a":Infinity}'])
def test_ready_made_values_that_are_no_json_reject_their_row(table: str, prefix: str, cell: str) -> None:
    found = output(table, of(f"{prefix}A", ("Values",), ("C-1", cell), ("C-2", '{"a":1}')))
    assert found.fault == "Values: this is not valid JSON"
    assert list(found.cells("values").values()) == ['{"a":1}']


@of_both
def test_a_ready_made_table_beside_another_has_rows_of_its_own(table: str, prefix: str) -> None:
    ready, other = of(f"{prefix}A", ("Values",), ("C-1", '{"a":1}')), of(f"{prefix}B", ("a",), ("C-1", "2"))
    assert len(output(table, ready, other).records) == 2
