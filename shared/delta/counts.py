"""What became of a task's rows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    """Rows by what became of them (of a link: created/changed/removed = set/re-pointed/cleared).

    `missing`: links whose source row does not exist in Dataverse. `held`: removals that were stopped, by the brake or
    because something still refers to the row. `writes`: the distinct rows that Dataverse acknowledged.
    """

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    rejected: int = 0
    missing: int = 0
    held: int = 0
    writes: int = 0
