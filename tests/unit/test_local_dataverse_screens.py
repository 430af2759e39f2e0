"""A look at a whole column accepts nothing but what the column's reader accepts, with the same result."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.dataverse import screens, values
from local.dataverse.metadata import Column, Table

GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
COLUMNS = {
    "text": Column("x", "String", max_length=10),
    "memo": Column("x", "Memo", max_length=20),
    "integer": Column("x", "Integer"),
    "small integer": Column("x", "Integer", minimum=-5, maximum=5),
    "big integer": Column("x", "BigInt"),
    "decimal": Column("x", "Decimal", precision=2),
    "small decimal": Column("x", "Decimal", precision=0, minimum=-1.5, maximum=99.5),
    "money": Column("x", "Money", precision=4),
    "double": Column("x", "Double", minimum=-1000.0, maximum=1000.0),
    "flag": Column("x", "Boolean"),
    "date": Column("x", "DateTime", behavior="DateOnly"),
    "time": Column("x", "DateTime", behavior="UserLocal"),
    "guid": Column("x", "Uniqueidentifier"),
    "choice": Column("x", "Picklist", options=((1, "one"), (2, "two"))),
}
PLAIN: dict[str, list[Any]] = {
    "text": ["", "abc", "Łódź", "x" * 10],
    "memo": ["two\nlines", "tab\t"],
    "integer": [0, -5, 2**31 - 1],
    "small integer": [-5, 5],
    "big integer": [2**63 - 1],
    "decimal": [Decimal("1.50"), 7, Decimal("-99999999999.99")],
    "small decimal": [99, -1],
    "money": [Decimal("0.0001")],
    "double": [Decimal("0.1"), -1000],
    "flag": [True, False],
    "date": ["1753-01-01", "2024-02-29"],
    "time": ["2024-02-29T23:59:59Z", "2024-02-29T23:59Z", "1753-01-01T00:00:00.1234567Z"],
    "guid": [GUID, GUID.upper()],
    "choice": [1, 2],
}
ODD: list[Any] = [
    None, "", "\0", "\ud800", "😀" * 6, "a" * 11, "a\nb", "\n", "٣", GUID + "\n" + GUID, GUID[:-1], "g" + GUID[1:],
    "2024-02-30", "2023-02-29", "20240229", "2024-W01-1", "1752-12-31", "2024-01-01\n2024-01-02", "٢٠٢٤-01-01",
    "2024-02-30T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:00:00", "2024-01-01T00:00:00+01:00",
    "2024-01-01 00:00:00Z", "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00.12345678Z", "1752-12-31T00:00:00Z",
    0, 1, 3, 6, 2**31, -(2**31) - 1, 2**63, 10**12, True, False, [], {}, 1.5,
    Decimal("1.5"), Decimal("1.555"), Decimal("1.50000"), Decimal("1E+2"), Decimal("1E-7"), Decimal("-0.0"),
    Decimal("99.6"), Decimal("100000000000.01"), Decimal("1E+400"), Decimal("1000.0000000001"), Decimal("1.0"),
]  # fmt: skip
TABLE = Table("new_row", "new_row", "new_rows", "new_rowid", "new_name", "Row", "Rows")


@pytest.mark.parametrize("name", COLUMNS)
def test_plain_values_need_no_second_look(name: str) -> None:
    column, plain = COLUMNS[name], PLAIN[name]
    read = values.reader(TABLE, column)

    stored = screens.of(column).stored([*plain, None])

    assert stored is not None
    assert list(stored) == [*map(read, plain), None]


@pytest.mark.parametrize("name", COLUMNS)
def test_one_odd_value_is_left_to_the_reader_or_read_as_the_reader_does(name: str) -> None:
    for odd in ODD:
        _same_as_the_reader(COLUMNS[name], [*PLAIN[name], odd])


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(COLUMNS)), st.data())
def test_what_the_look_accepts_the_reader_stores_alike(name: str, data: st.DataObject) -> None:
    texts = st.text(max_size=12) | st.from_regex(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,8})?)?Z?)?", fullmatch=True)
    numbers = st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
    one = st.sampled_from(PLAIN[name]) | st.sampled_from(ODD) | texts | numbers

    _same_as_the_reader(COLUMNS[name], data.draw(st.lists(one, min_size=1, max_size=4)))


def _same_as_the_reader(column: Column, found: list[Any]) -> None:
    read = values.reader(TABLE, column)
    stored = screens.of(column).stored(found)
    if stored is not None:
        assert list(stored) == [None if value is None else read(value) for value in found]


def test_a_column_of_nulls_is_stored_as_it_is() -> None:
    assert screens.of(COLUMNS["integer"]).stored([None, None]) == [None, None]


def test_references_are_stored_as_guids() -> None:
    found = [f"contacts({GUID})", f"/contacts({GUID.upper()})", None]

    assert screens.references("contacts").stored(found) == [GUID, GUID, None]


@pytest.mark.parametrize(
    "odd",
    [
        f"accounts({GUID})",
        f"Contacts({GUID})",
        f"//contacts({GUID})",
        f"contacts({GUID})/x",
        f"contacts({GUID})\ncontacts({GUID})",
        f"x\ncontacts({GUID})",
        f"contacts({GUID})\n",
        "contacts(emailaddress1='a')",
        5,
    ],
)
def test_any_other_reference_needs_a_second_look(odd: object) -> None:
    assert screens.references("contacts").stored([f"contacts({GUID})", odd]) is None
