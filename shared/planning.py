"""What the plan of a task works with, and what it comes to."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from shared import inputs
from shared.dataverse import metadata
from shared.dataverse.client import Client
from shared.keys import Contacts, contacts
from shared.provision import refuse_unsuitable
from shared.reading import Reading
from shared.runs.model import Kind, Run, Task
from shared.runs.rows import Pointer
from shared.settings import Hydration
from shared.tables import catalog, discovery
from shared.tables.catalog import ALTERNATE_KEY, CUSTOMER_PROFILE
from shared.tables.rows import Rows

_AND_CONTACTS = " and its contacts"


@dataclass(frozen=True)
class Draft:
    """SQL for the rows of the snapshot and for those that are gone, and where they are sent to."""

    rows: Rows
    removal: str  # SQL over id: the record that is sent for a row that is gone
    set_name: str
    primary_id: str
    duplicates: int = 0  # rows that were left out before the comparison
    notes: tuple[str, ...] = ()
    hold: str = ""  # why nothing may be removed
    read: bool = False  # `state` is what Dataverse holds, and not the applied state
    configuration: str = ""  # of a linked table: what its links depend on


@dataclass(frozen=True)
class Planning:
    """What a plan works with. `pointer` names the applied state."""

    reading: Reading
    run: Run
    task: Task
    pointer: Pointer = field(default_factory=Pointer)

    @property
    def hydration(self) -> Hydration:
        """The configuration."""
        return self.reading.services.settings.hydration

    @property
    def client(self) -> Client:
        """The organization."""
        return self.reading.services.dataverse.client(self._url)

    @property
    def users(self) -> list[Client]:
        """The organization, as each of the application users that will write to it."""
        return self.reading.services.dataverse.users(self._url)

    @property
    def _url(self) -> str:
        return self.reading.services.environment(self.run.environment).dataverse_url

    @cached_property
    def found(self) -> discovery.Delivered:
        """What the snapshot delivers."""
        return discovery.read(self.reading.snapshot, self.hydration)

    @property
    def is_of_keys(self) -> bool:
        """Whether its rows are made of the alternate keys, which have two sources."""
        return self.task.kind is Kind.LINK or self.task.subject == ALTERNATE_KEY

    @cached_property
    def contacts(self) -> Contacts | None:
        """The contacts that links are made of, in a business environment."""
        return contacts(self.reading.snapshot, self.hydration, self.found)

    @property
    def lost_contacts(self) -> bool:
        """Whether links were made of contacts before, and the snapshot does not deliver them."""
        of_businesses = self.hydration.audience(self.run.environment) == "businesses"
        were = self.task.kind is Kind.LINK and self.pointer.origin.endswith(_AND_CONTACTS)
        return of_businesses and were and self.contacts is None

    @property
    def origin(self) -> str:
        """Where the task's rows come from, where that may change."""
        if self.lost_contacts:
            return self.pointer.origin
        if self.is_of_keys:
            keys = "the lake's AlternateKey table" if self.found.alternate_key.entity else "the profile's key columns"
            return keys + (_AND_CONTACTS if self.task.kind is Kind.LINK and self.contacts else "")
        return inputs.named(self.task.subject, self.found.source(self.task.subject), self.hydration)

    def table_name(self, table: str) -> str:
        """The logical name of an output table."""
        return catalog.table_name(self.hydration.publisher_prefix, table)

    def profile_set(self) -> str:
        """How the table of profiles is addressed. Raises RequirementError where it is not the app's."""
        existing = metadata.table(self.client, self.table_name(CUSTOMER_PROFILE))
        refuse_unsuitable(existing)
        return existing.set_name if existing else catalog.set_name(self.hydration.publisher_prefix, CUSTOMER_PROFILE)
