"""What a manifest says: entities, their columns and their files, whichever of the two kinds of manifest it is.

An entity that cannot be used says why in `fault`; the others go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal

Kind = Literal["csv", "parquet"]
Compression = Literal["none", "gzip", "zstd"]


class Delivery(StrEnum):
    """Whether an entity's rows can be read."""

    DELIVERED = "delivered"
    NOT_DELIVERED = "not delivered"
    """The manifest tells its schema and no file: it is left alone."""
    CORRUPT = "corrupt"
    """What the manifest says of it cannot be used: its task fails."""
    UNSUPPORTED = "unsupported"
    """It is there, in a format that this version does not read."""


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
    """A table of the manifest. One that is not DELIVERED has no partitions, and `fault` says why.

    `annotations` are pairs of name and text. `awaited` are paths or patterns of what a CORRUPT entity needs and what is
    not there yet: they count as missing files.
    """

    name: str
    attributes: tuple[Attribute, ...] = ()
    partitions: tuple[Partition, ...] = ()
    delivery: Delivery = Delivery.DELIVERED
    fault: str | None = None
    annotations: tuple[tuple[str, str], ...] = ()
    awaited: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """A model.json or manifest.cdm.json. `last_modified` (UTC) is its blob's, absent when it was parsed without one."""

    path: str
    entities: tuple[Entity, ...]
    last_modified: datetime | None = None


def unambiguous(entities: Sequence[Entity]) -> tuple[Entity, ...]:
    """The entities of one manifest; those that share a name (in any case) are CORRUPT."""
    count = Counter(entity.name.casefold() for entity in entities)
    return tuple(_unique(entity, count[entity.name.casefold()]) for entity in entities)


def _unique(entity: Entity, count: int) -> Entity:
    if count == 1 or entity.delivery is Delivery.NOT_DELIVERED:
        return entity
    fault = f"the manifest names {count} entities {entity.name}: which of them is meant cannot be known"
    return replace(entity, partitions=(), delivery=Delivery.CORRUPT, fault=fault, awaited=())
