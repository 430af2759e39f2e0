"""What holds of the rows of every table that points to profiles."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.settings import OUTPUT_TABLES
from shared.tables.guids import UNREADABLE
from tests.support.outputs import BOUND, Cells, Output, delivered, output

# GUIDs of this file are computed by openssl's SHA-1 over the namespace and the UTF-8 text, by RFC 4122, section 4.3.
GUID = "6b1e5d0c-6f4e-5c58-9b0a-3a8e0d2c7f41"
SPELLED = "{6B1E5D0C-6F4E-5C58-9B0A-3A8E0D2C7F41}"
ODD = "Mü|ller 漢😀"
C1, ODD_GUID = "52d9ce3e-b428-5ef5-94a0-c9de3f84c60e", "a6eeb9b5-a0c5-5544-ab6f-9b9da1eb824d"
CHILDREN = [table for table in OUTPUT_TABLES if table not in {"CustomerProfile", "AlternateKey"}]
COLUMNS = {
    "ContactProfile": ("CustomerId", "ContactId", "City"),
    "UnifiedActivity": ("CustomerId", "ActivityId", "Title"),
    "CustomerMeasure": ("CustomerId", "a", "b"),
    "Enrichment": ("CustomerId", "a", "b"),
    "Prediction": ("CustomerId", "a", "b"),
    "SegmentMembership": ("CustomerId", "SegmentProvider", "SegmentName"),
}
NO_KEY = "key: an id that the row is named by is empty, or not valid UTF-8"
NAMELESS = [None, "", " ", "\t\r\n"]
of_every_child = pytest.mark.parametrize("table", CHILDREN)


def made(table: str, *rows: Cells, profiles: tuple[str, ...] = ("C-1",)) -> Output:
    return output(table, delivered(table, COLUMNS[table], *rows), profiles=profiles)


@of_every_child
@pytest.mark.parametrize(
    ("customer", "profile"),
    [
        ("C-1", C1),
        (" C-1 ", C1),
        ("\tC-1\r\n", C1),
        (ODD, ODD_GUID),
        (SPELLED, GUID),
        (GUID.replace("-", ""), GUID),
        (f" {GUID.upper()}\t", GUID),
    ],
)
def test_a_row_is_bound_to_the_profile_of_its_customer(table: str, customer: str, profile: str) -> None:
    record = made(table, (customer, "x", "y"), profiles=("C-1", ODD, GUID)).only
    assert record[BOUND] == f"/msdynci_customerprofiles({profile})"


@of_every_child
def test_a_row_without_a_profile_is_rejected(table: str) -> None:
    found = made(table, ("C-1", "x", "y"), ("C-2", "v", "w"), profiles=("C-1", "C-3"))
    assert found.fault == "CustomerId: no profile has this id"
    assert len(found.records) == 1
    [guid] = found.faults
    key = found.source_keys[guid]
    assert key == "v" if table == "UnifiedActivity" else "C-2" in key


@of_every_child
@pytest.mark.parametrize("customer", NAMELESS)
def test_a_row_without_a_customer_is_rejected_and_the_others_are_written(table: str, customer: str | None) -> None:
    found = made(table, (customer, "v", "w"), ("C-1", "x", "y"))
    assert len(found.records) == 1
    [(key, fault)] = found.faults.items()
    told = {
        "ContactProfile": "CustomerId: the contact is mapped to no account",
        "UnifiedActivity": "CustomerId: no profile has this id",
    }
    assert fault == told.get(table, NO_KEY)
    assert (key is None) == (table not in told)


@pytest.mark.parametrize("table", ["ContactProfile", "UnifiedActivity"])
@pytest.mark.parametrize("key", NAMELESS)
def test_a_row_without_its_own_key_is_rejected_and_the_others_are_written(table: str, key: str | None) -> None:
    found = made(table, ("C-1", key, "y"), ("C-1", "x", "y"))
    assert (found.fault, len(found.records)) == (NO_KEY, 1)


@pytest.mark.parametrize(
    ("table", "row"),
    [(table, (UNREADABLE, "v", "w")) for table in CHILDREN if table != "UnifiedActivity"]
    + [(table, ("C-1", UNREADABLE, "w")) for table in ("ContactProfile", "UnifiedActivity", "SegmentMembership")],
)
def test_a_row_whose_key_cannot_be_read_is_rejected_and_the_others_are_written(table: str, row: Cells) -> None:
    found = made(table, row, ("C-1", "x", "y"))
    assert (found.fault, len(found.records)) == (NO_KEY, 1)


@of_every_child
def test_rows_without_a_key_are_counted_one_by_one_and_repeat_no_other(table: str) -> None:
    """Nobody knows which rows they are: none of them is another one's duplicate, though they look alike."""
    customer, key = ("C-1", None) if table == "UnifiedActivity" else (UNREADABLE, "x")
    found = made(table, (customer, key, "y"), (customer, key, "z"), ("C-1", "x", "y"))
    alone = 1 if table == "SegmentMembership" else 2  # the segments of one customer are one row
    assert (found.keyless, found.duplicates, len(found.records)) == (alone, 0, 1)


@of_every_child
def test_an_id_that_is_too_long_rejects_its_row(table: str) -> None:
    long = "C" * 101
    assert made(table, (long, "x", "y"), profiles=(long,)).fault == (
        "msdynci_customerid: the text is 101 long, the column takes 100"
    )


texts = st.sampled_from(["C-1", "C-2", " C-1", GUID, SPELLED, ODD, "C-9"])
cells = st.tuples(texts, st.sampled_from(["a", "b", " a", "é", "😀"]), st.sampled_from([None, "", "x", "y" * 4_001]))


@of_every_child
@settings(max_examples=12, deadline=None)
@given(found=st.lists(cells, max_size=9), seed=st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(table: str, found: list[Cells], seed: Random) -> None:
    shuffled = list(found)
    seed.shuffle(shuffled)
    profiles = ("C-1", "C-2", GUID, ODD)
    assert made(table, *found, profiles=profiles) == made(table, *shuffled, profiles=profiles)


def test_of_faulty_rows_with_one_key_the_same_one_is_told_whatever_their_order() -> None:
    rows: list[Cells] = [("C-1", key, "x" * 4_001) for key in ("A-1", " A-1", "A-1 ", "\tA-1")]
    first, second = (made("UnifiedActivity", *order) for order in (rows, rows[::-1]))
    assert first == second
    assert first.duplicates == 3
