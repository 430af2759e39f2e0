from __future__ import annotations

import pytest

from shared.lake.listing import Listing

LISTING = Listing(
    [
        "ci_a/model.json",
        "ci_a/T/1.parquet",
        "ci_a/T/_delta_log/00000000000000000000.json",
        "ci_a/T/Year=2026/2.parquet",
        "ci_a/T.csv",
        "ci_a/T2/1.parquet",
        "ci_a/T2/b/1.csv",
        "ci_a/T2/_tmp/1.csv",
        "ci_a/T2/.x",
        "ci_a/_delta_log/stray.json",
    ]
)


@pytest.mark.parametrize(
    ("path", "table"),
    [
        ("ci_a/T", "ci_a/T"),
        ("ci_a/T/1.parquet", "ci_a/T"),
        ("ci_a/T/Year=2026/2.parquet", "ci_a/T"),
        ("ci_a/T/not/there", "ci_a/T"),
        ("ci_a/T2/1.parquet", None),
        ("ci_a/T.csv", None),
        ("ci_a/model.json", None),
    ],
)
def test_a_folder_with_a_log_is_a_delta_table_with_all_its_folders(path: str, table: str | None) -> None:
    assert LISTING.delta_table(path) == table


def test_a_folder_is_what_has_files_and_is_none() -> None:
    assert LISTING.is_folder("ci_a/T2/b")
    assert not LISTING.is_folder("ci_a/T.csv")
    assert not LISTING.is_folder("ci_a/T2/c")
    assert not Listing(["ci_a/T", "ci_a/T/1"]).is_folder("ci_a/T")
    assert "ci_a/T.csv" in LISTING
    assert "ci_a/T" not in LISTING


def test_files_below_a_folder_are_those_that_are_not_hidden() -> None:
    assert LISTING.below("ci_a/T2") == ["ci_a/T2/1.parquet", "ci_a/T2/b/1.csv"]
    assert LISTING.below("ci_a/none") == []
    assert "ci_a/T.csv" in LISTING.below("ci_a")
