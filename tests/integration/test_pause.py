"""A paused environment begins nothing, wherever its run is, and goes on at once: real storage and Dataverse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from local.stack import Stack
from shared import deliver, lifecycle, pause, views
from shared.errors import NotFoundError
from shared.runs.model import Environment, Mode, Phase, Status
from shared.services import Services
from tests.support.workers import Workplace, Workshop, workplace

BEGUN = [Phase.STARTING, Phase.PLANNING, Phase.PREPARING, Phase.SENDING]


@pytest.fixture(scope="module", name="place")
def _place(bare_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    with workplace(bare_stack, tmp_path_factory.mktemp("pause"), people=20) as found:
        yield found


def until(workshop: Workshop, services: Services, phase: Phase) -> None:
    """Work until the run is in a phase, of its own messages."""
    for _ in range(200):
        run = workshop.run(services)
        if run is not None and run.phase is phase:
            return
        workshop.work(services)
    raise AssertionError(f"it was never {phase}")


def deliver_all(workshop: Workshop, services: Services) -> None:
    """What lies in the bag and what comes of it. No time passes, and no timer ticks."""
    while workshop.bag.letters:
        assert all(letter.at is None for letter in workshop.bag.letters), "nothing is put off"
        workshop.work(services)


def hold_still(workshop: Workshop, services: Services) -> None:
    """Everything that could move the run on, for an hour."""
    deliver_all(workshop, services)
    workshop.clock.turned += timedelta(hours=1)
    lifecycle.look(services, workshop.tenant.environment)
    deliver.reconcile(services)
    deliver_all(workshop, services)


@pytest.mark.parametrize("phase", BEGUN)
def test_a_run_stands_still_in_a_pause_and_ends_at_once_after_it(place: Workplace, phase: Phase) -> None:
    with place.workshop() as workshop:
        services, environment = workshop.worker(), workshop.tenant.environment
        workshop.land(1)
        until(workshop, services, phase)
        pause.pause(services, environment, "Maintenance.")
        written, before = workshop.tenant.written(workshop.stack), workshop.told(services)
        hold_still(workshop, services)
        after, run = workshop.told(services), workshop.run(services)
        assert workshop.tenant.written(workshop.stack) == written
        assert run is not None
        assert run.phase is phase
        assert (after["status"], after["detail"]) == ("Refreshing", before["detail"])
        assert after["detail"].startswith("Paused since ")
        assert after["detail"].endswith(f"\n{run.detail}"), "its own text is told again after the pause"

        pause.resume(services, environment)
        deliver_all(workshop, services)
        workshop.assert_day(services, 1)


def test_what_lands_or_is_asked_for_in_a_pause_waits(place: Workplace) -> None:
    with place.workshop() as workshop:
        services, environment = workshop.worker(), workshop.tenant.environment
        pause.pause(services, environment, "Maintenance.")
        workshop.land(1)
        hold_still(workshop, services)
        opened = workshop.told(services)
        asked = lifecycle.request_run(services, environment, Mode.FULL, ())
        since = pause.find(services, environment).paused
        assert since is not None
        assert opened["fingerprint"] == asked.fingerprint != "", "the snapshot was observed as usual"
        waits = f"Paused since {since:%Y-%m-%dT%H:%M:%S+00:00}: Maintenance. "
        waits += f"Resume with POST /api/environments/{environment}/resume."
        for shown in (opened, views.runs_view(services, [asked])[0]):
            assert (shown["status"], shown["detail"]) == ("Queued", waits)
        pause.resume(services, environment)
        deliver_all(workshop, services)
        assert {run.status for run in services.store.runs(environment)} == {Status.SUCCESSFUL}
        workshop.tenant.assert_content(workshop.stack, 1)


def test_pausing_and_resuming_twice_is_as_once(place: Workplace) -> None:
    with place.workshop() as workshop:
        services, environment = workshop.worker(), workshop.tenant.environment
        first = pause.pause(services, environment, "One.")
        workshop.clock.turned += timedelta(minutes=5)
        assert pause.pause(services, environment, "") == first
        second = pause.pause(services, environment, "Two.")
        assert (second.paused, second.pause_reason) == (first.paused, "Two.")
        for _ in range(2):
            found = pause.resume(services, environment)
            assert (found.paused, found.pause_reason) == (None, "")


def test_a_pause_survives_a_look_at_the_same_moment(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    with place.workshop() as workshop:
        services, other, name = workshop.worker(), workshop.worker(), workshop.tenant.environment
        read, reads = services.store.environment, list[Environment]()

        def overtaken(environment: str) -> Environment:
            found = read(environment)
            if not reads:
                other.store.save_environment(replace(found, seen_fingerprint="a"))
            reads.append(found)
            return found

        monkeypatch.setattr(services.store, "environment", overtaken)
        pause.pause(services, name, "")
        known = other.store.environment(name)
        assert known.paused is not None
        assert known.seen_fingerprint == "a"
        assert len(reads) == 2


def test_an_environment_that_nobody_knows(place: Workplace) -> None:
    with place.workshop() as workshop:
        services = workshop.worker()
        with pytest.raises(NotFoundError, match="There is no environment nobody"):
            pause.pause(services, "nobody", "")
        with pytest.raises(NotFoundError, match="There is no environment nobody"):
            pause.resume(services, "nobody")
        assert "nobody" not in {environment.id for environment in pause.known(services)}
        assert {*services.settings.hydration.environments} <= {one.id for one in pause.known(services)}
