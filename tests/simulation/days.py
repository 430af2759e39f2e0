"""What Customer Insights may land, day by day, and what Dataverse must hold then: said in plain Python."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shared.tables.guids import NAMESPACE

ENVIRONMENT = "3f0c2a9e-77aa-4b52-9d3c-1f8b6f5d2e10"
FOLDER = f"ci_{ENVIRONMENT}/unification"
MARKER = "Quixotry"
"""Stands in every value of a customer, and must stand nowhere else."""


def profile_id(customer: int) -> str:
    return f"c0000000-0000-4000-8000-{customer:012}"


def contact_id(contact: int) -> str:
    return f"a0000000-0000-4000-8000-{contact:012}"


def key_id(contact: int) -> str:
    return str(uuid.uuid5(NAMESPACE, f"CRM|contact|{contact_id(contact)}"))


@dataclass(frozen=True)
class Day:
    """Customers with the version of their names, and whose each contact is."""

    customers: Mapping[int, int] = field(default_factory=dict)
    contacts: Mapping[int, int] = field(default_factory=dict)

    def files(self) -> dict[str, str]:
        names = {customer: f"{MARKER} {customer} v{version}" for customer, version in self.customers.items()}
        customers = "".join(f"{profile_id(customer)},{name}\n" for customer, name in names.items())
        keys = "".join(
            f"CRM,contact,{contact_id(contact)},{profile_id(customer)}\n" for contact, customer in self.contacts.items()
        )
        return {"Customer": customers, "AlternateKey": keys}

    # -- what is right -------------------------------------------------------------------------------------

    @property
    def profiles(self) -> dict[str, dict[str, str]]:
        """The cells of each profile."""
        return {
            profile_id(customer): {
                "msdynci_customerprofileid": profile_id(customer),
                "msdynci_customerid": profile_id(customer),
                "msdynci_fullname": f"{MARKER} {customer} v{version}",
            }
            for customer, version in self.customers.items()
        }

    @property
    def keys(self) -> dict[str, dict[str, str]]:
        """The cells of each alternate key whose customer has a profile."""
        return {
            key_id(contact): {
                "msdynci_alternatekeyid": key_id(contact),
                "msdynci_datasourcename": "CRM",
                "msdynci_entityname": "contact",
                "msdynci_alternatevalue": contact_id(contact),
                "msdynci_keyring": self._ring(customer),
                "msdynci_customerid": profile_id(customer),
                "msdynci_identifier": f"CRM|contact|{contact_id(contact)}",
            }
            for contact, customer in self.contacts.items()
            if customer in self.customers
        }

    def _ring(self, customer: int) -> str:
        keys = sorted(contact_id(contact) for contact, whose in self.contacts.items() if whose == customer)
        ring = {"dataSourceName": "CRM", "entityName": "contact", "preferredKey": keys[0], "keys": keys}
        return json.dumps([ring], separators=(",", ":"))

    @property
    def links(self) -> dict[str, str]:
        """Where each contact points to whose customer has a profile."""
        return {
            contact_id(contact): profile_id(customer)
            for contact, customer in self.contacts.items()
            if customer in self.customers
        }

    def rows(self, task: str) -> int:
        """How many rows a task has to account for."""
        return len(self.customers) if task == "CustomerProfile" else len(self.contacts)

    @property
    def faulty(self) -> int:
        """Contacts whose customer has no profile."""
        return len(self.contacts) - len(self.links)


BASE = Day(dict.fromkeys(range(1, 6), 1), {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 1})
_WITHOUT_5 = replace(BASE, customers={1: 1, 2: 1, 3: 1, 4: 1}, contacts={1: 1, 2: 2, 3: 3, 4: 4, 6: 1})
_MERGED = replace(BASE, customers={1: 1, 2: 2, 3: 1, 5: 1}, contacts={1: 1, 2: 2, 3: 3, 4: 3, 5: 5, 6: 1})
DAYS: tuple[Day, ...] = (
    BASE,
    replace(BASE, customers={1: 1, 2: 2, 3: 2, 4: 1, 5: 1}),
    _WITHOUT_5,
    _MERGED,
    Day({**BASE.customers, 6: 1}, {**BASE.contacts, 6: 6}),
    Day({1: 1}, {1: 1}),  # most is gone
    Day(dict(BASE.customers), {**BASE.contacts, 2: 9}),  # a customer without a profile
    Day(dict(BASE.customers), {**BASE.contacts, 7: 1}),  # a contact that Dataverse does not have
    Day({2: 1, 3: 1, 4: 1, 5: 1}, {1: 2, 2: 2, 3: 3, 4: 4, 5: 5, 6: 2}),
)
THERE = range(1, 7)
"""The contacts that Dataverse has."""


def manifest() -> str:
    """The model.json of every day."""
    entities = {
        "Customer": ["CustomerId", "FullName"],
        "AlternateKey": ["DataSourceName", "EntityName", "AlternateValue", "CustomerId"],
    }
    form = {"$type": "CsvFormatSettings", "columnHeaders": False, "delimiter": ","}
    return json.dumps({"name": "unification", "version": "1.0", "entities": [
        {
            "$type": "LocalEntity", "name": name,
            "attributes": [{"name": one, "dataType": "string"} for one in attributes],
            "partitions": [{
                "name": "1", "fileFormatSettings": form,
                "location": f"https://lake.dfs.core.windows.net/customerinsights/{FOLDER}/{name}/1.csv",
            }],
        }
        for name, attributes in entities.items()
    ]})  # fmt: skip
