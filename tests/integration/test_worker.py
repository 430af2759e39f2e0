"""The real Functions worker takes the app, and calls what the trigger host calls."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from local.children import ROOT, base_environment
from local.stack import Stack
from shared.runs.messages import ChunkMessage, Step, TableMessage, encode
from tests.support import worker

APP = Path(__file__).parent.parent / "support" / "apps" / "small"

pytestmark = pytest.mark.skipif(not worker.AVAILABLE, reason=worker.REASON)


def test_the_worker_indexes_and_calls_every_kind_of_function(tmp_path: Path) -> None:
    calls = [
        worker.queue_message("work", b'{"key": "a"}', delivery_count=3, n=1),
        worker.queue_message("dead", b'{"key": "b"}'),
        worker.timer("tick"),
        worker.blob("landed", "lake/x.json", b"hello"),
        worker.http("thing", "POST", "http://127.0.0.1/api/things/7", body=b"hi", id="7"),
        worker.http("health", "GET", "http://127.0.0.1/api/health"),
        worker.queue_message("work", b'{"key": "c", "fails": true}'),
    ]
    seen = tmp_path / "seen"
    indexed = worker.index_and_call(APP, base_environment() | {"SEEN": str(seen)}, calls)
    assert indexed.refused == ""
    assert set(indexed.bindings) == {"work", "dead", "tick", "landed", "thing", "health"}
    assert [outcome.ok for outcome in indexed.outcomes] == [True] * 6 + [False]
    assert "asked to fail" in indexed.outcomes[-1].error
    assert indexed.outcomes[4].status == 201
    assert json.loads(indexed.outcomes[4].body)["id"] == "7"
    assert (indexed.outcomes[5].status, indexed.outcomes[5].body) == (200, "fine, GET")
    noted = [json.loads(line) for line in seen.read_text().splitlines()]
    assert noted[0] | {"at": 0} == {
        "function": "work begins",
        "at": 0,
        "key": "a",
        "delivery": 3,
        "properties": {"n": 1},
    }
    (landed,) = [line for line in noted if line["function"] == "landed"]
    assert (landed["name"], landed["length"], landed["content"]) == ("lake/x.json", 5, "hello")


def test_the_worker_says_why_it_refuses_an_app(tmp_path: Path) -> None:
    app = "import azure.functions as func\napp = func.FunctionApp()\n"
    app += '@app.timer_trigger(arg_name="t", schedule="0 * * * * *")\ndef f(t: func.HttpRequest): pass\n'
    (tmp_path / "function_app.py").write_text(app)
    assert "cannot load the f function" in worker.index_and_call(tmp_path, base_environment()).refused


def test_the_worker_indexes_and_calls_every_function_of_the_app(stack: Stack) -> None:
    environment, url = "3f0c2a9e-77aa-4b52-9d3c-1f8b6f5d2e10", f"{stack.host_url}/api"
    step = encode(TableMessage(Step.ADVANCE, environment, "no such run"))
    chunk = encode(ChunkMessage(environment, "no such run", "no such task", "1", 1, 1))
    calls = [
        worker.blob("unification_output_landed", f"customerinsights/ci_{environment}/other.txt", b""),
        worker.queue_message("hydration_tables", step),
        worker.queue_message("hydration_tables_dead", step),
        worker.queue_message("hydration_upserts", chunk),
        worker.queue_message("hydration_upserts_dead", chunk),
        worker.queue_message("hydration_backstamps", chunk),
        worker.queue_message("hydration_backstamps_dead", chunk),
        worker.timer("reconcile_runs"),
        worker.timer("sweep_snapshots"),
        worker.timer("tidy_up"),
        worker.http("request_run", "POST", f"{url}/runs", body=b"no JSON"),
        worker.http("list_runs", "GET", f"{url}/runs"),
        worker.http("get_run", "GET", f"{url}/runs/none", id="none"),
        worker.http("get_rejects", "GET", f"{url}/runs/none/rejects/contact", id="none", task="contact"),
        worker.http("confirm_run", "POST", f"{url}/runs/none/confirm", id="none"),
        worker.http("cancel_run", "POST", f"{url}/runs/none/cancel", id="none"),
        worker.http("list_environments", "GET", f"{url}/environments"),
        worker.http("get_environment", "GET", f"{url}/environments/none", id="none"),
        worker.http("pause_environment", "POST", f"{url}/environments/none/pause", body=b"no JSON", id="none"),
        worker.http("resume_environment", "POST", f"{url}/environments/none/resume", id="none"),
        worker.http("show_status", "GET", f"{url}/status"),
        worker.http("health", "GET", f"{url}/health"),
    ]
    indexed = worker.index_and_call(ROOT, base_environment() | stack.settings, calls)
    assert indexed.refused == ""
    served = httpx.get(f"{stack.host_url}/admin/host/status", trust_env=False).json()["functions"]
    assert set(indexed.bindings) == set(served) == {call.function for call in calls}
    assert {outcome.function: outcome.error for outcome in indexed.outcomes if not outcome.ok} == {}
    statuses = {outcome.function: outcome.status for outcome in indexed.outcomes if outcome.status}
    assert statuses == {
        "request_run": 400, "list_runs": 200, "get_run": 404, "get_rejects": 404, "confirm_run": 404,
        "cancel_run": 404,
        "list_environments": 200, "get_environment": 404, "pause_environment": 400, "resume_environment": 404,
        "show_status": 200, "health": 200,
    }  # fmt: skip
