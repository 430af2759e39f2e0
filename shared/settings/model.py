"""What the app is told: app settings of the deployment, and `hydration.toml`. Plain frozen values, no reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

OUTPUT_TABLES = (
    "CustomerProfile",
    "ContactProfile",
    "AlternateKey",
    "UnifiedActivity",
    "CustomerMeasure",
    "Enrichment",
    "Prediction",
    "SegmentMembership",
)
"""The tables that Customer Insights makes available in Dataverse; `[tables.<name>]` configures one of them."""

Audience = Literal["individuals", "businesses"]
OnRemovedRow = Literal["delete", "keep"]
OnRemovedLink = Literal["clear", "keep"]


@dataclass(frozen=True)
class SourceTable:
    """A table that went into unification. Without a logical name it is the table's own name."""

    data_source: str
    name: str
    logical_name: str | None = None
    primary_key: str | None = None


@dataclass(frozen=True)
class DataSource:
    """A data source of Customer Insights. `dataverse` is the organization it was ingested from, if it was."""

    name: str
    dataverse: str | None
    tables: Mapping[str, SourceTable]


@dataclass(frozen=True)
class Environment:
    """A folder `ci_<id>` of the lake, bound to one Dataverse organization.

    `organization_id` names the organization that this environment was moved to; without it the first one that
    answered is remembered and no other is accepted.
    """

    id: str
    dataverse_url: str
    audience: Audience
    organization_id: str | None = None


@dataclass(frozen=True)
class Input:
    """One of the lake's entities, or with `*` several, that an output table is made of; what is empty has its default.

    `title` is the name of what the entity holds: an enrichment's type, a model or a segment.
    """

    name: str
    provider: str = ""
    title: str = ""
    membership: str = ""  # of a segment: Customer, Contact or Account


@dataclass(frozen=True)
class TableOptions:
    """What of an output table is written, and from what.

    `include` names the only columns, `exclude` those left out; `entities` the only entities that the table is made of;
    `lengths` counts UTF-16 units of text columns, by attribute; `truncate` cuts longer texts instead of rejecting
    their rows; rows older than `keep_days` are not hydrated.
    """

    enabled: bool = True
    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    entities: tuple[Input, ...] | None = None
    lengths: Mapping[str, int] = field(default_factory=dict)
    truncate: bool = False
    keep_days: float | None = None


@dataclass(frozen=True)
class Removal:
    """What becomes of rows and links that left unification, and from what share on a person is asked first."""

    rows: OnRemovedRow = "delete"
    links: OnRemovedLink = "clear"
    brake_percent: float = 10


@dataclass(frozen=True)
class Hydration:
    """The content of `hydration.toml`, with the overrides of the app settings applied."""

    publisher_prefix: str
    settle_seconds: float
    whole_within_seconds: float
    environments: Mapping[str, Environment]
    data_sources: Mapping[str, DataSource]
    tables: Mapping[str, TableOptions]
    removal: Removal
    retention_days: float = 30  # how long what is left of an ended run is kept: its rejects, its rows, old states

    def audience(self, environment: str) -> Audience:
        """Whose profiles an environment unifies; individuals where it is not configured."""
        found = self.environments.get(environment)
        return found.audience if found else "individuals"

    def options(self, table: str) -> TableOptions:
        """The options of an output table; the defaults where the file says nothing of it."""
        return self.tables.get(table, TableOptions())


@dataclass(frozen=True)
class Connection:
    """How a service is reached: by connection string, or by address with the identity of the app.

    `identity` is the client id of a user-assigned identity; without it DefaultAzureCredential chooses.
    """

    connection_string: str | None = field(default=None, repr=False)
    address: str | None = None
    identity: str | None = None


@dataclass(frozen=True)
class ApplicationUser:
    """Who signs in to Dataverse; the first has no name. Neither secret nor certificate: managed identity."""

    name: str
    client_id: str | None
    client_secret: str | None = field(repr=False)
    client_certificate: Path | None


@dataclass(frozen=True)
class Settings:
    """Everything the app is configured with. Secrets do not show in its representation."""

    lake_storage: Connection
    status_storage: Connection
    service_bus: Connection
    lake_container: str
    hydration_container: str
    tenant_id: str | None
    users: tuple[ApplicationUser, ...]
    authority: str
    dataverse_address: str | None
    dataverse_timeout_seconds: float
    dataverse_batch_rows: int
    lease_seconds: float
    plan_memory_limit: str
    plan_threads: int
    hydration: Hydration
