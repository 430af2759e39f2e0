"""What Customer Insights finds out about the sample's people: measures, enrichments, predictions and segments.

All follows from a person's number. Day 2 brings some of each table that are new, changed and gone; who absorbed
somebody overnight has spent more, and has what either of them had.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from local.sample.files import Entity
from local.sample.people import CHANGED, SEED, Person
from local.sample.unified import Row, rows_of

_TIERS = ("Bronze", "Silber", "Or, spécial", 'Platinum "X"', "")


def measures(people: Sequence[Person], day: int) -> list[Entity]:
    """Customer_Measure: a row for everybody, with empty cells; one person in fifty has nothing at all."""
    attributes = (
        ("CustomerId", "string"),
        ("AverageBasket", "double"),
        ("LifetimePoints", "int64"),
        ("TotalSpend", "decimal"),
        ("IsActive", "boolean"),
        ("LastPurchase", "date"),
        ("Tier: Stufe №", "string"),
    )
    rows = [(who.customer_id, *_measured(who, day)) for who in people]
    return [Entity("Customer_Measure", attributes, rows, parts=2)]


def enrichments(people: Sequence[Person], day: int) -> list[Entity]:
    """Two enrichments, each for some people."""
    brands = (
        ("CustomerId", "string"),
        ("Brand", "string"),
        ("affinity", "double"),
        ("Rank", "int64"),
        ("Interests", "json"),
        ("Share of voice, %", "decimal"),
        ("UpdatedOn", "dateTime"),
    )
    companies = (
        ("CustomerId", "string"),
        ("Industry", "string"),
        ("Employees", "int64"),
        ("Revenue", "decimal"),
        ("Founded", "date"),
        ("Größe", "string"),
    )
    return [
        Entity("BrandShareOfVoiceFromMicrosoft", brands, rows_of(people, day, _brand)),
        Entity("CompanyData", companies, rows_of(people, day, _company)),
    ]


def predictions(people: Sequence[Person], day: int) -> list[Entity]:
    """Two models' results, as Parquet."""
    churn = (
        ("CustomerId", "string"),
        ("ChurnScore", "double"),
        ("ChurnRisk", "string"),
        ("ScoredOn", "dateTime"),
    )
    value = (
        ("CustomerId", "string"),
        ("PredictedValue", "double"),
        ("Rank", "int64"),
        ("ValidUntil", "dateTime"),
    )
    return [
        Entity("ChurnScores", churn, rows_of(people, day, _churn), "parquet", parts=2),
        Entity("CustomerLifetimeValue", value, rows_of(people, day, _lifetime_value), "parquet"),
    ]


def segments(people: Sequence[Person], day: int) -> list[Entity]:
    """Three segments; only its annotation says that `VIPs` is one."""
    annotated = {
        "c360:OutputTable": "SegmentMembership",
        "c360:Segment": "VIP customers",
        "c360:Provider": "Marketing",
    }
    since, channel, reason = (
        (("CustomerId", "string"), other) for other in (("Since", "date"), ("Channel", "string"), ("Reason", "string"))
    )
    return [
        Entity("Segment_HighValue", since, rows_of(people, day, _high_value)),
        Entity("Segment_Newsletter", channel, rows_of(people, day, _newsletter)),
        Entity("VIPs", reason, rows_of(people, day, _vip), annotations=annotated),
    ]


def _measured(who: Person, day: int) -> Row:
    number = who.number
    if number % 50 == 13:
        return (None,) * 6
    draw = _draw(number, "measures")
    basket = draw.choice((draw.randrange(1, 40000) / 128, draw.random() * 1e-6, draw.random() * 1e18, 0.1 + 0.2, -2.5))
    spend = Decimal(draw.randrange(-5_000, 10 ** draw.randrange(4, 13))).scaleb(-2)
    points = draw.randrange(0, 100_000) if number % 20 else draw.choice((2**31, 2**53 + 1, 2**63 - 1, -(2**63)))
    active, tier = draw.random() < 0.6, draw.choice(_TIERS)
    last = date(2024, 1, 1) + timedelta(days=draw.randrange(1000))
    if day == 2 and (number % 100 in CHANGED or who.absorbed):
        spend, last = spend + 10 + len(who.absorbed), date(2026, 11, 1)
    return (
        None if number % 4 == 3 else basket,
        None if number % 7 == 6 else points,
        None if number % 9 == 4 else spend,
        None if number % 3 == 1 else ("True" if active else "false"),
        None if number % 5 == 3 else last,
        None if number % 6 == 5 else tier,
    )


def _brand(number: int, day: int) -> Row | None:
    """Of 100: 40 have it; day 2: 1 new, 2 changed, 1 gone."""
    gone, new = number % 100 == 60, number % 100 == 3
    if not (day == 2 if new else number % 5 in (0, 1)) or (gone and day == 2):
        return None
    draw = _draw(number, "brand")
    later = 1 if day == 2 and number % 50 == 25 else 0
    moment = datetime(2026, 10, 1, tzinfo=UTC) + timedelta(seconds=draw.randrange(2_000_000))
    interests = json.dumps(draw.sample(("running", "Käse", 'a "b", c', "読書"), 2), ensure_ascii=False)
    return (
        draw.choice(("Contoso", "Fabrikam", "Ærø Mejeri", 'The "Best", Ltd.')),
        draw.random() + later,
        None if number % 15 == 0 else draw.randrange(1, 100),
        None if number % 4 == 0 else interests,
        Decimal(draw.randrange(0, 10_000)).scaleb(-2),
        moment.strftime("%Y-%m-%dT%H:%M:%S") + draw.choice(("Z", ".2500000Z", ".0000000Z")),
    )


def _company(number: int, day: int) -> Row | None:
    """Of 100: 20 have it; day 2: 3 changed."""
    if number % 5 != 2:
        return None
    draw = _draw(number, "company")
    later = 5 if day == 2 and number % 100 in CHANGED else 0
    return (
        draw.choice(("Retail", "Maschinenbau", "Santé", None)),
        draw.randrange(1, 5000) + later,
        Decimal(draw.randrange(0, 10**11)).scaleb(-2),
        date(1900, 1, 1) + timedelta(days=draw.randrange(44_000)),
        draw.choice(("klein", "mittel", "groß", "")),
    )


def _churn(number: int, day: int) -> Row | None:
    """Of 100: 70 have it; day 2: 1 new, about 3 changed."""
    if not (day == 2 if number % 100 == 8 else number % 10 < 7):
        return None
    draw = _draw(number, "churn")
    score = draw.random() * (0.5 if day == 2 and number % 25 == 2 else 1)
    scored = datetime(2026, 10, 30, 3, tzinfo=UTC) + timedelta(microseconds=draw.choice((0, 500_000, 123_456)))
    return score, ("high" if score > 0.7 else "niedrig, stabil" if score < 0.2 else None), scored


def _lifetime_value(number: int, day: int) -> Row | None:
    """Of 100: 50 have it; day 2: 2 changed, 1 gone."""
    if number % 2 or (day == 2 and number % 100 == 50):
        return None
    draw = _draw(number, "value")
    value = draw.choice((draw.random() * 1e4, float(draw.randrange(5000)), draw.random() * 1e-9))
    later = 1 if day == 2 and number % 50 == 2 else 0
    return value + later, None if number % 14 == 0 else draw.randrange(2**40), datetime(2027, 1, 1, tzinfo=UTC)


def _high_value(number: int, day: int) -> Row | None:
    """Of 100: 30 are in it; day 2: 2 join, 1 leaves."""
    if not (day == 2 if number % 50 == 11 else number % 10 in (0, 3, 6)) or (day == 2 and number % 100 == 20):
        return None
    return (date(2026, 1, 1) + timedelta(days=number % 300),)


def _newsletter(number: int, day: int) -> Row | None:
    """Of 8: 3 are in it; day 2: one in a hundred leaves."""
    return None if number % 8 > 2 or (day == 2 and number % 200 == 88) else ("e-mail" if number % 3 else None,)


def _vip(number: int, day: int) -> Row | None:
    """Of 8: 1 is in it; day 2: one in 20 joins, one in 20 leaves."""
    if not (day == 2 if number % 160 == 7 else number % 8 == 5) or (day == 2 and number % 160 == 5):
        return None
    return ("Board, friends" if number % 3 else "",)


def _draw(number: int, topic: str) -> random.Random:
    return random.Random(f"{SEED}:{number}:{topic}")  # noqa: S311 - a sample, not a secret
