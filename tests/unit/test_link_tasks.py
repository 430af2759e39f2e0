"""Which tables a run links, from a snapshot to its tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shared import tasks
from shared.errors import CorruptSnapshotError
from shared.lake.manifest import Entity
from shared.runs.model import LINKING, Kind, Run, Status, Task
from shared.services import Services
from tests.support.catalogs import CRM, ENVIRONMENT, entity, hydration, snapshot, source

Triples = Sequence[tuple[str, str, str]]
ACCOUNT = entity("Customer", "CustomerId", "CRM_account_accountid")
CONTACTS = entity("ContactProfile", "ContactId", "CustomerId", "EntityName")
KEYS: Triples = [("CRM", "account", "accountid"), ("CRM", "contact", "")]


def find(
    monkeypatch: pytest.MonkeyPatch,
    entities: Sequence[Entity],
    read: Triples | Exception = KEYS,
    *,
    known: Sequence[str] = (),
    missing: Sequence[str] = (),
    **options: Any,
) -> list[Task]:
    """The tasks of a run, where these keys are read and these tables were linked before."""

    def triples(*_: object) -> Triples:
        if isinstance(read, Exception):
            raise read
        return read

    monkeypatch.setattr(tasks, "_triples", triples)
    configured = hydration(source("CRM", CRM, account=(None, "accountid")), **{"businesses": True} | options)
    pointers = [SimpleNamespace(table=name, kind=Kind.LINK) for name in known]
    services = SimpleNamespace(
        settings=SimpleNamespace(hydration=configured),
        environment=configured.environments.get,
        store=SimpleNamespace(pointers=lambda *_: pointers),
    )
    return tasks.find_tasks(cast("Services", services), Run("r", ENVIRONMENT), snapshot(entities, missing=missing))


def links(*given: Any, **options: Any) -> Mapping[str, Task]:
    """The link tasks among them by logical name."""
    found = find(*given, **options)
    return {task.subject.removeprefix(f"{LINKING}: "): task for task in found if task.kind is Kind.LINK}


def test_a_link_task_names_its_sources_with_their_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    found = links(monkeypatch, [ACCOUNT, CONTACTS])
    assert {name: task.sources for name, task in found.items()} == {
        "account": ('["CRM", "account", "accountid"]',),
        "contact": ('["CRM", "contact", ""]',),
    }
    assert {(task.primary_id, task.status) for task in found.values()} == {("", Status.QUEUED)}


def test_contacts_that_cannot_be_read_fail_every_link_task(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = [part.path for part in CONTACTS.partitions]
    found = links(monkeypatch, [ACCOUNT, CONTACTS], known=("contact",), missing=missing)
    assert {name: task.status for name, task in found.items()} == dict.fromkeys(("account", "contact"), Status.FAILED)
    for task in found.values():
        assert task.detail.startswith("The contacts cannot be read: ")
        assert task.detail.endswith("No link was written or cleared.")


def test_contacts_that_cannot_be_read_are_nothing_to_individuals(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = [part.path for part in CONTACTS.partitions]
    found = links(monkeypatch, [ACCOUNT, CONTACTS], KEYS[:1], missing=missing, businesses=False)
    assert found["account"].status is Status.QUEUED


def test_rows_that_cannot_be_read_fail_every_link_task(monkeypatch: pytest.MonkeyPatch) -> None:
    found = links(monkeypatch, [ACCOUNT, CONTACTS], CorruptSnapshotError("it is torn"), known=("contact",))
    assert {task.status for task in found.values()} == {Status.FAILED}
    assert found["contact"].detail.startswith("The keys of the links cannot be read: it is torn")


def test_links_are_cleared_when_the_contacts_are_delivered_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    found = links(monkeypatch, [ACCOUNT, CONTACTS], KEYS[:1], known=("account", "contact"))
    assert (found["contact"].status, found["contact"].sources) == (Status.QUEUED, ())


@pytest.mark.parametrize("delivered", [[], [entity("ContactProfile", "ContactId", "CustomerId")]])
def test_links_are_left_alone_when_the_contacts_do_not_say_where_they_come_from(
    monkeypatch: pytest.MonkeyPatch, delivered: Sequence[Entity]
) -> None:
    found = links(monkeypatch, [ACCOUNT, *delivered], KEYS[:1], known=("account", "contact"))
    assert found["account"].status is Status.QUEUED
    assert found["contact"].status is Status.SKIPPED
    assert "ContactProfile" in found["contact"].detail
    assert found["contact"].detail.endswith("No link was written or cleared.")


def test_individuals_need_no_contacts_to_have_links_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    found = links(monkeypatch, [ACCOUNT], KEYS[:1], known=("contact",), businesses=False)
    assert (found["contact"].status, found["contact"].sources) == (Status.QUEUED, ())


def test_links_come_through_contacts_though_their_own_table_is_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    found = links(monkeypatch, [ACCOUNT, CONTACTS], ContactProfile={"enabled": False})
    assert found["contact"].status is Status.QUEUED


def test_a_key_column_of_contacts_that_is_unclear_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    unclear = entity("ContactProfile", "ContactId", "CustomerId", "EntityName", "A_b_c_contactid")
    [task] = [one for one in find(monkeypatch, [ACCOUNT, unclear]) if one.name == "ContactProfile (A_b_c_contactid)"]
    assert (task.status, task.key) == (Status.SKIPPED, "ambiguous.ContactProfile.A_b_c_contactid")
    assert "can be read as" in task.detail
