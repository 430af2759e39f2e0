"""HTTP/1.1 on asyncio streams: keep-alive, Content-Length and chunked bodies, one request at a time a connection.

All work is done by the event loop's thread: SQLite is the one thing that is shared, and threads would only wait for
Python's lock between its statements. A simulated delay does not hold up other connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from local.dataverse import limits

HEADER_BYTES = 256 * 1024
BUFFER_BYTES = 4 * 1024 * 1024


@dataclass(slots=True)
class Request:
    """One request. Header names are in lower case; `target` is the path with its query as sent."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        """The part before the question mark."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The part behind the question mark."""
        return self.target.partition("?")[2]


@dataclass(slots=True)
class Response:
    """One answer. `stream`, if any, is sent chunked in place of `body`; `reset` breaks the connection instead.

    Of one that is `truncated` only the first half is sent, with the length of the whole; then the connection breaks.
    """

    status: int
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)
    content_type: str = ""
    stream: Iterable[bytes] | None = None
    reset: bool = False
    truncated: bool = False


Handler = Callable[[Request], Awaitable[Response]]


class UnreadableError(Exception):
    """The bytes are not a request that this server reads. `status` answers them; the connection is closed."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


async def serve_connection(handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer requests of one connection until it ends."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
        try:
            while await _exchange(handler, reader, writer):
                pass
        except UnreadableError as error:
            writer.write(_head(Response(error.status), 0, keep=False))
            await writer.drain()
    writer.close()


async def _exchange(handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Answer one request. Return whether the connection stays open."""
    request = await _read_request(reader, writer)
    if request is None:
        return False
    response = await handler(request)
    if response.reset:
        writer.transport.abort()
        return False
    keep = request.headers.get("connection", "").lower() != "close"
    if response.stream is not None:
        await _send_stream(writer, response, keep=keep)
        return keep
    head = _head(response, len(response.body), keep=keep)
    if response.truncated:
        await _send_half(writer, head, response.body)
        return False
    writer.write(head if request.method == "HEAD" else head + response.body)
    await writer.drain()
    return keep


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError:
        raise UnreadableError(431, "headers too large") from None
    if len(head) > HEADER_BYTES:
        raise UnreadableError(431, "headers too large")
    lines = head[:-4].decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise UnreadableError(400, "not a request line")
    request = Request(words[0].upper(), words[1], _headers(lines[1:]))
    if request.headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.body = await _read_body(reader, request.headers)
    return request


def _headers(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise UnreadableError(400, "not a header")
        name, value = name.lower(), value.strip()
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = await _read_chunks(reader)
    else:
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            raise UnreadableError(400, "not a length")
        body = await reader.readexactly(int(length)) if length != "0" else b""
    if headers.get("content-encoding", "") == "gzip":
        try:
            return gzip.decompress(body)
        except (OSError, EOFError):
            raise UnreadableError(400, "not gzip") from None
    return body


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    while True:
        size_line = (await reader.readuntil(b"\r\n")).split(b";")[0].strip()
        try:
            size = int(size_line, 16)
        except ValueError:
            raise UnreadableError(400, "not a chunk") from None
        if size == 0:
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass
            return b"".join(parts)
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)


async def _send_stream(writer: asyncio.StreamWriter, response: Response, *, keep: bool) -> None:
    writer.write(_head(response, None, keep=keep))
    for part in response.stream or ():
        if part:
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _send_half(writer: asyncio.StreamWriter, head: bytes, body: bytes) -> None:
    """Send an answer up to the middle of its body; one without a body up to the middle of its head."""
    writer.write(head + body[: len(body) // 2] if body else head[: len(head) // 2])
    await writer.drain()


def _head(response: Response, length: int | None, *, keep: bool) -> bytes:
    try:
        phrase = http.HTTPStatus(response.status).phrase
    except ValueError:
        phrase = ""
    lines = [f"HTTP/1.1 {response.status} {phrase}"]
    if response.content_type:
        lines.append(f"Content-Type: {response.content_type}")
    if length is None:
        lines.append("Transfer-Encoding: chunked")
    elif response.status not in (204, 304):
        lines.append(f"Content-Length: {length}")
    lines += [f"{name}: {value}" for name, value in response.headers]
    lines.append("Connection: keep-alive" if keep else "Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def too_large(request: Request) -> bool:
    """Say whether a body is larger than Dataverse takes."""
    return len(request.body) > limits.MAX_BODY_BYTES
