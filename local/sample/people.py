"""The sample's people: who they are, which source rows they came from, and what happened to them overnight.

Everything follows from a person's number, so the same call gives the same people on every machine. Per 100 people,
day 2 brings: 3 changed, 1 new, 2 vanished, 2 merged into another person, 1 who lost a lead and 1 who gained a contact.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

SEED = "customer-insights-sample-1"
CHANGED = (7, 47, 87)
VANISHED = (14, 63)
ABSORBS = {21: 22, 41: 46}  # the first keeps its id and takes over the source rows of the second
LOSES_LEAD = 35
GAINS_CONTACT = 45

_FIRST_NAMES = (
    "Anna", "Ben", "Carla", "David", "Emma", "Farid", "Grace", "Hugo", "Zoë", "Łukasz", "Åsa", "José", "Søren", "Çağla",
    "François", "Ольга", "美咲", "Αλέξης", "Nguyễn", "Renée",
)  # fmt: skip
_LAST_NAMES = (
    "Smith", "Müller", "García", "O'Brien", "Ødegård", "Kowalczyk", "Dvořák", "de la Cruz", "Nakamura", "Петров",
    "Güneş", "Rossi", "van den Berg", "Lefèvre", "Johnson", "Adeyemi", "Szabó", "Papadopoulos", "Nguyen", "Brown",
)  # fmt: skip
_CITIES = ("Berlin", "Zürich", "São Paulo", "Kraków", "Aarhus", "Bern", "Málaga", "Seattle", "Dublin", "京都", "Oslo")
_STREETS = ("Elm Street", "Hauptstraße", "Rue de l'Église", "Calle Mayor", "Lange Gasse", 'Mill "Old Wheel" Lane')


@dataclass(frozen=True)
class Person:
    """One unified customer with the keys of the source rows that were unified into it."""

    number: int
    customer_id: str
    first_name: str
    last_name: str
    email: str | None
    phone: str | None
    street: str
    city: str
    birth_date: date | None
    points: int
    credit: Decimal
    score: float
    subscriber: bool | None
    last_seen: datetime
    notes: str | None
    contacts: tuple[str, ...]
    leads: tuple[str, ...]
    shop_customers: tuple[str, ...]
    absorbed: tuple[int, ...] = ()  # numbers of the people who were merged into this one


def population(day: int, people: int) -> list[Person]:
    """The people of day 1 or day 2 in the order of their numbers; day 2 is the night after day 1."""
    first = [person(number) for number in range(people)]
    if day == 1:
        return first
    absorbed = {number + target - source for source, target in ABSORBS.items() for number in range(source, people, 100)}
    kept = [each for each in first if each.number % 100 not in VANISHED and each.number not in absorbed]
    return [_overnight(each, people) for each in kept] + [person(people + extra) for extra in range(-(-people // 100))]


def person(number: int) -> Person:
    """The person with this number as day 1 (or the day of arrival) knows it."""
    draw = random.Random(f"{SEED}:{number}")  # noqa: S311 - a sample, not a secret
    identity = _guid(draw)
    first_name, last_name = draw.choice(_FIRST_NAMES), draw.choice(_LAST_NAMES)
    contacts, leads, shop = _source_rows(number, draw)
    return Person(
        number=number,
        customer_id=identity.replace("-", "") if number % 3 == 0 else identity,
        first_name=first_name,
        last_name=last_name,
        email=None if number % 17 == 5 else f"customer{number}@example.com",
        phone=None if number % 7 == 3 else f"+49 30 {draw.randrange(1000000, 9999999)}",
        street=_street(number, draw),
        city=draw.choice(_CITIES),
        birth_date=None if number % 11 == 4 else date(1935, 1, 1) + timedelta(days=draw.randrange(26000)),
        points=draw.randrange(0, 250000),
        credit=Decimal(draw.randrange(0, 1000000)) / 100,
        score=draw.randrange(0, 1000) / 1000,
        subscriber=None if number % 13 == 6 else draw.random() < 0.6,
        last_seen=datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=draw.randrange(63_000_000)),
        notes=_notes(number),
        contacts=contacts,
        leads=leads,
        shop_customers=shop,
    )


def _overnight(today: Person, people: int) -> Person:
    """What day 2 makes of somebody who is still there."""
    kind = today.number % 100
    if kind in CHANGED:
        return replace(today, city="Wellington", points=today.points + 150, notes=None)
    if kind in ABSORBS and (other := today.number + ABSORBS[kind] - kind) < people:
        second = person(other)
        return replace(
            today,
            contacts=today.contacts + second.contacts,
            leads=today.leads + second.leads,
            shop_customers=today.shop_customers + second.shop_customers,
            absorbed=(second.number,),
        )
    if kind == LOSES_LEAD:
        return replace(today, leads=())
    if kind == GAINS_CONTACT:
        gained = _guid(random.Random(f"{SEED}:{today.number}:gained"))  # noqa: S311 - a sample, not a secret
        return replace(today, contacts=(*today.contacts, gained))
    return today


def _source_rows(number: int, draw: random.Random) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Eight source rows per five people: keys of contacts, leads and shop customers."""
    kind = number % 5
    contacts = kind in (0, 1, 4)
    if number % 25 == 4:  # somebody who was entered twice in the CRM instead of once in the shop
        return (_guid(draw), _guid(draw)), (), ()
    return (
        (_guid(draw),) if contacts else (),
        (_guid(draw),) if kind in (0, 2) else (),
        (f"S-{number:07d}",) if kind in (0, 3, 4) else (),
    )


def _street(number: int, draw: random.Random) -> str:
    """An address; some hold commas, quotation marks or line ends."""
    line = f"{draw.randrange(1, 200)} {draw.choice(_STREETS)}"
    if number % 9 == 2:
        return f"c/o Reception\n{line}"
    return f"{line}, Apt. {number % 40}" if number % 4 == 1 else line


def _notes(number: int) -> str | None:
    """Mostly nothing at all; sometimes the empty text, which is something else."""
    if number % 10 == 0:
        return ""
    return 'Prefers "late" calls,\r\nnever on Mondays; says: naïve' if number % 10 == 1 else None


def _guid(draw: random.Random) -> str:
    return str(uuid.UUID(int=draw.getrandbits(128), version=4))
