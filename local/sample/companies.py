"""The sample's companies: accounts of a CRM and debtors of an ERP that were unified, and the contacts of each.

Everything follows from a company's number, as with the people; per 100 companies, day 2 brings: 3 changed, 1 new,
2 vanished, 2 merged into another, 1 who lost its debtor and 1 who gained an account.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from local.sample.people import ABSORBS, CHANGED, VANISHED

SEED = "customer-insights-sample-businesses-1"
LOSES_DEBTOR = 36
GAINS_ACCOUNT = 45

_NAMES = (
    "Contoso",
    "Fabrikam",
    "Müller & Söhne",
    "Ærø Mejeri",
    'The "Old" Mill',
    "北野商店",
    "Łódź Tekstylia",
    "O'Neill",
)
_FORMS = ("GmbH", "Ltd.", "S.A.", "株式会社", "ApS, København", "Inc.")
_INDUSTRIES = ("Retail", "Maschinenbau", "Santé, bien-être", "Energy", None)
_CITIES = ("Zürich", "São Paulo", "Kraków", "Aarhus", "京都", "Seattle")


@dataclass(frozen=True)
class Company:
    """A unified business with the keys of the source rows that were unified into it."""

    number: int
    customer_id: str
    name: str
    website: str | None
    industry: str | None
    employees: int | None
    revenue: Decimal
    city: str
    founded: date | None
    partner: bool
    accounts: tuple[str, ...]
    debtors: tuple[str, ...]
    absorbed: tuple[int, ...] = ()  # numbers of the companies that were merged into this one


def population(day: int, companies: int) -> list[Company]:
    """The companies of day 1 or day 2 in the order of their numbers; day 2 is the night after day 1."""
    first = [company(number) for number in range(companies)]
    if day == 1:
        return first
    absorbed = {number + other - kind for kind, other in ABSORBS.items() for number in range(kind, companies, 100)}
    kept = [each for each in first if each.number % 100 not in VANISHED and each.number not in absorbed]
    new = [company(companies + extra) for extra in range(-(-companies // 100))]
    return [_overnight(each, companies) for each in kept] + new


def company(number: int) -> Company:
    """The company with this number as day 1 (or the day of arrival) knows it."""
    draw = random.Random(f"{SEED}:{number}")  # noqa: S311 - a sample, not a secret
    return Company(
        number=number,
        customer_id=_customer_id(number, draw),
        name=f"{draw.choice(_NAMES)} {number} {draw.choice(_FORMS)}",
        website=None if number % 6 == 4 else f"https://www.example.com/{number}",
        industry=draw.choice(_INDUSTRIES),
        employees=None if number % 11 == 3 else draw.randrange(1, 90_000),
        revenue=Decimal(draw.randrange(0, 9 * 10**12)).scaleb(-2),
        city=draw.choice(_CITIES),
        founded=None if number % 9 == 5 else date(1850, 1, 1) + timedelta(days=draw.randrange(60_000)),
        partner=draw.random() < 0.3,
        accounts=() if number % 5 == 3 else (guid(draw),) if number % 10 else (guid(draw), guid(draw)),
        debtors=() if number % 5 in (0, 2) else (f"D|{number:06d}" if number % 7 == 0 else f"D-{number:06d}",),
    )


def guid(draw: random.Random) -> str:
    """A random GUID that follows from the seed of `draw`."""
    return str(uuid.UUID(int=draw.getrandbits(128), version=4))


def _customer_id(number: int, draw: random.Random) -> str:
    """GUIDs in several spellings; one in four is a text of the company's own."""
    identity = guid(draw)
    if number % 40 == 5:
        return f"Konto|Nº {number}"
    return (identity, f"ACC-{number:06d}", identity.upper(), f"{{{identity}}}")[number % 4]


def _overnight(today: Company, companies: int) -> Company:
    """What day 2 makes of a company that is still there."""
    kind = today.number % 100
    if kind in CHANGED:
        return replace(today, city="Wellington", revenue=today.revenue + 1, website=None)
    if kind in ABSORBS and (other := today.number + ABSORBS[kind] - kind) < companies:
        second = company(other)
        return replace(
            today,
            accounts=today.accounts + second.accounts,
            debtors=today.debtors + second.debtors,
            absorbed=(other,),
        )
    if kind == LOSES_DEBTOR:
        return replace(today, debtors=())
    if kind == GAINS_ACCOUNT:
        gained = random.Random(f"{SEED}:{today.number}:gained")  # noqa: S311 - a sample, not a secret
        return replace(today, accounts=(*today.accounts, guid(gained)))
    return today
