"""Two application users under service protection: each has limits of its own, and both are used up.

Real requests to the local Dataverse, whose five minutes last two seconds here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.errors import ThrottledError
from shared.organizations import Organizations
from shared.settings import load
from tests.support.local_dataverse import HEADER, HOST, Api, running

LIMITS = [f"--limit={limit}" for limit in ("window=2", "requests=40", "grace=0.5", "resolution=0.1")]
SECONDS = 5.0
STORAGE = "AccountName=lake;AccountKey=bWFya2Vy;BlobEndpoint=http://127.0.0.1:9/lake;"
USERS = {
    "DATAVERSE_USERS": "second",
    "DATAVERSE_CLIENT_ID": "0bfc4568-a4ba-4c58-bd3e-000000000001",
    "DATAVERSE_CLIENT_ID__second": "0bfc4568-a4ba-4c58-bd3e-000000000002",
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("dataverse"), *LIMITS, "--cost=request=0.01", "--dop-hint=16") as url:
        yield url


@pytest.fixture(autouse=True)
def identity(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", HEADER)


def taken(url: str, folder: Path, host: str, users: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """How many requests were answered within the time, and what the server saw of each user."""
    (folder / "hydration.toml").write_text(f'[environments.a]\ndataverse_url = "https://{host}"\n', "utf-8")
    bus = "Endpoint=sb://127.0.0.1;SharedAccessKeyName=a;SharedAccessKey=b;"
    where = {
        "LakeStorage": STORAGE,
        "StatusStorage": STORAGE,
        "ServiceBus": bus,
        "DATAVERSE_ADDRESS": f"{url}/{{host}}",
    }
    organizations = Organizations(load({**where, **users}, folder))
    organizations.sender(f"https://{host}")
    answered: list[int] = []
    ends = time.monotonic() + SECONDS

    def work() -> None:
        while time.monotonic() < ends:
            try:
                answered.append(organizations.sender(f"https://{host}").request("GET", "WhoAmI").status_code)
            except ThrottledError:
                continue

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    organizations.close()
    seen: dict[str, Any] = Api(url, host).laboratory("statistics")["users"]
    return len(answered), seen


def test_two_users_do_nearly_twice_as_much_and_neither_pushes_on(url: str, tmp_path: Path) -> None:
    first = {"DATAVERSE_CLIENT_ID": USERS["DATAVERSE_CLIENT_ID"]}
    one, _ = taken(url, tmp_path, f"one.{HOST}", first)
    two, seen = taken(url, tmp_path, f"two.{HOST}", USERS)
    assert two >= 1.9 * one
    assert sum(user["refused"] for user in seen.values()) > 0
    assert sum(user["early"] for user in seen.values()) == 0
