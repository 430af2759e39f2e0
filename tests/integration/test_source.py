"""CSV files as DuckDB reads them from real storage: every value as it stands, every structural fault found."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import pytest

from shared.errors import TransientError
from shared.lake.snapshot import File
from tests.support import reading
from tests.support.reading import FOLDER, MARKER, Reader


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with reading.reader(tmp_path_factory.mktemp("lake")) as opened:
        yield opened


# -- headers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        ("1,2,3\n4,5,6\n", False),
        ("1,2,3\n4,5,6", False),
        ("a,b,c\n1,2,3\n4,5,6\n", True),
        ('"A", b ,C\n1,2,3\n4,5,6\n', True),
        ("a,b,c\n1,2,3\n4,5,6\n", False),  # the manifest forgot to say so
        ("a,b,c\r\n1,2,3\r\n4,5,6\r\n", True),
        ("\ufeffa,b,c\n1,2,3\n4,5,6\n", True),
        ('\ufeff"a",b,c\r\n1,2,3\r\n4,5,6', True),
        ("\ufeff1,2,3\n4,5,6\n", False),
        ('\ufeff"1",2,3\n4,5,6\n', False),
        ("1,2,3\n\n4,5,6\n\n", False),
    ],
)
def test_a_file_with_or_without_a_header(reader: Reader, content: str, headers: bool) -> None:  # noqa: FBT001
    assert reader.rows({"1.csv": content}, headers=headers) == [("1", "2", "3"), ("4", "5", "6")]


@pytest.mark.parametrize(
    "content", ["b,a,c\n1,2,3\n", "a,b\n1,2,3\n", "a,b,c,d\n1,2,3\n", "1,2,3\n", "\na,b,c\n", "x" * 300_000]
)
def test_a_promised_header_agrees_with_the_manifest(reader: Reader, content: str) -> None:
    assert (
        f"The header of {FOLDER}/1.csv does not agree with the manifest, which names 3 attributes: a, b, c"
        in reader.fault(content, headers=True)
    )


def test_files_of_several_manners_are_one_table(reader: Reader) -> None:
    contents = {
        "1.csv": "1,x,\n",
        "2.csv": "a,b,c\r\n2,x,\r\n",
        "3.csv": '\ufeff3,"x",\n',
        "4.csv": "",
        "5.csv": "4,x,\r",
    }
    assert reader.rows(contents) == [(number, "x", None) for number in "1234"]


@pytest.mark.parametrize("content", ["", "\ufeff", "a,b,c", "a,b,c\r\n"])
def test_a_file_without_rows_has_none(reader: Reader, content: str) -> None:
    assert reader.rows({"1.csv": content}) == []


def test_one_column(reader: Reader) -> None:
    assert reader.rows({"1.csv": 'a\n1\n"x,y"\n'}, ("a",)) == [("1",), ("x,y",)]
    assert reader.rows({"1.csv": "1\r\n2"}, ("a",)) == [("1",), ("2",)]


def test_attributes_are_picked_by_name(reader: Reader) -> None:
    names = ("b c", 'd"e', "sélect", "f")
    assert reader.rows({"1.csv": "1,2,3,4\n"}, names) == [("1", "2", "3", "4")]


# -- values --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_line_end_inside_of_quotes_stays(reader: Reader, newline: str) -> None:
    inner = "x\ny\r\nz\rw"
    content = newline.join([f'"{inner}",2,3', f'4,"{inner}",6', f'7,8,"{inner}"', ""])
    assert reader.rows({"1.csv": content}) == [("4", inner, "6"), ("7", "8", inner), (inner, "2", "3")]


LINES_LIKE_ROWS = ["a,b,c\n", 'x"",1,2\n3,""y\n', "foo\n1,2"]


def large(lines: str) -> list[str]:
    """Rows of a file that DuckDB's threads share: each begins somewhere and guesses whether it is inside of quotes."""
    count = 10_000_000 // (len(lines) * 600)
    return [f'{number},"{lines * 600}",x\n' for number in range(count)]


@pytest.mark.parametrize("lines", LINES_LIKE_ROWS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_lines_of_a_value_are_no_rows_however_large_the_file(reader: Reader, lines: str, newline: str) -> None:
    rows = [row.removesuffix("\n") + newline for row in large(lines)]
    found = reader.rows({"1.csv": "".join(rows), "2.csv": "-1,,\n"})
    value = (lines * 600).replace('""', '"')
    assert sorted(found, key=lambda row: int(row[0] or "")) == [
        ("-1", None, None),
        *((str(number), value, "x") for number in range(len(rows))),
    ]


@pytest.mark.parametrize("lines", ["a b c\n", LINES_LIKE_ROWS[0]])
@pytest.mark.parametrize(
    "wrong", [f'9,"{MARKER}\n', f'9,"{MARKER}', f"9,{MARKER}\n", f'9,"{MARKER}"x,9\n', f"9,{MARKER},9,\n"]
)
@pytest.mark.parametrize("place", [1_000, -1])
def test_a_wrong_row_is_found_however_large_the_file(reader: Reader, lines: str, wrong: str, place: int) -> None:
    # Read without threads, all that follows an open quote would be left out.
    rows = large(lines)
    rows.insert(len(rows) if place < 0 else place, wrong)
    assert f"{FOLDER}/1.csv" in reader.fault("".join(rows))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_nothing_and_an_empty_text_are_two_things(reader: Reader, newline: str) -> None:
    content = newline.join(['1,,""', '"","",', ",,", ""])
    assert reader.rows({"1.csv": content}) == [(None, None, None), ("", "", None), ("1", None, "")]


def test_values_are_texts_as_they_stand(reader: Reader) -> None:
    content = '1," a ""b"", c ",NULL\n2, x ,5" pipe\n#3,\\N,\\"\n0004,1.0,é漢😀\n'
    assert reader.rows({"1.csv": content}) == [
        ("#3", "\\N", '\\"'),
        ("0004", "1.0", "é漢😀"),
        ("1", ' a "b", c ', "NULL"),
        ("2", " x ", '5" pipe'),
    ]


@pytest.mark.parametrize("delimiter", [";", "|", "\t", "§"])
def test_other_delimiters(reader: Reader, delimiter: str) -> None:
    content = delimiter.join(["1", f'"x{delimiter}y"', "a,b"]) + "\r\n"
    assert reader.rows({"1.csv": content}, delimiter=delimiter) == [("1", f"x{delimiter}y", "a,b")]


def test_where_nothing_is_quoted_a_quote_is_a_character(reader: Reader) -> None:
    assert reader.rows({"1.csv": '"a","",5"\n'}, quoted=False) == [('"a"', '""', '5"')]


@pytest.mark.parametrize("length", [100_000, 200_000, 1_048_576])
def test_long_values(reader: Reader, length: int) -> None:
    [(one, two, three)] = reader.rows({"1.csv": f'1,"{"y" * length}",3\n'})
    assert (one, len(two or ""), three) == ("1", length, "3")


# -- encodings and compression -------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso8859-1", "cp1252"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_encodings(reader: Reader, encoding: str, newline: str, compression: str) -> None:
    content = newline.join(["é,2,3", '4,"x\ny",6', ""]).encode(encoding)
    content = gzip.compress(content) if compression == "gzip" else content
    assert reader.rows({"1.csv.gz": content}, encoding=encoding, compression=compression) == [
        ("4", "x\ny", "6"),
        ("é", "2", "3"),
    ]


def test_several_gzip_streams_in_one_file(reader: Reader) -> None:
    content = gzip.compress(b"a,b,c\n1,2,3\n") + gzip.compress(b"4,5,6\n")
    assert reader.rows({"1.csv.gz": content}, compression="gzip", headers=True) == [("1", "2", "3"), ("4", "5", "6")]


@pytest.mark.parametrize("left", [0.3, 0.6, 0.999])
def test_a_gzip_file_that_is_cut_off(reader: Reader, left: float) -> None:
    content = gzip.compress("".join(f"{number},{number * 7919},{number**3}\n" for number in range(9_000)).encode())
    said = reader.fault({"1.csv.gz": content[: int(len(content) * left)]}, compression="gzip")
    assert f"{FOLDER}/1.csv.gz is cut off" in said


# -- structural faults ---------------------------------------------------------------------------------

WRONG = [
    (f"1,2,3\n4,{MARKER}\n7,8,9\n", "line 2: the row has 2 columns, the manifest names 3"),
    (f"1,2,3\n4,{MARKER}", "line 2: the row has 2 columns, the manifest names 3"),
    (f"1,2,3\n{MARKER}", "line 2: the row has 1 columns, the manifest names 3"),
    (f"1,2,3\n4,5,6,{MARKER}\n", "line 2: the row has 4 columns, the manifest names 3"),
    (f'1,2,3\n4,{MARKER},6,""\n', "line 2: the row has 4 columns, the manifest names 3"),
    (f"1,2,3\n  \n{MARKER},5,6\n", "line 2: the row has 1 columns, the manifest names 3"),
    (f'1,2,3\n4,"{MARKER},6\n7,8,9\n', "line 2: a quoted value does not end"),
    (f'1,2,3\n4,5,"{MARKER}', "line 2: a quoted value does not end"),
    (f'1,2,3\n4,"{MARKER}"x,6\n', "line 2: a quoted value does not end, or something follows its closing quote"),
    (f"1,HTTP unterminated quote {MARKER}\n", "line 1: the row has 2 columns"),
]


@pytest.mark.parametrize(("content", "said"), WRONG)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_file_that_is_wrong_in_one_row_fails_its_table(reader: Reader, content: str, said: str, newline: str) -> None:
    contents = {"0.csv": "1,2,3\n", "1.csv": content.replace("\n", newline), "2.csv": "4,5,6\n"}
    found = reader.fault(contents)
    assert said in found
    assert f"the file {FOLDER}/1.csv, line " in found


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (f"1,2,3\n4,{MARKER},6,\n", 1),
        (f"1,2,3\n4,{MARKER},6,", 1),
        (f"1,{MARKER},3,\n4,5,6,\n", 2),
        (f"1,2,3\n4,{MARKER},,\n", 1),  # as 4,"x,y", without its quotes
        (f"1,2,3\n4,{MARKER},6,,,\n", 1),
        (f'1,"x\n",3\n4,{MARKER},"\n",\n', 1),
        (f"a,b,c\n1,2,{MARKER},\n", 1),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_an_empty_column_beyond_the_last_is_one_too_many(reader: Reader, content: str, rows: int, newline: str) -> None:
    # DuckDB itself overlooks it. Values that moved by one column must not be written.
    contents = {"0.csv": "1,2,3\n,,\n", "1.csv": content.replace("\n", newline)}
    said = f"{rows} rows of the file {FOLDER}/1.csv have an empty column more than the 3 that the manifest names"
    assert said in reader.fault(contents)


def test_a_line_end_of_another_kind_is_a_fault(reader: Reader) -> None:
    assert "rows end sometimes with CRLF and sometimes with LF" in reader.fault(f"1,2,{MARKER}\n4,5,6\r\n")


def test_a_value_cut_off_in_the_last_column_cannot_be_told(reader: Reader) -> None:
    # What was written says nothing of what was not: only a manifest with lengths could. Many writers end no file with
    # a line end, so its lack is no sign either.
    assert reader.rows({"1.csv": "1,2,3\n4,5,sec"}) == [("1", "2", "3"), ("4", "5", "sec")]


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("place", [b"%b,\xff,6", b"4,%b,\xc3"])
def test_text_that_is_not_utf_8(reader: Reader, newline: bytes, place: bytes) -> None:
    content = newline.join([b"1,2,3", place.replace(b"%b", MARKER.encode())])
    found = reader.fault(content)
    assert "not valid UTF-8" in found
    assert f"{FOLDER}/1.csv" in found


def test_a_line_that_is_too_long(reader: Reader) -> None:
    assert "line 1: the line is longer than 8,388,608 bytes" in reader.fault(f"1,{'x' * 9_000_000},3\n")


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"encoding": "shift_jis"}, "is said to be in shift_jis"),
        ({"compression": "gzip"}, "is not gzip"),
        ({"encoding": "utf-16"}, "UTF-16"),
    ],
)
def test_a_file_that_is_not_what_the_manifest_says(reader: Reader, form: dict[str, str], said: str) -> None:
    found = reader.fault(f"1,2,{MARKER}\n", **form)
    assert said in found
    assert f"{FOLDER}/1.csv" in found


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_that_is_gone_is_looked_for_again(reader: Reader, kind: str) -> None:
    with pytest.raises(TransientError):
        reader.read({f"{FOLDER}/gone": File(f"{FOLDER}/gone", "1", 10)}, kind=kind)


# -- paths ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "sp ace.csv",
        "br[1]{2}(3).csv",
        "open[.csv",
        "é漢😀.csv",
        "pct%20.csv",
        "plus+&=;,'.csv",
        "ha#sh.csv",
        "a?b*c.csv",
        "year=2026/month=1.csv",
        "!.csv",
        'quo"te.csv',
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_paths(reader: Reader, name: str, newline: str) -> None:
    assert reader.rows({name: f"1,2,3{newline}"}) == [("1", "2", "3")]
    assert f"the file {FOLDER}/{name}, line 1: the row has 2 columns" in reader.fault({name: f"1,2{newline}"})


def test_a_path_is_no_pattern(reader: Reader) -> None:
    put_beside = {"ab.csv": "x,x,x\n", "a*.csv": "1,2,3\n", "[a]b.csv": "4,5,6\n"}
    assert len(reader.rows(put_beside)) == 3
    assert reader.rows({"a*.csv": "1,2,3\n"}) == [("1", "2", "3")]
    assert reader.rows({"[a]b.csv": "4,5,6\n"}) == [("4", "5", "6")]
