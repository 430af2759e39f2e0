"""Several application users, and several workers of one user.

`python bench/users.py [--quick]`. Two users against one, in the same worlds (each user has limits of its own, and there
are cores for both); four workers of one user against one worker: how many requests Dataverse refuses. In virtual time
with 20 seeds (bench/protection.py says how), and two users for real, 20 times as fast.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import scaled
from bench.measure import Claim, Result, main, say
from tests.support.virtual_dataverse import draw
from tests.support.virtual_senders import measure

SEEDS = range(1, 21)
LEAST_TIMES, MOST_REFUSALS = 1.9, 1.1
# Worlds that allow two users no more than this machine can carry out.
MOST_ROWS_A_SECOND = 1000
REAL_SEEDS = 2


def run(options: argparse.Namespace) -> Result:
    """Two users; four workers; two users for real."""
    seeds = SEEDS[:4] if options.quick else SEEDS
    times = [measure(seed, users=2).rows / measure(seed, cores_for=2).rows for seed in seeds]
    result = Result("users", {"seeds": len(seeds), "two_users": _spread(times)})
    say(f"two users: {result.figures['two_users']} times one")
    refused = {workers: [measure(seed, workers=workers) for seed in seeds] for workers in (1, 4)}
    result.figures["workers"] = {
        str(workers): {
            "refused": sum(one.refused for one in found),
            "early": sum(one.early for one in found),
            "share": round(statistics.median(one.share for one in found), 3),
        }
        for workers, found in refused.items()
    }
    say(f"workers: {result.figures['workers']}")
    result.figures["two_users_for_real"] = _spread(_real(options))
    one, four = (result.figures["workers"][workers]["refused"] for workers in ("1", "4"))
    result.claims = [
        Claim(
            "rows of two application users, times one's: median of 20 worlds", LEAST_TIMES, _median(result, "two_users")
        ),
        Claim("the same for real", LEAST_TIMES, _median(result, "two_users_for_real")),
        Claim(
            "429s of four workers of a user, times one worker's, 20 worlds",
            MOST_REFUSALS,
            round(four / one, 3),
            most=True,
        ),
    ]
    return result


def _median(result: Result, name: str) -> float:
    return float(result.figures[name]["median"])


def _real(options: argparse.Namespace) -> list[float]:
    worlds = [draw(seed, users=2, spread="turn") for seed in SEEDS]
    worlds = [world for world in worlds if world.permitted / world.lasts <= MOST_ROWS_A_SECOND]
    found = []
    for world in worlds[: 1 if options.quick else REAL_SEEDS]:
        seconds = 10.0 if options.quick else None
        one, two = (scaled.measure(world, "ours", users=users, seconds=seconds) for users in (1, 2))
        say(f"  for real, seed {world.seed}: {one}, {two}")
        found.append(two.rows / one.rows)
    return found


def _spread(found: list[float]) -> dict[str, Any]:
    figures = {"median": statistics.median(found), "lowest": min(found), "highest": max(found)}
    return {name: round(value, 3) for name, value in figures.items()}


if __name__ == "__main__":
    main(__doc__, run)
