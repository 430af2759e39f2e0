"""What the oracle makes of single cells and files: hand-made cases, and the csv module beside its own reader."""

import csv
import gzip
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from local import sample
from tests import oracle
from tests.oracle import values


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


@pytest.mark.parametrize("audience", ["individuals", "businesses"])
def test_reads_the_sample_as_the_csv_module_does(tmp_path: Path, audience: sample.Audience) -> None:
    sample.write(tmp_path / "day1", 1, people=200, audience=audience)
    paths = [*tmp_path.rglob("*.csv"), *tmp_path.rglob("*.csv.gz")]
    for path in paths:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
        ours = [[field or "" for field in record] for record in oracle.parse(text)]
        assert ours == list(csv.reader(io.StringIO(text, newline="")))
    assert len(paths) > 5


def test_reads_a_cdm_folder_and_parquet_as_texts(tmp_path: Path) -> None:
    folder = tmp_path / "ci_E" / "p"
    (folder / "files").mkdir(parents=True)
    kinds = ("String", "Int64", "Double", "Decimal", "Boolean", "Date", "DateTime")
    moment = datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)
    cells = (["é", None], [2**53 + 1, None], [0.1, None], [Decimal("1.50"), None], [True, None])
    columns = {str(at): column for at, column in enumerate([*cells, [date(2026, 1, 2), None], [moment, None]])}
    parquet.write_table(pa.table(columns), folder / "files" / "1.parquet")
    (folder / "files" / "2.csv").write_text(",".join(columns) + '\n"",2,3,4,False,2026-01-03,\n')
    attributes = [{"name": name, "dataFormat": kind} for name, kind in zip(columns, kinds, strict=True)]
    document = {"definitions": [{"entityName": "T", "hasAttributes": attributes}]}
    (folder / "T.cdm.json").write_text(json.dumps(document))
    header = {"traitReference": "is.partition.format.CSV", "arguments": [{"name": "columnHeaders", "value": "true"}]}
    declared = {
        "entityName": "T",
        "entityPath": "T.cdm.json/T",
        "dataPartitions": [
            {"location": "files/1.parquet", "exhibitsTraits": [{"traitReference": "is.partition.format.parquet"}]},
            {"location": "files/2.csv", "exhibitsTraits": [header]},
        ],
    }
    (folder / "manifest.cdm.json").write_text(json.dumps({"entities": [declared]}))
    [entity] = oracle.entities(tmp_path, "E")
    assert [kind for _, kind in entity.attributes] == [kind[0].lower() + kind[1:] for kind in kinds]
    assert [list(row.values()) for row in entity.rows()] == [
        ["é", "9007199254740993", "0.1", "1.50", "true", "2026-01-02", "2026-01-02T03:04:05.600000Z"],
        [None] * 7,
        ["", "2", "3", "4", "False", "2026-01-03", None],
    ]


def test_names_guids_in_every_spelling() -> None:
    plain = "dd6b4bd2-d4d3-4f67-a74b-fd87554990af"
    for text in (plain, plain.upper(), f"{{{plain}}}", plain.replace("-", ""), f" {plain} "):
        assert oracle.guid(text) == plain
    for text in (f"{{{plain}", f"{plain}}}", plain.replace("-", "", 1), plain[:-1], f"({plain})"):
        assert oracle.guid(text) != plain


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
        ("2026-11-01 03:00:00.7500000+02:00", "dateTime", "2026-11-01T01:00:00Z"),
        ("", "int64", None),
        ("", "string", ""),
        (None, "string", None),
    ],
)
def test_converts_cells(text: str | None, kind: str, value: object) -> None:
    assert oracle.json_value(text, kind) == value


@pytest.mark.parametrize(
    ("text", "kind", "rendered"),
    [
        ("-9223372036854775808", "int64", "-9223372036854775808"),
        ("007", "int64", "7"),
        ("12345678901234567890.10", "decimal", "12345678901234567890.1"),
        ("-0.00", "decimal", "0"),
        ("100", "decimal", "100"),
        ("1e3", "decimal", "1000"),
        ("0.30000000000000004", "double", "0.30000000000000004"),
        ("0.10", "double", "0.1"),
        ("1", "boolean", "true"),
        ("2026-11-01T00:00:00", "date", '"2026-11-01"'),
        ("2026-11-01T03:00:00.2500000Z", "dateTime", '"2026-11-01T03:00:00.25Z"'),
        ("2026-11-01 03:00:00.000-01:30", "dateTime", '"2026-11-01T04:30:00Z"'),
        ('[ "a, b" , {"x": "\\" y"} ]', "json", '["a, b",{"x":"\\" y"}]'),
        ('漢 "x"\n\\', "string", '"漢 \\"x\\"\\n\\\\"'),
        ("", "string", '""'),
        ("1", "guid", '"1"'),
    ],
)
def test_renders_values(text: str, kind: str, rendered: str) -> None:
    assert values.json_object({"n": (text, kind)}) == f'{{"n":{rendered}}}'


@pytest.mark.parametrize("kind", ["int64", "double", "decimal", "boolean", "date", "dateTime", "json"])
def test_leaves_out_what_has_no_value(kind: str) -> None:
    assert values.json_object({"a": (None, kind), "b": ("", kind), "c": (None, "string")}) == "{}"


def test_sorts_names_by_code_point() -> None:
    cells = dict.fromkeys(("é", "a", "Z", "\uff5a", "😀", "_"), ("1", "int64"))
    assert values.json_object(cells) == '{"Z":1,"_":1,"a":1,"é":1,"\uff5a":1,"😀":1}'


@pytest.mark.parametrize(
    ("found", "same"),
    [
        ('{"d":1000.0,"n":1.5}', True),
        ('{"d":1e3,"n":1.5}', True),
        ('{"d":1000,"n":1.5}', True),
        ('{"d":1E+3,"n":1.5}', True),
        ('{"d":1000.0,"n":1.50}', False),
        ('{"d":1000.0000000000001,"n":1.5}', False),
        ('{"d":1000.00000000000001,"n":1.5}', False),
        ('{"d":"1000.0","n":1.5}', False),
        ('{"n":1.5,"d":1000.0}', False),
        ('{"d": 1000.0,"n":1.5}', False),
        (None, False),
    ],
)
def test_doubles_may_have_another_notation_and_nothing_else(found: str | None, same: object) -> None:
    assert values.json_object({"d": ("1000", "double"), "n": ("1.50", "decimal")}).same(found) is same
