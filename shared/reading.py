"""What a plan reads: the files of a pinned snapshot, as views in its connection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.delta import engine, source
from shared.lake.manifest import Entity
from shared.lake.snapshot import Snapshot
from shared.services import Services

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Reading:
    """A connection and the snapshot that is read with it. `mend`: text that is no UTF-8 is marked, not refused."""

    connection: duckdb.DuckDBPyConnection
    services: Services
    snapshot: Snapshot
    mend: bool = False

    def view(self, name: str, entity: Entity, attributes: Sequence[str]) -> None:
        """Create a view of these attributes of an entity, as texts. Raises CorruptSnapshotError."""
        if not self.connection.execute("SELECT 1 FROM duckdb_secrets() WHERE name = 'lake'").fetchone():
            engine.reach_lake(self.connection, self.services.settings)
        folder = engine.folder_of(self.connection)
        container = self.services.settings.lake_container
        origin = source.Origin(self.services.lake, self.snapshot, container, folder, mend=self.mend)
        source.define_view(self.connection, name, entity, attributes, origin)
