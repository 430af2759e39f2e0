"""Follows the runs of a landing through the app's own HTTP API and shows their tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

import httpx
from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

ENDED = frozenset({"Successful", "Completed with rejects", "Failed", "Skipped", "Canceled"})
COUNTS = ("created", "changed", "unchanged", "removed", "rejected", "missing", "held", "writes")
AMISS = ("rejected", "missing", "held")
_STYLES = {"Successful": "green", "Failed": "bold red", "Completed with rejects": "yellow", "Refreshing": "cyan"}

_POLL_SECONDS = 0.5
_UNREACHABLE_SECONDS = 60.0  # longer than a restart of the host
_NO_RUN_SECONDS = 120.0
_ANNOUNCE_SECONDS = 20.0  # events arrive at least once: one that led to nothing is sent again
_STANDSTILL_SECONDS = 900.0
_LATER_RUN_SECONDS = 10.0  # a run that opened while the landing was under way may be followed by one for all of it
_CLOCK_STEP = timedelta(seconds=1)  # times of runs may be rounded

Run = dict[str, Any]


class RunsError(Exception):
    """The runs cannot be followed to their end; the message says why."""


class Runs:
    """The app's runs. Use it as a context manager."""

    def __init__(self, host: str, function_key: str | None, poll_seconds: float = _POLL_SECONDS) -> None:
        self._poll_seconds = poll_seconds
        headers = {"x-functions-key": function_key} if function_key else {}
        self._client = httpx.Client(base_url=host, headers=headers, timeout=30.0, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def of(self, environment: str) -> list[Run]:
        """The environment's runs without their tasks, the newest first."""
        runs: list[Run] = self._get("/api/runs", environment=environment)["runs"]
        return runs

    def get(self, identity: str) -> Run:
        """One run with its tasks."""
        return self._get(f"/api/runs/{identity}")

    def rerun(self, environment: str, mode: str) -> Run:
        """Ask for a run by hand; the app's answer."""
        answer = self._client.post("/api/runs", json={"environment": environment, "mode": mode})
        if not answer.is_success:
            raise RunsError(f"The app refuses a run with {answer.status_code}: {answer.text[:300]}")
        body: Run = answer.json()
        return body

    def known(self, environments: Iterable[str]) -> frozenset[str]:
        """The ids of all runs so far; what `follow` must not mistake for an answer to a landing.

        A Skipped run without a snapshot answers every landing of a folder that is not configured.
        """
        runs = [run for each in environments for run in self.of(each)]
        return frozenset(run["id"] for run in runs if run["fingerprint"] or run["status"] != "Skipped")

    def follow(
        self,
        environment: str,
        known: frozenset[str],
        since: datetime,
        seen: Callable[[Run], None],
        announce: Callable[[], None],
    ) -> Run:
        """Wait for the end of the run that a landing caused; `seen` is called with every state of it.

        `since` is the landing's end; `announce` tells of it once more where no run opens. Several runs may answer one
        landing: all must end, and the newest covers the others. Raises RunsError when none opens, or nothing moves and
        nothing is waited for.
        """
        began = time.monotonic()
        announced, moved, last = began, began, ""
        while True:
            fresh = [run for run in self.of(environment) if run["id"] not in known]
            now = time.monotonic()
            if fresh:
                run = self.get(fresh[0]["id"])
                seen(run)
                if (mark := repr(run)) != last or waiting(run):
                    moved, last = now, mark
                answers_all = (
                    not run["fingerprint"]
                    or datetime.fromisoformat(run["opened"]) >= since - _CLOCK_STEP
                    or now - moved > _LATER_RUN_SECONDS
                )
                if answers_all and all(each["status"] in ENDED for each in (*fresh, run)):
                    return run
            elif now - began > _NO_RUN_SECONDS:
                raise RunsError(f"No run opened for {environment} within {_NO_RUN_SECONDS:.0f} s of the landing.")
            elif now - announced > _ANNOUNCE_SECONDS:
                announce()
                announced = now
            if now - moved > _STANDSTILL_SECONDS:
                raise RunsError(f"Nothing has moved for {_STANDSTILL_SECONDS / 60:.0f} minutes in {environment}.")
            time.sleep(self._poll_seconds)

    def _get(self, path: str, **parameters: str) -> Run:
        """A document of the API; a host that restarts is waited for."""
        deadline = time.monotonic() + _UNREACHABLE_SECONDS
        while True:
            try:
                answer = self._client.get(path, params=parameters)
            except httpx.TransportError as error:
                trouble = f"The app cannot be reached: {error}."
            else:
                if answer.is_success:
                    body: Run = answer.json()
                    return body
                trouble = f"The app answers {answer.status_code} to GET {path}: {answer.text[:300]}"
                if answer.status_code < 500:
                    raise RunsError(trouble)
            if time.monotonic() > deadline:
                raise RunsError(trouble)
            time.sleep(self._poll_seconds)


class Progress:
    """Shows a run while it goes on: a table that changes on a terminal, a line per change elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, transient=True, refresh_per_second=4) if console.is_terminal else None
        self._said: dict[str, str] = {}
        self._waited = ""

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, run: Run) -> None:
        """Show this state of the run."""
        told = waiting(run)
        if self._live:
            self._live.update(Group(task_table(run), Padding(Text(told), (0, 0, 0, 2))) if told else task_table(run))
            return
        if told and told != self._waited:
            self._console.print(f"  {told}", markup=False, highlight=False)
        self._waited = told
        for task in run["tasks"]:
            if self._said.get(task["name"]) != task["status"]:
                self._said[task["name"]] = task["status"]
                self._console.print(f"  {task['name']}: {task['status']}", markup=False, highlight=False)


def task_table(run: Run) -> Table:
    """The tasks of a run with their counts; counts of what went amiss only where something did."""
    amiss = [count for count in AMISS if any(task[count] for task in run["tasks"])]
    counts = [count for count in COUNTS if count not in AMISS or count in amiss]
    mode = f" ({run['mode']})" if run["mode"] != "incremental" else ""
    title = Text(f"Run {run['id']}{mode}: {run['status']}", style="bold")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Task")
    table.add_column("Status")
    for count in counts:
        table.add_column(count.capitalize(), justify="right", no_wrap=True)
    for task in run["tasks"]:
        status = Text(task["status"], style=_STYLES.get(task["status"], ""))
        table.add_row(Text(task["name"]), status, *(f"{task[count]:,}" for count in counts))
    return table


def waiting(run: Run) -> str:
    """Until when a run waits and why; empty where it does not."""
    return str(run["detail"]).rpartition("\n")[2] if run.get("waits_until") else ""


def details(run: Run) -> list[str]:
    """Why the run or a task is anything but Successful, and what else a task has to say, one text each."""
    told = [f"{run['status']}: {run['detail']}"] if run["status"] != "Successful" and not run["tasks"] else []
    return told + [
        f"{task['name']}: {said}"
        for task in run["tasks"]
        # Of a Successful task the first line repeats the table.
        if (said := task["detail"] if task["status"] != "Successful" else task["detail"].partition("\n")[2])
    ]
