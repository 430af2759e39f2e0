"""The command line: `python -m local.dataverse --port 0 --db DIRECTORY`. Prints `ready on ADDRESS` and serves."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import functools
import signal
import ssl
from pathlib import Path
from typing import Any

from local.dataverse import wire
from local.dataverse.errors import DataverseError
from local.dataverse.organization import Organizations
from local.dataverse.profiles import PROFILES, Profile, changed, number
from local.dataverse.protection import Limits
from local.dataverse.server import Server
from local.dataverse.signin import SignIn
from local.dataverse.timing import Costs


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = argparse.ArgumentParser(prog="python -m local.dataverse", description=__doc__)
    found.add_argument("--port", type=int, default=0, help="0: a free one")
    found.add_argument("--db", type=Path, required=True, metavar="DIRECTORY", help="one SQLite file an organization")
    found.add_argument("--identity-header", metavar="TEXT", help="what X-IDENTITY-HEADER must be at /msi/token")
    found.add_argument(
        "--client", action="append", default=[], metavar="ID:SECRET", help="only these clients may sign in (repeatable)"
    )
    found.add_argument("--token-lifetime", type=float, default=3_600.0, metavar="SECONDS")
    found.add_argument("--tls", nargs=2, type=Path, metavar=("CERTIFICATE", "KEY"), help="serve https")
    _add_profile(found)
    return found


def _add_profile(found: argparse.ArgumentParser) -> None:
    """How the service behaves (profiles.py); what is not given is as the profile says."""
    value: dict[str, Any] = {"action": "append", "default": [], "type": _named, "metavar": "NAME=VALUE"}
    names = {kind: ", ".join(field.name for field in dataclasses.fields(kind)) for kind in (Limits, Costs)}
    found.add_argument("--profile", choices=PROFILES, default="instant", help="default: %(default)s")
    found.add_argument("--limit", help=f"of service protection; {names[Limits]}; `none`: no limit", **value)
    found.add_argument("--cost", help=f"of a request; {names[Costs]}", **value)
    found.add_argument("--latency", type=float, metavar="MILLISECONDS", help="added to every API request")
    found.add_argument("--servers", type=int, metavar="N", help="web servers of each organization")
    found.add_argument("--dop-hint", type=int, metavar="N", help="the parallelism to recommend: cores of all servers")
    found.add_argument("--seed", type=int, metavar="N", help="which web server requests without a cookie reach; jitter")


def profile(options: argparse.Namespace) -> Profile:
    """Return the profile that the command line asks for. Raises DataverseError."""
    latency = None if options.latency is None else options.latency / 1000
    given = {"latency": latency, "servers": options.servers, "dop_hint": options.dop_hint, "seed": options.seed}
    given = {name: value for name, value in given.items() if value is not None}
    return changed(PROFILES[options.profile], {**given, "limits": dict(options.limit), "costs": dict(options.cost)})


def _named(text: str) -> tuple[str, float | None]:
    name, _, value = text.partition("=")
    return name.strip(), number(value.strip())


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    organizations = Organizations(options.db, profile(options))
    clients = dict(client.split(":", 1) for client in options.client)
    sign_in = SignIn(
        options.db, identity_header=options.identity_header, lifetime=options.token_lifetime, clients=clients
    )
    scheme = "https" if options.tls else "http"
    server = Server(organizations, sign_in, scheme)
    stopped = asyncio.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(ending, stopped.set)
    connections: set[asyncio.Task[None]] = set()
    listening = await asyncio.start_server(
        functools.partial(_connected, server, connections),
        "127.0.0.1",
        options.port,
        limit=wire.BUFFER_BYTES,
        ssl=_tls(options.tls),
        backlog=256,
    )
    print(f"ready on {scheme}://127.0.0.1:{listening.sockets[0].getsockname()[1]}", flush=True)
    await stopped.wait()
    listening.close()
    for connection in connections:
        connection.cancel()
    await asyncio.gather(*connections, return_exceptions=True)
    organizations.close()


async def _connected(
    server: Server,
    connections: set[asyncio.Task[None]],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    connection = asyncio.current_task()
    if connection is not None:
        connections.add(connection)
        connection.add_done_callback(connections.discard)
    try:
        await wire.serve_connection(server.answer, reader, writer)
    finally:
        writer.close()


def _tls(files: list[Path] | None) -> ssl.SSLContext | None:
    if not files:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[0], files[1])
    return context


def main() -> None:
    """Run the command line."""
    options = parser().parse_args()
    try:
        asyncio.run(serve(options))
    except (OSError, DataverseError) as error:
        raise SystemExit(f"local.dataverse: {error}") from None


if __name__ == "__main__":
    main()
