"""Rows that Dataverse refuses: what 1% of them costs in requests and operations, and whether all others are written.

`python bench/rejects.py [--quick]`. 100,000 new rows, every hundredth with a fault, into the faithful local Dataverse
(a bulk call is all or nothing there), with the sender that the app has. Beside it, plain bisecting: halve what fails.
Counted are HTTP requests, and operations: rows of bulk calls and single requests inside a `$batch`, tries included.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx

from bench import servers
from bench.clients import Tokens
from bench.measure import Claim, Result, main, say
from bench.rows import CRM, KEY, TABLE, Row, definition, rows
from shared.dataverse.bulk import UPSERT, Writer
from shared.dataverse.client import Client
from shared.dataverse.limiter import Limiter
from shared.dataverse.sizing import Sizes

EVERY = 100
SIZES = (200, 1000)
MOST_TIMES = 3.0
BISECTED_ROWS = 10_000

CLEAN = "no faults"
FAULTS: dict[str, Callable[[dict[str, Any]], object]] = {
    CLEAN: lambda _: None,
    "too long: the error names the column": lambda values: values.update(new_t00="x" * 101),
    "no date: the error names nothing": lambda values: values.update(new_w00="soon"),
}


class CountingClient(Client):
    """The app's client, counting what it sends."""

    requests = 0
    operations = 0

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """As Client.request."""
        content = more.get("content") or b""
        self.requests += 1
        self.operations += content.count(b"\nPATCH " if path == "$batch" else b'"@odata.type"')
        return super().request(method, path, **more)


@dataclass
class Outcome:
    """What sending all rows took, and the ids that were refused."""

    requests: int = 0
    operations: int = 0
    refused: set[str] = field(default_factory=set)


def run(options: argparse.Namespace) -> Result:
    """Every kind of fault with every size of calls."""
    count = 5_000 if options.quick else 100_000
    result = Result("rejects", {"rows": count, "bad": count // EVERY, "calls": {}})
    for size in SIZES:
        table = {fault: _measured(fault, size, count) for fault in FAULTS}
        for fault, found in table.items():
            found["times_the_requests"] = round(found["requests"] / table[CLEAN]["requests"], 2)
            found["times_the_operations"] = round(found["operations"] / table[CLEAN]["operations"], 2)
            if fault != CLEAN:
                text = f"Requests with 1% bad rows, times the clean case; calls of {size} rows, {fault}"
                result.claims.append(Claim(text, MOST_TIMES, found["times_the_requests"], most=True))
        result.claims.append(_whole(size, table))
        result.figures["calls"][str(size)] = table
        bisected = _bisected(size, min(count, BISECTED_ROWS))
        table["plain bisecting"] = bisected
    return result


def _whole(size: int, table: dict[str, dict[str, Any]]) -> Claim:
    wrong = sum(found["good_rows_missing"] + found["good_rows_refused"] for found in table.values())
    return Claim(f"Good rows that were not written; calls of {size} rows", 0, wrong, most=True)


def _measured(fault: str, size: int, count: int) -> dict[str, Any]:
    """Requests, operations and whether exactly the good rows are there."""
    sent, bad = _spoilt(fault, count)
    with servers.dataverse() as server:
        server.define(definition())
        outcome = _send(server, sent, size)
        written = _exported(server)
    good = {row.id for row in sent} - bad
    say(f"  {fault}, calls of {size}: {outcome.requests} requests, {outcome.operations} operations")
    return {
        "requests": outcome.requests,
        "operations": outcome.operations,
        "refused": len(outcome.refused),
        "good_rows_missing": len(good - written),
        "good_rows_refused": len(good & outcome.refused),
        "bad_rows_written": len(bad & written),
    }


def _spoilt(fault: str, count: int) -> tuple[list[Row], set[str]]:
    """The rows as they are sent, and the ids of those with the fault."""
    sent, bad = rows(count), set[str]()
    if fault != CLEAN:
        for place in range(EVERY // 2, count, EVERY):
            FAULTS[fault](sent[place].values)
            record = json.dumps({"@odata.type": CRM + TABLE.logical_name, **sent[place].values}).encode()
            sent[place] = Row(sent[place].id, record, sent[place].values)
            bad.add(sent[place].id)
    return sent, bad


def _send(server: servers.Server, sent: Sequence[Row], size: int) -> Outcome:
    """As the app does (shared/send.py): call by call, each as large as its sizing says, `size` at most."""
    outcome, sizes, start = Outcome(), Sizes(most=size), 0
    with CountingClient(server.url, tokens=Tokens(server.token()), limiter=Limiter(8)) as client:
        writer = Writer(client, TABLE, sizes, before=lambda: None)
        while start < len(sent):
            call = sent[start : start + sizes.bulk(TABLE.set_name, UPSERT).rows()]
            faults = writer.upsert([row.record for row in call], key=KEY)
            outcome.refused |= {call[fault.index].id for fault in faults}
            start += len(call)
        outcome.requests, outcome.operations = client.requests, client.operations
    return outcome


def _exported(server: servers.Server) -> set[str]:
    """The ids of the rows that the server holds."""
    with server.http.stream("GET", f"/local/{servers.HOST}/export/{TABLE.logical_name}") as answer:
        return {json.loads(line)[KEY] for line in answer.iter_lines()}


def _bisected(size: int, count: int) -> dict[str, Any]:
    """What halving costs; its requests against one for each call."""
    sent, _ = _spoilt("no date: the error names nothing", count)
    with servers.dataverse() as server:
        server.define(definition())
        with CountingClient(server.url, tokens=Tokens(server.token()), limiter=Limiter(8)) as client:
            for start in range(0, count, size):
                _bisect(client, [row.record for row in sent[start : start + size]])
    times = client.requests / (count / size)
    say(f"  plain bisecting, calls of {size}: {times:.1f} times the requests")
    return {
        "requests": client.requests,
        "operations": client.operations,
        "times_the_requests": round(times, 2),
        "times_the_operations": round(client.operations / count, 2),
        "rows": count,
    }


def _bisect(client: Client, records: list[bytes]) -> None:
    path = f"{TABLE.set_name}/{CRM}UpsertMultiple"
    answer = client.request("POST", path, content=b'{"Targets":[' + b",".join(records) + b"]}")
    if not answer.is_success and len(records) > 1:
        _bisect(client, records[: len(records) // 2])
        _bisect(client, records[len(records) // 2 :])


if __name__ == "__main__":
    main(__doc__, run)
