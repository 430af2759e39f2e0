"""Links to queues: attaching, handing out, taking in and settling messages."""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from typing import Any

from local.broker import management, message
from local.broker.codec import Described, Symbol, UByte, UInt, ULong
from local.broker.connection import ATTACH, DETACH, DISPOSITION, Connection, Link, Session
from local.broker.store import DEAD_LETTERS, BusError, Store

log = logging.getLogger(__name__)
ACCEPTED, REJECTED, RELEASED, MODIFIED = 0x24, 0x25, 0x26, 0x27
ERROR, SOURCE, TARGET = 0x1D, 0x28, 0x29
MESSAGE_FORMAT_BATCH = 0x80013700
RECEIVE_AND_DELETE = 1
CREDIT = 1000  # messages that a sender may have on the way
MOST_AT_ONCE = 500
LARGEST_MESSAGE = 256 * 1024  # Service Bus Standard
TICK_SECONDS = 0.1
TOKENS, MANAGEMENT = "$cbs", "/$management"


class Server:
    """All connections over one store. One flush per turn of the event loop: hand out, commit, only then answer."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ready: set[Connection] = set()
        self.receivers: dict[str, list[Link]] = {}
        self._awake = False

    def wake(self) -> None:
        """Flush once the present turn is over."""
        if not self._awake:
            self._awake = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Hand out what is new, make it durable, then let the answers go."""
        self._awake = False
        touched, self.store.touched = self.store.touched, set()
        for name in touched:
            self._hand_out(name)
        self.store.commit()
        ready, self.ready = self.ready, set()
        for connection in ready:
            if connection.outgoing:
                connection.transport.write(bytes(connection.outgoing))
                connection.outgoing.clear()
            if connection.closing:
                connection.transport.close()
        if self.store.touched:
            self.wake()

    async def keep_time(self) -> None:
        """Let locks lapse, schedules come due and messages expire, for ever."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.store.tick()
            self.flush()

    def on_attach(self, session: Session, fields: list[Any]) -> None:
        """Open a link, or refuse it with the reason that the SDK maps to its exception."""
        name, handle, peer_receives = fields[0], fields[1], bool(fields[2])
        terminus = fields[5] if peer_receives else fields[6]
        address = (terminus.value[0] if terminus and terminus.value else "") or ""
        path = re.sub(r"^amqps?://[^/]+/", "", address)
        link = Link(session, handle, name, peer_receives, path, fields)
        session.links[handle] = link
        try:
            self._bind(link)
        except BusError as error:
            self._refuse(link, error)
        else:
            self._accept(link)

    def forget(self, link: Link) -> None:
        """The link is gone; what it had locked stays locked until the locks lapse, as in the cloud."""
        link.session.links.pop(link.handle, None)
        if link.queue and link in self.receivers.get(link.queue.name, []):
            self.receivers[link.queue.name].remove(link)

    def on_flow(self, session: Session, fields: list[Any]) -> None:
        """The peer says what it can take."""
        session.next_incoming = fields[2]
        session.window = (fields[0] or 0) + fields[1] - session.next_outgoing
        link = session.links.get(fields[4]) if fields[4] is not None else None
        drain, echo = bool(fields[8]), bool(fields[9])
        if link and link.sends:
            link.credit = max(0, (fields[5] or 0) + (fields[6] or 0) - link.delivery_count)
            if link.queue and link.credit:
                self.store.touched.add(link.queue.name)
            if drain and link.queue:  # hand out what there is now, then give the credit back
                self._hand_out(link.queue.name)
                link.delivery_count += link.credit
                link.credit = 0
                session.flow(link)
                return
        if echo:
            session.flow(link)

    def on_transfer(self, session: Session, fields: list[Any], payload: bytes) -> None:
        """A frame of a message from the peer; the last one completes it."""
        session.next_incoming = (session.next_incoming + 1) & 0xFFFFFFFF
        link = session.links.get(fields[0])
        if link is None:
            return
        link.first = link.first or fields
        link.parts += payload
        if fields[5]:
            return
        raw, first = bytes(link.parts), link.first
        link.parts, link.first = bytearray(), None
        link.delivery_count += 1
        link.credit -= 1
        if link.credit < CREDIT // 2:
            link.credit = CREDIT
            session.flow(link)
        state = _outcome(ACCEPTED)
        try:
            self._take_in(link, raw, is_batch=first[3] == MESSAGE_FORMAT_BATCH)
        except BusError as error:
            state = _outcome(REJECTED, [_error(error)])
        if not first[4]:
            _dispose(session, first[1], state, as_receiver=True)

    def on_disposition(self, session: Session, fields: list[Any]) -> None:
        """The peer settles what it received; the same outcome comes back, or the reason why not."""
        if not fields[0]:
            return
        last = fields[1] if fields[2] is None else fields[2]
        for delivery in range(fields[1], last + 1):
            link, token = session.unsettled.pop(delivery, (None, b""))
            if link is None:
                continue
            try:
                echo = self._settle(token, fields[4])
            except BusError as error:
                echo = _outcome(REJECTED, [_error(error)])
            if not fields[3]:
                _dispose(session, delivery, echo, as_receiver=False)

    def _bind(self, link: Link) -> None:
        path = link.address
        if path == TOKENS:
            return
        if path.lower().endswith(MANAGEMENT):
            link.queue = self.store.queue(path[: -len(MANAGEMENT)])
            return
        link.queue = self.store.queue(path)
        if link.sends:
            link.deletes = link.attach[3] == RECEIVE_AND_DELETE
            self.receivers.setdefault(link.queue.name, []).append(link)
        elif path.lower().endswith(DEAD_LETTERS):
            raise BusError("amqp:not-allowed", "Cannot send to a dead-letter queue.")

    def _accept(self, link: Link) -> None:
        session, fields = link.session, link.attach
        source = fields[5].value[0] if fields[5] and fields[5].value else None
        target = fields[6].value[0] if fields[6] and fields[6].value else None
        properties = {Symbol("com.microsoft:tracking-id"): str(uuid.uuid4())}
        link.open = True
        session.send(
            ATTACH,
            *(link.name, UInt(link.handle), not fields[2]),
            *(UByte(2 if fields[3] is None else fields[3]), UByte(fields[4] or 0)),
            Described(ULong(SOURCE), [source, *[None] * 10]),
            Described(ULong(TARGET), [target, *[None] * 6]),
            *(None, None, UInt(0) if link.sends else None, ULong(LARGEST_MESSAGE), None, None, properties),
        )
        if not link.sends:
            link.credit = CREDIT
            session.flow(link)

    def _refuse(self, link: Link, error: BusError) -> None:
        """Attach with neither source nor target, then detach with the reason."""
        fields, session = link.attach, link.session
        modes = [UByte(fields[3] or 0), UByte(fields[4] or 0)]
        count = UInt(0) if link.sends else None
        session.send(ATTACH, link.name, UInt(link.handle), not fields[2], *modes, *[None] * 4, count, *[None] * 4)
        session.send(DETACH, UInt(link.handle), True, _error(error))  # noqa: FBT003 - fields stand by position
        self.forget(link)

    def _hand_out(self, name: str) -> None:
        links = self.receivers.get(name, [])
        for link in list(links):
            most = min(link.credit, link.session.window, MOST_AT_ONCE)
            if most <= 0 or link.queue is None or link.address.lower().endswith(MANAGEMENT):
                continue
            for token, encoded in self.store.take(link.queue, most, delete=link.deletes):
                delivery = link.session.transfer(link, token, encoded, settled=link.deletes)
                if not link.deletes:
                    link.session.unsettled[delivery] = (link, token)
            if link.credit:
                return  # nothing is left for the others
            links.append(links.pop(links.index(link)))  # take turns

    def _take_in(self, link: Link, raw: bytes, *, is_batch: bool) -> None:
        if link.address == TOKENS or link.address.lower().endswith(MANAGEMENT):
            others = link.session.links.values()
            back = next((other for other in others if other.sends and other.address == link.address), None)
            if back:
                encoded = management.answer(self.store, link.queue, raw)
                link.session.transfer(back, uuid.uuid4().bytes, encoded, settled=True)
        elif len(raw) > LARGEST_MESSAGE:
            text = f"The received message (size:{len(raw)}) exceeds the limit ({LARGEST_MESSAGE})."
            raise BusError("amqp:link:message-size-exceeded", text)
        elif link.queue:
            for encoded in message.batch(raw) if is_batch else [raw]:
                self.store.enqueue(link.queue, encoded)

    def _settle(self, token: bytes, state: Described | None) -> Described:
        code = state.code if state else ACCEPTED
        values = (state.value if state else []) + [None, None]
        if code == ACCEPTED:
            self.store.complete(token)
        elif code == RELEASED:
            self.store.abandon(token, counts=False)
        elif code == MODIFIED:
            if values[1]:
                raise BusError("amqp:not-implemented", "Deferral is not served by this broker.", 501)
            self.store.abandon(token, counts=bool(values[0]))
            return _outcome(MODIFIED, [bool(values[0]), False])
        elif code == REJECTED:
            info = (values[0].value + [None] * 3)[2] if values[0] else None
            info = info or {}
            self.store.dead_letter(token, info.get("DeadLetterReason"), info.get("DeadLetterErrorDescription"))
        return _outcome(code)


def _outcome(code: int, fields: list[Any] | None = None) -> Described:
    return Described(ULong(code), fields or [])


def _error(error: BusError) -> Described:
    return Described(ULong(ERROR), [Symbol(error.condition), error.text, {}])  # three fields: the SDK reads them all


def _dispose(session: Session, delivery: int, state: Described, *, as_receiver: bool) -> None:
    ids = [UInt(delivery), UInt(delivery)]
    session.send(DISPOSITION, as_receiver, *ids, True, state, False)  # noqa: FBT003 - fields stand by position
