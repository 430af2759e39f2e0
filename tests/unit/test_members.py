"""Members of JSON texts, against an oracle of plain Python."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, localcontext

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.tables.values import Kind
from tests.support import planning

FEW = settings(max_examples=60, deadline=None)
GUID = "6b1e5d0c-6f4e-5c58-9b0a-3a8e0d2c7f41"
NAME = "Aver'age {0} \"é"
DECIMALS = "the number has more than 10 decimals"
DIGITS = "the number has more than 38 digits"
NO_JSON = "this is not valid JSON"
NO_MOMENT = "this is not a date and time (ISO 8601)"

Found = list[tuple[str | None, str | None]]


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with planning.connection() as opened:
        yield opened


def read(connection: duckdb.DuckDBPyConnection, kind: Kind, *texts: str | None) -> Found:
    return planning.members(connection, NAME, kind, texts)


def valid(connection: duckdb.DuckDBPyConnection, kind: Kind, text: str) -> str | None:
    ((fault, written),) = read(connection, kind, text)
    assert fault is None
    return written


def fault_of(connection: duckdb.DuckDBPyConnection, kind: Kind, text: str) -> str:
    ((fault, _),) = read(connection, kind, text)
    assert fault is not None
    assert fault.startswith(f"{NAME}: ")
    return fault.removeprefix(f"{NAME}: ")


# -- every kind ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", Kind)
def test_an_empty_cell_is_no_value(connection: duckdb.DuckDBPyConnection, kind: Kind) -> None:
    assert read(connection, kind, None) == [(None, None)]


@pytest.mark.parametrize("kind", Kind)
def test_an_empty_text_is_a_value_of_texts_only(connection: duckdb.DuckDBPyConnection, kind: Kind) -> None:
    assert read(connection, kind, "") == [(None, '""' if kind is Kind.TEXT else None)]


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.TEXT])
@pytest.mark.parametrize("text", ["marker-4711", " ", "\t\n"])
def test_a_fault_names_the_attribute_and_never_the_value(
    connection: duckdb.DuckDBPyConnection, kind: Kind, text: str
) -> None:
    said = fault_of(connection, kind, text)
    assert said.startswith("this is not ")
    assert "marker" not in said


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("text", ["\ufdd0", "1\ufdd0", f"{GUID}\ufdd0", '"\ufdd0"'])
def test_a_text_that_could_not_be_read_is_a_fault(connection: duckdb.DuckDBPyConnection, kind: Kind, text: str) -> None:
    assert fault_of(connection, kind, text) == "the text is not valid UTF-8"


def test_cells_are_judged_one_by_one(connection: duckdb.DuckDBPyConnection) -> None:
    fault = f"{NAME}: this is not a whole number"
    found = read(connection, Kind.INTEGER, "1", "x", None, "", "2")
    assert [one[0] for one in found] == [None, fault, None, None, None]
    assert [found[place][1] for place in (0, 2, 3, 4)] == ["1", None, None, "2"]


@pytest.mark.parametrize("kind", Kind)
@FEW
@given(st.lists(st.one_of(st.text(max_size=12), st.text("0123456789+-.eE:TZ ", max_size=14)), min_size=1, max_size=20))
@example(["infinity", "-infinity", "nan", "e99999999999", "1e99999999999", "epoch", "0000-00-00", "9" * 3_000, "\0"])
@example(["290309-12-22 (BC) 00:00:00", "294247-01-10 04:00:54.775806", "99999-01-01", "1e-999", "[" * 3_000])
def test_what_is_no_value_never_fails_the_query(
    connection: duckdb.DuckDBPyConnection, kind: Kind, texts: list[str]
) -> None:
    # The JSON of a faulty cell may be asked for as well, whatever it then is.
    assert len(read(connection, kind, *texts)) == len(texts)


# -- texts ---------------------------------------------------------------------------------------------


@FEW
@given(st.lists(st.text(max_size=30).filter(lambda text: "\ufdd0" not in text), min_size=1, max_size=20))
@example(["\0", "\x1f", "\x7f", "\u2028", '"\\/', "\r\n", "😀", "\ufeff", " null ", "{}"])
def test_texts_stay_as_they_are(connection: duckdb.DuckDBPyConnection, texts: list[str]) -> None:
    found = read(connection, Kind.TEXT, *texts)
    assert [fault for fault, _ in found] == [None] * len(texts)
    assert [json.loads(written or "") for _, written in found] == texts
    assert [written for _, written in found] == [oracle_text(text) for text in texts]


def oracle_text(text: str) -> str:
    written = json.dumps(text, ensure_ascii=False)
    return re.sub(r"\\u00[01][0-9a-f]", lambda escape: escape[0].upper().replace("\\U", "\\u"), written)


def test_a_text_has_no_limit_of_its_own(connection: duckdb.DuckDBPyConnection) -> None:
    assert valid(connection, Kind.TEXT, "é" * 2_000_000) == '"' + "é" * 2_000_000 + '"'


@pytest.mark.parametrize("text", [GUID, GUID.upper(), f"{{{GUID}}}", GUID.replace("-", ""), f" {GUID}\n"])
def test_a_guid_keeps_its_spelling(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert json.loads(valid(connection, Kind.GUID, text) or "") == text


@pytest.mark.parametrize(
    ("text", "written"), [("true", "true"), (" TRUE\n", "true"), ("1", "true"), ("False", "false"), ("0", "false")]
)
def test_truth_values(connection: duckdb.DuckDBPyConnection, text: str, written: str) -> None:
    assert valid(connection, Kind.BOOLEAN, text) == written


# -- numbers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0", "0"),
        ("-0", "0"),
        (" +0005.00\n", "5"),
        ("9007199254740993", "9007199254740993"),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775807.0", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
    ],
)
def test_whole_numbers_have_64_bits(connection: duckdb.DuckDBPyConnection, text: str, written: str) -> None:
    assert valid(connection, Kind.INTEGER, text) == written


@pytest.mark.parametrize("text", ["9223372036854775808", "-9223372036854775809", "18446744073709551615", "1" * 25])
def test_a_whole_number_of_more_bits_is_refused(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert fault_of(connection, Kind.INTEGER, text) == "the whole number has more than 64 bits"


@pytest.mark.parametrize("text", ["1.6", "1e3", "1_000", "1,000", "1" * 26, "--1"])
def test_what_is_no_whole_number(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert fault_of(connection, Kind.INTEGER, text) == "this is not a whole number"


@FEW
@given(st.lists(st.integers(-(2**63) - 9, 2**63 + 9), min_size=1, max_size=20))
def test_whole_numbers_agree_with_python(connection: duckdb.DuckDBPyConnection, numbers: list[int]) -> None:
    for number, (fault, written) in zip(numbers, read(connection, Kind.INTEGER, *map(str, numbers)), strict=True):
        assert (fault is None) == (-(2**63) <= number < 2**63)
        assert fault is not None or written == str(number)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1.10", "1.1"),
        ("100", "100"),
        (".5", "0.5"),
        ("+5.", "5"),
        ("-0.0", "0"),
        ("0e999", "0"),
        ("1.5e+2", "150"),
        ("-1E-10", "-0.0000000001"),
        ("1." + "0" * 90, "1"),
        ("0" * 90 + "1", "1"),
        ("9" * 28 + "." + "9" * 10, "9" * 28 + "." + "9" * 10),
        ("-" + "9" * 38, "-" + "9" * 38),
        ("1e37", "1" + "0" * 37),
    ],
)
def test_decimals_are_exact(connection: duckdb.DuckDBPyConnection, text: str, written: str) -> None:
    assert valid(connection, Kind.DECIMAL, text) == written


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("0.00000000001", DECIMALS),
        ("1e-400", DECIMALS),
        ("9" * 29 + "." + "9" * 10, DIGITS),
        ("1e38", DIGITS),
        ("1e999", DIGITS),
        ("1e1000", "this is not a number"),
        ("nan", "this is not a number"),
    ],
)
def test_a_decimal_is_refused_rather_than_rounded(connection: duckdb.DuckDBPyConnection, text: str, fault: str) -> None:
    assert fault_of(connection, Kind.DECIMAL, text) == fault


_digits = st.text("0159", max_size=30)
decimals = st.builds(
    "{}{}{}.{}{}".format,
    st.sampled_from(["", "-", "+"]),
    _digits,
    st.sampled_from("059"),
    st.text("0159", max_size=14),
    st.sampled_from(["", "", *(f"{e}{power}" for e in "eE" for power in (0, "+3", 30, -1, -5, -12, -400))]),
)


@FEW
@given(st.lists(decimals, min_size=1, max_size=20))
def test_decimals_agree_with_python(connection: duckdb.DuckDBPyConnection, texts: list[str]) -> None:
    for text, (fault, written) in zip(texts, read(connection, Kind.DECIMAL, *texts), strict=True):
        with localcontext(prec=1_000):
            plain = f"{Decimal(text):f}"
        plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
        before, _, behind = plain.lstrip("-").partition(".")
        fine = len(behind) <= 10 and len(before.lstrip("0") + behind) <= 38
        assert (fault is None) == fine, text
        assert not fine or written == ("0" if plain == "-0" else plain)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("5", "5"),
        ("5.0", "5"),
        (".5", "0.5"),
        ("+1.", "1"),
        ("-0.0", "0"),
        ("0.1", "0.1"),
        ("1e-7", "1e-07"),
        ("1e20", "1e+20"),
        ("1e15", "1000000000000000"),
        ("5e-324", "5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("0.1000000000000000055511151231257827", "0.1"),
    ],
)
def test_doubles(connection: duckdb.DuckDBPyConnection, text: str, written: str) -> None:
    assert valid(connection, Kind.DOUBLE, text) == written


@pytest.mark.parametrize("text", ["1e400", "-1e309", "9" * 400])
def test_a_double_is_finite(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert fault_of(connection, Kind.DOUBLE, text) == "the number is too large for a double"
    assert fault_of(connection, Kind.DOUBLE, "Infinity") == fault_of(connection, Kind.DOUBLE, "NaN")


@FEW
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_doubles_read_back_equal_from_their_shortest_text(
    connection: duckdb.DuckDBPyConnection, numbers: list[float]
) -> None:
    for number, (fault, written) in zip(numbers, read(connection, Kind.DOUBLE, *map(repr, numbers)), strict=True):
        assert fault is None
        assert written is not None
        assert json.loads(written) == number
        assert len(Decimal(written).normalize().as_tuple().digits) == len(
            Decimal(repr(number)).normalize().as_tuple().digits
        )
        assert not written.startswith("-0") or number < 0


# -- days and moments ----------------------------------------------------------------------------------


@FEW
@given(st.lists(st.dates(), min_size=1, max_size=20))
@example([date(1, 1, 1), date(1752, 12, 31), date(9999, 12, 31)])
def test_dates_agree_with_python(connection: duckdb.DuckDBPyConnection, days: list[date]) -> None:
    found = read(connection, Kind.DATE, *(day.isoformat() for day in days))
    assert found == [(None, f'"{day.isoformat()}"') for day in days]


@pytest.mark.parametrize("text", ["0000-01-01", "2023-02-29", "2024-01-31T01:00", "31.12.2024"])
def test_what_is_no_date(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert fault_of(connection, Kind.DATE, text) == "this is not a date (YYYY-MM-DD)"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2024-01-31", "2024-01-31T00:00:00Z"),
        ("2024-01-31 10:20", "2024-01-31T10:20:00Z"),
        ("2024-01-31T10:20+05:30", "2024-01-31T04:50:00Z"),
        ("2024-01-31T23:59:59.9999999Z", "2024-01-31T23:59:59.9999999Z"),
        ("2024-01-31T23:59:59.123456789 -01:00", "2024-02-01T00:59:59.123456789Z"),
        ("2024-01-31 23:59:59.500000+00", "2024-01-31T23:59:59.5Z"),
        ("2024-01-31T23:59:59.000Z", "2024-01-31T23:59:59Z"),
        ("0001-01-01", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.9999999", "9999-12-31T23:59:59.9999999Z"),
        ("2024-01-31T24:00:00Z", "2024-02-01T00:00:00Z"),
    ],
)
def test_a_moment_is_in_utc_and_keeps_its_fraction(
    connection: duckdb.DuckDBPyConnection, text: str, written: str
) -> None:
    assert valid(connection, Kind.DATETIME, text) == f'"{written}"'


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-31T24:00:00.5Z",
        "2024-01-31T25:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "0000-12-31",
    ],
)
def test_what_is_no_moment(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert fault_of(connection, Kind.DATETIME, text) == NO_MOMENT


@FEW
@given(
    st.lists(
        st.datetimes(
            datetime(1, 1, 2),  # noqa: DTZ001
            datetime(9999, 12, 30),  # noqa: DTZ001
            timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_moments_agree_with_python(connection: duckdb.DuckDBPyConnection, moments: list[datetime]) -> None:
    expected = []
    for moment in moments:
        plain = moment.astimezone(UTC).replace(tzinfo=None).isoformat()
        expected.append(f'"{plain.rstrip("0") if "." in plain else plain}Z"')
    found = read(connection, Kind.DATETIME, *(moment.isoformat() for moment in moments))
    assert found == [(None, text) for text in expected]


# -- JSON ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (' { "b" : [ 1.0 , 2e5 ] ,\r\n\t"a" : null } ', '{"b":[1.0,2e5],"a":null}'),
        ("12345678901234567890123.4567890", "12345678901234567890123.4567890"),
        ('"a  \\" , ] b"', '"a  \\" , ] b"'),
        ('["nan , ]", "Infinity" ]', '["nan , ]","Infinity"]'),
        ('"\\u0041é😀\\n\\\\"', '"\\u0041é😀\\n\\\\"'),
        ('{"a":1, "a":2}', '{"a":1,"a":2}'),
        ("false", "false"),
        ("{ }", "{}"),
        ("-0", "-0"),
        ("[" * 900 + " " + "]" * 900, "[" * 900 + "]" * 900),
    ],
)
def test_json_is_minified_and_else_as_it_was(connection: duckdb.DuckDBPyConnection, text: str, written: str) -> None:
    assert valid(connection, Kind.MEMO, text) == written


@pytest.mark.parametrize(
    "text",
    [
        "[1,]",
        '{"a":1 ,\n}',
        "NaN",
        "[-Infinity]",
        '{"a": inf}',
        "'a'",
        "{a:1}",
        "[1] x",
        "// c\n1",
        "01",
        '"a\nb"',
        '"\\ud800"',
        '{"a"',
        "\ufeff1",
        "\u00a01",
    ],
)
def test_what_is_no_json(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert fault_of(connection, Kind.MEMO, text) == NO_JSON


_scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8)
)
documents = st.recursive(
    _scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner)),
    max_leaves=12,
)


@FEW
@given(st.lists(documents, min_size=1, max_size=10), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_every_json_of_python_is_minified(
    connection: duckdb.DuckDBPyConnection,
    given_documents: list[object],
    indent: int | str | None,
    ascii_only: bool,  # noqa: FBT001
) -> None:
    texts = [json.dumps(one, indent=indent, ensure_ascii=ascii_only) for one in given_documents]
    plain = [json.dumps(one, separators=(",", ":"), ensure_ascii=ascii_only) for one in given_documents]
    if not any("\ufdd0" in text for text in texts):
        assert read(connection, Kind.MEMO, *texts) == [(None, text) for text in plain]


@FEW
@given(st.lists(st.text('{}[]",:\\ 01eE.-+nulltrfasNIiyx\n' + string.whitespace, max_size=12), min_size=1, max_size=30))
@example(['{"":1}', "[1,2]", '"\\n"', "1e5", "[,]", "[1 , ]", '["]"  ]', '"\\\\" ', '"\\"'])
def test_what_is_json_is_agreed_upon_with_python(connection: duckdb.DuckDBPyConnection, texts: list[str]) -> None:
    for text, (fault, written) in zip(texts, read(connection, Kind.MEMO, *texts), strict=True):
        try:
            meant = json.loads(text, parse_constant=lambda _: json.loads("?"))
        except json.JSONDecodeError:
            assert (fault is None) == (text == "")
        else:
            assert fault is None
            assert json.loads(written or "") == meant
