"""One chunk: claim it, send its records call by call, and state what became of every row.

Before each call the chunk's row says how far the outcome is known (`sent`) and how far this call may reach (`begun`),
in the same guarded write that renews the claim. So whoever comes after a crash knows which rows are uncertain, and a
worker that was overtaken cannot send.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared import lifecycle
from shared.dataverse import bulk
from shared.dataverse.bulk import RowFault, TableName, Writer
from shared.dataverse.client import Client
from shared.delta import chunks
from shared.errors import (
    ClaimLostError,
    ConfigurationError,
    ConflictError,
    HydrationError,
    LostBlobError,
    StoppedError,
    ThrottledError,
    TransientError,
)
from shared.organizations import refuse_another
from shared.outcomes import RowOutcomes
from shared.runs import paths
from shared.runs.messages import ChunkMessage
from shared.runs.model import Chunk, Kind, Phase, Run, Task, TaskPhase
from shared.services import Services
from shared.tables.catalog import table_name

_log = logging.getLogger(__name__)

MOST_TRIES = 50
"""How often a chunk is taken up before it is given up: with the waits between them, about seven hours."""
FINAL_TRIES = 8
"""From here on (ten minutes) rows are sent one by one: one that always fails for the moment must not hold up others."""

_FIRST_WAIT, _LONGEST_WAIT = 2.0, 600.0
_MOST_TROUBLE = 1_000


@dataclass(frozen=True)
class Later:
    """The chunk must be taken up again, not before `at`."""

    at: datetime


def send(services: Services, message: ChunkMessage) -> Later | None:
    """Send one chunk. Returns when to try again, or None when there is nothing more to do for this message."""
    run = services.store.run(message.environment, message.run)
    task = services.store.task(message.run, message.task)
    if not _wanted(run, task, message):
        return None
    chunk = services.store.chunk(task, message.stage, message.number)
    if chunk is None:
        return None
    if chunk.done:
        lifecycle.advance(services, run.environment, run.id)  # whoever concluded it may have come no further
        return None
    now = services.clock.now()
    if chunk.lease_until is not None and chunk.lease_until > now:
        return Later(chunk.lease_until)
    try:
        return _Sending(services, run, task, chunk).go()
    except (ConflictError, ClaimLostError):
        _log.info("chunk.claim_lost", extra={"run": run.id, "task": task.key, "chunk": chunk.number})
        return Later(services.clock.now() + timedelta(seconds=services.settings.lease_seconds))


def give_up(services: Services, message: ChunkMessage, reason: str) -> None:
    """A chunk that cannot be sent (its message is dead): its rows in flight stay uncertain, its task ends Failed."""
    task = services.store.task(message.run, message.task)
    if task.attempt != message.attempt or task.phase is not TaskPhase.PLANNED:
        return
    chunk = services.store.chunk(task, message.stage, message.number)
    if chunk is None or chunk.done:
        return
    fail(services, task, reason)
    if chunk.lease_until is not None and chunk.lease_until > services.clock.now():
        return  # a request may be under way: whoever holds the chunk concludes it, or it is asked for again later
    services.store.conclude_chunk(replace(chunk, failure=reason))
    lifecycle.advance(services, message.environment, message.run)


def fail(services: Services, task: Task, reason: str) -> None:
    """Nothing more of the task is sent; it ends Failed once its chunks are concluded."""
    if not task.failure:
        try:
            services.store.save_task(replace(task, failure=reason))
        except ConflictError:
            fail(services, services.store.task(task.run, task.key), reason)


def _wanted(run: Run, task: Task, message: ChunkMessage) -> bool:
    return (
        run.phase is Phase.SENDING
        and not run.stopped
        and message.stage <= run.stage
        and task.phase is TaskPhase.PLANNED
        and task.attempt == message.attempt
    )


class _Sending:
    """A claimed chunk on its way."""

    def __init__(self, services: Services, run: Run, task: Task, chunk: Chunk) -> None:
        self._services, self._run, self._task = services, run, task
        self._folder = paths.plan(run.environment, task, task.attempt)
        self._outcomes = RowOutcomes(services, task, self._folder, chunk)
        self._chunk = self._claim(replace(chunk, tries=chunk.tries + 1), begun=chunk.begun)
        self._user: Client | None = None
        self._asked = False  # a request of the call that is under way has gone out

    def go(self) -> Later | None:
        if self._task.failure or self._chunk.tries > MOST_TRIES:
            return self._conclude(self._task.failure or f"Given up after {MOST_TRIES} attempts. {self._chunk.trouble}")
        try:
            with suppress(StoppedError):  # what was not sent shows, and the run says why
                self._send_all()
        except ThrottledError as fault:
            self._chunk = replace(self._chunk, tries=self._chunk.tries - 1)  # waiting as told is no failure
            return self._again(self._least_wait(fault), fault)
        except TransientError as fault:
            return self._again(min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(self._chunk.tries, 10)), fault)
        except ConfigurationError as fault:
            return self._conclude(str(fault))
        except LostBlobError as fault:
            with suppress(StoppedError):
                self._before()  # what an ended run needed is cleaned away: then nothing is lost
            return self._conclude(str(fault))
        return self._conclude("")

    def _send_all(self) -> None:
        records = chunks.unpack(self._services.blobs.read(paths.chunk(self._folder, self._chunk.number)))
        self._outcomes.take_over(self._chunk)
        while self._chunk.sent < len(records):
            start = self._chunk.sent
            writer = self._writer()
            end = writer.reach(records, start, self._action)
            faults = self._call_within(writer, start, end, records)
            self._note(start, end, records, faults)
            self._chunk = replace(self._chunk, sent=end, tries=1)  # tries since something last went through

    def _call_within(self, writer: Writer, start: int, end: int, records: list[bytes]) -> list[RowFault]:
        """One call, whose reach is written down before it. Stopped before its first request, it reached no further."""
        before = self._chunk.begun
        self._chunk, self._asked = self._claim(self._chunk, begun=max(end, before)), False
        try:
            return self._call(writer, records[start:end])
        except StoppedError:
            if not self._asked:
                self._chunk = replace(self._chunk, begun=before)
            raise

    def _writer(self) -> Writer:
        """For one call: with the application user that has the most capacity free."""
        client = self._services.dataverse.sender(self._url)
        refuse_another(self._url, client.organization_id, self._run.organization_id)
        table = TableName(self._task.set_name, self._logical_name)
        sizes = self._services.dataverse.sizes(self._url)
        self._user = client
        return Writer(
            client,
            table,
            sizes,
            self._before,
            bypass=self._action == bulk.UPDATE,
            final=self._chunk.tries >= FINAL_TRIES,
        )

    def _least_wait(self, fault: ThrottledError) -> float:
        """How long to wait: not at all where another application user is free."""
        try:
            other = self._services.dataverse.sender(self._url)
        except HydrationError:
            return fault.retry_after
        return fault.retry_after if other is self._user else min(fault.retry_after, other.limiter.hold_seconds())

    def _call(self, writer: Writer, records: list[bytes]) -> list[RowFault]:
        if self._action == bulk.DELETE:
            return writer.delete([record.decode() for record in records])
        if self._action == bulk.UPSERT:
            return writer.upsert(records, key=self._task.primary_id)
        faults = writer.update(records, key=self._task.primary_id)
        logic = self._chunk.custom_logic or not writer.client.bypass_in_force
        self._chunk = replace(self._chunk, custom_logic=logic)
        return faults

    @property
    def _action(self) -> str:
        if self._task.kind is Kind.LINK:
            return bulk.UPDATE
        return bulk.DELETE if self._chunk.stage == self._task.remove_stage else bulk.UPSERT

    @property
    def _url(self) -> str:
        return self._services.environment(self._run.environment).dataverse_url

    @property
    def _logical_name(self) -> str:
        if self._task.kind is Kind.LINK:
            return self._task.subject
        return table_name(self._services.settings.hydration.publisher_prefix, self._task.subject)

    # -- the claim -------------------------------------------------------------------------------------

    def _claim(self, chunk: Chunk, *, begun: int) -> Chunk:
        lease = self._services.clock.now() + timedelta(seconds=self._services.settings.lease_seconds)
        held = replace(chunk, owner=self._services.worker, lease_until=lease, begun=begun)
        return self._services.store.save_chunk(held)

    def _before(self) -> None:
        """Right before every request: the run is still on, the claim is still ours, and it outlasts the request."""
        run = self._services.store.run(self._run.environment, self._run.id)
        if run.phase is not Phase.SENDING:
            raise ClaimLostError("The run is over.")
        if run.stopped:
            raise StoppedError(run.stopped)
        self._renew()
        self._asked = True

    def _renew(self) -> None:
        """Make sure that the claim outlasts the request. Raises ClaimLostError."""
        settings = self._services.settings
        # The time limit counts for each part of a request, so half of what the lease has beyond it is kept in hand.
        needed = (settings.dataverse_timeout_seconds + settings.lease_seconds) / 2
        for _ in range(2):  # writing the claim may take long, so it is looked at again
            lease = self._chunk.lease_until
            if lease is not None and lease - self._services.clock.now() >= timedelta(seconds=needed):
                return
            try:
                self._chunk = self._claim(self._chunk, begun=self._chunk.begun)
            except ConflictError as fault:
                raise ClaimLostError("Another worker has taken the chunk.") from fault
        raise ClaimLostError("The claim was written too late to send anything under it.")

    # -- outcomes --------------------------------------------------------------------------------------

    def _note(self, start: int, end: int, records: list[bytes], faults: list[RowFault]) -> None:
        """Write what became of the rows of a call before the chunk's row says that they have an outcome."""
        if noted := self._outcomes.note(start, records, faults):
            self._chunk = replace(self._chunk, noted=noted)
        _log.info("chunk.call", extra=self._names() | {"rows": end - start, "faults": len(faults)})

    def _conclude(self, failure: str) -> Later | None:
        if failure:
            fail(self._services, self._services.store.task(self._task.run, self._task.key), failure)
        self._services.store.conclude_chunk(replace(self._chunk, failure=failure))
        self._services.store.moved(self._run.id, self._task.key)
        _log.info("chunk.concluded", extra=self._names() | {"sent": self._chunk.sent, "failed": bool(failure)})
        if not self._services.store.open_chunks(self._task, up_to=self._run.stage, limit=1):
            lifecycle.advance(self._services, self._run.environment, self._run.id)
        return None

    def _again(self, seconds: float, fault: TransientError) -> Later:
        """Give the claim back and say when to come again; copies of the message that come earlier are put off."""
        at = self._services.clock.now() + timedelta(seconds=seconds)
        trouble = str(fault)[:_MOST_TROUBLE]
        _log.info("chunk.again", extra=self._names() | {"reason": trouble, "seconds": round(seconds)})
        self._services.store.save_chunk(replace(self._chunk, owner="", lease_until=at, trouble=trouble))
        return Later(at)

    def _names(self) -> dict[str, object]:
        return {"run": self._run.id, "task": self._task.key, "chunk": self._chunk.number}
