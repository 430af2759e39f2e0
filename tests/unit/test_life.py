"""The life of a run is what its table says: phases change nowhere else, each is reached, and every life ends."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import TypeVar

import pytest

from local import runs_page
from shared.runs import life
from shared.runs.life import Change
from shared.runs.model import Kind, Phase, Run, Task, TaskPhase

ROOT = Path(__file__).resolve().parents[2]
P = TypeVar("P", Phase, TaskPhase)


def reached(changes: Sequence[Change[P]], begin: P | None) -> set[P]:
    found: set[P] = set()
    ahead = [begin]
    while ahead:
        before = ahead.pop()
        fresh = {change.after for change in changes if change.before == before} - found
        found |= fresh
        ahead += fresh
    return found


def test_every_phase_is_reached_and_from_every_phase_the_end() -> None:
    assert reached(life.RUN, None) == set(Phase)
    assert reached(life.TASK, None) == set(TaskPhase)
    assert all(Phase.ENDED in reached(life.RUN, phase) for phase in Phase if phase is not Phase.ENDED)
    assert all(TaskPhase.ENDED in reached(life.TASK, phase) for phase in TaskPhase if phase is not TaskPhase.ENDED)


def test_what_has_ended_stays_so() -> None:
    assert reached(life.RUN, Phase.ENDED) == set()
    assert reached(life.TASK, TaskPhase.ENDED) == set()


def test_once_it_is_sent_a_run_only_ends() -> None:
    assert reached(life.RUN, Phase.SENDING) == {Phase.ENDED}
    assert [change.before for change in life.RUN if change.after is Phase.SENDING] == [Phase.PREPARING]


@pytest.mark.parametrize(("before", "after"), list(product(Phase, Phase)))
def test_a_run_goes_only_where_the_table_lets_it(before: Phase, after: Phase) -> None:
    run = Run("r", "e", phase=before)
    if (before, after) in life.RUN_CHANGES:
        assert life.run(run, after, detail="so") == Run("r", "e", phase=after, detail="so")
    else:
        with pytest.raises(ValueError, match=f"No run goes from {before} to {after}"):
            life.run(run, after)


@pytest.mark.parametrize(("before", "after"), list(product(TaskPhase, TaskPhase)))
def test_a_task_goes_only_where_the_table_lets_it(before: TaskPhase, after: TaskPhase) -> None:
    task = Task("r", "t", "t", Kind.TABLE, "t", phase=before)
    if (before, after) in life.TASK_CHANGES:
        assert life.task(task, after, tries=2).phase is after
        assert life.task(task, after, tries=2).tries == 2
    else:
        with pytest.raises(ValueError, match=f"No task goes from {before} to {after}"):
            life.task(task, after)


def phases_replaced(path: Path) -> Iterator[int]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "replace":
            yield from (node.lineno for word in node.keywords if word.arg == "phase")


def test_phases_change_nowhere_else() -> None:
    files = [*ROOT.glob("shared/**/*.py"), *ROOT.glob("handlers/*.py")]
    elsewhere = {str(path.relative_to(ROOT)): list(phases_replaced(path)) for path in files if path.name != "life.py"}
    assert {path: lines for path, lines in elsewhere.items() if lines} == {}
    assert list(phases_replaced(ROOT / "shared" / "runs" / "life.py")), "the search finds what it looks for"


def test_the_page_has_the_diagrams_and_tables_of_the_code() -> None:
    written = runs_page.PAGE.read_text(encoding="utf-8")
    assert written == runs_page.page(written), "docs/runs.md is not what the code says any more: make docs"
    assert "starting --> planning" in written
    assert "| planned | ended |" in written
