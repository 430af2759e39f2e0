"""A file whose rows cannot all be trusted fails its table: a lost row must never look like a removed one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.delta import delimited, source
from shared.delta.delimited import Place
from shared.errors import CorruptSnapshotError
from shared.lake.manifest import FileFormat
from tests.support import planning

CSV = FileFormat("csv")


def rows(folder: Path, content: str, *, filled: bool = True) -> list[tuple[str | None, ...]]:
    """The rows of three columns that a file is read as."""
    file = folder / "1.csv"
    file.write_text(content, "utf-8")
    place = Place(str(file), str(file), "1.csv", len(content), filled, lambda: iter([content.encode()]))
    with planning.connection() as connection, source.faults():
        (scan,) = delimited.scans(connection, CSV, [place], 3, header=False)
        return connection.execute(f"SELECT * FROM {scan} ORDER BY ALL").fetchall()


def test_a_sound_file_is_read(tmp_path: Path) -> None:
    assert rows(tmp_path, '1,"a,b",x\n2,,""\n') == [("1", "a,b", "x"), ("2", None, "")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("1,a,x\n2,b\n", "the row has 2 columns, the manifest names 3"),  # cut off
        ("1,a,x\n2,b,y,z\n", "the row has 4 columns, the manifest names 3"),
        ('1,a,x\n2,b,"y\n3,c,z\n', "quote"),
    ],
)
def test_a_row_that_is_cut_off_or_too_wide_fails_its_table(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(CorruptSnapshotError, match=said):
        rows(tmp_path, content)


def test_an_empty_column_beyond_the_last_fails_its_table(tmp_path: Path) -> None:
    with pytest.raises(CorruptSnapshotError, match=r"1 rows of the file 1\.csv have an empty column more than the 3"):
        rows(tmp_path, "1,a,x\n4,x,y,\n")


def test_text_without_any_row_fails_its_table(tmp_path: Path) -> None:
    assert rows(tmp_path, "\n", filled=False) == []
    with pytest.raises(CorruptSnapshotError, match="holds text, and no row can be read"):
        rows(tmp_path, "\n")


def test_a_large_file_is_read_by_threads_where_they_find_all_of_its_rows(tmp_path: Path) -> None:
    file = tmp_path / "1.csv"
    file.write_text("1,a,x\n2,b,y\n", "utf-8")
    counted: list[str] = []

    def blocks() -> Iterator[bytes]:
        counted.append("by hand")
        yield file.read_bytes()

    large = Place(str(file), str(file), "1.csv", delimited.MOST_OF_A_LINE + 1, filled=True, blocks=blocks)
    with planning.connection() as connection:
        (scan,) = delimited.scans(connection, CSV, [large], 3, header=False)
        assert connection.execute(f"SELECT count(*) FROM {scan}").fetchone() == (2,)
    assert "parallel" not in scan
    assert counted == []
