"""Campaigns: how often something is tried, from which seed, and what is written down of it.

A campaign is short in `make test` and long with SOAK=1. SEED=<number> repeats one; every failure names it.
With CAMPAIGN_LOG=<file> each part of a campaign adds a line of JSON to the file: tests/soak.py makes its table of them.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

SOAK = bool(os.environ.get("SOAK"))
SEED = int(os.environ.get("SEED", "20261"))
_LOG = os.environ.get("CAMPAIGN_LOG")


def size(short: int, long: int) -> int:
    """How often something is tried: in `make test`, and in the long run."""
    return long if SOAK else short


@dataclass
class Tally:
    """What a part of a campaign did: what was `counted`, and how often a promise was broken."""

    campaign: str
    counted: str
    seed: int = SEED
    count: int = 0
    violations: int = 0
    seconds: float = 0.0
    fault: str = ""  # what was raised: a long run tells it only at its end, the log at once


@contextmanager
def campaign(name: str, counted: str, seed: int = SEED) -> Iterator[Tally]:
    """A part of a campaign: `count` is what the caller adds to it, and whatever is raised is a violation.

    `counted` says what the count is of, such as "histories" or "kills".
    """
    tally, begun = Tally(name, counted, seed), time.monotonic()
    try:
        yield tally
    except pytest.skip.Exception:
        raise
    except BaseException as fault:
        tally.violations += 1
        tally.fault = repr(fault)
        raise
    finally:
        tally.seconds = round(time.monotonic() - begun, 3)
        _note(tally)


def _note(tally: Tally) -> None:
    if _LOG:
        with Path(_LOG).open("a", encoding="utf-8") as log:  # one short write: lines of several processes stay whole
            log.write(json.dumps(asdict(tally)) + "\n")
