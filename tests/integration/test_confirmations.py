"""What a run held is carried out once, by one run, and only while no newer run has judged anew. Over real storage."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest

from local.stack import Stack
from shared import confirm, lifecycle, start
from shared.errors import ConfigurationError, NotFoundError, OvertakenError
from shared.runs.messages import Step, TableMessage
from shared.runs.model import Mode, Phase, Run, Status
from shared.services import Services
from shared.views import run_with_tasks
from tests.support.workers import Letter, Workplace, Workshop, workplace

HELD = "AlternateKey"


@pytest.fixture(scope="module", name="place")
def _place(bare_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    with workplace(bare_stack, tmp_path_factory.mktemp("confirm"), people=20) as found:
        yield found


@pytest.fixture(scope="module", name="workshop")
def _workshop(place: Workplace) -> Iterator[Workshop]:
    """An environment that has had its first day."""
    with place.workshop() as found:
        found.land(1)
        found.work_to_the_end(found.worker())
        yield found


@pytest.fixture(name="services")
def _services(workshop: Workshop) -> Iterator[Services]:
    """A worker; afterwards nothing waits any more. The plans of continuations are made by `_planned`."""
    found = workshop.worker()
    workshop.handle = _planned
    yield found
    workshop.work_to_the_end(found)


def _planned(letter: Letter, services: Services) -> None:
    """A planner that finds nothing to do in what was held: which rows these are is not what is asked here."""
    message = letter.message
    if isinstance(message, TableMessage) and message.step is Step.PLAN:
        run = services.store.run(message.environment, message.run)
        task = services.store.task(message.run, message.task)
        if run.mode is Mode.CONFIRM and run.phase is Phase.PLANNING:
            lifecycle.end_task(services, task, Status.SUCCESSFUL, f"The rest of {task.confirms}.")
            lifecycle.advance(services, run.environment, run.id)
            return
    letter.hand_over(services)


def held(workshop: Workshop, services: Services, mode: Mode = Mode.INCREMENTAL) -> Run:
    """A run that has just ended, and held three rows."""
    asked = lifecycle.request_run(services, workshop.tenant.environment, mode, (HELD,))
    workshop.work_to_the_end(services)
    task = services.store.task(asked.id, HELD)
    services.store.save_task(replace(task, confirmable=3))
    return services.store.run(asked.environment, asked.id)


def test_a_continuation_carries_out_what_was_held(workshop: Workshop, services: Services) -> None:
    run = held(workshop, services)
    before = services.store.task(run.id, HELD)
    made = confirm.confirm(services, run.id)
    assert (made.mode, made.confirms, made.manual, made.phase) == (Mode.CONFIRM, run.id, True, Phase.STARTING)
    workshop.work_to_the_end(services)
    assert services.store.lock(run.environment).last == made.id
    [task] = services.store.tasks(made.id)
    told = [(one.key, one.name, one.subject, one.set_name, one.primary_id) for one in (before, task)]
    assert told[0] == told[1]
    assert (task.confirms, task.detail) == (before.attempt, f"The rest of {before.attempt}.")
    ended = services.store.run(run.environment, made.id)
    assert (ended.status, ended.organization_id) == (Status.SUCCESSFUL, run.organization_id)
    shown = run_with_tasks(services, services.store.run(run.environment, run.id))
    assert (shown["confirmed_by"], shown["confirmable"], shown["status"]) == (made.id, 3, "Successful")


def test_asked_for_by_many_at_once_it_is_one_run_until_it_has_ended(workshop: Workshop, services: Services) -> None:
    run, barrier = held(workshop, services), threading.Barrier(6)

    def ask(_: int) -> str:
        barrier.wait()
        return confirm.confirm(services, run.id).id

    with ThreadPoolExecutor(6) as people:
        made = set(people.map(ask, range(6)))
    assert len(made) == 1
    [one] = made
    assert confirm.confirm(services, run.id).id == one
    known = [found.id for found in services.store.runs(run.environment) if found.confirms == run.id]
    assert known == [one]
    workshop.work_to_the_end(services)
    with pytest.raises(OvertakenError, match=f"confirmed already: the run {one} ended Successful"):
        confirm.confirm(services, run.id)


def test_it_needs_no_snapshot_and_no_look_at_the_lake(
    workshop: Workshop, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = held(workshop, services)
    monkeypatch.setattr(services.lake, "snapshot", partial(pytest.fail, "the lake is not looked at"))
    made = confirm.confirm(services, run.id)
    while workshop.bag.letters:
        workshop.work(services)
    assert services.store.run(run.environment, made.id).status is Status.SUCCESSFUL
    monkeypatch.undo()


def test_a_newer_run_makes_it_too_late(workshop: Workshop, services: Services) -> None:
    run, newer = held(workshop, services), held(workshop, services)
    with pytest.raises(OvertakenError, match=rf"A newer run \({newer.id}\) has started since"):
        confirm.confirm(services, run.id)
    assert services.store.run(run.environment, run.id) == run


def test_a_plan_has_not_judged_anew_but_has_its_turn(workshop: Workshop, services: Services) -> None:
    run = held(workshop, services)
    lock = services.store.lock(run.environment)
    plan = replace(asked_plan(services, run), phase=Phase.PLANNING)
    (plan,) = services.store.save_runs([plan], lock=replace(lock, run=plan.id))
    with pytest.raises(OvertakenError, match=f"The run {plan.id} has the environment at the moment"):
        confirm.confirm(services, run.id)
    lifecycle.end_run(services, plan, Status.SUCCESSFUL, "A plan.")
    assert services.store.lock(run.environment).last == run.id
    assert confirm.confirm(services, run.id).phase is Phase.STARTING


def asked_plan(services: Services, run: Run) -> Run:
    return services.store.save_run(Run(f"{run.id}-plan", run.environment, Mode.PLAN, manual=True))


def test_one_that_waited_while_a_newer_run_had_its_turn_is_skipped(workshop: Workshop, services: Services) -> None:
    run = held(workshop, services)
    lock = services.store.lock(run.environment)
    waiting = services.store.save_run(Run("9-waits", run.environment, Mode.CONFIRM, manual=True, confirms=run.id))
    (newer,) = services.store.save_runs(
        [Run("8-newer", run.environment, phase=Phase.SENDING)], lock=replace(lock, run="8-newer", last="8-newer")
    )
    lifecycle.end_run(services, newer, Status.SUCCESSFUL, "It judged anew.")
    late = services.store.run(run.environment, waiting.id)
    assert (late.status, late.phase) == (Status.SKIPPED, Phase.ENDED)
    assert late.detail.startswith("A newer run (8-newer) has started since, and has judged anew: look at what it holds")
    assert services.store.lock(run.environment).run == ""


def test_another_organization_is_not_written_to(workshop: Workshop, services: Services) -> None:
    run = held(workshop, services)
    run = services.store.save_run(replace(run, organization_id="another"))
    made = confirm.confirm(services, run.id)
    workshop.work_to_the_end(services)
    ended = services.store.run(run.environment, made.id)
    assert ended.status is Status.FAILED
    assert "wrote to the organization another" in ended.detail
    start.start(services, TableMessage(Step.START, run.environment, made.id))  # late, and changes nothing
    assert services.store.run(run.environment, made.id) == ended


def test_what_cannot_be_confirmed_says_why(workshop: Workshop, services: Services) -> None:
    with pytest.raises(NotFoundError, match="There is no run none"):
        confirm.confirm(services, "none")
    nothing = lifecycle.request_run(services, workshop.tenant.environment, Mode.FULL, (HELD,))
    with pytest.raises(ConfigurationError, match="has not ended"):
        confirm.confirm(services, nothing.id)
    workshop.work_to_the_end(services)
    with pytest.raises(ConfigurationError, match="holds nothing that can be confirmed"):
        confirm.confirm(services, nothing.id)
    run = held(workshop, services)
    services.store.save_run(replace(run, mode=Mode.PLAN))
    with pytest.raises(ConfigurationError, match="was a plan"):
        confirm.confirm(services, run.id)
