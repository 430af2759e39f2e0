from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.delta import plain
from shared.errors import CorruptSnapshotError
from shared.lake.manifest import FileFormat

CSV = FileFormat("csv")
ROWS = 'é1,"a\r\nb"\r\n2,5" pipe\r\n3,"say ""hi"""\r\n'
AS_LF = ROWS.replace("\r\n", "\n").replace("a\nb", "a\r\nb")


def blocks(content: bytes, size: int) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


def copied(content: bytes, form: FileFormat, folder: Path, size: int = 3) -> str:
    plain.write_copy(blocks(content, size), form, "ci_one/1.csv", folder / "copy")
    return (folder / "copy").read_bytes().decode()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "iso8859-1", "cp1252"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_copy_is_utf_8_with_line_feeds_whatever_the_file_is(encoding: str, compression: str, tmp_path: Path) -> None:
    content = ROWS.encode(encoding)
    form = FileFormat("csv", encoding=encoding, compression=compression)  # type: ignore[arg-type]
    assert copied(gzip.compress(content, mtime=0) if compression == "gzip" else content, form, tmp_path) == AS_LF


def test_a_byte_order_mark_of_a_fixed_byte_order_is_no_text(tmp_path: Path) -> None:
    form = FileFormat("csv", encoding="utf-16-le")
    assert copied('\ufeff"a",b\r\n'.encode("utf-16-le"), form, tmp_path, size=1) == '"a",b\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a,5" pipe\r\nb,6" pipe\r\n', 'a,5" pipe\nb,6" pipe\n'),
        ('a,5""\r\nb,"6"""\r\n', 'a,5""\nb,"6"""\n'),
        ('a, "x\r\ny"\r\n', 'a, "x\r\ny"\n'),
        ('"x\r\ny","\r"\r"\r\n"', '"x\r\ny","\r"\n"\r\n"'),
        ('"a ""\r\n"" b"\r\n', '"a ""\r\n"" b"\n'),
        ('a   "\r\nb,c\r\n', 'a   "\nb,c\n'),
        ("a\rb\r", "a\nb\n"),
        ("", ""),
    ],
)
def test_a_quote_opens_a_value_only_where_it_begins(text: str, expected: str) -> None:
    for size in (1, 2, 3, 100):
        texts = (text[start : start + size] for start in range(0, len(text), size))
        assert "".join(plain.line_feeds(texts, CSV)) == expected


def test_without_quotes_every_line_end_is_one() -> None:
    assert "".join(plain.line_feeds(['a,"x\r\ny"\r\n'], FileFormat("csv", quoted=False))) == 'a,"x\ny"\n'


@given(st.text('a,"\r\n ', max_size=30), st.integers(1, 8))
def test_line_ends_do_not_depend_on_how_the_text_arrives(text: str, size: int) -> None:
    texts = (text[start : start + size] for start in range(0, len(text), size))
    found = "".join(plain.line_feeds(texts, CSV))
    assert found == "".join(plain.line_feeds([text], CSV))
    assert found.replace("\r\n", "\n").replace("\r", "\n") == text.replace("\r\n", "\n").replace("\r", "\n")


def test_a_quote_that_does_not_end_is_left_to_duckdb(monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'a,b\r\nc,"d\r\n' + "e,f\r\n" * 20
    expected = text.replace("\r\n", "\n", 1)
    assert "".join(plain.line_feeds(list(text), CSV)) == expected
    monkeypatch.setattr(plain, "_MOST_OF_A_ROW", 30)  # not looked at again and again, as long as it may be
    assert "".join(plain.line_feeds(list(text), CSV)) == expected


def test_other_delimiters_begin_values_too() -> None:
    for delimiter in (";", "|", "\t", "^", "]", "\\", " "):
        text = delimiter.join(["a", '"b\r\nc"', 'd\r\n5"']) + '\r\n"x,"y\r\n'
        found = "".join(plain.line_feeds([text], FileFormat("csv", delimiter=delimiter)))
        assert found == delimiter.join(["a", '"b\r\nc"', 'd\n5"']) + '\n"x,"y\n'


@pytest.mark.parametrize("content", [b"a,b\n" * 20_000, b""])
def test_compressed_files_may_follow_each_other_and_be_padded(content: bytes, tmp_path: Path) -> None:
    twice = gzip.compress(content, mtime=0) + gzip.compress(b"c,d\n", mtime=0) + b"\0" * 9
    assert copied(twice, FileFormat("csv", compression="gzip"), tmp_path, 7) == content.decode() + "c,d\n"


@pytest.mark.parametrize(
    ("content", "form", "reason"),
    [
        (gzip.compress(b"a,b\n" * 1000, mtime=0)[:-9], FileFormat("csv", compression="gzip"), "is cut off"),
        (gzip.compress(b"a,b\n", mtime=0)[:-4] + b"\0\0\0\0", FileFormat("csv", compression="gzip"), "is damaged"),
        (b"a,b\n", FileFormat("csv", compression="gzip"), "or is not gzip"),
        (b"a,\xff\r\n", CSV, "is not valid UTF-8"),
        ("a\r\n".encode("utf-16")[:-1], FileFormat("csv", encoding="utf-16"), "is not valid UTF-16"),
    ],
)
def test_a_file_that_is_damaged_is_refused(content: bytes, form: FileFormat, reason: str, tmp_path: Path) -> None:
    with pytest.raises(CorruptSnapshotError, match=reason) as raised:
        copied(content, form, tmp_path)
    assert "ci_one/1.csv" in str(raised.value)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 100])
@pytest.mark.parametrize(
    ("content", "encoding", "expected"),
    [
        (b'a,\xe6\xbc\r\nb,"\xf0\x9f"\r\n\xc3', "utf-8", 'a,\ufdd0\nb,"\ufdd0"\n\ufdd0'),
        (b"a\xe6\xbc,\xe6\xbc\xa2,\x80\xbf\n", "utf-8", "a\ufdd0,漢,\ufdd0\ufdd0\n"),
        (b"\xef\xbb,a\n", "utf-8-sig", "\ufdd0,a\n"),
        (b"\xef\xbb\xbf\xff,a\n", "utf-8-sig", "\ufdd0,a\n"),
        (b"\xff\xfe\x3d\xd8,\0a\0\n\0", "utf-16", "\ufdd0,a\n"),
        (b"\x00\xdca\0\n\0\x3d\xd8", "utf-16-le", "\ufdd0a\n\ufdd0"),
        (b"a\0\n\0b", "utf-16-le", "a\n\ufdd0"),
        (b"\x8d\xe9\n", "cp1252", "\ufdd0é\n"),
    ],
)
def test_a_mended_copy_keeps_all_but_what_is_no_text(
    content: bytes, encoding: str, expected: str, size: int, tmp_path: Path
) -> None:
    form = FileFormat("csv", encoding=encoding)
    with pytest.raises(plain.NotTextError, match=f"ci_one/1.csv is not valid {encoding.upper()}"):
        copied(content, form, tmp_path, size)
    plain.write_copy(blocks(content, size), form, "ci_one/1.csv", tmp_path / "copy", mend=True)
    assert (tmp_path / "copy").read_bytes().decode() == expected


@given(st.binary(max_size=30), st.integers(1, 8))
def test_what_is_mended_does_not_depend_on_how_the_bytes_arrive(content: bytes, size: int) -> None:
    assume("\ufffd".encode() not in content)
    found = "".join(plain._decoded(blocks(content, size), CSV, "ci_one/1.csv", plain.MEND))
    assert found == content.decode("utf-8", "replace").replace("\ufffd", "\ufdd0").removeprefix("\ufeff")


def test_a_copy_of_what_could_be_read_in_place_keeps_its_line_ends(tmp_path: Path) -> None:
    plain.write_copy([b"a\rb\r\n\xff\n"], CSV, "ci_one/1.csv", tmp_path / "copy", mend=True, in_place=True)
    assert (tmp_path / "copy").read_bytes().decode() == "a\rb\r\n\ufdd0\n"


@pytest.mark.parametrize(
    ("content", "form", "in_place"),
    [
        (b"a,b\n", CSV, True),
        (b"a,b", CSV, True),
        (b'"a\r\n",b\n', CSV, True),
        (b"a,b\r\n", CSV, False),
        (b'5" a,b\r\n"\n"\n', CSV, False),
        (b"a,b\r", CSV, False),
        (b"a,b\n", FileFormat("csv", encoding="utf-8-sig"), True),
        ("a,b\n".encode("utf-16"), FileFormat("csv", encoding="utf-16"), False),
        (b"a,b\n", FileFormat("csv", encoding="iso8859-1"), False),
        (gzip.compress(b"a,b\n", mtime=0), FileFormat("csv", compression="gzip"), False),
    ],
)
def test_only_utf_8_with_line_feeds_is_read_in_place(content: bytes, form: FileFormat, in_place: bool) -> None:  # noqa: FBT001
    assert plain.beginning(content, form, "ci_one/1.csv", whole=True).in_place is in_place


def test_a_first_row_that_does_not_end_in_time_is_not_trusted() -> None:
    found = plain.beginning(b"a,b", CSV, "ci_one/1.csv", whole=False)
    assert (found.in_place, found.record, found.filled) == (False, None, True)
    assert plain.beginning(b"a" * 200_000, CSV, "ci_one/1.csv", whole=True).record is None


@pytest.mark.parametrize(
    ("text", "record", "filled"),
    [
        ("a,b\n", ["a", "b"], False),
        ("a,b\n\n \n", ["a", "b"], False),
        ("a,b\n1,2\n", ["a", "b"], True),
        ('\ufeff"a b", "c"\n,\n', ["a b", "c"], True),
        ("", None, False),
    ],
)
def test_what_the_beginning_tells(text: str, record: list[str] | None, filled: bool) -> None:  # noqa: FBT001
    found = plain.beginning(text.encode(), CSV, "ci_one/1.csv", whole=True)
    assert (found.record, found.filled) == (record, filled)


def test_what_cannot_be_read_is_refused_with_its_reason() -> None:
    with pytest.raises(CorruptSnapshotError, match="zstd, which is not supported: gzip or none is expected"):
        plain.refuse_unreadable(FileFormat("csv", compression="zstd"), "ci_one/1.csv.zst")
    with pytest.raises(CorruptSnapshotError, match="said to be in shift_jis"):
        plain.refuse_unreadable(FileFormat("csv", encoding="shift_jis"), "ci_one/1.csv")
    with pytest.raises(CorruptSnapshotError, match="perhaps in UTF-16"):
        plain.beginning("a,b\r\n".encode("utf-16-le"), CSV, "ci_one/1.csv", whole=True)
    with pytest.raises(CorruptSnapshotError, match="is not gzip"):
        plain.beginning(b"a,b\n", FileFormat("csv", compression="gzip"), "ci_one/1.csv", whole=True)


@pytest.mark.parametrize(
    ("content", "width", "rows"),
    [
        ("a,b\n1,2\n", 2, 2),
        ("\ufeffa,b\n1,2", 2, 2),
        ('"a\n1,2\n",b\n\n\n,""\n', 2, 2),
        ('5" a,b"\n "a"" b" ,\n', 2, 2),
        ("", 2, 0),
        ("\n\n", 2, 0),
        ("a\n\nb", 1, 2),
        ("a,b,\n", 2, None),
        ("a,b\na\n", 2, None),
        ("a,b\n  \n", 2, None),
        ('a,"b\n1,2\n', 2, None),
        ('a,"b', 2, None),
        ('a,"b"c\n', 2, None),
    ],
)
def test_rows_are_counted_as_duckdb_ought_to(content: str, width: int, rows: int | None) -> None:
    for size in (1, 2, 3, 100):
        assert plain.count_rows(blocks(content.encode(), size), CSV, "ci_one/1.csv", width) == rows


def test_rows_of_text_that_is_not_utf_8_are_not_counted() -> None:
    with pytest.raises(CorruptSnapshotError, match="is not valid UTF-8"):
        plain.count_rows([b"a,\xff\n"], CSV, "ci_one/1.csv", 2)
