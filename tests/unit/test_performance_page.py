from __future__ import annotations

from pathlib import Path

import pytest

from bench import report
from bench.measure import RESULTS, ROOT

NAMES = {path.stem for path in RESULTS.glob("*.json")}


def test_the_page_holds_what_the_benchmarks_found() -> None:
    page = report.PAGE.read_text(encoding="utf-8")
    assert report.render(page, report.results()) == page


def test_every_benchmark_of_the_makefile_has_a_result() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    line = next(line for line in makefile.splitlines() if line.startswith("BENCHMARKS :="))
    assert set(line.partition(":=")[2].split()) == NAMES == set(report.TABLES)


def test_results_say_how_they_came_to_be() -> None:
    for name, result in report.results().items():
        assert (ROOT / result["command"].removeprefix("python ")).is_file()
        assert {"date", "commit", "machine", "versions", "claims"} <= result.keys(), name
        assert result["versions"]["python"]


def test_results_name_no_machine_and_no_path() -> None:
    for path in RESULTS.glob("*.json"):
        content = path.read_text(encoding="utf-8")
        assert Path("/").joinpath("home").as_posix() not in content
        assert "/tmp" not in content  # noqa: S108 - looked for, not used
        assert ROOT.as_posix() not in content


def test_what_a_page_lacks_is_said() -> None:
    found = report.results()
    del found["users"]
    with pytest.raises(KeyError, match="users"):
        report.render(report.PAGE.read_text(encoding="utf-8"), found)
