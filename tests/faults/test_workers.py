"""Workers die, are held up for hours, or get every message five times: the content is the same, and so is what is told.

The points are the writes and the requests to Dataverse of a day. SOAK=1 tries many more of them; FAULT_SEED=<seed>
repeats a campaign.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

import pytest

from local.stack import Stack
from shared.blobs import Blobs
from shared.clock import Clock
from shared.delta import engine
from shared.errors import HydrationError
from shared.runs.model import LAST_STAGE
from shared.runs.store import Store
from shared.services import Services
from shared.settings import Settings
from tests.support.tenants import Tenant, configuration, write_sample
from tests.support.workers import Bag, Fate, Killed, Workshop, settings_of

SOAK = bool(os.environ.get("SOAK"))
SEED = int(os.environ.get("FAULT_SEED", "20262"))
TENANTS = int(os.environ.get("FAULT_TENANTS", "60" if SOAK else "1"))  # of each test; each lives both days
PEOPLE = 30
POINTS = {1: 140, 2: 180}  # writes of an undisturbed day
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
        ("number", "days"),
        [(test * TENANTS + tenant, days) for tenant, days in enumerate(moments(test))],
        ids=lambda value: (
            str(value) if isinstance(value, int) else "-".join(f"{one.point}{'ba'[one.after]}" for one in value)
        ),
    )


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> list[Tenant]:
    root = tmp_path_factory.mktemp("tenants")
    write_sample(root, PEOPLE)
    return [Tenant(number, root, lacks=4) for number in range(4 * TENANTS + 2)]


@pytest.fixture(scope="module")
def stack(tenants: list[Tenant], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    root = tmp_path_factory.mktemp("stack")
    (root / "hydration.toml").write_text(configuration(tenants), encoding="utf-8")
    with Stack(root, root / "hydration.toml", host=False) as running, pytest.MonkeyPatch.context() as patch:
        for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
            patch.setenv(name, running.settings[name])
        yield running


@pytest.fixture(scope="module")
def settings(stack: Stack) -> Settings:
    found = settings_of(stack)
    Store(found.status_storage, Clock()).create_tables()
    Blobs(found).create_container()
    return found


def assert_state_agrees(workshop: Workshop, services: Services, day: int) -> None:
    """What the app believes of Dataverse is so: the same files once more cause no write, and nothing is amiss."""
    before = workshop.tenant.written(workshop.stack)
    workshop.land(day)
    workshop.work_to_the_end(services)
    told = workshop.told(services)
    assert told["status"] == "Successful", told
    assert sum(task["writes"] for task in told["tasks"]) == 0, told
    assert workshop.tenant.written(workshop.stack) == before
    workshop.tenant.assert_content(workshop.stack, day)


@spread(0)
def test_a_worker_killed_at_any_point_changes_nothing(
    stack: Stack, settings: Settings, tenants: list[Tenant], number: int, days: tuple[Moment, Moment]
) -> None:
    with Workshop(stack, settings, tenants[number]) as workshop:
        workshop.tenant.seed(stack)
        for moment in days:
            _log.warning("FAULT_SEED=%s: tenant %s, %s", SEED, number, moment)
            workshop.land(moment.day)
            for fate in (Fate(moment.point, after=moment.after), Fate(moment.then)):
                with contextlib.suppress(Killed):
                    workshop.work_to_the_end(workshop.worker(fate))
                _log.warning("killed at %s", fate.calls[-1:])
            services = workshop.worker()
            workshop.work_to_the_end(services)
            workshop.tenant.assert_day(stack, moment.day, workshop.told(services))
        assert_state_agrees(workshop, services, 2)


@spread(1)
def test_a_worker_held_up_at_any_point_does_no_harm_when_it_goes_on(
    stack: Stack, settings: Settings, tenants: list[Tenant], number: int, days: tuple[Moment, Moment]
) -> None:
    """It goes on while others do its work, or when they have ended even the next day's run."""
    with Workshop(stack, settings, tenants[number]) as workshop, ThreadPoolExecutor(2) as threads:
        workshop.tenant.seed(stack)
        services, late = workshop.worker(), list[tuple[Fate, Future[None]]]()
        try:
            for moment in days:
                _log.warning("FAULT_SEED=%s: tenant %s, %s", SEED, number, moment)
                workshop.land(moment.day)
                fate = Fate(moment.point, after=moment.after, held_up=True)
                late.append((fate, threads.submit(workshop.work_to_the_end, workshop.worker(fate))))
                while not fate.reached.wait(0.01) and not late[-1][1].done():
                    pass
                _log.warning("held up at %s", fate.calls[-1])
                vars(engine)["_ONE_AT_A_TIME"] = Lock()  # other processes have their own
                for _ in range(moment.turns):
                    workshop.work(services)
                if moment.turns:
                    go_on(late)
                workshop.work_to_the_end(services)
                workshop.tenant.assert_day(stack, moment.day, workshop.told(services))
        finally:
            go_on(late)
        workshop.work_to_the_end(services)
        workshop.tenant.assert_day(stack, 2, workshop.told(services))
        assert_state_agrees(workshop, services, 2)


@pytest.mark.parametrize("call", [1, 2] if SOAK else [1])
def test_what_a_worker_notes_late_is_not_taken_for_the_outcome(
    stack: Stack, settings: Settings, tenants: list[Tenant], call: int
) -> None:
    """It was held up with the answer in its hands; another worker has sent the chunk to its end meanwhile."""
    with Workshop(stack, settings, tenants[-call]) as workshop, ThreadPoolExecutor(1) as threads:
        workshop.tenant.seed(stack)
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
        workshop.tenant.assert_day(stack, 1, workshop.told(services))
        assert_state_agrees(workshop, services, 1)


def go_on(late: list[tuple[Fate, Future[None]]]) -> None:
    """Let those who were held up go on, and wait for them."""
    while late:
        fate, work = late.pop(0)
        fate.released.set()
        with contextlib.suppress(HydrationError, ValueError):  # their message was delivered to others meanwhile
            work.result(timeout=60)


@pytest.mark.parametrize("number", range(3 * TENANTS, 3 * TENANTS + max(1, TENANTS // 2)))
def test_messages_delivered_five_times_in_any_order_change_nothing(
    stack: Stack, settings: Settings, tenants: list[Tenant], number: int
) -> None:
    draw = random.Random(SEED + number)  # noqa: S311 - seeded on purpose
    with Workshop(stack, settings, tenants[number], Bag(copies=5), draw=draw) as workshop:
        workshop.tenant.seed(stack)
        services, written = workshop.worker(), dict[str, int]()
        for day in (1, 2):
            workshop.land(day)
            workshop.work_to_the_end(services, most=5000)
            told = workshop.told(services)
            workshop.tenant.assert_day(stack, day, told)
            before, written = written, workshop.tenant.written(stack)
            assert sum(written.values()) - sum(before.values()) == sum(task["writes"] for task in told["tasks"])
            for letter in draw.sample(workshop.bag.known, len(workshop.bag.known)):
                letter.deliver(services)
            workshop.work_to_the_end(services)
            assert workshop.told(services) == told
            assert workshop.tenant.written(stack) == written


@spread(2)
def test_a_worker_overtaken_by_the_next_day_does_no_harm(
    stack: Stack, settings: Settings, tenants: list[Tenant], number: int, days: tuple[Moment, Moment]
) -> None:
    """The next day lands while a worker of the first is held up; it goes on when all is over, or dies."""
    with Workshop(stack, settings, tenants[number]) as workshop, ThreadPoolExecutor(1) as threads:
        workshop.tenant.seed(stack)
        moment, services = days[0], workshop.worker()
        _log.warning("FAULT_SEED=%s: tenant %s, %s", SEED, number, moment)
        workshop.land(1)
        fate = Fate(moment.point, after=moment.after, held_up=True)
        late = [(fate, threads.submit(workshop.work_to_the_end, workshop.worker(fate)))]
        try:
            while not fate.reached.wait(0.01) and not late[-1][1].done():
                pass
            _log.warning("held up at %s", fate.calls[-1])
            vars(engine)["_ONE_AT_A_TIME"] = Lock()  # other processes have their own
            workshop.land(2)
            workshop.work_to_the_end(services)
        finally:
            go_on(late)
        workshop.work_to_the_end(services)
        workshop.tenant.assert_content(stack, 2)
        assert_state_agrees(workshop, services, 2)
