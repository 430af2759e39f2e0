"""Runs as the HTTP API shows them, and what it takes as a request for one."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ConfigurationError
from shared.runs.entities import to_entity
from shared.runs.model import PROFILES, Chunk, Environment, Kind, Mode, Phase, Run, Status, Task, TaskPhase
from shared.services import Services
from shared.views import read_request, run_view, run_with_tasks

OPENED = datetime(2026, 11, 2, 3, 4, 5, 678901, tzinfo=UTC)


def test_a_run_is_shown_with_times_in_seconds() -> None:
    run = Run(
        "x", "e", Mode.FULL, manual=True, tables=("AlternateKey",), status=Status.FAILED, phase=Phase.ENDED,
        detail="Why.", fingerprint="f", opened=OPENED,
    )  # fmt: skip
    assert run_view(run) == {
        "id": "x",
        "environment": "e",
        "mode": "full",
        "origin": "manual",
        "tables": ["AlternateKey"],
        "status": "Failed",
        "detail": "Why.",
        "confirms": None,
        "confirmed_by": None,
        "fingerprint": "f",
        "opened": "2026-11-02T03:04:05+00:00",
        "updated": None,
        "ended": None,
    }
    assert run_view(Run("x", "e"))["origin"] == "automatic"


def test_nothing_internal_is_shown() -> None:
    shown = run_view(Run("x", "e", etag="W/1", organization_id="secret"))
    assert {"etag", "phase", "organization_id", "dispatched"}.isdisjoint(shown)
    assert {field.name for field in fields(Run)} > shown.keys() - {"origin"}
    json.dumps(shown)


PAUSED = Environment("e", paused=OPENED, pause_reason="Maintenance.")
SINCE = "Paused since 2026-11-02T03:04:05+00:00"
RESUME = "Resume with POST /api/environments/e/resume."


def test_a_run_of_a_paused_environment_says_so_and_how_to_resume() -> None:
    waiting = Run("x", "e", detail="It waits.")
    assert run_view(waiting, PAUSED)["detail"] == f"{SINCE}: Maintenance. {RESUME}"
    assert run_view(waiting, replace(PAUSED, pause_reason=""))["detail"] == f"{SINCE}. {RESUME}"
    sent = Run("x", "e", status=Status.REFRESHING, phase=Phase.SENDING, detail="Stage 1.")
    assert run_view(sent, PAUSED)["detail"] == f"{SINCE}: Maintenance. {RESUME}\nStage 1."
    assert run_view(sent, PAUSED)["status"] == "Refreshing"


def test_a_run_tells_its_own_where_it_has_ended_or_nothing_is_paused() -> None:
    waiting = Run("x", "e", detail="It waits.")
    assert run_view(waiting, Environment("e"))["detail"] == "It waits."
    assert run_view(replace(waiting, phase=Phase.ENDED, status=Status.FAILED), PAUSED)["detail"] == "It waits."


# -- what a run waits for ----------------------------------------------------------------------------------

NOW = OPENED
SENT = Run("x", "e", status=Status.REFRESHING, phase=Phase.SENDING, detail="Stage 1.")
BUSY = "https://x.crm.dynamics.com: Dataverse asks to send less. (HTTP 429, code 0x80072322)"


def put_off(number: int, minutes: float = 30, trouble: str = BUSY, task: str = "CustomerProfile") -> Chunk:
    until = NOW + timedelta(minutes=minutes)
    return Chunk("x", task, "a", number, PROFILES, 10, lease_until=until, trouble=trouble)


def shown(chunks: list[Chunk], run: Run = SENT, environment: Environment | None = None) -> dict[str, Any]:
    tasks = [
        Task(
            "x", "CustomerProfile", "CustomerProfile", Kind.TABLE, "CustomerProfile", phase=TaskPhase.PLANNED, chunks=9
        ),
        Task("x", "link.lead", "Link lead", Kind.LINK, "lead", phase=TaskPhase.PLANNED, chunks=9),
    ]
    store = SimpleNamespace(
        tasks=lambda _: tasks,
        chunks=lambda task: [chunk for chunk in chunks if chunk.task == task.key],
        environment=lambda _: environment or Environment("e"),
    )
    services = SimpleNamespace(store=store, clock=SimpleNamespace(now=lambda: NOW))
    return run_with_tasks(cast("Services", services), run)


def test_a_run_and_its_task_say_until_when_they_wait_and_why() -> None:
    told = shown([put_off(1), put_off(2, 35), put_off(3, 40, "Later.", "link.lead"), replace(put_off(4), done=True)])
    until = "2026-11-02T03:34:05+00:00"
    assert (told["detail"], told["waits_until"]) == (f"Stage 1.\n3 chunks wait until 03:35 UTC: {BUSY}", until)
    profiles, links = told["tasks"]
    assert profiles["detail"].split("\n") == [" 1 of 9 chunks are done.", f"2 chunks wait until 03:35 UTC: {BUSY}"]
    assert (profiles["waits_until"], profiles["chunks_done"]) == (until, 1)
    assert links["detail"].endswith("\n1 chunk waits until 03:45 UTC: Later.")


def test_the_time_is_utc_and_never_before_the_moment() -> None:
    zone = timezone(timedelta(hours=5))
    for seconds, minute in ((55, "03:05"), (56, "03:06"), (115, "03:06")):
        until = (NOW.replace(microsecond=0) + timedelta(seconds=seconds)).astimezone(zone)
        assert shown([replace(put_off(1, trouble=""), lease_until=until)])["detail"].endswith(f" until {minute} UTC.")


@pytest.mark.parametrize(
    "chunk",
    [
        replace(put_off(1), owner="w"),
        replace(put_off(1), lease_until=None),
        replace(put_off(1), lease_until=NOW),
        replace(put_off(1), done=True),
    ],
)
def test_what_is_being_sent_or_can_be_waits_for_nothing(chunk: Chunk) -> None:
    told = shown([chunk])
    assert (told["detail"], told["waits_until"], told["tasks"][0]["waits_until"]) == ("Stage 1.", None, None)
    assert "wait" not in told["tasks"][0]["detail"]


def test_a_run_that_has_ended_waits_for_nothing() -> None:
    ended = replace(SENT, phase=Phase.ENDED, status=Status.FAILED)
    assert (shown([put_off(1)], ended)["detail"], shown([put_off(1)], ended)["waits_until"]) == ("Stage 1.", None)


def test_a_paused_run_that_waits_says_both() -> None:
    told = shown([put_off(1)], environment=PAUSED)["detail"].split("\n")
    assert [told[0].split(" 2026")[0], *told[1:]] == [
        "Paused since", "Stage 1.", f"1 chunk waits until 03:35 UTC: {BUSY}"
    ]  # fmt: skip


# -- requests ----------------------------------------------------------------------------------------------


def test_what_is_not_given_has_its_default() -> None:
    assert read_request({"environment": "e"}) == ("e", Mode.INCREMENTAL, ())
    for mode in (Mode.INCREMENTAL, Mode.FULL, Mode.VERIFY, Mode.PLAN):
        assert read_request({"environment": "e", "mode": str(mode)}) == ("e", mode, ())
    full = {"environment": "e", "mode": "full", "tables": ["CustomerProfile", "contact"]}
    assert read_request(full) == ("e", Mode.FULL, ("CustomerProfile", "contact"))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "must be a JSON object"),
        ([], "must be a JSON object"),
        ("text", "must be a JSON object"),
        ({}, "environment must be"),
        ({"environment": ""}, "environment must be"),
        ({"environment": 7}, "environment must be"),
        ({"environment": "e", "mode": "all"}, "mode must be one of incremental, full"),
        (
            {"environment": "e", "mode": "confirm"},
            "must be one of incremental, full, verify, plan.\n.*runs/{its id}/confirm",
        ),
        ({"environment": "e", "mode": None}, "mode must be one of"),
        ({"environment": "e", "mode": {}}, "mode must be one of"),
        ({"environment": "e", "tables": "contact"}, "tables must be a list"),
        ({"environment": "e", "tables": [""]}, "tables must be a list"),
        ({"environment": "e", "tables": [1]}, "tables must be a list"),
        ({"environment": "e", "table": ["contact"]}, "table is not known here"),
        ({"environment": "e", "tables": ["x" * 100] * 1000}, "tables names too much"),
    ],
)
def test_a_request_that_cannot_be_met_says_why(content: Any, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        read_request(content)


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_request({"mode": "all", "tables": 5, "b": 1, "a": 2})
    assert len(caught.value.faults) == 5
    assert [fault.split()[0] for fault in caught.value.faults] == ["environment", "mode", "tables", "a", "b"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
requests = st.fixed_dictionaries(
    {}, optional={"environment": json_values, "mode": json_values | st.sampled_from(Mode), "tables": json_values}
)


@given(requests | json_values | st.lists(st.text(max_size=3000), max_size=20).map(lambda t: {"tables": t}))
def test_whatever_is_asked_for_is_refused_or_can_be_kept(content: Any) -> None:
    try:
        environment, mode, tables = read_request(content)
    except ConfigurationError:
        return
    assert to_entity(Run("x", environment, mode, tables=tables), "p", "r")
