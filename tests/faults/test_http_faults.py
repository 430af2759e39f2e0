"""Whole days while Dataverse's answers fail on real sockets: the same content, the same counts, nothing given away.

Many requests are hit, whatever they ask for: definitions, bulk writes, batches, reads. The two days follow each other
again and again, so that there is always something to write, to change and to remove.
"""

from __future__ import annotations

import itertools
import random
from typing import Any

import httpx
import pytest

from local import snapshots
from shared.services import Services
from tests.support.campaigns import SEED, SOAK, campaign, size
from tests.support.secrecy import assert_kept, kept_secret
from tests.support.workers import Workplace, Workshop

FAULTS = size(50, 1_000)
"""Of each kind."""
RATE = 0.4 if SOAK else 0.2
TIMEOUT_SECONDS = 0.3
KINDS: dict[str, list[dict[str, Any]]] = {
    "429": [{"kind": kind, "retry_after": 0.1} for kind in ("requests", "execution", "concurrency")],
    "503": [{"kind": "unavailable"}],
    "reset before the commit": [{"kind": "reset"}],
    "reset after the commit": [{"kind": "reset_after_commit"}],
    "answer too late": [{"kind": "slow", "slow": 2 * TIMEOUT_SECONDS}],
    "answer cut off": [{"kind": "truncated"}],
    "token expired": [{"kind": "token_expired"}],  # never the new one at once: that is no token of this Dataverse
}
SETTINGS = {"DATAVERSE_BATCH_ROWS": "4", "DATAVERSE_TIMEOUT_SECONDS": f"{TIMEOUT_SECONDS}"}


@pytest.mark.parametrize("kind", KINDS)
def test_days_under_faults_are_as_other_days(workplace: Workplace, kind: str) -> None:
    draw = random.Random(f"{SEED} {kind}")  # noqa: S311 - seeded on purpose
    with (
        campaign(f"HTTP faults on real sockets: {kind}", "faults") as tally,
        workplace.workshop(settings=SETTINGS) as workshop,
        kept_secret(),
    ):
        services, before = workshop.worker(), 0
        for day in itertools.cycle((1, 2)):
            tally.count += a_day(workshop, services, (before, day), kind, draw)
            before = day
            if tally.count >= FAULTS:
                break
        assert_kept(workshop, services)


def a_day(workshop: Workshop, services: Services, days: tuple[int, int], kind: str, draw: random.Random) -> int:
    """One day after the other while requests are hit; how many were."""
    before, day = days
    tell(workshop, "limits", {"limits": {"grace": 0}})  # whoever is told to wait has nothing under way here
    tell(workshop, "faults", drawn(kind, draw))
    counted = statistics(workshop)
    workshop.land(day)
    workshop.work_to_the_end(services)
    workshop.assert_day(services, day, before)
    workshop.assert_state_agrees(services, day)  # the same landing again, and as many faults
    tell(workshop, "faults", [])
    since = statistics(workshop)
    assert [user["early"] for user in since["users"].values()] == [0], "a request came before its Retry-After"
    return injected(since) - injected(counted)


def drawn(kind: str, draw: random.Random) -> list[dict[str, Any]]:
    """What the local Dataverse is to do; any request can be hit, but a token is always good for one."""
    faults, share = KINDS[kind], RATE / len(KINDS[kind])
    if kind != "token expired":
        return [{"rate": share, "seed": draw.randrange(2**32)} | fault for fault in faults]
    gaps = [draw.choice((1, 1, 2, 4)) for _ in range(400)]
    return [faults[0] | {"skip": skip} for skip in itertools.accumulate(gaps)]


def statistics(workshop: Workshop) -> dict[str, Any]:
    return snapshots.statistics(workshop.stack, workshop.tenant.organization)


def injected(counted: dict[str, Any]) -> int:
    return sum(int(times) for times in counted["faults"].values())


def tell(workshop: Workshop, what: str, wanted: object) -> None:
    """Ask the tenant's organization for another behaviour."""
    address = f"{workshop.stack.dataverse_url}/local/{workshop.tenant.organization}/{what}"
    httpx.post(address, json=wanted, trust_env=False).raise_for_status()
