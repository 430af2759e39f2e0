"""Where the app's container holds what."""

from __future__ import annotations

from shared.runs.entities import key
from shared.runs.model import Run, Task

STATES = "state/"
"""Where all applied states lie, one folder an organization."""


def snapshot(of: Run) -> str:
    """The pinned snapshot of a run's attempt."""
    return f"{run(of.environment, of.id)}/snapshot-{of.attempt}.json"


def plan(environment: str, task: Task, attempt: str) -> str:
    """The folder of a plan attempt."""
    return f"{run(environment, task.run)}/{key(task.key)}/{key(attempt)}"


def chunk(folder: str, number: int) -> str:
    """The records of a chunk."""
    return f"{folder}/chunks/{number:06}.ndjson.gz"


def exceptions(folder: str, number: int, noted: str) -> str:
    """The rows of a chunk that have another outcome than the chunk itself, as one worker noted them."""
    return f"{folder}/exceptions/{number:06}-{noted}.json"


def delta(folder: str) -> str:
    """Every row to write or remove, with its chunk and place."""
    return f"{folder}/delta.parquet"


def base(folder: str) -> str:
    """What Dataverse held of a table, where a plan read it instead of trusting the applied state."""
    return f"{folder}/base.parquet"


def profiles(folder: str) -> str:
    """The profiles that there are once a plan of CustomerProfile is carried out."""
    return f"{folder}/profiles.parquet"


def rejects(folder: str) -> str:
    """The rows that the plan rejected."""
    return f"{folder}/rejects.parquet"


def rejects_report(environment: str, task: Task) -> str:
    """All rejects of a task, for people."""
    return f"{run(environment, task.run)}/{key(task.key)}/rejects.csv"


def state(organization: str, prefix: str, table: str, run_id: str, attempt: str) -> str:
    """An applied state."""
    return f"{STATES}{key(organization)}/{key(prefix)}/{key(table)}/{key(run_id)}-{key(attempt)}.parquet"


def refused(state: str) -> str:
    """Beside an applied state: the rows that Dataverse refused last."""
    return f"{state.removesuffix('.parquet')}-refused.parquet"


def run(environment: str, run_id: str) -> str:
    """The folder of a run."""
    return f"runs/{key(environment)}/{key(run_id)}"
