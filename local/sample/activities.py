"""The sample's activities: about two for every unified customer, person or company.

Per 100 customers, day 2 brings: 4 new activities, 4 changed, 2 deleted; an absorbed customer's move to the other.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from local.sample.files import Entity
from local.sample.unified import Row, Unified

ATTRIBUTES = (
    ("CustomerId", "string"),
    ("ActivityId", "string"),
    ("SourceEntityName", "string"),
    ("SourceActivityId", "string"),
    ("ActivityType", "string"),
    ("ActivityTimeStamp", "dateTime"),
    ("Title", "string"),
    ("Description", "string"),
    ("URL", "string"),
    ("SemanticData", "json"),
    ("RangeIndex", "string"),
)
_KINDS = (
    ("Shop_orders", "SalesOrder", "Bought “Größe 42”, in black"),
    ("Web_visits", "WebVisit", "Visited the site"),
    ("Service_cases", "Support", 'Said: "it creaks"'),
    ("Events_registrations", "Registration", "Διαδικτυακό σεμινάριο"),
)
_CHANNELS = ("e-mail", "Filiale Zürich", "電話", 'the "old" portal', "back\\slash, comma")


def activities(customers: Iterable[Unified], day: int, seed: str) -> Entity:
    """UnifiedActivity as gzip CSV in two partitions."""
    rows = [
        (who.customer_id, *row)
        for who in customers
        for number in (who.number, *who.absorbed)
        for row in _of_customer(number, day, seed)
    ]
    return Entity("UnifiedActivity", ATTRIBUTES, rows, "csv.gz", parts=2)


def _of_customer(number: int, day: int, seed: str) -> Iterator[Row]:
    """Rows without CustomerId: none to four, and what day 2 makes of them."""
    draw = random.Random(f"{seed}:{number}:activities")  # noqa: S311 - a sample, not a secret
    rows = [_activity(number, ordinal, draw) for ordinal in range(number % 5)]
    if day == 2:
        if number % 25 == 10:
            rows.append(_activity(number, 0, draw))
        if number % 25 == 12:
            rows[0] = (*rows[0][:5], f"{rows[0][5]} (corrected)", None, *rows[0][7:])
        if number % 50 == 18:
            rows.pop()
    yield from rows


def _activity(number: int, ordinal: int, draw: random.Random) -> Row:
    source, kind, title = _KINDS[(number + ordinal) % len(_KINDS)]
    moment = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=draw.randrange(89_000_000))  # to October 2026
    timed = (number + ordinal) % 400 != 7
    return (
        _identity(number, ordinal, draw),
        source,
        None if kind == "WebVisit" else f"{number}/{ordinal}",
        kind,
        _time_stamp(moment, number) if timed else None,
        title,
        None if number % 3 == 0 else ("" if number % 10 == 1 else f"No. {ordinal + 1},\nby customer {number}"),
        f"https://example.com/{kind.lower()}?id={number}&no={ordinal}" if ordinal % 2 == 0 else None,
        _semantic_data(number, ordinal, draw),
        str(int(moment.timestamp())) if timed else None,
    )


def _identity(number: int, ordinal: int, draw: random.Random) -> str:
    """GUIDs in every spelling, and texts that are none."""
    identity = uuid.UUID(int=draw.getrandbits(128), version=4)
    spellings = (
        str(identity),
        f"Besuch №{number}|{ordinal}",
        identity.hex,
        f"{{{str(identity).upper()}}}",
        f"order-{number:06d}-{ordinal}",
    )
    return spellings[(number + ordinal) % len(spellings)]


def _time_stamp(moment: datetime, number: int) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (".0000000Z" if number % 2 else "Z")


def _semantic_data(number: int, ordinal: int, draw: random.Random) -> str | None:
    """JSON as others write it: with spaces after commas and colons."""
    if (number + ordinal) % 6 == 2:
        return None
    pairs = {"Channel": draw.choice(_CHANNELS), "Items": draw.randrange(1, 9), "Naïve, or not": number % 2 == 0}
    return json.dumps(pairs, ensure_ascii=False)
