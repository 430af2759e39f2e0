"""What the app rejected in a run: shown on the terminal, kept beside the export."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from azure.storage.blob import BlobServiceClient
from rich.console import Console
from rich.text import Text

from local.runs_view import Run
from local.stack import Stack
from shared.runs.entities import key

SHOWN = 5
"""Rejects of a task that are printed; all of them are in the file."""


def show(stack: Stack, run: Run, console: Console, folder: Path | None) -> None:
    """Print the first rejects of each task; with a folder, keep all as `<run>-<task>.csv` in it."""
    for task, content in _reports(stack, run):
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
        console.print(f"  Rejected by {task}: {len(rows):,}", highlight=False)
        for row in rows[:SHOWN]:
            where = f"{row['source_key'] or row['guid']}"
            what = f"{row['column']}: {row['message']}" if row["column"] else row["message"]
            console.print(Text(f"    {where}  {what}"))
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{run['id']}-{task}.csv").write_bytes(content)


def _reports(stack: Stack, run: Run) -> Iterator[tuple[str, bytes]]:
    """The task keys and contents of the rejects files of a run."""
    place = f"runs/{key(run['environment'])}/{key(run['id'])}/"
    with BlobServiceClient.from_connection_string(stack.lake_connection_string) as service:
        container = service.get_container_client(stack.settings["HYDRATION_CONTAINER"])
        for blob in container.list_blobs(name_starts_with=place):
            if blob.name.endswith("/rejects.csv"):
                yield blob.name.split("/")[-2], container.download_blob(blob.name).readall()
