"""What the sample's people and companies have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

Row = tuple[Any, ...]


class Unified(Protocol):
    """What a unified customer has, whoever it is."""

    @property
    def number(self) -> int:
        """All about the customer follows from it."""

    @property
    def customer_id(self) -> str:
        """As the lake has it."""

    @property
    def absorbed(self) -> tuple[int, ...]:
        """The numbers of those who were merged into this one."""


def rows_of(customers: Iterable[Unified], day: int, of_number: Callable[[int, int], Row | None]) -> list[Row]:
    """CustomerId and the row `of_number(number, day)` for everybody who, or whose absorbed other, has one."""
    rows = []
    for who in customers:
        found = (of_number(number, day) for number in (who.number, *who.absorbed))
        row = next((each for each in found if each is not None), None)
        if row is not None:
            rows.append((who.customer_id, *row))
    return rows
