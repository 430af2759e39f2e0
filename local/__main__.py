"""`python -m local`: the whole app on one machine, with no Azure and no Core Tools."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from local.dataverse.profiles import PROFILES
from local.demo import SAMPLES, demo
from local.hydrate import hydrate
from local.inputs import UnusableInputError
from local.landing import EndpointError
from local.runs_view import RunsError
from local.stack import INSTANT
from local.up import up
from shared.errors import HydrationError

LOCAL = Path(__file__).resolve().parent.parent / ".local"
_WIDTH = 130  # where there is no terminal, tables are given this many columns


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else _WIDTH, soft_wrap=False)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite end stops the stack like Ctrl-C does
    try:
        return _dispatch(options, console)
    except UnusableInputError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        return 2
    except (EndpointError, RunsError, HydrationError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def _dispatch(options: argparse.Namespace, console: Console) -> int:
    """Call what the command names."""
    if options.command == "hydrate":
        return hydrate(
            options.lake,
            config=options.config,
            dataverse=options.dataverse,
            results=options.json,
            exports=options.export,
            local=LOCAL,
            console=console,
        )
    if options.command == "up":
        return up(
            LOCAL,
            options.config,
            lake=options.lake,
            func=options.func,
            console=console,
            profile=options.profile,
        )
    return demo(
        LOCAL / "demo",
        keep=options.keep,
        people=options.people,
        audience=options.audience,
        console=console,
        profile=options.profile,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    day = commands.add_parser("demo", help="two days of a generated lake, from landing to Dataverse")
    day.add_argument("--keep", action="store_true", help="stay up afterwards until Ctrl-C")
    day.add_argument("--people", type=_people, default=5000, help="size of the generated lake (default: %(default)s)")
    day.add_argument("--audience", choices=SAMPLES, default="individuals", help="default: %(default)s")
    _add_profile(day)
    own = commands.add_parser("hydrate", help="the same on files of your own")
    own.add_argument("lake", nargs="+", type=Path, metavar="LAKE_DIR", help="mirrors the container: ci_<id>/...")
    _add_config(own)
    own.add_argument("--dataverse", type=Path, metavar="DIR", help="<logical name>.csv: rows that exist beforehand")
    own.add_argument("--json", type=Path, metavar="FILE", help="write what became of every snapshot")
    own.add_argument("--export", type=Path, metavar="DIR", help="write every Dataverse table as .ndjson")
    stay = commands.add_parser("up", help="the local stack stays up until Ctrl-C")
    _add_config(stay)
    stay.add_argument("--lake", type=Path, metavar="DIR", help="watch a folder and land what changes in it")
    stay.add_argument("--func", metavar="URL", help="leave the functions to Core Tools at this address")
    _add_profile(stay)
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    default = Path("hydration.toml")
    parser.add_argument("--config", type=Path, default=default, metavar="FILE", help="default: %(default)s")


def _add_profile(parser: argparse.ArgumentParser) -> None:
    told = "how Dataverse behaves: without limits and at once, or as documented (default: %(default)s)"
    parser.add_argument("--profile", choices=PROFILES, default=INSTANT, help=told)


def _people(text: str) -> int:
    if not text.isdigit() or not 10 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError("a number from 10 to 1000000")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
