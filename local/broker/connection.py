"""One AMQP connection: frames in and out, its sessions and their links (OASIS AMQP 1.0, parts 2 and 5)."""

from __future__ import annotations

import asyncio
import logging
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local.broker import codec
from local.broker.codec import Described, Symbol, UByte, UInt, ULong
from local.broker.store import Queue

if TYPE_CHECKING:
    from local.broker.server import Server

log = logging.getLogger(__name__)
OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE = range(0x10, 0x19)
SASL_MECHANISMS, SASL_OUTCOME = 0x40, 0x44
AMQP_FRAME, SASL_FRAME = 0, 1
LARGEST_FRAME, WINDOW = 65536, 0x7FFFFFFF


@dataclass(eq=False)
class Link:
    """One direction of messages. `sends`: from the broker to the peer; `delivery_count` as AMQP counts it."""

    session: Session
    handle: int
    name: str
    sends: bool
    address: str
    attach: list[Any]
    queue: Queue | None = None
    credit: int = 0
    delivery_count: int = 0
    deletes: bool = False
    open: bool = False
    parts: bytearray = field(default_factory=bytearray)
    first: list[Any] | None = None


class Session:
    """Links of one channel with the counters of AMQP's flow control."""

    def __init__(self, connection: Connection, channel: int, begin: list[Any]) -> None:
        self.connection, self.channel = connection, channel
        self.links: dict[int, Link] = {}
        self.next_incoming, self.window = begin[1], begin[2]
        self.next_outgoing = 0  # counts frames
        self.next_delivery = 0  # counts messages
        self.unsettled: dict[int, tuple[Link, bytes]] = {}

    def send(self, code: int, *fields: Any, payload: bytes = b"") -> None:
        """One performative, with what follows it in its frame."""
        self.connection.frame(self.channel, codec.encode(Described(ULong(code), list(fields))) + payload)

    def flow(self, link: Link | None = None) -> None:
        """Say what the session, and a link of it, can take."""
        state: list[Any] = [UInt(self.next_incoming), UInt(WINDOW), UInt(self.next_outgoing), UInt(WINDOW)]
        if link:
            counts = [UInt(link.handle), UInt(link.delivery_count), UInt(link.credit), UInt(0)]
            self.send(FLOW, *state, *counts, False, False, None)  # noqa: FBT003 - fields stand by position
        else:
            self.send(FLOW, *state, *[None] * 7)

    def transfer(self, link: Link, tag: bytes, message: bytes, *, settled: bool) -> int:
        """Send a message in as many frames as it takes; its delivery id."""
        delivery, limit = self.next_delivery, self.connection.peer_frame - 64
        self.next_delivery = (delivery + 1) & 0xFFFFFFFF
        for at in range(0, len(message), limit):
            more = at + limit < len(message)
            head = [UInt(link.handle), UInt(delivery), tag, UInt(0), settled, more, None, None, False, False, False]
            self.send(TRANSFER, *head, payload=message[at : at + limit])
            self.next_outgoing = (self.next_outgoing + 1) & 0xFFFFFFFF
            self.window -= 1
        link.credit -= 1
        link.delivery_count += 1
        return delivery


class Connection(asyncio.Protocol):
    """Bytes of one peer; everything that has a meaning for queues goes to the server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.incoming, self.outgoing = bytearray(), bytearray()
        self.peer_frame = 512
        self.closing = False
        self.sessions: dict[int, Session] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: the peer speaks first."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP server makes no other
        self.transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        """Forget the links; message locks stay until they lapse, as in the cloud."""
        for session in self.sessions.values():
            self._forget(session)
        self.server.wake()

    def frame(self, channel: int, body: bytes, kind: int = AMQP_FRAME) -> None:
        """Put a frame into the next flush."""
        self.outgoing += struct.pack(">IBBH", len(body) + 8, 2, kind, channel) + body
        self.server.ready.add(self)

    def data_received(self, data: bytes) -> None:
        """Take every whole frame that is there."""
        self.incoming += data
        try:
            while size := self._size():
                whole = bytes(self.incoming[:size])
                del self.incoming[:size]
                self._take(whole)
        except (ValueError, IndexError, KeyError, AttributeError, TypeError, struct.error):
            log.exception("the peer broke the protocol")
            self.transport.close()
        self.server.wake()

    def _size(self) -> int:
        """Length of the first frame (or protocol header), 0 while it is not whole."""
        if len(self.incoming) < 8:
            return 0
        size = 8 if self.incoming[:4] == b"AMQP" else int(struct.unpack_from(">I", self.incoming)[0])
        if size < 8:
            raise ValueError(f"a frame of {size} bytes")
        return size if size <= len(self.incoming) else 0

    def _take(self, whole: bytes) -> None:
        if whole[:4] == b"AMQP":
            self.outgoing += whole
            self.server.ready.add(self)
            if whole[4] == 3:
                mechanisms = Described(ULong(SASL_MECHANISMS), [Symbol("ANONYMOUS")])
                self.frame(0, codec.encode(mechanisms), SASL_FRAME)
            return
        if len(whole) == 8:  # a heartbeat
            return
        body = whole[4 * whole[4] :]
        if whole[5] == SASL_FRAME:  # nobody is refused: the broker listens on loopback only
            self.frame(0, codec.encode(Described(ULong(SASL_OUTCOME), [UByte(0)])), SASL_FRAME)
            return
        performative, end = codec.decode(body)
        fields = performative.value + [None] * (14 - len(performative.value))
        self._handle(struct.unpack_from(">H", whole, 6)[0], performative.code, fields, body[end:])

    def _handle(self, channel: int, code: int, fields: list[Any], payload: bytes) -> None:
        if code == OPEN:
            self.peer_frame = min(fields[2] or LARGEST_FRAME, LARGEST_FRAME)
            answer = ["broker", None, UInt(LARGEST_FRAME), UInt(255), *[None] * 6]
            self.frame(0, codec.encode(Described(ULong(OPEN), answer)))
        elif code == CLOSE:
            self.frame(0, codec.encode(Described(ULong(CLOSE), [None])))
            self.closing = True
        elif code == BEGIN:
            session = self.sessions[channel] = Session(self, channel, fields)
            session.send(BEGIN, UInt(channel), UInt(0), UInt(WINDOW), UInt(WINDOW), UInt(255), None, None, None)
        elif channel in self.sessions:
            self._handle_in(self.sessions[channel], code, fields, payload)

    def _handle_in(self, session: Session, code: int, fields: list[Any], payload: bytes) -> None:
        if code == END:
            self._forget(session)
            del self.sessions[session.channel]
            session.send(END, None)
        elif code == ATTACH:
            self.server.on_attach(session, fields)
        elif code == FLOW:
            self.server.on_flow(session, fields)
        elif code == TRANSFER:
            self.server.on_transfer(session, fields, payload)
        elif code == DISPOSITION:
            self.server.on_disposition(session, fields)
        elif code == DETACH and fields[0] in session.links:
            link = session.links[fields[0]]
            self.server.forget(link)
            if link.open:
                session.send(DETACH, UInt(link.handle), True, None)  # noqa: FBT003 - fields stand by position

    def _forget(self, session: Session) -> None:
        for link in list(session.links.values()):
            self.server.forget(link)
