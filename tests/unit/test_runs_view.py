"""Following runs, against a scripted API on a real socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from local.runs_view import COUNTS, Progress, Run, Runs, RunsError, details, task_table

LANDED = datetime(2026, 11, 1, 3, tzinfo=UTC)


def task(name: str, status: str, **counts: Any) -> Run:
    return {"name": name, "status": status, "detail": ""} | dict.fromkeys(COUNTS, 0) | counts


def run(identity: str, status: str, *tasks: Run, opened: str = "2026-11-01T03:00:05Z") -> Run:
    named = {"id": identity, "environment": "E", "mode": "incremental", "fingerprint": "f", "opened": opened}
    return named | {"status": status, "detail": "", "tasks": list(tasks)}


class Api(ThreadingHTTPServer):
    """Shows one state of the runs per listing; the last one stays."""

    def __init__(self, states: list[list[Run]]) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.states = states
        self.shown: list[Run] = []
        self.refusals = 0
        self.keys: set[str | None] = set()


class Answers(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        self.server.keys.add(self.headers["x-functions-key"])
        status, body = 200, {}
        if self.server.refusals:
            self.server.refusals -= 1
            status = 503
        elif self.path.startswith("/api/runs?"):
            states = self.server.states
            self.server.shown = states.pop(0) if len(states) > 1 else states[0]
            body = {"runs": self.server.shown}
        else:
            found = [each for each in self.server.shown if self.path == f"/api/runs/{each['id']}"]
            status, body = (200, found[0]) if found else (404, {})
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def api() -> Iterator[Api]:
    with Api([[]]) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def runs_of(api: Api) -> Runs:
    return Runs(f"http://127.0.0.1:{api.server_port}", "key", poll_seconds=0.001)


def test_waits_for_the_end_of_the_newest_run_that_is_new(api: Api) -> None:
    old = run("1", "Successful")
    api.states = [
        [old],
        [run("2", "Queued"), old],
        [run("3", "Queued"), run("2", "Refreshing"), old],
        [run("3", "Successful"), run("2", "Refreshing"), old],
        [run("3", "Successful"), run("2", "Skipped"), old],
    ]
    seen: list[str] = []
    with runs_of(api) as runs:
        ended = runs.follow("E", frozenset({"1"}), LANDED, lambda state: seen.append(state["status"]), lambda: None)
    assert (ended["id"], ended["status"]) == ("3", "Successful")
    assert len(api.states) == 1
    assert seen[0] == "Queued"
    assert api.keys == {"key"}


def test_a_folder_that_is_not_configured_has_one_answer_for_every_landing(api: Api) -> None:
    api.states = [[run("0", "Skipped", opened="2026-01-01T00:00:00Z") | {"fingerprint": ""}]]
    with runs_of(api) as runs:
        ended = runs.follow("E", runs.known(["E"]), LANDED, lambda _: None, lambda: None)
    assert (ended["id"], ended["status"]) == ("0", "Skipped")


def test_outlives_a_restart_of_the_host(api: Api) -> None:
    api.refusals = 3
    api.states = [[run("1", "Failed")]]
    with runs_of(api) as runs:
        assert runs.known(["E"]) == {"1"}


def test_says_when_the_app_refuses(api: Api) -> None:
    with runs_of(api) as runs, pytest.raises(RunsError, match="404"):
        runs.get("none")


def test_prints_a_line_per_change_where_there_is_no_terminal() -> None:
    out = StringIO()
    with Progress(Console(file=out, width=120)) as progress:
        progress(run("1", "Refreshing", task("CustomerProfile", "Queued")))
        progress(run("1", "Refreshing", task("CustomerProfile", "Queued")))
        progress(run("1", "Successful", task("CustomerProfile", "Successful", created=5)))
    assert out.getvalue().split("\n") == ["  CustomerProfile: Queued", "  CustomerProfile: Successful", ""]


WAITING = {"detail": "Stage 1.\n1 chunk waits until 10:42 UTC: Busy.", "waits_until": "2026-11-01T10:41:30Z"}


def test_prints_what_a_run_waits_for_once() -> None:
    out = StringIO()
    shown = run("1", "Refreshing", task("CustomerProfile", "Refreshing"))
    with Progress(Console(file=out, width=120)) as progress:
        for state in (shown, shown | WAITING, shown | WAITING, shown, shown | WAITING):
            progress(state)
    told = "  1 chunk waits until 10:42 UTC: Busy."
    assert out.getvalue().split("\n") == ["  CustomerProfile: Refreshing", told, told, ""]


def test_shows_what_a_run_waits_for_below_its_table() -> None:
    out = StringIO()
    with Progress(Console(file=out, width=120, force_terminal=True)) as progress:
        progress(run("1", "Refreshing", task("CustomerProfile", "Refreshing")) | WAITING)
    assert "1 chunk waits until 10:42 UTC: Busy." in out.getvalue()


def test_a_run_that_waits_does_not_stand_still(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.runs_view._STANDSTILL_SECONDS", 0.0)
    refreshing = run("1", "Refreshing")
    api.states = [*([[refreshing | WAITING]] * 5), [run("1", "Successful")]]
    with runs_of(api) as runs:
        assert runs.follow("E", frozenset(), LANDED, lambda _: None, lambda: None)["status"] == "Successful"
    api.states = [*([[refreshing]] * 5), [run("1", "Successful")]]
    with runs_of(api) as runs, pytest.raises(RunsError, match="Nothing has moved"):
        runs.follow("E", frozenset(), LANDED, lambda _: None, lambda: None)


def test_the_title_names_a_mode_that_is_not_the_usual_one() -> None:
    assert str(task_table(run("1", "Successful")).title) == "Run 1: Successful"
    assert str(task_table(run("1", "Successful") | {"mode": "plan"}).title) == "Run 1 (plan): Successful"


def test_the_table_holds_the_counts_and_no_markup_of_the_run() -> None:
    out = StringIO()
    console = Console(file=out, width=140)
    one = task("CustomerProfile", "Completed with rejects", created=12345, rejected=7)
    shown = run(
        "1", "Completed with rejects", one | {"detail": "7 rows [red]refused[/red]"}, task("[b]x", "Successful")
    )
    console.print(task_table(shown))
    assert all(text in out.getvalue() for text in ("12,345", "Writes", "Rejected", "[b]x"))
    assert "Held" not in out.getvalue()
    assert details(shown) == ["CustomerProfile: 7 rows [red]refused[/red]"]


def test_a_run_without_tasks_tells_why() -> None:
    assert details(run("1", "Failed") | {"detail": "No manifest."}) == ["Failed: No manifest."]
