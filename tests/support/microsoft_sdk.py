"""Microsoft's Python client of Dataverse, signed in to the local one over TLS."""

from __future__ import annotations

import time
import uuid
from typing import Any

import requests
from azure.core.credentials import AccessToken
from PowerPlatform.Dataverse.client import DataverseClient


class LocalSignIn:
    """A credential of azure-core's protocol: client credentials at the local sign-in.

    The client asks for the scope of its base URL, whose path is the organization's host here.
    """

    def __init__(self, root: str, host: str) -> None:
        self.root, self.host = root, host
        self.kept: AccessToken | None = None

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        if self.kept is None:
            form = {"grant_type": "client_credentials", "client_id": "sdk", "client_secret": "made up"}
            form["scope"] = f"https://{self.host}/.default"
            answer = requests.post(f"{self.root}/tenant/oauth2/v2.0/token", data=form, timeout=10)
            answer.raise_for_status()
            body = answer.json()
            self.kept = AccessToken(body["access_token"], int(time.time()) + body["expires_in"])
        return self.kept


class Home:
    """An organization of its own, with Microsoft's client and the plain Web API beside it."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.host = f"org{uuid.uuid4().hex[:12]}.crm.dynamics.com"
        self.credential = LocalSignIn(root, self.host)
        self.client = DataverseClient(f"{root}/{self.host}", self.credential)
        self.session = requests.Session()

    def close(self) -> None:
        self.client.close()
        self.session.close()

    def request(self, method: str, path: str, **more: Any) -> requests.Response:
        """Send a request beside the client; `path` is relative to `/api/data/v9.2/`."""
        headers = {"Authorization": f"Bearer {self.credential.get_token().token}", **more.pop("headers", {})}
        url = f"{self.root}/{self.host}/api/data/v9.2/{path}"
        return self.session.request(method, url, headers=headers, timeout=10, **more)

    def get(self, path: str) -> Any:
        answer = self.request("GET", path)
        assert answer.ok, answer.text
        return answer.json()

    def laboratory(self, path: str) -> Any:
        answer = self.session.get(f"{self.root}/local/{self.host}/{path}", timeout=10)
        assert answer.ok, answer.text
        return answer.json()
