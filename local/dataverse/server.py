"""Which request goes where: sign-in, the API of an organization, or the laboratory. Faults and latency act here."""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from dataclasses import dataclass

from local.dataverse import api, laboratory, limits, wire
from local.dataverse.call import Call, error_response, read_options
from local.dataverse.errors import DataverseError, bad_query, unknown_segment
from local.dataverse.faults import Fault
from local.dataverse.organization import Organization, Organizations
from local.dataverse.signin import SignIn, User, challenge, openid_configuration
from local.dataverse.wire import Request, Response

_log = logging.getLogger(__name__)
API = re.compile(r"/(?:([^/]+)/)?api/data/(v[^/]*)(?:/(.*))?", re.DOTALL)
TOKEN = re.compile(r"/([^/]+)/oauth2/v2\.0/token")
CONFIGURATION = re.compile(r"/([^/]+)/v2\.0/\.well-known/openid-configuration")


@dataclass(slots=True)
class Server:
    """Answers requests. `latency` in seconds is added to every API request; `scheme` is http or https."""

    organizations: Organizations
    sign_in: SignIn
    latency: float = 0.0
    parallelism: int = limits.RECOMMENDED_PARALLELISM
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
        fault = organization.faults.take(f"{request.method} {request.target}")
        response = self._faulty(organization, fault) if fault and not fault.after_commit else None
        if response is None:
            response = self._carry_out(organization, user, request, base, rest)
            if fault is not None:
                response = self._faulty(organization, fault)
        if self.latency:
            await asyncio.sleep(self.latency)
        return response

    def _carry_out(self, organization: Organization, user: User, request: Request, base: str, rest: str) -> Response:
        if wire.too_large(request):
            return error_response(DataverseError(413, "0x80040265", "The request body is too large."))
        user_id = str(uuid.uuid5(uuid.UUID(organization.id), user.client_id))
        call = Call(organization, request.method, rest, request.query, request.headers, request.body, base, user_id)
        response = api.dispatch(call)
        response.headers.append(("x-ms-service-request-id", str(uuid.uuid4())))
        if call.kind == "WhoAmI":
            response.headers.append(("x-ms-dop-hint", str(self.parallelism)))
        return response

    def _faulty(self, organization: Organization, fault: Fault) -> Response:
        organization.statistics.request("fault", None, 0 if fault.reset else fault.status)
        return Response(0, reset=True) if fault.reset else error_response(fault.error())

    def _organization(self, host: str) -> Organization:
        try:
            return self.organizations[host.lower()]
        except KeyError:
            raise unknown_segment(host) from None

    def _unauthorized(self, request: Request, host: str) -> Response:
        return Response(401, b"", [challenge(self._root(request), host)])

    def _root(self, request: Request) -> str:
        return f"{self.scheme}://{request.headers.get('host', '127.0.0.1')}"
