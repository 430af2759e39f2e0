"""Links from run to run: all of them at first, then only what is new, has changed or is gone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.stack import Stack
from shared.runs.model import Mode
from tests.support.links import PROFILE, Home, Outcome, names, paired, person, row, street

FIRST = paired(range(6)) | {row(6): person(5)}
MERGED = {row(1): person(0)}  # 1 became 0
SPLIT = {row(6): person(8)}  # 5 was two people
NEW = {row(7): person(7)}
SECOND = paired([0, 2, 5]) | MERGED | SPLIT | NEW  # the row 3 left, and the row 4 has a profile no more
LEFT = [0, 2, 3, 5, 7, 8, 9]  # nobody is 9


@pytest.fixture(scope="module", name="home")
def _home(bare_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One environment: what a test leaves is where the next one begins."""
    with street(bare_stack, tmp_path_factory.mktemp("again"), 1) as found:
        home = found.home()
        home.seed("contact", map(row, range(10)))
        yield home


@pytest.fixture(scope="module", name="first")
def _first(home: Home) -> Outcome:
    return home.land(names(range(6)), contact=FIRST)


@pytest.fixture(scope="module", name="second")
def _second(home: Home, first: Outcome) -> Outcome:
    assert first.told["status"] == "Successful"
    return home.land(names(LEFT), contact=SECOND | {row(4): person(4)})


def test_the_first_run_links_every_row_and_several_rows_share_a_profile(home: Home, first: Outcome) -> None:
    assert first.told["status"] == "Successful", first.told
    assert first.counts("contact") == {"created": 7, "writes": 7}
    assert first.written == {PROFILE: 6, "contact": 7}
    home.assert_holds(names(range(6)), contact=FIRST)


@pytest.mark.usefixtures("first")
def test_the_same_data_once_more_writes_nothing(home: Home) -> None:
    again = home.land(names(range(6)), contact=FIRST)
    assert (again.told["status"], again.told["detail"], again.written) == ("Successful", "Nothing had changed.", {})


@pytest.mark.parametrize("mode", [Mode.FULL, Mode.VERIFY])
@pytest.mark.usefixtures("first")
def test_links_that_are_right_are_read_and_not_written(home: Home, mode: Mode) -> None:
    after = home.ask(mode, "contact")
    assert after.told["status"] == "Successful", after.told
    assert (after.counts("contact"), after.written) == ({"unchanged": 7}, {})
    assert f"10 rows of contact were read, because the run is of mode {mode}" in after.task("contact")["detail"]


def test_what_is_new_was_merged_or_split_or_left_is_written_and_nothing_else(home: Home, second: Outcome) -> None:
    home.assert_holds(names(LEFT), contact=SECOND)
    written = {"created": len(NEW), "changed": len(MERGED | SPLIT), "removed": 2, "writes": 5}
    assert second.counts("contact") == written | {"unchanged": 3, "rejected": 1}
    assert second.written == {"contact": 5, PROFILE: 5}


def test_a_row_whose_profile_alone_is_gone_is_cleared_and_its_key_rejected(home: Home, second: Outcome) -> None:
    assert second.task("contact")["status"] == "Completed with rejects"
    assert row(4) not in home.links("contact")
    assert second.counts("CustomerProfile") == {"created": 3, "unchanged": 4, "removed": 2, "writes": 5}


@pytest.mark.usefixtures("second")
def test_a_profile_that_something_points_to_stays_until_nothing_does(home: Home) -> None:
    stay, links = names([0, 2, 5, 7, 8, 9]), SECOND
    by_hand = {row(9): person(3)}
    home.point("contacts", row(9), person(3))
    kept = home.land(stay, contact=links)
    assert kept.told["status"] == "Completed with rejects", kept.told
    assert kept.counts("CustomerProfile") == {"unchanged": 6, "held": 1}
    home.assert_holds(names(LEFT), contact=links | by_hand)
    tried = home.land(stay, contact=links)
    assert (tried.counts("CustomerProfile"), tried.written) == ({"unchanged": 6, "held": 1}, {})
    home.point("contacts", row(9), None)
    gone = home.ask()
    assert gone.told["status"] == "Successful", gone.told
    assert gone.counts("CustomerProfile") == {"unchanged": 6, "removed": 1, "writes": 1}
    home.assert_holds(stay, contact=links)


@pytest.mark.usefixtures("second")
def test_a_link_that_dataverse_refuses_keeps_its_former_profile_and_is_tried_again(home: Home) -> None:
    home.api.expect(204, "DELETE", f"{PROFILE}s({person(9)})")  # by hand: nobody knows
    stay, links = names([0, 2, 5, 7, 9]), SECOND | {row(6): person(9)}
    refused = home.land(stay, contact=links)
    assert refused.task("contact")["status"] == "Completed with rejects", refused.told
    assert refused.counts("contact") == {"unchanged": 5, "rejected": 1}
    assert refused.counts("CustomerProfile") == {"unchanged": 5, "held": 1}
    home.assert_holds(names([0, 2, 5, 7, 8]), contact=SECOND)
    done = home.ask(Mode.FULL)
    assert done.told["status"] == "Successful", done.told
    assert done.counts("contact") == {"unchanged": 5, "changed": 1, "writes": 1}
    home.assert_holds(stay, contact=links)
