"""The contenders. Each sends the same rows to the same server, the best way that its interface offers.

What a contender is given for a call lies in memory beforehand, in the form that its interface takes, and nobody's time
is spent on it: records as a chunk file holds them for the app's sender, dictionaries for Microsoft's SDK and for the
PATCH a row, the whole request's bytes for raw sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from azure.core.credentials import AccessToken
from PowerPlatform.Dataverse.client import DataverseClient

from bench.measure import Sample, timed
from bench.rows import CRM, KEY, TABLE, Row
from shared.dataverse.bulk import Writer
from shared.dataverse.client import Client
from shared.dataverse.limiter import Limiter
from shared.dataverse.sizing import Sizes

API = "/api/data/v9.2/"
Call = Callable[[Any], None]


@dataclass(frozen=True)
class Target:
    """Where to send, and as whom."""

    url: str
    token: str


@dataclass(frozen=True)
class Contender:
    """`given`: what a call is given for rows. `open`: as many callers as there are threads, each called by one."""

    given: Callable[[Target, Sequence[Row]], Any]
    open: Callable[[Target, int], AbstractContextManager[list[Call]]]


def send(
    contender: Contender, target: Target, calls: Sequence[Sequence[Row]], width: int, *, times: int, warm: Sequence[Row]
) -> Sample:
    """Send all calls so many times by `width` threads. A first call of `warm` is not measured: it connects."""
    given = [contender.given(target, rows) for rows in calls]
    with contender.open(target, width) as callers:
        for number, call in enumerate(callers):
            call(contender.given(target, warm[number :: len(callers)]))  # rows that no other caller creates
        waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for one in given * times:
            waiting.put(one)
        with ThreadPoolExecutor(width) as pool, timed(_sample(calls, times)) as sample:
            for done in [pool.submit(_work, call, waiting) for call in callers]:
                done.result()
    return sample


def _sample(calls: Sequence[Sequence[Row]], times: int) -> Sample:
    return Sample(rows=times * sum(map(len, calls)), requests=times * len(calls))


def _work(call: Call, waiting: queue.SimpleQueue[Any]) -> None:
    with contextlib.suppress(queue.Empty):
        while True:
            call(waiting.get_nowait())


# -- the app's sender ----------------------------------------------------------------------------------------------


@contextmanager
def _open_ours(target: Target, width: int) -> Iterator[list[Call]]:
    """One client with one limiter for all threads, as in the app."""
    with Client(target.url, tokens=Tokens(target.token), limiter=Limiter(width)) as client:
        writer = Writer(client, TABLE, Sizes(), before=lambda: None)

        def call(records: Sequence[bytes]) -> None:
            faults = writer.upsert(records, key=KEY)
            assert not faults, faults[0]

        yield [call] * width


OURS = Contender(lambda _, rows: [row.record for row in rows], _open_ours)


# -- Microsoft's SDK -----------------------------------------------------------------------------------------------


class Tokens:
    """One token for every client: as the app's TokenSource, and as a credential of azure-core."""

    def __init__(self, token: str) -> None:
        self.value = token

    def token(self, _: str) -> str:
        """For the app's client."""
        return self.value

    def renew(self, _: str, rejected: str | None = None) -> str:
        """No token ends while a benchmark runs."""
        raise AssertionError(rejected)

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        """For Microsoft's SDK."""
        return AccessToken(self.value, 2**31)


@contextmanager
def _open_sdk(target: Target, width: int) -> Iterator[list[Call]]:
    """A client with a session for each thread: sessions of requests are not made to be shared."""
    with ExitStack() as stack:
        yield [_sdk(stack.enter_context(DataverseClient(target.url, Tokens(target.token)))) for _ in range(width)]


def _sdk(client: DataverseClient) -> Call:
    # CreateMultiple takes the primary key with the row. The SDK's upsert needs an alternate key and is no faster.
    def call(values: list[dict[str, Any]]) -> None:
        assert len(client.records.create(TABLE.logical_name, values)) == len(values)

    return call


SDK = Contender(lambda _, rows: [row.values for row in rows], _open_sdk)


class _AsyncTokens:
    """The token as an async credential."""

    def __init__(self, token: str) -> None:
        self.value = token

    async def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken(self.value, 2**31)

    async def close(self) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


def send_async(target: Target, calls: Sequence[Sequence[Row]], width: int, *, warm: Sequence[Row]) -> Sample:
    """As `send`, by Microsoft's async client: `width` tasks of one event loop."""
    return asyncio.run(_send_async(target, [SDK.given(target, rows) for rows in (warm, *calls)], width))


async def _send_async(target: Target, given: list[list[dict[str, Any]]], width: int) -> Sample:
    from PowerPlatform.Dataverse.aio.async_client import AsyncDataverseClient  # noqa: PLC0415 (see servers._tls)

    async with AsyncDataverseClient(target.url, _AsyncTokens(target.token)) as client:

        async def call(values: list[dict[str, Any]]) -> None:
            assert len(await client.records.create(TABLE.logical_name, values)) == len(values)

        async def work() -> None:
            for values in waiting:
                await call(values)

        waiting = iter(given)
        await call(next(waiting))
        with timed(Sample(rows=sum(map(len, given[1:])), requests=len(given) - 1)) as sample:
            await asyncio.gather(*(work() for _ in range(width)))
    return sample


# -- a PATCH a row -------------------------------------------------------------------------------------------------


@contextmanager
def _open_patches(target: Target, width: int) -> Iterator[list[Call]]:
    """A client of httpx with one connection for each thread."""
    headers = {"Authorization": f"Bearer {target.token}", "Content-Type": "application/json"}
    with ExitStack() as stack:
        yield [_patch(stack.enter_context(httpx.Client(timeout=60, headers=headers))) for _ in range(width)]


def _patch(http: httpx.Client) -> Call:
    def call(bodies: Sequence[tuple[str, dict[str, Any]]]) -> None:
        for address, body in bodies:
            http.patch(address, json=body).raise_for_status()

    return call


def _bodies(target: Target, rows: Sequence[Row]) -> list[tuple[str, dict[str, Any]]]:
    address = f"{target.url}{API}{TABLE.set_name}"
    return [(f"{address}({row.id})", {k: v for k, v in row.values.items() if k != KEY}) for row in rows]


PATCHES = Contender(_bodies, _open_patches)


# -- the ceiling ---------------------------------------------------------------------------------------------------


@contextmanager
def _open_raw(target: Target, width: int) -> Iterator[list[Call]]:
    """Nothing but sockets, and the bytes of an UpsertMultiple."""
    with ExitStack() as stack:
        yield [_raw(stack.enter_context(_connected(target))) for _ in range(width)]


def _raw(connection: socket.socket) -> Call:
    def call(request: bytes) -> None:
        connection.sendall(request)
        answer = connection.recv(65536)
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 204"), answer[:500]

    return call


@contextmanager
def _connected(target: Target) -> Iterator[socket.socket]:
    address = urlsplit(target.url)
    with socket.create_connection((address.hostname or "", address.port or 443)) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with ssl.create_default_context().wrap_socket(plain, server_hostname=address.hostname) as connection:
            yield connection


def _request(target: Target, rows: Sequence[Row]) -> bytes:
    body = b'{"Targets":[' + b",".join(row.record for row in rows) + b"]}"
    head = (
        f"POST {API}{TABLE.set_name}/{CRM}UpsertMultiple HTTP/1.1\r\nHost: {urlsplit(target.url).netloc}\r\n"
        f"Authorization: Bearer {target.token}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


RAW = Contender(_request, _open_raw)
