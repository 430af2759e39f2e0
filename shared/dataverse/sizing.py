"""How many rows a call takes: as many as fill the time that a call should last.

Long calls share the cost of a request between many rows, short ones lose little when they fail. Microsoft advises 100
to 1,000 rows ("Use bulk operation messages", Dataverse documentation); what a row costs depends on table and plug-ins,
so it is measured.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from shared.dataverse.pace import REQUESTS
from shared.errors import ThrottledError

FIRST_ROWS = 100
MOST_ROWS = 1_000
CALL_SECONDS = 4.0
"""How long a bulk call should last: long enough to be worth a request, far from Dataverse's two minutes."""
FIRST_SINGLES, SINGLES_SECONDS = 500, 20.0
"""A `$batch` of single requests: they are slower each, and few when all is well."""

_LONGEST_FACTOR = 4.0
_MEMORY_ROWS = 20_000


class Sizing:
    """The size of one kind of call to one table, learnt from its answers. Thread safe.

    `most` rows at most; `seconds` is what a call should last.
    """

    def __init__(self, first: int = FIRST_ROWS, *, most: int = MOST_ROWS, seconds: float = CALL_SECONDS) -> None:
        self._rows = float(max(1, min(first, most)))
        self._most = most
        self._seconds, self._longest = seconds, seconds * _LONGEST_FACTOR
        self._sent = self._refused = 0.0
        self._lock = threading.Lock()

    def rows(self) -> int:
        """How many rows the next call should take."""
        return int(self._rows)

    def answered(self, rows: int, seconds: float) -> None:
        """A call with so many rows was answered within `seconds`, waiting for its turn not counted."""
        with self._lock:
            if rows * 2 < self._rows:
                return  # a rest: mostly the cost of the request itself
            wanted = rows * self._seconds / max(seconds, 1e-3)
            step = min(max(wanted, self._rows / 2), self._rows * 2) - self._rows
            self._rows = min(max(1.0, self._rows + step / 2), self._most)

    def too_large(self, rows: int, *, for_good: bool = False) -> None:
        """A call with so many rows took too long; `for_good`: it was refused for its size, and always will be."""
        with self._lock:
            self._rows = min(self._rows, max(1.0, rows / 2))
            if for_good:
                self._most = min(self._most, max(1, rows // 2))

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
            self._sent, self._refused = self._sent + rows, self._refused + refused
            if self._sent > _MEMORY_ROWS:
                self._sent, self._refused = self._sent / 2, self._refused / 2

    def clean_chance(self, rows: int) -> float:
        """How likely it is, from 0 to 1, that none of so many rows is refused without being named."""
        with self._lock:
            share = self._refused / self._sent if self._sent else 0.0
        return (1.0 - share) ** rows


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
