"""Service protection under seeded traffic: what holds whatever is sent, and what a client can get out of it."""

from __future__ import annotations

import heapq
import random
import time
from dataclasses import dataclass, field, replace

import pytest

from local.dataverse.profiles import PROFILES
from local.dataverse.protection import Limits, Protection, Refusal

SEEDS = range(20)


def drawn(seed: int) -> tuple[Limits, random.Random]:
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    limits = Limits(
        window=rng.uniform(20, 60),
        requests=rng.choice([None, rng.randint(5, 60)]),
        execution=rng.choice([None, rng.uniform(5, 60)]),
        concurrent=rng.choice([None, rng.randint(1, 8)]),
        grace=rng.uniform(0, 3),
        longest=rng.uniform(5, 200),
        resolution=rng.choice([0.5, 1.0]),
    )
    return limits, rng


@dataclass
class Traffic:
    """Requests of one user to one server; those under way end when their time has come."""

    protection: Protection
    ends: list[tuple[float, float]] = field(default_factory=list)
    taken: list[float] = field(default_factory=list)
    ended: list[tuple[float, float]] = field(default_factory=list)

    def pass_to(self, now: float) -> None:
        while self.ends and self.ends[0][0] <= now:
            end, seconds = heapq.heappop(self.ends)
            self.protection.finish("user", 0, end, seconds)
            self.ended.append((end, seconds))

    def send(self, now: float, seconds: float) -> Refusal | None:
        self.pass_to(now)
        refusal = self.protection.arrive("user", 0, now)
        if refusal is None:
            self.taken.append(now)
            heapq.heappush(self.ends, (now + seconds, seconds))
        return refusal


@pytest.mark.parametrize("seed", SEEDS)
def test_however_it_is_sent_no_limit_is_exceeded_when_a_request_is_taken(seed: int) -> None:
    limits, rng = drawn(seed)
    traffic, now = Traffic(Protection(limits)), 0.0
    for _ in range(2000):
        now += rng.expovariate(rng.choice([0.2, 1, 20]))
        if traffic.send(now, rng.uniform(0, 2)) is None:
            start = now - limits.window
            assert limits.requests is None or sum(one > start for one in traffic.taken) <= limits.requests
            executed = sum(seconds for end, seconds in traffic.ended if end > start)
            assert limits.execution is None or executed < limits.execution + 1e-6
            assert limits.concurrent is None or len(traffic.ends) <= limits.concurrent
    assert len(traffic.taken) > 5


@pytest.mark.parametrize("seed", SEEDS)
def test_who_sends_one_at_a_time_and_waits_as_told_is_never_early_nor_refused_twice(seed: int) -> None:
    limits, rng = drawn(seed)
    limits = replace(limits, requests=limits.requests or 30)
    traffic, now, refused = Traffic(Protection(limits)), 0.0, 0
    for _ in range(500):
        seconds = rng.uniform(0, 0.1)
        if refusal := traffic.send(now, seconds):
            assert not refusal.early
            refused += 1
            now += refusal.retry_after
            assert traffic.send(now, seconds) is None
        now += seconds
        traffic.pass_to(now)
    assert refused


@pytest.mark.parametrize("seed", SEEDS)
def test_who_pushes_on_is_served_less_than_who_waits(seed: int) -> None:
    limits = Limits(window=30, requests=20 + seed, execution=None, concurrent=None, grace=1, longest=60)
    polite, pushing = Traffic(Protection(limits)), Traffic(Protection(limits))
    now, not_before = 0.0, 0.0
    while now < 300:
        now += 0.25
        pushing.send(now, 0)
        if now >= not_before and (refusal := polite.send(now, 0)):
            not_before = now + refusal.retry_after
    assert len(polite.taken) >= 0.95 * 10 * (limits.requests or 0)
    assert len(pushing.taken) == limits.requests


def test_ten_minutes_of_heavy_traffic_are_decided_in_a_second_or_two() -> None:
    traffic, began = Traffic(Protection(PROFILES["realistic"].limits)), time.process_time()
    for number in range(60_000):
        traffic.send(number / 100, 0.04)
    assert time.process_time() - began < 2
