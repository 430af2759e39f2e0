"""Tokens: the managed identity endpoint of App Service, and client credentials as Microsoft Entra ID issues them.

Tokens are signed JWTs, so they stay valid when the server is started again on the same directory.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local.dataverse.wire import Request, Response

SYSTEM_ASSIGNED = str(uuid.uuid5(uuid.NAMESPACE_URL, "system-assigned-identity"))
TENANT = str(uuid.uuid5(uuid.NAMESPACE_URL, "tenant"))


@dataclass(frozen=True, slots=True)
class User:
    """Who calls: the application's client id, and the organization host that its token is for."""

    client_id: str
    host: str


class SignIn:
    """Issues and checks tokens. `lifetime` is in seconds; `identity_header` None turns managed identity off."""

    def __init__(
        self, directory: Path, *, identity_header: str | None, lifetime: float, clients: dict[str, str]
    ) -> None:
        self._identity_header = identity_header
        self._lifetime = lifetime
        self._clients = clients
        self._known: dict[str, tuple[User, float]] = {}
        self._expired: set[str] = set()
        self._secret = _secret(directory / "signing.key")

    def revoke(self) -> None:
        """Make every token issued so far invalid."""
        self._known.clear()
        self._secret = secrets.token_bytes(32)

    def expire(self, authorization: str) -> None:
        """Make the token of an Authorization header invalid, as if its time were over."""
        self._expired.add(authorization.partition(" ")[2])

    def user(self, authorization: str) -> User | None:
        """Return whose valid token an Authorization header carries, None for any other."""
        kind, _, token = authorization.partition(" ")
        if kind.lower() != "bearer":
            return None
        known = self._known.get(token)
        if known is None:
            known = self._read(token)
            if known is None:
                return None
            self._known[token] = known
        return known[0] if known[1] > time.time() and token not in self._expired else None

    def managed_identity(self, request: Request) -> Response:
        """Answer `GET /msi/token?api-version=2019-08-01&resource=...`."""
        options = parse_qs(request.query)
        if self._identity_header is None or request.headers.get("x-identity-header") != self._identity_header:
            return _answer(401, {"statusCode": 401, "message": "The X-IDENTITY-HEADER is missing or not the expected."})
        resource = options.get("resource", [""])[0]
        if options.get("api-version") != ["2019-08-01"] or not urlsplit(resource).hostname:
            return _answer(400, {"statusCode": 400, "message": "api-version=2019-08-01 and a resource are expected."})
        client_id = options.get("client_id", [SYSTEM_ASSIGNED])[0]
        token, expires = self._issue(resource, client_id)
        body = {"access_token": token, "expires_on": str(int(expires)), "resource": resource, "token_type": "Bearer"}
        return _answer(200, {**body, "client_id": client_id})

    def client_credentials(self, request: Request, tenant: str) -> Response:
        """Answer `POST /{tenant}/oauth2/v2.0/token`."""
        form = {name: found[0] for name, found in parse_qs(request.body.decode("utf-8", "replace")).items()}
        client_id, scope = form.get("client_id", ""), form.get("scope", "").split(" ")[0]
        if form.get("grant_type") != "client_credentials":
            return _refused("unsupported_grant_type", "AADSTS70003: The grant type is not supported here.", 400)
        if not scope.endswith("/.default") or not urlsplit(scope).hostname:
            return _refused("invalid_scope", f"AADSTS70011: The provided value for scope {scope} is not valid.", 400)
        if not self._proves(client_id, form, tenant):
            return _refused("invalid_client", "AADSTS7000215: Invalid client secret provided.", 401)
        token, expires = self._issue(scope.removesuffix("/.default"), client_id)
        lifetime = int(expires - time.time())
        body = {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token}
        return _answer(200, body)

    def _proves(self, client_id: str, form: dict[str, str], tenant: str) -> bool:
        """Check a secret, or a client assertion but for its signature: its certificate is not known here."""
        if not client_id or (self._clients and client_id not in self._clients):
            return False
        if "client_assertion" in form:
            claims = _claims(form["client_assertion"])
            current = isinstance(claims.get("exp"), int | float) and claims["exp"] > time.time()
            return current and claims.get("sub") == client_id and tenant in str(claims.get("aud"))
        secret = form.get("client_secret", "")
        return secret == self._clients[client_id] if self._clients else bool(secret)

    def _issue(self, resource: str, client_id: str) -> tuple[str, float]:
        now = time.time()
        expires = now + self._lifetime
        claims = {
            "aud": resource,
            "appid": client_id,
            "tid": TENANT,
            "iat": now,
            "exp": expires,
            "uti": secrets.token_hex(8),
        }
        body = _encoded({"typ": "JWT", "alg": "HS256"}) + "." + _encoded(claims)
        return body + "." + self._signature(body), expires

    def _signature(self, body: str) -> str:
        return _base64(hmac.digest(self._secret, body.encode(), hashlib.sha256))

    def _read(self, token: str) -> tuple[User, float] | None:
        body, _, signature = token.rpartition(".")
        if not hmac.compare_digest(self._signature(body).encode(), signature.encode()):
            return None
        claims = _claims(token)
        return User(claims["appid"], urlsplit(claims["aud"]).hostname or ""), claims["exp"]


def openid_configuration(base: str, tenant: str) -> Response:
    """Answer `GET /{tenant}/v2.0/.well-known/openid-configuration`, which msal asks for an authority of its own."""
    authority = f"{base}/{tenant}"
    return _answer(
        200,
        {
            "issuer": f"{authority}/v2.0",
            "authorization_endpoint": f"{authority}/oauth2/v2.0/authorize",
            "token_endpoint": f"{authority}/oauth2/v2.0/token",
            "jwks_uri": f"{authority}/discovery/v2.0/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
        },
    )


def challenge(base: str, host: str) -> tuple[str, str]:
    """Return the header of a 401 that names the authority and the resource."""
    text = f"Bearer authorization_uri={base}/{TENANT}/oauth2/authorize, resource_id=https://{host}/"
    return "WWW-Authenticate", text


def _secret(path: Path) -> bytes:
    if not path.exists():
        path.write_bytes(secrets.token_bytes(32))
        path.chmod(0o600)
    return path.read_bytes()


def _answer(status: int, body: dict[str, Any]) -> Response:
    return Response(
        status, json.dumps(body).encode(), [("Cache-Control", "no-store")], "application/json; charset=utf-8"
    )


def _refused(error: str, description: str, status: int) -> Response:
    return _answer(status, {"error": error, "error_description": description, "error_codes": [], "trace_id": ""})


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _encoded(content: dict[str, Any]) -> str:
    return _base64(json.dumps(content).encode())


def _claims(token: str) -> dict[str, Any]:
    """Return the claims of a JWT without checking it; {} when it is none."""
    try:
        body = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, IndexError):
        return {}
    return found if isinstance(found, dict) else {}
