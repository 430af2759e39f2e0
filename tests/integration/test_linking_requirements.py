"""What is required before a source table is linked: Skipped with the reason, nothing written, the others linked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.stack import Stack
from shared.runs.model import Mode
from tests.support.links import (
    LOOKUP,
    PROFILE,
    WITHOUT_KEYS,
    Home,
    Outcome,
    Street,
    names,
    paired,
    person,
    row,
    street,
)
from tests.support.local_dataverse import column, lookup

NOT_LINKED = "Error: Linking of Dataverse tables to the CustomerProfile table is skipped."
NOT_INGESTED = (
    "Error: The backstamping job is skipped. It only runs when unification setup contains tables that are ingested to "
    "Customer Insights from the same Dataverse organization that was configured or selected during instance creation."
)
CONFIG = f"""{WITHOUT_KEYS}
[data_sources.Shop]

[data_sources.Elsewhere]
dataverse = "https://elsewhere.crm.dynamics.com"

[data_sources.CRM0.tables.new_member]
primary_key = "new_number"
"""
ALL, LINKS = names(range(3)), paired(range(3))


@pytest.fixture(scope="module", name="lane")
def _lane(bare_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    with street(bare_stack, tmp_path_factory.mktemp("required"), 3, CONFIG) as found:
        yield found


@pytest.fixture(scope="module", name="home")
def _home(lane: Street) -> Home:
    """Tables that lack a requirement each, beside leads that are linked."""
    home = lane.home()
    for table in ("lead", "contact", "account", "new_member"):
        home.seed(table, map(row, range(3)), column="name" if table == "account" else "firstname")
    for table, kind in (("new_far", "Virtual"), ("new_fast", "Elastic")):
        home.api.define(table, table_type=kind).raise_for_status()
    home.api.expect(204, "POST", "RelationshipDefinitions", json=lookup(LOOKUP, "contact", "account"))
    home.api.expect(
        204, "POST", "EntityDefinitions(LogicalName='account')/Attributes", json=column(LOOKUP, MaxLength=100)
    )
    for table in ("contact", "account"):
        home.remember(table)
    return home


@pytest.fixture(scope="module", name="run")
def _run(home: Home) -> Outcome:
    crm = home.data_source
    of = {("Shop", "orders"): row, ("Elsewhere", "contact"): row, ("Nobody", "people"): row}
    of |= {(crm, table): row for table in ("lead", "contact", "account", "new_member", "new_far", "new_fast", "moved")}
    of |= {(crm, "new_texts"): lambda number: f"number {number}"}
    home.seed("new_texts", map(row, range(3)))
    return home.deliver(ALL, [(*place, value(n), person(n)) for place, value in of.items() for n in range(3)])


SKIPPED = {
    "orders": f"{NOT_INGESTED}\nThe table orders of the data source Shop is not linked: [data_sources.Shop] names no "
    "Dataverse organization.",
    "people": f"{NOT_INGESTED}\nThe table people of the data source Nobody is not linked: hydration.toml has no "
    "[data_sources.Nobody].",
    "moved": f"{NOT_LINKED}\nThe organization https://ORGANIZATION has no table moved. Source tables must",
    "new_member": f"{NOT_LINKED}\nThe key used in unification (new_number) is neither the primary key of new_member "
    "(new_memberid) nor an alternate key of it.",
    "new_texts": f"{NOT_LINKED}\nNone of the keys that unification has of new_texts is a GUID, so they are not its "
    "primary key (new_textsid).",
    "contact": f"{NOT_LINKED}\nThe column {LOOKUP} of contact exists as a lookup to account; the links need a lookup "
    f"to {PROFILE}.",
    "account": f"{NOT_LINKED}\nThe column {LOOKUP} of account exists as a column of type String; the links need",
    "new_far": f"{NOT_LINKED}\nThe table new_far is of type virtual: a lookup cannot be added to it",
    "new_fast": f"{NOT_LINKED}\nThe table new_fast is of type elastic: a lookup cannot be added to it",
}


@pytest.mark.parametrize("table", SKIPPED)
def test_a_table_that_lacks_a_requirement_is_skipped_and_says_why(home: Home, run: Outcome, table: str) -> None:
    task = run.task(table)
    assert (task["status"], run.counts(table)) == ("Skipped", {})
    assert task["detail"].startswith(SKIPPED[table].replace("ORGANIZATION", home.api.host))


def test_a_table_of_another_organization_is_told_from_the_one_of_its_name(run: Outcome) -> None:
    task = run.task("link.contact.Elsewhere, contact")
    assert (task["status"], task["detail"].splitlines()[0]) == ("Skipped", NOT_INGESTED)
    assert "is ingested from another organization (https://elsewhere.crm.dynamics.com)" in task["detail"]


def test_the_others_are_linked_and_nothing_else_is_written(home: Home, run: Outcome) -> None:
    assert run.told["status"] == "Successful", run.told
    assert run.counts("lead") == {"created": 3, "writes": 3}
    assert run.written == {PROFILE: 3, "lead": 3}
    assert set(home.statistics()["writes_by_manner"]) == {PROFILE, "lead"}, "nothing else was even tried"
    home.assert_holds(ALL, lead=LINKS)


def test_a_key_column_that_is_not_the_primary_key_is_named(lane: Street) -> None:
    """Where the keys stand in the profiles, their columns name the key of the source table."""
    home = lane.home()
    crm = home.data_source
    for table in ("lead", "contact"):
        home.seed(table, map(row, range(3)))
    columns = [f"{crm}_contact_emailaddress1", f"{crm}_lead_leadid"]
    run = home.profiles(columns, [(person(n), f"Person {n}", f"{n}@example.org", row(n)) for n in range(3)])
    assert run.task("contact")["status"] == "Skipped"
    assert run.task("contact")["detail"].startswith(
        f"{NOT_LINKED}\nThe key used in unification (emailaddress1) is neither the primary key of contact (contactid)"
    )
    assert run.written == {PROFILE: 3, "lead": 3}
    assert home.links("lead") == LINKS
    home.assert_unlinked("contact")


@pytest.fixture(scope="module", name="rights")
def _rights(lane: Street) -> Home:
    home = lane.home()
    for table in ("lead", "contact"):
        home.seed(table, map(row, range(3)))
    assert home.land(ALL, contact=LINKS, lead=LINKS).told["status"] == "Successful"
    return home


EVERY = ("prvReadContact", "prvWriteContact", "prvAppendContact")
LACKS = [
    (dict.fromkeys(EVERY, "None"), " and ".join(EVERY)),
    ({"prvAppendContact": "None"}, "prvAppendContact"),
    ({"prvWriteContact": "Basic"}, "prvWriteContact (has it at depth Basic, not Organization)"),
]


@pytest.mark.parametrize(("taken", "named"), LACKS)
def test_a_table_that_the_user_may_not_write_is_skipped_and_the_privileges_are_named(
    rights: Home, taken: dict[str, str], named: str
) -> None:
    depth = {name: one for name, one in taken.items() if one != "None"}
    rights.lacks(*(name for name in taken if name not in depth), **depth)
    rights.point("leads", row(0), person(1))
    run = rights.ask(Mode.VERIFY, "contact", "lead")
    rights.lacks()
    task = run.task("contact")
    assert (task["status"], run.counts("contact")) == ("Skipped", {})
    user = f"the app's managed identity {rights.api.get('WhoAmI')['UserId']}"
    wanted = f"{NOT_LINKED}\nThe application user {user} lacks {named}, which linking contact needs."
    assert task["detail"].startswith(wanted)
    assert run.written == {"lead": 1}
    rights.assert_holds(ALL, contact=LINKS, lead=LINKS)


def test_without_the_right_to_point_to_profiles_no_table_is_linked(rights: Home) -> None:
    rights.lacks("prvAppendTomsdynci_CustomerProfile")
    run = rights.ask(Mode.VERIFY, "contact", "lead")
    rights.lacks()
    for table in ("contact", "lead"):
        assert run.task(table)["status"] == "Skipped"
        assert "lacks prvAppendTomsdynci_CustomerProfile, which linking" in run.task(table)["detail"]
    assert run.written == {}
