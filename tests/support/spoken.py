"""Requests as bytes: what a client sends, not what a library makes of it."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.support.local_dataverse import Api

DYNAMICS = ("Accept: application/json", "OData-MaxVersion: 4.0", "OData-Version: 4.0")
"""The headers that dynamics-web-api sends with everything."""


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def root(api: Api) -> str:
    """The absolute address of the Web API, the organization being the host, as it is for the real service."""
    return f"http://{api.host}:{urlsplit(api.url).port}/api/data/v9.2/"


def send(api: Api, line: str, *headers: str, body: str | bytes = b"") -> Answer:
    """Send a request line, headers and a body just so, and return what came back."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"{line} HTTP/1.1", f"Host: {urlsplit(root(api)).netloc}", f"Authorization: Bearer {api.token}", *headers]
    lines += [f"Content-Length: {len(content)}"] * bool(content) + ["Connection: close", "", ""]
    with socket.create_connection(("127.0.0.1", urlsplit(api.url).port or 0), timeout=10) as connection:
        connection.sendall("\r\n".join(lines).encode() + content)
        received = b""
        while part := connection.recv(65536):
            received += part
    head, _, rest = received.partition(b"\r\n\r\n")
    first, *more = head.decode().split("\r\n")
    named = (one.partition(":") for one in more)
    return Answer(int(first.split()[1]), {name.lower(): value.strip() for name, _, value in named}, rest)


def get(api: Api, path: str, *headers: str) -> Answer:
    return send(api, f"GET /api/data/v9.2/{path}", *DYNAMICS, *headers)
