"""One Web API request, read: what every resource works on, and the forms of its answers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

from local.dataverse.errors import DataverseError
from local.dataverse.organization import Organization
from local.dataverse.wire import Response

PREFERENCE = re.compile(r'([\w.-]+)(?:\s*=\s*(?:"([^"]*)"|([^",;\s]*)))?')
JSON = "application/json; odata.metadata=minimal"
ODATA: tuple[tuple[str, str], ...] = (("OData-Version", "4.0"), ("Cache-Control", "no-cache"))


@dataclass(slots=True)
class Call:
    """One request to an organization's Web API; those inside a $batch are calls too.

    `path` is what follows `/api/data/v9.x/`, `base` the absolute address up to there with its slash. `kind` and `table`
    say for the statistics what the call turned out to be.
    """

    organization: Organization
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    base: str
    user_id: str = ""
    kind: str = "other"
    table: str | None = None
    options: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.query:
            self.options = read_options(self.query)

    def preference(self, name: str) -> str | None:
        """Return the value of a preference ("" for one without a value), None when it is not asked for."""
        if "prefer" not in self.headers:
            return None
        for key, quoted, plain in PREFERENCE.findall(self.headers["prefer"]):
            if key.lower() == name:
                return str(quoted or plain)
        return None

    def page_rows(self) -> int | None:
        """Return the page size that the request prefers, None when it has no preference."""
        value = self.preference("odata.maxpagesize")
        return max(1, int(value)) if value and value.isdecimal() else None


def read_options(query: str) -> dict[str, str]:
    """Return the options of a query string; `+` and `%20` are spaces."""
    found = {}
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            found[unquote_plus(name)] = unquote_plus(value)
    return found


def json_response(text: str | bytes, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """Return an answer with a JSON body."""
    body = text.encode() if isinstance(text, str) else text
    return Response(status, body, [*ODATA, *headers], JSON)


def no_content(headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """Return a 204."""
    return Response(204, b"", [*ODATA, *headers])


def error_response(error: DataverseError) -> Response:
    """Return a refusal in Dataverse's form."""
    return json_response(error.body(), error.status, error.headers)
