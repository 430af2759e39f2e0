"""dynamics-web-api, a client in JavaScript, against the local Dataverse."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.support.microsoft_sdk import LocalSignIn

SCRIPT = Path(__file__).with_name("dynamics_web_api.mjs")
Results = dict[str, Any]


@pytest.fixture(scope="module")
def results(secure: str) -> Results:
    """What the script's calls answered. The client drops the path of an address: its host is the organization."""
    token = LocalSignIn(secure, "127.0.0.1").get_token().token
    node = shutil.which("node")
    assert node is not None
    environment = {**os.environ, "NODE_EXTRA_CA_CERTS": os.environ["REQUESTS_CA_BUNDLE"]}
    ran = subprocess.run(  # noqa: S603 - our own script
        [node, str(SCRIPT), secure, token], capture_output=True, text=True, timeout=60, env=environment, check=False
    )
    assert ran.returncode == 0, ran.stderr
    found: Results = json.loads(ran.stdout)
    return found


def failed(results: Results) -> dict[str, Any]:
    return {name: one["error"] for name, one in results.items() if isinstance(one, dict) and "error" in one}


def test_every_call_succeeds_but_those_that_cannot(results: Results) -> None:
    expected = {"update missing": 404, "delete missing": 404, "global option sets": 501}
    assert {name: error["status"] for name, error in failed(results).items()} == expected


def test_what_is_not_served_says_so(results: Results) -> None:
    error = results["global option sets"]["error"]
    assert (error["code"], "not supported" in error["message"]) == ("0x0", True)


def test_a_row_is_read_as_it_was_written(results: Results) -> None:
    assert uuid.UUID(results["create"])
    assert results["representation"]["firstname"] == "A"
    assert (results["retrieve"]["firstname"], results["retrieve"]["lastname"]) == ("C", "D")
    assert results["update missing"]["error"]["code"] == "0x80040217"


def test_rows_are_counted_and_paged(results: Results) -> None:
    assert (results["count"], results["count filtered"]) == (2, 1)
    assert [row["firstname"] for row in results["retrieve all"]["value"]] == ["U", "C"]


def test_fetchxml_goes_on_with_its_cookie(results: Results) -> None:
    assert [results[name]["value"][0]["firstname"] for name in ("fetch", "fetch next")] == ["C", "U"]


def test_rows_are_linked_by_references(results: Results) -> None:
    links = [results[name] for name in ("associate", "disassociate", "associate single", "disassociate single")]
    assert links == [results["create"], None, results["create"], None]


def test_metadata_is_read_and_written(results: Results) -> None:
    assert results["csdl"].startswith("<?xml")
    assert {row["LogicalName"]: row["MaxLength"] for row in results["columns"]["value"]} == {
        "new_name": 100, "new_text": 50, "new_plan_name": 200,
    }  # fmt: skip
    assert {row["SchemaName"] for row in results["relationships"]["value"]} >= {"contact_originating_lead"}


def test_changes_are_tracked(results: Results) -> None:
    assert "$deltatoken=" in results["changes"]["@odata.deltaLink"]


def test_a_file_comes_back(results: Results) -> None:
    assert results["download"] == ["a.txt", 5, "hello"]


def test_a_batch_answers_each_request(results: Results) -> None:
    first, second, rows = results["batch"]
    assert uuid.UUID(first) != uuid.UUID(second)
    assert [row["lastname"] for row in rows["value"]] == ["b2"]
    assert len(results["bulk"]["Ids"]) == 1
