"""Dataverse is not what the app left: rows that are missing, links that drifted, memory that is lost. And plans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from local.stack import Stack
from shared.runs.model import Mode
from shared.runs.rows import Pointer
from tests.support.links import PREFIX, PROFILE, VALUE, Home, Outcome, names, paired, person, row, street

ALL, LINKS = names(range(8)), paired(range(8))
ABSENT = [row(6), row(7)]
THERE = {one: profile for one, profile in LINKS.items() if one not in ABSENT}


@pytest.fixture(scope="module", name="home")
def _home(bare_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Two of the unified contacts are not in Dataverse, and one more that is there is not unified."""
    with street(bare_stack, tmp_path_factory.mktemp("drift"), 1) as found:
        home = found.home()
        home.seed("contact", map(row, [*range(6), 9]))
        yield home


@pytest.fixture(scope="module", name="first")
def _first(home: Home) -> Outcome:
    return home.land(ALL, contact=LINKS)


def pointer(home: Home) -> Pointer:
    organization = home.services.store.environment(home.environment).organization_id
    return home.services.store.pointer(organization, PREFIX, "contact")


# -- rows that are missing -------------------------------------------------------------------------------------------


def test_rows_that_are_missing_are_counted_and_named_and_disturb_nobody(home: Home, first: Outcome) -> None:
    assert first.told["status"] == "Successful", first.told
    assert first.counts("contact") == {"created": 6, "missing": 2, "writes": 6}
    missing = f"2 source rows missing in Dataverse (found now: {', '.join(ABSENT)}); each run tries again to link them."
    assert missing in first.task("contact")["detail"].splitlines()
    home.assert_holds(ALL, contact=THERE)


@pytest.mark.usefixtures("first")
def test_a_missing_row_is_named_once_and_linked_when_it_appears(home: Home) -> None:
    again = home.land(ALL, contact=LINKS)
    assert (again.told["status"], again.written) == ("Successful", {})
    assert again.counts("contact") == {"unchanged": 6, "missing": 2}
    text = "2 source rows missing in Dataverse; each run tries again to link them."
    assert text in again.task("contact")["detail"].splitlines()
    home.api.seed("contact", f"contactid,firstname\n{ABSENT[0]},Text of {ABSENT[0]}\n")
    home.remember("contact")
    appeared = home.ask()
    assert appeared.counts("contact") == {"created": 1, "unchanged": 6, "missing": 1, "writes": 1}
    home.assert_holds(ALL, contact=THERE | {row(6): person(6)})


# -- links that drifted ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("first")
def test_a_contact_that_was_deleted_and_made_again_is_linked_by_a_verify(home: Home) -> None:
    home.api.expect(204, "DELETE", f"contacts({row(5)})")
    home.api.seed("contact", f"contactid,firstname\n{row(5)},Text of {row(5)}\n")
    home.remember("contact")
    before = home.links("contact")
    verified = home.ask(Mode.VERIFY, "contact")
    assert verified.written == {"contact": 1}
    assert home.links("contact") == before | {row(5): person(5)}


@pytest.mark.usefixtures("first")
def test_a_verify_repairs_what_drifted_and_writes_nothing_else(home: Home) -> None:
    right = home.links("contact")
    home.point("contacts", row(0), person(4))
    home.point("contacts", row(1), None)
    home.point("contacts", row(9), person(2))  # not unified
    assert home.land(ALL, contact=LINKS).written == {}, "what somebody else wrote is not looked for"
    verified = home.ask(Mode.VERIFY)
    assert verified.told["status"] == "Successful", verified.told
    counts = {"created": 1, "changed": 1, "removed": 1, "missing": 1, "writes": 3}
    assert verified.counts("contact") == counts | {"unchanged": len(right) - 2}
    assert verified.written == {"contact": 3}
    home.assert_holds(ALL, contact=right)


@pytest.mark.usefixtures("first")
def test_lost_memory_is_replaced_by_what_dataverse_holds(home: Home) -> None:
    right = home.links("contact")
    home.point("contacts", row(2), person(3))
    known = pointer(home)
    organization = home.services.store.environment(home.environment).organization_id
    empty = replace(Pointer(table=known.table, kind=known.kind), etag=known.etag)
    home.services.store.save_pointer(organization, PREFIX, empty)
    after = home.ask()
    assert after.told["status"] == "Successful", after.told
    assert (after.counts("contact")["changed"], after.written) == (1, {"contact": 1})
    home.assert_holds(ALL, contact=right)


@pytest.mark.usefixtures("first")
def test_a_backup_that_was_restored_is_brought_up_to_date_by_a_verify(home: Home) -> None:
    """The contacts are as they were before some links were set, and re-pointed."""
    right = home.links("contact")
    lines = [f"{one},{profile},Text of {one}" for one, profile in {row(0): person(1), row(3): ""}.items()]
    home.api.seed("contact", "\n".join([f"contactid,{VALUE},firstname", *lines]))
    home.remember("contact")
    verified = home.ask(Mode.VERIFY, "contact")
    assert verified.written == {"contact": 2}
    home.assert_holds(ALL, contact=right)


# -- plans -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("first")
def test_a_plan_writes_nothing_and_says_what_the_run_after_it_writes(home: Home) -> None:
    others = {one: profile for one, profile in ALL.items() if one != person(4)}
    links = paired([0, 1, 2, 3]) | {row(3): person(0), row(9): person(5)}
    before, known = home.rows("contact"), pointer(home)
    home.put(others, home.keys_of({"contact": links}))
    planned = home.plan()
    assert planned.told["status"] == "Successful", planned.told
    assert (planned.written, home.rows("contact"), pointer(home)) == ({}, before, known)
    assert planned.counts("contact") == {"created": 1, "changed": 1, "removed": 3, "unchanged": 3}
    said = planned.task("contact")["detail"].splitlines()
    assert f"1 would be set ({row(9)})." in said
    assert f"1 would be re-pointed ({row(3)})." in said
    assert f"3 would be cleared ({row(4)}, {row(5)}, {row(6)})." in said
    assert planned.counts("CustomerProfile") == {"removed": 1, "unchanged": 7}
    done = home.observed(home.workshop.announce)
    assert done.counts("contact") == planned.counts("contact") | {"writes": 5}
    assert done.written == {"contact": 5, PROFILE: 1}
    home.assert_holds(others, contact=links)
