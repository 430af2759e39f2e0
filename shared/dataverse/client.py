"""One Dataverse organization, seen as one application user: requests with token, limiter and clear errors."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import httpx

from shared.dataverse.connections import Connections
from shared.dataverse.errors import AmbiguousError, Fault, Kind, classify_body, since_1970
from shared.dataverse.limiter import Limiter, Slot
from shared.dataverse.patience import Patience
from shared.errors import ConfigurationError, ThrottledError, TransientError

_log = logging.getLogger(__name__)

ROOT = "/api/data/v9.2/"
NO_FLOWS = {"MSCRM.SuppressCallbackRegistrationExpanderJob": "true", "MSCRM.SuppressDuplicateDetection": "true"}
"""No Power Automate flow is fired, no duplicate detected."""
NO_CUSTOM_LOGIC = {"MSCRM.BypassBusinessLogicExecution": "CustomSync,CustomAsync"}
_ODATA = {"Accept": "application/json", "OData-MaxVersion": "4.0", "OData-Version": "4.0"}
_JSON = "application/json; charset=utf-8"
_BYPASS_REFUSED = re.compile(r"prvBypass|BypassBusinessLogicExecution", re.IGNORECASE)
# Answers after which it is not known whether the request was carried out.
_UNKNOWN_OUTCOME = {500, 502, 504}
# Refusals whose Retry-After, where they have one, holds everything.
_MAY_WAIT = {429, 503}
# Nothing was sent: no connection was made.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class Tokens(Protocol):
    """Where tokens come from: shared.dataverse.signin.TokenSource."""

    def token(self, resource: str) -> str:
        """A valid bearer token."""
        ...

    def renew(self, resource: str, rejected: str | None = None) -> str:
        """A new token in place of a rejected one."""
        ...


@dataclass(frozen=True)
class Identity:
    """WhoAmI: GUIDs in lower case, and the degree of parallelism that Dataverse recommends, if it says so."""

    organization_id: str
    user_id: str
    dop_hint: int | None


class Client:
    """The Web API of one organization. Thread safe; close it, or use it as a context manager.

    `url` is the organization's own, for example https://contoso.crm.dynamics.com, and the resource of its tokens;
    `address` is where to connect instead, "{host}" standing for the URL's host; `timeout` of a request in seconds.
    `user` names the application user in messages.
    """

    def __init__(
        self,
        url: str,
        *,
        address: str | None = None,
        tokens: Tokens,
        limiter: Limiter,
        timeout: float = 120.0,
        patience: Patience | None = None,
        user: str = "",
    ) -> None:
        self.user = user
        self.url = url.rstrip("/")
        host = httpx.URL(self.url).host
        self.patience = patience or Patience()
        self.limiter = limiter
        self.timeout = timeout
        self.bypass_in_force = True
        self.user_id: str | None = None  # known after who_am_i
        self.organization_id: str | None = None  # as above
        self._base = (address.replace("{host}", host) if address else self.url).rstrip("/") + ROOT
        self._tokens = tokens
        self._connections = Connections(self._base, timeout=timeout, use_proxies=address is None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()

    @property
    def known_as(self) -> str:
        """The application user, for messages: as the settings and, once that is known, as Dataverse names it."""
        return " ".join(filter(None, (self.user, self.user_id)))

    def who_am_i(self, patience: Patience | None = None) -> Identity:
        """The organization and user behind this client. Starts the limiter at the recommended parallelism.

        Bypassing custom logic is tried again from now on. `patience`: another than the client's own.
        """
        response = self._get("WhoAmI", None, patience)
        found = _json(response, "WhoAmI")
        hint = response.headers.get("x-ms-dop-hint", "")
        identity = Identity(
            str(found["OrganizationId"]).lower(),
            str(found["UserId"]).lower(),
            int(hint) if hint.isdigit() and int(hint) > 0 else None,
        )
        self.user_id, self.organization_id = identity.user_id, identity.organization_id
        self.bypass_in_force = True  # until it is refused: the privilege may have been given since
        if identity.dop_hint is not None:
            self.limiter.advise(identity.dop_hint)
        return identity

    def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON of a GET, tried again while it fails for a passing reason. Raises as `request` and `expect` do."""
        return _json(self._get(path, headers), path)

    def request(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        before: Callable[[], None] | None = None,
        bypass: bool = False,
        rows: int = 0,
        kind: str = "",
    ) -> httpx.Response:
        """One answer: 2xx, or a refusal of what was sent (ask `fault`).

        `before` is called right before every single sending, after all waiting, and may raise ClaimLostError.
        `bypass`: skip the environment's custom logic, as long as the application user is allowed to. `rows`: how many
        it writes, so that the limiter sees when more at once make them slower than others of their `kind`.
        Raises ThrottledError, AmbiguousError (possibly carried out), TransientError (not carried out) and
        ConfigurationError. Not tried again here, but for a 401, with a new token, and for a refused bypass.
        """
        request = _Request(method, path, content, json, {**_ODATA, **(headers or {})}, before, rows, kind)
        bypassing = bypass and self.bypass_in_force
        response = self._signed(request, NO_CUSTOM_LOGIC if bypassing else {})
        if bypassing and not response.is_success and refuses_bypass(self.fault(response)):
            self.stop_bypassing()
            response = self._signed(request, {})
        if not response.is_success:
            self.raise_for(self.fault(response), path)
        return response

    def stop_bypassing(self) -> None:
        """Custom logic runs from now on: the application user lacks prvBypassCustomBusinessLogic."""
        self.bypass_in_force = False
        _log.warning("dataverse.bypass_refused", extra={"organization": self.url})

    def fault(self, response: httpx.Response) -> Fault:
        """What a refused request means."""
        served = since_1970(response.headers.get("Date"))  # a Retry-After with a date is one of the service's clock
        now = time.time() if served is None else served
        return classify_body(response.status_code, response.content, response.headers.get("Retry-After"), now=now)

    def expect(self, response: httpx.Response, what: str) -> None:
        """Raise ConfigurationError for a refusal where none is expected. `what` names it in the message."""
        if response.is_success:
            return
        fault = self.fault(response)
        if fault.kind is Kind.TIMEOUT:
            raise TransientError(f"{self.url}, {what}: {fault}")
        raise ConfigurationError(f"{self.url} refuses {what}: {fault}")

    def raise_for(self, fault: Fault, path: str, *, sent_at: float | None = None) -> None:
        """Raise what a fault of the service, of the moment or of the configuration is; return for all others.

        `sent_at`: when the request went out, by the limiter's clock, so that its faults slow it down once.
        """
        what = _what(path)
        extra = {"status": fault.status, "code": fault.code, "kind": fault.kind.value, "path": what}
        _log.info("dataverse.fault", extra=extra)
        message = f"{self.url}, {what}: {fault}"
        waits = fault.kind is Kind.TRANSIENT and fault.status in _MAY_WAIT and fault.retry_after is not None
        if fault.kind is Kind.THROTTLED or waits:  # a limit, also as a 503 or in a part of a batch; a busy service
            sent_at = self.limiter.clock() if sent_at is None else sent_at
            seconds = self.limiter.note_throttled(sent_at, fault.retry_after, fault.code)
            raise ThrottledError(message, seconds, code=fault.code)
        if fault.kind is Kind.TRANSIENT:
            if fault.status in _UNKNOWN_OUTCOME:
                raise AmbiguousError(message, timed_out=fault.status == 504)
            raise TransientError(message)
        if fault.kind is Kind.CONFIGURATION:
            raise ConfigurationError(f"{message} Application user: {self.known_as}." if self.known_as else message)

    def _get(self, path: str, headers: Mapping[str, str] | None, patience: Patience | None = None) -> httpx.Response:
        def call() -> httpx.Response:
            response = self.request("GET", path, headers=headers)
            self.expect(response, path.partition("?")[0])
            return response

        return (patience or self.patience).persist(call)

    def _signed(self, request: _Request, extra: Mapping[str, str]) -> httpx.Response:
        token = self._tokens.token(self.url)
        response = self._send(request, extra, token)
        if response.status_code == 401:
            token = self._tokens.renew(self.url, token)
            response = self._send(request, extra, token)
        return response

    def _send(self, request: _Request, extra: Mapping[str, str], token: str) -> httpx.Response:
        headers = {**request.headers, **extra, "Authorization": f"Bearer {token}"}
        if request.content is not None:
            headers.setdefault("Content-Type", _JSON)
        with self.limiter.slot() as slot:
            _wait_for_turn(slot, request.before)
            response = self._exchange(request, headers)
            self._note(slot, request, response)
        return response

    def _exchange(self, request: _Request, headers: dict[str, str]) -> httpx.Response:
        what = f"{request.method} {request.path.partition('?')[0]}"
        try:
            url = self._base + request.path
            return self._connections.exchange(request.method, url, headers, content=request.content, json=request.json)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise ConfigurationError(f"{self.url} is no address that can be called: {error}") from error
        except _NOT_SENT as error:
            raise TransientError(f"{self.url} cannot be reached ({type(error).__name__}).") from error
        except httpx.RequestError as error:
            timed_out = isinstance(error, httpx.TimeoutException)
            reason = "took too long" if timed_out else f"broke off ({type(error).__name__})"
            message = f"{self.url}: {what} {reason}; whether it was carried out is unknown."
            raise AmbiguousError(message, timed_out=timed_out) from error

    def _note(self, slot: Slot, request: _Request, response: httpx.Response) -> None:
        if response.status_code == 429 and (fault := self.fault(response)).kind is Kind.THROTTLED:
            seconds = slot.throttled(fault.retry_after, fault.code)
            _log.warning("dataverse.throttled", extra={"code": fault.code, "retry_after": seconds})
            raise ThrottledError(f"{self.url}: {fault}", seconds, code=fault.code)
        if response.status_code < 500:
            written = request.rows if response.is_success else 0  # what is refused says nothing of the price of a row
            slot.answered(
                response.elapsed.total_seconds(), written, request.kind or f"{request.method} {_what(request.path)}"
            )


def refuses_bypass(fault: Fault) -> bool:
    """Whether a fault is the missing privilege to skip custom logic: the request is sound without it."""
    return fault.kind is Kind.CONFIGURATION and _BYPASS_REFUSED.search(fault.message) is not None


def _json(response: httpx.Response, path: str) -> Any:
    try:
        return response.json()
    except ValueError as error:
        what = f"{response.request.url.host}, {_what(path)}"
        raise TransientError(f"{what}: the answer is not JSON. Is there a proxy or firewall between?") from error


def _what(path: str) -> str:
    """What a request speaks to, without keys and queries: for logs, and to tell calls of different prices apart."""
    return path.partition("?")[0].partition("(")[0]


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    content: bytes | None
    json: Any
    headers: dict[str, str]
    before: Callable[[], None] | None
    rows: int
    kind: str


def _wait_for_turn(slot: Slot, before: Callable[[], None] | None) -> None:
    """Wait, call `before`, and look again: another request may have been told to wait in the meantime."""
    while True:
        slot.wait()
        if before is not None:
            before()
        if slot.hold_seconds() <= 0:
            slot.sent()
            return
