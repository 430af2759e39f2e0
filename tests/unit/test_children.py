"""What holds of the rows of every table that points to profiles."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import CorruptSnapshotError
from shared.settings import OUTPUT_TABLES
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
def test_a_row_without_a_profile_is_rejected_and_an_orphan(table: str) -> None:
    found = made(table, ("C-1", "x", "y"), ("C-2", "v", "w"), profiles=("C-1", "C-3"))
    assert found.fault == "CustomerId: no profile has this id"
    assert found.orphans == set(found.faults)
    assert len(found.records) == 1
    [key] = found.source_keys.values()
    assert key == "v" if table == "UnifiedActivity" else "C-2" in key


@of_every_child
@pytest.mark.parametrize("customer", [None, "", " ", "\t\r\n"])
def test_a_row_without_a_customer_is_never_written(table: str, customer: str | None) -> None:
    """Where its key is made of the customer, it could be any row: the table fails."""
    if table == "UnifiedActivity":
        assert made(table, (customer, "x", "y")).fault == "CustomerId: no profile has this id"
        return
    with pytest.raises(CorruptSnapshotError, match="1 rows have no key"):
        made(table, (customer, "x", "y"), ("C-1", "x", "y"))


@pytest.mark.parametrize("table", ["ContactProfile", "UnifiedActivity"])
@pytest.mark.parametrize("key", [None, "", " ", "\t"])
def test_a_row_without_its_own_key_fails_its_table(table: str, key: str | None) -> None:
    with pytest.raises(CorruptSnapshotError, match="1 rows have no key"):
        made(table, ("C-1", key, "y"), ("C-1", "x", "y"))


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
