"""The brake over rows, links and profiles at once, confirmations and pauses, as a person meets them over HTTP."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from local import landing, snapshots
from local.inputs import lake_folder
from local.stack import Stack
from tests.support.lakes import Entity, write_lake
from tests.support.links import KEYS, LINKING, LOOKUP, PROFILE, VALUE, names, paired, row

ENVIRONMENT = "5f5f5f5f-0000-4000-8000-00000000b7ae"
ORGANIZATION = "braked.crm.dynamics.com"
CONFIG = f"""
[environments."{ENVIRONMENT}"]
dataverse_url = "https://{ORGANIZATION}"

[data_sources.CRM]
dataverse = "https://{ORGANIZATION}"
"""
SETTINGS = snapshots.LANDED_WHOLE | {"HYDRATION_LEASE_SECONDS": "4", "DATAVERSE_TIMEOUT_SECONDS": "3"}
ENDED = {"Successful", "Completed with rejects", "Failed", "Skipped", "Canceled"}
PEOPLE, STAY = range(125), range(10)
GONE = len(PEOPLE) - len(STAY)
NEWER = 12
CONTACTS = f"{LINKING}contact"
HELD = ("CustomerProfile", "AlternateKey", CONTACTS)


@dataclass
class Place:
    """The environment over HTTP, and its organization."""

    stack: Stack
    http: httpx.Client
    folder: Path
    landings: int = 0

    def lake(self, people: range) -> Path:
        self.landings += 1
        profiles = "".join(f"{key},{name}\n" for key, name in names(people).items())
        keys = "".join(f"CRM,contact,{one},{profile}\n" for one, profile in paired(people).items())
        customers = Entity("Customer", ("CustomerId", "Name"), {"1.csv": profiles})
        alternate = Entity("AlternateKey", KEYS, {"1.csv": keys})
        return write_lake(self.folder / f"lake{self.landings}", ENVIRONMENT, customers, alternate)

    def land(self, people: range) -> dict[str, Any]:
        """Land these people and wait for the run."""
        quiet = Console(file=io.StringIO())
        return snapshots.hydrate(self.stack, lake_folder(self.lake(people)), quiet)[ENVIRONMENT]

    def ask(self, **more: str) -> dict[str, Any]:
        return self.end_of(self.http.post("/runs", json={"environment": ENVIRONMENT, **more}).json()["id"])

    def confirm(self, run: str) -> httpx.Response:
        return self.http.post(f"/runs/{run}/confirm")

    def end_of(self, run: str) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found: dict[str, Any] = self.http.get(f"/runs/{run}").raise_for_status().json()
            if found["status"] in ENDED:
                return found
            time.sleep(0.2)
        raise AssertionError(f"it has not ended: {found}")

    def environment(self) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"/environments/{ENVIRONMENT}").raise_for_status().json()
        return found

    def rows(self, table: str) -> dict[str, dict[str, Any]]:
        url = f"{self.stack.dataverse_url}/local/{ORGANIZATION}/export/{table}"
        lines = httpx.get(url, trust_env=False).raise_for_status().text.splitlines()
        return {one[f"{table}id"]: one for one in map(json.loads, lines)}

    def assert_holds(self, people: range) -> None:
        """These profiles, their keys, the links of their contacts, and every other cell of the contacts as it was."""
        assert {key: one["msdynci_name"] for key, one in self.rows(PROFILE).items()} == names(people)
        contacts = self.rows("contact")
        assert {key: one[VALUE] for key, one in contacts.items() if one.get(VALUE)} == paired(people)
        assert {key: one["firstname"] for key, one in contacts.items()} == {row(n): f"Text {n}" for n in PEOPLE}
        assert {one["msdynci_alternatevalue"] for one in self.rows("msdynci_alternatekey").values()} == {
            *paired(people)
        }

    def written(self) -> Mapping[str, int]:
        return snapshots.rows_written(self.stack, ORGANIZATION)


@pytest.fixture(scope="module", name="place")
def _place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("over-http")
    (folder / "hydration.toml").write_text(CONFIG, encoding="utf-8")
    with Stack(folder / "stack", folder / "hydration.toml", settings=SETTINGS, keeps=False) as stack:
        headers = {"x-functions-key": stack.function_key}
        content = "\n".join(["contactid,firstname", *(f"{row(n)},Text {n}" for n in PEOPLE)])
        url = f"{stack.dataverse_url}/local/{ORGANIZATION}/seed/contact"
        seeded = httpx.post(url, content=content.encode(), headers={"Content-Type": "text/csv"}, trust_env=False)
        seeded.raise_for_status()
        with httpx.Client(base_url=f"{stack.host_url}/api", headers=headers, trust_env=False, timeout=30) as http:
            yield Place(stack, http, folder)


@pytest.fixture(scope="module", name="braked")
def _braked(place: Place) -> dict[str, Any]:
    """A run that found most of everything gone."""
    first = place.land(PEOPLE)
    assert first["status"] == "Successful", first
    return place.land(STAY)


def task(run: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in run["tasks"] if one["name"] == name)


def test_rows_links_and_profiles_are_held_and_the_run_ends(place: Place, braked: dict[str, Any]) -> None:
    assert (braked["status"], braked["confirmable"]) == ("Completed with rejects", 3 * GONE), braked
    said = {
        "CustomerProfile": f"{GONE} rows not removed though absent from the snapshot",
        "AlternateKey": f"{GONE} rows not removed though absent from the snapshot",
        CONTACTS: f"{GONE} links not cleared though the row or its profile left unification",
    }
    for name, what in said.items():
        one = task(braked, name)
        assert (one["held"], one["removed"], one["writes"], one["unchanged"]) == (GONE, 0, 0, len(STAY)), name
        why = f"{what}: more than the brake allows (10 percent of {len(PEOPLE)})"
        assert why in one["detail"]
        assert f"POST /api/runs/{braked['id']}/confirm" in one["detail"]
    place.assert_holds(PEOPLE)
    assert place.environment()["run"] is None, "the environment is free"


@pytest.fixture(scope="module", name="newer")
def _newer(place: Place, braked: dict[str, Any]) -> dict[str, Any]:
    """The next run, of a snapshot in which two more are there."""
    assert braked["confirmable"]
    return place.land(range(NEWER))


def test_a_newer_run_judges_anew_and_the_older_one_cannot_be_confirmed_any_more(
    place: Place, braked: dict[str, Any], newer: dict[str, Any]
) -> None:
    assert newer["status"] == "Completed with rejects", newer
    assert [task(newer, name)["held"] for name in HELD] == [len(PEOPLE) - NEWER] * 3
    before = place.written()
    late = place.confirm(braked["id"])
    assert late.status_code == 409
    assert f"A newer run ({newer['id']}) has started since" in late.json()["error"]["message"]
    assert place.written() == before
    place.assert_holds(PEOPLE)


def test_a_confirmation_does_exactly_what_was_held_once(place: Place, newer: dict[str, Any]) -> None:
    before, gone = place.written(), len(PEOPLE) - NEWER
    asked = place.confirm(newer["id"])
    assert asked.status_code == 202
    done = place.end_of(asked.json()["id"])
    assert done["status"] == "Successful", done
    assert {one["name"]: one["removed"] for one in done["tasks"]} == dict.fromkeys(HELD, gone)
    place.assert_holds(range(NEWER))
    after = place.written()
    written = {table: after[table] - before[table] for table in after}
    assert written == dict.fromkeys((PROFILE, "msdynci_alternatekey", "contact"), gone)
    columns = snapshots.statistics(place.stack, ORGANIZATION)["columns"]["contact"]["updated"]
    assert set(columns) == {LOOKUP}
    again = place.confirm(newer["id"])
    assert again.status_code == 409
    assert f"the run {done['id']} ended Successful" in again.json()["error"]["message"]
    assert place.written() == after


def test_a_paused_environment_begins_nothing_and_goes_on_when_it_is_resumed(place: Place) -> None:
    paused = place.http.post(f"/environments/{ENVIRONMENT}/pause", json={"reason": "Maintenance."})
    assert paused.status_code == 200
    assert (paused.json()["reason"], bool(paused.json()["paused"])) == ("Maintenance.", True)
    before = place.written()
    manifests = landing.land(lake_folder(place.lake(PEOPLE)), place.stack.lake_connection_string, "customerinsights")
    landing.post_events(landing.endpoint(place.stack.host_url, place.stack.function_key), manifests)
    run = place.http.post("/runs", json={"environment": ENVIRONMENT, "mode": "verify"}).json()
    time.sleep(1)
    shown = place.http.get(f"/runs/{run['id']}").json()
    assert shown["status"] == "Queued"
    assert shown["detail"].startswith("Paused since ")
    assert "Maintenance." in shown["detail"]
    assert place.written() == before
    resumed = place.http.post(f"/environments/{ENVIRONMENT}/resume")
    assert (resumed.status_code, resumed.json()["paused"]) == (200, None)
    assert place.end_of(run["id"])["status"] == "Successful"
    place.assert_holds(PEOPLE)
