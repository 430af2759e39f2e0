"""Free ports, and the same ones again after a restart on the same folder."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from pathlib import Path


def reserve(file: Path, names: Iterable[str]) -> dict[str, int]:
    """A loopback port for each name: the one from last time where it is free, else a new one. Kept in `file`."""
    known: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    sockets = []
    try:
        for name in names:
            listener = _bind(known.get(name, 0))
            sockets.append(listener)
            known[name] = listener.getsockname()[1]
    finally:
        for listener in sockets:
            listener.close()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(known))
    return known


def _bind(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        if port == 0:
            raise
        listener.bind(("127.0.0.1", 0))
    return listener
