"""The lake's tables as texts: what every manifest names, from CSV (plain or gzip) and Parquet.

A value of Parquet is given as CSV would hold it, so that all after this module sees `str | None` only.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import NoneType
from typing import Any
from urllib.parse import unquote, urlsplit

from pyarrow import parquet

Row = dict[str, str | None]
_FIELD = re.compile(r'"((?:[^"]|"")*)"|([^",\r\n]*)')


@dataclass(frozen=True)
class Partition:
    """A file of an entity; `header`: its first line names the columns."""

    path: Path
    header: bool


@dataclass(frozen=True)
class Entity:
    """A table of the lake; `attributes` are (name, data type as in model.json)."""

    name: str
    attributes: tuple[tuple[str, str], ...]
    partitions: tuple[Partition, ...]
    annotations: dict[str, str]

    def rows(self) -> Iterator[Row]:
        names = [name for name, _ in self.attributes]
        for partition in self.partitions:
            if partition.path.suffix == ".parquet":
                yield from _parquet_rows(partition.path, names)
                continue
            content = partition.path.read_bytes()
            content = gzip.decompress(content) if partition.path.suffix == ".gz" else content
            records = parse(content.decode("utf-8-sig"))
            if partition.header:
                assert next(records) == names, partition.path
            for record in records:
                yield dict(zip(names, record, strict=True))


def entities(lake: Path, environment: str) -> list[Entity]:
    """Every entity of every manifest of an environment; a name that two of them have is no case for the oracle."""
    root = lake / f"ci_{environment}"
    found = [entity for path in sorted(root.rglob("model.json")) for entity in _of_model(path, root)]
    found += [entity for path in sorted(root.rglob("manifest.cdm.json")) for entity in _of_cdm_folder(path)]
    names = [entity.name.lower() for entity in found]
    assert len(set(names)) == len(names), "two manifests name the same entity"
    return found


def parse(text: str) -> Iterator[list[str | None]]:
    """RFC 4180 records; nothing between two commas is None, a quoted nothing is the empty text."""
    at, record = 0, list[str | None]()
    while at < len(text) or record:
        field = _FIELD.match(text, at)
        assert field, f"unreadable at {at}"
        quoted, plain = field.groups()
        record.append(plain or None if quoted is None else quoted.replace('""', '"'))
        at = field.end()
        if text.startswith(",", at):
            at += 1
            continue
        assert at == len(text) or text[at] in "\r\n", f"text after a quotation at {at}"
        at += 2 if text.startswith("\r\n", at) else 1
        if record != [None]:  # an empty line is no record
            yield record
        record = []


def _of_model(path: Path, root: Path) -> Iterator[Entity]:
    for entity in json.loads(path.read_text(encoding="utf-8-sig"))["entities"]:
        partitions = []
        for partition in entity.get("partitions", []):
            below = unquote(urlsplit(partition["location"]).path).partition(f"/{root.name}/")[2]
            header = partition.get("fileFormatSettings", {}).get("columnHeaders", False)
            partitions.append(Partition(root / below, _true(header)))
        yield Entity(
            entity["name"],
            tuple((each["name"], each["dataType"]) for each in entity["attributes"]),
            tuple(partitions),
            {each["name"]: each["value"] for each in entity.get("annotations", [])},
        )


def _of_cdm_folder(path: Path) -> Iterator[Entity]:
    """Entities of a manifest whose documents and files lie below its folder."""
    for entity in json.loads(path.read_text(encoding="utf-8-sig"))["entities"]:
        document, _, name = entity["entityPath"].rpartition("/")
        definitions = json.loads((path.parent / document).read_text(encoding="utf-8-sig"))["definitions"]
        definition = next(each for each in definitions if each["entityName"] == name)
        yield Entity(
            entity["entityName"],
            tuple((each["name"], _data_type(each)) for each in definition["hasAttributes"]),
            tuple(Partition(path.parent / each["location"], _has_header(each)) for each in entity["dataPartitions"]),
            {},
        )


def _data_type(attribute: dict[str, Any]) -> str:
    kind: str = attribute.get("dataFormat") or attribute["dataType"]
    return kind[0].lower() + kind[1:]


def _has_header(partition: dict[str, Any]) -> bool:
    arguments = [each for trait in partition["exhibitsTraits"] for each in trait.get("arguments", [])]
    return any(each["name"] == "columnHeaders" and _true(each["value"]) for each in arguments)


def _true(value: Any) -> bool:
    return str(value).lower() == "true"


def _parquet_rows(path: Path, names: list[str]) -> Iterator[Row]:
    table = parquet.read_table(path, columns=names)
    for row in zip(*(column.to_pylist() for column in table.select(names).columns), strict=True):
        yield {name: _TEXTS[type(value)](value) for name, value in zip(names, row, strict=True)}


def _moment_text(value: datetime) -> str:
    return (value.astimezone(UTC) if value.tzinfo else value).replace(tzinfo=None).isoformat() + "Z"


_TEXTS: dict[type, Callable[[Any], str | None]] = {
    NoneType: lambda _: None,
    str: str,
    bool: lambda value: str(value).lower(),
    int: str,
    float: repr,
    Decimal: lambda value: f"{value:f}",
    date: date.isoformat,
    datetime: _moment_text,
}
