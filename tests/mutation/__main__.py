"""Mutation testing, in a copy of the tree: `python -m tests.mutation [group ...]`; without a name, all groups.

Prints how many mutants of each module were killed, and leaves the survivors in .local/mutants/survivors.txt.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.mutation import trees
from tests.mutation.groups import GROUPS, SLOW, Group

PLACE = trees.ROOT / ".local" / "mutants"
_SURVIVED, _UNTESTED = 0, 33  # exit codes of mutmut's workers
_KEPT = ("handlers", "local", "docs", "function_app.py", "host.json", "hydration.toml", "README.md")


@dataclass(frozen=True)
class Mutant:
    """One mutant: alive where no test notices it."""

    name: str
    file: str
    code: int | None

    @property
    def alive(self) -> bool:
        return self.code in {_SURVIVED, _UNTESTED, None}


def main(names: list[str]) -> None:
    """Mutate the groups and say what came of it."""
    unknown = set(names) - set(GROUPS)
    if unknown:
        raise SystemExit(f"There is no group {', '.join(sorted(unknown))}: {', '.join(GROUPS)}.")
    found: list[Mutant] = []
    for name in names or list(GROUPS):
        _run(name, GROUPS[name])
        found += _mutants(PLACE / name)
    sys.stdout.write(_table(found))
    survivors = [f"{_diff(mutant)}\n" for mutant in found if mutant.alive]
    (PLACE / "survivors.txt").write_text("\n".join(survivors), "utf-8")


def _run(name: str, group: Group) -> None:
    tree = trees.copy(PLACE / name)
    tests = [f"tests/unit/test_{test}.py" for test in group.tests]
    selection = [test for test in tests if (tree / test).exists()]
    selection += [argument for slow in SLOW if slow.split("::")[0] in tests for argument in ("--deselect", slow)]
    with (tree / "pyproject.toml").open("a", encoding="utf-8") as project:
        project.write(_settings(group, selection))
    program = Path(sys.executable).with_name("mutmut")
    environment = os.environ | {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONHASHSEED": "0"}
    with (PLACE / f"{name}.log").open("w", encoding="utf-8") as log:
        subprocess.run(  # noqa: S603
            [program, "run", "--max-children", os.environ.get("MUTANTS_AT_ONCE", "1")],
            cwd=tree, env=environment, stdout=log, stderr=subprocess.STDOUT, check=True,
        )  # fmt: skip


def _settings(group: Group, selection: list[str]) -> str:
    listed = {
        "source_paths": ["shared"],
        "only_mutate": list(group.modules),
        "also_copy": list(_KEPT),
        "do_not_mutate_patterns": [r"_log\.(debug|info|warning|error)\("],  # for people who look for a cause
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-seed=0", "-q"],
        "pytest_add_cli_args_test_selection": selection,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in listed.items()]
    return "\n".join(["", "[tool.mutmut]", *lines, 'process_isolation = "forkserver"', ""])


def _mutants(tree: Path) -> Iterator[Mutant]:
    for file in sorted((tree / "mutants" / "shared").rglob("*.meta")):
        codes = json.loads(file.read_text("utf-8"))["exit_code_by_key"]
        module = str(file.relative_to(tree / "mutants")).removesuffix(".meta")
        yield from (Mutant(name, module, code) for name, code in codes.items())


def _table(mutants: list[Mutant]) -> str:
    lines = [f"{'module':<32} {'mutants':>8} {'killed':>8} {'survived':>9} {'killed %':>9}"]
    files = sorted({mutant.file for mutant in mutants})
    for file in [*files, "all"]:
        of = [mutant for mutant in mutants if file in {mutant.file, "all"}]
        alive = sum(mutant.alive for mutant in of)
        lines.append(f"{file:<32} {len(of):>8} {len(of) - alive:>8} {alive:>9} {100 * (1 - alive / len(of)):>8.1f}%")
    return "\n".join(lines) + "\n"


def _diff(mutant: Mutant) -> str:
    """What the mutant changes."""
    tree = next(PLACE / name for name, group in GROUPS.items() if mutant.file in group.modules)
    shown = subprocess.run(  # noqa: S603
        [Path(sys.executable).with_name("mutmut"), "show", mutant.name],
        cwd=tree, check=False, capture_output=True, text=True,
    ).stdout  # fmt: skip
    changed = [line for line in shown.splitlines() if line[:1] in "+-" and line[:3] not in {"+++", "---"}]
    return "\n".join([f"{mutant.name} ({'no test' if mutant.code == _UNTESTED else 'survived'})", *changed])


if __name__ == "__main__":
    main(sys.argv[1:])
