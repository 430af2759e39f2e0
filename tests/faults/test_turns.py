"""Runs of one environment take turns, whoever asks for them and whenever; a newer snapshot covers those that wait."""

from __future__ import annotations

from shared import lifecycle
from shared.runs.model import Kind, Mode, Phase, Run, Status
from shared.services import Services
from tests.support.workers import Workplace, Workshop

WAITING_OR_ENDED = {Phase.WAITING, Phase.ENDED}


def runs(workshop: Workshop, services: Services) -> list[Run]:
    """The oldest first."""
    return services.store.runs(workshop.tenant.environment)[::-1]


def until_sending(workshop: Workshop, services: Services) -> None:
    while not any(run.phase is Phase.SENDING for run in runs(workshop, services)):
        workshop.work(services)


def work_in_turns(workshop: Workshop, services: Services) -> None:
    """To the end; never do two runs work at once, and the lock tells which does."""
    while not workshop.ended(services):
        workshop.work(services)
        working = [run.id for run in runs(workshop, services) if run.phase not in WAITING_OR_ENDED]
        assert working in ([], [services.store.lock(workshop.tenant.environment).run])
    assert not services.store.lock(workshop.tenant.environment).run


def test_runs_that_people_ask_for_wait_for_their_turn(workplace: Workplace) -> None:
    with workplace.workshop() as workshop:
        environment, services = workshop.tenant.environment, workshop.worker()
        workshop.land(1)
        until_sending(workshop, services)
        full = lifecycle.request_run(services, environment, Mode.FULL, ())
        assert full.status is Status.QUEUED
        assert lifecycle.request_run(services, environment, Mode.FULL, ()).id == full.id, "it was asked for already"
        some = lifecycle.request_run(services, environment, Mode.INCREMENTAL, ("AlternateKey",))
        for _ in range(3):
            workshop.announce()
        work_in_turns(workshop, services)
        found = runs(workshop, services)
        assert [run.id for run in found[1:]] == [full.id, some.id]
        assert {run.status for run in found} == {Status.SUCCESSFUL}
        due = workshop.tenant.counts(1)
        for task in services.store.tasks(full.id):
            if task.name in due:
                rows, counts = due[task.name]["created"], task.counts
                known = (counts.changed, counts.writes) if task.kind is Kind.TABLE else (counts.unchanged, rows)
                assert known == (rows, rows), task.name  # every row again; links are read, and right
        assert [task.name for task in services.store.tasks(some.id)] == ["AlternateKey"]
        workshop.tenant.assert_content(workshop.stack, 1)


def test_of_several_snapshots_that_wait_the_newest_covers_the_others(workplace: Workplace) -> None:
    with workplace.workshop() as workshop:
        services = workshop.worker()
        workshop.land(1)
        until_sending(workshop, services)
        for _ in range(3):
            workshop.land(2)
            lifecycle.look(services, workshop.tenant.environment)
        work_in_turns(workshop, services)
        first, *between, last = runs(workshop, services)
        assert (first.status, last.status) == (Status.SUCCESSFUL, Status.SUCCESSFUL)
        assert [run.status for run in between] == [Status.SKIPPED, Status.SKIPPED]
        assert all(run.detail.startswith("Superseded") and run.ended for run in between)
        workshop.assert_day(services, 2)
