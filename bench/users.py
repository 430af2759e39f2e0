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

SEEDS = range(20)
LEAST_TIMES, MOST_REFUSALS = 1.9, 1.1
REAL_SEEDS = 2


def run(options: argparse.Namespace) -> Result:
    """Two users; four workers; two users for real."""
    seeds = SEEDS[:4] if options.quick else SEEDS
    pairs = [(measure(seed, users=2).rows, measure(seed, cores_for=2).rows) for seed in seeds]
    workers = {count: [measure(seed, workers=count) for seed in seeds] for count in (1, 4)}
    real = _real(options)
    result = Result("users", {"worlds": len(seeds), "real_worlds": len(real)})
    result.figures["two_users"] = _spread(pairs)
    result.figures["two_users_for_real"] = _spread(real)
    result.figures["workers"] = {
        str(count): {
            "refused": sum(one.refused for one in found),
            "early": sum(one.early for one in found),
            "share": round(statistics.median(one.share for one in found), 3),
        }
        for count, found in workers.items()
    }
    one, four = (result.figures["workers"][count]["refused"] for count in ("1", "4"))
    result.claims = [
        Claim(
            "Rows of two application users, times one's, 20 worlds",
            LEAST_TIMES,
            result.figures["two_users"]["together"],
        ),
        Claim(
            "429s of four workers of a user, times one worker's, 20 worlds",
            MOST_REFUSALS,
            round(four / one, 3),
            most=True,
        ),
    ]
    return result


def _real(options: argparse.Namespace) -> list[tuple[float, float]]:
    worlds = sorted((draw(seed, users=2, spread="turn") for seed in SEEDS), key=lambda world: world.permitted)
    found: list[tuple[float, float]] = []
    for world in worlds[: 1 if options.quick else REAL_SEEDS]:
        seconds = 15.0 if options.quick else None
        one, two = (scaled.measure(world, "ours", users=users, seconds=seconds) for users in (1, 2))
        say(f"  for real, seed {world.seed}: {one}, {two}")
        found.append((two.rows, one.rows))
    return found


def _spread(pairs: list[tuple[float, float]]) -> dict[str, Any]:
    """How many times as many rows two write: of all worlds together, and of single ones."""
    times = [two / one for two, one in pairs]
    together = sum(two for two, _ in pairs) / sum(one for _, one in pairs)
    figures = {"together": together, "median": statistics.median(times), "lowest": min(times), "highest": max(times)}
    return {name: round(value, 3) for name, value in figures.items()}


if __name__ == "__main__":
    main(__doc__, run)
