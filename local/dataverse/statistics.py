"""Counts for tests and measurements: what was written and which requests came, since start or the last reset."""

from __future__ import annotations

from collections import Counter
from typing import Any

from local.dataverse import manners

UNLINKED = "unlinked"
"""Rows whose lookup was emptied because its target was deleted: nobody asked for that write."""
COUNTED = ("created", "updated", "deleted", UNLINKED)
Written = tuple[str, str, tuple[str, ...]]
"""A table, an operation, and the columns that it wrote."""


def _add(total: Counter[Any], more: Counter[Any]) -> None:
    """Add counts. For the few keys of a transaction this is much faster than Counter.update."""
    for key, count in more.items():
        total[key] += count


class Statistics:
    """Row counts become visible with their commit; requests are counted as they are answered.

    `operations` is how many there were ever: requests, and those inside of a $batch.
    """

    def __init__(self) -> None:
        self.operations = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything counted."""
        self._rows: Counter[tuple[str, str]] = Counter()
        self._pending: Counter[tuple[str, str]] = Counter()
        self._seeded: Counter[str] = Counter()
        self._requests: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._headers: Counter[str] = Counter()
        self._tags: Counter[str] = Counter()
        self._by_table: Counter[tuple[str, str]] = Counter()
        self._columns: Counter[Written] = Counter()
        self._pending_columns: Counter[Written] = Counter()
        self._manner = manners.PLAIN
        self._requests_by_manner: Counter[tuple[str, manners.Manner]] = Counter()
        self._rows_by_manner: Counter[tuple[str, manners.Manner]] = Counter()
        self._pending_by_manner: Counter[tuple[str, manners.Manner]] = Counter()

    def rows(self, table: str, operation: str, count: int) -> None:
        """Count rows of the transaction that is open. `operation` is one of COUNTED."""
        if count:
            self._pending[table, operation] += count
            if operation != UNLINKED:
                self._pending_by_manner[table, self._manner] += count

    def columns(self, table: str, operation: str, names: tuple[str, ...], count: int) -> None:
        """Count which columns (logical names) the open transaction wrote in so many rows."""
        self._pending_columns[table, operation, names] += count

    def keep(self) -> None:
        """Take over what the transaction counted."""
        _add(self._rows, self._pending)
        _add(self._columns, self._pending_columns)
        _add(self._rows_by_manner, self._pending_by_manner)
        self.discard()

    def discard(self) -> None:
        """Forget what the transaction counted."""
        self._pending.clear()
        self._pending_columns.clear()
        self._pending_by_manner.clear()

    def seeded(self, table: str, count: int) -> None:
        """Count rows that a test put there beforehand: they are no writes."""
        self._seeded[table] += count

    def begin(self, headers: dict[str, str]) -> None:
        """Take note of how the operation that is about to be answered writes, by its own headers in a $batch too."""
        self._manner = manners.of(headers)

    def request(self, kind: str, table: str | None, status: int) -> None:
        """Count one operation; the operations inside a $batch count as well, beside the batch itself."""
        self.operations += 1
        self._requests[kind] += 1
        self._statuses[str(status)] += 1
        if table:
            self._by_table[table, kind] += 1
            if kind in manners.WRITES:
                self._requests_by_manner[table, self._manner] += 1

    def fault(self, name: str) -> None:
        """Count a request that an injected fault hit."""
        self._faults[name] += 1

    def seen(self, headers: dict[str, str], tag: str | None) -> None:
        """Record the optional headers (in lower case) and the tag of one HTTP request."""
        for name, value in headers.items():
            if name.startswith("mscrm.") or name in ("callerobjectid", "mscrmcallerid"):
                self._headers[f"{name}: {value}"] += 1
        if tag is not None:
            self._tags[tag] += 1

    def report(self) -> dict[str, Any]:
        """Return everything as JSON would show it."""
        tables: dict[str, dict[str, int]] = {}
        for (table, operation), count in sorted(self._rows.items()):
            tables.setdefault(table, dict.fromkeys(COUNTED, 0))[operation] = count
        by_table: dict[str, dict[str, int]] = {}
        for (table, kind), count in sorted(self._by_table.items()):
            by_table.setdefault(table, {})[kind] = count
        return {
            "tables": tables,
            "writes": sum(count for (_, operation), count in self._rows.items() if operation != UNLINKED),
            "columns": self._columns_report(),
            "writes_by_manner": manners.report(self._requests_by_manner, self._rows_by_manner),
            "seeded": dict(sorted(self._seeded.items())),
            "requests": dict(sorted(self._requests.items())),
            "requests_by_table": by_table,
            "statuses": dict(sorted(self._statuses.items())),
            "faults": dict(sorted(self._faults.items())),
            "headers": dict(sorted(self._headers.items())),
            "tags": dict(sorted(self._tags.items())),
        }

    def _columns_report(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return by table and operation how many rows each column was written in, empty values included."""
        found: dict[str, dict[str, dict[str, int]]] = {}
        for (table, operation, names), count in sorted(self._columns.items()):
            shown = found.setdefault(table, {"created": {}, "updated": {}})[operation]
            for name in names:
                shown[name] = shown.get(name, 0) + count
        return found
