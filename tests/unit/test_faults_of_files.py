from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from shared.delta import source
from shared.errors import ConfigurationError, CorruptSnapshotError, HydrationError, TransientError
from tests.support import planning

TOO_MANY = "SELECT * FROM read_csv('{file}', columns = {{'a': 'VARCHAR'}}, auto_detect = false, header = false)"


@pytest.mark.parametrize(
    ("fault", "expected", "text"),
    [
        (duckdb.InvalidInputException("marker"), CorruptSnapshotError, "cannot be read"),
        (duckdb.ConversionException("marker"), CorruptSnapshotError, "cannot be read"),
        (duckdb.BinderException("marker"), CorruptSnapshotError, "cannot be read"),
        (duckdb.OutOfMemoryException("marker"), ConfigurationError, "PLAN_MEMORY_LIMIT"),
        (duckdb.IOException("HTTP marker"), TransientError, "could not be read from the lake"),
        (duckdb.HTTPException("HTTP marker"), TransientError, "could not be read from the lake"),
        (duckdb.InternalException("marker"), CorruptSnapshotError, "cannot be read"),
        (duckdb.TransactionException("marker"), TransientError, "could not be compared"),
    ],
)
def test_faults_of_duckdb_are_errors_of_the_app(fault: duckdb.Error, expected: type[HydrationError], text: str) -> None:
    with pytest.raises(expected, match=text) as raised, source.faults():
        raise fault
    assert "marker" not in str(raised.value)
    assert raised.value.__suppress_context__


def test_a_row_of_another_width_is_named_without_its_content(tmp_path: Path) -> None:
    file = tmp_path / "1.csv"
    file.write_text("one\nmarker,marker\n", "utf-8")
    with planning.connection() as opened, pytest.raises(CorruptSnapshotError) as raised, source.faults():
        opened.execute(TOO_MANY.format(file=file)).fetchall()
    assert "line 2: the row has 2 columns, the manifest names 1" in str(raised.value)
    assert "marker" not in str(raised.value)
