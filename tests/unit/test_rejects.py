"""What people and programs find in rejects.csv: every refused row once, and nothing that a spreadsheet carries out."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from shared.delta import compare, exceptions, rejects
from shared.linking import texts as texts_of_links
from shared.tables import rows
from shared.tables.guids import UNREADABLE
from shared.tables.values import Column, Kind
from tests.support import planning
from tests.support.deltas import guid

Exceptions = Mapping[int, Sequence[object]]
_DELTA = pa.schema([("id", pa.string()), ("op", pa.string()), ("source_key", pa.string())])
_PLANNED = pa.schema([("id", pa.string()), ("source_key", pa.string()), ("fault", pa.string())])


@dataclass(frozen=True)
class Refused:
    """A line of the file, as a program reads it."""

    source_key: str
    guid: str
    column: str
    code: str
    message: str


README = (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8")
GUARD = r"(?<![^;\t\r\n])'"


def bare(cell: str) -> str:
    """What README tells programs to do."""
    return re.sub(GUARD, "", cell)


def written(
    folder: Path,
    noted: Exceptions = {},  # noqa: B006  never changed
    delta: Sequence[tuple[str, str, str | None]] = (),
    planned: Sequence[tuple[str | None, str | None, str]] = (),
    sent: int = 1_000,
) -> str:
    """The file's content; empty where there is none."""
    files = {"delta": (_DELTA, delta), "planned": (_PLANNED, planned)}
    with planning.connection() as connection:
        for name, (schema, rows) in files.items():
            table = pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema)
            parquet.write_table(table, folder / "texts.parquet")
            typed = "* REPLACE (id::UUID AS id)"
            connection.execute(
                f"COPY (SELECT {typed} FROM '{folder}/texts.parquet') TO '{folder}/{name}.parquet' (FORMAT parquet)"
            )
        content = json.dumps({str(place): row for place, row in noted.items()}).encode()
        exceptions.define(connection, [exceptions.put(folder, 7, sent, content)])
        there = rejects.write(connection, folder / "planned.parquet", folder / "delta.parquet", folder / "rejects.csv")
    return (folder / "rejects.csv").read_bytes().decode("utf-8-sig") if there else ""


def read(content: str) -> list[Refused]:
    lines = csv.DictReader(io.StringIO(content, newline=""))
    return [Refused(*(bare(line[name]) for name in rejects.COLUMNS)) for line in lines]


def test_a_row_that_dataverse_refused_has_its_source_key_and_its_column(tmp_path: Path) -> None:
    message = (
        "A validation error occurred. The length of the 'new_name' attribute of the 'new_x' entity exceeded the "
        "maximum allowed length of '100'."
    )
    noted = {3: [guid(1), "rejected", False, "0x80044331", message]}
    found = read(written(tmp_path, noted, [(guid(1), "change", "Key 1"), (guid(2), "create", "Key 2")]))
    assert found == [Refused("Key 1", guid(1), "new_name", "0x80044331", message)]


def test_a_key_that_is_the_guid_itself_is_told_as_it_is(tmp_path: Path) -> None:
    noted = {0: [guid(1), "rejected", False, "", "No."]}
    assert read(written(tmp_path, noted, [(guid(1), "create", None)])) == [
        Refused(guid(1), guid(1), "", "refused", "No.")
    ]


def test_a_row_that_could_not_be_removed_has_no_source_key_any_more(tmp_path: Path) -> None:
    noted = {0: [guid(1), "referenced", False, "0x80040227", "Others point to it."]}
    assert [row.source_key for row in read(written(tmp_path, noted, [(guid(1), "remove", None)]))] == [""]


def test_missing_rows_and_those_without_an_outcome_are_no_rejects(tmp_path: Path) -> None:
    noted = {0: [guid(1), "missing", False, "0x80040217", "Gone."], 5: [guid(2), "rejected", False, "0x1", "No."]}
    delta = [(guid(1), "change", "a"), (guid(2), "change", "b")]
    assert written(tmp_path, noted, delta, sent=5) == ""


def test_half_a_character_of_a_text_that_was_cut_is_no_obstacle(tmp_path: Path) -> None:
    noted = {0: [guid(1), "rejected", False, "0x1", "cut \ud83d, whole 😀, and \\ud83d as a text"]}
    [row] = read(written(tmp_path, noted, [(guid(1), "create", "a")]))
    assert row.message == "cut ?, whole 😀, and \\ud83d as a text"


def test_lines_stand_in_the_order_of_the_guids_and_the_plans_own_among_them(tmp_path: Path) -> None:
    noted = {place: [guid(place), "rejected", False, "0x1", "No."] for place in range(1, 900, 2)}
    delta = [(guid(place), "create", f"k{place}") for place in range(1, 900, 2)]
    planned = [(guid(place), f"k{place}", "a: this is not a number") for place in range(900, 1, -2)]
    found = read(written(tmp_path, noted, delta, [*planned, (None, "z", "key: x"), (None, None, "key: x")]))
    assert [row.guid for row in found] == ["", "", *(guid(place) for place in range(1, 901))]
    assert [row.source_key for row in found[:2]] == ["", "z"]


def test_without_rejects_there_is_no_file(tmp_path: Path) -> None:
    assert written(tmp_path, {}, [(guid(1), "create", "a")]) == ""
    assert not (tmp_path / "rejects.csv").exists()


# -- spreadsheets and programs ---------------------------------------------------------------------------

DANGEROUS = ["=1+1", "+1", "-1+cmd", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u00a0-x", "\u200b=1", "\ufeff@a"]
DANGEROUS += [
    "\uff1d1",
    "\uff0b1",
    "\uff0d1",
    "\uff20a",
    "\ufe621",
    "\u22121",
    "'=1",
    "-",
    "-1-1",
    "-1e5",
    "--1",
    "-.5",
    "\x00=1",
]


@pytest.mark.parametrize("key", DANGEROUS)
def test_nothing_is_taken_for_a_formula_and_a_program_has_it_as_it_was(tmp_path: Path, key: str) -> None:
    content = written(tmp_path, planned=[(guid(1), key, "a: this is not a number")])
    [line] = csv.DictReader(io.StringIO(content, newline=""))
    assert line["source_key"].startswith("'")
    assert [row.source_key for row in read(content)] == [key]


ENDS = [";", "\t", "\r", "\n", "\r\n", ";;", ";\t"]
RESTS = ["=1+1", " =1", "\u200b=1", '"=A1&";', '""=1', "-5", "@a", "'=1", "\x00=1", "\uff1d1"]


def test_nor_behind_what_ends_a_cell_where_others_split(tmp_path: Path) -> None:
    """Quotes protect nothing there: who splits so does not see the beginning of our cell."""
    parts = dict(enumerate(itertools.product(ENDS, RESTS), start=1))
    noted = {n: [guid(n), "rejected", False, "0x1", f"x{end}{rest}"] for n, (end, rest) in parts.items()}
    content = written(tmp_path, noted, [(guid(n), "create", f"k{end}{rest}") for n, (end, rest) in parts.items()])
    lines = list(csv.DictReader(io.StringIO(content, newline="")))
    assert [line["source_key"] for line in lines] == [f"k{end}'{rest}" for end, rest in parts.values()]
    assert [line["message"] for line in lines] == [f"x{end}'{rest}" for end, rest in parts.values()]
    assert [row.message for row in read(content)] == [f"x{end}{rest}" for end, rest in parts.values()]


nasty = st.text(st.sampled_from([*";\t\r\n=+-@'\", 1"]), max_size=9)


@settings(max_examples=25)
@given(st.lists(st.tuples(nasty, nasty), min_size=1, max_size=20), st.sampled_from(["[;\r\n]", "[\t\r\n]"]))
def test_however_it_is_split_no_part_begins_as_a_formula(
    tmp_path_factory: pytest.TempPathFactory, told: list[tuple[str, str]], ends: str
) -> None:
    noted = {n: [guid(n), "rejected", False, "0x1", message] for n, (_, message) in enumerate(told)}
    delta = [(guid(n), "create", key) for n, (key, _) in enumerate(told)]
    content = written(tmp_path_factory.mktemp("split"), noted, delta)
    assert [(row.source_key, row.message) for row in read(content)] == told
    for part in re.split(ends, content):
        begin = re.sub(r'^["\s]*', "", part)
        assert not begin.startswith(("=", "+", "@"))
        assert not begin.startswith("-") or re.match(r"-1+,", begin), "a cell that is a negative number"


def test_readme_says_how_a_program_reads_it() -> None:
    assert f're.sub(r"{GUARD}", "", cell)' in README


@pytest.mark.parametrize(
    "key", ["-5", "-12.50", "5", "a=b", "a-b", "x '=1", "", " a", "1-2", "é", "日本", "a; b=c;", "a;1-2"]
)
def test_what_no_spreadsheet_carries_out_stays_as_it_is(tmp_path: Path, key: str) -> None:
    content = written(tmp_path, planned=[(guid(1), key, "a: this is not a number")])
    [line] = csv.DictReader(io.StringIO(content, newline=""))
    assert line["source_key"] == key


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.dictionaries(st.integers(1, 999), st.tuples(texts, texts), min_size=1, max_size=8))
def test_every_text_comes_back(tmp_path_factory: pytest.TempPathFactory, told: dict[int, tuple[str, str]]) -> None:
    noted = {place: [guid(place), "rejected", False, "0x1", message] for place, (_, message) in told.items()}
    delta = [(guid(place), "create", key) for place, (key, _) in told.items()]
    found = read(written(tmp_path_factory.mktemp("texts"), noted, delta))
    assert {row.guid: (row.source_key, row.message) for row in found} == {
        guid(place): texts for place, texts in told.items()
    }


# -- columns and words -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "column"),
    [
        (
            "A validation error occurred. The value of 'new_a' on record of type 'x' is outside the valid range.",
            "new_a",
        ),
        ("The value a of 'b' on record of type of 'new_c' on record of type 'x' is outside the valid range.", "new_c"),
        ("Microsoft.OData.ODataException: An undeclared property 'new_d@odata.bind' which only has", "new_d"),
        ("Could not find a property named 'new_e' on type 'Microsoft.Dynamics.CRM.x'.", "new_e"),
        ("Invalid property 'new_f' was found in entity", "new_f"),
        ("Attribute: new_g cannot be set to NULL", "new_g"),
        ("Required field missing: 'new_h' of 'x'.", "new_h"),
        ("Business Process Error: The 'new_i' field is required.", "new_i"),
        ("Entity Key Code violated. A record with the same value for Code already exists.", ""),
        ("contact With Id = 0c0ffee0-0000-4000-8000-000000000001 Does Not Exist", ""),
        ("", ""),
    ],
)
def test_the_column_is_the_one_that_the_message_names(tmp_path: Path, message: str, column: str) -> None:
    noted = {0: [guid(1), "rejected", False, "0x1", message]}
    [row] = read(written(tmp_path, noted, [(guid(1), "create", "a")]))
    assert (row.column, row.message) == (column, message)


OF_KINDS = {
    Kind.TEXT: {"x" * 101: "too_long", UNREADABLE: "not_text"},
    Kind.MEMO: {"x" * 101: "too_long"},
    Kind.INTEGER: {"1.5": "wrong_type", "3000000000": "out_of_range", UNREADABLE: "not_text"},
    Kind.DECIMAL: {"x": "wrong_type", "0.12345678901": "too_precise", "1e12": "out_of_range"},
    Kind.DOUBLE: {"x": "wrong_type", "1e12": "out_of_range"},
    Kind.BOOLEAN: {"yes": "wrong_type"},
    Kind.DATE: {"x": "wrong_type", "1752-12-31": "out_of_range", "2026-02-30": "wrong_type"},
    Kind.DATETIME: {"x": "wrong_type", "1752-12-31T00:00:00Z": "out_of_range"},
    Kind.GUID: {"x": "wrong_type"},
}
OF_MEMBERS = {
    Kind.INTEGER: {"9223372036854775808": "out_of_range"},
    Kind.DECIMAL: {"1" * 40: "too_precise"},
    Kind.DOUBLE: {"1e999": "out_of_range"},
    Kind.DATE: {"x": "wrong_type"},
    Kind.MEMO: {"{": "not_json"},
}
OTHERS = {
    texts_of_links.KEY_IS_NO_GUID: "no_row",
    texts_of_links.ID_IS_NO_TEXT: "not_text",
    texts_of_links.SEVERAL_CUSTOMERS: "several_customers",
    texts_of_links.NO_PROFILE: "no_profile",
    compare._NO_KEY: "no_key",
    "CustomerId: the contact is mapped to no account": "no_account",
    "AlternateValue: the key belongs to 2 customers": "several_customers",
    "Segment: the row names no segment": "no_segment",
    "Values: this is not an object": "not_json",
    "Segments: this is not a list": "not_json",
    "x: something new": "invalid",
}


def sentences() -> Iterator[tuple[str, str]]:
    """What the plan says of faulty rows, and its word for each."""
    yield from OTHERS.items()
    with planning.connection() as opened:
        for kind, cells in OF_KINDS.items():
            column = Column(planning.COLUMN, "Column", kind, max_length=100)
            for (fault, _), word in zip(planning.cells(opened, column, list(cells)), cells.values(), strict=True):
                yield str(fault), word
        for kind, cells in OF_MEMBERS.items():
            found = planning.members(opened, "Column", kind, list(cells))
            yield from ((str(fault), word) for (fault, _), word in zip(found, cells.values(), strict=True))


def test_every_kind_of_fault_has_its_word(tmp_path: Path) -> None:
    told = dict(sentences())
    planned = [(guid(number), "a", fault) for number, fault in enumerate(told)]
    found = read(written(tmp_path, planned=planned))
    assert {f"{row.column}: {row.message}": row.code for row in found} == told


def test_every_sentence_of_the_sql_files_is_among_them() -> None:
    files = "\n".join(file.read_text("utf-8") for file in Path(rows.__file__).parent.glob("*.sql"))
    said = {sentence.strip() for sentence in re.findall(r"THEN '\w+: ([^'0-9]+)", files)}
    known = " ".join(OTHERS)
    assert said
    assert [sentence for sentence in said if sentence not in known] == []


def test_every_word_is_explained() -> None:
    for _, word in (*rejects.WORDS, ("", "invalid")):
        assert re.search(rf"^- .*\b{word}\b.*:", str(rejects.__doc__), re.MULTILINE), word


def test_a_column_may_have_any_name(tmp_path: Path) -> None:
    [row] = read(written(tmp_path, planned=[(guid(1), "a", "Visits: of 2026: this is not a number")]))
    assert (row.column, row.code, row.message) == ("Visits: of 2026", "wrong_type", "this is not a number")
