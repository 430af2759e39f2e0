"""Under service protection: how much of what Dataverse permits is used, and whether anything is sent too early.

`python bench/protection.py [--quick]`. Ten minutes in worlds that are drawn by seed and unknown to whoever sends: our
pace, a naive client with 52 requests under way, and Microsoft's SDK. First in virtual time, 20 seeds, with the app's
own decisions and the local Dataverse's own rules (tests/support/virtual_dataverse.py says what is drawn, and what
"permitted" means). Then for real, with the real clients over HTTP, 20 times as fast (bench/scaled.py).
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import scaled
from bench.measure import Claim, Result, main, say
from tests.support import virtual_senders
from tests.support.virtual_dataverse import draw

SEEDS = range(20)
KINDS: tuple[virtual_senders.Kind, ...] = ("ours", "naive", "sdk")
BY_CHANCE = "ours, where chance spreads requests over web servers"
LEAST_SHARE = 0.95
REAL_SEEDS = 3


class Measured(Protocol):
    """What both experiments find out; `share` of the rows that the limits permit."""

    @property
    def share(self) -> float:
        """Of the permitted rows."""
        ...

    @property
    def requests(self) -> int:
        """How many were sent."""
        ...

    @property
    def refused(self) -> int:
        """How many of them got 429."""
        ...

    @property
    def early(self) -> int:
        """How many of them were sent before a Retry-After had passed."""
        ...


def run(options: argparse.Namespace) -> Result:
    """In virtual time, then for real."""
    result = Result("protection")
    seeds = SEEDS[:2] if options.quick else SEEDS
    virtual: dict[str, dict[str, Any]] = {}
    virtual |= {kind: _figures([virtual_senders.measure(seed, kind) for seed in seeds]) for kind in KINDS}
    virtual[BY_CHANCE] = _figures([virtual_senders.measure(seed, spread="random") for seed in seeds])
    result.figures["virtual"] = {"worlds": len(seeds), "senders": virtual}
    say(f"virtual: {result.figures['virtual']}")
    real = _real(options)
    scaled_ones = {kind: _figures(found) for kind, found in real.items()}
    result.figures["real"] = {"worlds": len(real["ours"]), "senders": scaled_ones}
    ours = virtual["ours"]
    result.claims = [
        Claim("Share of the permitted rows that we use, the worst of 20 worlds", LEAST_SHARE, ours["lowest"]),
        Claim("Requests that we send before a Retry-After, 20 worlds", 0, ours["early"], most=True),
        Claim("The same for real, 20 times as fast", 0, scaled_ones["ours"]["early"], most=True),
    ]
    return result


def _real(options: argparse.Namespace) -> dict[str, list[scaled.Outcome]]:
    """World by world, one client after the other; those with the fewest rows, so that this machine limits nobody."""
    worlds = sorted((draw(seed, spread="turn") for seed in SEEDS), key=lambda world: world.permitted)
    found: dict[str, list[scaled.Outcome]] = {kind: [] for kind in KINDS}
    for world in worlds[: 1 if options.quick else REAL_SEEDS]:
        for kind in KINDS:
            outcome = scaled.measure(world, kind, seconds=15.0 if options.quick else None)
            found[kind].append(outcome)
            say(f"  for real, seed {world.seed}: {kind}: {outcome}")
    return found


def _figures(found: Sequence[Measured]) -> dict[str, Any]:
    shares = [one.share for one in found]
    return {
        "share": round(statistics.median(shares), 3),
        "lowest": round(min(shares), 3),
        "highest": round(max(shares), 3),
        "requests": sum(one.requests for one in found),
        "refused": sum(one.refused for one in found),
        "early": sum(one.early for one in found),
    }


if __name__ == "__main__":
    main(__doc__, run)
