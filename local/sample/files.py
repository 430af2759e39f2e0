"""How the sample's tables are written: CSV, gzip CSV and Parquet partitions, and the manifest that names them.

The same rows give the same bytes wherever zlib and pyarrow are the same.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import NoneType
from typing import Any, Literal

FileFormat = Literal["csv", "csv.gz", "parquet"]
Row = Sequence[Any]
MODEL = "model.json"
CDM_MANIFEST = "manifest.cdm.json"

_STORAGE = "https://contosolake.dfs.core.windows.net/customerinsights"
_SPACE = " \t\r\n"


@dataclass(frozen=True)
class Entity:
    """A table of the lake; `attributes` are (name, CDM data type).

    A cell is None, a text as it shall stand in the file, or a value of the attribute's type (Parquet: values only).
    """

    name: str
    attributes: Sequence[tuple[str, str]]
    rows: Sequence[Row]
    file_format: FileFormat = "csv"
    parts: int = 1
    annotations: Mapping[str, str] = field(default_factory=dict)


def write_folder(folder: Path, entities: Sequence[Entity], day: int, manifest: str = MODEL) -> None:
    """Write the partitions of a process folder `.../ci_<environment>/<process>` and, last, its manifest."""
    partitions = {entity.name: _write_partitions(folder, entity) for entity in entities}
    modified = datetime(2026, 11, day, 3, 0, tzinfo=UTC).isoformat()
    if manifest == MODEL:
        model = {"name": folder.name, "version": "1.0", "modifiedTime": modified}
        _write_json(folder / MODEL, model | {"entities": [_model(one, partitions[one.name]) for one in entities]})
        return
    for entity in entities:
        _write_json(folder / f"{entity.name}.cdm.json", _document(entity))
    _write_json(
        folder / CDM_MANIFEST,
        {
            "manifestName": folder.name,
            "jsonSchemaSemanticVersion": "1.0.0",
            "imports": [{"corpusPath": "cdm:/foundations.cdm.json"}],
            "lastFileModifiedTime": modified,
            "entities": [_declaration(folder, entity, partitions[entity.name], modified) for entity in entities],
        },
    )


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Row]) -> None:
    """RFC 4180 with LF: None is nothing at all, the empty text is quoted (csv before Python 3.12 cannot do that)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(map(_quoted, header))]
    lines += [",".join([_CELLS[type(value)](value) for value in row]) for row in rows]
    content = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(content, 6, mtime=0) if path.suffix == ".gz" else content)


def _write_partitions(folder: Path, entity: Entity) -> list[Path]:
    paths = []
    for part in range(entity.parts):
        path = folder / entity.name / f"{entity.name}_{part:04d}.{entity.file_format}"
        rows = entity.rows[part :: entity.parts]
        if entity.file_format == "parquet":
            _write_parquet(path, entity.attributes, rows)
        else:
            write_csv(path, [name for name, _ in entity.attributes], rows)
        paths.append(path)
    return paths


def _write_parquet(path: Path, attributes: Sequence[tuple[str, str]], rows: Sequence[Row]) -> None:
    import pyarrow as pa  # noqa: PLC0415 - half a second that only a lake with Parquet costs
    from pyarrow import parquet  # noqa: PLC0415

    kinds = {
        "string": pa.string(),
        "int64": pa.int64(),
        "double": pa.float64(),
        "dateTime": pa.timestamp("us", tz="UTC"),
    }
    columns = [pa.array([row[at] for row in rows], type=kinds[kind]) for at, (_, kind) in enumerate(attributes)]
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table(columns, names=[name for name, _ in attributes]), path)


def _model(entity: Entity, partitions: Sequence[Path]) -> dict[str, Any]:
    """The entity's entry of model.json."""
    settings = {
        "$type": "CsvFormatSettings",
        "columnHeaders": True,
        "delimiter": ",",
        "quoteStyle": "QuoteStyle.Csv",
        "csvStyle": "CsvStyle.QuoteAlways",
        "encoding": "UTF-8",
    }
    if entity.file_format == "parquet":
        settings = {"$type": "ParquetFormatSettings"}
    entry: dict[str, Any] = {"$type": "LocalEntity", "name": entity.name}
    if entity.annotations:
        entry["annotations"] = [{"name": name, "value": value} for name, value in entity.annotations.items()]
    return entry | {
        "attributes": [{"name": name, "dataType": kind} for name, kind in entity.attributes],
        "partitions": [
            {"name": path.name.partition(".")[0], "location": _location(path), "fileFormatSettings": settings}
            for path in partitions
        ],
    }


def _location(path: Path) -> str:
    root = max(at for at, part in enumerate(path.parts) if part.startswith("ci_"))
    return f"{_STORAGE}/{'/'.join(path.parts[root:])}"


def _declaration(folder: Path, entity: Entity, partitions: Sequence[Path], modified: str) -> dict[str, Any]:
    """The entity's entry of manifest.cdm.json: locations are relative to it, settings are traits."""
    arguments = [("columnHeaders", "true"), ("delimiter", ","), ("quoteStyle", "QuoteStyle.Csv"), ("encoding", "UTF-8")]
    trait: dict[str, Any] = {
        "traitReference": "is.partition.format.CSV",
        "arguments": [{"name": name, "value": value} for name, value in arguments],
    }
    if entity.file_format == "parquet":
        trait = {"traitReference": "is.partition.format.parquet"}
    return {
        "type": "LocalEntity",
        "entityName": entity.name,
        "entityPath": f"{entity.name}.cdm.json/{entity.name}",
        "lastFileModifiedTime": modified,
        "dataPartitions": [
            {
                "name": path.name.partition(".")[0],
                "location": path.relative_to(folder).as_posix(),
                "exhibitsTraits": [trait],
                "lastFileModifiedTime": modified,
            }
            for path in partitions
        ],
    }


def _document(entity: Entity) -> dict[str, Any]:
    """The entity's own document, as resolved ones are: a data format has a capital, a data type has none."""
    return {
        "jsonSchemaSemanticVersion": "1.0.0",
        "imports": [{"corpusPath": "cdm:/foundations.cdm.json"}],
        "definitions": [
            {
                "entityName": entity.name,
                "hasAttributes": [
                    {"name": name, "dataFormat": kind[0].upper() + kind[1:]} for name, kind in entity.attributes
                ],
            }
        ],
    }


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")


def _quoted(text: str) -> str:
    plain = text and text[0] not in _SPACE and text[-1] not in _SPACE
    if plain and "," not in text and '"' not in text and "\n" not in text and "\r" not in text:
        return text
    return '"' + text.replace('"', '""') + '"'


_CELLS: dict[type, Callable[[Any], str]] = {
    NoneType: lambda _: "",
    str: _quoted,
    bool: lambda value: "true" if value else "false",
    int: str,
    float: repr,
    Decimal: lambda value: f"{value:f}",
    date: date.isoformat,
    datetime: lambda value: value.strftime("%Y-%m-%dT%H:%M:%SZ"),
}
