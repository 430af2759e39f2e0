"""Sign-in by msal over real sockets: an https authority with a certificate made here, and a managed identity."""

import base64
import datetime as dt
import hashlib
import ipaddress
import json
import logging
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from shared.dataverse.signin import Credentials, TokenSource
from shared.errors import ConfigurationError, ThrottledError, TransientError

ORGANIZATION = "https://contoso.crm.dynamics.com"
TENANT, CLIENT = "7c5e7f9a-0000-4000-8000-000000000001", "7c5e7f9a-0000-4000-8000-000000000002"
SECRET = "correct horse battery staple"


def certificate(name: str) -> tuple[rsa.RSAPrivateKey, x509.Certificate, bytes]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + made.public_bytes(serialization.Encoding.PEM)
    return key, made, pem


def opened() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@dataclass
class Provider:
    """An identity provider: what it was asked, and what it answers next."""

    url: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    refuse: tuple[int, dict[str, str]] | None = None
    life: int = 3600
    identity_header: str = "let me in"
    retry_after: str = ""

    open: threading.Event = field(default_factory=opened)  # cleared: it takes its time

    def token(self, question: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.asked.append(question)
        self.open.wait(10)
        if self.refuse is not None:
            return self.refuse
        token = f"token-{len(self.asked)}"
        return 200, {"token_type": "Bearer", "expires_in": self.life, "access_token": token}

    def identity_token(self, question: dict[str, str], header: str | None) -> tuple[int, dict[str, Any]]:
        if header != self.identity_header:
            return 401, {"statusCode": 401, "message": "wrong header"}
        status, answer = self.token(question)
        if status == 200:
            answer["expires_on"] = str(int(time.time()) + self.life)
            answer["resource"] = question["resource"]
        return status, answer

    def openid_configuration(self) -> dict[str, str]:
        base = f"{self.url}/{TENANT}"
        return {
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
        }


def serve(provider: Provider, context: ssl.SSLContext | None) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path.endswith("/openid-configuration"):
                self.answer(200, provider.openid_configuration())
                return
            question = {name: values[0] for name, values in parse_qs(parts.query).items()}
            self.answer(*provider.identity_token(question, self.headers.get("X-IDENTITY-HEADER")))

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.answer(*provider.token({name: values[0] for name, values in form.items()}))

        def answer(self, status: int, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if provider.retry_after and status != 200:
                self.send_header("Retry-After", provider.retry_after)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    provider.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}).start()
    return server


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    _, made, pem = certificate("authority")
    (tmp_path / "server.pem").write_bytes(pem)
    (tmp_path / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    provider = Provider()
    server = serve(provider, context)
    yield provider
    server.shutdown()
    server.server_close()


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    provider = Provider()
    server = serve(provider, None)
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{provider.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", provider.identity_header)
    yield provider
    server.shutdown()
    server.server_close()


def with_secret(authority: Provider) -> Credentials:
    return Credentials(tenant_id=TENANT, client_id=CLIENT, client_secret=SECRET, authority=authority.url)


def test_a_client_secret_buys_a_token_once(authority: Provider) -> None:
    source = TokenSource(with_secret(authority))
    assert source.token(ORGANIZATION) == source.token(ORGANIZATION) == "token-1"
    (asked,) = authority.asked
    assert asked["grant_type"] == "client_credentials"
    assert asked["client_secret"] == SECRET
    assert asked["scope"] == f"{ORGANIZATION}/.default"


def test_a_token_is_renewed_ahead_of_its_end(authority: Provider) -> None:
    now = [0.0]
    source = TokenSource(with_secret(authority), clock=lambda: now[0])
    source.token(ORGANIZATION)
    now[0] = 3299.0
    assert source.token(ORGANIZATION) == "token-1"
    now[0] = 3301.0
    assert source.token(ORGANIZATION) == "token-2"


def test_others_use_the_old_token_while_one_thread_renews_it(authority: Provider) -> None:
    now = [0.0]
    source = TokenSource(with_secret(authority), clock=lambda: now[0])
    source.token(ORGANIZATION)
    now[0] = 3400.0
    authority.open.clear()
    renewing = threading.Thread(target=source.token, args=(ORGANIZATION,))
    renewing.start()
    while len(authority.asked) < 2:
        time.sleep(0.001)
    assert [source.token(ORGANIZATION) for _ in range(3)] == ["token-1"] * 3
    authority.open.set()
    renewing.join()
    assert source.token(ORGANIZATION) == "token-2"


def test_many_threads_wait_for_the_first_token_and_buy_one(authority: Provider) -> None:
    source = TokenSource(with_secret(authority))
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(source.token(ORGANIZATION))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["token-1"] * 6
    assert len(authority.asked) == 1


def test_a_provider_that_is_away_is_not_asked_at_every_request(authority: Provider) -> None:
    now = [0.0]
    source = TokenSource(with_secret(authority), clock=lambda: now[0])
    source.token(ORGANIZATION)
    authority.refuse = (503, {"error": "temporarily_unavailable"})
    now[0] = 3400.0
    source.token(ORGANIZATION)
    asked = len(authority.asked)
    source.token(ORGANIZATION)
    assert len(authority.asked) == asked
    now[0] += 21.0
    source.token(ORGANIZATION)
    assert len(authority.asked) > asked


def test_a_provider_that_asks_to_wait_is_not_asked_before(authority: Provider) -> None:
    now = [0.0]
    source = TokenSource(with_secret(authority), clock=lambda: now[0])
    authority.refuse, authority.retry_after = (429, {"error": "too_many_requests"}), "60"
    with pytest.raises(ThrottledError) as raised:
        source.token(ORGANIZATION)
    assert raised.value.retry_after == 60
    asked, authority.refuse, now[0] = len(authority.asked), None, 59.0
    with pytest.raises(ThrottledError) as raised:
        source.token(ORGANIZATION)
    assert (raised.value.retry_after, len(authority.asked)) == (1, asked)
    now[0] = 60.0
    assert source.token(ORGANIZATION)


def test_a_401_in_the_middle_of_a_run_renews_each_users_token_once(authority: Provider) -> None:
    first, second = TokenSource(with_secret(authority)), TokenSource(with_secret(authority))
    rejected = {source: source.token(ORGANIZATION) for source in (first, second)}
    renewed: list[tuple[TokenSource, str]] = []

    def renew(source: TokenSource) -> None:
        renewed.append((source, source.renew(ORGANIZATION, rejected[source])))

    threads = [threading.Thread(target=renew, args=(source,)) for source in (first, second) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(authority.asked) == 4
    assert len({token for source, token in renewed if source is first}) == 1
    assert len({token for source, token in renewed if source is second}) == 1


def test_neither_secrets_nor_tokens_are_logged(authority: Provider, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        source = TokenSource(with_secret(authority))
        source.renew(ORGANIZATION, source.token(ORGANIZATION))
        authority.refuse = (401, {"error": "invalid_client", "error_description": f"AADSTS1: wrong {SECRET}"})
        with pytest.raises(ConfigurationError):
            source.renew(ORGANIZATION)
    logged = "".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "dataverse.signed_in" in logged
    assert SECRET not in logged
    assert "token-" not in logged


def test_the_old_token_serves_while_the_provider_is_away(authority: Provider) -> None:
    now = [0.0]
    source = TokenSource(with_secret(authority), clock=lambda: now[0])
    source.token(ORGANIZATION)
    authority.refuse = (503, {"error": "temporarily_unavailable"})
    now[0] = 3400.0
    assert source.token(ORGANIZATION) == "token-1"
    now[0] = 3601.0
    with pytest.raises(TransientError):
        source.token(ORGANIZATION)


def test_a_rejected_token_is_replaced_once_by_many_threads(authority: Provider) -> None:
    source = TokenSource(with_secret(authority))
    rejected = source.token(ORGANIZATION)
    renewed: list[str] = []
    threads = [
        threading.Thread(target=lambda: renewed.append(source.renew(ORGANIZATION, rejected)), name=str(number))
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert renewed == ["token-2"] * 6
    assert len(authority.asked) == 2


def test_a_refused_secret_says_what_to_check_and_no_secret(authority: Provider) -> None:
    description = f"AADSTS7000215: Invalid client secret provided: {SECRET}."
    authority.refuse = (401, {"error": "invalid_client", "error_description": description})
    with pytest.raises(ConfigurationError) as raised:
        TokenSource(with_secret(authority)).token(ORGANIZATION)
    message = str(raised.value)
    assert "AADSTS7000215" in message
    assert "DATAVERSE_CLIENT_SECRET" in message
    assert SECRET not in message
    assert SECRET not in repr(with_secret(authority))


def test_a_certificate_signs_an_assertion(authority: Provider, tmp_path: Path) -> None:
    key, made, pem = certificate("app")
    path = tmp_path / "app.pem"
    path.write_bytes(pem)
    credentials = Credentials(tenant_id=TENANT, client_id=CLIENT, client_certificate=path, authority=authority.url)
    assert TokenSource(credentials).token(ORGANIZATION) == "token-1"
    header, claims, signature = authority.asked[0]["client_assertion"].split(".")
    decoded = json.loads(unpadded(header))
    assert decoded["alg"] == "PS256"
    assert unpadded(decoded["x5t#S256"]) == hashlib.sha256(made.public_bytes(serialization.Encoding.DER)).digest()
    assert json.loads(unpadded(claims))["iss"] == CLIENT
    salted = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.AUTO)
    key.public_key().verify(unpadded(signature), f"{header}.{claims}".encode(), salted, hashes.SHA256())


@pytest.mark.parametrize("content", [None, "no certificate at all", "-----BEGIN CERTIFICATE-----\n-----"])
def test_a_certificate_that_cannot_be_used_says_so(authority: Provider, tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "app.pem"
    if content is not None:
        path.write_text(content)
    credentials = Credentials(tenant_id=TENANT, client_id=CLIENT, client_certificate=path, authority=authority.url)
    with pytest.raises(ConfigurationError, match="DATAVERSE_CLIENT_CERTIFICATE"):
        TokenSource(credentials).token(ORGANIZATION)


def test_an_authority_that_is_away_is_a_passing_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    credentials = Credentials(tenant_id=TENANT, client_id=CLIENT, client_secret=SECRET, authority="https://127.0.0.1:9")
    with pytest.raises(TransientError, match="no answer"):
        TokenSource(credentials).token(ORGANIZATION)


@pytest.mark.parametrize("client_id", [None, CLIENT])
def test_a_managed_identity_of_either_kind(identity: Provider, client_id: str | None) -> None:
    source = TokenSource(Credentials(client_id=client_id))
    assert source.token(ORGANIZATION) == "token-1"
    assert identity.asked[0]["resource"] == ORGANIZATION
    assert identity.asked[0].get("client_id") == client_id
    assert source.renew(ORGANIZATION, "token-1") == "token-2"


def test_a_managed_identity_that_is_refused(identity: Provider) -> None:
    identity.refuse = (400, {"message": "no identity assigned"})
    with pytest.raises(ConfigurationError, match="managed identity"):
        TokenSource(Credentials()).token(ORGANIZATION)
    identity.refuse = (429, {})
    with pytest.raises(TransientError):
        TokenSource(Credentials()).token(ORGANIZATION)


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
