"""A plan says what a run then writes; what a run holds is done when a person confirms it. Over the real local stack."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import landing, snapshots
from local.inputs import lake_folder
from local.stack import Stack
from tests.support.lakes import Entity, write_lake

ENVIRONMENT = "5f5f5f5f-0000-4000-8000-000000000003"
ORGANIZATION = "held.crm.dynamics.com"
CONFIG = f"""
[environments."{ENVIRONMENT}"]
dataverse_url = "https://{ORGANIZATION}"
audience = "individuals"
"""
PEOPLE, LEFT = 160, 150
ENDED = {"Successful", "Completed with rejects", "Failed", "Skipped", "Canceled"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("held")


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    (folder / "hydration.toml").write_text(CONFIG, encoding="utf-8")
    settings = {"HYDRATION_SETTLE_SECONDS": "1", "HYDRATION_LEASE_SECONDS": "4", "DATAVERSE_TIMEOUT_SECONDS": "3"}
    with Stack(folder / "stack", folder / "hydration.toml", settings=settings, keeps=False) as running:
        yield running


@pytest.fixture(scope="module")
def http(stack: Stack) -> Iterator[httpx.Client]:
    headers = {"x-functions-key": stack.function_key}
    with httpx.Client(base_url=f"{stack.host_url}/api", headers=headers, trust_env=False, timeout=30) as client:
        yield client


def land(stack: Stack, folder: Path, name: str, people: range) -> None:
    rows = "".join(f"c{number},Name {number}\n" for number in people)
    write_lake(folder / name, ENVIRONMENT, Entity("Customer", ("CustomerId", "Name"), {"1.csv": rows}))
    landing.land(lake_folder(folder / name), stack.lake_connection_string, "customerinsights")


def runs(http: httpx.Client) -> list[dict[str, Any]]:
    """The newest first."""
    found: list[dict[str, Any]] = http.get("/runs", params={"environment": ENVIRONMENT}).json()["runs"]
    return found


def all_ended(http: httpx.Client, number: int) -> list[dict[str, Any]]:
    """So many runs with their tasks, the newest first, when they have ended."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = runs(http)
        if len(found) >= number and all(run["status"] in ENDED for run in found):
            return [http.get(f"/runs/{run['id']}").json() for run in found]
        time.sleep(0.3)
    raise AssertionError(f"not all has ended: {runs(http)}")


def profiles(run: dict[str, Any]) -> dict[str, Any]:
    return next(task for task in run["tasks"] if task["name"] == "CustomerProfile")


def test_a_plan_says_what_the_run_after_it_writes(stack: Stack, http: httpx.Client, folder: Path) -> None:
    plan = http.post("/runs", json={"environment": ENVIRONMENT, "mode": "plan"}).json()
    land(stack, folder, "first", range(PEOPLE))
    written, planned = all_ended(http, 2)
    assert (planned["id"], planned["mode"], planned["status"]) == (plan["id"], "plan", "Successful")
    said = f"Nothing was written: this was a plan. A run now would write {PEOPLE} rows and remove 0."
    assert planned["detail"].startswith(said)
    assert (written["origin"], written["status"]) == ("automatic", "Successful"), "the plan covered no snapshot"
    told = [(profiles(run)["created"], profiles(run)["writes"]) for run in (planned, written)]
    assert told == [(PEOPLE, 0), (PEOPLE, PEOPLE)]


def test_what_is_held_goes_when_it_is_confirmed(stack: Stack, http: httpx.Client, folder: Path) -> None:
    before = len(runs(http))
    land(stack, folder, "second", range(LEFT, PEOPLE))
    run = all_ended(http, before + 1)[0]
    assert run["status"] == "Completed with rejects", run
    assert (profiles(run)["held"], profiles(run)["removed"], run["confirmable"]) == (LEFT, 0, LEFT)
    assert f"{LEFT} held changes can be confirmed" in http.get("/status").text

    asked = [http.post(f"/runs/{run['id']}/confirm") for _ in range(2)]
    assert asked[0].status_code == 202
    made = asked[0].json()
    assert (made["mode"], made["confirms"]) == ("confirm", run["id"])
    assert asked[1].status_code in {202, 409}, "the second time it goes on, or has ended"
    done, confirmed = all_ended(http, before + 2)[:2]
    assert (done["id"], confirmed["confirmed_by"]) == (made["id"], made["id"])
    assert done["status"] == "Successful", [done["detail"], *(task["detail"] for task in done["tasks"])]
    assert [task["name"] for task in done["tasks"]] == ["CustomerProfile"]
    assert profiles(done)["removed"] == LEFT
    snapshots.export(stack, ORGANIZATION, folder / "content")
    rows = (folder / "content" / "msdynci_customerprofile.ndjson").read_text(encoding="utf-8").splitlines()
    assert len(rows) == PEOPLE - LEFT

    again = http.post(f"/runs/{run['id']}/confirm")
    assert again.status_code == 409
    assert f"the run {made['id']} ended Successful" in again.json()["error"]["message"]


def test_after_it_nothing_is_left_to_do(http: httpx.Client) -> None:
    before = len(runs(http))
    http.post("/runs", json={"environment": ENVIRONMENT})
    run = all_ended(http, before + 1)[0]
    assert (run["status"], run["detail"], run["confirmable"]) == ("Successful", "Nothing had changed.", 0)
