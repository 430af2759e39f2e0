"""Parquet files as DuckDB reads them from real storage."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support import reading
from tests.support.reading import FOLDER, MARKER, Reader


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with reading.reader(tmp_path_factory.mktemp("lake")) as opened:
        yield opened


def parquet(**columns: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def test_parquet_values_become_texts(reader: Reader) -> None:
    content = parquet(
        A=["x", "", None],
        b=[9007199254740993, -1, None],
        c=[Decimal("1.50"), Decimal(0), None],
        d=[True, False, None],
        e=[dt.date(2024, 1, 31), dt.date(1, 1, 1), None],
        f=[dt.datetime(2024, 1, 31, 10, 20, 30, 5, tzinfo=dt.UTC), dt.datetime(2024, 1, 1, tzinfo=dt.UTC), None],
        g=[0.1, 1e20, None],
        h=["é".encode(), b"", None],
        extra=[1, 2, 3],
    )
    assert reader.rows({"1.parquet": content}, tuple("abcdefgh"), kind="parquet") == [
        (None,) * 8,
        ("", "-1", "0.00", "false", "0001-01-01", "2024-01-01 00:00:00+00", "1e+20", ""),
        ("x", "9007199254740993", "1.50", "true", "2024-01-31", "2024-01-31 10:20:30.000005+00", "0.1", "é"),
    ]


def test_a_parquet_file_may_have_its_columns_in_another_order(reader: Reader) -> None:
    contents = {"1.parquet": parquet(a=["1"], b=["2"], c=["3"]), "2.parquet": parquet(c=["6"], a=["4"], b=["5"])}
    assert reader.rows(contents, kind="parquet") == [("1", "2", "3"), ("4", "5", "6")]


def test_a_value_does_not_change_because_another_file_has_another_type(reader: Reader) -> None:
    contents = {
        "1.parquet": parquet(a=["1"], b=[9007199254740993], c=[1]),
        "2.parquet": parquet(a=["2"], b=[1.6], c=[True]),
    }
    assert reader.rows(contents, kind="parquet") == [("1", "9007199254740993", "1"), ("2", "1.6", "true")]


@pytest.mark.parametrize("names", [("1.parquet", "2.parquet"), ("2.parquet", "1.parquet"), ("2.parquet",)])
def test_a_parquet_file_without_a_column_fails_its_table(reader: Reader, names: Sequence[str]) -> None:
    # Read by name it would be null in every row, and the values in Dataverse would be emptied.
    contents = {"1.parquet": parquet(a=["1"], b=["2"], c=["3"]), "2.parquet": parquet(a=[MARKER])}
    found = reader.fault({name: contents[name] for name in names}, kind="parquet")
    assert f"The file {FOLDER}/2.parquet lacks the columns b, c" in found


@pytest.mark.parametrize("left", [0.5, 0.99])
def test_a_parquet_file_that_is_cut_off(reader: Reader, left: float) -> None:
    content = parquet(a=[MARKER] * 100, b=["2"] * 100, c=["3"] * 100)
    contents = {"1.parquet": parquet(a=["1"], b=["2"], c=["3"]), "2.parquet": content[: int(len(content) * left)]}
    assert f"{FOLDER}/2.parquet" in reader.fault(contents, kind="parquet")


def test_a_file_that_is_no_parquet(reader: Reader) -> None:
    assert f"{FOLDER}/1.parquet" in reader.fault({"1.parquet": f"{MARKER},2,3\n"}, kind="parquet")


def test_a_damaged_page_of_parquet(reader: Reader) -> None:
    content = parquet(a=[f"{MARKER}-{number}" for number in range(500)], b=["2"] * 500, c=["3"] * 500)
    reader.fault({"1.parquet": content[:60] + b"\xff" * 40 + content[100:]}, kind="parquet")
