"""`$batch` bodies: several requests in one, each answered on its own (OData 4.0, part 1, section 11.7)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MOST_PARTS = 1000
_BOUNDARY = re.compile(r'boundary="?([^";,\s]+)"?', re.IGNORECASE)
_STATUS_LINE = re.compile(rb"^HTTP/\d(?:\.\d)? (\d{3})")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True)
class Part:
    """One request of a batch; `path` is relative to the service root, for example `contacts(guid)`."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """The answer to one part; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def compose(parts: Sequence[Part], *, root: str = "/api/data/v9.2/") -> tuple[str, bytes]:
    """The Content-Type and body of a batch. Line ends are CRLF: Dataverse refuses others (0x80048d19)."""
    boundary = f"batch_{uuid.uuid4()}"
    lines: list[bytes] = []
    for part in parts:
        lines += [
            f"--{boundary}".encode(),
            b"Content-Type: application/http",
            b"Content-Transfer-Encoding: binary",
            b"",
            f"{part.method} {root}{part.path} HTTP/1.1".encode(),
            *(f"{name}: {value}".encode() for name, value in part.headers.items()),
            b"",
            part.body,
        ]
    lines += [f"--{boundary}--".encode(), b""]
    return f'multipart/mixed; boundary="{boundary}"', b"\r\n".join(lines)


def parse(content_type: str, body: bytes) -> list[Answer]:
    """The answers in the order of the parts; fewer than parts when the service stopped. ValueError: not a batch."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise ValueError("the answer to a batch has no boundary")
    pieces = body.split(b"--" + boundary.group(1).encode())[1:]
    return [_answer(piece) for piece in pieces if not piece.startswith(b"--")]


def _answer(piece: bytes) -> Answer:
    _, http = _cut(piece.lstrip(b"\r\n"))
    head, body = _cut(http.lstrip(b"\r\n"))
    status = _STATUS_LINE.match(head)
    if status is None:
        raise ValueError("a part of the answer to a batch has no status")
    headers = {}
    for line in head.decode("latin-1").splitlines()[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return Answer(int(status.group(1)), headers, body.strip(b"\r\n"))


def _cut(text: bytes) -> tuple[bytes, bytes]:
    blank = _BLANK_LINE.search(text)
    return (text[: blank.start()], text[blank.end() :]) if blank else (text, b"")
