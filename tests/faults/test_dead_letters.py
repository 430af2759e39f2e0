"""A message that nobody could handle ends what it was to do, and the next landing puts everything right."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from shared.runs.messages import ChunkMessage, Step, TableMessage
from shared.runs.model import CHILD_REMOVALS, PROFILE_REMOVALS, PROFILES, ROWS
from shared.services import Services
from tests.support.campaigns import SOAK, campaign
from tests.support.fates import Fate, Killed
from tests.support.workers import Letter, Workplace, Workshop

Picks = Callable[[TableMessage | ChunkMessage | None], bool]


def step(wanted: Step, task: str = "") -> Picks:
    return lambda one: isinstance(one, TableMessage) and (one.step, one.task) == (wanted, task)


def chunk(task: str, stage: int) -> Picks:
    return lambda one: isinstance(one, ChunkMessage) and (one.task, one.stage) == (task, stage)


DEAD = {
    "start": (1, step(Step.START), False),
    "plan": (1, step(Step.PLAN, "CustomerProfile"), False),
    "prepare": (1, step(Step.PREPARE), False),
    "profiles": (1, chunk("CustomerProfile", PROFILES), False),
    "profiles amid a call": (1, chunk("CustomerProfile", PROFILES), True),
    "links amid a call": (1, chunk("link.contact", ROWS), True),
    "close": (1, step(Step.CLOSE, "AlternateKey"), False),
    "close amid it": (1, step(Step.CLOSE, "link.contact"), True),
    "links cleared": (2, chunk("link.contact", CHILD_REMOVALS), False),
    "profiles removed amid a call": (2, chunk("CustomerProfile", PROFILE_REMOVALS), True),
    "close on day 2": (2, step(Step.CLOSE, "CustomerProfile"), False),
}


OFTEN = ("close amid it", "profiles removed amid a call")


@pytest.mark.parametrize("name", DEAD if SOAK else OFTEN)
def test_a_dead_message_loses_nothing(workplace: Workplace, name: str) -> None:
    day, picks, amid = DEAD[name]
    with campaign("Dead letters", "messages") as tally, workplace.workshop() as workshop:
        tally.count += 1
        services = workshop.worker()
        for undisturbed in range(1, day):
            workshop.land(undisturbed)
            workshop.work_to_the_end(services)
        workshop.land(day)
        workshop.handle = dying(workshop, picks, amid=amid)
        workshop.work_to_the_end(services)
        told = workshop.told(services)
        assert told["status"] == "Failed", told
        assert all(task["status"] not in {"Queued", "Refreshing"} for task in told["tasks"]), told
        workshop.handle = Letter.hand_over
        workshop.land(day)
        workshop.work_to_the_end(services)
        assert workshop.told(services)["status"] == "Successful", workshop.told(services)
        workshop.tenant.assert_content(workshop.stack, day)
        workshop.assert_state_agrees(services, day)


def dying(workshop: Workshop, picks: Picks, *, amid: bool) -> Callable[[Letter, Services], None]:
    """Messages that are picked go to the dead letters; `amid`: a worker died over the first one, after a write."""
    begun = [not amid]

    def handle(letter: Letter, services: Services) -> None:
        if not picks(letter.message) or letter.dead is None:
            letter.deliver(services)
            return
        if not begun[0]:
            begun[0] = True
            with contextlib.suppress(Killed):
                letter.deliver(workshop.worker(Fate(3, after=True)))
        letter.dead(services)

    return handle
