"""Which request goes where: sign-in, the API of an organization, or the laboratory.

Between sign-in and the API stand the web servers with their service protection; then faults act. Whatever time a
request is made to take passes without holding up others.
"""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from dataclasses import dataclass

from local.dataverse import api, laboratory, timing, wire
from local.dataverse.call import Call, error_response, read_options
from local.dataverse.errors import DataverseError, bad_query, unknown_segment
from local.dataverse.faults import Fault
from local.dataverse.organization import Organization, Organizations
from local.dataverse.signin import SignIn, challenge, openid_configuration
from local.dataverse.webservers import Visit
from local.dataverse.wire import Request, Response

_log = logging.getLogger(__name__)
API = re.compile(r"/(?:([^/]+)/)?api/data/(v[^/]*)(?:/(.*))?", re.DOTALL)
TOKEN = re.compile(r"/([^/]+)/oauth2/v2\.0/token")
CONFIGURATION = re.compile(r"/([^/]+)/v2\.0/\.well-known/openid-configuration")


@dataclass(slots=True)
class Server:
    """Answers requests; `scheme` is http or https."""

    organizations: Organizations
    sign_in: SignIn
    scheme: str = "http"

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        try:
            match = API.fullmatch(request.path)
            if match is not None:
                return await self._api(request, match[1] or "", match[2], match[3] or "")
            return self._beside(request)
        except DataverseError as error:
            return error_response(error)
        except Exception:  # noqa: BLE001 - whatever it is, the client gets an answer and the log the reason
            _log.exception("%s %s failed", request.method, request.path)
            message = "An unexpected error occurred: this is a fault of the local Dataverse; its log has the details."
            return error_response(DataverseError(500, "0x80040216", message))

    def _beside(self, request: Request) -> Response:
        if request.path == "/msi/token" and request.method == "GET":
            return self.sign_in.managed_identity(request)
        if request.path == "/local" or request.path.startswith("/local/"):
            return laboratory.answer(self.organizations, self.sign_in, request)
        if (match := TOKEN.fullmatch(request.path)) and request.method == "POST":
            return self.sign_in.client_credentials(request, match[1])
        if match := CONFIGURATION.fullmatch(request.path):
            return openid_configuration(self._root(request), match[1])
        raise unknown_segment(request.path.strip("/"))

    async def _api(self, request: Request, host: str, version: str, rest: str) -> Response:
        """Answer a request to an organization's API.

        Without an organization in the path the Host header names it, as the real service's address does.
        """
        named = host or request.headers.get("host", "").partition(":")[0]
        user = self.sign_in.user(request.headers.get("authorization", ""))
        if user is None or user.host != named.lower():
            return self._unauthorized(request, named)
        organization = self._organization(named)
        organization.statistics.seen(request.headers, read_options(request.query).get("tag"))
        if not re.fullmatch(r"v9\.\d", version):
            message = f"Requested API Version '{version}' was not understood: only v9.x is served here."
            raise bad_query(message)
        base = f"{self._root(request)}/{host + '/' if host else ''}api/data/{version}/"
        web = organization.web
        visit = web.arrive(user.client_id, request.headers.get("cookie", ""))
        if error := visit.error():
            organization.statistics.request("service protection", None, error.status)
            response = error_response(error)
        else:
            call = Call(organization, request.method, rest, request.query, request.headers, request.body, base)
            call.user_id = organization.user_id(user.client_id)
            response = await self._taken(request, call, visit)
        response.headers = [*response.headers, *visit.headers()]
        if web.profile.latency:
            await asyncio.sleep(web.profile.latency)
        return response

    async def _taken(self, request: Request, call: Call, visit: Visit) -> Response:
        """Answer a request that service protection lets through. The time it costs passes after its commit."""
        began, took = visit.servers.clock(), 0.0
        try:
            fault = call.organization.faults.take(f"{request.method} {request.target}")
            if fault and fault.replaces and not fault.after_commit:
                response = self._faulty(request, call, visit, fault, Response(0))
                took = visit.seconds(0, 0)
            else:
                response, rows, operations = self._carry_out(request, call)
                took = visit.seconds(rows, operations)
                response = self._faulty(request, call, visit, fault, response) if fault else response
            passed = visit.servers.clock() - began
            took = max(passed, took + (fault.slow if fault else 0.0))
            if took > passed:
                await asyncio.sleep(took - passed)
            return response
        finally:
            visit.finish(took)

    def _carry_out(self, request: Request, call: Call) -> tuple[Response, int, int]:
        """Return the answer, and how many bulk rows and other operations there were to carry out."""
        if wire.too_large(request):
            return error_response(DataverseError(413, "0x80040265", "The request body is too large.")), 0, 0
        before = call.organization.statistics.operations
        response = api.dispatch(call)
        response.headers = [*response.headers, ("x-ms-service-request-id", str(uuid.uuid4()))]
        rows = timing.bulk_rows(call.path, request.body)
        operations = call.organization.statistics.operations - before - (1 if call.kind == "$batch" else 0)
        return response, rows, 0 if rows and call.kind != "$batch" else operations

    def _faulty(self, request: Request, call: Call, visit: Visit, fault: Fault, response: Response) -> Response:
        """Return what a fault makes of an answer."""
        statistics = call.organization.statistics
        statistics.fault(fault.name)
        if fault.reset:
            statistics.request("fault", None, 0)
            return Response(0, reset=True)
        if fault.token_expired:
            self.sign_in.expire(request.headers.get("authorization", ""))
            statistics.request("fault", None, 401)
            return self._unauthorized(request, call.organization.host)
        if fault.status is not None:
            statistics.request("fault", None, fault.status)
            if fault.status == 429 and fault.retry_after:
                visit.told(fault.retry_after)
            return error_response(fault.error())
        response.truncated = fault.truncated
        return response

    def _organization(self, host: str) -> Organization:
        try:
            return self.organizations[host.lower()]
        except KeyError:
            raise unknown_segment(host) from None

    def _unauthorized(self, request: Request, host: str) -> Response:
        return Response(401, b"", [challenge(self._root(request), host)])

    def _root(self, request: Request) -> str:
        return f"{self.scheme}://{request.headers.get('host', '127.0.0.1')}"
