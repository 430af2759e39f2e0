"""How unification may name the rows of a source table: its own GUIDs in any spelling, or the values of a key."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from local.stack import Stack
from shared.runs.model import Mode
from tests.support.links import LOOKUP, PROFILE, WITHOUT_KEYS, Home, Outcome, Street, names, paired, person, row, street
from tests.support.local_dataverse import column, label, table

NOT_LINKED = "Error: Linking of Dataverse tables to the CustomerProfile table is skipped."
CONFIG = f"""{WITHOUT_KEYS}
[data_sources.CRM0.tables.Members]
logical_name = "new_member"

[data_sources.CRM0.tables.Entries]
logical_name = "new_entry"
primary_key = "New_FolkId"

[data_sources.CRM1.tables.contact]
primary_key = "employeeid"

[data_sources.CRM1.tables.lead]
primary_key = "subject"
"""
ALL = names(range(4))


@pytest.fixture(scope="module", name="lane")
def _lane(bare_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    with street(bare_stack, tmp_path_factory.mktemp("keys"), 2, CONFIG) as found:
        yield found


# -- the rows' own GUIDs ---------------------------------------------------------------------------------------------


def spelled(number: int) -> str:
    """The same row in another spelling each time."""
    return (row(number), row(number).upper(), f"{{{row(number)}}}", row(number).replace("-", ""))[number]


@pytest.fixture(scope="module", name="home")
def _home(lane: Street) -> Home:
    """A table with a set of its own name, and one with a primary key of its own name."""
    home = lane.home()
    definition = table("new_Member", column("new_text")) | {"EntitySetName": "new_clubfolk"}
    home.api.expect(204, "POST", "EntityDefinitions", json=definition)
    home.seed("new_member", map(row, range(5)), column="new_text")
    home.seed("new_entry", map(row, range(5)), column="new_text", key="new_folkid")
    return home


def keys(home: Home, spelling: Callable[[int], str]) -> list[tuple[str, str, str, str]]:
    return [(home.data_source, name, spelling(n), person(n)) for name in ("Members", "Entries") for n in range(4)]


@pytest.fixture(scope="module", name="linked")
def _linked(home: Home) -> Outcome:
    return home.deliver(ALL, keys(home, spelled))


def test_rows_are_linked_by_their_guid_in_any_spelling(home: Home, linked: Outcome) -> None:
    assert linked.told["status"] == "Successful", linked.told
    for name in ("new_member", "new_entry"):
        assert linked.counts(name) == {"created": 4, "writes": 4}
    assert linked.written == {PROFILE: 4, "new_member": 4, "new_entry": 4}
    home.assert_holds(ALL, new_member=paired(range(4)), new_entry=paired(range(4)))


@pytest.mark.usefixtures("linked")
def test_another_spelling_is_no_change(home: Home) -> None:
    again = home.deliver(ALL, keys(home, lambda number: row(number).upper()))
    assert (again.told["detail"], again.written) == ("Nothing had changed.", {})


@pytest.mark.usefixtures("linked")
def test_a_table_with_names_of_its_own_is_verified_and_cleared(home: Home) -> None:
    home.point("new_clubfolk", row(0), person(1))
    home.point("new_entries", row(1), None)
    assert home.ask(Mode.VERIFY).written == {"new_member": 1, "new_entry": 1}
    home.assert_holds(ALL, new_member=paired(range(4)), new_entry=paired(range(4)))
    less = [one for one in keys(home, spelled) if one[3] != person(3)]
    assert home.deliver(ALL, less).written == {"new_member": 1, "new_entry": 1}
    home.assert_holds(ALL, new_member=paired(range(3)), new_entry=paired(range(3)))


# -- an alternate key ------------------------------------------------------------------------------------------------

STANDS = {row(0): "E-0", row(1): "e-1", row(2): "E-2", row(3): "E-3"}
UNIFIED = {"e-0": person(0), "E-1": person(1), "E-2  ": person(2), "E-3": person(3), "E-9": person(3)}


@pytest.fixture(scope="module", name="texts")
def _texts(lane: Street) -> Home:
    """Contacts have an alternate key; that of the leads could not be built, because two have the same value."""
    home = lane.home()
    lines = [f"{one},{value}" for one, value in STANDS.items()]
    home.api.seed("contact", "\n".join(["contactid,employeeid", *lines])).raise_for_status()
    home.api.seed("lead", f"leadid,subject\n{row(0)},Same\n{row(1)},Same\n").raise_for_status()
    for name, key in (("contact", "employeeid"), ("lead", "subject")):
        home.remember(name)
        path = f"EntityDefinitions(LogicalName='{name}')/Keys"
        made = {"SchemaName": f"new_{key}key", "DisplayName": label(key), "KeyAttributes": [key]}
        home.api.expect(204, "POST", path, json=made)
        while home.api.get(path)["value"][0]["EntityKeyIndexStatus"] == "InProgress":
            time.sleep(0.05)
    return home


def landed(home: Home, unified: dict[str, str]) -> Outcome:
    values = [(home.data_source, "contact", value, profile) for value, profile in unified.items()]
    return home.deliver(ALL, [*values, (home.data_source, "lead", "Same", person(0))])


@pytest.fixture(scope="module", name="named")
def _named(texts: Home) -> Outcome:
    return landed(texts, UNIFIED)


def test_rows_are_linked_by_an_alternate_key_as_dataverse_compares_it(texts: Home, named: Outcome) -> None:
    assert named.told["status"] == "Successful", named.told
    assert named.counts("contact") == {"created": 4, "missing": 1, "writes": 4}
    assert named.written == {PROFILE: 4, "contact": 4}
    texts.assert_holds(ALL, contact=paired(range(4)))
    assert set(texts.statistics()["columns"]["contact"]["updated"]) == {LOOKUP}


def test_an_alternate_key_whose_index_is_not_active_skips_its_table(named: Outcome) -> None:
    task = named.task("lead")
    assert (task["status"], named.counts("lead")) == ("Skipped", {})
    wanted = "The key used in unification (subject) is an alternate key of lead, but its index is not active (Failed)."
    assert task["detail"].startswith(f"{NOT_LINKED}\n{wanted}")


@pytest.mark.usefixtures("named")
def test_by_an_alternate_key_too_only_the_difference_is_written(texts: Home) -> None:
    again = landed(texts, UNIFIED)
    assert (again.told["detail"], again.written) == ("Nothing had changed.", {})
    assert again.counts("contact") == {"unchanged": 4, "missing": 1}
    texts.api.seed("contact", f"contactid,employeeid\n{row(5)},e-9\n").raise_for_status()
    texts.remember("contact")
    changed = landed(texts, {"E-0": person(1), "E-1": person(1), "E-2": person(2), "E-9": person(3)})
    assert changed.told["status"] == "Successful", changed.told
    assert changed.counts("contact") == {"created": 1, "changed": 1, "removed": 1, "unchanged": 2, "writes": 3}
    links = {row(0): person(1), row(1): person(1), row(2): person(2), row(5): person(3)}
    texts.assert_holds(ALL, contact=links)
