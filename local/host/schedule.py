"""NCRONTAB, the schedules of timer triggers: six fields from seconds to days of the week, or a time span.

Source: the Functions documentation of the timer trigger. Times are UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.errors import ConfigurationError


@dataclass(frozen=True)
class _Field:
    """One field of a schedule: its bounds, and the names of some of its values."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def number(self, text: str) -> int:
        """The value that a text stands for. ValueError: none."""
        return self.low + self.names.index(text) if text in self.names else int(text)


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_YEARS = 8  # 29 February comes at least this often


@dataclass(frozen=True)
class Every:
    """A fixed time between two occurrences."""

    span: timedelta

    def next_after(self, moment: datetime) -> datetime:
        """The next occurrence."""
        return moment + self.span


@dataclass(frozen=True)
class Cron:
    """Occurrences whose second, minute, hour, day, month and day of the week are all among those given."""

    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    def next_after(self, moment: datetime) -> datetime:
        """The next occurrence. ConfigurationError: there is none (30 February)."""
        at = moment.replace(microsecond=0) + timedelta(seconds=1)
        last = moment + timedelta(days=366 * _YEARS)
        while at < last:
            if at.month not in self.months or at.day not in self.days or at.isoweekday() % 7 not in self.weekdays:
                at = at.replace(hour=0, minute=0, second=0) + timedelta(days=1)
            elif at.hour not in self.hours:
                at = at.replace(minute=0, second=0) + timedelta(hours=1)
            elif at.minute not in self.minutes:
                at = at.replace(second=0) + timedelta(minutes=1)
            elif at.second not in self.seconds:
                at += timedelta(seconds=1)
            else:
                return at
        raise ConfigurationError("a timer's schedule never comes due")


def parse(text: str) -> Every | Cron:
    """A schedule. ConfigurationError: it is none; the message says which field."""
    span = re.fullmatch(r"(?:(\d+)\.)?(\d+):(\d+):(\d+)", text)
    if span:
        days, hours, minutes, seconds = (int(part or 0) for part in span.groups())
        return Every(timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds))
    fields = text.split()
    if len(fields) == 5:
        fields = ["0", *fields]
    if len(fields) != len(_FIELDS):
        raise ConfigurationError(f"schedule {text!r}: expected six fields, from seconds to days of the week")
    return Cron(*(_values(text, part, field) for part, field in zip(fields, _FIELDS, strict=True)))


def _values(schedule: str, text: str, field: _Field) -> frozenset[int]:
    chosen: set[int] = set()
    for part in text.lower().split(","):
        found = re.fullmatch(r"(\*|\w+)(?:-(\w+))?(?:/(\d+))?", part)
        try:
            values = _range(found[1], found[2], found[3], field) if found else range(0)
        except ValueError:
            values = range(0)
        if not values:
            raise ConfigurationError(
                f"schedule {schedule!r}: {text!r} is no {field.name} ({field.low} to {field.high})"
            )
        chosen.update(values)
    return frozenset(chosen)


def _range(first: str, last: str | None, step: str | None, field: _Field) -> range:
    """The values of one part of a field, empty where it is out of bounds. ValueError: no number."""
    if first == "*":
        start, end = field.low, field.high
    else:
        start = field.number(first)
        end = field.number(last) if last else (field.high if step else start)
    return range(start, end + 1, int(step or 1)) if field.low <= start and end <= field.high else range(0)
