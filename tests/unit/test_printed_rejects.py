"""What the terminal shows of rejects is what stood in the lake, not what guards spreadsheets."""

from __future__ import annotations

import pytest

from local import rejects


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("'=1+1", "=1+1"),
        ("''=1", "'=1"),
        ("-5", "-5"),
        ("k;'=2;'@a\t'-1", "k;=2;@a\t-1"),
        ("O'Neil; 'x'", "O'Neil; 'x'"),
    ],
)
def test_the_apostrophes_of_the_file_are_taken_away(cell: str, told: str) -> None:
    row = {"source_key": cell, "guid": "g", "column": "", "code": "0x1", "message": cell}
    assert rejects.line(row) == f"{told}  {told}"


def test_a_column_is_named_and_a_guid_stands_for_a_key() -> None:
    row = {"source_key": "", "guid": "g", "column": "'@a", "code": "0x1", "message": "No."}
    assert rejects.line(row) == "g  @a: No."
