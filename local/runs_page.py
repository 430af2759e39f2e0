"""`python -m local.runs_page`: writes the diagrams and tables of docs/runs.md, from the changes that the code allows.

The words around them stand in docs/runs.md itself; what stands between `<!-- name -->` and `<!-- end -->` is made here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from shared.runs import life
from shared.runs.life import Change
from shared.runs.model import Phase, TaskPhase

PAGE = Path(__file__).resolve().parent.parent / "docs" / "runs.md"
_MADE = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

P = TypeVar("P", Phase, TaskPhase)


def page(written: str) -> str:
    """The page with its diagrams and tables as the code has them."""
    return _MADE.sub(lambda found: f"{found[1]}{_made(found[2])}\n{found[3]}", written)


def _made(what: str) -> str:
    changes: dict[str, str] = {"run": _both(life.RUN), "task": _both(life.TASK)}
    return changes[what]


def _both(changes: Sequence[Change[P]]) -> str:
    return f"{_diagram(changes)}\n\n{_table(changes)}"


def _diagram(changes: Sequence[Change[P]]) -> str:
    """The changes as a Mermaid diagram: GitHub and most editors draw it."""
    last = {change.after for change in changes} - {change.before for change in changes}
    lines: list[str] = [f"    {change.before or '[*]'} --> {change.after}" for change in changes]
    lines += [f"    {phase} --> [*]" for phase in sorted(last)]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def _table(changes: Sequence[Change[P]]) -> str:
    rows: list[str] = [f"| {change.before or '-'} | {change.after} | {change.because} |" for change in changes]
    return "\n".join(["| From | To | Because |", "|---|---|---|", *rows])


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
