"""Service protection for real: a client, HTTP, and a local Dataverse whose five minutes last 15 seconds.

The worlds are those of the simulation (tests/support/virtual_dataverse.py), made 20 times as fast: all times are
divided by 20, and so are the rows of a call, so that rows a second stay what they are and this machine can carry them
out. Only to the grace 50 ms are added: it covers the way of a request, and that takes here what it takes. And
Retry-After comes in tenths of a second: the app believes none that is shorter (shared/dataverse/errors.py).
"""

from __future__ import annotations

import functools
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.errors import HttpError

from bench import rows, servers
from bench.clients import API, Tokens
from bench.rows import CRM, KEY, TABLE
from shared.dataverse.bulk import UPSERT, Writer
from shared.dataverse.client import Client
from shared.dataverse.limiter import MOST_AT_ONCE, Limiter
from shared.dataverse.patience import Patience
from shared.dataverse.sizing import CALL_SECONDS, FIRST_ROWS, MOST_ROWS, Sizes, Sizing
from shared.errors import ThrottledError
from tests.support.virtual_dataverse import World

SCALE = 20
CALL_ROWS = MOST_ROWS // SCALE
WAY, STEP = 0.05, 0.1
NAIVE_AT_ONCE = 52
_seeds = itertools.count(1)


@dataclass(frozen=True)
class Outcome:
    """`share`: rows that were acknowledged, of those that the limits permit.

    `early`: requests of a user to whatever server while any server's Retry-After to that user was in force.
    """

    share: float
    rows: int
    requests: int
    refused: int
    early: int


@dataclass
class _Sender:
    """One thread's work, again and again until the time is over.

    `send` returns the rows that were acknowledged, and how many seconds to wait before the next call.
    """

    send: Callable[[], tuple[int, float]]
    rows: int = 0

    def work(self, until: float) -> None:
        while time.monotonic() < until:
            rows, pause = self.send()
            left = until - time.monotonic()
            self.rows += rows if left >= 0 else 0
            time.sleep(max(0.0, min(pause, left)))


def measure(world: World, kind: str, *, users: int = 1, seconds: float | None = None) -> Outcome:
    """Ten minutes of a world, in half a minute. `kind` is one of KINDS."""
    lasts = seconds or world.lasts / SCALE
    with servers.dataverse(*_options(world)) as server, ExitStack() as stack:
        server.define(rows.definition(columns=False))
        senders: list[_Sender] = []
        for number in range(users):
            token = server.token(f"user {number}")
            senders += stack.enter_context(KINDS[kind](server.url, token, world, users))
        server.laboratory("statistics/reset", {})
        _together(senders, time.monotonic() + lasts)
        seen = server.laboratory("statistics")["users"].values()
    written = sum(sender.rows for sender in senders)
    permitted = users * world.permitted / SCALE * (lasts * SCALE / world.lasts)
    requests, refused, early = (sum(user[name] for user in seen) for name in ("requests", "refused", "early"))
    return Outcome(written / permitted, written, requests, refused, early)


def _options(world: World) -> list[str]:
    limits = {
        "window": world.limits.window / SCALE,
        "requests": world.limits.requests,
        "execution": (world.limits.execution or 0.0) / SCALE,
        "concurrent": world.limits.concurrent,
        "grace": world.limits.grace / SCALE + WAY,
        "longest": world.limits.longest / SCALE,
        "resolution": STEP,
    }
    costs = {
        "request": world.costs.request / SCALE,
        "row": world.costs.row,  # stays: there are fewer of them in a call
        "cores": world.costs.cores,
        "jitter": world.costs.jitter,
    }
    return [
        *(f"--limit={name}={value}" for name, value in limits.items()),
        *(f"--cost={name}={value}" for name, value in costs.items()),
        f"--latency={1000 * world.latency / SCALE}",
        f"--servers={world.servers}",
        f"--dop-hint={world.hint}",
    ]


def _together(senders: Sequence[_Sender], until: float) -> None:
    with ThreadPoolExecutor(len(senders)) as pool:
        for done in [pool.submit(sender.work, until) for sender in senders]:
            done.result()


# -- who sends -----------------------------------------------------------------------------------------------------


class _ScaledSizes(Sizes):
    """The app's sizing, with fewer rows in less time."""

    @functools.cached_property
    def _only(self) -> Sizing:
        return Sizing(FIRST_ROWS // SCALE, most=CALL_ROWS, seconds=CALL_SECONDS / SCALE)

    def bulk(self, table: str, action: str) -> Sizing:  # noqa: ARG002 - one table, one action
        return self._only


@contextmanager
def _ours(url: str, token: str, world: World, users: int) -> Iterator[list[_Sender]]:
    """The app's sender, with as many threads as it may ever have under way; which of them send, its limiter decides."""
    limiter = Limiter(users=users, wait_seconds=20.0 / SCALE, window=world.limits.window / SCALE)
    patience = Patience(seconds=30.0 / SCALE, first=0.5 / SCALE, longest=10.0 / SCALE)
    with Client(url, tokens=Tokens(token), limiter=limiter, patience=patience) as client:
        client.who_am_i()
        sizes = _ScaledSizes()
        writer = Writer(client, TABLE, sizes, before=lambda: None)
        yield [_Sender(_ours_sends(writer, sizes)) for _ in range(MOST_AT_ONCE)]


def _ours_sends(writer: Writer, sizes: Sizes) -> Callable[[], tuple[int, float]]:
    records = [row.record for row in _rows()]

    def send() -> tuple[int, float]:
        count = sizes.bulk(TABLE.set_name, UPSERT).rows()
        try:
            faults = writer.upsert(records[:count], key=KEY)
        except ThrottledError as told:  # the app gives its chunk back to the queue, to come again then
            return 0, told.retry_after
        assert not faults, faults[0]
        return count, 0.0

    return send


@contextmanager
def _naive(url: str, token: str, _: World, __: int) -> Iterator[list[_Sender]]:
    """52 threads; what was refused is sent again at once."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with ExitStack() as stack:
        clients = [stack.enter_context(httpx.Client(timeout=60, headers=headers)) for _ in range(NAIVE_AT_ONCE)]
        yield [_Sender(_naive_sends(http, url)) for http in clients]


def _naive_sends(http: httpx.Client, url: str) -> Callable[[], tuple[int, float]]:
    body = b'{"Targets":[' + b",".join(row.record for row in _rows()) + b"]}"
    address = f"{url}{API}{TABLE.set_name}/{CRM}UpsertMultiple"

    def send() -> tuple[int, float]:
        answer = http.post(address, content=body)
        assert answer.is_success or answer.status_code == 429, answer.text
        return (CALL_ROWS if answer.is_success else 0), 0.0

    return send


@contextmanager
def _sdk(url: str, token: str, world: World, _: int) -> Iterator[list[_Sender]]:
    """Microsoft's SDK in as many threads as the hint says; each waits for the Retry-After that it was told itself."""
    with ExitStack() as stack:
        width = min(NAIVE_AT_ONCE, world.hint)
        clients = [stack.enter_context(DataverseClient(url, Tokens(token))) for _ in range(width)]
        yield [_Sender(_sdk_sends(client)) for client in clients]


def _sdk_sends(client: DataverseClient) -> Callable[[], tuple[int, float]]:
    values = [{"new_name": row.values["new_name"]} for row in _rows()]
    told = [0.0]

    def note(answer: Any, *_: Any, **__: Any) -> None:
        told[0] = float(answer.headers.get("Retry-After", 0.0))

    # The SDK reads whole seconds only; scaled ones are fractions.
    client._session.hooks["response"].append(note)  # type: ignore[union-attr]  # noqa: SLF001

    def send() -> tuple[int, float]:
        try:
            client.records.create(TABLE.logical_name, values)
        except HttpError as error:
            if error.status_code != 429:
                raise
            return 0, told[0]
        return CALL_ROWS, 0.0

    return send


def _rows() -> list[rows.Row]:
    """New rows of a name only: what the local Dataverse does with columns is not what is measured here."""
    found = rows.rows(CALL_ROWS, seed=next(_seeds))
    named = [{KEY: row.id, "new_name": row.values["new_name"]} for row in found]
    typed = [{"@odata.type": CRM + TABLE.logical_name, **values} for values in named]
    return [rows.Row(row[KEY], json.dumps(row).encode(), row) for row in typed]


KINDS = {"ours": _ours, "naive": _naive, "sdk": _sdk}
