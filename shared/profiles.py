"""Which profiles there are once a run is done: what rows of other tables may point to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shared.delta import engine, state
from shared.errors import RequirementError
from shared.reading import Reading
from shared.runs import paths
from shared.runs.model import Mode, Run, Task, TaskPhase
from shared.services import Services
from shared.tables import sql
from shared.tables.catalog import CUSTOMER_PROFILE

if TYPE_CHECKING:
    import duckdb


def publish(services: Services, connection: duckdb.DuckDBPyConnection, folder: Path, task: Task, run: Run) -> None:
    """Write down the profiles of a plan: valid rows, and those in Dataverse that the plan does not remove."""
    file = folder / "profiles.parquet"
    stay = "SELECT id, born FROM gone ANTI JOIN (SELECT id FROM delta WHERE op = 'remove') USING (id)"
    state.save(connection, f"(SELECT id, born FROM staged WHERE fault IS NULL OR known UNION ALL {stay})", file)
    services.blobs.upload(paths.profiles(paths.plan(run.environment, task, task.attempt)), file)


def define(reading: Reading, run: Run, table: str) -> None:
    """The view `profile` (id, born): those of the run's own plan, else those that Dataverse holds from earlier runs.

    Raises RequirementError where there are none at all.
    """
    services = reading.services
    planned = next(
        (task for task in services.store.tasks(run.id) if task.is_profile and task.round == run.attempt), None
    )
    is_planned = planned is not None and (planned.phase is TaskPhase.PLANNED or run.mode is Mode.PLAN)
    if planned is not None and is_planned and planned.attempt:
        path = paths.profiles(paths.plan(run.environment, planned, planned.attempt))
    else:
        prefix = services.settings.hydration.publisher_prefix
        path = services.store.pointer(run.organization_id, prefix, CUSTOMER_PROFILE).path
    if not path:
        raise RequirementError(
            f"There is no profile that {table} could point to: CustomerProfile was not hydrated, now or before."
        )
    file = engine.folder_of(reading.connection) / "profiles-there.parquet"
    services.blobs.download(path, file)
    reading.connection.execute(f"CREATE VIEW profile AS SELECT id, born FROM read_parquet({sql.text(str(file))})")
