"""Connections to one host: several small httpx clients, because one large pool is quadratic in its connections."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

_CONNECTIONS_EACH = 8


class Connections:
    """As many httpx clients as are needed, at most eight connections each. Thread safe.

    Cookies are off, so that requests spread over Dataverse's web servers; HTTP/2 is off. `timeout` is in seconds.
    """

    def __init__(self, *, timeout: float, use_proxies: bool) -> None:
        self._timeout = httpx.Timeout(timeout, connect=min(timeout, 15.0))
        self._use_proxies = use_proxies
        self._lock = threading.Lock()
        self._clients: list[httpx.Client] = []
        self._busy: list[int] = []

    @contextmanager
    def one(self) -> Iterator[httpx.Client]:
        """A client with a free connection."""
        with self._lock:
            number = self._least_busy()
            self._busy[number] += 1
            client = self._clients[number]
        try:
            yield client
        finally:
            with self._lock:
                self._busy[number] -= 1

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for client in self._clients:
                client.close()
            self._clients, self._busy = [], []

    def _least_busy(self) -> int:
        for number, busy in enumerate(self._busy):
            if busy < _CONNECTIONS_EACH:
                return number
        self._clients.append(self._open())
        self._busy.append(0)
        return len(self._busy) - 1

    def _open(self) -> httpx.Client:
        return httpx.Client(
            timeout=self._timeout,
            limits=httpx.Limits(max_connections=_CONNECTIONS_EACH, max_keepalive_connections=_CONNECTIONS_EACH),
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            trust_env=self._use_proxies,
            follow_redirects=False,
        )
