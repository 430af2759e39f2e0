from __future__ import annotations

import json
import string
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal, localcontext

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.tables.values import MEMO_LENGTH, OF_DATA_TYPE, TEXT_LENGTH, Column, Kind
from tests.support import planning

FEW = settings(max_examples=60, deadline=None)
GUID = "6b1e5d0c-6f4e-5c58-9b0a-3a8e0d2c7f41"
OUTSIDE = "the number is outside of -100000000000 to 100000000000"
PLACES = "the number has more than 10 decimals"


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with planning.connection() as opened:
        yield opened


def column(kind: Kind, max_length: int = TEXT_LENGTH) -> Column:
    return Column("x_column", "Column", kind, max_length)


def read(
    connection: duckdb.DuckDBPyConnection, kind: Kind, text: str | None, max_length: int = TEXT_LENGTH
) -> tuple[str | None, str]:
    return planning.cells(connection, column(kind, max_length), [text])[0]


def valid(connection: duckdb.DuckDBPyConnection, kind: Kind, text: str | None) -> str:
    fault, written = read(connection, kind, text)
    assert fault is None
    return written


def fault_of(connection: duckdb.DuckDBPyConnection, kind: Kind, text: str) -> str:
    fault, _ = read(connection, kind, text)
    assert fault is not None
    return fault.removeprefix("x_column: ")


def readable(most: int) -> st.SearchStrategy[str]:
    return st.text(max_size=most).filter(lambda text: "\ufdd0" not in text)


# -- every kind ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", Kind)
def test_an_empty_cell_is_null(connection: duckdb.DuckDBPyConnection, kind: Kind) -> None:
    assert valid(connection, kind, None) == "null"


@pytest.mark.parametrize("kind", Kind)
def test_an_empty_text_is_a_value_only_in_columns_of_text(connection: duckdb.DuckDBPyConnection, kind: Kind) -> None:
    is_text = kind in {Kind.TEXT, Kind.MEMO, Kind.GUID}  # Dataverse has no column of GUIDs but keys: it is text there
    assert valid(connection, kind, "") == ('""' if is_text else "null")


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in {Kind.TEXT, Kind.MEMO}])
def test_a_fault_names_the_column_and_never_the_value(connection: duckdb.DuckDBPyConnection, kind: Kind) -> None:
    fault, _ = read(connection, kind, "marker-4711")
    assert fault is not None
    assert fault.startswith("x_column: this is not ")
    assert "marker" not in fault


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in {Kind.TEXT, Kind.MEMO}])
def test_spaces_alone_are_no_value(connection: duckdb.DuckDBPyConnection, kind: Kind) -> None:
    assert fault_of(connection, kind, " \t").startswith("this is not ")


@pytest.mark.parametrize(
    ("kind", "text", "written"),
    [
        (Kind.INTEGER, "5", "5"),
        (Kind.DECIMAL, "1.5", "1.5"),
        (Kind.DOUBLE, "1.5", "1.5"),
        (Kind.BOOLEAN, "true", "true"),
        (Kind.DATE, "2024-01-31", '"2024-01-31"'),
        (Kind.DATETIME, "2024-01-31T10:20:30Z", '"2024-01-31T10:20:30Z"'),
    ],
)
@pytest.mark.parametrize(("before", "after"), [(" ", " "), ("\t", "\n"), ("\r\n", "\f")])
def test_spaces_around_a_value_are_not_part_of_it(  # noqa: PLR0917
    connection: duckdb.DuckDBPyConnection, kind: Kind, text: str, written: str, before: str, after: str
) -> None:
    assert valid(connection, kind, before + text + after) == written


def test_cells_are_judged_one_by_one(connection: duckdb.DuckDBPyConnection) -> None:
    faults = [fault for fault, _ in planning.cells(connection, column(Kind.INTEGER), ["1", "x", None, "1.6"])]
    assert faults == [None, "x_column: this is not a whole number", None, "x_column: this is not a whole number"]


def test_every_data_type_of_a_manifest_has_a_kind() -> None:
    types = "unclassified string int64 double date time dateTime dateTimeOffset decimal boolean guid json"
    assert set(OF_DATA_TYPE) == set(types.split())


def test_a_column_name_is_quoted(connection: duckdb.DuckDBPyConnection) -> None:
    odd = Column("x_o'dd{0}", "Odd", Kind.INTEGER)
    assert planning.cells(connection, odd, ["x", "1"]) == [
        ("x_o'dd{0}: this is not a whole number", "null"),
        (None, "1"),
    ]


# -- text ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "length"),
    [("a" * 10, 10), ("é" * 10, 10), ("漢" * 10, 10), ("😀" * 5, 10), ("\n" * 10, 10), ("a" * 8 + "😀", 10)],
)
def test_a_text_is_as_long_as_its_utf16(connection: duckdb.DuckDBPyConnection, text: str, length: int) -> None:
    assert len(text.encode("utf-16-le")) // 2 == length
    assert read(connection, Kind.TEXT, text, max_length=length)[0] is None
    too_long = f"x_column: the text is {length} long, the column takes {length - 1}"
    assert read(connection, Kind.TEXT, text, max_length=length - 1)[0] == too_long


@pytest.mark.parametrize(("kind", "most"), [(Kind.TEXT, 4_000), (Kind.MEMO, 1_048_576)])
def test_the_longest_texts_of_dataverse(connection: duckdb.DuckDBPyConnection, kind: Kind, most: int) -> None:
    limit = MEMO_LENGTH if kind is Kind.MEMO else TEXT_LENGTH
    assert limit == most
    assert read(connection, kind, "a" * most, limit)[0] is None
    assert read(connection, kind, "a" * (most + 1), limit)[0] is not None
    assert read(connection, kind, "😀" * (most // 2), limit)[0] is None
    assert read(connection, kind, "😀" * (most // 2) + "a", limit)[0] is not None


@FEW
@given(st.lists(readable(30), min_size=1, max_size=20))
@example(["\0", "\x1f", "\x7f", "\u2028", '"\\/', "\r\n", "😀", "\ufeff", "\ufffe", "null", "{}"])
def test_a_text_comes_through_json_as_it_is(connection: duckdb.DuckDBPyConnection, texts: list[str]) -> None:
    found = planning.cells(connection, column(Kind.TEXT), list(texts))
    assert [json.loads(written) for _, written in found] == texts
    assert all(fault is None for fault, _ in found)
    # A chunk file holds one record a line.
    assert not any("\n" in written or "\r" in written for _, written in found)


@FEW
@given(st.lists(st.text(string.ascii_letters + "é漢😀\n", max_size=14), min_size=1, max_size=20), st.integers(1, 12))
def test_every_text_is_measured_in_utf16(
    connection: duckdb.DuckDBPyConnection, texts: list[str], max_length: int
) -> None:
    found = planning.cells(connection, column(Kind.TEXT, max_length), list(texts))
    assert [fault is None for fault, _ in found] == [len(text.encode("utf-16-le")) // 2 <= max_length for text in texts]


def cut(text: str, most: int) -> str:
    """The longest beginning of at most so many UTF-16 units that splits no pair."""
    units = 0
    for place, character in enumerate(text):
        units += len(character.encode("utf-16-le")) // 2
        if units > most:
            return text[:place]
    return text


@pytest.mark.parametrize("kind", [Kind.TEXT, Kind.MEMO])
@FEW
@given(
    st.lists(
        st.one_of(st.text("a.é漢😀𐀀\U0010ffff\n\r\0\ue000\uffff", max_size=16), readable(16)),
        min_size=1,
        max_size=20,
    ),
    st.integers(1, 12),
)
@example(["😀.", ".😀.", "😀😀", "a😀", "😀\n"], 2)
@example(["😀"], 1)
def test_a_text_is_cut_to_what_fits(
    connection: duckdb.DuckDBPyConnection, kind: Kind, texts: list[str], most: int
) -> None:
    found = planning.cells(connection, Column("x_column", "Column", kind, most, truncate=True), list(texts))
    assert [(fault, json.loads(written)) for fault, written in found] == [(None, cut(text, most)) for text in texts]


def test_the_longest_texts_are_cut_too(connection: duckdb.DuckDBPyConnection) -> None:
    texts = ["a" * 2_000_000, "😀" * 1_000_000, "a" + "😀" * 1_000_000, "漢" * MEMO_LENGTH]
    memo = Column("x_column", "Column", Kind.MEMO, MEMO_LENGTH, truncate=True)
    assert [json.loads(written) for _, written in planning.cells(connection, memo, list(texts))] == [
        cut(text, MEMO_LENGTH) for text in texts
    ]


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("truncate", [False, True])
@pytest.mark.parametrize("text", ["\ufdd0", "1\ufdd0", "\ufdd0" * 5_000, f"{GUID}\ufdd0"])
def test_a_text_that_could_not_be_read_rejects_its_row(
    connection: duckdb.DuckDBPyConnection,
    kind: Kind,
    truncate: bool,  # noqa: FBT001
    text: str,
) -> None:
    given_column = Column("x_column", "Column", kind, truncate=truncate)
    assert planning.cells(connection, given_column, [text])[0][0] == "x_column: the text is not valid UTF-8"


@pytest.mark.parametrize("text", [GUID, GUID.upper(), f"{{{GUID}}}", GUID.replace("-", ""), f" {GUID}\n"])
def test_a_guid_keeps_its_spelling(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert json.loads(valid(connection, Kind.GUID, text)) == text


@pytest.mark.parametrize("text", ["x", GUID[:-1], GUID + "0", "{" + GUID, GUID.replace("6", "g")])
def test_a_malformed_guid_is_refused(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert fault_of(connection, Kind.GUID, text) == "this is not a GUID"


# -- truth values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "written"), [("true", "true"), ("TRUE", "true"), ("1", "true"), ("False", "false"), ("0", "false")]
)
def test_truth_values(connection: duckdb.DuckDBPyConnection, text: str, written: str) -> None:
    assert valid(connection, Kind.BOOLEAN, text) == written


@pytest.mark.parametrize("text", ["yes", "t", "-1", "2", "1.0", "true false", "wahr"])
def test_what_is_no_truth_value(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert fault_of(connection, Kind.BOOLEAN, text) == "this is not true or false"


# -- numbers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("+5", "5"),
        ("0005", "5"),
        ("5.", "5"),
        ("5.000", "5"),
        ("2147483647", "2147483647"),
        ("-2147483648", "-2147483648"),
    ],
)
def test_whole_numbers(connection: duckdb.DuckDBPyConnection, text: str, written: str) -> None:
    assert valid(connection, Kind.INTEGER, text) == written


@pytest.mark.parametrize(
    "text", ["1.6", "1_000", "1e3", "1,000", "0x10", "--1", ".0", "5.0.0", "\u00a05", "\u0665", "1" * 26]
)
def test_what_is_no_whole_number(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert fault_of(connection, Kind.INTEGER, text) == "this is not a whole number"


@pytest.mark.parametrize("text", ["2147483648", "-2147483649", "9223372036854775808", "1" * 25])
def test_a_whole_number_has_32_bits(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert fault_of(connection, Kind.INTEGER, text) == "the number is outside of -2147483648 to 2147483647"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1.10", "1.1"),
        ("100", "100"),
        (".5", "0.5"),
        ("-.5", "-0.5"),
        ("+5.", "5"),
        ("-0.0", "0"),
        ("1E-3", "0.001"),
        ("1.5e+2", "150"),
        ("0.00000000001e1", "0.0000000001"),
        ("1.0000000001", "1.0000000001"),
        ("1.00000000010000000000000000000", "1.0000000001"),
        ("0e999", "0"),
        ("0.3", "0.3"),
        ("99999999999.9999999999", "99999999999.9999999999"),
        ("100000000000", "100000000000"),
        ("-1e11", "-100000000000"),
    ],
)
def test_decimals_are_exact(connection: duckdb.DuckDBPyConnection, text: str, written: str) -> None:
    assert valid(connection, Kind.DECIMAL, text) == written


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("1.00000000001", PLACES),
        ("1." + "0" * 26 + "1", PLACES),  # a cast to 24 places would round it away
        ("1e-11", PLACES),
        ("1e-30", PLACES),
        ("1e-400", PLACES),
        ("100000000000.0000000001", OUTSIDE),  # as a double it is 1e11
        ("-100000000001", OUTSIDE),
        ("1e300", OUTSIDE),
        ("nan", "this is not a number"),
        ("inf", "this is not a number"),
        ("1e", "this is not a number"),
        (".", "this is not a number"),
        ("1e1000", "this is not a number"),
        ("1,5", "this is not a number"),
    ],
)
def test_a_decimal_is_refused_rather_than_rounded(connection: duckdb.DuckDBPyConnection, text: str, fault: str) -> None:
    assert fault_of(connection, Kind.DECIMAL, text) == fault


numbers = st.one_of(
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["", "-", "+"]),
        st.integers(0, 10**12).map(str),
        st.text(string.digits, max_size=13).map(lambda digits: f".{digits}" if digits else ""),
    ),
    st.builds("{}.{}e{}".format, st.integers(-(10**6), 10**6), st.integers(0, 10**8), st.integers(-15, 15)),
    st.decimals(-(10**11), 10**11, places=10).map(str),
)


@FEW
@given(st.lists(numbers, min_size=1, max_size=20))
@example(["0.00000000005", "-0.1e-9", "12345678901.0123456789", "10e10", "1000000000000e-1"])
def test_decimals_agree_with_python(connection: duckdb.DuckDBPyConnection, texts: list[str]) -> None:
    for text, (fault, written) in zip(texts, planning.cells(connection, column(Kind.DECIMAL), texts), strict=True):
        with localcontext(prec=100):
            exact = Decimal(text)
            fine = abs(exact) <= 10**11 and exact == exact.quantize(Decimal("1e-10"))
        assert (fault is None) == fine, text
        if fine:
            assert Decimal(written) == exact
            assert written == canonical(exact)


def canonical(number: Decimal) -> str:
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("5", "5"),
        ("5.0", "5"),
        ("0.1", "0.1"),
        ("-0.0", "0"),
        ("1e10", "10000000000"),
        ("1e-5", "0.00001"),
        ("100", "100"),
        ("100.00", "100"),
        ("+007.50", "7.5"),
        ("-.5", "-0.5"),
        ("1e11", "100000000000"),
        ("1e-400", "0"),
        ("0e999", "0"),
        ("0.000005", "0.00001"),
        ("-0.000005", "-0.00001"),
        ("0.0000049999999999999999999", "0"),
        ("-0.0000049999999999999999999", "0"),
        ("1.0000049999999999999", "1"),  # as a binary double it is 1.000005
        ("2.675005", "2.67501"),  # as a binary double it is less
        ("4.9999e-6", "0"),
        ("5e-6", "0.00001"),
        ("-05000.55e-6", "-0.005"),
        ("123456789.123456789", "123456789.12346"),
        ("99999999999.999999", "100000000000"),
        ("100000000000.0000049", "100000000000"),  # the rounded number is in range
        ("9" * 300 + "e-300", "1"),
    ],
)
def test_doubles_are_rounded_half_away_from_zero(
    connection: duckdb.DuckDBPyConnection, text: str, written: str
) -> None:
    assert valid(connection, Kind.DOUBLE, text) == written


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("1e400", OUTSIDE),
        ("100000000000.1", OUTSIDE),
        ("-100000000000.000005", OUTSIDE),
        ("9" * 400, OUTSIDE),
        ("NaN", "this is not a number"),
        ("Infinity", "this is not a number"),
        ("1_0", "this is not a number"),
    ],
)
def test_what_is_no_double(connection: duckdb.DuckDBPyConnection, text: str, fault: str) -> None:
    assert fault_of(connection, Kind.DOUBLE, text) == fault


long_numbers = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["", "-", "+"]),
    st.text("0459", max_size=14),
    st.sampled_from(["5", "0", "9"]),
    st.text("0459", max_size=30).map(lambda digits: f".{digits}"),
    st.sampled_from(["", "", *(f"e{power}" for power in (0, 3, 11, -1, -5, -6, -11, -30, -400))]),
)


@pytest.mark.parametrize("places", [None, 0, 1, 5, 8])
@FEW
@given(st.lists(st.one_of(numbers, long_numbers), min_size=1, max_size=20))
@example(["0.5", "-0.5", "1.5", "0.05", "0.04999", "0.000005", "0.000000005", "-9.99E-30", "50.", "-0", "0.0"])
def test_doubles_are_rounded_as_python_does(
    connection: duckdb.DuckDBPyConnection, places: int | None, texts: list[str]
) -> None:
    given_column = Column("x_column", "Column", Kind.DOUBLE, places=places)
    for text, (fault, written) in zip(texts, planning.cells(connection, given_column, texts), strict=True):
        with localcontext(prec=1_000):
            step = Decimal(1).scaleb(-(5 if places is None else places))
            exact = Decimal(text).quantize(step, rounding=ROUND_HALF_UP)
        assert (fault is None) == (abs(exact) <= 10**11), text
        if fault is None:
            assert written == canonical(exact), text


@FEW
@given(st.lists(st.floats(-1e11, 1e11), min_size=1, max_size=20))
def test_a_double_is_rounded_on_its_shortest_text(connection: duckdb.DuckDBPyConnection, numbers: list[float]) -> None:
    found = planning.cells(connection, column(Kind.DOUBLE), [repr(number) for number in numbers])
    shortest = [Decimal(repr(number)).quantize(Decimal("1e-5"), rounding=ROUND_HALF_UP) for number in numbers]
    assert found == [(None, canonical(number)) for number in shortest]


@pytest.mark.parametrize(
    ("places", "text", "fault", "written"),
    [
        (2, "1.25", None, "1.25"),
        (2, "1.250", None, "1.25"),
        (2, "125e-2", None, "1.25"),
        (2, "1.255", "x_column: the number has more than 2 decimals", ""),
        (2, "1255e-3", "x_column: the number has more than 2 decimals", ""),
        (2, "100000000000.01", f"x_column: {OUTSIDE}", ""),
        (0, "120", None, "120"),
        (0, "120.", None, "120"),
        (0, "120.00", None, "120"),
        (0, "1.2e2", None, "120"),
        (0, "0.5", "x_column: the number has more than 0 decimals", ""),
        (10, "0.0000000001", None, "0.0000000001"),
    ],
)
def test_a_decimal_has_the_places_of_its_column(
    connection: duckdb.DuckDBPyConnection, places: int, text: str, fault: str | None, written: str
) -> None:
    given_column = Column("x_column", "Column", Kind.DECIMAL, places=places)
    found = planning.cells(connection, given_column, [text])[0]
    assert found[0] == fault
    if fault is None:
        assert found[1] == written


# -- dates and times -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-29",
        "2024-02-29T00:00",
        "2024-02-29 00:00:00",
        "2024-02-29T00:00:00.000Z",
        "2024-02-29 00:00:00+00",
        "2024-02-29T00:00:00+00:00",
    ],
)
def test_a_date_may_have_an_empty_time(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert valid(connection, Kind.DATE, text) == '"2024-02-29"'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("2023-02-29", "this is not a date (YYYY-MM-DD)"),
        ("2024-1-3", "this is not a date (YYYY-MM-DD)"),
        ("31.12.2024", "this is not a date (YYYY-MM-DD)"),
        ("2024-01-31T01:00", "this is not a date (YYYY-MM-DD)"),
        ("2024-01-31T00:00+02:00", "this is not a date (YYYY-MM-DD)"),
        ("10000-01-01", "this is not a date (YYYY-MM-DD)"),
        ("1752-12-31", "Dataverse takes no date before 1753"),
        ("0001-01-01", "Dataverse takes no date before 1753"),
    ],
)
def test_what_is_no_date(connection: duckdb.DuckDBPyConnection, text: str, fault: str) -> None:
    assert fault_of(connection, Kind.DATE, text) == fault


@pytest.mark.parametrize("text", ["1753-01-01", "9999-12-31"])
def test_the_first_and_the_last_date(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert valid(connection, Kind.DATE, text) == f'"{text}"'
    assert valid(connection, Kind.DATETIME, text) == f'"{text}T00:00:00Z"'


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2024-01-31", "2024-01-31T00:00:00Z"),
        ("2024-01-31 10:20:30", "2024-01-31T10:20:30Z"),
        ("2024-01-31T10:20", "2024-01-31T10:20:00Z"),
        ("2024-01-31T10:20Z", "2024-01-31T10:20:00Z"),
        ("2024-01-31T10:20+05:30", "2024-01-31T04:50:00Z"),
        ("2024-01-31T10:20:30 Z", "2024-01-31T10:20:30Z"),
        ("2024-01-31T10:20:30 -05:00", "2024-01-31T15:20:30Z"),
        ("2024-01-31T10:20:30+0530", "2024-01-31T04:50:30Z"),
        ("2024-01-31 10:20:30+14", "2024-01-30T20:20:30Z"),
        ("2024-01-31T23:59:59.9999999Z", "2024-01-31T23:59:59Z"),
        ("2024-01-31T24:00:00Z", "2024-02-01T00:00:00Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
    ],
)
def test_a_moment_is_written_in_utc_and_whole_seconds(
    connection: duckdb.DuckDBPyConnection, text: str, written: str
) -> None:
    assert valid(connection, Kind.DATETIME, text) == f'"{written}"'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("2024-01-31T25:00:00Z", "this is not a date and time (ISO 8601)"),
        ("2024-01-31T10:60:00Z", "this is not a date and time (ISO 8601)"),
        ("2024-01-31T10", "this is not a date and time (ISO 8601)"),
        ("2024-01-31T10:20:30+15:00", "this is not a date and time (ISO 8601)"),
        ("2024-01-31T10:20:30+99:00", "this is not a date and time (ISO 8601)"),
        ("31/01/2024 10:20", "this is not a date and time (ISO 8601)"),
        ("1753-01-01T00:00:00+14:00", "Dataverse takes no date before 1753"),
        ("9999-12-31T23:59:59-14:00", "Dataverse takes no date after 9999"),
    ],
)
def test_what_is_no_moment(connection: duckdb.DuckDBPyConnection, text: str, fault: str) -> None:
    assert fault_of(connection, Kind.DATETIME, text) == fault


@FEW
@given(
    st.lists(
        st.datetimes(
            datetime(1753, 1, 2),  # noqa: DTZ001
            datetime(9999, 12, 30),  # noqa: DTZ001
            timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_moments_agree_with_python(connection: duckdb.DuckDBPyConnection, moments: list[datetime]) -> None:
    found = planning.cells(connection, column(Kind.DATETIME), [moment.isoformat() for moment in moments])
    assert found == [
        (None, f'"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")}Z"') for moment in moments
    ]


@FEW
@given(st.lists(st.dates(date(1753, 1, 1)), min_size=1, max_size=20))
def test_dates_agree_with_python(connection: duckdb.DuckDBPyConnection, days: list[date]) -> None:
    found = planning.cells(connection, column(Kind.DATE), [day.isoformat() for day in days])
    assert found == [(None, f'"{day.isoformat()}"') for day in days]
