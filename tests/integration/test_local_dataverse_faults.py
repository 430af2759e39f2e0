"""Faults of the local Dataverse, as a client meets them: by script and by rate."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from local.dataverse.protection import CONCURRENCY, EXECUTION, REQUESTS
from tests.support.local_dataverse import Api, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("dataverse")) as url:
        yield Api(url)


@pytest.fixture
def api(server: Api) -> Api:
    return server.another()


def created(api: Api) -> httpx.Response:
    return api.request("POST", "contacts", json={"firstname": "A"})


def hits(api: Api, count: int) -> list[bool]:
    """Which of so many requests got a 503."""
    return [api.request("GET", "WhoAmI").status_code == 503 for _ in range(count)]


# What a fault does


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("requests", 429, REQUESTS),
        ("execution", 429, EXECUTION),
        ("concurrency", 429, CONCURRENCY),
        ("unavailable", 503, "0x0"),
        ("sql_timeout", 500, "0x80044151"),
        ("deadlock", 500, "0x80044150"),
    ],
)
def test_errors_of_every_kind_come_before_the_work(api: Api, kind: str, status: int, code: str) -> None:
    api.faults({"kind": kind})
    answer = created(api)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.headers.get("Retry-After") == ("5" if status == 429 else None)
    assert api.exported("contact") == {}
    assert created(api).status_code == 204


def test_what_a_fault_says_goes_over_its_kind(api: Api) -> None:
    api.faults({"kind": "requests", "retry_after": 0.5, "times": 2, "after_commit": True})
    assert [created(api).headers["Retry-After"] for _ in range(2)] == ["0.5", "0.5"]
    assert len(api.exported("contact")) == 2


@pytest.mark.parametrize(("kind", "rows"), [("reset", 0), ("reset_after_commit", 1)])
def test_a_reset_breaks_the_connection_before_or_after_the_work(api: Api, kind: str, rows: int) -> None:
    api.faults({"kind": kind})
    with pytest.raises(httpx.TransportError):
        created(api)
    assert len(api.exported("contact")) == rows


def test_a_truncated_answer_comes_after_the_work_and_ends_too_early(api: Api) -> None:
    api.faults({"kind": "truncated"})
    with pytest.raises(httpx.RemoteProtocolError, match=r"received \d+ bytes, expected \d+"):
        api.request("POST", "contacts", json={"firstname": "A"}, headers={"Prefer": "return=representation"})
    assert len(api.exported("contact")) == 1
    assert created(api).status_code == 204


def test_a_truncated_answer_without_a_body_ends_in_its_head(api: Api) -> None:
    api.faults({"kind": "truncated"})
    with pytest.raises(httpx.RemoteProtocolError):
        created(api)
    assert len(api.exported("contact")) == 1


def test_a_token_that_expires_was_fine_and_stays_invalid_until_another_is_asked_for(api: Api) -> None:
    created(api)
    api.faults({"kind": "token_expired"})
    refused = created(api)
    assert (refused.status_code, created(api).status_code) == (401, 401)
    assert refused.headers["WWW-Authenticate"].startswith("Bearer authorization_uri=")
    other = Api(api.url, api.host, "another-app")
    assert created(other).status_code == 204
    api.http.headers["Authorization"] = f"Bearer {api.sign_in()}"
    assert created(api).status_code == 204
    assert len(api.exported("contact")) == 3


def test_a_slow_answer_is_the_real_one_after_the_work_and_counts_as_execution(api: Api) -> None:
    api.faults({"kind": "slow", "slow": 0.5})
    began = time.monotonic()
    assert created(api).status_code == 204
    assert 0.5 <= time.monotonic() - began < 2
    assert api.laboratory("statistics")["servers"][0]["execution_seconds"] == pytest.approx(0.5, abs=0.1)


def test_an_error_can_be_slow(api: Api) -> None:
    api.faults({"kind": "sql_timeout", "slow": 0.3})
    began = time.monotonic()
    assert created(api).status_code == 500
    assert time.monotonic() - began >= 0.3


# Which requests it hits


def test_a_fault_hits_what_matches_after_those_it_skips_and_so_often(api: Api) -> None:
    api.faults({"match": "GET /", "skip": 1, "times": 2})
    assert created(api).status_code == 204
    assert hits(api, 5) == [False, True, True, False, False]


def test_of_several_faults_the_first_hits_and_then_the_next(api: Api) -> None:
    api.faults({"kind": "deadlock"}, {"kind": "requests"})
    assert [created(api).status_code for _ in range(3)] == [500, 429, 204]


def test_a_rate_hits_its_share_and_always_the_same_requests(api: Api) -> None:
    found = []
    for seed in (7, 7, 8):
        api.faults({"rate": 0.1, "seed": seed})
        found.append(hits(api, 300))
    assert found[0] == found[1] != found[2]
    assert all(15 <= sum(hit) <= 45 for hit in found)


def test_a_rate_counts_only_what_matches(api: Api) -> None:
    api.faults({"rate": 0.2, "seed": 7})
    alone = hits(api, 40)
    api.faults({"rate": 0.2, "seed": 7, "match": "GET /"})
    mixed = []
    for _ in range(40):
        assert created(api).status_code == 204
        mixed += hits(api, 1)
    assert alone == mixed


@pytest.mark.parametrize(("rate", "expected"), [(0, [False] * 5), (1, [True] * 5)])
def test_a_rate_of_none_or_all(api: Api, rate: float, expected: list[bool]) -> None:
    api.faults({"rate": rate})
    assert hits(api, 5) == expected


def test_a_rate_can_be_limited_in_number(api: Api) -> None:
    api.faults({"rate": 1, "times": 2})
    assert hits(api, 4) == [True, True, False, False]


# What is told


def test_what_is_waiting_is_told_with_what_is_left_of_it(api: Api) -> None:
    api.faults({"match": "WhoAmI", "times": 3}, {"kind": "slow", "rate": 0.5, "seed": 2})
    hits(api, 1)
    assert api.laboratory("faults")["faults"] == [
        {"match": "WhoAmI", "times": 2, "status": 503, "code": "0x80044151"},
        {"kind": "slow", "times": None, "rate": 0.5, "seed": 2, "code": "0x80044151", "slow": 5},
    ]


def test_hits_are_counted_by_what_happened(api: Api) -> None:
    api.faults({"kind": "sql_timeout", "times": 2}, {"status": 404}, {"slow": 0.01})
    for _ in range(5):
        created(api)
    assert api.laboratory("statistics")["faults"] == {"404": 1, "slow": 1, "sql_timeout": 2}


@pytest.mark.parametrize(
    "wanted",
    [
        {"kind": "nosuch"},
        {"nosuch": 1},
        {"times": "1"},
        {"rate": 2},
        {"rate": -0.1},
        {"rate": "often"},
        {"slow": "a while"},
        [],
    ],
)
def test_faults_that_cannot_be_are_refused_and_change_nothing(api: Api, wanted: Any) -> None:
    api.faults({"kind": "reset"})
    assert api.http.post(f"/local/{api.host}/faults", json=[wanted]).status_code == 400
    assert [fault["kind"] for fault in api.laboratory("faults")["faults"]] == ["reset"]
