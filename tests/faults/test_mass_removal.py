"""A snapshot that would remove much: those removals are held, all else is done, a person is asked, and then it is done.

Much is more than a tenth of a table and more than a hundred rows; links have a brake of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared import confirm
from tests.support.campaigns import campaign
from tests.support.villages import LINKS, PROFILES, Content, People, Village, content_of
from tests.support.workers import Workplace

PEOPLE = 220
GONE = 101
ALL: People = {number: (f"Name {number}", 2 * number + 1) for number in range(PEOPLE)}  # nobody is a member
Case = Callable[[Village], None]
CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    CASES[function.__name__.replace("_", " ")] = function
    return function


@pytest.fixture(scope="module", name="village")
def _village(workplace: Workplace) -> Iterator[Village]:
    found = Village.of(workplace, PEOPLE)
    with found.workshop:
        yield found


def without(gone: range) -> People:
    """Everybody but some; of those who stay one half has another name."""
    return {
        number: (f"{name}!" if number % 2 else name, points)
        for number, (name, points) in ALL.items()
        if number not in gone
    }


def confirmed(village: Village, run: dict[str, Any]) -> dict[str, Any]:
    """What the run tells that carries out what another held."""
    confirm.confirm(village.services, run["id"])
    return village.ended()


@case
def rows_and_links_beyond_the_brake_are_held_and_go_when_confirmed(village: Village) -> None:
    """Names change all the same."""
    left = without(range(GONE))
    told = village.live(left)
    assert told["status"] == "Completed with rejects", told
    for name in (PROFILES, LINKS):
        task = told["tasks"][name]
        assert (task["held"], task["removed"], task["confirmable"]) == (GONE, 0, GONE), task
        assert "more than the brake allows (10 percent of" in task["detail"], task["detail"]
    assert told["confirmable"] == 2 * GONE
    stayed = {number: ALL[number] for number in range(GONE)}
    assert village.content() == Content(stayed | left, frozenset(), frozenset(ALL))
    done = confirmed(village, told)
    assert done["status"] == "Successful", done
    assert [done["tasks"][name]["removed"] for name in (PROFILES, LINKS)] == [GONE, GONE]
    village.assert_well(left, done)


@case
def links_beyond_the_brake_are_held_and_rows_are_not(village: Village) -> None:
    """Their profiles stay; only whose contacts they are is not told any more."""
    told = village.live(ALL, keyless)
    profiles, links = told["tasks"][PROFILES], told["tasks"][LINKS]
    assert (links["held"], links["removed"], links["confirmable"]) == (GONE, 0, GONE), links
    assert (profiles["held"], profiles["confirmable"]) == (0, 0), profiles
    assert village.content() == content_of(ALL)
    done = confirmed(village, told)
    assert done["tasks"][LINKS]["removed"] == GONE
    assert village.content() == Content(ALL, frozenset(), frozenset(range(GONE, PEOPLE)))


@case
def a_hundred_rows_are_not_held(village: Village) -> None:
    left = without(range(GONE - 1))
    village.assert_well(left, village.live(left))


@case
def what_is_held_and_comes_back_is_asked_no_more(village: Village) -> None:
    told = village.live(without(range(GONE)))
    assert told["confirmable"] == 2 * GONE
    told = village.live(ALL)
    assert told["confirmable"] == 0
    village.assert_well(ALL, told)


def keyless(folder: Path) -> None:
    """Of some nobody knows any more which contact is theirs."""
    for file in (folder / "unification" / "Customer").glob("*.csv"):
        rows = file.read_text("utf-8").splitlines()
        kept = [row.rpartition(",")[0] + "," if int(row[:8], 16) < GONE else row for row in rows]
        file.write_text("".join(f"{row}\n" for row in kept), "utf-8")


@pytest.mark.parametrize("name", CASES)
def test_much_is_not_removed_before_somebody_said_so(village: Village, name: str) -> None:
    with campaign("Mass removal", "cases") as tally:
        village.assert_well(ALL, village.live(ALL))
        CASES[name](village)
        tally.count += 1
