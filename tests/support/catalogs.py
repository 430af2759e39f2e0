"""Snapshots and configurations made by hand, for tests of what is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.lake.manifest import Attribute, Delivery, Entity, FileFormat, Manifest, Partition
from shared.lake.snapshot import File, Snapshot
from shared.settings import DataSource, Environment, Hydration, Input, SourceTable, TableOptions
from shared.settings.model import Audience, Removal
from shared.tables.catalog import TABLES
from shared.tables.discovery import Source
from shared.tables.naming import Part

ENVIRONMENT = "3f0c2a9e-77aa-4b52-9d3c-1f8b6f5d2e10"
FOLDER = f"ci_{ENVIRONMENT}"
CRM = "https://contoso.crm.dynamics.com"


def source(name: str, dataverse: str | None = None, **tables: tuple[str | None, str | None]) -> DataSource:
    """A data source; its tables by name: logical name and primary key."""
    made = {table: SourceTable(name, table, logical, key) for table, (logical, key) in tables.items()}
    return DataSource(name, dataverse, made)


def hydration(*sources: DataSource, **settings: Any) -> Hydration:
    """A configuration: `prefix`, `businesses`, and options by table: `CustomerProfile={"exclude": ("Email",)}`."""
    prefix, businesses = settings.pop("prefix", "msdynci"), settings.pop("businesses", False)
    audience: Audience = "businesses" if businesses else "individuals"
    return Hydration(
        publisher_prefix=prefix,
        settle_seconds=0,
        whole_within_seconds=60,
        environments={ENVIRONMENT: Environment(ENVIRONMENT, CRM, audience)},
        data_sources={one.name: one for one in sources},
        tables={name: TableOptions(**options) for name, options in settings.items()},
        removal=Removal(),
    )


def only(*entities: str | Input) -> dict[str, Any]:
    """The options of a table that hydration.toml makes of these entities alone."""
    return {"entities": tuple(Input(one) if isinstance(one, str) else one for one in entities)}


def attributes(*names: str) -> tuple[Attribute, ...]:
    """Attributes `name` (a string) or `name:type`."""
    pairs = [name.rpartition(":") if ":" in name else (name, "", "string") for name in names]
    return tuple(Attribute(name, kind) for name, _, kind in pairs)


def entity(
    name: str,
    *columns: str,
    fault: str | None = None,
    files: Sequence[str] = ("1.csv",),
    why: str | None = None,
    unsupported: str | None = None,
    notes: Mapping[str, str] | None = None,
) -> Entity:
    """An entity with attributes `name` or `name:type` and annotations; without files it is not delivered.

    `why` says so then; `fault` makes it corrupt, and `unsupported` one of a format that is not read.
    """
    wrong = fault or unsupported
    delivery = Delivery.DELIVERED if files else Delivery.NOT_DELIVERED
    if wrong:
        delivery = Delivery.CORRUPT if fault else Delivery.UNSUPPORTED
    return Entity(
        name,
        attributes(*columns),
        () if wrong else tuple(Partition(file, f"{FOLDER}/{name}/{file}", FileFormat("csv")) for file in files),
        delivery,
        wrong or why,
        tuple((notes or {}).items()),
    )


def ready_made(table: str) -> Entity:
    """An entity that is an output table in the form of the requirements, its own key and all."""
    return entity(table, *(field.name for field in TABLES[table].fields), f"{table}Id")


def made_of(*parts: Entity | Part, notes: Sequence[str] = ()) -> Source:
    """What is found of a table that is made of these entities."""
    made = (one if isinstance(one, Part) else Part(one, title=one.name, membership="Customer") for one in parts)
    return Source(tuple(made), notes=tuple(notes))


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
