"""One landing from the files to the end of its run, over the local stack."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from local import landing
from local.inputs import LakeFolder, Rows, UnusableInputError
from local.runs_view import Progress, Run, Runs, details, task_table
from local.stack import Stack

LANDED_WHOLE = {
    "HYDRATION_SETTLE_SECONDS": "0",
    "HYDRATION_WHOLE_WITHIN_SECONDS": "0",
    "SWEEP_SCHEDULE": "0 0 0 1 1 *",  # a sweep amid a landing would take half of it for a snapshot
}
"""App settings where landings are known to be complete: nothing to settle, and what is missing will not come."""


def hydrate(stack: Stack, folder: LakeFolder, console: Console) -> dict[str, Run]:
    """Land `folder` and wait for what it causes; the run of every environment in it, printed as tables."""
    ended: dict[str, Run] = {}
    with Runs(stack.host_url, stack.function_key) as runs:
        known = runs.known(folder.environments)
        manifests = landing.land(folder, stack.lake_connection_string, stack.settings["LAKE_CONTAINER"])
        since = datetime.now(UTC)

        def announce() -> None:
            landing.post_events(landing.endpoint(stack.host_url, stack.function_key), manifests)

        announce()
        for environment in folder.environments:
            with Progress(console) as progress:
                ended[environment] = runs.follow(environment, known, since, progress, announce)
            show(ended[environment], console)
    return ended


def show(run: Run, console: Console) -> None:
    """Print how a run ended: its tasks as a table, then what they have to say."""
    if run["tasks"]:
        console.print(task_table(run))
    for line in details(run):
        console.print(Padding(Text(line), (0, 0, 0, 2)))


def _dataverse(stack: Stack, seconds: float = 300.0) -> httpx.Client:
    """A client of the local Dataverse, which has no certificate to check: those of the machine are read only once."""
    return httpx.Client(base_url=stack.dataverse_url, timeout=seconds, trust_env=False, verify=_certificates())


@cache
def _certificates() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


def seed(stack: Stack, organization: str, files: Iterable[Rows]) -> int:
    """Put rows into tables of the local Dataverse; how many. Raises UnusableInputError."""
    rows = 0
    with _dataverse(stack) as client:
        for file in files:
            answer = client.post(
                f"/local/{organization}/seed/{file.logical_name}",
                params={"primary_key": file.primary_key},
                content=file.path.read_bytes(),
                headers={"content-type": "text/csv"},
            )
            if not answer.is_success:
                raise UnusableInputError(f"{file.path}: {_message(answer)}")
            rows += int(answer.json()["rows"])
    return rows


def export(stack: Stack, organization: str, folder: Path) -> list[Path]:
    """Write every table of an organization as `<logical name>.ndjson`."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with _dataverse(stack) as client:
        for table in client.get(f"/local/{organization}/export").raise_for_status().json()["tables"]:
            path = folder / f"{table}.ndjson"
            with client.stream("GET", f"/local/{organization}/export/{table}") as answer, path.open("wb") as file:
                answer.raise_for_status()
                for piece in answer.iter_bytes():
                    file.write(piece)
            written.append(path)
    return written


def statistics(stack: Stack, organization: str) -> dict[str, Any]:
    """What the local Dataverse itself has counted for an organization."""
    with _dataverse(stack, 60.0) as client:
        counted: dict[str, Any] = client.get(f"/local/{organization}/statistics").raise_for_status().json()
        return counted


def rows_written(stack: Stack, organization: str) -> dict[str, int]:
    """Rows that the local Dataverse was told to write so far, by table: no seeds, no lookups emptied by cascades."""
    tables = statistics(stack, organization)["tables"]
    return {
        table: sum(counts[operation] for operation in ("created", "updated", "deleted"))
        for table, counts in tables.items()
    }


def page(stack: Stack) -> str:
    """The status page's address, with the key that opens it."""
    code = f"?code={stack.function_key}" if stack.function_key else ""
    return f"{stack.host_url}/api/status{code}"


def _message(answer: httpx.Response) -> str:
    """The sentence in an error answer, whatever its form."""
    try:
        body = answer.json()
        return str(body["error"]["message"])
    except (json.JSONDecodeError, KeyError, TypeError):
        return answer.text[:300] or f"refused with {answer.status_code}."
