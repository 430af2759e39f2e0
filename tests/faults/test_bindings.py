"""What an environment is bound to, and what the app wrote itself: where either is gone, the run says so and ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

from shared import lifecycle
from shared.dataverse.client import Client, Identity
from shared.runs import paths
from shared.runs.messages import ChunkMessage
from shared.runs.model import Mode, Phase, Status
from shared.services import Services
from tests.support.campaigns import SOAK
from tests.support.workers import Letter, Workplace, Workshop

ANOTHER = "00000000-0000-4000-8000-00000000000a"


def moved(workshop: Workshop, host: str, *, organization_id: str | None = None) -> Services:
    """A worker whose environment is configured with another organization."""
    hydration = workshop.settings.hydration
    known = hydration.environments[workshop.tenant.environment]
    mine = replace(known, dataverse_url=f"https://{host}", organization_id=organization_id)
    hydration = replace(hydration, environments={**hydration.environments, mine.id: mine})
    workshop.settings = replace(workshop.settings, hydration=hydration)
    return workshop.worker()


def test_another_organization_stops_until_it_is_named(workplace: Workplace) -> None:
    with workplace.workshop() as workshop:
        services = workshop.worker()
        workshop.land(1)
        workshop.work_to_the_end(services)
        written = workshop.tenant.written(workshop.stack)
        host = f"moved-{workshop.tenant.organization}"

        services = moved(workshop, host)
        workshop.land(1)
        workshop.work_to_the_end(services)
        told = workshop.told(services)
        assert (told["status"], told["tasks"]) == ("Failed", [])
        assert "is another organization" in told["detail"]

        services = moved(workshop, host, organization_id="00000000-0000-4000-8000-000000000000")
        workshop.land(1)
        workshop.work_to_the_end(services)
        assert workshop.told(services)["status"] == "Failed"
        assert "Correct one of the two" in workshop.told(services)["detail"]

        found = services.dataverse.client(services.environment(workshop.tenant.environment).dataverse_url).who_am_i()
        services = moved(workshop, host, organization_id=found.organization_id)
        workshop.land(1)
        workshop.work_to_the_end(services)
        profiles = next(task for task in workshop.told(services)["tasks"] if task["name"] == "CustomerProfile")
        assert profiles["status"] == "Successful", profiles
        assert profiles["created"] == workshop.tenant.counts(1)["CustomerProfile"]["created"], "all is written anew"
        assert workshop.tenant.written(workshop.stack) == written, "nothing more went to the former organization"


def test_a_lost_chunk_ends_its_task_and_the_next_landing_writes_it(workplace: Workplace) -> None:
    with workplace.workshop() as workshop:
        services = workshop.worker()
        container: ContainerClient = services.blobs._container

        def losing(letter: Letter, worker: Services) -> None:
            message = letter.message
            if isinstance(message, ChunkMessage) and message.task == "AlternateKey":
                task = worker.store.task(message.run, message.task)
                folder = paths.plan(message.environment, task, task.attempt)
                container.delete_blob(paths.chunk(folder, message.number))
            letter.deliver(worker)

        workshop.handle = losing
        workshop.land(1)
        workshop.work_to_the_end(services)
        told = {task["name"]: task for task in workshop.told(services)["tasks"]}
        assert told["AlternateKey"]["status"] == "Failed"
        assert "is gone from the app's container" in told["AlternateKey"]["detail"]
        assert told["CustomerProfile"]["status"] == "Successful"
        workshop.handle = Letter.hand_over
        workshop.land(1)
        workshop.work_to_the_end(services)
        workshop.tenant.assert_content(workshop.stack, 1)


def test_a_rerun_does_not_wait_for_ever_for_an_environment_without_output(workplace: Workplace) -> None:
    with workplace.workshop() as workshop:
        hydration = replace(workshop.settings.hydration, whole_within_seconds=7200)
        workshop.settings = replace(workshop.settings, hydration=hydration)
        services, environment = workshop.worker(), workshop.tenant.environment
        run = lifecycle.request_run(services, environment, Mode.INCREMENTAL, ())
        assert run.phase is Phase.WAITING
        workshop.clock.turned += timedelta(seconds=7201)
        lifecycle.look(services, environment)
        ended = services.store.run(environment, run.id)
        assert ended.status is Status.FAILED
        assert "has no model.json" in ended.detail


@pytest.mark.parametrize("phase", [Phase.PREPARING, Phase.SENDING] if SOAK else [Phase.SENDING])
def test_an_organization_that_takes_the_place_of_another_amid_a_run_is_not_written_to(
    workplace: Workplace, phase: Phase
) -> None:
    """The same address leads to another organization: a copy, or one that was restored."""
    with workplace.workshop() as workshop:
        services = workshop.worker()
        workshop.land(1)
        while not any(run.phase is phase for run in services.store.runs(workshop.tenant.environment)):
            workshop.work(services)
        written = workshop.tenant.written(workshop.stack)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Client, "who_am_i", who_is_another(Client.who_am_i))
            workshop.work_to_the_end(workshop.worker())
        told = workshop.told(services)
        assert told["status"] == "Failed"
        assert f"is now the organization {ANOTHER}, and the run was planned for" in told["detail"]
        assert workshop.tenant.written(workshop.stack) == written, "nothing more was sent"
        workshop.land(1)
        workshop.work_to_the_end(services)
        workshop.assert_state_agrees(services, 1)


def who_is_another(real: Callable[..., Identity]) -> Callable[..., Identity]:
    """What WhoAmI answers is that of another organization."""

    def answer(client: Client, *given: Any) -> Identity:
        found = replace(real(client, *given), organization_id=ANOTHER)
        client.organization_id = found.organization_id
        return found

    return answer
