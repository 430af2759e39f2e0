"""What tests and the command line ask for beside the API, without a token: `/local/...`.

GET  /local                                the organizations that exist
GET  /local/{host}/statistics              what was counted since start or reset (statistics.py)
POST /local/{host}/statistics/reset
GET  /local/{host}/limits                  the profile in force (profiles.py); POST puts the one of the command line in
                                           force with changes, and empty windows; answers it
GET  /local/{host}/export                  {"tables": [logical names]}, but those about solutions
GET  /local/{host}/export/{table}          one row a line, Web API names, every column, sorted by primary key
POST /local/{host}/seed/{table}            rows that exist beforehand (seed.py); answers {"rows": n}
POST /local/{host}/definitions/{table}     a table of another kind, or managed (seed.py)
GET  /local/{host}/faults                  the faults still waiting (faults.py); POST replaces them
GET  /local/{host}/privileges              what the application user lacks (privileges.py); POST replaces it, answers it
POST /local/tokens/revoke                  every token issued so far becomes invalid
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from local.dataverse import access, seed
from local.dataverse.errors import DataverseError, invalid_argument, method_not_allowed, unknown_segment
from local.dataverse.metadata import PACKAGING
from local.dataverse.organization import Organization, Organizations
from local.dataverse.profiles import changed
from local.dataverse.render import Renderer
from local.dataverse.signin import SignIn
from local.dataverse.storage import quoted
from local.dataverse.webservers import WebServers
from local.dataverse.wire import Request, Response

EXPORT_ROWS = 500
LINE_ENDS = {ord(character): f"\\u{ord(character):04x}" for character in "\x85\u2028\u2029"}
"""JSON leaves these as they are, but much software takes them for the end of a line."""


def answer(organizations: Organizations, sign_in: SignIn, request: Request) -> Response:
    """Answer a request below /local. Raises DataverseError."""
    parts = request.path.strip("/").split("/")[1:]
    if not parts:
        return _json({"organizations": organizations.hosts()})
    if parts == ["tokens", "revoke"]:
        sign_in.revoke()
        return Response(204)
    try:
        organization = organizations[parts[0].lower()]
    except KeyError:
        raise unknown_segment(parts[0]) from None
    resource = RESOURCES.get(parts[1] if len(parts) > 1 else "")
    if resource is None:
        raise unknown_segment("/".join(parts[1:]))
    return resource(organization, request, parts[2:])


def _statistics(organization: Organization, request: Request, rest: list[str]) -> Response:
    if rest == ["reset"] and request.method == "POST":
        organization.statistics.reset()
        organization.web.reset()
        return Response(204)
    _only(request, "GET")
    counted = {**organization.statistics.report(), **organization.web.report()}
    return _json({"organization_id": organization.id, **counted})


def _limits(organization: Organization, request: Request, _: list[str]) -> Response:
    if request.method == "POST":
        organization.web = WebServers(changed(organization.profile, _read(request, b"{}")))
    else:
        _only(request, "GET")
    return _json(organization.web.profile.report())


def _faults(organization: Organization, request: Request, _: list[str]) -> Response:
    if request.method == "POST":
        organization.faults.replace(_read(request, b"[]"))
        return Response(204)
    _only(request, "GET")
    return _json({"faults": organization.faults.report()})


def _privileges(organization: Organization, request: Request, _: list[str]) -> Response:
    if request.method == "POST":
        organization.privileges.replace(request.body)
    else:
        _only(request, "GET")
    return _json(organization.privileges.report(set(access.known(organization))))


def _seed(organization: Organization, request: Request, rest: list[str]) -> Response:
    _only(request, "POST")
    if len(rest) != 1:
        raise unknown_segment("seed")
    return _json({"rows": seed.insert(organization, rest[0], request)})


def _definitions(organization: Organization, request: Request, rest: list[str]) -> Response:
    _only(request, "POST")
    if len(rest) != 1:
        raise unknown_segment("definitions")
    seed.define(organization, rest[0], request)
    return Response(204)


def _export(organization: Organization, request: Request, rest: list[str]) -> Response:
    _only(request, "GET")
    tables = organization.catalog.tables
    if not rest:
        return _json({"tables": sorted(set(tables) - PACKAGING)})
    if rest[0] not in tables:
        raise DataverseError(404, "0x80060888", f"There is no table '{rest[0]}'.")
    return Response(200, content_type="application/x-ndjson", stream=_lines(organization, rest[0]))


def _lines(organization: Organization, name: str) -> Iterator[bytes]:
    table = organization.catalog.tables[name]
    shown = Renderer(table, table.columns.values(), etag=False)
    sql = f"SELECT {shown.select} FROM {quoted(name)} ORDER BY {quoted(table.primary_id)}"
    with organization.store.snapshot() as connection:
        found = connection.execute(sql)
        while rows := found.fetchmany(EXPORT_ROWS):
            yield "".join(shown.row(row).translate(LINE_ENDS) + "\n" for row in rows).encode()


def _read(request: Request, nothing: bytes) -> Any:
    try:
        return json.loads(request.body or nothing)
    except ValueError:
        raise invalid_argument("The body is not JSON.") from None


def _only(request: Request, method: str) -> None:
    if request.method != method:
        raise method_not_allowed(request.method)


def _json(body: dict[str, Any]) -> Response:
    return Response(200, json.dumps(body, indent=1).encode(), content_type="application/json")


RESOURCES: dict[str, Callable[[Organization, Request, list[str]], Response]] = {
    "statistics": _statistics,
    "limits": _limits,
    "faults": _faults,
    "privileges": _privileges,
    "seed": _seed,
    "definitions": _definitions,
    "export": _export,
}
