"""How many rows a call takes: as many as fill the time that a call should last.

Long calls share the cost of a request between many rows, short ones lose little when they fail. Microsoft advises 100
to 1,000 rows ("Use bulk operation messages", Dataverse documentation); what a row costs depends on table and plug-ins,
so it is measured.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from shared.dataverse.pace import REQUESTS
from shared.errors import ThrottledError

FIRST_ROWS = 100
MOST_ROWS = 1_000
CALL_SECONDS = 4.0
"""How long a bulk call should last: long enough to be worth a request, far from Dataverse's two minutes."""
FIRST_SINGLES, SINGLES_SECONDS = 250, 20.0
"""A `$batch` of single requests: they are slower each, and few when all is well."""

_LONGEST_FACTOR = 4.0
_MEMORY_ROWS = 20_000
_SURPRISE = 0.05
_LEAST_BYTES = 100_000  # nothing refuses less for its size


class Sizing:
    """The size of one kind of call to one table, learnt from its answers. Thread safe.

    `most` rows at most; `seconds` is what a call should last.
    """

    def __init__(self, first: int = FIRST_ROWS, *, most: int = MOST_ROWS, seconds: float = CALL_SECONDS) -> None:
        self._rows = float(max(1, min(first, most)))
        self._most = most
        self._seconds, self._longest = seconds, seconds * _LONGEST_FACTOR
        self._most_bytes: int | None = None
        self._sent = self._refused = 0.0
        self._lock = threading.Lock()

    def rows(self) -> int:
        """How many rows the next call should take."""
        return int(self._rows)

    def answered(self, rows: int, seconds: float) -> None:
        """A call with so many rows succeeded within `seconds`, waiting for its turn not counted."""
        with self._lock:
            if rows * 2 >= self._rows:  # less is a rest: mostly the cost of the request itself
                self._approach(rows * self._seconds / max(seconds, 1e-3))

    def took_at_least(self, rows: int, seconds: float) -> None:
        """A call with so many rows ended early, after `seconds`: it may have been too large, but not too small."""
        if seconds > self._seconds:
            self.answered(rows, seconds)

    def took_at_most(self, rows: int, seconds: float) -> None:
        """So many rows, sent in a way that is slower, took `seconds`: a call may have at least what that allows."""
        with self._lock:
            wanted = rows * self._seconds / max(seconds, 1e-3)
            if rows * 2 >= self._rows and wanted > self._rows:
                self._approach(wanted)

    def too_large(self, rows: int) -> None:
        """A call with so many rows took too long, or was refused for its size."""
        with self._lock:
            self._rows = min(self._rows, max(1.0, rows / 2))

    def refused_size(self, size: int) -> None:
        """A call of several rows, of `size` bytes, was refused for its size: half of that is the most from now on."""
        with self._lock:
            self._most_bytes = max(_LEAST_BYTES, min(self._most_bytes or size, size // 2))

    def reach(self, records: Sequence[bytes], start: int) -> int:
        """Behind which record the call ends that begins with `start`: one record at least."""
        end = min(start + self.rows(), len(records))
        most = self._most_bytes
        if most is not None:
            total = 0
            for place in range(start, end):
                total += len(records[place])
                if total > most:
                    return max(place, start + 1)
        return end

    def fewer_requests(self) -> None:
        """Dataverse counts too many requests: let calls last longer."""
        with self._lock:
            self._seconds = min(self._seconds * 1.5, self._longest)

    @contextmanager
    def learning(self) -> Iterator[None]:
        """Around a request: `fewer_requests` when it is refused for the number of requests."""
        try:
            yield
        except ThrottledError as error:
            if error.code == REQUESTS:
                self.fewer_requests()
            raise

    def refused(self, rows: int, refused: int) -> None:
        """So many of a call's rows were refused, and the call's error did not say which."""
        with self._lock:
            if not refused and self._clean_chance(rows) < _SURPRISE:
                self._sent = self._refused = 0.0  # what was known is outdated
            self._sent, self._refused = self._sent + rows, self._refused + refused
            if self._sent > _MEMORY_ROWS:
                self._sent, self._refused = self._sent / 2, self._refused / 2

    def clean_chance(self, rows: int) -> float:
        """How likely it is, from 0 to 1, that none of so many rows is refused without being named."""
        with self._lock:
            return self._clean_chance(rows)

    def _clean_chance(self, rows: int) -> float:
        share = self._refused / self._sent if self._sent else 0.0
        return float((1.0 - share) ** rows)

    def _approach(self, wanted: float) -> None:
        step = min(max(wanted, self._rows / 2), self._rows * 2) - self._rows
        self._rows = min(max(1.0, self._rows + step / 2), self._most)


class Sizes:
    """The sizes of every kind of call, of one organization in one process. `most` rows in a bulk call. Thread safe."""

    def __init__(self, *, most: int = MOST_ROWS) -> None:
        self._most = most
        self._found: dict[tuple[str, str], Sizing] = {}
        self._lock = threading.Lock()

    def bulk(self, table: str, action: str) -> Sizing:
        """For a bulk action on a table."""
        with self._lock:
            return self._found.setdefault((table, action), Sizing(most=self._most))

    def singles(self, table: str, method: str) -> Sizing:
        """For single requests to a table inside a `$batch`."""
        with self._lock:
            return self._found.setdefault((table, method), Sizing(FIRST_SINGLES, seconds=SINGLES_SECONDS))
