"""How everything in bench/ is measured and kept: rounds, medians, and a result that says where it comes from."""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib.metadata
import json
import logging
import os
import platform
import resource
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"


@dataclass
class Sample:
    """One measurement: what was done, in so many seconds, with so many CPU seconds of this process (the client's)."""

    rows: int = 0
    requests: int = 0
    seconds: float = 0.0
    cpu: float = 0.0


@dataclass(frozen=True)
class Claim:
    """What is promised, beside what was measured; `most` turns "at least" into "at most"."""

    text: str
    limit: float
    measured: float
    most: bool = False

    @property
    def holds(self) -> bool:
        """Whether the measurement keeps the promise."""
        return self.measured <= self.limit if self.most else self.measured >= self.limit


@dataclass
class Result:
    """The figures of one benchmark, and what it claims."""

    name: str
    figures: dict[str, Any] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)


@contextlib.contextmanager
def timed(sample: Sample) -> Iterator[Sample]:
    """Fill in seconds and CPU seconds of the block. Children's CPU is not ours: servers are processes of their own."""
    gc.collect()
    gc.freeze()  # what was made beforehand shall not slow down whoever allocates most
    started, used = time.perf_counter(), _cpu()
    try:
        yield sample
    finally:
        sample.seconds, sample.cpu = time.perf_counter() - started, _cpu() - used
        gc.unfreeze()


def interleaved(rounds: int, contenders: Mapping[str, Callable[[], Sample]]) -> dict[str, list[Sample]]:
    """A B C A B C ...: whatever else the machine does meets all contenders alike."""
    found: dict[str, list[Sample]] = {name: [] for name in contenders}
    for number in range(1, rounds + 1):
        for name, run in contenders.items():
            sample = run()
            found[name].append(sample)
            say(f"  round {number}: {name}: {sample.rows / sample.seconds:,.0f} rows/s")
    return found


def summary(samples: Iterable[Sample]) -> dict[str, float]:
    """Median rows a second with the lowest and highest round, and the client's CPU by request and by 1,000 rows."""
    samples = list(samples)
    speeds = [sample.rows / sample.seconds for sample in samples]
    return {
        "rows_per_second": _significant(statistics.median(speeds)),
        "lowest": _significant(min(speeds)),
        "highest": _significant(max(speeds)),
        "cpu_ms_per_request": _significant(
            statistics.median(1000 * sample.cpu / sample.requests for sample in samples)
        ),
        "cpu_ms_per_1000_rows": _significant(statistics.median(1e6 * sample.cpu / sample.rows for sample in samples)),
    }


def ratio(found: Mapping[str, list[Sample]], above: Iterable[str], below: Iterable[str]) -> float:
    """How many times as many rows a second: the best of `above` by the best of `below`, the median of the rounds."""
    highest, lowest = (
        [
            max(sample.rows / sample.seconds for sample in round_)
            for round_ in zip(*map(found.__getitem__, names), strict=True)
        ]
        for names in (above, below)
    )
    return _significant(statistics.median(a / b for a, b in zip(highest, lowest, strict=True)))


def main(description: str | None, run: Callable[[argparse.Namespace], Result]) -> None:
    """The command line of a benchmark. Full figures are written to bench/results; exit code 1: a claim fails."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="under a minute; only printed, never kept")
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # 429s and second tries are what is measured here
    # Before the benchmark, not after it: the tree may change while it runs.
    origin = _origin()
    started = time.perf_counter()
    result = run(options)
    shown = {
        "benchmark": result.name,
        "command": f"python bench/{result.name}.py",
        **origin,
        "took_seconds": round(time.perf_counter() - started),
        "figures": result.figures,
        "claims": [{**asdict(claim), "holds": claim.holds} for claim in result.claims],
    }
    print(json.dumps(shown, indent=1))
    if not options.quick:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{result.name}.json").write_text(json.dumps(shown, indent=1) + "\n", encoding="utf-8")
    failed = [claim for claim in result.claims if not claim.holds]
    for claim in failed:
        say(f"does not hold: {claim.text} (measured: {claim.measured:g})")
    sys.exit(1 if failed and not options.quick else 0)


def say(line: str) -> None:
    """Tell how far it is, beside the result."""
    print(line, file=sys.stderr, flush=True)


def _origin() -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        "uncommitted_changes": bool(
            _git("status", "--porcelain", "--", "shared", "local", "bench/*.py", "tests/support")
        ),
        "machine": _machine(),
        "versions": _versions(),
    }


def _machine() -> dict[str, Any]:
    """No host name and no path: what counts is what it can do."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "cpu": _cpu_model(),
        "system": platform.system(),
        "load_at_start": round(os.getloadavg()[0], 1),
    }


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _versions() -> dict[str, str]:
    import sqlite3  # noqa: PLC0415 (only its version)

    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version, "openssl": ssl.OPENSSL_VERSION}
    for package in ("httpx", "httpcore", "msgspec", "powerplatform-dataverse-client", "requests", "aiohttp"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603, S607
    return done.stdout.strip()


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _significant(value: float) -> float:
    """Three digits: more would claim what no machine repeats."""
    return float(f"{value:.3g}")
