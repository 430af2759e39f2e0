"""Whole runs from files that are not as they should be: what a fault hides is never removed, and all else is served.

After each fault the same people land as they should, and everything is right again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.runs.messages import Step, TableMessage
from shared.services import Services
from tests.support.campaigns import SOAK, campaign
from tests.support.villages import LINKS, PROFILES, Content, People, Village, content_of, customer
from tests.support.workers import Letter, Workplace

MOST = 125
CAMPAIGN = ("Source: files that are not as they should be", "cases")
DAYS: tuple[People, ...] = (
    {number: (f"Name {number}", number) for number in range(120)},
    {number: (f"Name {number}{'!' * (number < 20)}", number + (number < 30)) for number in range(5, MOST)},
)
Case = Callable[["Days"], None]
CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    CASES[function.__name__.replace("_", " ")] = function
    return function


class Days:
    """The two days in turn: people who leave, come and change."""

    def __init__(self, village: Village) -> None:
        self.village, self.now = village, DAYS[0]
        self.village.assert_well(self.now, self.village.live(self.now))

    @property
    def next(self) -> People:
        return DAYS[1 - DAYS.index(self.now)]

    def spoilt(self, spoil: Callable[[Path], object]) -> tuple[dict[str, Any], Content]:
        """Land the other day spoilt: what the run tells, and what Dataverse holds then."""
        return self.village.live(self.next, spoil), self.village.content()

    def mended(self) -> None:
        """Land the other day as it should be."""
        self.now = self.next
        self.village.assert_well(self.now, self.village.live(self.now))

    def assert_profiles_stay(self, spoil: Callable[[Path], object], said: str) -> None:
        """A fault of the customers' files: profiles and links stay as they were, memberships are served."""
        told, content = self.spoilt(spoil)
        before, after = content_of(self.now), content_of(self.next)
        for name in (PROFILES, LINKS):
            task = told["tasks"][name]
            assert (task["status"], task["writes"], task["removed"]) == ("Failed", 0, 0), task
            assert re.search(said, task["detail"]), task["detail"]
        assert told["status"] == "Failed"
        assert (content.profiles, content.links) == (before.profiles, before.links)
        known = frozenset(before.profiles)  # who is new has no profile yet to be a member with
        assert content.members == after.members & known
        self.mended()


@pytest.fixture(scope="module", name="days")
def _days(workplace: Workplace) -> Iterator[Days]:
    village = Village.of(workplace, MOST)
    with village.workshop:
        yield Days(village)


def edited(file: Path, change: Callable[[bytes], bytes]) -> None:
    file.write_bytes(change(file.read_bytes()))


def customers(folder: Path, part: int) -> Path:
    return folder / "unification" / "Customer" / f"{part}.csv"


@case
def truncated_file(days: Days) -> None:
    days.assert_profiles_stay(
        lambda folder: edited(customers(folder, 2), lambda text: text[:-60]), r"2\.csv.*the row has \d columns"
    )


@case
def missing_partition(days: Days) -> None:
    days.assert_profiles_stay(lambda folder: customers(folder, 2).unlink(), r"2\.csv")


@case
def missing_column(days: Days) -> None:
    """One that the manifest names and a file does not have."""
    days.assert_profiles_stay(
        lambda folder: edited(customers(folder, 1), lambda text: re.sub(rb"(?m)^([^,]*),[^,]*", rb"\1", text)),
        r"1\.csv.*the row has 3 columns",
    )


@case
def missing_key_column(days: Days) -> None:
    """One that neither the manifest nor the files have any more."""

    def spoil(folder: Path) -> None:
        edited(folder / "unification" / "model.json", lambda text: text.replace(b'"CustomerId"', b'"Id"'))

    days.assert_profiles_stay(spoil, "CustomerId")


@case
def snapshot_replaced_while_it_is_read(days: Days) -> None:
    """Half-way through planning another landing takes the place of the one that is read: only that one is written."""
    village, other = days.village, days.next
    wrong = dict.fromkeys(other, ("Nobody", 0))
    calm, village.workshop.handle = village.workshop.handle, after_first(Step.PLAN, lambda: put_good(village, other))
    told = village.live(wrong)
    village.workshop.handle = calm
    days.now = other
    village.assert_well(other, told)


def put_good(village: Village, people: People) -> None:
    village.put(village.write(people))


@case
def partition_deleted_while_it_is_read(days: Days) -> None:
    """It is gone between the pinning of the snapshot and the plans, and nothing takes its place for a while."""
    village, folder = days.village, days.village.write(days.next)
    village.put(folder)
    customers(folder, 2).unlink()
    calm = village.workshop.handle
    village.workshop.handle = after_first(Step.START, lambda: village.put(folder))
    village.workshop.announce()
    told, content, before = village.ended(), village.content(), content_of(days.now)
    village.workshop.handle = calm
    assert told["tasks"][PROFILES]["status"] == told["tasks"][LINKS]["status"] == "Failed", told
    assert (content.profiles, content.links) == (before.profiles, before.links)
    days.mended()


def after_first(step: Step, happens: Callable[[], object]) -> Callable[[Letter, Services], None]:
    """Something happens once, right after the first step of a kind."""
    waiting = [happens]

    def handle(letter: Letter, services: Services) -> None:
        letter.deliver(services)
        if waiting and isinstance(letter.message, TableMessage) and letter.message.step is step:
            waiting.pop()()

    return handle


@case
def byte_order_mark(days: Days) -> None:
    """At the beginning of every file, the manifests too."""

    def spoil(folder: Path) -> None:
        for file in folder.rglob("*.*"):
            edited(file, lambda text: b"\xef\xbb\xbf" + text)

    told = days.village.live(days.next, spoil)
    days.now = days.next
    days.village.assert_well(days.now, told)


def quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


@case
def quoted_newline(days: Days) -> None:
    """Line ends of both kinds within quoted names: each is one row."""
    names = {number: (f'{name}\r\n"the\n{number}th"', points) for number, (name, points) in days.next.items()}
    told = days.village.live({number: (quoted(name), points) for number, (name, points) in names.items()})
    content = days.village.content()
    assert told["status"] == "Successful", told
    assert content == content_of(names)
    days.mended()


@case
def one_percent_of_bad_rows(days: Days) -> None:
    """One with a number that is none and one that is no text: they stay as they were, the others are served."""
    bad = (70, 10)

    def spoil(folder: Path) -> None:
        for part in (1, 2):
            edited(customers(folder, part), lambda text: _bad_rows(text, *bad))

    told, content = days.spoilt(spoil)
    task, before, after = told["tasks"][PROFILES], content_of(days.now), content_of(days.next)
    assert (task["status"], task["rejected"]) == ("Completed with rejects", 2), task
    assert content.profiles == after.profiles | {number: before.profiles[number] for number in bad}
    assert content.links == after.links
    assert content.members == after.members
    days.mended()


def _bad_rows(text: bytes, no_number: int, no_text: int) -> bytes:
    text = re.sub(rb"(?m)^(%b,[^,]*),\d+," % customer(no_number).encode(), rb"\1,many,", text)
    return re.sub(rb"(?m)^(%b,)" % customer(no_text).encode(), b"\\1\xff", text)


@case
def empty_files(days: Days) -> None:
    """No customers' file has a byte: they are still being written."""

    def spoil(folder: Path) -> None:
        for part in (1, 2):
            customers(folder, part).write_bytes(b"")

    days.assert_profiles_stay(spoil, "files are missing or empty")


@case
def empty_snapshot(days: Days) -> None:
    """Whole files without a row: all profiles and links would go, so all of them are held, and a person is asked."""
    told, content = days.spoilt(lambda folder: [file.write_bytes(b"\n") for file in folder.rglob("*.csv")])
    before = content_of(days.now)
    assert told["status"] == "Completed with rejects", told
    assert (content.profiles, content.links) == (before.profiles, before.links)
    for name in (PROFILES, LINKS):
        task = told["tasks"][name]
        assert (task["held"], task["confirmable"]) == (len(before.profiles), len(before.profiles)), task
    days.mended()


BESIDES = ("missing key column", "empty files")
"""Left to the long run."""


@pytest.mark.parametrize("name", [name for name in CASES if SOAK or name not in BESIDES])
def test_what_a_fault_hides_is_not_removed_and_all_else_is_served(days: Days, name: str) -> None:
    with campaign(*CAMPAIGN) as tally:
        CASES[name](days)
        tally.count += 1


def test_nothing_is_left_to_do_afterwards(days: Days) -> None:
    told = days.village.live(days.now)
    assert all(task["writes"] == 0 for task in told["tasks"].values()), told
    days.village.assert_well(days.now, told)
