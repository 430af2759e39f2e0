"""The local Dataverse as a process of its own, and a client that knows its addresses."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import httpx

from shared.dataverse.client import Client
from shared.dataverse.limiter import Limiter
from shared.dataverse.patience import Patience

HOST = "contoso.crm.dynamics.com"
HEADER = "only-for-tests"
CRM = "Microsoft.Dynamics.CRM."
TLS = httpx.create_ssl_context(trust_env=False)  # made once: making it takes longer than a test


class Api:
    """One organization's Web API, signed in by managed identity; paths are relative to `/api/data/v9.2/`."""

    clients: ClassVar[list[httpx.Client]] = []

    def __init__(self, url: str, host: str = HOST, client_id: str | None = None) -> None:
        self.url, self.host = url, host
        self.http = httpx.Client(base_url=url, timeout=30, trust_env=False, verify=TLS)
        self.clients.append(self.http)
        self.root = f"{url}/{host}/api/data/v9.2/"
        self.token = self.sign_in(client_id)
        self.http.headers["Authorization"] = f"Bearer {self.token}"

    def sign_in(self, client_id: str | None = None) -> str:
        options = {"api-version": "2019-08-01", "resource": f"https://{self.host}"}
        options |= {"client_id": client_id} if client_id else {}
        answer = self.http.get("/msi/token", params=options, headers={"X-IDENTITY-HEADER": HEADER})
        return str(answer.raise_for_status().json()["access_token"])

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.http.request(method, self.root + path, **more)

    def get(self, path: str, **headers: str) -> Any:
        return self.request("GET", path, headers=headers).raise_for_status().json()

    def expect(self, status: int, method: str, path: str, **more: Any) -> httpx.Response:
        """Send, and fail the test when the status is another one."""
        answer = self.request(method, path, **more)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def refused(self, status: int, code: str, method: str, path: str, **more: Any) -> str:
        """Send, expect Dataverse's error with this status and code, and return its message."""
        error = self.expect(status, method, path, **more).json()["error"]
        assert error["code"] == code, error
        return str(error["message"])

    def bulk(self, set_name: str, action: str, targets: list[dict[str, Any]]) -> httpx.Response:
        kind = CRM + set_name.removesuffix("s")
        body = {"Targets": [{"@odata.type": kind, **target} for target in targets]}
        return self.request("POST", f"{set_name}/{CRM}{action}", json=body)

    def laboratory(self, path: str) -> Any:
        return self.http.get(f"/local/{self.host}/{path}").raise_for_status().json()

    def exported(self, table: str) -> dict[str, dict[str, Any]]:
        lines = self.http.get(f"/local/{self.host}/export/{table}").raise_for_status().text.splitlines()
        rows = [json.loads(line) for line in lines]
        key = f"{table}id"
        assert [row[key] for row in rows] == sorted(row[key] for row in rows)
        return {row[key]: row for row in rows}

    def seed(self, table: str, content: str, kind: str = "text/csv") -> httpx.Response:
        return self.http.post(
            f"/local/{self.host}/seed/{table}", content=content.encode(), headers={"Content-Type": kind}
        )

    def define(self, table: str, **what: object) -> httpx.Response:
        """Make a table managed, virtual or elastic."""
        return self.http.post(f"/local/{self.host}/definitions/{table}", json=what)

    def faults(self, *wanted: dict[str, Any]) -> None:
        self.http.post(f"/local/{self.host}/faults", json=list(wanted)).raise_for_status()

    def another(self, client_id: str | None = None) -> Api:
        """A new organization of the same process, so that tests do not see each other's rows."""
        return Api(self.url, f"org{uuid.uuid4().hex[:12]}.crm.dynamics.com", client_id)


def start(directory: Path, *options: str) -> tuple[subprocess.Popen[str], str]:
    """Start the process on a free port and return it with its address."""
    command = [sys.executable, "-m", "local.dataverse", "--port", "0", "--db", str(directory)]
    command += ["--identity-header", HEADER, *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own module
    assert process.stdout is not None
    return process, process.stdout.readline().strip().removeprefix("ready on ")


def stop(process: subprocess.Popen[str]) -> int:
    process.terminate()
    code = process.wait(timeout=10)
    if process.stdout is not None:
        process.stdout.close()
    return code


@contextmanager
def running(directory: Path, *options: str) -> Iterator[str]:
    """The address of a process that ends with the block, with the connections of every Api made for it."""
    process, url = start(directory, *options)
    try:
        yield url
    finally:
        close(url)
        stop(process)


def close(url: str) -> None:
    for client in [client for client in Api.clients if str(client.base_url).rstrip("/") == url]:
        Api.clients.remove(client)
        client.close()


def label(text: str) -> dict[str, Any]:
    return {"LocalizedLabels": [{"Label": text, "LanguageCode": 1033}]}


def column(name: str, kind: str = "String", **facets: Any) -> dict[str, Any]:
    return {
        "@odata.type": f"{CRM}{kind}AttributeMetadata",
        "SchemaName": name,
        "DisplayName": label(name.title()),
        **facets,
    }


def table(name: str, *columns: dict[str, Any]) -> dict[str, Any]:
    return {
        "@odata.type": f"{CRM}EntityMetadata",
        "SchemaName": name,
        "DisplayName": label("Profile"),
        "DisplayCollectionName": label("Profiles"),
        "OwnershipType": "UserOwned",
        "HasActivities": False,
        "HasNotes": False,
        "Attributes": [column("new_name", IsPrimaryName=True, MaxLength=100), *columns],
    }


def lookup(name: str, child: str, parent: str, on_delete: str = "RemoveLink") -> dict[str, Any]:
    return {
        "@odata.type": f"{CRM}OneToManyRelationshipMetadata",
        "SchemaName": f"{name}_{child}",
        "ReferencedEntity": parent,
        "ReferencingEntity": child,
        "CascadeConfiguration": {"Assign": "NoCascade", "Delete": on_delete},
        "Lookup": {
            "@odata.type": f"{CRM}LookupAttributeMetadata",
            "SchemaName": name,
            "DisplayName": label("Customer Profile"),
        },
    }


class Signed:
    """Tokens for the app's client, of an Api that has signed in."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def token(self, _: str) -> str:
        return self.api.token

    def renew(self, _: str, rejected: str | None = None) -> str:
        raise AssertionError(f"no token expires here: {rejected}")


def client_of(api: Api, patience: Patience | None = None) -> Client:
    """The app's client of an organization; it does not sleep."""
    return Client(
        f"https://{api.host}",
        address=f"{api.url}/{{host}}",
        tokens=Signed(api),
        limiter=Limiter(8, wait_seconds=3.0),
        timeout=20.0,
        patience=patience or Patience(sleep=lambda _: None),
    )
