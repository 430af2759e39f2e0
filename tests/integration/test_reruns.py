"""What a person can ask for and see over HTTP, and what the sweep finds by itself. Over the real local stack."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import landing, snapshots
from local.inputs import lake_folder
from local.stack import Stack
from tests.support.lakes import Entity, write_lake

ENVIRONMENT = "5f5f5f5f-0000-4000-8000-000000000001"
SILENT = "5f5f5f5f-0000-4000-8000-000000000002"
STRANGER = "5f5f5f5f-0000-4000-8000-00000000000f"
CONFIG = f"""
[environments."{ENVIRONMENT}"]
dataverse_url = "https://reruns.crm.dynamics.com"
audience = "individuals"

[environments."{SILENT}"]
dataverse_url = "https://silent.crm.dynamics.com"
audience = "individuals"

[data_sources.CRM]
dataverse = "https://reruns.crm.dynamics.com"
"""
PEOPLE = ("CustomerId", "Name", "CRM_contact_contactid")
ROWS = "c1,<b>Ada</b>,00000000-0000-4000-8000-000000000001\nc2,Grace,\n"
ENDED = {"Successful", "Completed with rejects", "Failed", "Skipped", "Canceled"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose sweep is awake: nobody announces what lands in it."""
    folder = tmp_path_factory.mktemp("reruns")
    (folder / "hydration.toml").write_text(CONFIG, encoding="utf-8")
    lake = folder / "lake"
    for environment in (ENVIRONMENT, STRANGER):
        write_lake(lake, environment, Entity("Customer", PEOPLE, {"1.csv": ROWS}))
    settings = {"HYDRATION_SETTLE_SECONDS": "1", "HYDRATION_LEASE_SECONDS": "4", "DATAVERSE_TIMEOUT_SECONDS": "3"}
    with Stack(folder / "stack", folder / "hydration.toml", settings=settings, keeps=False) as running:
        landing.land(lake_folder(lake), running.lake_connection_string, "customerinsights")
        yield running


@pytest.fixture(scope="module")
def http(stack: Stack) -> Iterator[httpx.Client]:
    headers = {"x-functions-key": stack.function_key}
    with httpx.Client(base_url=f"{stack.host_url}/api", headers=headers, trust_env=False, timeout=30) as client:
        yield client


def until(found: Callable[[], Any], seconds: float = 40) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := found():
            return answer
        time.sleep(0.3)
    raise AssertionError("it did not come about in time")


def ended(http: httpx.Client, run: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        shown: dict[str, Any] = http.get(f"/runs/{run}").raise_for_status().json()
        return shown if shown["status"] in ENDED else None

    found: dict[str, Any] = until(look)
    return found


@pytest.fixture(scope="module")
def first(http: httpx.Client) -> dict[str, Any]:
    """The run that the sweep opened: no event told of the landing."""
    listed = until(lambda: http.get("/runs", params={"environment": ENVIRONMENT}).json()["runs"])
    return ended(http, listed[0]["id"])


def writes(run: dict[str, Any]) -> dict[str, int]:
    return {task["name"]: task["writes"] for task in run["tasks"]}


def test_the_sweep_finds_what_no_event_told_of(first: dict[str, Any]) -> None:
    assert first["origin"] == "automatic"
    assert first["status"] == "Successful", first
    assert writes(first)["CustomerProfile"] == 2
    contact = next(task for task in first["tasks"] if task["name"].endswith(": contact"))
    assert (contact["status"], contact["missing"]) == ("Successful", 1), "the contact is not in Dataverse"


def test_an_incremental_rerun_writes_nothing_where_nothing_changed(http: httpx.Client, first: dict[str, Any]) -> None:
    asked = http.post("/runs", json={"environment": ENVIRONMENT})
    assert asked.status_code == 202
    assert asked.json()["origin"] == "manual"
    run = ended(http, asked.json()["id"])
    assert run["status"] == first["status"]
    assert sum(writes(run).values()) == 0


def test_a_full_rerun_of_some_tables_writes_every_row_of_these(http: httpx.Client, first: dict[str, Any]) -> None:
    assert first["status"] == "Successful"
    asked = http.post("/runs", json={"environment": ENVIRONMENT, "mode": "full", "tables": ["CustomerProfile", "Nope"]})
    run = ended(http, asked.json()["id"])
    assert run["tables"] == ["CustomerProfile", "Nope"]
    shown = {task["name"]: (task["status"], task["writes"], task["changed"]) for task in run["tasks"]}
    assert shown == {"CustomerProfile": ("Successful", 2, 2), "Nope": ("Skipped", 0, 0)}


def test_a_folder_that_is_not_configured_is_skipped_once(http: httpx.Client, first: dict[str, Any]) -> None:
    assert first["status"] == "Successful"
    listed = until(lambda: http.get("/runs", params={"environment": STRANGER}).json()["runs"])
    assert [(run["status"], run["ended"] is not None) for run in listed] == [("Skipped", True)]
    assert "Not configured" in listed[0]["detail"]
    assert http.get(f"/runs/{listed[0]['id']}").json()["environment"] == STRANGER


def test_the_same_request_while_it_waits_is_the_same_run(http: httpx.Client) -> None:
    first, second = (http.post("/runs", json={"environment": SILENT}).json() for _ in range(2))
    assert first["id"] == second["id"]
    assert first["status"] == "Queued"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "not JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"environment": "nobody"}', "not configured"),
        (b'{"environment": "x", "mode": "quick"}', "mode must be one of incremental, full, verify, plan"),
        (b'{"environment": "x", "mode": "confirm"}', "POST /api/runs/{its id}/confirm"),
        (b'{"environment": "x", "tables": "CustomerProfile"}', "tables must be a list"),
        (b'{"environment": "x", "table": []}', "table is not known here"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(http: httpx.Client, body: bytes, says: str) -> None:
    answer = http.post("/runs", content=body)
    assert answer.status_code == 400
    assert says in answer.json()["error"]["message"]


def test_a_run_that_holds_nothing_cannot_be_confirmed(http: httpx.Client, first: dict[str, Any]) -> None:
    assert (first["confirmable"], first["confirmed_by"]) == (0, None)
    answer = http.post(f"/runs/{first['id']}/confirm")
    assert answer.status_code == 400
    assert "holds nothing that can be confirmed" in answer.json()["error"]["message"]
    assert http.post("/runs/20200101T000000-abc/confirm").status_code == 404


# -- pause and resume ----------------------------------------------------------------------------------------


def test_a_paused_environment_says_so_everywhere_and_goes_on_when_it_is_resumed(
    http: httpx.Client, first: dict[str, Any]
) -> None:
    address = f"/environments/{ENVIRONMENT}"
    before = http.get(address).json()
    assert before | {"organization_id": None} == {
        "id": ENVIRONMENT, "dataverse_url": "https://reruns.crm.dynamics.com", "organization_id": None,
        "paused": None, "reason": None, "run": None,
    }  # fmt: skip
    assert before["organization_id"]
    paused = http.post(f"{address}/pause", json={"reason": "Moving <house>."})
    assert paused.status_code == 200
    assert (
        paused.json()
        == http.get(address).json()
        == before | {"paused": paused.json()["paused"]} | {"reason": "Moving <house>."}
    )
    asked = http.post("/runs", json={"environment": ENVIRONMENT}).json()
    waits = f"Paused since {paused.json()['paused']}: Moving <house>. Resume with POST /api{address}/resume."
    assert (asked["status"], asked["detail"]) == ("Queued", waits)
    assert http.get(f"/runs/{asked['id']}").json()["detail"] == waits
    assert f"Environment {ENVIRONMENT}: Paused since" in http.get("/status").text
    resumed = http.post(f"{address}/resume")
    assert resumed.status_code == 200
    assert resumed.json()["paused"] is None
    assert ended(http, asked["id"])["status"] == first["status"]


def test_all_environments_are_listed(http: httpx.Client) -> None:
    shown = {one["id"]: one for one in http.get("/environments").json()["environments"]}
    assert shown.keys() >= {ENVIRONMENT, SILENT}
    assert shown[SILENT]["organization_id"] is None
    assert shown[SILENT]["dataverse_url"] == "https://silent.crm.dynamics.com"


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/environments/nobody/pause", b"", 404, "There is no environment nobody"),
        ("/environments/nobody/resume", b"", 404, "There is no environment nobody"),
        (f"/environments/{SILENT}/pause", b'{"reason": 5}', 400, "reason must be a text"),
        (f"/environments/{SILENT}/pause", b"{", 400, "not JSON"),
    ],
)
def test_a_bad_request_to_pause_is_told_what_is_wrong(
    http: httpx.Client, path: str, body: bytes, status: int, says: str
) -> None:
    answer = http.post(path, content=body)
    assert answer.status_code == status
    assert says in answer.json()["error"]["message"]
    assert http.get(f"/environments/{SILENT}").json()["paused"] is None
    assert http.get("/environments/nobody").status_code == 404


def test_a_run_that_is_not_there(http: httpx.Client) -> None:
    for path in ("/runs/20200101T000000-abc", "/runs/20200101T000000-abc/rejects/contact"):
        answer = http.get(path)
        assert answer.status_code == 404
        said = "There is no run 20200101T000000-abc. Runs are kept for 30 days (retention_days in hydration.toml)."
        assert answer.json()["error"]["message"] == said


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/runs"),
        ("GET", "/runs"),
        ("GET", "/runs/1"),
        ("GET", "/runs/1/rejects/contact"),
        ("POST", "/runs/1/confirm"),
        ("GET", "/environments"),
        ("GET", "/environments/1"),
        ("POST", "/environments/1/pause"),
        ("POST", "/environments/1/resume"),
        ("GET", "/status"),
    ],
)
def test_all_but_health_need_the_key(stack: Stack, method: str, path: str) -> None:
    answer = httpx.request(method, f"{stack.host_url}/api{path}", trust_env=False)
    assert answer.status_code == 401


def test_health_is_for_everybody(stack: Stack) -> None:
    answer = httpx.get(f"{stack.host_url}/api/health", trust_env=False)
    assert (answer.status_code, answer.json()) == (200, {"status": "healthy"})


def test_the_page_shows_runs_tasks_and_counts(http: httpx.Client, first: dict[str, Any]) -> None:
    page = http.get("/status")
    assert page.headers["content-type"].startswith("text/html")
    for text in (
        first["id"],
        ENVIRONMENT,
        "CustomerId Backstamping Hydration: contact",
        "Successful",
        "Not configured",
    ):
        assert text in page.text
    assert "Ada" not in page.text


def test_no_customer_value_reaches_the_logs(stack: Stack, first: dict[str, Any]) -> None:
    assert first["status"] == "Successful"
    log = (stack.root / "logs" / "host.log").read_text(encoding="utf-8")
    assert "Ada" not in log
    assert snapshots.rows_written(stack, "reruns.crm.dynamics.com")


def test_rejects_are_given_out_as_a_file(stack: Stack, http: httpx.Client, tmp_path: Path) -> None:
    before = http.get("/runs", params={"environment": ENVIRONMENT, "limit": 1}).json()["runs"][0]["id"]
    rows = f"{ROWS}c3,Eve,=no key\n"
    write_lake(tmp_path, ENVIRONMENT, Entity("Customer", PEOPLE, {"1.csv": rows}))
    landing.land(lake_folder(tmp_path), stack.lake_connection_string, "customerinsights")

    def newer() -> Any:
        found = http.get("/runs", params={"environment": ENVIRONMENT, "limit": 1}).json()["runs"][0]
        return found if found["id"] != before else None

    run = ended(http, until(newer)["id"])
    [task] = [task for task in run["tasks"] if task["rejected"]]
    assert task["rejects"] == f"/api/runs/{run['id']}/rejects/{task['key']}"
    answer = http.get(f"{stack.host_url}{task['rejects']}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="rejects-{task["key"]}-{run["id"]}.csv"'
    [line] = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline=""))
    assert (line["source_key"], line["column"], line["code"]) == ("'=no key", "key", "no_row")
    answer = http.get(f"/runs/{run['id']}/rejects/CustomerProfile")
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == f"The task CustomerProfile of run {run['id']} has no rejects."
