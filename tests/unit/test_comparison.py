"""What compares Dataverse with the oracle must notice every difference: all end-to-end tests lean on it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local import sample
from tests import oracle
from tests.support import dataverse

Content = dict[str, dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> oracle.Expected:
    lake = sample.write(tmp_path_factory.mktemp("lake"), 1, 60)
    return oracle.expected(lake, sample.ENVIRONMENT, oracle.SOURCES)


@pytest.fixture
def content(expected: oracle.Expected) -> Content:
    """What Dataverse exports when all is well."""
    tables = {f"msdynci_{name.lower()}": rows for name, rows in expected.tables.items()}
    found = {table: {key: {f"{table}id": key, **row} for key, row in rows.items()} for table, rows in tables.items()}
    for table, links in expected.links.items():
        found[table] = {key: {f"{table}id": key, dataverse.LINK: to} for key, to in links.items()}
        found[table]["outsider"] = {f"{table}id": "outsider", dataverse.LINK: None}
    return found


@pytest.fixture(autouse=True)
def everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataverse, "COMPARE_LOOKUPS", True)
    monkeypatch.setattr(dataverse, "COMPARE_ALL_TABLES", True)


def compare(folder: Path, content: Content, expected: oracle.Expected) -> None:
    for table, rows in content.items():
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows.values()]
        if lines:
            (folder / f"{table}.ndjson").write_text("".join(lines), encoding="utf-8")
    dataverse.assert_equal(folder, expected)


def test_takes_what_is_equal(tmp_path: Path, content: Content, expected: oracle.Expected) -> None:
    assert all(rows for name, rows in expected.tables.items() if name != "ContactProfile")
    compare(tmp_path, content, expected)


def drop(rows: dict[str, dict[str, Any]]) -> None:
    rows.pop(next(iter(rows)))


def double(rows: dict[str, dict[str, Any]]) -> None:
    table = next(name for name in next(iter(rows.values())) if name.startswith("msdynci_") and name.endswith("id"))
    rows["one too many"] = next(iter(rows.values())) | {table: "one too many"}


def clear(rows: dict[str, dict[str, Any]]) -> None:
    next(iter(rows.values()))["msdynci_customerid"] = None


def misdirect(rows: dict[str, dict[str, Any]]) -> None:
    first, *_, last = (row["_msdynci_lookupfield_customer_value"] for row in rows.values())
    assert first != last
    next(iter(rows.values()))["_msdynci_lookupfield_customer_value"] = last


FAULTS = [
    (name, spoil)
    for name in oracle.TABLES
    for spoil in (drop, double, clear, misdirect)
    if name != "ContactProfile" and (name, spoil) != ("CustomerProfile", misdirect)
]


@pytest.mark.parametrize(("name", "spoil"), FAULTS)
def test_notices_rows_cells_and_lookups(
    tmp_path: Path,
    content: Content,
    expected: oracle.Expected,
    name: str,
    spoil: Callable[[dict[str, dict[str, Any]]], None],
) -> None:
    spoil(content[f"msdynci_{name.lower()}"])
    with pytest.raises(AssertionError, match=f"msdynci_{name.lower()}"):
        compare(tmp_path, content, expected)


def test_notices_a_table_that_should_be_empty(tmp_path: Path, content: Content, expected: oracle.Expected) -> None:
    content["msdynci_contactprofile"]["a"] = {"msdynci_contactprofileid": "a"}
    with pytest.raises(AssertionError, match="msdynci_contactprofile"):
        compare(tmp_path, content, expected)


@pytest.mark.parametrize("table", ["contact", "lead"])
def test_notices_links(tmp_path: Path, content: Content, expected: oracle.Expected, table: str) -> None:
    content[table]["outsider"][dataverse.LINK] = next(iter(expected.profiles))
    with pytest.raises(AssertionError, match=f"links of {table}"):
        compare(tmp_path, content, expected)


def test_json_is_compared_as_bytes(tmp_path: Path, content: Content, expected: oracle.Expected) -> None:
    rows = content["msdynci_customermeasure"]
    key, text = next((key, row["msdynci_measures"]) for key, row in rows.items() if row["msdynci_measures"] != "{}")
    rows[key]["msdynci_measures"] = json.dumps(json.loads(text), ensure_ascii=False)
    with pytest.raises(AssertionError, match="msdynci_customermeasure"):
        compare(tmp_path, content, expected)


def test_a_double_may_have_another_notation(tmp_path: Path, content: Content, expected: oracle.Expected) -> None:
    rows = content["msdynci_prediction"]
    key, text = next((key, row["msdynci_values"]) for key, row in rows.items() if "ChurnScore" in row["msdynci_values"])
    score = json.loads(text)["ChurnScore"]
    rows[key]["msdynci_values"] = text.replace(repr(score), f"{score:.17e}".replace("e-01", "e-1"))
    with pytest.raises(AssertionError, match="msdynci_prediction"):
        compare(tmp_path, content, expected)
    digits = repr(score).removeprefix("0.")
    rows[key]["msdynci_values"] = text.replace(repr(score), f"{digits}e-{len(digits)}")
    compare(tmp_path, content, expected)
