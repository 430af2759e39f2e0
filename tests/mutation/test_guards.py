"""Every guard against losing rows is held by a test that fails without it, and nothing is left out of the mutants."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

from tests.mutation import trees
from tests.mutation.groups import GROUPS, LEFT_OUT, SLOW
from tests.mutation.guards import GUARDS, Guard
from tests.support.campaigns import SOAK, campaign

_FAILED = 1  # pytest's exit code where tests ran, and some failed
_long = pytest.mark.skipif(not SOAK, reason="each guard takes seconds: see make soak")
each = pytest.mark.parametrize("guard", GUARDS, ids=[guard.protects for guard in GUARDS])


@each
def test_its_text_stands_once_and_its_test_exists(guard: Guard) -> None:
    assert (trees.ROOT / guard.file).read_text("utf-8").count(guard.text) == 1
    file, _, name = guard.test.partition("::")
    found = ast.parse((trees.ROOT / file).read_text("utf-8")).body
    assert name in {one.name for one in found if isinstance(one, ast.FunctionDef)}


def test_no_two_guards_are_the_same() -> None:
    assert len({guard.protects for guard in GUARDS}) == len({(guard.file, guard.text) for guard in GUARDS})


def test_every_group_names_modules_and_tests_that_there_are() -> None:
    modules = [module for group in GROUPS.values() for module in group.modules]
    named = [*modules, *LEFT_OUT, *(file for group in GROUPS.values() for file in group.files)]
    named += [slow.partition("::")[0] for slow in SLOW]
    assert [file for file in named if not (trees.ROOT / file).is_file()] == []
    assert len(modules) == len(set(modules))


def test_no_module_of_the_runs_the_links_and_the_comparison_is_forgotten() -> None:
    known = {module for group in GROUPS.values() for module in group.modules} | set(LEFT_OUT)
    there = {f"shared/{part}/{file.name}" for part in ("runs", "linking", "delta")
             for file in (trees.ROOT / "shared" / part).glob("*.py") if file.name != "__init__.py"}  # fmt: skip
    assert there - known == set()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree, in which every test passes that is named."""
    copied = trees.copy(tmp_path_factory.mktemp("guards") / "tree")
    whole = _run(copied, *sorted({guard.test for guard in GUARDS}))
    assert whole.returncode == 0, whole.stdout
    return copied


@_long
@each
def test_without_it_its_test_fails(guard: Guard, tree: Path) -> None:
    file = tree / guard.file
    whole = file.read_text("utf-8")
    file.write_text(whole.replace(guard.text, guard.instead), "utf-8")
    try:
        with campaign("Guards removed", "guards") as tally:
            ended = _run(tree, guard.test)
            tally.count += 1
            assert ended.returncode == _FAILED, f"{guard.test} does not notice that it is gone.\n{ended.stdout}"
    finally:
        file.write_text(whole, "utf-8")


def _run(tree: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    command = trees.pytest_command("--hypothesis-seed=0", *tests)
    return subprocess.run(command, cwd=tree, check=False, capture_output=True, text=True)  # noqa: S603
