"""What a model.json says: entities, their columns and their files. Input, not trust.

An entity that cannot be used says why in `fault`; the others go on.
"""

from __future__ import annotations

import codecs
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, TypeVar

from pydantic import BaseModel, ValidationError

from shared.errors import CorruptSnapshotError
from shared.lake.document import AttributePart, EntityPart, FormatPart, ModelPart, PartitionPart
from shared.lake.location import LocationError, resolve

Kind = Literal["csv", "parquet", "other"]
Compression = Literal["none", "gzip", "zstd", "other"]

_TYPES = (
    "unclassified",
    "string",
    "int64",
    "double",
    "date",
    "time",
    "dateTime",
    "dateTimeOffset",
    "decimal",
    "boolean",
    "guid",
    "json",
)
_BY_FOLD = {name.casefold(): name for name in _TYPES}
_COMPRESSIONS: dict[str, Compression] = {
    "gz": "gzip",
    "gzip": "gzip",
    "zst": "zstd",
    "bz2": "other",
    "zip": "other",
    "snappy": "other",
}
_CSV_ENDINGS = ("csv", "txt", "tsv")
_OTHER_ENDINGS = ("json", "jsonl", "ndjson", "orc", "avro", "xml", "xlsx")
_Part = TypeVar("_Part", bound=BaseModel)


class Delivery(StrEnum):
    """Whether an entity's rows can be read."""

    DELIVERED = "delivered"
    NOT_DELIVERED = "not delivered"
    """The manifest tells its schema and no file: it is left alone."""
    CORRUPT = "corrupt"
    """What the manifest says of it cannot be used: its task fails."""


@dataclass(frozen=True)
class Attribute:
    """A column. `data_type` is one of the twelve of model.json, or what else stands there."""

    name: str
    data_type: str


@dataclass(frozen=True)
class FileFormat:
    """How a file is read. Delimiter, headers, quotes and encoding mean something for CSV only."""

    kind: Kind
    headers: bool = False
    delimiter: str = ","
    quoted: bool = True
    encoding: str = "utf-8"
    compression: Compression = "none"


@dataclass(frozen=True)
class Partition:
    """A file of an entity; `path` is inside the lake's container."""

    name: str
    path: str
    format: FileFormat


@dataclass(frozen=True)
class Entity:
    """A table of the manifest. One that is not DELIVERED has no partitions, and `fault` says why."""

    name: str
    attributes: tuple[Attribute, ...] = ()
    partitions: tuple[Partition, ...] = ()
    delivery: Delivery = Delivery.DELIVERED
    fault: str | None = None


@dataclass(frozen=True)
class Manifest:
    """A model.json. `last_modified` (UTC) is its blob's, absent when it was parsed without one."""

    path: str
    entities: tuple[Entity, ...]
    last_modified: datetime | None = None


@dataclass(frozen=True)
class _Place:
    """Where a manifest lies, and what its locations may point to."""

    path: str
    environment_folder: str
    container: str


class _EntityFault(Exception):  # noqa: N818 - never leaves this module
    """Why one entity cannot be used."""

    def __init__(self, fault: str, delivery: Delivery = Delivery.CORRUPT) -> None:
        super().__init__(fault)
        self.fault, self.delivery = fault, delivery


def parse(content: bytes, *, path: str, environment_folder: str, container: str) -> Manifest:
    """The manifest in the bytes of a model.json.

    `path` is its path inside `container`; `environment_folder` is `ci_<environment>`.
    Raises CorruptSnapshotError when it is no model.json at all. Sources: the schema of model.json; public samples.
    """
    place = _Place(path, environment_folder, container)
    entities = [_entity(part, number, place) for number, part in enumerate(_document(content, path).entities, start=1)]
    count = Counter(entity.name.casefold() for entity in entities)
    return Manifest(path, tuple(_unique(entity, count[entity.name.casefold()]) for entity in entities))


def _document(content: bytes, path: str) -> ModelPart:
    if not content.strip():
        raise CorruptSnapshotError(f"{path} is empty: a model.json is expected")
    try:
        # Bytes, not text: this way a byte order mark and UTF-16 are recognized.
        return ModelPart.model_validate(json.loads(content))
    except UnicodeDecodeError as error:
        raise CorruptSnapshotError(f"{path} is not text in UTF-8: byte {error.start} cannot be read") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise CorruptSnapshotError(f"{path} is not JSON: {error.msg} at {where}") from error
    except RecursionError as error:
        raise CorruptSnapshotError(f"{path} is nested too deeply for a model.json") from error
    except ValidationError as error:
        raise CorruptSnapshotError(f"{path} is no model.json: {_first(error)}") from error


def _unique(entity: Entity, count: int) -> Entity:
    if count == 1 or entity.delivery is Delivery.NOT_DELIVERED:
        return entity
    fault = f"the manifest names {count} entities {entity.name}: which of them is meant cannot be known"
    return Entity(entity.name, entity.attributes, (), Delivery.CORRUPT, fault)


def _entity(value: object, number: int, place: _Place) -> Entity:
    name = f"entity {number}"
    attributes: tuple[Attribute, ...] = ()
    try:
        part = _part(EntityPart, value, name)
        name = part.name
        attributes = _attributes(part)
        return Entity(name, attributes, _partitions(part.partitions, attributes, place))
    except _EntityFault as error:
        return Entity(name, attributes, (), error.delivery, error.fault)


def _attributes(entity: EntityPart) -> tuple[Attribute, ...]:
    if (entity.kind or "").casefold().endswith("referenceentity"):
        raise _EntityFault("it is only a reference to an entity of another model", Delivery.NOT_DELIVERED)
    values = enumerate(entity.attributes, start=1)
    parts = [_part(AttributePart, value, f"attribute {number}") for number, value in values]
    found = tuple(Attribute(part.name, _data_type(part.data_type or "")) for part in parts)
    twice = [name for name, count in Counter(one.name for one in found).items() if count > 1]
    if twice:
        raise _EntityFault(f"the manifest names more than one attribute {', '.join(sorted(twice))}")
    return found


def _data_type(name: str) -> str:
    return _BY_FOLD.get(name.casefold(), name) or "unclassified"


def _partitions(values: Sequence[object], attributes: Sequence[Attribute], place: _Place) -> tuple[Partition, ...]:
    parts = [_part(PartitionPart, value, f"partition {number}") for number, value in enumerate(values, start=1)]
    located = [part for part in parts if part.location and part.location.strip()]
    if not located:
        raise _EntityFault("the manifest names no file of it, only its schema", Delivery.NOT_DELIVERED)
    if len(located) < len(parts):
        # Rows of a part that was not delivered would look like removed ones.
        raise _EntityFault(f"{len(parts) - len(located)} of its {len(parts)} partitions have no location")
    if not attributes:
        raise _EntityFault("the manifest names files of it, and no attributes")
    found = dict.fromkeys(_partition(part, number, place) for number, part in enumerate(located, start=1))
    by_path = Counter(partition.path for partition in found)
    twice = sorted(path for path, count in by_path.items() if count > 1)
    if twice:
        raise _EntityFault(f"more than one of its partitions is the file {twice[0]}")
    return tuple(found)


def _partition(part: PartitionPart, number: int, place: _Place) -> Partition:
    try:
        path = resolve(
            part.location or "",
            manifest=place.path,
            environment_folder=place.environment_folder,
            container=place.container,
        )
    except LocationError as error:
        raise _EntityFault(f"the location of partition {part.name or number} cannot be used: {error}") from None
    return Partition(
        part.name or path.rsplit("/", maxsplit=1)[-1], path, file_format(path, part.format or FormatPart())
    )


def file_format(path: str, settings: FormatPart) -> FileFormat:
    """How a file is read: its settings where they say so, else the ending of its name."""
    kind, compression = _kind(path, (settings.kind or "").casefold())
    if kind == "other":
        raise _EntityFault(f"the format of {path} is not supported: CSV or Parquet is expected")
    if kind == "parquet":
        return FileFormat("parquet")  # it compresses inside
    if compression == "other":
        raise _EntityFault(f"the compression of {path} is not supported: gzip or none is expected")
    return FileFormat(
        kind="csv",
        headers=bool(settings.headers),
        delimiter=_delimiter(settings.delimiter, path),
        quoted=not (settings.quote_style or "").casefold().endswith("none"),
        encoding=_encoding(settings.encoding, path),
        compression=compression,
    )


def _kind(path: str, declared: str) -> tuple[Kind, Compression]:
    endings = path.rsplit("/", maxsplit=1)[-1].casefold().split(".")[1:]
    compression = _COMPRESSIONS.get(endings[-1], "none") if endings else "none"
    if "parquet" in declared or "parquet" in endings:
        return "parquet", compression
    if "csv" in declared or (not declared and not set(endings) & set(_OTHER_ENDINGS)):
        return "csv", compression
    return ("csv" if set(endings) & set(_CSV_ENDINGS) else "other"), compression


def _delimiter(text: str | None, path: str) -> str:
    delimiter = {"\\t": "\t"}.get(text or "", text) or ","
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise _EntityFault(f"the delimiter of {path} must be a single character")
    return delimiter


def _encoding(text: str | None, path: str) -> str:
    try:
        return codecs.lookup(text or "utf-8").name
    except (LookupError, ValueError):
        raise _EntityFault(f"the encoding of {path} is unknown") from None


def _part(model: type[_Part], value: object, what: str) -> _Part:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _EntityFault(f"{what} cannot be read: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    """The first fault in words, without the value that was found."""
    fault = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(step) for step in fault["loc"])
    return f"{where}: {fault['msg']}" if where else fault["msg"]
