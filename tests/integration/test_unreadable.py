"""Bytes that are no text: the first reading says so, the mended one has every other row as it was."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.delta import delimited, source
from shared.delta.source import NotTextError
from shared.errors import CorruptSnapshotError
from shared.lake.manifest import FileFormat
from tests.support import planning, reading
from tests.support.reading import ABC, FOLDER, MARKER, Reader, Rows

BAD = "\ufdd0"

# Each with how many times a decoder stumbles over it.
INVALID = {
    "lone continuation": (b"\x80", 1),
    "no byte of UTF-8": (b"\xff", 1),
    "two bytes cut off": (b"\xc3", 1),
    "three bytes cut off": (b"\xe6\xbc", 1),
    "four bytes cut off": (b"\xf0\x9f\x98", 1),
    "overlong slash": (b"\xc0\xaf", 2),
    "overlong quote": (b"\xc0\xa2", 2),
    "overlong comma": (b"\xe0\x80\xac", 3),
    "surrogate": (b"\xed\xa0\x80", 3),
    "beyond Unicode": (b"\xf4\x90\x80\x80", 4),
    "the noncharacter itself": (BAD.encode(), 1),
}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with reading.reader(tmp_path_factory.mktemp("lake")) as opened:
        yield opened


def mended(reader: Reader, content: bytes, **options: Any) -> Rows:
    """The rows of the second reading; the first must have noticed."""
    with pytest.raises(NotTextError) as raised:
        reader.rows({"1.csv": content}, **options)
    assert f"{FOLDER}/1.csv" in str(raised.value)
    assert "not valid" in str(raised.value)
    assert MARKER not in str(raised.value)
    return reader.rows({"1.csv": content}, mend=True, **options)


@pytest.mark.parametrize("name", INVALID)
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (b"4,%b,6", ("4", "%s", "6")),
        (b"%b,5,6", ("%s", "5", "6")),
        (b'4,"%b",6', ("4", "%s", "6")),
        (b'4,"x%b""y",6', ("4", 'x%s"y', "6")),
        (b'4,"%b\ny",6', ("4", "%s\ny", "6")),
        (b"4,5,%b", ("4", "5", "%s")),
        (b"4,5,6%b", ("4", "5", "6%s")),
    ],
)
@pytest.mark.parametrize("more", [b"7,8,9", b""])
def test_what_is_no_text_takes_nothing_with_it(  # noqa: PLR0917
    reader: Reader, name: str, newline: bytes, row: bytes, expected: tuple[str, ...], more: bytes
) -> None:
    raw, times = INVALID[name]
    content = newline.join([b"1,2,3", row.replace(b"%b", raw), *([more, b""] if more else [])])
    rows = [("1", "2", "3"), tuple(cell.replace("%s", BAD * times) for cell in expected)]
    rows += [("7", "8", "9")] if more else []
    if raw == BAD.encode():
        assert sorted(reader.rows({"1.csv": content})) == sorted(rows)
    else:
        assert sorted(mended(reader, content)) == sorted(rows)


ODD = [
    b'1,"x\r\ny",3',
    b'2,5" pipe,"say ""hi"""',
    b'3,"a\rb",\xe6\xbc\xa2',
    b'4,"",',
    b'5," ",\xef\xbb\xbfx',
    b"6, padded ,\xf0\x9f\x98\x80",
    b'7,"a,b,c\n1,2,3\n",NULL',
]


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("begin", [b"", b"\xef\xbb\xbf", b"a,b,c%n", b"\xef\xbb\xbfa,b,c%n", b"%n%n"])
@pytest.mark.parametrize("place", [0, 3, len(ODD)])
def test_the_other_rows_stay_as_they_were(reader: Reader, newline: bytes, begin: bytes, place: int) -> None:
    without = begin.replace(b"%n", newline) + newline.join([*ODD, b""])
    bad = [*ODD[:place], b"8,\xff,9", *ODD[place:]]
    found = mended(reader, begin.replace(b"%n", newline) + newline.join([*bad, b""]))
    assert ("8", BAD, "9") in found
    assert [row for row in found if row[0] != "8"] == reader.rows({"1.csv": without})
    assert len(found) == len(ODD) + 1


def test_files_without_fault_are_read_alike_with_and_without_mending(reader: Reader) -> None:
    contents = {
        "1.csv": b"\n".join([*ODD, b""]),
        "2.csv": b"a,b,c\r\n8,x,\r\n",
        "3.csv": b"",
        "4.csv": "\ufeff9,é,\r".encode(),
    }
    assert reader.rows(contents, mend=True) == reader.rows(contents)


@pytest.mark.parametrize(
    ("content", "form", "expected"),
    [
        (gzip.compress(b"1,\xff,3\n", mtime=0), {"compression": "gzip"}, ("1", BAD, "3")),
        ("1,x,3\n".encode("utf-16-le").replace(b"x\0", b"\x3d\xd8"), {"encoding": "utf-16-le"}, ("1", BAD, "3")),
        ("1,x,3\r\n".encode("utf-16").replace(b"x\0", b"\x00\xdc"), {"encoding": "utf-16"}, ("1", BAD, "3")),
        (b"1,\x81,\xe9\n", {"encoding": "cp1252"}, ("1", BAD, "é")),
        (b"1;\xff;3\n", {"delimiter": ";"}, ("1", BAD, "3")),
        (b'1,"\xff,3\n', {"quoted": False}, ("1", f'"{BAD}', "3")),
    ],
)
def test_every_form(reader: Reader, content: bytes, form: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert mended(reader, content, **form) == [expected]


def test_what_is_text_in_its_own_encoding_is_none_of_it(reader: Reader) -> None:
    assert reader.rows({"1.csv": b"1,\xff,3\n"}, encoding="iso8859-1") == [("1", "ÿ", "3")]


def test_an_attribute_that_is_not_read_rejects_nothing(reader: Reader) -> None:
    contents = {"1.csv": b"1,\xff,3\n"}
    assert reader.rows(contents, picked=["a", "c"]) == [("1", "3")]
    assert reader.rows(contents, picked=["a", "c"], mend=True) == [("1", "3")]


@pytest.mark.parametrize("mend", [False, True])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xffa,b,c\n1,2,3\n", "does not agree with the manifest"),
        (b"a,b,c\xc3\n1,2,3\n", "does not agree with the manifest"),
        (b"a\xe6\xbc,b,c\r\n1,2,3\r\n", "does not agree with the manifest"),
    ],
)
def test_a_promised_header_agrees_with_the_manifest_or_its_table_fails(
    reader: Reader,
    content: bytes,
    said: str,
    mend: bool,  # noqa: FBT001
) -> None:
    assert said in reader.fault(content, headers=True, mend=mend)


def test_what_may_be_a_header_is_a_row(reader: Reader) -> None:
    assert mended(reader, b"\xffa,b,c\n1,2,3\n") == [("1", "2", "3"), (f"{BAD}a", "b", "c")]


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (b"4,%b", "line 3: the row has 2 columns, the manifest names 3"),
        (b"4,5,6,%b", "line 3: the row has 4 columns, the manifest names 3"),
        (b'4,"%b,6', "line 3: a quoted value does not end"),
        (b'4,"%b"x,6', "line 3: a quoted value does not end"),
        (b"4,%b,6,", "1 rows of the file ci_one/unification/E/1.csv have an empty column more than the 3"),
    ],
)
def test_a_structural_fault_stays_one(reader: Reader, newline: bytes, wrong: bytes, said: str) -> None:
    content = newline.join([b"1,2,3", b"1,\xff,3", wrong.replace(b"%b", MARKER.encode()), b"7,8,9"])
    reader.fault(content)
    assert said in reader.fault(content, mend=True)


@pytest.mark.parametrize("mend", [False, True])
def test_a_line_end_amid_a_row_stays_a_fault(reader: Reader, mend: bool) -> None:  # noqa: FBT001
    said = reader.fault(b"1,2,3\n4,%b\r,6\n7,\xff,9\n".replace(b"%b", MARKER.encode()), mend=mend)
    assert "rows end sometimes with CRLF and sometimes with LF" in said or (not mend and "not valid UTF-8" in said)


@pytest.mark.parametrize("mend", [False, True])
def test_a_gzip_file_that_is_cut_off_stays_so(reader: Reader, mend: bool) -> None:  # noqa: FBT001
    content = gzip.compress(b"1,2,3\n" * 2 + b"4,5,6\n" * 9_000)[:-12]
    assert "is cut off" in reader.fault({"1.csv.gz": content}, compression="gzip", mend=mend)


def test_utf_16_without_its_mark_is_no_matter_of_rows(reader: Reader) -> None:
    with pytest.raises(CorruptSnapshotError) as raised:
        reader.rows({"1.csv": b"1\0,\x002\0,\x003\0\n\0"}, encoding="utf-16")
    assert not isinstance(raised.value, NotTextError)


@pytest.mark.parametrize("lines", [b"a b c\n", b"a,b,c\n"])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("place", [0, 1_500, 2_799])
@pytest.mark.parametrize("wrong", [b"-1,\xe6\xbc,x", b'-1,"\xe6\xbc",x'])
def test_large_files(reader: Reader, lines: bytes, newline: bytes, place: int, wrong: bytes) -> None:
    # DuckDB's threads share such a file, and guess; where they refuse it, its rows are counted in Python.
    rows = [b'%d,"%b",x' % (number, lines * 600) for number in range(2_800)]
    found = mended(reader, newline.join([*rows[:place], wrong, *rows[place:], b""]))
    value = lines.decode() * 600
    assert sorted(found, key=lambda row: int(row[0] or "")) == [
        ("-1", BAD, "x"),
        *((str(number), value, "x") for number in range(len(rows))),
    ]


def test_a_fault_amid_a_large_value(reader: Reader) -> None:
    rows = [b'%d,"%b",x' % (number, b"a,b,c\n" * 600) for number in range(2_800)]
    rows[1_400] = rows[1_400][:2_000] + b"\xff" + rows[1_400][2_000:]
    found = mended(reader, b"\n".join([*rows, b""]))
    assert len(found) == len(rows)
    assert [row[0] for row in found if BAD in (row[1] or "")] == ["1400"]


cells = st.one_of(
    st.sampled_from(["", " ", "x", 'say "hi"', "a,b", "l\nm", "5", "é漢😀", "r\rs"]).map(str.encode),
    st.binary(max_size=5).map(lambda raw: raw.replace(b"\0", b"")),
    st.sampled_from([raw for raw, _ in INVALID.values()]),
)


def written(row: list[bytes], newline: bytes) -> bytes:
    return b",".join(b'"' + cell.replace(b'"', b'""') + b'"' for cell in row) + newline


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=6), st.sampled_from([b"\n", b"\r\n"]))
@example([[b"\xef\xbb", b"1", b"2"]], b"\n")
@example([[b"a", b"b", b"\xc3"], [b"\xa9", b"", b""]], b"\n")
def test_whatever_the_bytes_are(reader: Reader, rows: list[list[bytes]], newline: bytes) -> None:
    content = b"".join(written(row, newline) for row in rows)
    text = content.decode("utf-8", "surrogateescape")
    is_text = not any("\ud800" <= character <= "\udfff" for character in text)
    found = reader.rows({"1.csv": content}) if is_text else mended(reader, content)
    # Another way to the same: Python's decoder marks each invalid sequence with a character of its own.
    marked = content.decode("utf-8", "replace") if "\ufffd" not in text else None
    if marked is not None:
        parsed = list(csv.reader(io.StringIO(marked, newline="")))
        assert sorted(found) == sorted(tuple(cell.replace("\ufffd", BAD) for cell in row) for row in parsed)
    assert len(found) == len(rows)


def test_a_fault_within_duckdb_is_noticed_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    # Where the invalid bytes stand in a column beyond the last, it stumbles over itself.
    file = tmp_path_factory.mktemp("file") / "1.csv"
    file.write_bytes(b"1,2,3\n4,5,6,\xff\n")
    place = delimited.Place(str(file), str(file), "1.csv", 20, filled=True, blocks=lambda: iter([file.read_bytes()]))
    with planning.connection() as opened, pytest.raises(NotTextError), source.faults():
        delimited.scans(opened, FileFormat("csv"), [place], 3, header=False)


# -- Parquet -------------------------------------------------------------------------------------------


def texts(*values: bytes | None) -> pa.Array:
    """Texts that nobody looked at."""
    raw = pa.array(values, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(raw), raw.buffers())


def parquet(**columns: object) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, row_group_size=2)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["text", "binary"])
def test_parquet(reader: Reader, kind: str) -> None:
    bad = [b"x", b"\xe6\xbcy", None, b"", "é".encode()]
    column = pa.array(bad, pa.binary()) if kind == "binary" else texts(*bad)
    contents = {
        "1.parquet": parquet(a=[1, 2, 3, 4, 5], b=column, c=[0.1, 1e20, None, -0.0, 5.0]),
        "2.parquet": parquet(a=["6"], b=["z"], c=["0"]),
    }
    with pytest.raises(NotTextError) as raised:
        reader.rows(contents, kind="parquet")
    assert "not valid UTF-8" in str(raised.value)
    assert reader.rows(contents, kind="parquet", mend=True) == [
        ("1", "x", "0.1"),
        ("2", f"{BAD}y", "1e+20"),
        ("3", None, None),
        ("4", "", "-0.0"),
        ("5", "é", "5.0"),
        ("6", "z", "0"),
    ]


def test_a_large_parquet_file_keeps_its_rows_together(reader: Reader) -> None:
    count = 200_000
    rows = [f"row {number}".encode() for number in range(count)]
    rows[150_000] = b"row \xff"
    content = io.BytesIO()
    table = pa.table({"a": pa.array(range(count)), "b": texts(*rows), "c": texts(*rows[::-1])})
    pq.write_table(table, content, row_group_size=70_000)
    found = reader.rows({"1.parquet": content.getvalue()}, kind="parquet", mend=True)
    expected = [raw.decode() if raw[-1] < 128 else f"row {BAD}" for raw in rows]
    assert sorted(found, key=lambda row: int(row[0] or "")) == [
        (str(number), expected[number], expected[-1 - number]) for number in range(count)
    ]


def test_categories_in_parquet(reader: Reader) -> None:
    # Written from a dictionary, PyArrow reads them as one again, and looks at its texts before anybody can mend them.
    categories = pa.array(["x", None, "é"]).dictionary_encode()
    contents = {"1.parquet": parquet(a=[1, 2, 3], b=categories, c=texts(b"x", b"\xff", b"y"))}
    found = reader.rows(contents, kind="parquet", mend=True)
    assert found == [("1", "x", "x"), ("2", None, BAD), ("3", "é", "y")]
    bad = pa.DictionaryArray.from_arrays(pa.array([0, 0]), texts(b"\xff"))
    said = reader.fault({"1.parquet": parquet(a=["1", "2"], b=bad, c=["3", "4"])}, kind="parquet", mend=True)
    assert "holds text that is not valid UTF-8" in said


def test_two_views_of_a_parquet_file_do_not_share_their_copy(reader: Reader) -> None:
    contents = {"1.parquet": parquet(a=["1"], b=texts(b"\xff"), c=texts(b"\xfe\xfe"))}
    assert reader.rows(contents, picked=["b"], kind="parquet", mend=True) == [(BAD,)]
    reader.connection.execute("ALTER VIEW e RENAME TO first")
    try:
        assert reader.rows(contents, picked=["c", "a"], kind="parquet", mend=True) == [(BAD * 2, "1")]
        assert reader.connection.execute("SELECT * FROM first").fetchall() == [(BAD,)]
    finally:
        reader.connection.execute("DROP VIEW first")


def test_what_is_no_json_in_a_column_of_json(reader: Reader) -> None:
    column = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a":1}', MARKER, None]))
    contents = {"1.parquet": parquet(a=[1, 2, 3], b=column, c=["x", "y", "z"])}
    with pytest.raises(NotTextError) as raised:
        reader.rows(contents, kind="parquet")
    assert MARKER not in str(raised.value)
    found = reader.rows(contents, kind="parquet", mend=True)
    assert found == [("1", '{"a":1}', "x"), ("2", MARKER, "y"), ("3", None, "z")]


@pytest.mark.parametrize("mend", [False, True])
def test_a_damaged_parquet_file_stays_damaged(reader: Reader, mend: bool) -> None:  # noqa: FBT001
    content = parquet(a=[f"{MARKER}{number}" for number in range(900)], b=["2"] * 900, c=["3"] * 900)
    reader.fault({"1.parquet": content[:400] + b"\xff" * 90 + content[490:]}, kind="parquet", mend=mend)
    assert f"{FOLDER}/2.parquet" in reader.fault({"2.parquet": content[:-90]}, kind="parquet", mend=mend)


def test_mending_leaves_parquet_as_it_is(reader: Reader) -> None:
    contents = {"1.parquet": parquet(a=["1", None], b=[b"x", b""], c=[2, 3])}
    assert reader.rows(contents, ABC, kind="parquet", mend=True) == reader.rows(contents, ABC, kind="parquet")
