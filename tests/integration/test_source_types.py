"""Every data type of a manifest and every type of Parquet, from the file to the JSON of a column and of a member."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.lake.manifest import FileFormat
from shared.tables.values import OF_DATA_TYPE, Column, Kind
from tests.support import planning, reading
from tests.support.reading import FOLDER, MARKER, Reader

CSV, PARQUET = FileFormat("csv"), FileFormat("parquet")
GUID = "6b1e5d0c-6f4e-5c58-9b0a-3a8e0d2c7f41"
LONG = "12345678901.0000000001"
WHEN = dt.datetime(2024, 1, 31, 10, 20, 30, 123456, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with reading.reader(tmp_path_factory.mktemp("lake")) as opened:
        yield opened


def parquet(**columns: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def one(reader: Reader, array: pa.Array, **options: Any) -> list[str | None]:
    """The texts of one column, in its order."""
    content = parquet(n=pa.array(range(len(array))), x=array)
    rows = reader.rows({"1.parquet": content}, ("n", "x"), kind="parquet", **options)
    return [text for _, text in sorted(rows, key=lambda row: int(row[0] or ""))]


def uuids(*values: UUID | None) -> pa.Array:
    storage = pa.array([None if value is None else value.bytes for value in values], pa.binary(16))
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


# -- the data types of a manifest ----------------------------------------------------------------------

# Data type -> what a CSV file has, what a Parquet file has, what the column is sent as, what the member is.
SAME: dict[str, tuple[str, pa.Array, str, str]] = {
    "unclassified": ("x y", pa.array(["x y"]), '"x y"', '"x y"'),
    "string": ("é;|\t", pa.array(["é;|\t"]), '"é;|\\t"', '"é;|\\t"'),
    "int64": ("-2147483648", pa.array([-(2**31)]), "-2147483648", "-2147483648"),
    "double": ("0.1", pa.array([0.1]), "0.1", "0.1"),
    "date": ("2024-02-29", pa.array([dt.date(2024, 2, 29)]), '"2024-02-29"', '"2024-02-29"'),
    "time": ("10:20:30.123456", pa.array([WHEN.time()]), '"10:20:30.123456"', '"10:20:30.123456"'),
    "dateTime": (
        "2024-01-31T10:20:30.123456",
        pa.array([WHEN.replace(tzinfo=None)]),
        '"2024-01-31T10:20:30Z"',
        '"2024-01-31T10:20:30.123456Z"',
    ),
    "dateTimeOffset": (
        "2024-01-31T12:20:30.123456+02:00",
        pa.array([WHEN]),
        '"2024-01-31T10:20:30Z"',
        '"2024-01-31T10:20:30.123456Z"',
    ),
    "decimal": (LONG, pa.array([Decimal(LONG)]), LONG, LONG),
    "boolean": ("True", pa.array([True]), "true", "true"),
    "guid": (GUID, uuids(UUID(GUID)), f'"{GUID}"', f'"{GUID}"'),
    "json": ('{"a": [1.0]}', pa.array(['{"a": [1.0]}']), '"{\\"a\\": [1.0]}"', '{"a":[1.0]}'),
}  # fmt: skip


def as_csv(rows: Sequence[Sequence[str]], **dialect: Any) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n", **dialect).writerows(rows)
    return stream.getvalue()


def test_every_data_type_is_here() -> None:
    assert set(SAME) == set(OF_DATA_TYPE)


def test_a_table_of_all_types_in_csv_and_parquet_at_once(reader: Reader) -> None:
    names = list(SAME)
    texts = [given[0] for given in SAME.values()]
    contents: dict[str, tuple[str | bytes, FileFormat]] = {
        "1.csv": (as_csv([texts]), CSV),
        "2.csv": (as_csv([names, texts]).replace("\n", "\r\n"), FileFormat("csv", headers=True)),
        "3.csv.gz": (gzip.compress(as_csv([texts]).encode()), FileFormat("csv", compression="gzip")),
        "4.csv": (as_csv([texts], delimiter=";"), FileFormat("csv", delimiter=";")),
        "5.tsv": (as_csv([texts], delimiter="\t"), FileFormat("csv", delimiter="\t")),
        "6.txt": (as_csv([texts], delimiter="|", quoting=csv.QUOTE_ALL), FileFormat("csv", delimiter="|")),
        "7.csv": (as_csv([texts]).encode("utf-16"), FileFormat("csv", encoding="utf-16")),
        "8.parquet": (parquet(**{name: given[1] for name, given in SAME.items()}), PARQUET),
    }
    files = {f"{FOLDER}/{name}": reader._put(f"{FOLDER}/{name}", content) for name, (content, _) in contents.items()}
    for mend in (False, True):
        found = reader.read(files, names, forms=[form for _, form in contents.values()], mend=mend)
        assert len(found) == len(contents)
        with planning.connection() as opened:
            for number, (name, (_, _, written, member)) in enumerate(SAME.items()):
                cells = [row[number] for row in found]
                kind = OF_DATA_TYPE[name]
                column = Column("x_column", name, kind)
                assert planning.cells(opened, column, cells) == [(None, written)] * len(found), name
                assert planning.members(opened, name, kind, cells) == [(None, member)] * len(found), name


def test_without_quotes_a_quote_is_a_character(reader: Reader) -> None:
    assert reader.rows({"1.csv": '1|"x|y"\n'}, quoted=False, delimiter="|") == [("1", '"x', 'y"')]


# -- the types of Parquet ------------------------------------------------------------------------------

FEW = [Decimal("99999999999.99"), Decimal("-0.05"), None]


@pytest.mark.parametrize(
    ("array", "texts"),
    [
        (pa.array([-128, None], pa.int8()), ["-128", None]),
        (pa.array([2**31 - 1, -(2**31)], pa.int32()), ["2147483647", "-2147483648"]),
        (pa.array([2**63 - 1, -(2**63)], pa.int64()), ["9223372036854775807", "-9223372036854775808"]),
        (pa.array([2**32 - 1], pa.uint32()), ["4294967295"]),
        (pa.array([2**64 - 1, 0], pa.uint64()), ["18446744073709551615", "0"]),
        (pa.array([0.1, 16777216, 3.4028235e38, 1e-45], pa.float32()), ["0.1", "16777216.0", "3.4028235e+38", "1e-45"]),
        (pa.array([0.1, 5e-324, 1.7976931348623157e308]), ["0.1", "5e-324", "1.7976931348623157e+308"]),
        (pa.array(FEW, pa.decimal128(13, 2)), ["99999999999.99", "-0.05", None]),
        (pa.array([Decimal("9" * 28 + "." + "9" * 10)], pa.decimal128(38, 10)), ["9" * 28 + "." + "9" * 10]),
        (pa.array([True, False, None]), ["true", "false", None]),
        (pa.array([dt.date(1, 1, 1), dt.date(9999, 12, 31)]), ["0001-01-01", "9999-12-31"]),
        (pa.array([1706696430123], pa.timestamp("ms")), ["2024-01-31 10:20:30.123"]),
        (pa.array([1706696430123456], pa.timestamp("us")), ["2024-01-31 10:20:30.123456"]),
        (pa.array([1706696430123456789, None], pa.timestamp("ns")), ["2024-01-31 10:20:30.123456789", None]),
        (pa.array([1706696430123], pa.timestamp("ms", "UTC")), ["2024-01-31 10:20:30.123+00"]),
        (pa.array([1706696430123456], pa.timestamp("us", "Asia/Tokyo")), ["2024-01-31 10:20:30.123456+00"]),
        (pa.array([1706696430123456789, None], pa.timestamp("ns", "UTC")), ["2024-01-31 10:20:30.123456789", None]),
        (pa.array([-1, 2**63 - 1], pa.timestamp("ns", "Asia/Tokyo")),
         ["1969-12-31 23:59:59.999999999", "2262-04-11 23:47:16.854775807"]),
        (pa.array([37230123], pa.time32("ms")), ["10:20:30.123"]),
        (pa.array([86399999999], pa.time64("us")), ["23:59:59.999999"]),
        (pa.array([86399999999999, None], pa.time64("ns")), ["23:59:59.999999999", None]),
        (pa.array(["é", "", None]), ["é", "", None]),
        (pa.array(["x"], pa.large_string()), ["x"]),
        (pa.array(["x", "y", "x"]).dictionary_encode(), ["x", "y", "x"]),
        (pa.array(["é".encode(), b"", None]), ["é", "", None]),
        (pa.array([b"abcd"], pa.binary(4)), ["abcd"]),
        (uuids(UUID(GUID), None), [GUID, None]),
        (pa.array([None, None]), [None, None]),
    ],
    ids=lambda given: str(given.type) if isinstance(given, pa.Array) else "",
)  # fmt: skip
def test_a_type_of_parquet_becomes_a_text_that_is_exact(
    reader: Reader, array: pa.Array, texts: list[str | None]
) -> None:
    assert one(reader, array) == texts
    assert one(reader, array, mend=True) == texts


def test_spark_writes_moments_as_int96(reader: Reader) -> None:
    # Microseconds are kept, and so are the years that have no nanoseconds of 64 bits.
    stream = io.BytesIO()
    table = pa.table({"n": [1], "x": pa.array([WHEN.replace(tzinfo=None)])})
    pq.write_table(table, stream, use_deprecated_int96_timestamps=True)
    rows = reader.rows({"1.parquet": stream.getvalue()}, ("n", "x"), kind="parquet")
    assert rows == [("1", "2024-01-31 10:20:30.123456")]


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (pa.array([[MARKER]]), "holds lists or structures"),
        (pa.array([{"a": MARKER}]), "holds lists or structures"),
        (pa.array([[(MARKER, 1)]], pa.map_(pa.string(), pa.int32())), "holds lists or structures"),
        (pa.array([Decimal(1)], pa.decimal256(50, 10)), "holds decimals of 50 digits, more than the 38"),
    ],
    ids=["list", "struct", "map", "decimal"],
)
@pytest.mark.parametrize("mend", [False, True])
def test_what_is_no_plain_value_is_refused_where_it_is_needed(
    reader: Reader,
    array: pa.Array,
    said: str,
    mend: bool,  # noqa: FBT001
) -> None:
    contents = {"1.parquet": parquet(a=["1"], b=array, c=["3"])}
    found = reader.fault(contents, kind="parquet", mend=mend)
    assert f"The column b of the file {FOLDER}/1.parquet {said}" in found
    assert reader.rows(contents, picked=["a", "c"], kind="parquet", mend=mend) == [("1", "3")]


def test_columns_behind_a_structure_are_found(reader: Reader) -> None:
    nested = pa.array([{"c": [1, 2], "a": {"b": "x"}}])
    content = parquet(z=nested, a=["1"], y=pa.array([[("b", 1)]], pa.map_(pa.string(), pa.int32())), b=["2"], c=["3"])
    assert reader.rows({"1.parquet": content}, kind="parquet") == [("1", "2", "3")]


@pytest.mark.parametrize("mend", [False, True])
def test_a_path_of_parquet_is_no_pattern(reader: Reader, mend: bool) -> None:  # noqa: FBT001
    name = "br[1]*é%20'.parquet"
    contents = {name: parquet(a=["1"], b=["2"], c=["3"]), "b1x.parquet": parquet(a=["4"], b=["5"], c=["6"])}
    assert len(reader.rows(contents, kind="parquet", mend=mend)) == 2
    assert reader.rows({name: contents[name]}, kind="parquet", mend=mend) == [("1", "2", "3")]


@pytest.mark.parametrize("number", [0.1, 1e16, 123456789.125, -2.5e-7, 1e10])
@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
def test_doubles_of_parquet_are_rounded_on_their_shortest_text(reader: Reader, number: float, kind: Any) -> None:
    (text,) = one(reader, pa.array([number], kind))
    assert text is not None
    with planning.connection() as opened:
        ((fault, member),) = planning.members(opened, "x", Kind.DOUBLE, [text])
        ((_, written),) = planning.cells(opened, Column("x", "x", Kind.DOUBLE), [text])
    assert fault is None
    assert pa.scalar(float(json.loads(member or "")), kind) == pa.scalar(number, kind)
    if abs(number) < 1e11:
        assert json.loads(written) == pytest.approx(float(Decimal(text)), abs=5e-6)
