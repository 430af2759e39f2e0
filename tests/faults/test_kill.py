"""The host is killed at any moment of a day and started again: Dataverse ends as if nothing had happened.

A moment is the n-th line of the app's own log, and a few hundredths of a second more: so the moments spread over the
steps of a run and not over its waits. SOAK=1 tries many more of them; KILL_SEED=<seed> repeats a campaign.
"""

from __future__ import annotations

import logging
import os
import random
import re
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local import snapshots
from local import stack as stacks
from local.stack import Stack
from shared.clock import Clock
from shared.runs.messages import ChunkMessage, Step, TableMessage
from shared.runs.model import Kind
from shared.runs.queues import Queues
from shared.runs.store import Store
from shared.settings import Connection
from tests.support.tenants import Tenant, configuration, write_sample

SOAK = bool(os.environ.get("SOAK"))
SEED = int(os.environ.get("KILL_SEED", "20261"))
PEOPLE = 150
MOMENTS = int(os.environ.get("KILL_MOMENTS", "400" if SOAK else "6"))
LINES = {1: 40, 2: 32}  # of the app in an undisturbed day
JITTER_SECONDS = 0.1
SETTINGS = snapshots.LANDED_WHOLE | {
    "HYDRATION_LEASE_SECONDS": "2",
    "DATAVERSE_TIMEOUT_SECONDS": "1.5",
    "RECONCILE_SCHEDULE": "* * * * * *",
    "DATAVERSE_BATCH_ROWS": "40",
}
_log = logging.getLogger(__name__)
_LINE = re.compile(rb" (INFO|WARNING|ERROR) (shared|handlers)\.")


@dataclass(frozen=True)
class Moment:
    """When the host of a tenant's day is killed."""

    tenant: int
    day: int
    line: int
    wait: float

    def __str__(self) -> str:
        return f"KILL_SEED={SEED}: tenant {self.tenant}, day {self.day}, line {self.line} and {self.wait:.3f} s"


def moments() -> list[Moment]:
    """Spread evenly over both days; where exactly is drawn."""
    draw = random.Random(SEED)  # noqa: S311 - seeded on purpose
    tenants = MOMENTS // 2
    places = {day: draw.sample(range(tenants), tenants) for day in (1, 2)}
    return [
        Moment(
            number + 1,
            day,
            1 + int((places[day][number] + draw.random()) * LINES[day] / tenants),
            draw.uniform(0, JITTER_SECONDS),
        )
        for number in range(tenants)
        for day in (1, 2)
    ]


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> list[Tenant]:
    root = tmp_path_factory.mktemp("tenants")
    write_sample(root, PEOPLE)
    return [Tenant(number, root, lacks=7) for number in range(MOMENTS // 2 + 1)]


@pytest.fixture(scope="module")
def stack(tenants: list[Tenant], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    root = tmp_path_factory.mktemp("stack")
    (root / "hydration.toml").write_text(configuration(tenants), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stacks, "LOCK_SECONDS", "2")
        with Stack(root, root / "hydration.toml", settings=SETTINGS) as running:
            yield running


@pytest.fixture(autouse=True)
def _host(stack: Stack) -> None:
    """A test that failed between the kill and the start must not fail those after it."""
    if stack._host is None:
        stack.start_host()


@pytest.mark.parametrize("moment", moments(), ids=lambda moment: f"{moment.tenant}-day{moment.day}-line{moment.line}")
def test_a_killed_host_ends_in_the_same_content(stack: Stack, tenants: list[Tenant], moment: Moment) -> None:
    _log.warning("%s", moment)  # pytest shows it when the test fails
    tenant = tenants[moment.tenant]
    if moment.day == 1:
        tenant.seed(stack)
    with ThreadPoolExecutor(1) as landing_thread:
        log = stack.root / "logs" / "host.log"
        begin = log.stat().st_size
        landed = landing_thread.submit(tenant.land, stack, moment.day)
        wait_for_line(log, begin, moment.line, landed)
        time.sleep(moment.wait)
        stack.kill_host()
        stack.start_host()
        run = landed.result(timeout=120)
    tenant.assert_day(stack, moment.day, run)


def test_copies_of_messages_and_a_second_landing_write_nothing(stack: Stack, tenants: list[Tenant]) -> None:
    """Five copies of every message while the run goes on, five more when it is over, and then the same files again."""
    tenant, draw = tenants[0], random.Random(SEED)  # noqa: S311 - seeded on purpose
    tenant.seed(stack)
    store = Store(Connection(stack.settings["StatusStorage"]), Clock())
    store.create_tables()  # the app does so when it is first called
    with senders(stack) as queues, ThreadPoolExecutor(1) as landing_thread:
        landed = landing_thread.submit(tenant.land, stack, 1)
        sent = set[tuple[Kind | None, TableMessage | ChunkMessage]]()
        while not landed.done():
            fresh = messages(store, tenant.environment) - sent
            send(queues, [one for one in fresh for _ in range(5)], draw)
            sent |= fresh
            time.sleep(0.05)
        tenant.assert_day(stack, 1, landed.result())
        written = tenant.written(stack)
        assert len(sent) > 12
        send(queues, list(sent) * 5, draw)
        again = tenant.land(stack, 1)
    assert (again["status"], sum(task["writes"] for task in again["tasks"])) == ("Successful", 0)
    assert tenant.written(stack) == written
    tenant.assert_content(stack, 1)


@contextmanager
def senders(stack: Stack) -> Iterator[Queues]:
    """The app's own way to send, closed at the end."""
    queues = Queues(Connection(stack.settings["ServiceBus"]))
    yield queues
    for name in stacks.QUEUES:
        queues._drop(name)
    if queues._client is not None:
        queues._client.close()


def messages(store: Store, environment: str) -> set[tuple[Kind | None, TableMessage | ChunkMessage]]:
    """Every message that the environment's runs have had, or could have; chunks with their kind."""
    found = set[tuple[Kind | None, TableMessage | ChunkMessage]]()
    for run in store.runs(environment):
        found |= {(None, TableMessage(step, environment, run.id)) for step in (Step.START, Step.PREPARE, Step.ADVANCE)}
        for task in store.tasks(run.id):
            found |= {(None, TableMessage(step, environment, run.id, task.key)) for step in (Step.PLAN, Step.CLOSE)}
            found |= {
                (task.kind, ChunkMessage(environment, run.id, task.key, task.attempt, chunk.stage, chunk.number))
                for chunk in store.chunks(task)
            }
    return found


def send(queues: Queues, found: list[tuple[Kind | None, TableMessage | ChunkMessage]], draw: random.Random) -> None:
    for kind, message in draw.sample(found, len(found)):
        if isinstance(message, TableMessage):
            queues.send_step(message)
        elif kind is not None:
            queues.send_chunks(kind, [message])


def wait_for_line(log: Path, begin: int, number: int, landed: Future[dict[str, Any]]) -> None:
    """Until the app has logged so many lines, or the day is over without them."""
    while not landed.done():
        with log.open("rb") as lines:
            lines.seek(begin)
            if len(_LINE.findall(lines.read())) >= number:
                return
        time.sleep(0.005)
