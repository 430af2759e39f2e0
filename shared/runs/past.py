"""Runs that have ended, in Azure Tables: finding, marking and forgetting them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from shared.runs.entities import key, newest_first, run_row
from shared.runs.model import Files, Run
from shared.runs.tables import Delete, Table, Write


class Past:
    """The rows of ended runs. What is deleted twice is gone once."""

    def __init__(self, runs: Table, tasks: Table, chunks: Table) -> None:
        self._runs, self._tasks, self._chunks = runs, tasks, chunks

    def untidied(self, environment: str) -> list[Run]:
        """Ended runs that have all their files, oldest first."""
        condition = "PartitionKey eq @environment and RowKey ge @low and RowKey lt @high and phase eq 'ended'"
        condition += f" and files eq '{Files.ALL}'"
        return self._runs.query(Run, condition, environment=key(environment), low="run ", high="run!")[::-1]

    def opened_before(self, environment: str, moment: datetime) -> list[Run]:
        """Runs that were asked for before that time, oldest first."""
        condition = "PartitionKey eq @environment and RowKey gt @low and RowKey lt @high"
        low = f"run {newest_first(f'{moment:%Y%m%dT%H%M%S%f}')}"
        return self._runs.query(Run, condition, environment=key(environment), low=low, high="run!")[::-1]

    def open_runs(self, environment: str) -> list[Run]:
        """Runs that have not ended."""
        condition = "PartitionKey eq @environment and RowKey ge @low and RowKey lt @high and phase ne 'ended'"
        return self._runs.query(Run, condition, environment=key(environment), low="run ", high="run!")

    def mark(self, run: Run) -> Run:
        """Write what is left of its files, guarded by its version; it counts as no change of the run."""
        etag = self._runs.write(Write(run, key(run.environment), run_row(run.id), run.etag))
        return replace(run, etag=etag)

    def forget_chunks(self, run: str, most: int) -> int:
        """Delete rows of chunks, of every plan attempt; how many. None is left where these are fewer than `most`."""
        condition = "PartitionKey ge @low and PartitionKey lt @high"
        return self._chunks.delete_some(condition, most, low=f"{key(run)}|", high=f"{key(run)}}}")

    def forget_tasks(self, run: str, most: int) -> int:
        """Delete rows of tasks; how many, as above."""
        return self._tasks.delete_some("PartitionKey eq @run", most, run=key(run))

    def forget(self, run: Run) -> None:
        """Delete the run's own row, guarded by its version."""
        self._runs.transact([Delete(key(run.environment), run_row(run.id), run.etag)])
