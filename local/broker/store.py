"""Queue semantics over SQLite: locks, delivery counts, dead letters, time to live, schedules, duplicate detection.

Not thread-safe: the event loop of the server is its one user. Times are milliseconds since 1970, UTC.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from local.broker import message

DEAD_LETTERS = "/$deadletterqueue"
ACTIVE, SCHEDULED = 0, 2  # the numbers of Service Bus
NEVER = 1 << 62
MAX_DELIVERIES = 10
SCHEMA = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=NORMAL;
CREATE TABLE IF NOT EXISTS message(
  sequence INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, state INT NOT NULL,
  locked_until INT NOT NULL DEFAULT 0, lock_token BLOB, deliveries INT NOT NULL DEFAULT 0,
  enqueued INT NOT NULL, due INT NOT NULL, expires INT NOT NULL, ttl INT, annotations BLOB, tail BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS ready ON message(queue, state, locked_until, sequence);
CREATE INDEX IF NOT EXISTS token ON message(lock_token) WHERE lock_token IS NOT NULL;
CREATE INDEX IF NOT EXISTS lapsing ON message(locked_until) WHERE locked_until > 0;
CREATE INDEX IF NOT EXISTS scheduled ON message(due) WHERE state = 2;
CREATE INDEX IF NOT EXISTS expiring ON message(expires) WHERE expires < 4611686018427387904;
CREATE TABLE IF NOT EXISTS seen(queue TEXT, id TEXT, at INT, PRIMARY KEY(queue, id)) WITHOUT ROWID;
"""


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class BusError(Exception):
    """A refusal: the AMQP condition, the text and the status of a management answer."""

    def __init__(self, condition: str, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.condition, self.text, self.status = condition, text, status


@dataclass(frozen=True)
class Queue:
    """A queue's settings; durations in milliseconds. `duplicates_ms` 0: no duplicate detection."""

    name: str
    lock_ms: int = 60_000
    max_deliveries: int = MAX_DELIVERIES
    ttl_ms: int = NEVER
    dead_letter_expired: bool = False
    duplicates_ms: int = 0


class Store:
    """Messages of all queues in one SQLite file. Writes are grouped until `commit`."""

    def __init__(self, path: str, queues: Iterable[Queue]) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.executescript(SCHEMA)
        self.queues = {queue.name.lower(): queue for queue in queues}
        self.touched: set[str] = set()  # queues that may have something new to hand out
        for (name,) in self.db.execute("SELECT DISTINCT queue FROM message").fetchall():
            base = name.removesuffix(DEAD_LETTERS)  # what the file holds stays reachable, named this time or not
            self.queues.setdefault(base, Queue(base))
        self._writing = False

    def commit(self) -> None:
        """End the group of writes: only then may answers leave."""
        if self._writing:
            self.db.execute("COMMIT")
            self._writing = False

    def queue(self, path: str) -> Queue:
        """The queue, or the dead letters of a queue, behind an address. BusError: no such queue."""
        name = path.lower()
        found = self.queues.get(name.removesuffix(DEAD_LETTERS))
        if found is None:
            raise BusError("amqp:not-found", f"The messaging entity '{path}' could not be found.", 404)
        if name.endswith(DEAD_LETTERS):
            return Queue(found.name.lower() + DEAD_LETTERS, found.lock_ms, NEVER)
        return found

    def enqueue(self, queue: Queue, raw: bytes) -> int:
        """Keep a message; its sequence number, or 0 where it is a duplicate. BusError: not a message."""
        try:
            sent = message.read(raw)
        except (ValueError, IndexError) as error:
            raise BusError("amqp:decode-error", str(error)) from error
        now = now_ms()
        if queue.duplicates_ms and sent.message_id is not None and self._seen(queue, sent.message_id, now):
            return 0
        life = min(NEVER if sent.ttl_ms is None else sent.ttl_ms, queue.ttl_ms)
        enqueued = max(now, sent.scheduled_ms)
        self.touched.add(queue.name)
        state = SCHEDULED if sent.scheduled_ms > now else ACTIVE
        cursor = self._write(
            "INSERT INTO message(queue,state,enqueued,due,expires,ttl,annotations,tail) VALUES(?,?,?,?,?,?,?,?)",
            *(queue.name, state, enqueued, sent.scheduled_ms, min(NEVER, enqueued + life)),
            *(None if life == NEVER else life, sent.annotations, sent.tail),
        )
        return cursor.lastrowid or 0

    def take(self, queue: Queue, most: int, *, delete: bool) -> list[tuple[bytes, bytes]]:
        """Lock (or delete) up to `most` ready messages: (lock token, encoded message), oldest first."""
        now = now_ms()
        until = 0 if delete else now + queue.lock_ms
        rows = self._write(
            "SELECT sequence,enqueued,ttl,deliveries,annotations,tail FROM message"
            " WHERE queue=? AND state=0 AND locked_until=0 AND expires>? ORDER BY sequence LIMIT ?",
            *(queue.name, now, most),
        ).fetchall()
        taken = []
        for sequence, enqueued, ttl, deliveries, noted, tail in rows:
            token = uuid.uuid4().bytes
            if delete:
                self._write("DELETE FROM message WHERE sequence=?", sequence)
            else:
                self._write("UPDATE message SET locked_until=?, lock_token=? WHERE sequence=?", until, token, sequence)
            stored = message.Incoming(tail, noted, None, ttl, 0)
            rendered = message.deliver(
                stored, sequence=sequence, enqueued_ms=enqueued, locked_until_ms=until, deliveries=deliveries
            )
            taken.append((token, rendered))
        return taken

    def complete(self, token: bytes) -> None:
        """The message is done. BusError: the lock was lost."""
        self._write("DELETE FROM message WHERE sequence=?", self._locked(token)[0])

    def abandon(self, token: bytes, *, counts: bool = True) -> None:
        """Give the message back; `counts`: as a failed try. BusError: the lock was lost."""
        sequence, queue, deliveries = self._locked(token)
        self._release(sequence, queue, deliveries + counts)

    def dead_letter(self, token: bytes, reason: str | None, description: str | None) -> None:
        """Move the message to the dead letters. BusError: the lock was lost, or it is a dead letter already."""
        sequence, queue, _ = self._locked(token)
        if queue.endswith(DEAD_LETTERS):
            raise BusError("amqp:not-allowed", "A dead-lettered message cannot be dead-lettered again.")
        self._bury(sequence, queue, reason, description)

    def renew(self, queue: Queue, tokens: list[bytes]) -> list[int]:
        """Lock for another full period; when each lock ends now. BusError: a lock was lost."""
        now = now_ms()
        until = now + queue.lock_ms
        for token in tokens:
            renewed = self._write(
                "UPDATE message SET locked_until=? WHERE lock_token=? AND locked_until>?", until, token, now
            )
            if not renewed.rowcount:
                raise _lock_lost()
        return [until] * len(tokens)

    def cancel(self, queue: Queue, sequences: list[int]) -> None:
        """Drop scheduled messages. BusError: one is not there, or no longer waits."""
        for sequence in sequences:
            dropped = self._write(
                "DELETE FROM message WHERE sequence=? AND queue=? AND state=2", sequence, queue.name
            ).rowcount
            if not dropped:
                text = f"The scheduled message {sequence} was not found."
                raise BusError("com.microsoft:message-not-found", text, 404)

    def tick(self) -> None:
        """Everything that time does: lapsed locks, due schedules, expired messages, forgotten duplicates."""
        now = now_ms()
        lapsed = "SELECT sequence,queue,deliveries FROM message WHERE locked_until>0 AND locked_until<=?"
        for sequence, queue, deliveries in self._write(lapsed, now).fetchall():
            self._release(sequence, queue, deliveries + 1)
        for (queue,) in self._write("SELECT DISTINCT queue FROM message WHERE state=2 AND due<=?", now).fetchall():
            self._write("UPDATE message SET state=0 WHERE queue=? AND state=2 AND due<=?", queue, now)
            self.touched.add(queue)
        expired = "SELECT sequence,queue FROM message WHERE expires<? AND expires<=? AND locked_until=0"
        for sequence, queue in self._write(expired, NEVER, now).fetchall():
            if self.queue(queue).dead_letter_expired:
                self._bury(sequence, queue, "TTLExpiredException", "The message expired and was dead lettered.")
            else:
                self._write("DELETE FROM message WHERE sequence=?", sequence)
        for known in self.queues.values():
            if known.duplicates_ms:
                self._write("DELETE FROM seen WHERE queue=? AND at<=?", known.name, now - known.duplicates_ms)

    def _write(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if not self._writing:
            self.db.execute("BEGIN IMMEDIATE")
            self._writing = True
        return self.db.execute(sql, values)

    def _seen(self, queue: Queue, message_id: str, now: int) -> bool:
        row = self._write("SELECT at FROM seen WHERE queue=? AND id=?", queue.name, message_id).fetchone()
        if row and row[0] > now - queue.duplicates_ms:
            return True
        self._write("INSERT OR REPLACE INTO seen VALUES(?,?,?)", queue.name, message_id, now)
        return False

    def _locked(self, token: bytes) -> tuple[int, str, int]:
        row = self._write(
            "SELECT sequence,queue,deliveries FROM message WHERE lock_token=? AND locked_until>?", token, now_ms()
        ).fetchone()
        if row is None:
            raise _lock_lost()
        return row[0], row[1], row[2]

    def _release(self, sequence: int, queue: str, deliveries: int) -> None:
        """Ready again, or dead after the last try."""
        self._write(
            "UPDATE message SET deliveries=?, locked_until=0, lock_token=NULL WHERE sequence=?", deliveries, sequence
        )
        self.touched.add(queue)
        if deliveries >= self.queue(queue).max_deliveries:
            text = f"Message could not be consumed after {deliveries} delivery attempts."
            self._bury(sequence, queue, "MaxDeliveryCountExceeded", text)

    def _bury(self, sequence: int, queue: str, reason: str | None, description: str | None) -> None:
        (tail,) = self._write("SELECT tail FROM message WHERE sequence=?", sequence).fetchone()
        why = {"DeadLetterReason": reason, "DeadLetterErrorDescription": description}
        tail = message.with_application_properties(tail, {name: text for name, text in why.items() if text})
        self._write(
            "UPDATE message SET queue=?, state=0, locked_until=0, lock_token=NULL, expires=?, tail=? WHERE sequence=?",
            *(queue + DEAD_LETTERS, NEVER, tail, sequence),
        )
        self.touched.add(queue + DEAD_LETTERS)


def _lock_lost() -> BusError:
    text = "The lock supplied is invalid. Either the lock expired, or the message has already been removed."
    return BusError("com.microsoft:message-lock-lost", text, 410)
