"""The real Functions worker takes the small app, and calls what the trigger host calls."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.children import base_environment
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
