"""When rows that are gone are not removed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from shared.draft import policy
from shared.lake.snapshot import Snapshot
from shared.linking.rows import elsewhere, keys
from shared.planning import Planning
from shared.reading import Reading
from shared.runs.model import Kind, Mode, Run, Task
from shared.runs.rows import Pointer
from shared.services import Services
from shared.settings import Settings, load
from shared.settings.model import Removal
from shared.tables import catalog
from tests.support import planning
from tests.support.catalogs import CRM, ENVIRONMENT, entity, hydration, snapshot, source, unreadable
from tests.support.deltas import guid

PROFILE = entity("Customer", "CustomerId", "CRM_contact_contactid")
STORAGE = "DefaultEndpointsProtocol=http;AccountName=one;AccountKey=eA==;BlobEndpoint=http://127.0.0.1:1/one"
BUS = "Endpoint=sb://127.0.0.1;SharedAccessKeyName=x;SharedAccessKey=y"
PROFILES, KEYS, CONTACT = catalog.CUSTOMER_PROFILE, catalog.ALTERNATE_KEY, "contact"
ROWS = [one for one in catalog.TABLES if one not in {PROFILES, KEYS}]


@dataclass(frozen=True)
class OnlySettings:
    """Of the services those that a policy needs."""

    settings: Settings


def hold(subject: str, found: Snapshot, *, key: str | None = None, linked: str = "CRM", former: str = "") -> str:
    loaded = load({"LakeStorage": STORAGE, "StatusStorage": STORAGE, "ServiceBus": BUS}, Path(__file__).parents[2])
    configured = hydration(source("CRM", CRM, contact=(None, key)))
    services = cast("Services", OnlySettings(replace(loaded, hydration=configured)))
    kind = Kind.LINK if subject == CONTACT else Kind.TABLE
    with planning.connection() as opened:
        opened.execute(f"CREATE TABLE state AS SELECT '{guid(1)}'::UUID AS id")
        key_of = f"'CRM' AS data_source, 'a' AS entity, '{guid(1)}' AS value, 'C' AS customer_id"
        opened.execute(f"CREATE TABLE link_key AS SELECT {key_of}")
        opened.execute(f"CREATE TABLE link_source AS SELECT '{linked}' AS data_source, 'a' AS entity")
        opened.execute(f"CREATE VIEW link AS {keys(by_alternate_key=False)}")
        opened.execute(f"CREATE VIEW elsewhere AS {elsewhere(by_alternate_key=False)}")
        task = Task("run", subject, subject, kind, subject)
        return policy(
            Planning(Reading(opened, services, found), Run("run", ENVIRONMENT), task, Pointer(origin=former))
        ).hold


@pytest.mark.parametrize("subject", [PROFILES, KEYS, CONTACT, *ROWS])
def test_nothing_is_held_where_all_is_known(subject: str) -> None:
    assert not hold(subject, snapshot([PROFILE]))


@pytest.mark.parametrize("subject", [PROFILES, KEYS, CONTACT, *ROWS])
def test_nothing_is_removed_while_a_manifest_cannot_be_read(subject: str) -> None:
    found = hold(subject, unreadable(snapshot([PROFILE]), Old=0))
    assert found.endswith("/Old/model.json cannot be read")


@pytest.mark.parametrize(("subject", "held"), [(PROFILES, False), (KEYS, True), (CONTACT, True)])
def test_what_comes_from_keys_is_held_while_a_key_column_is_unclear(subject: str, held: bool) -> None:  # noqa: FBT001
    assert bool(hold(subject, snapshot([PROFILE]), key="other")) is held


@pytest.mark.parametrize(("subject", "held"), [(PROFILES, False), (KEYS, False), (CONTACT, True)])
def test_links_of_rows_that_did_not_leave_are_held(subject: str, held: bool) -> None:  # noqa: FBT001
    found = hold(subject, snapshot([PROFILE]), linked="Renamed")
    told = "1 of their rows are unified still, in the table a of the data source CRM, which is not linked"
    assert (told in found) is held


@pytest.mark.parametrize(("subject", "held"), [(PROFILES, False), (KEYS, True), (CONTACT, True)])
def test_keys_that_come_from_elsewhere_remove_nothing_at_once(subject: str, held: bool) -> None:  # noqa: FBT001
    """The lake's own AlternateKey table was there, and is not named this time: it may come back."""
    before = "the lake's AlternateKey table" if held else ""
    assert (
        "the keys came from the lake's AlternateKey table" in hold(subject, snapshot([PROFILE]), former=before)
    ) is held
    assert not hold(subject, snapshot([PROFILE]), former="the profile's key columns" if held else "")


def test_what_is_gone_is_kept_where_that_is_configured() -> None:
    loaded = load({"LakeStorage": STORAGE, "StatusStorage": STORAGE, "ServiceBus": BUS}, Path(__file__).parents[2])
    configured = replace(hydration(), removal=Removal("keep", "keep", 5))
    services = cast("Services", OnlySettings(replace(loaded, hydration=configured)))
    with planning.connection() as opened:
        task = Task("run", PROFILES, PROFILES, Kind.TABLE, PROFILES)
        run = Run("run", ENVIRONMENT, Mode.FULL)
        found = policy(Planning(Reading(opened, services, snapshot([PROFILE])), run, task))
    assert (found.full, found.remove, found.brake_percent, found.hold) == (True, False, 5, "")
