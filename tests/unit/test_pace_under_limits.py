"""The pace against the local Dataverse's rules of service protection, ten minutes in virtual time for each seed."""

from __future__ import annotations

from functools import cache

import pytest

from tests.support.virtual_dataverse import VirtualDataverse, draw
from tests.support.virtual_senders import Figures, Kind, measure

SEEDS = range(5)


@cache
def figures(seed: int, kind: Kind = "ours", users: int = 1, workers: int = 1, cores_for: int = 0) -> Figures:
    return measure(seed, kind, users=users, workers=workers, cores_for=cores_for)


@pytest.mark.parametrize("seed", SEEDS)
def test_it_writes_what_the_limits_permit(seed: int) -> None:
    assert figures(seed).share >= 0.95


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_sent_before_a_retry_after(seed: int) -> None:
    assert figures(seed).early == 0


def test_no_more_is_written_than_the_oracle_permits() -> None:
    assert all(figures(seed).share <= 1.01 for seed in SEEDS)  # requests may be a little cheaper by chance


def test_two_users_write_nearly_twice_as_much() -> None:
    one = sum(figures(seed, cores_for=2).rows for seed in SEEDS)
    two = sum(figures(seed, users=2).rows for seed in SEEDS)
    assert two >= 1.9 * one


def test_four_workers_are_refused_no_more_often_than_one() -> None:
    """Refusals are few: twenty seeds, so that one more or less does not decide."""
    one = sum(figures(seed).refused for seed in range(20))
    four = sum(figures(seed, workers=4).refused for seed in range(20))
    assert four <= 1.1 * one


def test_four_workers_write_what_the_limits_permit_too() -> None:
    assert sum(figures(seed, workers=4).share for seed in SEEDS) / len(SEEDS) >= 0.95


def test_who_sends_again_at_once_does_so_before_a_retry_after() -> None:
    assert measure(8, "naive", lasts=60.0).early > 100


def test_a_seed_stands_for_one_world_and_one_outcome() -> None:
    assert draw(3) == draw(3) != draw(4)
    assert measure(2) == measure(2)


def test_the_oracle_counts_every_limit() -> None:
    """By hand: one server, two windows, 1,000 rows a call that takes 1.02 seconds."""
    world = draw(8)
    call = world.costs.request + 1000 * world.costs.row
    execution = world.limits.execution or 0.0
    assert world.permitted <= world.servers * 2 * execution / call * 1000
    assert world.permitted <= world.servers * 2 * (world.limits.requests or 0) * 1000
    assert world.permitted <= world.servers * world.costs.cores * 600 / call * 1000


def test_what_a_server_takes_beyond_its_limit_does_not_count() -> None:
    world = draw(8)
    service = VirtualDataverse(world)
    for _ in range(world.limits.concurrent or 0):
        service.send("somebody", 1_000_000, lambda _: None)
    service.run()
    call = (world.limits.execution or 0.0) / world.costs.row
    assert service.rows("somebody") <= world.servers * call * 1.01
