"""The business sample's tables: profiles, alternate keys, contacts, and what Customer Insights finds out.

What the people's lake does not show stands here: keys in a table of their own, measures in two entities, memberships
ready-made in one long table.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from local.sample.companies import SEED, Company, guid
from local.sample.files import Entity
from local.sample.people import CHANGED
from local.sample.unified import Row, rows_of

SOURCES: tuple[tuple[str, str, Callable[[Company], tuple[str, ...]]], ...] = (
    ("CRM", "account", lambda who: who.accounts),
    ("ERP", "debtor", lambda who: who.debtors),
)
_SEGMENTS = ("Key accounts", "Größte 100", "Zahlt spät", 'Says "no"')
_CONTACT = (
    ("BirthDate", "date"),
    ("City", "string"),
    ("ContactId", "string"),
    ("CountryOrRegion", "string"),
    ("CustomerId", "string"),
    ("EntityName", "string"),
    ("FirstName", "string"),
    ("Gender", "string"),
    ("JobTitle", "string"),
    ("LastName", "string"),
    ("PostalCode", "string"),
    ("PrimaryEmail", "string"),
    ("PrimaryPhone", "string"),
    ("StateOrProvince", "string"),
    ("StreetAddress", "string"),
)


def unification(companies: Sequence[Company]) -> list[Entity]:
    """Customer, without key columns, and the AlternateKey table that holds the keys instead."""
    customer = (
        ("CustomerId", "string"),
        ("Name", "string"),
        ("Website", "string"),
        ("Industry", "string"),
        ("Employees", "int64"),
        ("Revenue", "decimal"),
        ("City", "string"),
        ("FoundedOn", "date"),
        ("IsPartner", "boolean"),
    )
    key = [(name, "string") for name in ("DataSourceName", "EntityName", "AlternateValue", "KeyRing", "CustomerId")]
    rows = [
        (
            who.customer_id,
            who.name,
            who.website,
            who.industry,
            who.employees,
            who.revenue,
            who.city,
            who.founded,
            who.partner,
        )
        for who in companies
    ]
    return [
        Entity("Customer", customer, rows, parts=2),
        Entity("AlternateKey", key, [row for who in companies for row in _keys(who)]),
    ]


def contacts(companies: Sequence[Company], day: int) -> list[Entity]:
    """ContactProfile: three contacts for two companies."""
    rows = [
        _contact(who.customer_id, number, ordinal, day)
        for who in companies
        for number in (who.number, *who.absorbed)
        for ordinal in range(_contact_count(number, day))
    ]
    return [Entity("ContactProfile", _CONTACT, rows, parts=2)]


def crm_contacts(companies: Iterable[Company]) -> dict[str, Row]:
    """The contacts that the CRM holds of these companies on either day, by GUID: last name and e-mail address."""
    return {
        _contact_guid(number, ordinal): (f"Contact {number}.{ordinal}", f"contact{number}.{ordinal}@example.com")
        for who in companies
        for number in (who.number, *who.absorbed)
        for ordinal in range(0, max(_contact_count(number, day) for day in (1, 2)), 2)
    }


def measures(companies: Sequence[Company], day: int) -> list[Entity]:
    """Two entities of measures: some companies stand in both, some in one, some in none."""
    sales = (("CustomerId", "string"), ("OpenDeals", "int64"), ("Pipeline", "decimal"), ("winRate", "double"))
    support = (("CustomerId", "string"), ("OpenCases", "int64"), ("LastCase", "dateTime"), ("Escalated", "boolean"))
    return [
        Entity("Customer_Measure", sales, rows_of(companies, day, _sales)),
        Entity("Measure_Support", (*support, ("Stufe", "string")), rows_of(companies, day, _support), parts=2),
    ]


def enrichments(companies: Sequence[Company], day: int) -> list[Entity]:
    """One enrichment, found by its prefix."""
    attributes = (("CustomerId", "string"), ("Rating", "string"), ("Turnover", "decimal"), ("Branches", "int64"))
    return [Entity("Enrichment_Firmographics", attributes, rows_of(companies, day, _firmographics))]


def predictions(companies: Sequence[Company], day: int) -> list[Entity]:
    """One model's results, found by its prefix, as Parquet."""
    attributes = (("CustomerId", "string"), ("Likelihood", "double"), ("Product", "string"), ("Priority", "int64"))
    return [Entity("Model_Upsell", attributes, rows_of(companies, day, _upsell), "parquet")]


def segments(companies: Sequence[Company], day: int) -> list[Entity]:
    """Memberships of accounts and of their contacts, ready-made, as Parquet; contacts repeat their account's."""
    attributes = ("CustomerId", "SegmentProvider", "SegmentMembershipType", "SegmentName")
    rows = [
        (who.customer_id, *row)
        for who in companies
        for number in (who.number, *who.absorbed)
        for row in _memberships(number, day)
    ]
    return [Entity("SegmentMembership", [(name, "string") for name in attributes], rows, "parquet", parts=2)]


def _keys(who: Company) -> Iterator[Row]:
    for data_source, entity, keys_of in SOURCES:
        keys = sorted(keys_of(who))
        if not keys:
            continue
        preferred = keys[-1] if who.number % 20 == 0 else keys[0]  # the lake may prefer another than the smallest
        ring = [{"dataSourceName": data_source, "entityName": entity, "preferredKey": preferred, "keys": keys}]
        text = json.dumps(ring, ensure_ascii=False, separators=(",", ":"))
        yield from ((data_source, entity, key, text, who.customer_id) for key in keys)


def _contact_count(number: int, day: int) -> int:
    """One or two; day 2: of 100 companies, 2 have one more and 2 one less."""
    usual = 1 + number % 2
    if day == 2 and number % 50 == 17:
        return usual - 1
    return usual + 1 if day == 2 and number % 50 == 29 else usual


def _contact(customer_id: str, number: int, ordinal: int, day: int) -> Row:
    draw = _draw(number, f"contact {ordinal}")
    moved = day == 2 and number % 50 == 33
    contact_id = _contact_id(number, ordinal, draw)
    street = f"{draw.randrange(1, 99)} Elm Street"
    return (
        None if number % 5 == 1 else date(1940, 1, 1) + timedelta(days=draw.randrange(24_000)),
        "Wellington" if moved else draw.choice(("Kraków", "Zürich", "京都", "Nice, centre")),
        f" {contact_id} " if number % 30 == 6 else contact_id,
        None if number % 7 == 2 else draw.choice(("Polska", "Schweiz", "日本")),
        customer_id,
        ("CRM_contact", "ERP_contactperson")[ordinal % 2],
        draw.choice(("Zoë", "Łukasz", "美咲", "José")),
        draw.choice(("female", "male", "", None)),
        draw.choice(("CEO", 'Head of "Things"', "Leiter, Einkauf", None)),
        draw.choice(("Müller", "Петров", "O'Brien")),
        f"{draw.randrange(100_000):05d}",
        None if number % 4 == 0 else f"contact{number}.{ordinal}@example.com",
        None if number % 9 == 0 else f"+41 44 {draw.randrange(1_000_000)}",
        None,
        f"{street}\nback entrance" if number % 8 == 3 else street,
    )


def _contact_id(number: int, ordinal: int, draw: random.Random) -> str:
    """Of the CRM's contacts, GUIDs in every spelling; of the ERP's, texts that are none."""
    odd = (f"C-{number}-{ordinal}", f"Kontakt|№{number}.{ordinal}", f"{{{draw.getrandbits(64):016X}}}")
    if ordinal % 2:
        return odd[number % len(odd)]
    key = _contact_guid(number, ordinal)
    spellings = (key, f"{{{key.upper()}}}", key.replace("-", ""), key.upper(), f"{{{key}}}")
    return spellings[number % len(spellings)]


def _contact_guid(number: int, ordinal: int) -> str:
    return guid(_draw(number, f"contact {ordinal} in the CRM"))


def _sales(number: int, day: int) -> Row | None:
    """Of 100: 90 have it, 2 of them without a value; day 2: 3 changed, 1 new, 1 gone."""
    gone, new = number % 100 == 71, number % 100 == 9
    if not (day == 2 if new else number % 10 != 9) or (gone and day == 2):
        return None
    if number % 50 == 38:
        return None, None, None
    draw = _draw(number, "sales")
    later = 1 if day == 2 and number % 100 in CHANGED else 0
    deals = 2**53 + 1 if number % 25 == 7 else draw.randrange(40)
    pipeline = Decimal(draw.randrange(10**11)).scaleb(-2)
    return deals + later, None if number % 6 == 2 else pipeline, None if number % 4 == 1 else draw.random()


def _support(number: int, day: int) -> Row | None:
    """Of 100: 40 have it; day 2: 2 changed."""
    if number % 5 not in (0, 4):
        return None
    draw = _draw(number, "support")
    later = 2 if day == 2 and number % 50 == 24 else 0
    moment = datetime(2025, 6, 1, tzinfo=UTC) + timedelta(seconds=draw.randrange(40_000_000))
    cases, escalated, level = draw.randrange(9), draw.random() < 0.2, draw.choice(("A", "B, dringend", "", None))
    return cases + later, None if number % 20 == 15 else moment, escalated if number % 3 else None, level


def _firmographics(number: int, day: int) -> Row | None:
    """Of 100: 60 have it; day 2: 2 changed, 1 new, 1 gone."""
    gone, new = number % 100 == 82, number % 100 == 53
    if not (day == 2 if new else number % 5 in (0, 2, 4)) or (gone and day == 2):
        return None
    draw = _draw(number, "firmographics")
    later = 1 if day == 2 and number % 50 == 12 else 0
    turnover = Decimal(draw.randrange(10**12)).scaleb(-2) + later
    return draw.choice(("AAA", "BB+", 'C "watch"', None)), turnover, None if number % 8 == 0 else draw.randrange(300)


def _upsell(number: int, day: int) -> Row | None:
    """Of 100: 70 have it; day 2: 2 changed, 1 new, 1 gone."""
    gone, new = number % 100 == 34, number % 100 == 57
    if not (day == 2 if new else number % 10 < 7) or (gone and day == 2):
        return None
    draw = _draw(number, "upsell")
    likelihood = draw.random() * (0.5 if day == 2 and number % 50 == 16 else 1)
    return likelihood, draw.choice(("Premium", "Wartung, jährlich", None)), draw.randrange(1, 2**33)


def _memberships(number: int, day: int) -> Iterator[Row]:
    """Of 100: 60 accounts and 40 with contacts are in segments; day 2: 2 join another, 2 leave all, 1 is new."""
    left, joined = day == 2 and number % 50 == 26, day == 2 and number % 50 == 31
    draw = _draw(number, "segments")
    mine = draw.sample(_SEGMENTS, 1 + number % 3)
    if (number % 5 < 3 and not left) or (day == 2 and number % 100 == 14):
        yield from (("Audience insights", "Account", name) for name in mine)
    if joined:
        yield "Audience insights", "Account", "Neu dabei"
    if number % 5 in (1, 4):
        yield from (("Audience insights", "Contact", name) for name in (*mine, mine[0]))
    if number % 10 == 7:
        yield "Sales", "Account", "Pipeline: Q4, 2026"


def _draw(number: int, topic: str) -> random.Random:
    return random.Random(f"{SEED}:{number}:{topic}")  # noqa: S311 - a sample, not a secret
