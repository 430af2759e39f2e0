"""Files that are copied before they are read, through the view that plans read."""

from __future__ import annotations

import gzip
from pathlib import Path

import duckdb
import pytest

from shared.delta import delimited, source
from shared.errors import CorruptSnapshotError
from shared.lake.manifest import Attribute, Compression, Entity, FileFormat, Partition
from shared.lake.snapshot import File, Snapshot
from tests.support import planning
from tests.support.files import InMemory

ROWS = 'é1,"a\nb"\r\n2,5" pipe\r\n3,\r\n'
READ = [("2", '5" pipe'), ("3", None), ("é1", "a\nb")]


def read(folder: Path, form: FileFormat, **files: bytes) -> list[tuple[str, str]]:
    partitions = tuple(Partition(name, f"ci_one/{name}", form) for name in files)
    entity = Entity("Customer", (Attribute("Id", "string"), Attribute("Name", "string")), partitions)
    contents = {f"ci_one/{name}": content for name, content in files.items()}
    listed = {path: File(path, "0x1", len(content)) for path, content in contents.items()}
    snapshot = Snapshot("one", (), listed, (), {}, "", None)
    origin = source.Origin(InMemory(contents), snapshot, "customerinsights", folder)
    with planning.connection() as opened, source.faults():
        source.define_view(opened, "customer", entity, ["Id", "Name"], origin)
        return opened.execute("SELECT * FROM customer ORDER BY ALL").fetchall()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso8859-1"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("header", ["", "id, NAME\r\n"])
def test_no_row_is_lost_whatever_the_encoding(
    encoding: str, compression: Compression, header: str, tmp_path: Path
) -> None:
    content = (header + ROWS).encode(encoding)
    form = FileFormat("csv", headers=bool(header), encoding=encoding, compression=compression)
    assert read(tmp_path, form, one=gzip.compress(content) if compression == "gzip" else content) == READ


def test_a_compressed_file_that_is_cut_off_is_no_shorter_file(tmp_path: Path) -> None:
    # DuckDB reads the rows that are left and says nothing.
    whole = gzip.compress("".join(f"{number},{number * 7919}\n" for number in range(5_000)).encode())
    form = FileFormat("csv", compression="gzip")
    assert len(read(tmp_path, form, one=whole)) == 5_000
    with pytest.raises(CorruptSnapshotError, match="ci_one/one is cut off"):
        read(tmp_path, form, one=whole[: len(whole) // 2])


def test_text_that_reads_as_no_row_is_a_fault(tmp_path: Path) -> None:
    form = FileFormat("csv", headers=True)
    assert read(tmp_path, form, one=b"Id,Name\r\n", two=b"Id,Name\r\n\r\n", three=b"Id,Name\r\n1,a\r\n") == [("1", "a")]
    empty = tmp_path / "empty.csv"
    empty.write_text("", "utf-8")
    place = delimited.Place(str(empty), str(empty), "ci_one/empty.csv", 9, filled=True, blocks=lambda: iter([b""]))
    with (
        planning.connection() as opened,
        pytest.raises(CorruptSnapshotError, match=r"ci_one/empty\.csv holds text, and no row"),
    ):
        delimited.scans(opened, FileFormat("csv"), [place], 1, header=False)


def test_rows_of_a_copy_are_counted_like_those_of_any_file(tmp_path: Path) -> None:
    with pytest.raises(CorruptSnapshotError, match="line 2: the row has 3 columns, the manifest names 2"):
        read(tmp_path, FileFormat("csv"), one=b"1,a\r\n2,b,c\r\n")


def test_damaged_parquet_is_a_fault_of_the_file(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.parquet", tmp_path / "bad.parquet"
    with duckdb.connect() as opened:
        opened.execute(f"COPY (SELECT range AS a FROM range(1000)) TO '{good}'")
    content = good.read_bytes()
    for damaged in (content[:-200] + b"\xff" * 190 + content[-10:], content[: len(content) // 2], b"PAR1"):
        bad.write_bytes(damaged)
        with planning.connection() as opened, pytest.raises(CorruptSnapshotError), source.faults():
            opened.execute(f"SELECT max(a) FROM read_parquet('{bad}')").fetchall()
