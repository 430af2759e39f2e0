"""A run that is canceled sends nothing more, says how far it came, and the next run does the rest."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from shared import cancel, deliver, lifecycle, pause
from shared.errors import NotFoundError, OvertakenError
from shared.runs.model import LAST_STAGE, Mode, Phase, Run, Status
from shared.services import Services
from tests.support.campaigns import SOAK
from tests.support.fates import Fate
from tests.support.workers import LEASE_SECONDS, Workplace, Workshop

BEFORE_SENDING = [Phase.WAITING, Phase.STARTING, Phase.PLANNING, Phase.PREPARING] if SOAK else [Phase.PREPARING]
REASON = "Wrong files."


def newest(workshop: Workshop, services: Services) -> Run:
    run = workshop.run(services)
    assert run is not None
    return run


def until(workshop: Workshop, services: Services, phase: Phase) -> Run:
    """Work until the newest run is in a phase."""
    for _ in range(200):
        run = workshop.run(services)
        if run is not None and run.phase is phase:
            return run
        workshop.work(services)
    raise AssertionError(f"it was never {phase}")


def tasks(workshop: Workshop, services: Services) -> dict[str, dict[str, Any]]:
    return {task["name"]: task for task in workshop.told(services)["tasks"]}


@contextmanager
def held_up(workshop: Workshop, call: int) -> Iterator[Services]:
    """While a worker stands still with the answer of a call in its hands: another one. The first then goes on."""
    fate = Fate(call, held_up=True, of="UpsertMultiple")
    with ThreadPoolExecutor(1) as threads:
        work = threads.submit(workshop.work_to_the_end, workshop.worker(fate))
        try:
            assert fate.reached.wait(60), fate.calls
            yield workshop.worker()
        finally:
            fate.released.set()
        work.result(timeout=60)


def finish(workshop: Workshop, services: Services, day: int) -> None:
    """The same files once more bring everything to Dataverse that the canceled run left."""
    workshop.work_to_the_end(services)
    lifecycle.request_run(services, workshop.tenant.environment, Mode.INCREMENTAL, ())
    workshop.work_to_the_end(services)
    assert workshop.told(services)["status"] == "Successful", workshop.told(services)
    workshop.tenant.assert_content(workshop.stack, day)
    workshop.assert_state_agrees(services, day)


@pytest.mark.parametrize("phase", BEFORE_SENDING)
def test_a_run_that_has_not_begun_to_send_ends_at_once(workplace: Workplace, phase: Phase) -> None:
    with workplace.workshop() as workshop:
        services, environment = workshop.worker(), workshop.tenant.environment
        if phase is Phase.WAITING:
            pause.pause(services, environment, "")
        workshop.land(1)
        run = until(workshop, services, phase)
        assert cancel.cancel(services, run.id, REASON).status is Status.CANCELED
        told = workshop.told(services)
        assert (told["status"], told["detail"]) == ("Canceled", f"Canceled: {REASON}")
        assert {task["status"] for task in told["tasks"]} <= {"Canceled", "Skipped"}
        assert not services.store.lock(environment).run, "the environment is free"
        if phase is Phase.WAITING:
            pause.resume(services, environment)
        workshop.work_to_the_end(services)
        assert workshop.told(services) == told, "messages that were under way change nothing"
        assert not any(workshop.tenant.written(workshop.stack).values())
        assert cancel.cancel(services, run.id).status is Status.CANCELED, "asked again, it is the same"
        finish(workshop, services, 1)


@pytest.mark.parametrize("point", [1, 2] if SOAK else [2])
def test_each_worker_sends_no_more_than_the_call_it_is_in(workplace: Workplace, point: int) -> None:
    """One is held up with the answer of a call in its hands; the run is canceled; it goes on."""
    with workplace.workshop() as workshop:
        workshop.land(1)
        with held_up(workshop, point) as services:
            run = newest(workshop, services)
            before = workshop.tenant.written(workshop.stack)
            assert cancel.cancel(services, run.id, REASON).phase is Phase.SENDING, "a worker is in a call"
            assert "is finished; nothing more is sent" in workshop.told(services)["detail"]
        assert workshop.tenant.written(workshop.stack) == before
        told = workshop.told(services)
        assert told["status"] == "Canceled", told
        assert told["detail"].startswith(f"Canceled: {REASON} ")
        profiles = tasks(workshop, services)["CustomerProfile"]
        due = workshop.tenant.counts(1)["CustomerProfile"]["created"]
        assert (profiles["status"], profiles["created"], profiles["uncertain"]) == ("Canceled", 8 * point, 0)
        assert profiles["created"] + profiles["unsent"] == due
        assert f"{profiles['unsent']} rows not attempted: the next run does what is left." in profiles["detail"]
        finish(workshop, services, 1)


def test_a_chunk_whose_worker_is_gone_is_concluded_when_its_claim_has_lapsed(workplace: Workplace) -> None:
    with workplace.workshop() as workshop:
        workshop.land(1)
        with held_up(workshop, 1) as services:
            run = cancel.cancel(services, newest(workshop, services).id)
            deliver.reconcile(services)
            assert newest(workshop, services).phase is Phase.SENDING
            workshop.clock.turned += timedelta(seconds=LEASE_SECONDS + 1)
            deliver.reconcile(services)
            for task in services.store.tasks(run.id):
                assert not services.store.open_chunks(task, up_to=LAST_STAGE)
        assert tasks(workshop, services)["CustomerProfile"]["uncertain"] == 8
        finish(workshop, services, 1)


def test_removals_that_a_canceled_run_left_are_done_by_the_next(workplace: Workplace) -> None:
    with workplace.workshop() as workshop:
        services = workshop.worker()
        workshop.land(1)
        workshop.work_to_the_end(services)
        workshop.land(2)
        run = until(workshop, services, Phase.SENDING)
        pause.pause(services, workshop.tenant.environment, "")
        cancel.cancel(services, run.id, REASON)
        workshop.work_to_the_end(services)
        told = tasks(workshop, services)["CustomerProfile"]
        due = workshop.tenant.counts(2)["CustomerProfile"]
        assert (told["status"], told["writes"]) == ("Canceled", 0)
        assert told["unsent"] == due["created"] + due["changed"]
        assert told["unremoved"] == due["removed"]
        assert told["unchanged"] == due["unchanged"]
        pause.resume(services, workshop.tenant.environment)
        finish(workshop, services, 2)


def test_what_has_ended_cannot_be_canceled(workplace: Workplace) -> None:
    with workplace.workshop() as workshop:
        services = workshop.worker()
        workshop.land(1)
        workshop.work_to_the_end(services)
        with pytest.raises(OvertakenError, match="ended Successful already: there is nothing to cancel"):
            cancel.cancel(services, newest(workshop, services).id)
        with pytest.raises(NotFoundError):
            cancel.cancel(services, "none")


def test_after_a_canceled_run_the_next_has_its_turn(workplace: Workplace) -> None:
    with workplace.workshop() as workshop:
        services = workshop.worker()
        workshop.land(1)
        run = until(workshop, services, Phase.SENDING)
        workshop.land(2)
        cancel.cancel(services, run.id, REASON)
        workshop.work_to_the_end(services)
        first, second = services.store.runs(workshop.tenant.environment)[::-1]
        assert (first.status, second.status) == (Status.CANCELED, Status.SUCCESSFUL)
        workshop.tenant.assert_content(workshop.stack, 2)
        workshop.assert_state_agrees(services, 2)
