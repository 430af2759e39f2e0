"""What the benchmarks send to, each a process of its own: the discarding sink and the local Dataverse, over TLS.

Over TLS because Microsoft's SDK refuses http: so all contenders are measured on the same terms.
"""

from __future__ import annotations

import atexit
import datetime as dt
import functools
import ipaddress
import os
import shutil
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from local.children import Child, base_environment

HOST = "127.0.0.1"
IDENTITY = "only-for-benchmarks"


@dataclass(frozen=True)
class Server:
    """A server that runs. `url` is the organization's address for every client."""

    url: str
    http: httpx.Client
    process: Child

    def token(self, client_id: str = "") -> str:
        """A token for the organization; each `client_id` is an application user of its own."""
        options = {"api-version": "2019-08-01", "resource": self.url} | ({"client_id": client_id} if client_id else {})
        answer = self.http.get("/msi/token", params=options, headers={"X-IDENTITY-HEADER": IDENTITY})
        return str(answer.raise_for_status().json()["access_token"])

    def laboratory(self, path: str, content: Any = None) -> Any:
        """What is asked for beside the API (local/dataverse/laboratory.py); with content: a POST."""
        address = f"/local/{HOST}/{path}"
        answer = self.http.get(address) if content is None else self.http.post(address, json=content)
        return answer.raise_for_status().json() if answer.content else None

    def define(self, definition: dict[str, Any], what: str = "EntityDefinitions") -> None:
        """Make a table, or another thing of metadata."""
        headers = {"Authorization": f"Bearer {self.token()}"}
        self.http.post(f"/api/data/v9.2/{what}", json=definition, headers=headers).raise_for_status()


@contextmanager
def sink() -> Iterator[Server]:
    """The discarding sink, for as long as the block runs."""
    with tempfile.TemporaryDirectory() as folder, _running("bench.sink", _tls(), Path(folder)) as server:
        yield server


@contextmanager
def dataverse(*options: str, module: str = "local.dataverse", tls: bool = True) -> Iterator[Server]:
    """A local Dataverse without rows, for as long as the block runs. `options` are those of its command line."""
    with tempfile.TemporaryDirectory() as folder:
        fixed = ["--port", "0", "--db", f"{folder}/db", "--identity-header", IDENTITY, *(_tls() if tls else [])]
        with _running(module, [*fixed, *options], Path(folder)) as server:
            yield server


@contextmanager
def _running(module: str, options: list[str], folder: Path) -> Iterator[Server]:
    child = Child.of_module(module, options, folder / "log", base_environment())
    try:
        (url,) = child.wait_for(r"^ready on (\S+)$")
        verified = ssl.create_default_context(cafile=_tls()[1])
        with httpx.Client(base_url=url, timeout=60, trust_env=False, verify=verified) as http:
            yield Server(url, http, child)
    finally:
        child.stop()


@functools.cache
def _tls() -> list[str]:
    """Options with a self-made certificate that every HTTP client of this process trusts from now on.

    One for all servers: aiohttp reads what it trusts once, when it is imported.
    """
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    _certify(certificate, key)
    # httpx and aiohttp read the first, requests the second.
    os.environ["SSL_CERT_FILE"] = os.environ["REQUESTS_CA_BUNDLE"] = str(certificate)
    return ["--tls", str(certificate), str(key)]


def _certify(certificate: Path, secret: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, *private))
