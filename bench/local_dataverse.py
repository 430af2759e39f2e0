"""How many rows a second the local Dataverse takes (instant profile), and how much of its time is SQLite's.

`python bench/local_dataverse.py [--quick]`. Rows of 30 columns, a lookup among them, whose bodies are made beforehand
and sent by raw sockets over http, so that only the server is measured. The share of SQLite is taken in a round of its
own, with every call into sqlite3 timed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import random
import signal
import socket
import statistics
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import servers, timed_server
from bench.measure import Result, main, say
from bench.rows import CRM, column, label, table

API = "/api/data/v9.2/"
SIZES = (200, 1000)
CONNECTIONS = 4
TEXTS, INTEGERS, DECIMALS, TIMES = 11, 5, 6, 6  # with the name and the lookup: 30 columns
PROFILES = 20_000
WORDS = ["Bergstraße 12", "contoso", "jane.doe@example.com", "+49 30 901820", "", "Łódź", "a longer text " * 4]
Request = tuple[str, str, bytes]


@dataclass(frozen=True)
class Figure:
    """What one kind of request took: seconds, the server's seconds of processor time, and those inside sqlite3."""

    seconds: float
    cpu: float
    inside: float


Figures = dict[tuple[str, int], list[Figure]]


def run(options: argparse.Namespace) -> Result:
    """Every kind of request, in calls of every size."""
    count, rounds = (4_000, 1) if options.quick else (20_000, 3)
    rates: Figures = {}
    shares: Figures = {}
    for number in range(rounds + 1):
        watched = number == rounds
        say(f"round {number + 1}{', with the stopwatch in sqlite3' if watched else ''}")
        for size in SIZES:
            _round(count, size, shares if watched else rates, watch=watched)
    result = Result("local_dataverse", {"rows": count, "rounds": rounds, "connections": CONNECTIONS, "requests": []})
    for (kind, size), found in rates.items():
        seconds = statistics.median(one.seconds for one in found)
        watched_one = shares[kind, size][0]
        figures = {
            "kind": kind,
            "size": size,
            "rows_per_second": round(count / seconds),
            "lowest": round(count / max(one.seconds for one in found)),
            "highest": round(count / min(one.seconds for one in found)),
            "rows_per_cpu_second": round(count / statistics.median(one.cpu for one in found)),
            "share_in_sqlite": round(watched_one.inside / watched_one.cpu, 2),
        }
        result.figures["requests"].append(figures)
        say(f"  {kind}, {size} rows: {figures['rows_per_second']:,} rows/s, sqlite3 {figures['share_in_sqlite']:.0%}")
    return result


def _round(count: int, size: int, found: Figures, *, watch: bool) -> None:
    """One server takes every kind of request in turn."""
    with _server(watch=watch) as server:
        token = server.token()
        for kind, wanted in _requests(count, size):
            waiting = [_bytes(server, token, *one) for one in wanted]
            before, started = _used(server), time.perf_counter()
            _send(server, waiting)
            seconds = time.perf_counter() - started
            cpu, inside = (now - then for now, then in zip(_used(server), before, strict=True))
            found.setdefault((kind, size), []).append(Figure(seconds, cpu, inside))


@contextmanager
def _server(*, watch: bool) -> Iterator[servers.Server]:
    """A server with the tables made and the profiles seeded."""
    os.environ.pop(timed_server.WATCH, None)
    if watch:
        os.environ[timed_server.WATCH] = "1"
    with servers.dataverse(module="bench.timed_server", tls=False) as server:
        server.define(table("new_profile"))
        server.define(table("new_row", *_columns()))
        server.define(_lookup(), "RelationshipDefinitions")
        seeds = "\n".join(["new_profileid", *_profiles()])
        address, kind = f"/local/{servers.HOST}/seed/new_profile", {"Content-Type": "text/csv"}
        server.http.post(address, content=seeds.encode(), headers=kind).raise_for_status()
        yield server


def _used(server: servers.Server) -> tuple[float, float]:
    """The seconds of processor time that the server has used, and those inside sqlite3."""
    number = server.process.printed().count("used ") + 1
    os.kill(server.process.pid, signal.SIGUSR1)
    cpu, inside = server.process.wait_for(rf"^used {number} (\S+) (\S+)$")
    return float(cpu), float(inside)


# -- the tables and their rows -------------------------------------------------------------------------------------


def _columns() -> list[dict[str, Any]]:
    found = [column(f"new_text{i}", "String", MaxLength=100) for i in range(TEXTS)]
    found += [column(f"new_integer{i}", "Integer") for i in range(INTEGERS)]
    found += [column(f"new_decimal{i}", "Decimal", Precision=4) for i in range(DECIMALS)]
    return found + [column(f"new_time{i}", "DateTime") for i in range(TIMES)]


def _lookup() -> dict[str, Any]:
    return {
        "@odata.type": CRM + "OneToManyRelationshipMetadata",
        "SchemaName": "new_profile_new_row",
        "ReferencedEntity": "new_profile",
        "ReferencingEntity": "new_row",
        "Lookup": {**column("new_profile", "Lookup"), "DisplayName": label("Profile")},
    }


def _ids(seed: int, count: int) -> list[str]:
    drawn = random.Random(seed)  # noqa: S311 - repeatable on purpose
    return [str(uuid.UUID(int=drawn.getrandbits(128), version=4)) for _ in range(count)]


def _profiles() -> list[str]:
    return _ids(1, PROFILES)


def _rows(ids: list[str], seed: int) -> list[str]:
    """The members of a JSON object for every row, without its braces."""
    drawn, profiles, found = random.Random(seed), _profiles(), []  # noqa: S311 - repeatable on purpose
    for row_id in ids:
        row: dict[str, Any] = {"new_rowid": row_id, "new_name": f"row {row_id[:8]}"}
        row |= {f"new_text{i}": drawn.choice(WORDS) for i in range(TEXTS)}
        row |= {f"new_integer{i}": drawn.randrange(1_000_000) for i in range(INTEGERS)}
        row |= {f"new_decimal{i}": drawn.randrange(10_000_000) / 100 for i in range(DECIMALS)}
        day = f"20{drawn.randrange(10, 27)}-{drawn.randrange(1, 13):02}-{drawn.randrange(1, 29):02}"
        row |= {f"new_time{i}": f"{day}T{drawn.randrange(24):02}:30:0{i}Z" for i in range(TIMES)}
        row["new_profile@odata.bind"] = f"new_profiles({drawn.choice(profiles)})"
        found.append(json.dumps(row, ensure_ascii=False, separators=(",", ":"))[1:-1])
    return found


# -- the requests --------------------------------------------------------------------------------------------------


def _requests(count: int, size: int) -> Iterator[tuple[str, list[Request]]]:
    """What is measured, in the order in which it can be done."""
    created, ids = _ids(2, count), _ids(3, count)
    starts = range(0, count, size)

    def bulk(action: str, keys: list[str], seed: int) -> list[Request]:
        rows = _rows(keys, seed)
        return [_bulk(action, rows[i : i + size]) for i in starts]

    yield "CreateMultiple", bulk("CreateMultiple", created, 10)
    yield "UpsertMultiple, new rows", bulk("UpsertMultiple", ids, 11)
    yield "UpsertMultiple, known rows", bulk("UpsertMultiple", ids, 12)
    yield "UpdateMultiple", bulk("UpdateMultiple", ids, 13)
    rows = _rows(ids, 14)
    yield "$batch of PATCH", [_patches(ids[i : i + size], rows[i : i + size]) for i in starts]
    yield "$batch of DELETE", [_deletes(ids[i : i + size]) for i in starts]


def _bulk(action: str, rows: list[str]) -> Request:
    targets = ",".join(f'{{"@odata.type":"{CRM}new_row",{row}}}' for row in rows)
    return f"new_rows/{CRM}{action}", "application/json", f'{{"Targets":[{targets}]}}'.encode()


def _patches(ids: list[str], rows: list[str]) -> Request:
    head = f"PATCH {API}new_rows(%s) HTTP/1.1\r\nContent-Type: application/json\r\nIf-Match: *\r\n\r\n{{%s}}\r\n"
    return _batch([head % (row_id, row.partition(",")[2]) for row_id, row in zip(ids, rows, strict=True)])


def _deletes(ids: list[str]) -> Request:
    return _batch([f"DELETE {API}new_rows({row_id}) HTTP/1.1\r\n\r\n\r\n" for row_id in ids])


def _batch(operations: list[str]) -> Request:
    head = "--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    return "$batch", "multipart/mixed; boundary=b", ("".join(head + one for one in operations) + "--b--\r\n").encode()


def _bytes(server: servers.Server, token: str, path: str, kind: str, body: bytes) -> bytes:
    head = (
        f"POST {API}{path} HTTP/1.1\r\nHost: {urlsplit(server.url).netloc}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\nPrefer: odata.continue-on-error\r\n\r\n"
    )
    return head.encode() + body


def _send(server: servers.Server, wanted: list[bytes]) -> None:
    """Send requests by several connections, each one at a time."""
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    for one in wanted:
        waiting.put(one)
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for done in [pool.submit(_work, server, waiting) for _ in range(CONNECTIONS)]:
            done.result()


def _work(server: servers.Server, waiting: queue.SimpleQueue[bytes]) -> None:
    address = urlsplit(server.url)
    with (
        socket.create_connection((address.hostname or "", address.port or 80), timeout=120) as connection,
        contextlib.suppress(queue.Empty),
    ):
        while True:
            connection.sendall(waiting.get_nowait())
            _receive(connection)


def _receive(connection: socket.socket) -> None:
    """Read one answer; anything but success, also inside a batch, ends the benchmark."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += connection.recv(65_536)
    head, _, body = found.partition(b"\r\n\r\n")
    _, colon, rest = head.lower().partition(b"content-length:")
    length = int(rest.partition(b"\r\n")[0]) if colon else 0
    parts, missing = [body], length - len(body)
    while missing > 0:
        parts.append(connection.recv(262_144))
        missing -= len(parts[-1])
    body = b"".join(parts)
    assert head.startswith(b"HTTP/1.1 20"), (head, body[:1_000])
    assert b"HTTP/1.1 4" not in body, body[:1_000]
    assert b"HTTP/1.1 5" not in body, body[:1_000]


if __name__ == "__main__":
    main(__doc__, run)
