"""How a file is read: as its settings say, else by the ending of its name; and what this version does not read.

Sources: the schema of model.json; the traits is.partition.* of the Common Data Model (foundations.cdm.json); public
samples.
"""

from __future__ import annotations

import codecs

from shared.lake.document import FormatPart
from shared.lake.faults import EntityFault
from shared.lake.location import shown
from shared.lake.manifest import Compression, Delivery, FileFormat, Kind

_OTHER_FORMATS = ("Avro", "ORC", "JSON", "Excel", "XML")
_OTHER_ENDINGS = {
    "avro": "Avro",
    "orc": "ORC",
    "json": "JSON",
    "jsonl": "JSON",
    "ndjson": "JSON",
    "xml": "XML",
    "xls": "Excel",
    "xlsx": "Excel",
    "xlsm": "Excel",
    "xlsb": "Excel",
}
_CSV_ENDINGS = ("csv", "txt", "tsv")
_COMPRESSIONS = {
    "gz": "gzip",
    "gzip": "gzip",
    "zst": "zstd",
    "zstd": "zstd",
    "bz2": "bzip2",
    "zip": "zip",
    "7z": "7z",
    "xz": "xz",
    "lz4": "lz4",
    "br": "Brotli",
    "deflate": "deflate",
    "snappy": "snappy",
}
_NOT_COMPRESSED = ("", "none", "uncompressed")
_LINE_ENDS = ("", "\n", "\r\n", "\r", "\\n", "\\r\\n", "\\r")


def unsupported(what: str, expected: str = "CSV, gzip CSV or Parquet") -> EntityFault:
    """The fault of an entity in a format that this version does not read; `what` says which file is what."""
    return EntityFault(f"{what}; this version does not read that, it expects {expected}", Delivery.UNSUPPORTED)


def declared(kind: str | None, where: str) -> Kind | None:
    """The format that the settings declare; None where they declare none. Raises EntityFault for any other."""
    text = (kind or "").strip().casefold()
    if "delta" in text:  # first of all: a Delta table is made of Parquet files, and of stale ones too
        raise unsupported(f"{where} is declared as a Delta table")
    if "parquet" in text:
        return "parquet"
    if "csv" in text or "delimitedtext" in text:
        return "csv"
    if not text:
        return None
    name = next((name for name in _OTHER_FORMATS if name.casefold() in text), shown(kind or ""))
    raise unsupported(f"{where} is declared as {name}")


def file_format(path: str, settings: FormatPart) -> FileFormat:
    """How the file is read. Raises EntityFault where it cannot be, UNSUPPORTED or CORRUPT."""
    endings = path.rsplit("/", maxsplit=1)[-1].casefold().split(".")[1:]
    kind = declared(settings.kind, path)
    if kind == "parquet" or "parquet" in endings:
        if "parquet" in endings and endings[-1] in _COMPRESSIONS:
            raise unsupported(f"{path} is a compressed Parquet file")  # Parquet compresses inside
        return FileFormat("parquet")
    other = next((_OTHER_ENDINGS[ending] for ending in reversed(endings) if ending in _OTHER_ENDINGS), None)
    if {"tar", "tgz"} & set(endings):
        raise unsupported(f"{path} is an archive")
    if other and kind is None and not set(endings) & set(_CSV_ENDINGS):
        raise unsupported(f"{path} is a file of the format {other}")
    _refuse_dialects(path, settings)
    return FileFormat(
        kind="csv",
        headers=bool(settings.headers),
        delimiter=_delimiter(settings.delimiter, path),
        quoted=not (settings.quote_style or "").casefold().endswith("none"),
        encoding=_encoding(settings.encoding, path),
        compression=_compression(path, endings, settings.compression),
    )


def _refuse_dialects(path: str, settings: FormatPart) -> None:
    if (settings.escape or '"') != '"':
        raise unsupported(f"{path} is declared as CSV with another escape character than the quote")
    if (settings.quote or '"') != '"':
        raise unsupported(f'{path} is declared as CSV with another quote than "')
    if (settings.newline or "") not in _LINE_ENDS:
        raise unsupported(f"{path} is declared as CSV whose lines end in an unusual way")
    if settings.skip_lines:
        raise unsupported(f"{path} is declared as CSV with lines to skip")
    if settings.ragged:
        raise unsupported(f"{path} is declared as CSV whose lines may be shorter than the others")


def _compression(path: str, endings: list[str], named: str | None) -> Compression:
    by_name = _COMPRESSIONS.get(endings[-1]) if endings else None
    text = (named or "").strip().casefold()
    found = by_name if text in _NOT_COMPRESSED else _COMPRESSIONS.get(text, text)
    if found not in (None, "gzip"):
        raise unsupported(f"{path} is compressed with {shown(found or '')}")
    return "gzip" if found else "none"


def _delimiter(text: str | None, path: str) -> str:
    delimiter = {"\\t": "\t"}.get(text or "", text) or ","
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise EntityFault(f"the delimiter of {path} must be a single character")
    return delimiter


def _encoding(text: str | None, path: str) -> str:
    try:
        return codecs.lookup(text or "utf-8").name
    except (LookupError, ValueError):
        raise EntityFault(f"the encoding of {path} is unknown") from None
