"""A village: a small environment whose lake is made by hand, so that a file of it can be spoilt in one place.

Its tables are CustomerProfile (two partitions), SegmentMembership (who has an even number of points) and the links of
`contact`; everybody has a contact in Dataverse.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from local import landing, snapshots
from local.inputs import lake_folder
from shared.services import Services
from tests.support.dataverse import LINK, exported
from tests.support.lakes import Entity, write_lake
from tests.support.workers import Workplace, Workshop, settings_of

People = dict[int, tuple[str, int]]
"""Name and points by number."""
PROFILES, MEMBERS, LINKS = "CustomerProfile", "SegmentMembership", "CustomerId Backstamping Hydration: contact"
_LOOKUP = "_msdynci_lookupfield_customer_value"
_CONFIG = """\
[environments."{environment}"]
dataverse_url = "https://{organization}"
audience = "individuals"

[data_sources.CRM]
dataverse = "https://{organization}"

[data_sources.CRM.tables.contact]
primary_key = "contactid"

[tables.AlternateKey]
enabled = false
"""


def customer(number: int) -> str:
    """The id of somebody's profile."""
    return f"{number:08x}-0000-4000-8000-00000000cafe"


def contact(number: int) -> str:
    """The id of somebody's contact."""
    return f"{number:08x}-0000-4000-8000-0000000c0c0c"


@dataclass(frozen=True)
class Content:
    """What Dataverse holds, by number: profiles, who is a member, and whose contact points to their profile."""

    profiles: People
    members: frozenset[int]
    links: frozenset[int]


def content_of(people: People) -> Content:
    """What Dataverse must hold when these people were landed."""
    members = frozenset(number for number, (_, points) in people.items() if points % 2 == 0)
    return Content(people, members, frozenset(people))


@dataclass
class Village:
    """An environment and its organization."""

    workshop: Workshop
    services: Services = field(init=False)
    landings: int = 0

    def __post_init__(self) -> None:
        tenant, stack = self.workshop.tenant, self.workshop.stack
        config = tenant.root / f"tenant{tenant.number}" / "village.toml"
        config.write_text(_CONFIG.format(environment=tenant.environment, organization=tenant.organization), "utf-8")
        self.workshop.settings = settings_of(stack, config, DATAVERSE_BATCH_ROWS="1000")
        self.services = self.workshop.worker()

    @classmethod
    def of(cls, workplace: Workplace, most: int) -> Village:
        """A village whose contacts, so many, are in Dataverse."""
        village = cls(workplace.workshop())
        rows = "".join(f"{contact(number)},Name\n" for number in range(most))
        tenant, stack = village.workshop.tenant, village.workshop.stack
        address = f"{stack.dataverse_url}/local/{tenant.organization}/seed/contact?primary_key=contactid"
        content, csv = f"contactid,lastname\n{rows}", {"content-type": "text/csv"}
        httpx.post(address, content=content, headers=csv, trust_env=False).raise_for_status()
        return village

    def write(self, people: People) -> Path:
        """The folder of the environment in a new landing, with every file as it should be."""
        self.landings += 1
        tenant = self.workshop.tenant
        lake = tenant.root / f"tenant{tenant.number}" / f"landing{self.landings}"
        shutil.rmtree(lake, ignore_errors=True)
        lines = [f"{customer(n)},{name},{points},{contact(n)}\n" for n, (name, points) in sorted(people.items())]
        half = len(lines) // 2
        attributes = ("CustomerId", "Name", "Points:int64", "CRM_contact_contactid")
        files = {"1.csv": "".join(lines[:half]), "2.csv": "".join(lines[half:])}
        write_lake(lake, tenant.environment, Entity("Customer", attributes, files))
        members = "".join(f"{customer(number)}\n" for number in sorted(content_of(people).members))
        segment = Entity("Segment_even", ("CustomerId",), {"1.csv": members})
        write_lake(lake, tenant.environment, segment, process="segments")
        return lake / f"ci_{tenant.environment}"

    def put(self, folder: Path) -> None:
        """Let the lake hold a landing."""
        stack = self.workshop.stack
        landing.land(lake_folder(folder.parent), stack.lake_connection_string, stack.settings["LAKE_CONTAINER"])

    def live(self, people: People, spoil: Callable[[Path], object] = lambda _: None) -> dict[str, Any]:
        """Land people with what is spoilt in the files, and what the run tells that has ended."""
        folder = self.write(people)
        spoil(folder)
        self.put(folder)
        self.workshop.announce()
        return self.ended()

    def ended(self) -> dict[str, Any]:
        """What the newest run tells, when it has ended; its tasks by name."""
        self.workshop.work_to_the_end(self.services)
        told = self.workshop.told(self.services)
        return told | {"tasks": {task["name"]: task for task in told["tasks"]}}

    def content(self) -> Content:
        """What Dataverse holds."""
        tenant = self.workshop.tenant
        folder = tenant.root / f"tenant{tenant.number}" / "content"
        shutil.rmtree(folder, ignore_errors=True)
        snapshots.export(self.workshop.stack, tenant.organization, folder)
        profiles = exported(folder, "msdynci_customerprofile", "msdynci_customerprofileid")
        rows = exported(folder, "msdynci_segmentmembership", "msdynci_segmentmembershipid").values()
        links = {row: each[LINK] for row, each in exported(folder, "contact", "contactid").items() if each.get(LINK)}
        linked = {_number(row): _number(profile) for row, profile in links.items()}
        assert all(row == profile for row, profile in linked.items()), "a contact points to another's profile"
        return Content(
            {_number(key): (row["msdynci_name"], row["msdynci_points"]) for key, row in profiles.items()},
            frozenset(_number(row[_LOOKUP]) for row in rows if row.get(_LOOKUP)),
            frozenset(linked),
        )

    def assert_well(self, people: People, told: dict[str, Any]) -> None:
        """The run went well, and Dataverse holds these people and nobody else."""
        assert told["status"] == "Successful", told
        assert self.content() == content_of(people)


def _number(row: str) -> int:
    return int(row[:8], 16)
