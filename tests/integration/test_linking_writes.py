"""How links are written: the lookup and nothing else, without flows, duplicate detection and custom logic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from local.stack import Stack
from shared.runs.model import Mode
from tests.support.links import LOOKUP, PROFILE, Home, Outcome, names, paired, person, row, street

NONE = {"requests": 0, "rows": 0}
BYPASSED = "Flows were not fired; plug-ins and workflows were bypassed."
RAN = (
    "Flows were not fired. Plug-ins and workflows of contact ran: the application user lacks "
    "prvBypassCustomBusinessLogic."
)
ALL, LINKS = names([*range(12), 30]), paired(range(14)) | {row(12): person(0), row(13): person(1)}
SECOND = LINKS | {row(1): person(0), row(2): person(30)}
GONE = (10, 11)


@pytest.fixture(scope="module", name="home")
def _home(bare_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with street(bare_stack, tmp_path_factory.mktemp("writes"), 1) as found:
        home = found.home()
        home.seed("contact", map(row, range(12)))  # the rows 12 and 13 are missing
        yield home


@pytest.fixture(scope="module", name="runs")
def _runs(home: Home) -> list[Outcome]:
    """Links are set; some are re-pointed, one of them to a profile that somebody deleted, and some are cleared."""
    first = home.land(ALL, contact=LINKS)
    home.api.expect(204, "DELETE", f"{PROFILE}s({person(30)})")
    links = {one: profile for one, profile in SECOND.items() if one not in map(row, GONE)}
    return [first, home.land(ALL, contact=links)]


def manners(home: Home) -> dict[str, Any]:
    found: dict[str, Any] = home.statistics()["writes_by_manner"]["contact"]
    return found


def test_of_a_source_table_only_the_lookup_is_written(home: Home, runs: list[Outcome]) -> None:
    assert runs[0].counts("contact") == {"created": 12, "missing": 2, "writes": 12}
    counts = {"changed": 1, "removed": 2, "unchanged": 8, "rejected": 1, "missing": 2, "writes": 3}
    assert runs[1].counts("contact") == counts
    assert home.statistics()["columns"]["contact"] == {"created": {}, "updated": {LOOKUP: 15}}
    assert home.statistics()["tables"]["contact"] == {"created": 0, "updated": 15, "deleted": 0, "unlinked": 0}


def test_every_write_is_without_flows_duplicate_detection_and_custom_logic(home: Home, runs: list[Outcome]) -> None:
    found = manners(home)
    for name in ("flows_suppressed", "duplicate_detection_suppressed", "custom_logic_bypassed"):
        assert found[name]["without"] == NONE, name
        assert found[name]["with"]["rows"] == 15
    for run in runs:
        assert BYPASSED in run.task("contact")["detail"].splitlines()


@pytest.mark.usefixtures("runs")
def test_without_the_privilege_to_bypass_custom_logic_links_are_written_and_it_is_told(home: Home) -> None:
    home.lacks("prvBypassCustomBusinessLogic")
    home.api.http.post(f"/local/{home.api.host}/statistics/reset").raise_for_status()
    run = home.land(ALL, contact=LINKS)
    home.lacks()
    assert run.told["status"] == "Successful", run.told
    assert run.counts("contact") == {"changed": 1, "created": 2, "unchanged": 9, "missing": 2, "writes": 3}
    assert RAN in run.task("contact")["detail"].splitlines()
    found = manners(home)
    assert found["custom_logic_bypassed"]["without"]["rows"] == 3
    for name in ("flows_suppressed", "duplicate_detection_suppressed"):
        assert found[name]["without"] == NONE, name


@pytest.mark.usefixtures("runs")
def test_a_run_that_writes_nothing_says_nothing_of_custom_logic(home: Home) -> None:
    detail = home.ask(Mode.VERIFY, "contact").task("contact")["detail"]
    assert "Flows" not in detail
