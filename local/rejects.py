"""What the app rejected in a run: shown on the terminal, kept beside the export."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from azure.storage.blob import BlobServiceClient
from rich.console import Console
from rich.text import Text

from local.runs_view import Run
from local.stack import Stack
from shared.runs.entities import key

SHOWN = 5
"""Rejects of a task that are printed; all of them are in the file."""

_GUARD = re.compile(r"(?<![^;\t\r\n])'")


def show(stack: Stack, run: Run, console: Console, folder: Path | None) -> None:
    """Print the first rejects of each task; with a folder, keep all as `<run>-<task>.csv` in it."""
    for task, content in _reports(stack, run):
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
        console.print(f"  Rejected by {task}: {len(rows):,}", highlight=False)
        for row in rows[:SHOWN]:
            console.print(Text(f"    {line(row)}"))
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{run['id']}-{task}.csv").write_bytes(content)


def line(row: Mapping[str, str]) -> str:
    """What is printed of a reject, without the apostrophes that guard spreadsheets (README, Rejected rows)."""
    told = {name: _GUARD.sub("", cell) for name, cell in row.items()}
    what = f"{told['column']}: {told['message']}" if told["column"] else told["message"]
    return f"{told['source_key'] or told['guid']}  {what}"


def _reports(stack: Stack, run: Run) -> Iterator[tuple[str, bytes]]:
    """The task keys and contents of the rejects files of a run."""
    place = f"runs/{key(run['environment'])}/{key(run['id'])}/"
    with BlobServiceClient.from_connection_string(stack.lake_connection_string) as service:
        container = service.get_container_client(stack.settings["HYDRATION_CONTAINER"])
        for blob in container.list_blobs(name_starts_with=place):
            if blob.name.endswith("/rejects.csv"):
                yield blob.name.split("/")[-2], container.download_blob(blob.name).readall()
