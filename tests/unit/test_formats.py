from __future__ import annotations

from typing import Any

import pytest

from shared.lake.document import FormatPart
from shared.lake.faults import EntityFault
from shared.lake.formats import declared, file_format
from shared.lake.manifest import Delivery, FileFormat

EXPECTED = "; this version does not read that, it expects CSV, gzip CSV or Parquet"


def read(path: str, **settings: Any) -> FileFormat:
    return file_format(path, FormatPart.model_validate(settings))


def refused(path: str, delivery: Delivery, **settings: Any) -> str:
    with pytest.raises(EntityFault) as raised:
        read(path, **settings)
    assert raised.value.delivery is delivery
    return raised.value.fault


def test_csv_settings() -> None:
    nothing: dict[str, Any] = {"columnHeaders": None, "delimiter": None, "quoteStyle": None, "encoding": None}
    assert read("a.csv") == FileFormat("csv")
    assert read("a.csv", columnHeaders="false") == FileFormat("csv")
    assert read("a.csv", columnHeaders="True").headers
    assert read("a.csv", **nothing) == FileFormat("csv")
    styles = {"quoteStyle": "QuoteStyle.Csv", "csvStyle": "CsvStyle.QuoteAlways"}
    assert read("a.csv", delimiter=";", **styles) == FileFormat("csv", delimiter=";")
    plain = {"quoteStyle": "QuoteStyle.None", "delimiter": "\\t"}
    assert read("a.csv", **plain) == FileFormat("csv", delimiter="\t", quoted=False)
    assert read("a.csv", encoding="UTF8").encoding == "utf-8"
    assert read("a.csv", encoding="Windows-1252").encoding == "cp1252"


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("part-00000", None, FileFormat("csv")),
        ("part.csv.gz", None, FileFormat("csv", compression="gzip")),
        ("part.gz", "CsvFormatSettings", FileFormat("csv", compression="gzip")),
        ("part.tsv", None, FileFormat("csv")),
        ("part.2024.dat", None, FileFormat("csv")),
        ("part.json.csv", None, FileFormat("csv")),
        ("part.json", "CsvFormatSettings", FileFormat("csv")),
        ("part", "DelimitedTextSettings", FileFormat("csv")),
        ("part", "  ", FileFormat("csv")),
        ("part.parquet", None, FileFormat("parquet")),
        ("PART.PARQUET", "CsvFormatSettings", FileFormat("parquet")),
        ("part.snappy.parquet", None, FileFormat("parquet")),
        ("part.gz.parquet", None, FileFormat("parquet")),
        ("part", "CdmParquetFormatSettings", FileFormat("parquet")),
        ("part.snappy", "ParquetFormatSettings", FileFormat("parquet")),
        ("part.c000", "is.partition.format.parquet", FileFormat("parquet")),
    ],
)
def test_formats_by_settings_and_by_ending(path: str, kind: str | None, expected: FileFormat) -> None:
    assert read(f"folder/{path}", **{"$type": kind}) == expected


@pytest.mark.parametrize(
    ("path", "kind", "what"),
    [
        ("part.parquet", "DeltaFormatSettings", "part.parquet is declared as a Delta table"),
        ("part", "DeltaParquetSettings", "part is declared as a Delta table"),
        ("part.csv", "AvroFormatSettings", "part.csv is declared as Avro"),
        ("part.csv", "is.partition.format.ORC", "part.csv is declared as ORC"),
        ("part.parquet", "JsonFormatSettings", "part.parquet is declared as JSON"),
        ("part.csv", "ExcelSettings", "part.csv is declared as Excel"),
        ("part.csv", "SomeFormat?sig=marker", 'part.csv is declared as "SomeFormat"'),
        ("part.avro", None, "part.avro is a file of the format Avro"),
        ("part.orc", None, "part.orc is a file of the format ORC"),
        ("part.JSON", None, "part.JSON is a file of the format JSON"),
        ("part.jsonl.gz", None, "part.jsonl.gz is a file of the format JSON"),
        ("part.xlsx", None, "part.xlsx is a file of the format Excel"),
        ("part.csv.zst", None, 'part.csv.zst is compressed with "zstd"'),
        ("part.csv.bz2", None, 'part.csv.bz2 is compressed with "bzip2"'),
        ("part.zip", "CsvFormatSettings", 'part.zip is compressed with "zip"'),
        ("part.csv.snappy", None, 'part.csv.snappy is compressed with "snappy"'),
        ("part.parquet.gz", None, "part.parquet.gz is a compressed Parquet file"),
        ("part.csv.tar.gz", None, "part.csv.tar.gz is an archive"),
        ("part.csv.tgz", None, "part.csv.tgz is an archive"),
    ],
)
def test_what_this_version_does_not_read_is_named(path: str, kind: str | None, what: str) -> None:
    assert refused(path, Delivery.UNSUPPORTED, **{"$type": kind}) == what + EXPECTED


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"escape": "\\"}, "another escape character"),
        ({"quote": "'"}, "another quote"),
        ({"newline": "|"}, "lines end in an unusual way"),
        ({"skipLines": "2"}, "lines to skip"),
        ({"raggedRight": "true"}, "may be shorter"),
        ({"compressionFormatName": "lto"}, 'compressed with "lto"'),
    ],
)
def test_dialects_of_csv_that_would_be_misread_are_not_read(settings: dict[str, Any], what: str) -> None:
    assert what in refused("a.csv", Delivery.UNSUPPORTED, **settings)
    assert read("a.parquet", **settings) == FileFormat("parquet")


def test_settings_that_say_what_is_usual_change_nothing() -> None:
    usual = {"escape": '"', "quote": '"', "newline": "\r\n", "skipLines": "0", "raggedRight": False}
    assert read("a.csv", **usual, compressionFormatName="None") == FileFormat("csv")
    assert read("a", compressionFormatName="gzip") == FileFormat("csv", compression="gzip")


def test_settings_that_cannot_be_meant_are_faults_of_the_manifest() -> None:
    assert "delimiter of a.csv must be a single" in refused("a.csv", Delivery.CORRUPT, delimiter="||")
    assert "delimiter of a.csv must be a single" in refused("a.csv", Delivery.CORRUPT, delimiter='"')
    assert "encoding of a.csv is unknown" in refused("a.csv", Delivery.CORRUPT, encoding="klingon")
    assert "encoding of a.csv is unknown" in refused("a.csv", Delivery.CORRUPT, encoding="\0")


def test_a_declaration_is_known_in_any_case() -> None:
    kinds = [declared(kind, "x") for kind in ("CSVFORMATSETTINGS", "Parquet", None, "")]
    assert kinds == ["csv", "parquet", None, None]
