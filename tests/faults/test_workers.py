"""Workers die, or are held up for hours: the content is the same, and so is what is told.

The points are the writes and the requests to Dataverse of a day. SOAK=1 tries many more of them; SEED=<seed> repeats a
campaign.
"""

from __future__ import annotations

import contextlib
import logging
import random
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

import pytest

from shared.delta import engine
from shared.errors import HydrationError
from shared.runs.model import LAST_STAGE
from tests.support.campaigns import SEED, SOAK, campaign
from tests.support.fates import Fate, Killed
from tests.support.workers import TENANTS, Workplace

CAMPAIGN = ("Workers killed or held up at any write", "moments")
POINTS = {1: 260, 2: 250}  # writes of an undisturbed day
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Moment:
    """Where something happens to a worker."""

    day: int
    point: int
    after: bool
    then: int  # the worker that takes over is killed as well, at this point
    turns: int  # messages that others take before a worker that was held up goes on; 0: all of them


def moments(test: int) -> list[tuple[Moment, Moment]]:
    """For each tenant one moment of each day, spread evenly; where exactly is drawn."""
    draw = random.Random(SEED + test)  # noqa: S311 - seeded on purpose
    places = {day: draw.sample(range(TENANTS), TENANTS) for day in (1, 2)}

    def moment(day: int, tenant: int) -> Moment:
        point = 1 + int((places[day][tenant] + draw.random()) * POINTS[day] / TENANTS)
        return Moment(day, point, draw.random() < 0.5, draw.randrange(60), draw.choice([0, draw.randrange(1, 12)]))

    return [(moment(1, tenant), moment(2, tenant)) for tenant in range(TENANTS)]


def spread(test: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "days",
        moments(test),
        ids=lambda days: "-".join(f"{one.point}{'ba'[one.after]}" for one in days),
    )


_long = pytest.mark.skipif(not SOAK, reason="make soak; the simulation and test_windows.py hold workers up, too")


@spread(0)
def test_a_worker_killed_at_any_point_changes_nothing(workplace: Workplace, days: tuple[Moment, Moment]) -> None:
    with campaign(*CAMPAIGN) as tally, workplace.workshop() as workshop:
        for moment in days:
            _log.warning("SEED=%s: %s", SEED, moment)
            tally.count += 1
            workshop.land(moment.day)
            for fate in (Fate(moment.point, after=moment.after), Fate(moment.then)):
                with contextlib.suppress(Killed):
                    workshop.work_to_the_end(workshop.worker(fate))
                _log.warning("killed at %s", fate.calls[-1:])
            services = workshop.worker()
            workshop.work_to_the_end(services)
            workshop.assert_day(services, moment.day)
        workshop.assert_state_agrees(services, 2)


@_long
@spread(1)
def test_a_worker_held_up_at_any_point_does_no_harm_when_it_goes_on(
    workplace: Workplace, days: tuple[Moment, Moment]
) -> None:
    """It goes on while others do its work, or when they have ended even the next day's run."""
    with campaign(*CAMPAIGN) as tally, workplace.workshop() as workshop, ThreadPoolExecutor(2) as threads:
        services, late = workshop.worker(), list[tuple[Fate, Future[None]]]()
        try:
            for moment in days:
                _log.warning("SEED=%s: %s", SEED, moment)
                tally.count += 1
                workshop.land(moment.day)
                fate = Fate(moment.point, after=moment.after, held_up=True)
                late.append((fate, threads.submit(workshop.work_to_the_end, workshop.worker(fate))))
                while not fate.reached.wait(0.01) and not late[-1][1].done():
                    pass
                others_go_on(late)
                for _ in range(moment.turns):
                    workshop.work(services)
                if moment.turns:
                    go_on(late)
                workshop.work_to_the_end(services)
                workshop.assert_day(services, moment.day)
        finally:
            go_on(late)
        workshop.work_to_the_end(services)
        workshop.assert_day(services, 2)
        workshop.assert_state_agrees(services, 2)


@pytest.mark.parametrize("call", [1, 2] if SOAK else [1])
def test_what_a_worker_notes_late_is_not_taken_for_the_outcome(workplace: Workplace, call: int) -> None:
    """It was held up with the answer in its hands; another worker has sent the chunk to its end meanwhile."""
    with campaign(*CAMPAIGN) as tally, workplace.workshop() as workshop, ThreadPoolExecutor(1) as threads:
        tally.count += 1
        workshop.land(1)
        fate = Fate(call, held_up=True, of="/exceptions/")
        late = [(fate, threads.submit(workshop.work_to_the_end, workshop.worker(fate)))]
        try:
            assert fate.reached.wait(30)
            services = workshop.worker()
            (run,) = services.store.runs(workshop.tenant.environment)
            chunks = [task for task in services.store.tasks(run.id) if task.key == "link.contact"]
            while services.store.open_chunks(chunks[0], up_to=LAST_STAGE):
                workshop.work(services)
        finally:
            go_on(late)
        workshop.work_to_the_end(services)
        workshop.assert_day(services, 1)
        workshop.assert_state_agrees(services, 1)


def others_go_on(late: list[tuple[Fate, Future[None]]]) -> None:
    """Others are other processes: what is locked in the process of one that is held up does not lock them."""
    _log.warning("held up at %s", late[-1][0].calls[-1])
    assert isinstance(vars(engine)["_ONE_AT_A_TIME"], type(Lock()))
    vars(engine)["_ONE_AT_A_TIME"] = Lock()


def go_on(late: list[tuple[Fate, Future[None]]]) -> None:
    """Let those who were held up go on, and wait for them."""
    while late:
        fate, work = late.pop(0)
        fate.released.set()
        with contextlib.suppress(HydrationError, ValueError):  # their message was delivered to others meanwhile
            work.result(timeout=60)


@_long
@spread(2)
def test_a_worker_overtaken_by_the_next_day_does_no_harm(workplace: Workplace, days: tuple[Moment, Moment]) -> None:
    """The next day lands while a worker of the first is held up; it goes on when all is over, or dies."""
    with campaign(*CAMPAIGN) as tally, workplace.workshop() as workshop, ThreadPoolExecutor(1) as threads:
        moment, services = days[0], workshop.worker()
        _log.warning("SEED=%s: %s", SEED, moment)
        tally.count += 1
        workshop.land(1)
        fate = Fate(moment.point, after=moment.after, held_up=True)
        late = [(fate, threads.submit(workshop.work_to_the_end, workshop.worker(fate)))]
        try:
            while not fate.reached.wait(0.01) and not late[-1][1].done():
                pass
            others_go_on(late)
            workshop.land(2)
            workshop.work_to_the_end(services)
        finally:
            go_on(late)
        workshop.work_to_the_end(services)
        workshop.tenant.assert_content(workshop.stack, 2)
        workshop.assert_state_agrees(services, 2)
