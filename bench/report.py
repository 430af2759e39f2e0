"""docs/performance.md: its tables are made from bench/results/*.json, its words are written by hand.

`python bench/report.py` puts every result between its two markers; `--check` only says whether document and results
agree (exit code 1: they do not).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.measure import RESULTS, ROOT

PAGE = ROOT / "docs" / "performance.md"
_MARKED = re.compile(r"(<!-- begin (\w+) -->\n)(.*?)(<!-- end \2 -->)", re.DOTALL)
Figures = Mapping[str, Any]


def render(page: str, results: Mapping[str, Figures]) -> str:
    """The page with every result in its place. KeyError: a place without a result, or a result without a place."""
    places = {name for _, name, _, _ in _MARKED.findall(page)}
    if missing := places ^ {"summary", *results}:
        raise KeyError(f"not both on the page and in bench/results: {', '.join(sorted(missing))}")

    def filled(match: re.Match[str]) -> str:
        name = match.group(2)
        content = _summary(results) if name == "summary" else _section(results[name])
        return f"{match.group(1)}\n{content}\n\n{match.group(4)}"

    return _MARKED.sub(filled, page)


def results() -> dict[str, Figures]:
    """What bench/results holds, by name of the benchmark."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))}


def _summary(found: Mapping[str, Figures]) -> str:
    """Every claim with what was measured."""
    rows = [
        [claim["text"], f"{'at most' if claim['most'] else 'at least'} {_number(claim['limit'])}",
         _number(claim["measured"]), "holds" if claim["holds"] else "**does not hold**", f"`{result['command']}`"]
        for result in found.values()
        for claim in result["claims"]
    ]  # fmt: skip
    return _table(["Claim", "Limit", "Measured", "", "Repeat it"], rows)


def _section(result: Figures) -> str:
    return f"{_origin(result)}\n\n{TABLES[result['benchmark']](result['figures'])}"


def _origin(result: Figures) -> str:
    machine, versions = result["machine"], result["versions"]
    changed = " with uncommitted changes" if result["uncommitted_changes"] else ""
    names = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"`{result['command']}`, {result['date']}, commit {result['commit']}{changed}; {machine['cores']} cores "
        f"({machine['cpu']}), {machine['memory_gb']} GB, load {machine['load_at_start']} before it began; "
        f"took {result['took_seconds']} s; {names}."
    )


# -- one function a benchmark --------------------------------------------------------------------------------------


def _sending(figures: Figures) -> str:
    titles = {"sink": "Into the discarding sink", "dataverse": "Into the local Dataverse (instant profile)"}
    parts = []
    for where, title in titles.items():
        rows = [
            [size, name, _number(one["rows_per_second"]), f"{_number(one['lowest'])} to {_number(one['highest'])}",
             f"{one['times']:g}", _number(one["cpu_ms_per_request"]), _number(one["cpu_ms_per_1000_rows"])]
            for size, contenders in figures[where].items()
            for name, one in contenders.items()
        ]  # fmt: skip
        head = [
            "Rows a call",
            title,
            "Rows/s, median",
            "Rounds",
            "Times ours",
            "CPU ms a request",
            "CPU ms per 1,000 rows",
        ]
        parts.append(_table(head, rows))
    return "\n\n".join(parts)


def _rejects(figures: Figures) -> str:
    rows = [
        [size, name, _number(one["requests"]), f"{one['times_the_requests']:g}", _number(one["operations"]),
         f"{one['times_the_operations']:g}", one.get("refused", ""), one.get("good_rows_missing", "")]
        for size, kinds in figures["calls"].items()
        for name, one in kinds.items()
    ]  # fmt: skip
    head = [
        "Rows a call",
        "Fault",
        "Requests",
        "Times clean",
        "Operations",
        "Times clean",
        "Refused",
        "Good rows missing",
    ]
    return _table(head, rows)


def _protection(figures: Figures) -> str:
    titles = {"virtual": "In virtual time", "real": "For real, 20 times as fast"}
    rows = [
        [f"{titles[how]}, {figures[how]['worlds']} worlds", name, f"{one['share']:.1%}",
         f"{one['lowest']:.1%} to {one['highest']:.1%}", _number(one["requests"]), _number(one["refused"]),
         _number(one["early"])]
        for how in titles
        for name, one in figures[how]["senders"].items()
    ]  # fmt: skip
    head = [
        "",
        "Who sends",
        "Share of the permitted rows, median",
        "Worlds",
        "Requests",
        "429s",
        "Before a Retry-After",
    ]
    return _table(head, rows)


def _users(figures: Figures) -> str:
    titles = {
        "two_users": f"In virtual time, {figures['worlds']} worlds",
        "two_users_for_real": f"For real, 20 times as fast, {figures['real_worlds']} worlds",
    }
    times = [
        [
            title,
            figures[name]["together"],
            figures[name]["median"],
            f"{figures[name]['lowest']} to {figures[name]['highest']}",
        ]
        for name, title in titles.items()
    ]
    workers = [
        [count, one["refused"], one["early"], f"{one['share']:.1%}"] for count, one in figures["workers"].items()
    ]
    return "\n\n".join(
        [
            _table(
                ["Two application users, times the rows of one", "All worlds together", "Median world", "Worlds"], times
            ),
            _table(
                ["Workers of one user", "429s", "Before a Retry-After", "Share of the permitted rows, median"], workers
            ),
        ]
    )


def _local_dataverse(figures: Figures) -> str:
    rows = [
        [one["kind"], one["size"], _number(one["rows_per_second"]),
         f"{_number(one['lowest'])} to {_number(one['highest'])}", _number(one["rows_per_cpu_second"]),
         f"{one['share_in_sqlite']:.0%}"]
        for one in figures["requests"]
    ]  # fmt: skip
    head = ["Request", "Rows", "Rows/s, median", "Rounds", "Rows per second of CPU", "CPU inside SQLite"]
    return _table(head, rows)


TABLES: dict[str, Callable[[Figures], str]] = {
    "sending": _sending,
    "protection": _protection,
    "users": _users,
    "rejects": _rejects,
    "local_dataverse": _local_dataverse,
}


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [list(head), ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:g}"


def main() -> None:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    made = render(page, results())
    if options.check:
        sys.exit(0 if made == page else f"{PAGE.name} and bench/results do not agree: run python bench/report.py")
    PAGE.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
