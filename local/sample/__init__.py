"""A generated lake for the demo and the tests, for individuals and for businesses, with every output table.

The files have what real output has: process folders with a manifest each (model.json, one manifest.cdm.json), CSV, gzip
CSV and Parquet partitions, names in many alphabets, line ends and commas inside values, empty and quoted-empty cells,
several keys in one cell. People come from a CRM in Dataverse and a shop outside it, companies from a CRM and an ERP.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from local.sample import companies, company_tables, insights
from local.sample.activities import activities
from local.sample.companies import Company
from local.sample.configs import (
    BUSINESS_CONFIG,
    BUSINESS_ENVIRONMENT,
    BUSINESS_HOST,
    CONFIG,
    DATAVERSE_HOST,
    ENVIRONMENT,
)
from local.sample.files import CDM_MANIFEST, Entity, write_csv, write_folder
from local.sample.people import SEED, Person, person, population

__all__ = [
    "BUSINESS_CONFIG",
    "BUSINESS_ENVIRONMENT",
    "BUSINESS_HOST",
    "CONFIG",
    "CUSTOMER",
    "DATAVERSE_HOST",
    "ENVIRONMENT",
    "PARTITIONS",
    "Audience",
    "dataverse_rows",
    "write",
]

Audience = Literal["individuals", "businesses"]
PARTITIONS = 3

_Column = tuple[str, str, Callable[[Person], str | None]]

CUSTOMER: tuple[_Column, ...] = (
    ("CustomerId", "string", lambda who: who.customer_id),
    ("FirstName", "string", lambda who: who.first_name),
    ("LastName", "string", lambda who: who.last_name),
    ("EMail", "string", lambda who: who.email),
    ("Telephone", "string", lambda who: who.phone),
    ("Street Address", "string", lambda who: who.street),
    ("City", "string", lambda who: who.city),
    ("BirthDate", "date", lambda who: None if who.birth_date is None else who.birth_date.isoformat()),
    ("LoyaltyPoints", "int64", lambda who: str(who.points)),
    ("CreditLimit", "decimal", lambda who: f"{who.credit:.2f}"),
    ("EngagementScore", "double", lambda who: repr(who.score)),
    ("IsSubscriber", "boolean", lambda who: None if who.subscriber is None else str(who.subscriber).lower()),
    ("LastSeen", "dateTime", lambda who: who.last_seen.strftime("%Y-%m-%dT%H:%M:%SZ")),
    ("Notes", "string", lambda who: who.notes),
    ("CRM_contact_contactid", "string", lambda who: ";".join(who.contacts) or None),
    ("CRM_lead_leadid", "string", lambda who: ";".join(who.leads) or None),
    ("Shop_customers_customerid", "string", lambda who: ";".join(who.shop_customers) or None),
)
_SOURCES: tuple[tuple[str, str, Callable[[Person], tuple[str, ...]]], ...] = (
    ("CRM_contact", "contactid", lambda who: who.contacts),
    ("CRM_lead", "leadid", lambda who: who.leads),
    ("Shop_customers", "customerid", lambda who: who.shop_customers),
)


def write(folder: Path, day: int, people: int = 5000, audience: Audience = "individuals") -> Path:
    """Write the output of `day` (1 or 2) as the container would hold it; what was in `folder` is replaced.

    `people` is the number of customers: for businesses, of companies.
    """
    if folder.exists():
        shutil.rmtree(folder)
    if audience == "businesses":
        _write_businesses(folder / f"ci_{BUSINESS_ENVIRONMENT}", companies.population(day, people), day)
    else:
        _write_individuals(folder / f"ci_{ENVIRONMENT}", population(day, people), day)
    return folder


def dataverse_rows(folder: Path, people: int = 5000, audience: Audience = "individuals") -> Path:
    """Write `contact.csv` with `lead.csv` or `account.csv`: what the CRM holds before day 1, with the rows of day 2.

    One row in a hundred takes no part in unification: nobody may touch it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    outsiders = [10_000_000 + 5 * number for number in range(-(-people // 100))]
    if audience == "businesses":
        found = [*companies.population(1, people), *companies.population(2, people), *map(companies.company, outsiders)]
        accounts = {key: who for who in found for key in who.accounts}
        rows = [[key, who.name, who.website] for key, who in accounts.items()]
        write_csv(folder / "account.csv", ["accountid", "name", "websiteurl"], rows)
        of_the_crm = [[key, *cells] for key, cells in company_tables.crm_contacts(found).items()]
        write_csv(folder / "contact.csv", ["contactid", "lastname", "emailaddress1"], of_the_crm)
        return folder
    owners = [*population(1, people), *population(2, people), *map(person, outsiders)]
    contacts = {key: who for who in owners for key in who.contacts}
    leads = {key: who for who in owners for key in who.leads}
    write_csv(
        folder / "contact.csv",
        ["contactid", "firstname", "lastname", "emailaddress1"],
        [[key, who.first_name, who.last_name, who.email] for key, who in contacts.items()],
    )
    write_csv(
        folder / "lead.csv",
        ["leadid", "subject", "firstname", "lastname", "emailaddress1"],
        [[key, f"Enquiry {who.number}", who.first_name, who.last_name, who.email] for key, who in leads.items()],
    )
    return folder


def _write_individuals(root: Path, people: Sequence[Person], day: int) -> None:
    rows = [[cell(who) for _, _, cell in CUSTOMER] for who in people]
    customer = Entity("Customer", [(name, kind) for name, kind, _ in CUSTOMER], rows, parts=PARTITIONS)
    write_folder(root / "unification", [customer], day)
    write_folder(root / "matching", _matching(people), day)
    write_folder(root / "activities", [activities(people, day, SEED)], day)
    write_folder(root / "measures", insights.measures(people, day), day)
    write_folder(root / "enrichments", insights.enrichments(people, day), day)
    write_folder(root / "predictions", insights.predictions(people, day), day)
    write_folder(root / "segments", insights.segments(people, day), day)


def _write_businesses(root: Path, found: Sequence[Company], day: int) -> None:
    write_folder(root / "unification", company_tables.unification(found), day)
    write_folder(root / "contacts", company_tables.contacts(found, day), day)
    write_folder(root / "activities", [activities(found, day, companies.SEED)], day)
    write_folder(root / "measures", company_tables.measures(found, day), day, CDM_MANIFEST)
    write_folder(root / "enrichments", company_tables.enrichments(found, day), day)
    write_folder(root / "predictions", company_tables.predictions(found, day), day)
    write_folder(root / "segments", company_tables.segments(found, day), day)


def _matching(people: Sequence[Person]) -> list[Entity]:
    """What deduplication and matching leave behind. No task hydrates it."""
    entities = []
    for source, key, keys in _SOURCES:
        rows = [[each, keys(who)[0]] for who in people for each in keys(who)]
        entities.append(Entity(f"Deduplication_{source}", [(key, "string"), ("WinnerId", "string")], rows))
    attributes = [("CRM_contact_contactid", "string"), ("Shop_customers_customerid", "string"), ("Score", "double")]
    pairs = [
        [who.contacts[0], who.shop_customers[0], who.score] for who in people if who.contacts and who.shop_customers
    ]
    return [*entities, Entity("ConflationMatchPairs", attributes, pairs)]
