"""Messages that nobody of the app wrote: no JSON, wrong types, another payload under a name that is known."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass
from typing import Any

from shared.runs.messages import ChunkMessage, TableMessage
from shared.runs.model import Kind

GARBAGE = (
    b"",
    b"null",
    b"[]",
    b'"step"',
    b"{",
    b"\xff\xfe{}",
    b"\x00",
    b"[" * 100_000,
    b"1" * 5_000,
    b'{"step":"start"}',
    b'{"environment":NaN}',
)
WRONG: tuple[Any, ...] = (None, True, 1.5, -1, [], {}, [["x"]], {"a": {}}, 10**400)
STRANGE_TEXTS = ("", "nobody", "../../..", "a'b", "\x00", "\ud800", "x" * 5_000, "漢" * 2_000)
ANOTHER = "ffffffff-77aa-4b52-9d3c-1f8b6f5d2e10"
"""An environment that nobody has."""


@dataclass(frozen=True)
class Poison:
    """A body. `kind`: that of the chunk queue that it comes on, None for the queue of steps.

    `always`: it must be refused whenever it comes, and not only where it contradicts what is stored at the moment.
    """

    what: str
    body: bytes
    kind: Kind | None
    always: bool = False


def poisons(message: TableMessage | ChunkMessage, draw: random.Random) -> list[Poison]:
    """One of each sort; those with another payload are made of a message that is known."""
    content = asdict(message)
    queues = (Kind.TABLE, Kind.LINK)
    kind = None if isinstance(message, TableMessage) else draw.choice(queues)
    field = draw.choice(list(content))
    text = draw.choice([name for name in content if isinstance(content[name], str)])
    wrong = draw.choice([one for one in WRONG if not (one == 10**400 and isinstance(content[field], int))])
    found = [
        Poison("no message", draw.choice(GARBAGE), draw.choice((None, *queues)), always=True),
        Poison(f"wrong type of {field}", body(content | {field: wrong}), kind, always=True),
        Poison(f"without {field}", body({name: content[name] for name in content if name != field}), kind, always=True),
        Poison(f"strange {text}", body(content | {text: draw.choice(STRANGE_TEXTS)}), kind),
        Poison("unknown run", body(content | {"run": f"{content['run']}0"}), kind),
        Poison("run of another environment", body(content | {"environment": ANOTHER}), kind, always=True),
    ]
    return found + (_steps(content, draw) if isinstance(message, TableMessage) else _chunks(content, draw))


def _steps(content: dict[str, Any], draw: random.Random) -> list[Poison]:
    with_task = {"task": "" if content["task"] else "CustomerProfile"}
    return [
        Poison(
            "unknown step", body(content | {"step": draw.choice(("finish", "", "START", "plan "))}), None, always=True
        ),
        Poison("step of a task without one, or the other way", body(content | with_task), None),
        Poison("round to come", body(content | {"round": content["round"] + draw.randrange(1, 9)}), None, always=True),
        Poison("round of nobody", body(content | {"round": 0}), None),
        Poison("unknown task", body(content | {"task": "nobody"}), None),
        Poison("on a queue of chunks", body(content), draw.choice((Kind.TABLE, Kind.LINK)), always=True),
    ]


def _chunks(content: dict[str, Any], draw: random.Random) -> list[Poison]:
    queues = (Kind.TABLE, Kind.LINK)
    of_another = Kind.TABLE if str(content["task"]).startswith("link.") else Kind.LINK
    return [
        Poison("another stage", body(content | {"stage": content["stage"] + draw.randrange(1, 9)}), None, always=True),
        Poison("another stage", body(content | {"stage": draw.randrange(9)}), draw.choice(queues)),
        Poison("another number", body(content | {"number": content["number"] + draw.randrange(1, 10**9)}), of_another),
        Poison("another attempt", body(content | {"attempt": "nobody"}), draw.choice(queues)),
        Poison("on the other queue", body(content), of_another, always=True),
    ]


def body(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode()
