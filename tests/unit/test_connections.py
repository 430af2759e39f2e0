"""Connections to one host: what their pools share."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import certifi
import httpx
import pytest

from shared.dataverse import connections
from shared.dataverse.connections import Connections


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, object]]]:
    """How certificates were read. The environment names none."""
    found: list[dict[str, object]] = []
    read = httpx.create_ssl_context

    def create(*, trust_env: bool) -> ssl.SSLContext:
        found.append({"trust_env": trust_env})
        return read(trust_env=trust_env)

    monkeypatch.setattr(httpx, "create_ssl_context", create)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    connections._trusted.cache_clear()
    yield found
    connections._trusted.cache_clear()


def open_pool(*, use_proxies: bool) -> None:
    Connections("https://contoso.crm.dynamics.com", timeout=1, use_proxies=use_proxies)._open().close()


def test_certificates_are_read_once_in_a_process(made: list[dict[str, object]]) -> None:
    for use_proxies in (True, True, False):
        open_pool(use_proxies=use_proxies)
    assert made == [{"trust_env": False}]


def test_certificates_that_the_environment_names_are_read(
    made: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_pool(use_proxies=True)
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    for _ in range(2):
        open_pool(use_proxies=True)
    assert made == [{"trust_env": False}, {"trust_env": True}]
    open_pool(use_proxies=False)
    assert len(made) == 2, "who is told where to connect asks nothing of the environment"
    monkeypatch.setenv("SSL_CERT_FILE", f"{certifi.where()}, which is not there")
    with pytest.raises(FileNotFoundError):
        open_pool(use_proxies=True)
