"""`python -m local demo`: two days of a generated lake, from the landing to the linked rows in Dataverse."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from local import sample, snapshots
from local.inputs import dataverse_rows, lake_folder
from local.runs_view import Run
from local.stack import INSTANT, Stack
from shared.errors import ConfigurationError


@dataclass(frozen=True)
class _Sample:
    """One of the sample's two environments."""

    environment: str
    organization: str
    config: str
    profiles: str
    sources: str


SAMPLES = {
    "individuals": _Sample(sample.ENVIRONMENT, sample.DATAVERSE_HOST, sample.CONFIG, "people", "contacts and leads"),
    "businesses": _Sample(
        sample.BUSINESS_ENVIRONMENT, sample.BUSINESS_HOST, sample.BUSINESS_CONFIG, "companies", "accounts and contacts"
    ),
}


def demo(
    folder: Path,
    *,
    keep: bool,
    people: int,
    audience: sample.Audience,
    console: Console,
    profile: str = INSTANT,
) -> int:
    """Play both days from a fresh start; 0 when both ended Successful and only the difference was written."""
    _clear(folder)
    played = SAMPLES[audience]
    console.print(f"Writing two days of output about {people:,} {played.profiles} to {folder} ...", highlight=False)
    days = [lake_folder(sample.write(folder / f"day{day}", day, people, audience)) for day in (1, 2)]
    rows = dataverse_rows(sample.dataverse_rows(folder / "dataverse", people, audience), {})
    config = folder / "hydration.toml"
    config.write_text(played.config, encoding="utf-8")
    console.print("Starting the local stack (storage, Service Bus, Dataverse, the functions) ...")
    with Stack(folder / "stack", config, settings=snapshots.LANDED_WHOLE, profile=profile) as stack:
        seeded = snapshots.seed(stack, played.organization, rows)
        console.print(f"Seeded {seeded:,} {played.sources} into the local Dataverse.")
        as_told = True
        written = snapshots.rows_written(stack, played.organization)
        for day, lake in enumerate(days, start=1):
            console.rule(f"Day {day}")
            began = time.monotonic()
            run = snapshots.hydrate(stack, lake, console)[played.environment]
            seconds = time.monotonic() - began
            before, written = written, snapshots.rows_written(stack, played.organization)
            as_told &= _tell(run, _difference(before, written), seconds, console)
        _show_page(stack, keep=keep, console=console)
    return 0 if as_told else 1


def _clear(folder: Path) -> None:
    """Remove what the last demo left. Raises ConfigurationError when it is still up."""
    if not folder.exists():
        return
    (folder / "stack").mkdir(exist_ok=True)
    with (folder / "stack" / "lock").open("w") as lock:  # what the running stack holds
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(f"A demo is still up on {folder}: end it first (Ctrl-C).") from None
        shutil.rmtree(folder)


def _difference(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    return {table: count - before.get(table, 0) for table, count in after.items() if count > before.get(table, 0)}


def _tell(run: Run, counted: Mapping[str, int], seconds: float, console: Console) -> bool:
    """Hold the app's own account against what Dataverse counted; whether the day went as it should."""
    told = sum(task["writes"] for task in run["tasks"])
    rows = sum(task["created"] + task["changed"] + task["unchanged"] for task in run["tasks"])
    console.print(f"{seconds:.1f} s. {rows:,} rows and links compared, {told:,} written.", highlight=False)
    by_table = ", ".join(f"{table} {count:,}" for table, count in sorted(counted.items()))
    console.print(f"Dataverse counted {sum(counted.values()):,} written rows: {by_table or 'none'}.", highlight=False)
    if told != sum(counted.values()):
        console.print("The two differ: that should not be.", style="bold red")
    return bool(run["status"] == "Successful" and told == sum(counted.values()))


def _show_page(stack: Stack, *, keep: bool, console: Console) -> None:
    """Say where the page is; with `keep`, stay until Ctrl-C."""
    console.rule()
    if not keep:
        console.print("To look at the status page, let the stack stay up: .venv/bin/python -m local demo --keep")
        return
    console.print(f"Status page: {snapshots.page(stack)}", soft_wrap=True, highlight=False)
    console.print("Ctrl-C ends the local stack.")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        console.print("Stopping ...")
