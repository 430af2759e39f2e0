"""`python -m local.broker --port 0 --db FILE --queue NAME ...`: prints `ready on 127.0.0.1:PORT`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
from collections.abc import Sequence

from local.broker.connection import Connection
from local.broker.server import Server
from local.broker.store import MAX_DELIVERIES, NEVER, Queue, Store


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m local.broker", description="A Service Bus-compatible broker.")
    parser.add_argument("--port", type=int, default=5672, help="0 chooses a free one")
    parser.add_argument("--db", default=":memory:", help="the SQLite file that keeps the messages")
    parser.add_argument("--queue", nargs="+", default=[], metavar="NAME", help="queues that exist")
    parser.add_argument("--lock-seconds", type=float, default=60.0)
    parser.add_argument("--max-deliveries", type=int, default=MAX_DELIVERIES)
    parser.add_argument("--duplicate-seconds", type=float, default=0.0, help="window of duplicate detection; 0: none")
    parser.add_argument("--ttl-seconds", type=float, default=0.0, help="messages live this long at most; 0: for ever")
    parser.add_argument("--dead-letter-expired", action="store_true", help="expired messages become dead letters")
    return parser.parse_args(given)


def queues(options: argparse.Namespace) -> list[Queue]:
    """The queues that the command line names, all with the same settings."""
    return [
        Queue(
            name.lower(),
            lock_ms=int(1000 * options.lock_seconds),
            max_deliveries=options.max_deliveries,
            ttl_ms=int(1000 * options.ttl_seconds) or NEVER,
            dead_letter_expired=options.dead_letter_expired,
            duplicates_ms=int(1000 * options.duplicate_seconds),
        )
        for name in options.queue
    ]


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM."""
    server = Server(Store(options.db, queues(options)))
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: Connection(server), "127.0.0.1", options.port)
    clock = asyncio.create_task(server.keep_time())
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    clock.add_done_callback(lambda _: stop.set())
    print(f"ready on 127.0.0.1:{listener.sockets[0].getsockname()[1]}", flush=True)
    await stop.wait()
    listener.close()
    if clock.done():
        clock.result()  # the clock never ends of itself: this raises what went wrong
    clock.cancel()
    server.flush()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(arguments()))
