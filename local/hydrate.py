"""`python -m local hydrate`: the app on files of the user's own, from landing to export, on one machine.

Each LAKE_DIR mirrors the container (`ci_<environment>/...`) and is landed as one snapshot after the other. Where a
LAKE_DIR holds several environments, each has its own run and its own object in the JSON, in the order of their ids.
Exit codes: 0 every run ended Successful, 1 one did not, 2 the input is unusable and nothing was started.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console

from local import rejects, snapshots
from local.inputs import (
    LakeFolder,
    Rows,
    UnusableInputError,
    configuration_file,
    dataverse_rows,
    lake_folder,
    primary_keys,
)
from local.runs_view import COUNTS, Run
from local.stack import Stack


@dataclass(frozen=True)
class Inputs:
    """What the command line named, looked at."""

    lakes: tuple[LakeFolder, ...]
    seeds: tuple[Rows, ...]
    organizations: tuple[str, ...]  # hosts of the organizations that the landings go to


def read_inputs(lakes: Sequence[Path], config: Path, dataverse: Path | None) -> Inputs:
    """Look at everything before anything starts. Raises UnusableInputError with the faults of all of it."""
    faults: list[str] = []
    found: list[LakeFolder] = []
    hosts: set[str] = set()
    seeds: list[Rows] = []
    for lake in lakes:
        try:
            found.append(lake_folder(lake))
        except UnusableInputError as error:
            faults += error.faults
    try:
        hydration = configuration_file(config)
        landed = {environment for lake in found for environment in lake.environments}
        known = [each for name, each in hydration.environments.items() if name in landed]
        hosts = {urlsplit(each.dataverse_url).netloc for each in known or hydration.environments.values()}
        seeds = dataverse_rows(dataverse, primary_keys(hydration)) if dataverse else []
    except UnusableInputError as error:
        faults += error.faults
    if faults:
        raise UnusableInputError(faults)
    return Inputs(tuple(found), tuple(seeds), tuple(sorted(hosts)))


def _make_ready(results: Path | None, exports: Path | None) -> None:
    """Raises UnusableInputError where the result could not be written."""
    if results and results.is_dir():
        raise UnusableInputError(f"--json {results}: this is a folder; name a file.")
    if exports and exports.exists() and not exports.is_dir():
        raise UnusableInputError(f"--export {exports}: this is a file; name a folder.")
    try:  # an hour of work must not end in a file that cannot be written
        if results:
            results.parent.mkdir(parents=True, exist_ok=True)
            results.open("a").close()
        if exports:
            exports.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnusableInputError(f"{error.filename}: it cannot be written ({error.strerror}).") from None


def hydrate(
    lakes: Sequence[Path],
    *,
    config: Path,
    dataverse: Path | None,
    results: Path | None,
    exports: Path | None,
    local: Path,
    console: Console,
) -> int:
    """Land every folder in turn, wait for the runs, write what was asked for; the exit code."""
    inputs = read_inputs(lakes, config, dataverse)
    _make_ready(results, exports)
    local.mkdir(parents=True, exist_ok=True)
    written: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="hydrate-", dir=local) as root:
        console.print("Starting the local stack ...")
        with Stack(Path(root), config.resolve(), settings=snapshots.LANDED_WHOLE) as stack:
            for organization in inputs.organizations:
                rows = snapshots.seed(stack, organization, inputs.seeds)
                if inputs.seeds:
                    console.print(f"Seeded {rows:,} rows into {organization}.")
            try:
                for lake in inputs.lakes:
                    console.print(f"Landing {lake.root} ...", highlight=False)
                    for environment, run in snapshots.hydrate(stack, lake, console).items():
                        written.append(result(str(lake.root), environment, run))
                        rejects.show(stack, run, console, exports / "rejects" if exports else None)
            finally:
                if results:
                    _write_json(results, written)
            if exports:
                _export(stack, inputs.organizations, exports, console)
    return 0 if all(each["run"]["status"] == "Successful" for each in written) else 1


def result(snapshot: str, environment: str, run: Run) -> dict[str, Any]:
    """The object of one snapshot (of one environment) in the JSON file."""
    tasks = [{name: task[name] for name in ("name", "status", "detail", *COUNTS)} for task in run["tasks"]]
    return {
        "snapshot": snapshot,
        "environment": environment,
        "run": {name: run[name] for name in ("id", "status", "detail")},
        "tasks": tasks,
    }


def _export(stack: Stack, organizations: Sequence[str], folder: Path, console: Console) -> None:
    """One organization is written into the folder itself, several into a folder each."""
    for organization in organizations:
        target = folder if len(organizations) == 1 else folder / organization
        paths = snapshots.export(stack, organization, target)
        console.print(f"Exported {len(paths)} tables of {organization} to {target}.", highlight=False)


def _write_json(path: Path, written: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
