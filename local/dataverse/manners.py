"""How a request writes: with flows, custom logic and duplicate detection, or without them. Counted for statistics."""

from __future__ import annotations

from collections import Counter
from typing import Any

FLOWS = "mscrm.suppresscallbackregistrationexpanderjob"
LOGIC = "mscrm.bypassbusinesslogicexecution"
DUPLICATES = "mscrm.suppressduplicatedetection"
NAMES = ("flows_suppressed", "custom_logic_bypassed", "duplicate_detection_suppressed")
WRITES = frozenset(
    {"create", "update", "upsert", "delete", "reference", "CreateMultiple", "UpdateMultiple", "UpsertMultiple"}
)

Manner = tuple[bool, bool, bool]
PLAIN: Manner = (False, False, False)


def of(headers: dict[str, str]) -> Manner:
    """Return what the headers of a request (names in lower case) suppress, in the order of NAMES.

    Custom logic counts as bypassed only when all of it is, synchronous and asynchronous.
    """
    logic = headers.get(LOGIC)
    return (
        headers.get(FLOWS, "").lower() == "true",
        logic is not None and {"CustomSync", "CustomAsync"} <= {part.strip() for part in logic.split(",")},
        headers.get(DUPLICATES, "").lower() == "true",
    )


def report(requests: Counter[tuple[str, Manner]], rows: Counter[tuple[str, Manner]]) -> dict[str, Any]:
    """Return by table, for each of NAMES, the requests and rows that came with it and those without."""
    found: dict[str, Any] = {}
    for what, counts in (("requests", requests), ("rows", rows)):
        for (table, manner), count in sorted(counts.items()):
            shown = found.setdefault(table, {name: _none() for name in NAMES})
            for name, on in zip(NAMES, manner, strict=True):
                shown[name]["with" if on else "without"][what] += count
    return found


def _none() -> dict[str, dict[str, int]]:
    return {"with": {"requests": 0, "rows": 0}, "without": {"requests": 0, "rows": 0}}
