"""What became of a task's rows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    """Rows by what became of them (of a link: created/changed/removed = set/re-pointed/cleared).

    `missing`: links whose source row does not exist in Dataverse. `held`: removals that were stopped, by the brake or
    because something still refers to the row. `writes`: the distinct rows that Dataverse acknowledged.

    Only where a run failed or was stopped amid its sending: `unsent` and `uncertain` are rows to write that were not
    attempted, and that were sent without a definite answer; `unremoved` are rows to remove of either kind. So the rows
    of a snapshot are created + changed + unchanged + rejected + missing + unsent + uncertain.
    """

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    rejected: int = 0
    missing: int = 0
    held: int = 0
    writes: int = 0
    unsent: int = 0
    uncertain: int = 0
    unremoved: int = 0

    @property
    def unfinished(self) -> bool:
        """Whether something that was planned has no outcome: the next run does it."""
        return bool(self.unsent or self.uncertain or self.unremoved)
