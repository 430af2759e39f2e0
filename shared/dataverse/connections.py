"""Connections to one host: several small pools, because one large pool is quadratic in its connections.

Requests go straight to httpx's transports. What its clients add (cookies, redirects, defaults to merge, a log line with
the whole URL) is not wanted here, and is half of the CPU time of a request.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache

import httpx

_CONNECTIONS_EACH = 8
_IDLE_SECONDS = 90.0  # longer than most waits that Dataverse asks for, shorter than its own patience
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")  # variables of the environment that name them
_ALWAYS = {"Accept-Encoding": "gzip, deflate", "Connection": "keep-alive", "User-Agent": "customer-insights-hydration"}


class Connections:
    """As many pools as are needed, at most eight connections each. Thread safe.

    There are no cookies, so that requests spread over Dataverse's web servers; HTTP/2 is off. `base` is where to
    connect, `timeout` is in seconds.
    """

    def __init__(self, base: str, *, timeout: float, use_proxies: bool) -> None:
        self._base = base
        self._timeout = httpx.Timeout(timeout, connect=min(timeout, 15.0)).as_dict()
        self._use_proxies = use_proxies
        self._lock = threading.Lock()
        self._pools: list[httpx.HTTPTransport] = []
        self._busy: list[int] = []

    def exchange(
        self, method: str, url: str, headers: dict[str, str], *, content: bytes | None = None, json: object = None
    ) -> httpx.Response:
        """The whole answer; its `elapsed` is what the exchange took. Raises httpx's errors."""
        request = httpx.Request(
            method,
            _parsed(url),
            headers={**_ALWAYS, **headers},
            content=content,
            json=json,
            extensions={"timeout": self._timeout},
        )
        began = time.perf_counter()
        with self._one() as pool:
            response = pool.handle_request(request)
            try:
                response.request = request
                response.read()
            finally:
                response.close()
        response.elapsed = timedelta(seconds=time.perf_counter() - began)
        return response

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for pool in self._pools:
                pool.close()
            self._pools, self._busy = [], []

    @contextmanager
    def _one(self) -> Iterator[httpx.HTTPTransport]:
        """A pool with a free connection."""
        with self._lock:
            number = self._least_busy()
            self._busy[number] += 1
            pool = self._pools[number]
        try:
            yield pool
        finally:
            with self._lock:
                if number < len(self._busy):
                    self._busy[number] -= 1

    def _least_busy(self) -> int:
        for number, busy in enumerate(self._busy):
            if busy < _CONNECTIONS_EACH:
                return number
        self._pools.append(self._open())
        self._busy.append(0)
        return len(self._busy) - 1

    def _open(self) -> httpx.HTTPTransport:
        return httpx.HTTPTransport(
            limits=httpx.Limits(
                max_connections=_CONNECTIONS_EACH,
                max_keepalive_connections=_CONNECTIONS_EACH,
                keepalive_expiry=_IDLE_SECONDS,
            ),
            verify=_trusted(*(os.environ.get(name) if self._use_proxies else None for name in _CERTIFICATES)),
            trust_env=self._use_proxies,
            proxy=self._proxy(),
        )

    def _proxy(self) -> str | None:
        """The proxy of the environment for this host, if it names one."""
        base = httpx.URL(self._base)
        if not self._use_proxies or urllib.request.proxy_bypass(base.host):
            return None
        known = urllib.request.getproxies()
        return known.get(base.scheme) or known.get("all")


@lru_cache(maxsize=4)
def _trusted(file: str | None, folder: str | None) -> ssl.SSLContext:
    """The certificates that the environment names, else those of certifi: read once, it takes longer than a request."""
    return httpx.create_ssl_context(trust_env=bool(file or folder))


@lru_cache(maxsize=128)
def _parsed(url: str) -> httpx.URL:
    return httpx.URL(url)
