"""One organization: its file, its catalog, what was counted of it, and its users' identities."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.dataverse.faults import Faults
from local.dataverse.metadata import PACKAGING, Catalog
from local.dataverse.packaging import add_packaging_tables
from local.dataverse.privileges import Privileges
from local.dataverse.profiles import PROFILES, Profile
from local.dataverse.standard import add_standard_tables
from local.dataverse.statistics import Statistics
from local.dataverse.storage import Store
from local.dataverse.webservers import WebServers

HOST = re.compile(r"[a-z0-9][a-z0-9.-]{0,250}")


def organization_id(host: str) -> str:
    """Return the OrganizationId that belongs to a host: the same one on every machine."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, host))


class Organization:
    """What the server holds of one organization. Every write goes through `transaction`.

    `caller` is the user whose request is being answered; requests are answered one after another.
    """

    def __init__(self, host: str, directory: Path, profile: Profile) -> None:
        self.host = host
        self.id = organization_id(host)
        self.business_unit_id = str(uuid.uuid5(uuid.UUID(self.id), "business unit"))
        self.store = Store(directory / f"{host}.sqlite")
        self.catalog: Catalog = self.store.load_catalog()
        self.statistics = Statistics()
        self.faults = Faults()
        self.profile = profile
        self.web = WebServers(profile)
        self.privileges = Privileges()
        self.caller = ""
        self._user_ids: dict[str, str] = {}
        self.catalog_changed = False
        self._depth = 0
        if not self.catalog.tables:
            with self.transaction():
                add_standard_tables(self.catalog, self.store)
                self.catalog_changed = True
        if not PACKAGING & set(self.catalog.tables):
            with self.transaction():
                add_packaging_tables(self.catalog, self.store, host)
                self.catalog_changed = True
        self.store.add_owners(self.catalog)

    def user_id(self, client_id: str) -> str:
        """Return the id of the system user of an application: the same one on every machine."""
        if client_id not in self._user_ids:
            self._user_ids[client_id] = str(uuid.uuid5(uuid.UUID(self.id), client_id))
        return self._user_ids[client_id]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit rows, catalog and counts together, or nothing. Inner ones join the outer one (change sets)."""
        if self._depth:
            yield
            return
        self._depth = 1
        try:
            with self.store.transaction():
                yield
                if self.catalog_changed:
                    self.store.save_catalog(self.catalog)
            self.statistics.keep()
        except BaseException:
            self.statistics.discard()
            if self.catalog_changed:
                self.catalog = self.store.load_catalog()
            raise
        finally:
            self.catalog_changed = False
            self._depth = 0


class Organizations:
    """All organizations of a directory; one is made when it is first asked for, and behaves as `profile` says."""

    def __init__(self, directory: Path, profile: Profile = PROFILES["instant"]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.profile = profile
        self._open: dict[str, Organization] = {}

    def __getitem__(self, host: str) -> Organization:
        """Return the organization of a host. Raises KeyError for what cannot be a host."""
        if host not in self._open:
            if not HOST.fullmatch(host):
                raise KeyError(host)
            self._open[host] = Organization(host, self.directory, self.profile)
        return self._open[host]

    def hosts(self) -> list[str]:
        """Return the hosts of every organization that has a file."""
        return sorted({path.stem for path in self.directory.glob("*.sqlite")} | set(self._open))

    def close(self) -> None:
        """Close every file."""
        for organization in self._open.values():
            organization.store.close()
