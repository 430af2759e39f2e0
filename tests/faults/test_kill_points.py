"""Workers are real processes, and kill themselves at labelled points (kill -9): all ends as if nobody had died.

Several environments live three days side by side: two landings, and the files of the second once more. Whatever a
worker leaves behind, the day tells what an undisturbed one tells, Dataverse holds what the oracle says, and the third
day, which agrees with the applied state, writes nothing.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from local import landing
from local import stack as stacks
from local.children import Child, base_environment
from local.inputs import lake_folder
from local.stack import Stack
from shared.runs.model import Mode, Phase, Run
from shared.services import Services, build
from shared.settings import load
from shared.views import run_with_tasks
from tests.support.campaigns import SOAK, campaign, size
from tests.support.kill_board import AMID_ROWS, POINTS, Board
from tests.support.tenants import Tenant, configuration, write_sample

MOST_KILLS, KILLS = size(10, 200), size(3, 60)
"""Where rows are under way, and at each other point."""
TENANTS = size(2, 12)
SPARE = size(1, 6)  # tenants more, where a point was not reached often enough
AT_ONCE = size(2, 6)
WORKERS = 4
PEOPLE = 24
DAYS = (1, 2, 2)
_MOST = 6  # kills at one point on a day of a tenant
_DELIVERIES = "1000"  # one message can meet several points, and kill more workers than make a dead letter elsewhere
_LOOK_SECONDS = 0.5
_DAY_SECONDS = 900.0
_LEASE_SECONDS = 2.0  # on a machine that is ours
_SLOWEST = 2.5  # then what is done twice costs less than waiting for leases
SETTINGS = {
    "HYDRATION_SETTLE_SECONDS": "0",
    "HYDRATION_WHOLE_WITHIN_SECONDS": "0",
    "DATAVERSE_BATCH_ROWS": "8",
}


@dataclass
class Place:
    """The stack, its workers, and the tenants that live there."""

    stack: Stack
    board: Board
    workers: Child
    services: Services
    tenants: list[Tenant]
    days: int = field(default=len(DAYS) * TENANTS)  # that are still to come

    def live(self, tenant: Tenant) -> Iterator[None]:
        """All days of a tenant, with a pause wherever others may go on."""
        tenant.seed(self.stack)
        written: dict[str, int] = {}
        for number, day in enumerate(DAYS):
            self._begin(tenant, day, asked=number == 0)
            yield from self._wait(tenant, number + 1)
            told = run_with_tasks(self.services, self._landed(tenant)[0])
            before, written = written, tenant.written(self.stack)
            if number == DAYS.index(day):
                tenant.assert_day(self.stack, day, told)
                continue
            assert told["status"] == "Successful", told
            assert sum(task["writes"] for task in told["tasks"]) == 0, told
            assert written == before
            tenant.assert_content(self.stack, day)

    def missing(self, point: str) -> int:
        """How many are still to die at a point."""
        return (MOST_KILLS if point in AMID_ROWS else KILLS) - self.board.died(point)

    def _begin(self, tenant: Tenant, day: int, *, asked: bool) -> None:
        """Land a day, and maybe ask for a run.

        The day takes its share of the deaths, and one more at each point: not every one finds its moment.
        """
        landing.land(lake_folder(tenant.lake(day)), self.stack.lake_connection_string, "customerinsights")
        days = max(1, self.days)
        missing = {point: self.missing(point) for point in POINTS}
        share = {point: min(_MOST, number, -(-number // days) + 1) for point, number in missing.items() if number > 0}
        self.days -= 1
        self.board.begin(tenant.number, share, asked=asked)

    def _wait(self, tenant: Tenant, landings: int) -> Iterator[None]:
        """Until every run that was opened has ended."""
        deadline = time.monotonic() + _DAY_SECONDS
        while not self._is_over(tenant, landings):
            self.workers.check()
            assert time.monotonic() < deadline, self._stuck(tenant)
            yield
        self.board.end(tenant.number)

    def _is_over(self, tenant: Tenant, landings: int) -> bool:
        if self.board.landed(tenant.number) or self.board.asked(tenant.number):
            return False
        runs = self.services.store.runs(tenant.environment)
        landed = [run for run in runs if run.mode is Mode.INCREMENTAL]
        return len(landed) >= landings and all(run.phase is Phase.ENDED for run in runs)

    def _landed(self, tenant: Tenant) -> list[Run]:
        """The runs that landings opened, the newest first."""
        return [run for run in self.services.store.runs(tenant.environment) if run.mode is Mode.INCREMENTAL]

    def _stuck(self, tenant: Tenant) -> str:
        runs = self.services.store.runs(tenant.environment)
        return f"not everything has ended: {runs}, {[self.services.store.tasks(run.id) for run in runs]}"


@pytest.fixture(scope="module", name="place")
def _place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("kills")
    lease = _LEASE_SECONDS * slowness(root)
    tenants = [Tenant(number, root, lacks=4) for number in range(TENANTS + SPARE)]
    config = root / "hydration.toml"
    config.write_text(configuration(tenants), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stacks, "LOCK_SECONDS", str(lease + 0.5))  # what comes again finds the lease lapsed
        patch.setattr(stacks, "MAX_DELIVERIES", _DELIVERIES)
        times = {"HYDRATION_LEASE_SECONDS": str(lease), "DATAVERSE_TIMEOUT_SECONDS": str(lease * 0.75)}
        with Stack(root / "stack", config, settings=SETTINGS | times, host=False, keeps=False) as stack:
            services = build(load(stack.settings, root))
            board = Board(root / "board", len(tenants))
            workers = start_workers(stack, root, len(tenants))
            try:
                yield Place(stack, board, workers, services, tenants)
            finally:
                workers.stop()


def worn_out(stack: Stack) -> list[str]:
    """Messages that were given up: nobody listens to dead letters here, so there must be none."""
    with closing(sqlite3.connect(stack.root / "broker.db")) as messages:
        return messages.execute("SELECT queue FROM message WHERE queue LIKE '%$deadletterqueue'").fetchall()


def slowness(root: Path) -> float:
    """How much longer work takes because others work here too: a lease that ends amid every step shows nothing.

    Writes the sample.
    """
    began, used = time.monotonic(), time.process_time()
    write_sample(root, PEOPLE)
    share = (time.process_time() - used) / (time.monotonic() - began)
    return min(_SLOWEST, max(1.0, 0.5 / share))


def start_workers(stack: Stack, root: Path, tenants: int) -> Child:
    """The process that keeps the workers alive."""
    command = [sys.executable, "-m", "tests.support.kill_workers", str(root / "board"), str(tenants), str(WORKERS)]
    alone = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}  # nothing to be forked
    return Child("workers", command, root / "workers.log", base_environment() | alone | stack.settings)


@pytest.mark.timeout(0 if SOAK else 1500)
def test_workers_killed_at_every_labelled_point_change_nothing(place: Place) -> None:
    with campaign("kill -9 at labelled points", "kills") as tally:
        try:
            waiting, alive = list(place.tenants), list[Iterator[None]]()
            spare = iter(waiting[TENANTS:])
            coming = iter(waiting[:TENANTS])
            while True:
                while len(alive) < AT_ONCE and (tenant := next(coming, None)):
                    alive.append(place.live(tenant))
                if not alive:
                    enough = all(place.missing(point) <= 0 for point in POINTS)
                    if enough or not (tenant := next(spare, None)):
                        break
                    alive.append(place.live(tenant))
                alive = [life for life in alive if next(life, StopIteration) is None]
                time.sleep(_LOOK_SECONDS / max(1, len(alive)))
        finally:
            tally.count = sum(place.board.died(point) for point in POINTS)
        assert {point: place.board.died(point) for point in POINTS if place.missing(point) > 0} == {}
        assert worn_out(place.stack) == []
