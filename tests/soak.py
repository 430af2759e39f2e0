"""`make soak`: every campaign at its long size, a table of what was shown, and the same table in docs/reliability.md.

SEED=<number> repeats a run (else it is drawn); SOAK_ONLY=<words of pytest's -k> runs a part, which is printed only.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reliability.md"
FOLDER = ROOT / ".local" / "soak"
_HALVES = ("tests/simulation/test_whole_runs.py", "tests/simulation/test_more_whole_runs.py")
PLACES = (
    *_HALVES,
    "tests/faults",
    "tests/simulation/test_sabotage.py",
    "tests/unit/test_link_histories.py",
    "tests/mutation",
    "tests/integration/test_days.py",
)
WORKERS = "4"  # kills and restarts wait much
_TABLE = re.compile(r"(<!-- soak -->\n).*?(<!-- end -->)", re.DOTALL)


@dataclass
class Row:
    """What all parts of a campaign did together. `seconds` are those of its parts, one after the other."""

    campaign: str
    counted: str
    count: int = 0
    violations: int = 0
    seconds: float = 0.0
    seeds: set[int] = field(default_factory=set)

    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        seeds = ", ".join(map(str, sorted(self.seeds)))
        minutes = f"{self.seconds / 60:.1f} min"
        return self.campaign, f"{self.count:,} {self.counted}", str(self.violations), seeds, minutes


HEADS = ("Campaign", "Count", "Violations", "Seed", "Duration")


def rows(lines: Iterable[Mapping[str, Any]]) -> list[Row]:
    """The campaigns in the order of their names, from what their parts wrote down."""
    found: dict[str, Row] = {}
    for line in lines:
        row = found.setdefault(line["campaign"], Row(line["campaign"], line["counted"]))
        row.count += line["count"]
        row.violations += line["violations"]
        row.seconds += line["seconds"]
        row.seeds.add(line["seed"])
    return [found[name] for name in sorted(found)]


def with_table(page: str, found: Sequence[Row], said: str) -> str:
    """The page with the table of a run, and what is said of the run."""
    lines = [f"| {' | '.join(cells)} |" for cells in (HEADS, ("---",) * len(HEADS), *(row.cells() for row in found))]
    made = "\n".join([*lines, "", said])
    return _TABLE.sub(lambda there: f"{there[1]}{made}\n{there[2]}", page)


def main() -> int:
    """Run the campaigns; 0: all of them kept the promise."""
    seed, only = os.environ.get("SEED") or str(random.randrange(10**6)), os.environ.get("SOAK_ONLY")  # noqa: S311
    FOLDER.mkdir(parents=True, exist_ok=True)
    log, commit, begun = FOLDER / f"{time.strftime('%Y%m%dT%H%M%S')}.jsonl", _commit(), time.monotonic()
    log.touch()
    environment = os.environ | {"SOAK": "1", "SEED": seed, "CAMPAIGN_LOG": str(log)}
    command = [sys.executable, "-m", "pytest", *PLACES, "--timeout", "0", "--hypothesis-seed", seed]
    command += [
        "--numprocesses",
        WORKERS,
        "--dist",
        "loadfile",
        "--no-loadscope-reorder",
        *(["-k", only] if only else []),
    ]
    code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode  # noqa: S603  our own tests
    found = rows(map(json.loads, log.read_text(encoding="utf-8").splitlines()))
    minutes = (time.monotonic() - begun) / 60
    said = f"Commit {commit}, {minutes:.0f} minutes on {os.cpu_count()} cores; the tests all passed: {_yes(code == 0)}."
    _print(found, said)
    if only is None:
        PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), found, said), encoding="utf-8")
    return code or int(any(row.violations for row in found))


def _print(found: Sequence[Row], said: str) -> None:
    table = Table(*HEADS)
    for row in found:
        table.add_row(*row.cells())
    console = Console()
    console.print(table)
    console.print(said)


def _yes(is_so: bool) -> str:  # noqa: FBT001  it is the word for it
    return "yes" if is_so else "no"


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603, S607  constant words

    return git("rev-parse", "--short", "HEAD") + (" with uncommitted changes" if git("status", "--porcelain") else "")


if __name__ == "__main__":
    sys.exit(main())
