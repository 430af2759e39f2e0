"""How clients reach the broker."""

from __future__ import annotations


def connection_string(port: int) -> str:
    """For the azure-servicebus SDK; the last part makes it speak plain TCP. The broker checks no key."""
    where = f"Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=local;SharedAccessKey=local;"
    return where + "UseDevelopmentEmulator=true;"
