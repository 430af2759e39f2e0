"""Reading many rows, page by page. Source: "Page results using OData" of Microsoft's Dataverse documentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shared.dataverse.client import ROOT, Client
from shared.errors import TransientError

PAGE_ROWS = 5_000
"""The most that Dataverse gives at once."""


def pages(client: Client, path: str, *, rows: int = PAGE_ROWS) -> Iterator[list[Mapping[str, Any]]]:
    """The rows that a query answers, in pages of at most that many. Raises as `Client.get` does."""
    headers = {"Prefer": f"odata.maxpagesize={rows}"}
    while path:
        answer = client.get(path, headers=headers)
        yield answer["value"]
        path = _within(answer.get("@odata.nextLink", ""), client.url)


def _within(link: str, url: str) -> str:
    """The next page's path: the link is opaque but for the address, which is another one behind a gateway."""
    _, root, path = link.partition(ROOT)
    if link and not root:
        raise TransientError(f"{url}: the link to the next page is not one of the Web API.")
    return path
