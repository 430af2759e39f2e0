"""A generated lake of two data sources, for the demo and the tests: a CRM in Dataverse and a shop outside it.

The files have what real unification output has: two process folders with a manifest each, several partitions, names
in many alphabets, line ends and commas inside values, empty and quoted-empty cells, several keys in one cell.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from local.people import Person, person, population

ENVIRONMENT = "3f0c2a9e-77aa-4b52-9d3c-1f8b6f5d2e10"
DATAVERSE_HOST = "contoso.crm.dynamics.com"
PARTITIONS = 3

CONFIG = f"""\
publisher_prefix = "msdynci"
settle_seconds = 120
whole_within = "2h"

[environments."{ENVIRONMENT}"]
dataverse_url = "https://{DATAVERSE_HOST}"
audience = "individuals"

[data_sources.CRM]
dataverse = "https://{DATAVERSE_HOST}"

[data_sources.CRM.tables.contact]
logical_name = "contact"
primary_key = "contactid"

[data_sources.CRM.tables.lead]
logical_name = "lead"
primary_key = "leadid"

[data_sources.Shop.tables.customers]
primary_key = "customerid"

[removal]
rows = "delete"
links = "clear"
brake_percent = 10
"""

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


def write(folder: Path, day: int, people: int = 5000) -> Path:
    """Write the output of `day` (1 or 2) as the container would hold it; what was in `folder` is replaced."""
    if folder.exists():
        shutil.rmtree(folder)
    customers = population(day, people)
    rows = [[cell(who) for _, _, cell in CUSTOMER] for who in customers]
    unification = folder / f"ci_{ENVIRONMENT}" / "unification"
    attributes = [(name, kind) for name, kind, _ in CUSTOMER]
    _write_model(unification, [_write_entity(unification, "Customer", attributes, rows, PARTITIONS)], day)
    _write_matching(folder / f"ci_{ENVIRONMENT}" / "matching", customers, day)
    return folder


def dataverse_rows(folder: Path, people: int = 5000) -> Path:
    """Write `contact.csv` and `lead.csv`: the rows that the CRM holds before day 1, those of day 2 included.

    One row in a hundred takes no part in unification: nobody may touch it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    outsiders = [person(10_000_000 + 5 * number) for number in range(-(-people // 100))]
    owners = [*population(1, people), *population(2, people), *outsiders]
    contacts = {key: who for who in owners for key in who.contacts}
    leads = {key: who for who in owners for key in who.leads}
    _write_csv(
        folder / "contact.csv",
        ["contactid", "firstname", "lastname", "emailaddress1"],
        ([key, who.first_name, who.last_name, who.email] for key, who in contacts.items()),
    )
    _write_csv(
        folder / "lead.csv",
        ["leadid", "subject", "firstname", "lastname", "emailaddress1"],
        ([key, f"Enquiry {who.number}", who.first_name, who.last_name, who.email] for key, who in leads.items()),
    )
    return folder


def _write_matching(folder: Path, customers: Sequence[Person], day: int) -> None:
    """The second process folder: what deduplication and matching leave behind. No task hydrates it."""
    entities = []
    for source, key, keys in _SOURCES:
        rows: list[list[str | None]] = [[each, keys(who)[0]] for who in customers for each in keys(who)]
        attributes = [(key, "string"), ("WinnerId", "string")]
        entities.append(_write_entity(folder, f"Deduplication_{source}", attributes, rows, 1))
    pairs: list[list[str | None]] = [
        [who.contacts[0], who.shop_customers[0], repr(who.score)]
        for who in customers
        if who.contacts and who.shop_customers
    ]
    attributes = [("CRM_contact_contactid", "string"), ("Shop_customers_customerid", "string"), ("Score", "double")]
    entities.append(_write_entity(folder, "ConflationMatchPairs", attributes, pairs, 1))
    _write_model(folder, entities, day)


def _write_entity(
    folder: Path, name: str, attributes: Sequence[tuple[str, str]], rows: Sequence[Sequence[str | None]], parts: int
) -> dict[str, object]:
    """Write the partitions of one entity; its entry of model.json."""
    partitions = []
    for part in range(parts):
        path = folder / name / f"{name}_{part:04d}.csv"
        _write_csv(path, [attribute for attribute, _ in attributes], rows[part::parts])
        location = "/".join(path.parts[path.parts.index(f"ci_{ENVIRONMENT}") :])
        partitions.append(
            {
                "name": path.stem,
                "location": f"https://contosolake.dfs.core.windows.net/customerinsights/{location}",
                "fileFormatSettings": {
                    "$type": "CsvFormatSettings",
                    "columnHeaders": True,
                    "delimiter": ",",
                    "quoteStyle": "QuoteStyle.Csv",
                    "csvStyle": "CsvStyle.QuoteAlways",
                    "encoding": "UTF-8",
                },
            }
        )
    return {
        "$type": "LocalEntity",
        "name": name,
        "attributes": [{"name": attribute, "dataType": kind} for attribute, kind in attributes],
        "partitions": partitions,
    }


def _write_model(folder: Path, entities: Sequence[dict[str, object]], day: int) -> None:
    modified = datetime(2026, 11, day, 3, 0, tzinfo=UTC).isoformat()
    model = {"name": folder.name, "version": "1.0", "modifiedTime": modified, "entities": list(entities)}
    (folder / "model.json").write_text(json.dumps(model, indent=1, ensure_ascii=False), encoding="utf-8")


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str | None]]) -> None:
    """RFC 4180 with LF; the csv module before Python 3.12 cannot tell nothing from the empty text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(header) + "\n")
        file.writelines(",".join(_cell(value) for value in row) + "\n" for row in rows)


def _cell(value: str | None) -> str:
    if value is None:
        return ""
    if value == "" or any(mark in value for mark in ',"\r\n') or value != value.strip():
        return '"' + value.replace('"', '""') + '"'
    return value
