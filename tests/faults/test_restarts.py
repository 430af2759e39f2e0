"""The host, the broker, the storage or Dataverse is killed amid a day and started again: the day ends the same.

And every message comes five times, and five times more when the day is over: nothing is written twice.
All are real processes, and the host and the services come back on their old ports and files. The storage is told to
end: kill -9 would take from Azurite what it had acknowledged, which Azure Storage never does.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from local import snapshots
from local import stack as stacks
from local.stack import Stack
from shared.clock import Clock
from shared.runs.store import Store
from shared.settings import Connection
from tests.support.campaigns import SEED, campaign, size
from tests.support.copies import Sent, messages, send, senders
from tests.support.moments import Moment, moments, wait_for_line
from tests.support.tenants import Tenant, configuration, write_sample

HOST = "host"
LONGEST = {HOST: 0.0, "broker": 3.0, "azurite": 3.0, "dataverse": 3.0}  # seconds that it is away
MOMENTS = moments(
    {HOST: size(1, 20)} | {service: size(1, 10) for service in stacks.SERVICES},
    LONGEST,
    random.Random(SEED),  # noqa: S311 - seeded on purpose
)
PEOPLE = 40
_ENDS_WITHIN = 240.0
SETTINGS = snapshots.LANDED_WHOLE | {
    "HYDRATION_LEASE_SECONDS": "2",
    "DATAVERSE_TIMEOUT_SECONDS": "1.5",
    "RECONCILE_SCHEDULE": "* * * * * *",
    "DATAVERSE_BATCH_ROWS": "10",
}


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> list[Tenant]:
    root = tmp_path_factory.mktemp("tenants")
    write_sample(root, PEOPLE)
    return [Tenant(number, root, lacks=7) for number in range(MOMENTS[-1].tenant + 2)]  # one for the copies


@pytest.fixture(scope="module")
def stack(tenants: list[Tenant], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    root = tmp_path_factory.mktemp("stack")
    (root / "hydration.toml").write_text(configuration(tenants), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stacks, "LOCK_SECONDS", "2")
        with Stack(root, root / "hydration.toml", settings=SETTINGS) as running:
            yield running


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_a_process_that_is_killed_and_comes_back_changes_nothing(
    stack: Stack, tenants: list[Tenant], moment: Moment
) -> None:
    name = "kill -9 of the host at any moment" if moment.what == HOST else "Broker, storage and Dataverse restarted"
    with campaign(name, "kills" if moment.what == HOST else "restarts") as tally, ThreadPoolExecutor(1) as landings:
        tenant, log = tenants[moment.tenant], stack.root / "logs" / "host.log"
        if moment.day == 1:
            tenant.seed(stack)
        begin = log.stat().st_size
        landed = landings.submit(tenant.land, stack, moment.day)
        wait_for_line(log, begin, moment.line, landed)
        time.sleep(moment.wait)
        restart(stack, moment)
        tally.count += 1
        tenant.assert_day(stack, moment.day, landed.result(timeout=_ENDS_WITHIN))


def restart(stack: Stack, moment: Moment) -> None:
    """Whatever happens in between, the process is there again: those after it need it."""
    if moment.what == HOST:
        stack.kill_host()
        stack.start_host()
        return
    stack.kill_service(moment.what)
    try:
        time.sleep(moment.seconds)
    finally:
        stack.start_service(moment.what)


def test_copies_of_messages_and_a_second_landing_write_nothing(stack: Stack, tenants: list[Tenant]) -> None:
    """Five copies of every message while the run goes on, five more when it is over, and then the same files again."""
    tenant, draw = tenants[-1], random.Random(SEED)  # noqa: S311 - seeded on purpose
    tenant.seed(stack)
    store = Store(Connection(stack.settings["StatusStorage"]), Clock())
    store.create_tables()  # the app does so when it is first called
    with senders(stack) as queues, ThreadPoolExecutor(1) as landings:
        landed = landings.submit(tenant.land, stack, 1)
        sent = set[Sent]()
        while not landed.done():
            fresh = messages(store, tenant.environment) - sent
            send(queues, fresh, 5, draw)
            sent |= fresh
            time.sleep(0.2)
        tenant.assert_day(stack, 1, landed.result())
        written = tenant.written(stack)
        assert len(sent) > 12
        send(queues, sent, 5, draw)
        again = tenant.land(stack, 1)
    assert (again["status"], sum(task["writes"] for task in again["tasks"])) == ("Successful", 0)
    assert tenant.written(stack) == written
    tenant.assert_content(stack, 1)
