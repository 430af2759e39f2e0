"""`python -m local.host --app DIR --port 0 [--slots 8] [--key KEY]`: prints `ready on http://127.0.0.1:PORT`."""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from local.host import app, logs
from local.host.blobs import BlobListener
from local.host.invocation import Invoker
from local.host.queues import QueueListener
from local.host.timers import TimerListener
from local.host.web import Listener, Web
from shared.errors import ConfigurationError

log = logging.getLogger("local.host")


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m local.host", description="A small host for this Functions app.")
    parser.add_argument("--app", type=Path, default=Path(), help="the folder of function_app.py and host.json")
    parser.add_argument("--port", type=int, default=7071, help="0 chooses a free one")
    parser.add_argument("--slots", type=int, default=8, help="calls of one function at the same time, at most")
    parser.add_argument(
        "--key", default="", help="the key of functions with authorization; made up and printed if absent"
    )
    parser.add_argument("--grace", type=float, default=30.0, help="seconds that running calls get when the host stops")
    return parser.parse_args(given)


class Host:
    """Everything that listens for one app."""

    def __init__(self, options: argparse.Namespace, key: str) -> None:
        directory = options.app.resolve()
        functions, limits = app.load(directory), app.limits(directory)
        self.invoker = Invoker()
        most = min(options.slots, limits.concurrent_calls)
        self.listeners: list[QueueListener | TimerListener | BlobListener] = [
            QueueListener(function, self.invoker, most=most, renew_for=limits.renew_locks_for)
            for function in functions
            if function.kind == app.SERVICE_BUS
        ]
        self.listeners += [TimerListener(each, self.invoker) for each in functions if each.kind == app.TIMER]
        on_blobs = [function for function in functions if function.kind == app.BLOB]
        blobs = None
        if on_blobs:
            at_once = min(options.slots, limits.blobs_at_once)
            blobs = BlobListener(on_blobs, self.invoker, most=at_once, poison_after=limits.poison_after)
            self.listeners.append(blobs)
        web = Web(functions, self.invoker, blobs, prefix=limits.route_prefix, key=key)
        self.http = Listener(web, options.port)

    def start(self) -> str:
        """Begin to listen; the host's address."""
        threading.Thread(target=self.http.serve_forever, name="http", daemon=True).start()
        for listener in self.listeners:
            listener.start()
        return f"http://127.0.0.1:{self.http.server_address[1]}"

    def stop(self, grace: float) -> bool:
        """Take nothing more and let running calls finish and settle; False: some did not within `grace` seconds."""
        deadline = time.monotonic() + grace
        for listener in self.listeners:
            listener.stop()
        self.http.shutdown()
        finished = self.invoker.wait_until_idle(deadline)
        for listener in self.listeners:
            listener.join(deadline)
        return finished


def main() -> int:
    """Serve until SIGTERM or Ctrl-C; 2: the app or its settings are not usable."""
    options = arguments()
    logs.to_stderr()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    key = options.key or secrets.token_urlsafe(24)
    try:
        host = Host(options, key)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    if not options.key:
        print(f"function key {key}")
    print(f"ready on {host.start()}", flush=True)
    stopping.wait()
    if not host.stop(options.grace):
        log.warning("calls are still running after %s seconds: their messages will be delivered again", options.grace)
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    logging.shutdown()
    os._exit(code)  # a call that does not end must not keep the host alive
