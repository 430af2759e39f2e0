"""What the workers of one application user tell each other: a Retry-After, and that they are there.

HydrationThrottling   partition = organization and user: `hold`, until when nothing may be sent by the storage's clock,
                      and a row for each worker with the time when it last sent

A hold is written at once and never made shorter. It is read right before a request, at most once a second. Whoever
counts the workers removes the rows of those that are long gone. A table that does not answer never keeps a request
from being sent: what is known counts, and the table is left alone for a while.

Clocks may be wrong: the time is taken after the table's answer, which corrects the clock. From when it is heard a hold
lasts no longer than what was told, and an hour at most; what is dated in the future is replaced or removed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from azure.core.exceptions import AzureError
from azure.data.tables import TableServiceClient

from shared.clock import TOLERANCE, Clock
from shared.dataverse.errors import LONGEST_WAIT
from shared.dataverse.limiter import News
from shared.errors import ConflictError, NotFoundError, TransientError
from shared.runs.entities import key
from shared.runs.tables import Delete, Table, Write, service
from shared.settings import Connection

_log = logging.getLogger(__name__)

NAME = "HydrationThrottling"
LOOK_SECONDS = 1.0
COUNT_SECONDS = 30.0
ALIVE_FOR = timedelta(seconds=90)
GONE_AFTER = timedelta(minutes=15)
QUIET_SECONDS = 10.0
"""How long a table that did not answer is left alone."""
_ANSWER_SECONDS = 2.0
_ATTEMPTS = 5
_ALMOST = 1.0  # second: who is told of the same refusal that much later tells nobody
_APART = 2 * TOLERANCE
"""How far the clocks of two workers may be apart."""
_NO_TABLE = (NotFoundError, ConflictError)  # the second from a transaction
_LONGEST = timedelta(seconds=LONGEST_WAIT)


@dataclass(frozen=True)
class Hold:
    """Until when nothing may be sent for the user, and since when; and who was told so."""

    until: datetime | None = None
    since: datetime | None = None
    worker: str = ""
    etag: str = ""

    def left(self, now: datetime) -> timedelta:
        """How long it still lasts, by a clock that may be behind or ahead of the one that it was written by."""
        if self.until is None or self.since is None or self.until <= now - _APART:
            return timedelta()
        return min(self.until - now, self.until - self.since, _LONGEST) + _APART

    def stands(self, now: datetime) -> bool:
        """Whether a right clock can have written it."""
        if self.until is None or self.since is None:
            return False
        return self.since <= now + _APART and self.until - self.since <= _LONGEST


@dataclass(frozen=True)
class Alive:
    """When a worker last sent something."""

    worker: str = ""
    seen: datetime | None = None
    etag: str = ""


class Throttling:
    """The table, for all application users of this process. `worker` is this process's name."""

    def __init__(self, connection: Connection, clock: Clock, worker: str) -> None:
        self._connection, self._clock, self._worker = connection, clock, worker

    def of(self, host: str, user: str) -> Workers:
        """The workers that send to an organization's host for an application user."""
        waits = {"connection_timeout": _ANSWER_SECONDS, "read_timeout": _ANSWER_SECONDS, "retry_total": 0}
        client = service(self._connection, self._clock, **waits)
        return Workers(client, self._clock, key(f"{host.lower()}|{user.lower()}"), self._worker)


class Workers:
    """The workers of one application user, seen by one of them: shared.dataverse.limiter.Others. Thread safe."""

    def __init__(
        self,
        client: TableServiceClient,
        clock: Clock,
        partition: str,
        worker: str,
        *,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._table = Table(client.get_table_client(NAME))
        self._clock, self._partition, self._worker, self._ticks = clock, partition, worker, ticks
        self._busy = threading.Lock()
        self._look_at = self._count_at = self._write_at = ticks()
        self._known: datetime | None = None
        self._told_until = ticks()

    def tell(self, seconds: float) -> None:
        """Write that nothing may be sent for so long, unless a longer hold stands there."""
        ticks = self._ticks()
        seconds = min(seconds, LONGEST_WAIT)
        if not seconds > 0 or ticks < self._write_at or ticks + seconds - _ALMOST <= self._told_until:
            return
        told_until, self._told_until = self._told_until, ticks + seconds  # others that were told the same need not
        with self._tolerant("tell") as trouble:
            self._write(timedelta(seconds=seconds))
        if trouble:
            self._told_until = told_until
            self._write_at = self._ticks() + QUIET_SECONDS

    def hear(self) -> News | None:
        """A hold that others were told, and every half minute how many workers there are."""
        now = self._ticks()
        if now < self._look_at or not self._busy.acquire(blocking=False):
            return None  # looked a moment ago, or another thread looks just now
        try:
            self._look_at = now + LOOK_SECONDS
            news: News | None = None
            with self._tolerant("hear") as trouble:
                news = self._look(count=now >= self._count_at)
            if trouble:
                self._look_at = self._ticks() + QUIET_SECONDS
            return news
        finally:
            self._busy.release()

    def _look(self, *, count: bool) -> News | None:
        found = self._table.get(Hold, self._partition, "hold") or Hold()
        seconds = 0.0
        if found.until is not None and found.until != self._known:
            self._known = found.until
            if found.worker != self._worker:
                seconds = found.left(self._clock.now()).total_seconds()
        workers = self._count(found) if count else None
        return News(seconds, workers) if seconds > 0 or workers is not None else None

    def _count(self, hold: Hold) -> int:
        """Say that this worker is there, and count those that said so lately. Nobody could during a hold."""
        self._count_at = self._ticks() + COUNT_SECONDS
        self._table.put(Alive(self._worker, self._clock.now()), self._partition, f"worker {key(self._worker)}")
        condition = "PartitionKey eq @partition and RowKey ge @low and RowKey lt @high"
        rows = self._table.query(Alive, condition, partition=self._partition, low="worker ", high="worker!")
        now = self._clock.now()
        patience = ALIVE_FOR
        if hold.until is not None and hold.since is not None and hold.stands(now) and now < hold.until + ALIVE_FOR:
            patience += hold.until - hold.since
        lately = {self._worker}
        for row in rows:
            silent = now - row.seen if row.seen is not None else timedelta.max
            if -_APART <= silent <= patience:
                lately.add(row.worker)
            elif not -_APART <= silent <= GONE_AFTER:
                self._remove(row)
        return len(lately)

    def _remove(self, row: Alive) -> None:
        try:
            self._table.transact([Delete(self._partition, f"worker {key(row.worker)}", row.etag)])
        except (ConflictError, NotFoundError):
            return  # it is back, or somebody else removed it

    def _write(self, lasts: timedelta) -> None:
        for _ in range(_ATTEMPTS):
            found = self._table.get(Hold, self._partition, "hold") or Hold()
            now = self._clock.now()  # corrected by the answer just now
            if found.until is not None and found.until >= now + lasts and found.stands(now):
                return
            try:
                self._table.write(Write(Hold(now + lasts, now, self._worker), self._partition, "hold", found.etag))
            except ConflictError:
                continue  # another worker was told at the same moment
            except NotFoundError:
                if self._make():
                    continue
                raise
            return

    @contextmanager
    def _tolerant(self, what: str) -> Iterator[list[str]]:
        """Collects what went wrong instead of raising it; where there is no table, it is made."""
        trouble: list[str] = []
        try:
            yield trouble
        except (TransientError, NotFoundError) as error:
            self._count_at = self._ticks()
            if not (isinstance(error, _NO_TABLE) and self._make()):
                trouble.append(str(error))
                _log.warning("throttling.not_shared", extra={"doing": what, "reason": str(error)})

    def _make(self) -> bool:
        """Make the table: there was none yet, or somebody deleted it."""
        try:
            self._client.create_table(NAME)
        except AzureError:  # it is there; or it is still being deleted
            return False
        return True
