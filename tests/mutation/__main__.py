"""Mutation testing, in a copy of the tree: `python -m tests.mutation [options] [group ...]`; no name: all groups.

Prints how many mutants of each module were killed, and leaves the survivors in .local/mutants/survivors.txt.
--again: only those that lived when it ran last, with the tests as they are now.
--sample: every fifth mutant of each function, and its first.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path

from tests.mutation import trees
from tests.mutation.groups import GROUPS, SLOW, Group

PLACE = trees.ROOT / ".local" / "mutants"
AGAIN, SAMPLE = "--again", "--sample"
VERDICTS = "verdicts.json"
_QUIETLY = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist")
_SAMPLED = ("*__mutmut_1", "*__mutmut_*[05]")
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
        return self.code in {_SURVIVED, _UNTESTED}


def main(arguments: list[str]) -> None:
    """Mutate the groups and say what came of it."""
    names = [one for one in arguments if one not in {AGAIN, SAMPLE}] or list(GROUPS)
    if unknown := set(names) - set(GROUPS):
        raise SystemExit(f"There is no group {', '.join(sorted(unknown))}: {', '.join(GROUPS)}.")
    found: list[Mutant] = []
    for name in names:
        _run(name, again=AGAIN in arguments, sample=SAMPLE in arguments)
        found += _mutants(PLACE / name)
    survivors = {mutant: _diff(mutant) for mutant in found if mutant.alive}
    sys.stdout.write(_table(found, {mutant for mutant, diff in survivors.items() if _is_same_in_other_letters(diff)}))
    (PLACE / "survivors.txt").write_text("\n".join(f"{diff}\n" for diff in survivors.values()), "utf-8")


def _run(name: str, *, again: bool, sample: bool) -> None:
    """All mutants of a group, or a `sample`; `again`: those that lived, with the tests as they are now."""
    tree = PLACE / name
    before = {mutant.name: mutant.code for mutant in _mutants(tree)} if again else {}
    alive = [mutant.name for mutant in _mutants(tree) if mutant.alive] if again else []
    if again and not alive:
        return
    if again:
        trees.copy_tests(tree)
    else:
        trees.copy(tree)
    _configure(tree, GROUPS[name])
    _lend_packages(tree)
    program = Path(sys.executable).with_name("mutmut")
    command = [
        str(program),
        "run",
        "--max-children",
        os.environ.get("MUTANTS_AT_ONCE", "1"),
        *(alive or (_SAMPLED if sample else ())),
    ]
    environment = os.environ | {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    with (PLACE / f"{name}.log").open("w", encoding="utf-8") as log:
        subprocess.run(command, cwd=tree, env=environment, stdout=log, stderr=subprocess.STDOUT, check=True)  # noqa: S603
    _keep(tree, before | {one.name: one.code for one in _read(tree) if not again or one.name in set(alive)})


def _lend_packages(tree: Path) -> None:
    """Let tests in the folder that mutmut works in start Azurite."""
    packages = tree / "mutants" / "node_modules"
    packages.parent.mkdir(exist_ok=True)
    if not packages.exists():
        packages.symlink_to(trees.ROOT / "node_modules")


def _configure(tree: Path, group: Group) -> None:
    selection = list(group.files)
    selection += [argument for slow in SLOW if slow.split("::")[0] in group.files for argument in ("--deselect", slow)]
    project = (trees.ROOT / "pyproject.toml").read_text("utf-8")
    (tree / "pyproject.toml").write_text(project + _settings(group, selection), "utf-8")


def _settings(group: Group, selection: list[str]) -> str:
    listed = {
        "source_paths": ["shared"],
        "only_mutate": list(group.modules),
        "also_copy": list(_KEPT),
        "do_not_mutate_patterns": [r"_log\.(debug|info|warning|error)\("],  # for people who look for a cause
        "pytest_add_cli_args": [*_QUIETLY, "--hypothesis-seed=0", "--timeout=60"],
        "pytest_add_cli_args_test_selection": selection,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in listed.items()]
    return "\n".join(["", "[tool.mutmut]", *lines, 'process_isolation = "forkserver"', ""])


def _mutants(tree: Path) -> list[Mutant]:
    """Every mutant, with what the last run that tried it said."""
    kept = tree / VERDICTS
    codes = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    return [replace(mutant, code=codes.get(mutant.name, mutant.code)) for mutant in _read(tree)]


def _keep(tree: Path, codes: Mapping[str, int | None]) -> None:
    """mutmut forgets all of them when its configuration changes."""
    (tree / VERDICTS).write_text(json.dumps(codes), "utf-8")


def _read(tree: Path) -> Iterator[Mutant]:
    for file in sorted((tree / "mutants" / "shared").rglob("*.meta")):
        codes = json.loads(file.read_text("utf-8"))["exit_code_by_key"]
        module = str(file.relative_to(tree / "mutants")).removesuffix(".meta")
        yield from (Mutant(name, module, code) for name, code in codes.items())


def _table(mutants: list[Mutant], in_other_letters: AbstractSet[Mutant]) -> str:
    """What became of the mutants of each module; the second share leaves those out that only write a text otherwise."""
    heads = ("module", "mutants", "tried", "survived", "letters", "killed", "without")
    lines = [_line(heads)]
    for file in [*sorted({mutant.file for mutant in mutants}), "all"]:
        of = [mutant for mutant in mutants if file in {mutant.file, "all"}]
        tried, alive = sum(mutant.code is not None for mutant in of), {mutant for mutant in of if mutant.alive}
        letters = len(alive & in_other_letters)
        shares = _killed(tried, len(alive)), _killed(tried - letters, len(alive) - letters)
        lines.append(_line((file, *map(str, (len(of), tried, len(alive), letters)), *shares)))
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"{cells[0]:<32}" + "".join(f"{cell:>10}" for cell in cells[1:])


def _killed(tried: int, alive: int) -> str:
    return f"{100 * (1 - alive / tried):.1f}%" if tried else "-"


def _is_same_in_other_letters(diff: str) -> bool:
    """Whether a mutant changes nothing but small letters to capitals, or the other way: DuckDB reads SQL alike."""
    before, after = (
        [line[1:].casefold() for line in diff.splitlines() if line.startswith(sign)] for sign in ("-", "+")
    )
    return before == after


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
