from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.tables import guids
from tests.support import planning

SPELLED = "6b1e5d0c-6f4e-5c58-9b0a-3a8e0d2c7f41"

# From hashlib, by RFC 4122, section 4.3. A change here renames every row that was ever written.
VECTORS = {
    "testdatasource|contact1|cntid_1078": "d3e175f7-4c0c-5101-a396-9b5f9bc7b219",
    "": "bf62f20d-d5d6-55ba-b2d8-77dd94a53173",
    "é漢😀": "85a1ff2b-aa77-57b5-a5f9-98557add09c5",
    "CRM|contact|6b1e5d0c-6f4e-5c58-9b0a-3a8e0d2c7f41": "617b9694-0562-592f-b38e-cb7a4ca63295",
}

FALSE_FRIENDS = [
    "",
    "contact1",
    SPELLED[:-1],
    SPELLED + "0",
    "{" + SPELLED,
    SPELLED + "}",
    "(" + SPELLED + ")",
    "urn:uuid:" + SPELLED,
    SPELLED.replace("-", "", 1),
    SPELLED.replace("-", "--", 1),
    SPELLED[:8] + SPELLED[9:14] + "-" + SPELLED[14:],
    SPELLED.replace("6", "g"),
    SPELLED.replace("6", "٦"),
    "\v" + SPELLED,
    "\u00a0" + SPELLED,
    SPELLED + "\n" + SPELLED,
    SPELLED + "\0",
]

_hex = st.text("0123456789abcdefABCDEF", min_size=32, max_size=32)
_space = st.text(" \t\r\n\f\v\u00a0", max_size=2)


def _spelling(digits: str, form: str) -> str:
    dashed = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
    return {"N": digits, "D": dashed, "B": f"{{{dashed}}}", "braces": f"{{{digits}}}"}[form]


spellings = st.builds(
    lambda before, digits, form, after: before + _spelling(digits, form) + after,
    _space,
    _hex,
    st.sampled_from(["N", "D", "B", "braces"]),
    _space,
)
# Texts that are nearly GUIDs find what texts at random never do.
readable = st.text(max_size=60).filter(lambda text: guids.UNREADABLE not in text)
texts = st.one_of(readable, spellings, st.sampled_from(FALSE_FRIENDS))


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with planning.connection() as opened:
        yield opened


def sql(connection: duckdb.DuckDBPyConnection, macro: str, given_texts: list[str]) -> list[uuid.UUID | None]:
    query = f"""
        SELECT {macro}(t) FROM (SELECT unnest(?::VARCHAR[]) AS t, generate_subscripts(?::VARCHAR[], 1) AS place)
        ORDER BY place"""
    return [row[0] for row in connection.execute(query, [given_texts, given_texts]).fetchall()]


def by_hashlib(text: str) -> uuid.UUID:
    digest = bytearray(hashlib.sha1(guids.NAMESPACE.bytes + text.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return uuid.UUID(bytes=bytes(digest))


def test_the_namespace_is_the_one_under_which_rows_were_written() -> None:
    assert str(guids.NAMESPACE) == "6b1e5d0c-6f4e-5c58-9b0a-3a8e0d2c7f41"


@pytest.mark.parametrize(("text", "guid"), VECTORS.items())
def test_vectors(connection: duckdb.DuckDBPyConnection, text: str, guid: str) -> None:
    assert by_hashlib(text) == uuid.UUID(guid)
    assert guids.from_identifier(text) == uuid.UUID(guid)
    assert sql(connection, "identifier_guid", [text]) == [uuid.UUID(guid)]


@pytest.mark.parametrize(
    "text",
    [
        SPELLED,
        SPELLED.upper(),
        f"{{{SPELLED}}}",
        SPELLED.replace("-", ""),
        f"{{{SPELLED.replace('-', '').upper()}}}",
        f" {SPELLED}\t\r\n",
    ],
)
def test_every_spelling_of_a_guid_is_that_guid(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert guids.parse(text) == guids.of_id(text) == uuid.UUID(SPELLED)
    assert sql(connection, "id_guid", [text]) == sql(connection, "parse_guid", [text]) == [uuid.UUID(SPELLED)]


@pytest.mark.parametrize("text", FALSE_FRIENDS)
def test_what_is_no_guid_is_named_by_its_text(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert guids.parse(text) is None
    assert guids.of_id(text) == by_hashlib(text)
    assert sql(connection, "parse_guid", [text]) == [None]
    assert sql(connection, "id_guid", [text]) == [by_hashlib(text)]


def test_no_text_has_no_guid(connection: duckdb.DuckDBPyConnection) -> None:
    for macro in ("parse_guid", "identifier_guid", "id_guid"):
        assert connection.execute(f"SELECT {macro}(NULL::VARCHAR)").fetchall() == [(None,)]


@pytest.mark.parametrize("text", ["\ufdd0", f"{SPELLED}\ufdd0", "a\ufdd0b"])
def test_a_key_that_could_not_be_read_has_no_guid(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    for macro in ("parse_guid", "identifier_guid", "id_guid"):
        assert sql(connection, macro, [text, "a"])[0] is None


@settings(max_examples=60, deadline=None)
@given(st.lists(texts, min_size=1, max_size=15))
def test_sql_and_python_agree(connection: duckdb.DuckDBPyConnection, given_texts: list[str]) -> None:
    assert sql(connection, "identifier_guid", given_texts) == [by_hashlib(text) for text in given_texts]
    assert sql(connection, "parse_guid", given_texts) == [guids.parse(text) for text in given_texts]
    assert sql(connection, "id_guid", given_texts) == [guids.of_id(text) for text in given_texts]


@given(texts)
def test_a_derived_guid_is_of_version_5(text: str) -> None:
    derived = guids.from_identifier(text)
    assert derived.version == 5
    assert derived.variant == uuid.RFC_4122
    assert derived == by_hashlib(text)
