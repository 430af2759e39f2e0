"""Snapshots and configurations made by hand, for tests of what is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.lake.manifest import Attribute, Delivery, Entity, FileFormat, Manifest, Partition
from shared.lake.snapshot import File, Snapshot
from shared.settings import DataSource, Hydration, SourceTable, TableOptions
from shared.settings.model import Removal

ENVIRONMENT = "3f0c2a9e-77aa-4b52-9d3c-1f8b6f5d2e10"
FOLDER = f"ci_{ENVIRONMENT}"
CRM = "https://contoso.crm.dynamics.com"


def source(name: str, dataverse: str | None = None, **tables: tuple[str | None, str | None]) -> DataSource:
    """A data source; its tables by name: logical name and primary key."""
    made = {table: SourceTable(name, table, logical, key) for table, (logical, key) in tables.items()}
    return DataSource(name, dataverse, made)


def hydration(*sources: DataSource, prefix: str = "msdynci", **tables: Any) -> Hydration:
    """A configuration; options by output table: `CustomerProfile={"exclude": ("Email",)}`."""
    return Hydration(
        publisher_prefix=prefix,
        settle_seconds=0,
        whole_within_seconds=60,
        environments={},
        data_sources={one.name: one for one in sources},
        tables={name: TableOptions(**options) for name, options in tables.items()},
        removal=Removal(),
    )


def entity(
    name: str, *attributes: str, fault: str | None = None, files: Sequence[str] = ("1.csv",), why: str | None = None
) -> Entity:
    """An entity with attributes `name` or `name:type`; without files it is not delivered, and `why` says so."""
    pairs = [attribute.rpartition(":") if ":" in attribute else (attribute, "", "string") for attribute in attributes]
    delivery = Delivery.CORRUPT if fault else Delivery.DELIVERED if files else Delivery.NOT_DELIVERED
    return Entity(
        name,
        tuple(Attribute(attribute, kind) for attribute, _, kind in pairs),
        () if fault else tuple(Partition(file, f"{FOLDER}/{name}/{file}", FileFormat("csv")) for file in files),
        delivery,
        fault or why,
    )


def snapshot(manifests: Mapping[str, Sequence[Entity]] | Sequence[Entity], *, missing: Sequence[str] = ()) -> Snapshot:
    """Manifests by process folder, the last one the newest; or the entities of the only one."""
    folders = manifests if isinstance(manifests, Mapping) else {"Unification": manifests}
    made = tuple(
        Manifest(f"{FOLDER}/{folder}/model.json", tuple(entities), datetime(2026, 1, day, tzinfo=UTC))
        for day, (folder, entities) in enumerate(folders.items(), start=1)
    )
    paths = [part.path for manifest in made for one in manifest.entities for part in one.partitions]
    files = {path: File(path, "1", 10) for path in paths if path not in missing}
    return Snapshot(ENVIRONMENT, made, files, tuple(missing), {}, "fingerprint", None)


def unreadable(found: Snapshot, **manifests: int) -> Snapshot:
    """The same with manifests that cannot be read; 0 is older than the first manifest, 1 as old as it."""
    moments = {f"{FOLDER}/{folder}/model.json": day for folder, day in manifests.items()}
    start = datetime(2025, 12, 31, tzinfo=UTC)
    files = {path: File(path, "1", 1, start + timedelta(days=day)) for path, day in moments.items()}
    return replace(found, unreadable=dict.fromkeys(moments, "it is empty"), files={**found.files, **files})
