"""The asynchronous half of Microsoft's Python client (aiohttp) against the local Dataverse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.microsoft_sdk import LocalSignIn

HOST = "asynchronous.crm.dynamics.com"
SCRIPT = Path(__file__).with_name("microsoft_async.py")


@pytest.fixture(scope="module")
def answers(secure: str) -> dict[str, Any]:
    token = LocalSignIn(secure, HOST).get_token().token
    environment = {**os.environ, "SSL_CERT_FILE": os.environ["REQUESTS_CA_BUNDLE"]}
    command = [sys.executable, str(SCRIPT), f"{secure}/{HOST}", token]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)  # noqa: S603
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def test_rows_are_written_in_bulk_and_at_the_same_time(answers: dict[str, Any]) -> None:
    assert answers["changed"] == [["m0", 9], ["m1", 9]]
    assert (answers["upserted"], answers["job"]) == (["u1"], True)


def test_rows_are_read_by_pages_sql_and_fetchxml(answers: dict[str, Any]) -> None:
    assert answers["pages"] == [5, 5, 5]
    assert (answers["sql"], answers["fetched"]) == (["g9"], 14)


def test_a_batch_has_its_change_set_and_its_query(answers: dict[str, Any]) -> None:
    assert answers["batch"] == [204, 204, 200]
