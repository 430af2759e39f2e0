"""Rows a second: the app's sender, Microsoft's SDK, a PATCH a row, and the ceiling; into a sink and into a Dataverse.

`python bench/sending.py [--quick]`. The same rows over TLS (the SDK refuses http), in calls of 200 and 1,000 rows, in
interleaved rounds. Server and clients share the machine's cores; the client's CPU is counted apart. Into the sink the
sender is measured alone; into the local Dataverse (instant profile) mostly the server is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import clients, servers
from bench.clients import Contender, Target
from bench.measure import Claim, Result, Sample, interleaved, main, ratio, say, summary
from bench.rows import Row, calls, definition, rows

SIZES = (200, 1000)
CLAIMED = 1000  # what the app sends where rows are fast (shared/dataverse/sizing.py)
WIDTH = 8
TIMES_THE_SDK = 8.0

OURS, OURS_THREADS, CEILING, PATCHES = "ours", "ours, 8 threads", "raw sockets, 8 threads", "a PATCH a row, 8 threads"
SDK, SDK_THREADS, SDK_ASYNC = "SDK", "SDK, 8 threads", "SDK, async, 8 tasks"

Round = Callable[[], Sample]


def run(options: argparse.Namespace) -> Result:
    """Into the sink, then into the local Dataverse."""
    result = Result("sending", {"columns": 30, "width": WIDTH, "sink": {}, "dataverse": {}, "times_the_sdk": {}})
    rounds = 2 if options.quick else 7
    sent = rows(4_000 if options.quick else 20_000)
    result.figures |= {"rounds": rounds, "row_bytes": sum(len(row.record) for row in sent) // len(sent)}
    for size in SIZES:
        say(f"into the sink, calls of {size} rows")
        with servers.sink() as server:
            found = interleaved(rounds, _into_sink(Target(server.url, "token"), sent, size))
        result.figures["sink"][str(size)] = _table(found)
        times = ratio(found, (OURS, OURS_THREADS), (SDK, SDK_THREADS, SDK_ASYNC))
        result.figures["times_the_sdk"][str(size)] = times
        if size == CLAIMED:
            text = f"Rows that we send into the sink, times the SDK's (best way each, calls of {size} rows)"
            result.claims.append(Claim(text, TIMES_THE_SDK, times))
    for size in SIZES:
        say(f"into the local Dataverse, calls of {size} rows")
        found = interleaved(2 if options.quick else 5, _into_dataverse(sent[:10_000], size))
        result.figures["dataverse"][str(size)] = _table(found)
    return result


def _table(found: Mapping[str, list[Sample]]) -> dict[str, Any]:
    """Each contender's figures; "times": how many times the rows of ours."""
    return {
        name: {**summary(samples), "times": ratio(found, (name,), (OURS_THREADS,))} for name, samples in found.items()
    }


def _into_sink(target: Target, sent: list[Row], size: int) -> dict[str, Round]:
    """The fast ones send the rows ten times over, so that every round lasts long enough."""
    warm, all_rows = rows(2 * WIDTH, seed=2), calls(sent, size)
    some_rows = calls(sent[: max(200, len(sent) // 20)], 10)

    def plain(contender: Contender, width: int, times: int = 1) -> Round:
        return lambda: clients.send(contender, target, all_rows, width, times=times, warm=warm)

    return {
        OURS: plain(clients.OURS, 1, 10),
        SDK: plain(clients.SDK, 1),
        OURS_THREADS: plain(clients.OURS, WIDTH, 10),
        CEILING: plain(clients.RAW, WIDTH, 10),
        SDK_THREADS: plain(clients.SDK, WIDTH),
        SDK_ASYNC: lambda: clients.send_async(target, all_rows, WIDTH, warm=warm),
        PATCHES: lambda: _single(clients.send(clients.PATCHES, target, some_rows, WIDTH, times=1, warm=warm)),
    }


def _into_dataverse(sent: list[Row], size: int) -> dict[str, Round]:
    """Every round writes new rows: into a Dataverse of its own."""
    warm, all_rows = rows(2 * WIDTH, seed=2), calls(sent, size)
    some_rows = calls(sent[: max(200, len(sent) // 10)], 10)

    def fresh(send: Callable[[Target], Sample]) -> Sample:
        with servers.dataverse() as server:
            server.define(definition())
            return send(Target(server.url, server.token()))

    def plain(contender: Contender, width: int, sent: list[list[Row]] = all_rows) -> Round:
        return lambda: fresh(lambda target: clients.send(contender, target, sent, width, times=1, warm=warm))

    return {
        OURS: plain(clients.OURS, 1),
        SDK: plain(clients.SDK, 1),
        OURS_THREADS: plain(clients.OURS, WIDTH),
        CEILING: plain(clients.RAW, WIDTH),
        SDK_THREADS: plain(clients.SDK, WIDTH),
        SDK_ASYNC: lambda: fresh(lambda target: clients.send_async(target, all_rows, WIDTH, warm=warm)),
        PATCHES: lambda: _single(plain(clients.PATCHES, WIDTH, some_rows)()),
    }


def _single(sample: Sample) -> Sample:
    """Of requests with a row each."""
    sample.requests = sample.rows
    return sample


if __name__ == "__main__":
    main(__doc__, run)
