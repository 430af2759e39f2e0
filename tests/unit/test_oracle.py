"""The oracle judges the app, so it is checked by hand-made cases and by the csv module."""

import csv
import io
import json
from pathlib import Path

import pytest

from local import sample
from tests import oracle

SOURCES = [
    oracle.Source("CRM", "contact", "CRM_contact_contactid", "contact"),
    oracle.Source("CRM", "lead", "CRM_lead_leadid", "lead"),
    oracle.Source("Shop", "customers", "Shop_customers_customerid"),
]


@pytest.mark.parametrize(
    ("text", "records"),
    [
        ("a,b\n1,2\n", [["a", "b"], ["1", "2"]]),
        ('a,,""\n', [["a", None, ""]]),
        ('"x\r\ny","say ""hi"", ok"\r\nlast,', [["x\r\ny", 'say "hi", ok'], ["last", None]]),
        ("a\n\nb\n", [["a"], ["b"]]),
    ],
)
def test_reads_rfc_4180_and_keeps_nothing_and_empty_apart(text: str, records: list[list[str | None]]) -> None:
    assert list(oracle.parse(text)) == records


def test_reads_the_sample_as_the_csv_module_does(tmp_path: Path) -> None:
    sample.write(tmp_path / "day1", 1, people=200)
    for path in tmp_path.rglob("*.csv"):
        text = path.read_bytes().decode("utf-8")
        ours = [[field or "" for field in record] for record in oracle.parse(text)]
        assert ours == list(csv.reader(io.StringIO(text, newline="")))


def test_names_guids_in_every_spelling() -> None:
    plain = "dd6b4bd2-d4d3-4f67-a74b-fd87554990af"
    for text in (plain, plain.upper(), f"{{{plain}}}", plain.replace("-", ""), f" {plain} "):
        assert oracle.guid(text) == plain
    assert oracle.guid("C-1") == "52d9ce3e-b428-5ef5-94a0-c9de3f84c60e"  # UUIDv5 under the fixed namespace


def test_names_columns() -> None:
    assert oracle.column("Street Address (2)", "msdynci") == "msdynci_streetaddress2"


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("12", "int64", 12),
        ("1.50", "decimal", 1.5),
        ("True", "boolean", True),
        ("2026-11-01", "date", "2026-11-01"),
        ("2026-11-01T03:00:00Z", "dateTime", "2026-11-01T03:00:00Z"),
        ("", "int64", None),
        ("", "string", ""),
        (None, "string", None),
    ],
)
def test_converts_cells(text: str | None, kind: str, value: object) -> None:
    assert oracle.json_value(text, kind) == value


def test_expects_keys_rings_and_links(tmp_path: Path) -> None:
    folder = tmp_path / "ci_E" / "p"
    (folder / "c").mkdir(parents=True)
    attributes = ["CustomerId", "Name", *(source.key_column for source in SOURCES)]
    (folder / "c" / "one.csv").write_text('C1,Zoë,b; a;,,"7"\nC2,,,l,\n', encoding="utf-8")
    entity = {
        "name": "Customer",
        "attributes": [{"name": name, "dataType": "string"} for name in attributes],
        "partitions": [{"location": "https://x/customerinsights/ci_E/p/c/one.csv"}],
    }
    (folder / "model.json").write_text(json.dumps({"entities": [entity]}), encoding="utf-8-sig")
    found = oracle.expected(tmp_path, "E", SOURCES)
    assert {row["msdynci_customerid"]: row["msdynci_name"] for row in found.profiles.values()} == {
        "C1": "Zoë",
        "C2": None,
    }
    rings = {row["msdynci_identifier"]: row["msdynci_keyring"] for row in found.alternate_keys.values()}
    ring = '[{"dataSourceName":"CRM","entityName":"contact","preferredKey":"a","keys":["a","b"]}]'
    assert rings["CRM|contact|a"] == rings["CRM|contact|b"] == ring
    assert set(rings) == {"CRM|contact|a", "CRM|contact|b", "CRM|lead|l", "Shop|customers|7"}
    assert found.links == {
        "contact": {oracle.guid("a"): oracle.guid("C1"), oracle.guid("b"): oracle.guid("C1")},
        "lead": {oracle.guid("l"): oracle.guid("C2")},
    }


def test_tells_the_difference() -> None:
    found = oracle.difference({"a": 1, "b": 1, "c": 1}, {"b": 2, "c": 1, "d": 1})
    assert found == oracle.Difference(frozenset("d"), frozenset("b"), frozenset("a"), frozenset("c"))
    assert found.writes == 3
