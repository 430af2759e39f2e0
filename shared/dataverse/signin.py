"""Tokens for Dataverse by msal: client secret, certificate or managed identity.

Sources: "Use OAuth authentication with Microsoft Dataverse" and msal's own documentation. msal is imported when the
first token is needed: it is slow to import.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from shared.dataverse.errors import seconds_of, since_1970
from shared.errors import ConfigurationError, ThrottledError, TransientError

_log = logging.getLogger(__name__)

_SIGN_IN_SECONDS = 20
_AHEAD_SECONDS = 300.0
_AGAIN_SECONDS = 20.0  # after the identity provider was away, while the old token serves
_RETRYABLE = {408, 425, 429, 500, 502, 503, 504}
_PUBLIC_AUTHORITIES = ("login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn")
_AADSTS = re.compile(r"AADSTS\d+")


@dataclass(frozen=True)
class Credentials:
    """How the app signs in. Neither secret nor certificate: managed identity, user-assigned if there is a client id.

    `client_certificate` is the path of a PEM file with private key and certificate; `name` is the application user's in
    the settings, empty for the first one.
    """

    tenant_id: str | None = None
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    client_certificate: Path | None = None
    authority: str = "https://login.microsoftonline.com"
    name: str = ""

    @property
    def user(self) -> str:
        """The application user, for messages."""
        return f'"{self.name}" ({self.client_id})' if self.name else self.client_id or "the app's managed identity"

    def setting(self, part: str) -> str:
        """The setting that holds a part of it."""
        return f"DATAVERSE_{part}__{self.name}" if self.name else f"DATAVERSE_{part}"

    @property
    def way(self) -> str:
        """The way of signing in, for messages."""
        if self.client_secret:
            return "client secret"
        return "certificate" if self.client_certificate else "managed identity"


@dataclass(frozen=True)
class _Token:
    value: str = field(repr=False)
    renew_at: float
    ends_at: float


class TokenSource:
    """Bearer tokens for resources such as https://contoso.crm.dynamics.com. Thread safe.

    A token is renewed five minutes before it ends, by one thread. Raises ConfigurationError when the identity provider
    refuses, TransientError when it cannot be reached, ThrottledError when it asked to wait (it is not asked before); no
    message holds a secret or a token.
    """

    def __init__(self, credentials: Credentials, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._credentials = credentials
        self._clock = clock
        self._tokens: dict[str, _Token] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._not_before = clock()  # Retry-After of the identity provider

    def token(self, resource: str) -> str:
        """A valid token for the resource, from memory if possible. While one thread renews it, others use the old."""
        found = self._tokens.get(resource)
        now = self._clock()
        if found is not None and now < found.renew_at:
            return found.value
        serves = found is not None and now < found.ends_at
        lock = self._lock(resource)
        if not lock.acquire(blocking=not serves):
            return found.value if found is not None else self.token(resource)
        try:
            return self._renewed(resource)
        finally:
            lock.release()

    def renew(self, resource: str, rejected: str | None = None) -> str:
        """A new token after a 401. `rejected` is the refused one: it is replaced once, not by each thread."""
        with self._lock(resource):
            found = self._tokens.get(resource)
            if found is not None and rejected is not None and found.value != rejected:
                return found.value
            return self._fetch(resource)

    def _lock(self, resource: str) -> threading.Lock:
        return self._locks.setdefault(resource, threading.Lock())

    def _renewed(self, resource: str) -> str:
        found = self._tokens.get(resource)
        if found is not None and self._clock() < found.renew_at:
            return found.value  # somebody else was faster
        try:
            return self._fetch(resource)
        except TransientError:
            if found is not None and self._clock() < found.ends_at:
                self._tokens[resource] = replace(found, renew_at=self._clock() + _AGAIN_SECONDS)
                return found.value  # the old one still serves
            raise

    def _fetch(self, resource: str) -> str:
        if (seconds := self._not_before - self._clock()) > 0:
            raise ThrottledError(f"Signing in to {resource}: not for {seconds:.0f} seconds, as asked.", seconds)
        try:
            # Always a new msal application: its own cache would hand out a rejected token again.
            answer, last = _acquire(self._credentials, resource)
            if "access_token" not in answer:
                raise _refusal(self._credentials, resource, answer, last)
        except ThrottledError as error:
            self._not_before = self._clock() + error.retry_after
            raise
        life = float(answer.get("expires_in", 0))
        now = self._clock()
        token = _Token(str(answer["access_token"]), now + max(life - _AHEAD_SECONDS, life / 2), now + life)
        self._tokens[resource] = token
        _log.info("dataverse.signed_in", extra={"resource": resource, "way": self._credentials.way, "life": life})
        return token.value


@dataclass
class _Last:
    """The last HTTP answer of the identity provider. `status` 0: none; `retry_after` in seconds."""

    status: int = 0
    retry_after: float | None = None


def _acquire(credentials: Credentials, resource: str) -> tuple[dict[str, Any], _Last]:
    """What msal answers, and the last HTTP answer behind it."""
    import msal  # noqa: PLC0415 (slow import)
    import requests  # noqa: PLC0415 (slow import, with msal)

    last = _Last()
    with _session(last, use_proxies=credentials.way != "managed identity") as session:
        try:
            return _ask(credentials, resource, session), last
        except requests.RequestException as error:
            raise TransientError(f"Signing in to {resource}: no answer ({type(error).__name__}).") from error
        except (ValueError, msal.exceptions.MsalError) as error:
            if last.status in _RETRYABLE:
                raise _passing(resource, last) from error
            raise ConfigurationError(_advice(credentials, resource, "the sign-in settings cannot be used")) from error


def _ask(credentials: Credentials, resource: str, session: Any) -> dict[str, Any]:
    import msal  # noqa: PLC0415 (slow import)

    if credentials.way == "managed identity":
        identity = (
            msal.UserAssignedManagedIdentity(client_id=credentials.client_id)
            if credentials.client_id
            else msal.SystemAssignedManagedIdentity()
        )
        managed = msal.ManagedIdentityClient(identity, http_client=session)
        return dict(managed.acquire_token_for_client(resource=resource))
    application = msal.ConfidentialClientApplication(
        credentials.client_id,
        client_credential=credentials.client_secret or _certificate(credentials),
        authority=f"{credentials.authority.rstrip('/')}/{credentials.tenant_id}",
        instance_discovery=credentials.authority.rstrip("/").endswith(_PUBLIC_AUTHORITIES),
        http_client=session,
    )
    return dict(application.acquire_token_for_client(scopes=[f"{resource}/.default"]))


def _certificate(credentials: Credentials) -> dict[str, str]:
    path, setting = Path(credentials.client_certificate or ""), credentials.setting("CLIENT_CERTIFICATE")
    try:
        pem = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{setting}: {path} cannot be read as PEM ({type(error).__name__}).") from error
    if "PRIVATE KEY-----" not in pem or "BEGIN CERTIFICATE-----" not in pem:
        raise ConfigurationError(f"{setting}: {path} must hold a private key and its certificate.")
    return {"private_key": pem, "public_certificate": pem}


def _session(last: _Last, *, use_proxies: bool) -> Any:
    """A session of requests with a time limit that notes the last answer."""
    import requests  # noqa: PLC0415 (slow import, with msal)
    from requests.adapters import HTTPAdapter  # noqa: PLC0415

    class Limited(HTTPAdapter):
        def send(self, *arguments: Any, **options: Any) -> Any:
            options["timeout"] = options.get("timeout") or _SIGN_IN_SECONDS
            answer = super().send(*arguments, **options)
            last.status = answer.status_code
            served = since_1970(answer.headers.get("Date"))
            now = time.time() if served is None else served
            last.retry_after = seconds_of(answer.headers.get("Retry-After"), now=now)
            return answer

    session = requests.Session()
    session.trust_env = use_proxies
    session.mount("https://", Limited())
    session.mount("http://", Limited())
    return session


def _passing(resource: str, last: _Last) -> TransientError:
    """What a fault that may pass is; with Retry-After the same for all threads."""
    message = f"Signing in to {resource}: HTTP {last.status}."
    return TransientError(message) if last.retry_after is None else ThrottledError(message, last.retry_after)


def _refusal(credentials: Credentials, resource: str, answer: dict[str, Any], last: _Last) -> Exception:
    if last.status in _RETRYABLE:
        return _passing(resource, last)
    number = _AADSTS.search(str(answer.get("error_description", "")))
    reason = f"{answer.get('error', 'no token')}{f' ({number.group()})' if number else ''}"
    return ConfigurationError(_advice(credentials, resource, reason))


def _advice(credentials: Credentials, resource: str, reason: str) -> str:
    client_id, tenant = credentials.setting("CLIENT_ID"), "DATAVERSE_TENANT_ID"
    names = {
        "client secret": f"{tenant}, {client_id} and {credentials.setting('CLIENT_SECRET')}",
        "certificate": f"{tenant}, {client_id} and {credentials.setting('CLIENT_CERTIFICATE')}",
        "managed identity": f"the app's managed identity ({client_id} names a user-assigned one)",
    }
    who = f" as {credentials.user}" if credentials.name else ""
    return f"Signing in to {resource}{who} by {credentials.way} was refused: {reason}. Check {names[credentials.way]}."
