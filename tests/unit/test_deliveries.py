"""Deliveries that fail, and messages that are not what they say: held, or refused, and nothing is changed."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import azure.functions as func
import pytest

from handlers import backstamps, tables, unification, upserts
from shared import deliver, lifecycle, send
from shared.errors import ConfigurationError, NotFoundError, TransientError
from shared.runs.messages import ChunkMessage, Step, TableMessage, encode, message_id
from shared.runs.model import Chunk, Kind, Phase, Run, Task, TaskPhase
from shared.services import Services

RUN = Run("run", "home", phase=Phase.SENDING, attempt=2, stage=2)
TASK = Task("run", "task", "task", Kind.LINK, "contact", phase=TaskPhase.PLANNED, attempt="plan", round=2)
CHUNK = ChunkMessage("home", "run", "task", "plan", 2, 1)
STEP = TableMessage(Step.CLOSE, "home", "run", "task", round=2)


class Storage:
    """One run with one task, whose plan has one chunk. It cannot be written to."""

    def __init__(self, run: Run = RUN) -> None:
        self.known = run

    def environment(self, _: str) -> Any:
        return SimpleNamespace(paused=None)

    def run(self, environment: str, run: str) -> Run:
        if (environment, run) != (self.known.environment, self.known.id):
            raise NotFoundError(f"There is no run {run} of environment {environment}.")
        return self.known

    def find_run(self, run: str) -> Run:
        return self.run(self.known.environment, run)

    def task(self, run: str, task: str) -> Task:
        if (run, task) != (TASK.run, TASK.key):
            raise NotFoundError(f"Run {run} has no task {task}.")
        return TASK

    def chunk(self, task: Task, stage: int, number: int) -> Chunk | None:
        return Chunk("run", task.key, task.attempt, 1, 2, 10) if (stage, number) == (2, 1) else None


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of messages whose work is done."""
    found: list[str] = []
    steps = {step: lambda _, message: find(message) for step in Step}

    def find(message: TableMessage | ChunkMessage) -> None:
        if isinstance(message, TableMessage) and message.task not in {"", "task"}:
            raise NotFoundError(f"Run {message.run} has no task {message.task}.")
        found.append(message.id)

    monkeypatch.setattr(deliver, "_STEPS", steps)
    monkeypatch.setattr(send, "send", lambda _, message: find(message))
    return found


def services(run: Run = RUN) -> Services:
    return cast("Services", SimpleNamespace(store=Storage(run), queues=None))


def refusal(caplog: pytest.LogCaptureFixture) -> str:
    """Why the only error of the log says that a message was refused."""
    (record,) = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert record.getMessage() == "message.refused"
    return str(vars(record)["reason"])


CHUNKS = {
    "another stage": (replace(CHUNK, stage=1), Kind.LINK, "the task's plan has no chunk 1 of stage 1"),
    "a number too high": (replace(CHUNK, number=2), Kind.LINK, "the task's plan has no chunk 2 of stage 2"),
    "the other queue": (CHUNK, Kind.TABLE, "the task is of the kind link, the queue is for the kind table"),
    "another environment": (
        replace(CHUNK, environment="away", attempt="late"),
        Kind.LINK,
        "the run is of environment home, the message is of away",
    ),
    "no such task": (replace(CHUNK, task="none"), Kind.LINK, "Run run has no task none."),
}


@pytest.mark.parametrize("name", CHUNKS)
def test_a_chunk_s_message_that_contradicts_what_is_stored_is_refused(
    name: str, done: list[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    message, kind, reason = CHUNKS[name]
    if name == "another environment":
        monkeypatch.setattr(send, "send", lambda given, one: given.store.run(one.environment, one.run))
    deliver.chunk(services(), encode(message), kind)
    assert refusal(caplog) == reason
    assert done == []


STEPS = {
    "a round to come": (replace(STEP, round=3), "it is of round 3, the run has come to round 2"),
    "another environment": (
        replace(STEP, environment="away"),
        "the run is of environment home, the message is of away",
    ),
    "no task": (replace(STEP, task=""), "the step close is of a task"),
    "a task too many": (replace(STEP, step=Step.START), "the step start is of the run"),
    "no such task": (replace(STEP, task="none"), "Run run has no task none."),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_that_contradicts_what_is_stored_is_refused(
    name: str, done: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    message, reason = STEPS[name]
    deliver.step(services(), encode(message))
    assert refusal(caplog) == reason
    assert done == []


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("run", 7),
        ("environment", None),
        ("task", ["task"]),
        ("round", "2"),
        ("round", True),
        ("tries", -1),
        ("step", 1),
    ],
)
def test_a_step_whose_types_are_wrong_is_refused(
    name: str, wrong: object, done: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    deliver.step(services(), json.dumps(json.loads(encode(STEP)) | {name: wrong}).encode())
    assert "hydration-tables is not one of this app" in refusal(caplog)
    assert done == []


@pytest.mark.parametrize(("name", "wrong"), [("stage", 2.0), ("number", "1"), ("attempt", 1), ("number", False)])
def test_a_chunk_whose_types_are_wrong_is_refused(
    name: str, wrong: object, done: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    deliver.chunk(services(), json.dumps(json.loads(encode(CHUNK)) | {name: wrong}).encode(), Kind.LINK)
    assert "the chunk queues is not one of this app" in refusal(caplog)
    assert done == []


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b'"text"', b"{}", pytest.param(b"[" * 100_000, id="too deep")])
def test_a_poison_message_is_refused_at_once(body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    deliver.step(services(), body)
    assert refusal(caplog)
    caplog.clear()
    deliver.chunk(services(), body, Kind.TABLE)
    assert refusal(caplog)


def test_messages_that_contradict_nothing_do_their_work(done: list[str], caplog: pytest.LogCaptureFixture) -> None:
    deliver.step(services(), encode(STEP))
    deliver.chunk(services(), encode(CHUNK), Kind.LINK)
    assert done == [STEP.id, CHUNK.id]
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (replace(RUN, phase=Phase.ENDED), replace(STEP, task="none")),  # its tasks were cleaned away
        (RUN, replace(STEP, task="none", round=1)),  # a task of an earlier round
        (replace(RUN, id="another"), STEP),  # the run was cleaned away
    ],
)
def test_messages_that_come_late_are_dropped_without_an_error(
    run: Run, message: TableMessage, done: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    deliver.step(services(run), encode(message))
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [("WARNING", "message.dropped")]
    assert done == []


def test_a_row_that_is_gone_amid_the_work_is_no_contradiction(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker has concluded the chunk meanwhile."""

    def overtaken(*_: object) -> None:
        raise NotFoundError("A row of the status storage is gone.")

    monkeypatch.setattr(send, "send", overtaken)
    deliver.chunk(services(), encode(CHUNK), Kind.LINK)
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [("WARNING", "message.dropped")]


def test_a_chunk_of_an_earlier_plan_is_no_contradiction(done: list[str], caplog: pytest.LogCaptureFixture) -> None:
    deliver.chunk(services(), encode(replace(CHUNK, attempt="earlier", number=9)), Kind.LINK)
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert done, "that nothing comes of it is decided where it is sent"


# -- message ids -----------------------------------------------------------------------------------------


def test_a_message_id_names_the_work() -> None:
    assert message_id(CHUNK) == CHUNK.id == "run|task|plan|2|1"
    assert message_id(replace(STEP, tries=7)) == message_id(STEP)


def test_a_message_id_is_never_longer_than_service_bus_takes() -> None:
    one, other = (replace(CHUNK, task="x" * 200, number=number) for number in (1, 2))
    assert {len(message_id(one)), len(message_id(other))} == {128}
    assert message_id(one) != message_id(other)
    whole = replace(CHUNK, task="x" * (128 - len(CHUNK.id) + 4))
    assert message_id(whole) == whole.id, "as long as it may be"
    assert len(message_id(replace(CHUNK, task="\ud800" * 200))) == 128


# -- deliveries that fail --------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [TransientError("The queue took no messages."), KeyError("unforeseen")])
def test_a_delivery_that_fails_is_held_and_says_why(fault: Exception, caplog: pytest.LogCaptureFixture) -> None:
    held: list[float] = []
    with pytest.raises(type(fault)), deliver.unhurried(held.append):
        raise fault
    (record,) = caplog.records
    assert record.getMessage() == "delivery.held"
    reason = str(fault) if isinstance(fault, TransientError) else "KeyError"  # others may hold a customer's value
    assert (vars(record)["reason"], vars(record)["seconds"]) == (reason, deliver.PAUSE_SECONDS)
    assert held == [deliver.PAUSE_SECONDS]


def test_ten_deliveries_last_minutes_and_no_lock_is_lost_meanwhile() -> None:
    assert 10 * deliver.PAUSE_SECONDS >= 300
    assert deliver.PAUSE_SECONDS <= deliver._LONGEST_PAUSE < 300


def test_a_delivery_that_succeeds_is_not_held() -> None:
    held: list[float] = []
    with deliver.unhurried(held.append):
        pass
    assert held == []


@pytest.mark.parametrize("setting", ["0", "1.5", "240"])
def test_how_long_it_is_held_can_be_set(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv("DELIVERY_PAUSE_SECONDS", setting)
    assert deliver._pause_seconds() == float(setting)


@pytest.mark.parametrize("setting", ["", "241", "-1", "nan", "inf", "soon"])
def test_a_pause_that_would_lose_the_lock_is_not_taken(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv("DELIVERY_PAUSE_SECONDS", setting)
    assert deliver._pause_seconds() == deliver.PAUSE_SECONDS


CONTEXT = cast("func.Context", SimpleNamespace(trace_context=SimpleNamespace(trace_parent="")))
MESSAGE = SimpleNamespace(get_body=lambda: encode(STEP), dead_letter_reason="worn out")
BLOB = SimpleNamespace(name="lake/ci_home/model.json")
TRIGGERED = {
    "hydration_tables": (tables, MESSAGE),
    "hydration_tables_dead": (tables, MESSAGE),
    "hydration_upserts": (upserts, MESSAGE),
    "hydration_upserts_dead": (upserts, MESSAGE),
    "hydration_backstamps": (backstamps, MESSAGE),
    "hydration_backstamps_dead": (backstamps, MESSAGE),
    "unification_output_landed": (unification, BLOB),
}


@pytest.mark.parametrize("name", TRIGGERED)
@pytest.mark.parametrize("fault", [ConfigurationError("ServiceBus must be set."), TransientError("no storage")])
def test_a_cold_start_that_fails_holds_the_delivery(
    name: str, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, given = TRIGGERED[name]
    held: list[float] = []

    def pause() -> float:
        held.append(deliver.PAUSE_SECONDS)
        return 0.0

    monkeypatch.setattr(deliver, "_pause_seconds", pause)

    def begin() -> Services:
        raise fault

    monkeypatch.setattr(module, "services", begin)
    (function,) = [one for one in module.blueprint._function_builders if one._function.get_function_name() == name]
    with pytest.raises(type(fault)):
        function._function.get_user_function()(given, CONTEXT)
    assert held == [deliver.PAUSE_SECONDS]


def test_a_configured_environment_is_swept_although_the_lake_has_no_folder_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[str] = []
    monkeypatch.setattr(lifecycle, "look", lambda _, environment: looked.append(environment))
    lake = SimpleNamespace(environments=lambda: ["stranger", "home"])
    settings = SimpleNamespace(hydration=SimpleNamespace(environments={"home": None, "asked for": None}))
    deliver.sweep(cast("Services", SimpleNamespace(lake=lake, settings=settings)))
    assert looked == ["asked for", "home", "stranger"]
