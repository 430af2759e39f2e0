"""The local Dataverse as a service under load: service protection, several web servers, and the time things take."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.dataverse import protection
from tests.support.local_dataverse import Api, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("dataverse")) as url:
        yield Api(url)


@pytest.fixture
def api(server: Api) -> Api:
    return server.another()


def limit(api: Api, **wanted: Any) -> Any:
    """Put a profile in force and return it."""
    return api.http.post(f"/local/{api.host}/limits", json=wanted).raise_for_status().json()


def servers(api: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.laboratory("statistics")["servers"]
    return found


@contextmanager
def under_way(
    api: Api, count: int, method: str = "GET", path: str = "WhoAmI", **more: Any
) -> Iterator[list[Future[httpx.Response]]]:
    """So many requests that have arrived and not ended, each on a connection of its own."""
    before = sum(one["requests"] for one in servers(api))

    def send() -> httpx.Response:
        headers = {"Authorization": f"Bearer {api.token}"}
        return httpx.request(method, api.root + path, headers=headers, trust_env=False, **more)

    with ThreadPoolExecutor(count) as pool:
        sent = [pool.submit(send) for _ in range(count)]
        while sum(one["requests"] for one in servers(api)) < before + count:
            time.sleep(0.01)
        yield sent


# Service protection


def test_without_a_profile_nothing_is_limited_and_no_limit_is_told(api: Api) -> None:
    for _ in range(60):
        answer = api.expect(200, "GET", "WhoAmI")
    assert not [name for name in answer.headers if name.startswith("x-ms-ratelimit")]
    assert answer.headers["x-ms-dop-hint"] == "4"
    assert "Set-Cookie" not in answer.headers


def test_requests_above_the_limit_are_refused_as_documented(api: Api) -> None:
    limit(api, limits={"requests": 2, "window": 200})
    first = api.expect(204, "POST", "contacts", json={})
    assert first.headers["x-ms-ratelimit-burst-remaining-xrm-requests"] == "1"
    api.expect(204, "POST", "contacts", json={})
    refused = api.expect(429, "POST", "contacts", json={})
    assert 199 <= int(refused.headers["Retry-After"]) <= 200
    text = "Number of requests exceeded the limit of 2 over time window of 200 seconds."
    assert refused.json() == {"error": {"code": protection.REQUESTS, "message": text}}
    assert len(api.exported("contact")) == 2


def test_execution_above_the_limit_is_refused_and_what_is_left_is_told(api: Api) -> None:
    limit(api, limits={"execution": 1200}, costs={"request": 0.05})
    left = api.expect(200, "GET", "WhoAmI").headers["x-ms-ratelimit-time-remaining-xrm-requests"]
    assert left.startswith("1,199.9")
    limit(api, limits={"execution": 0.05}, costs={"request": 0.05})
    api.expect(200, "GET", "WhoAmI")
    api.refused(429, protection.EXECUTION, "GET", "WhoAmI")


def test_too_many_at_once_are_refused_while_the_others_still_run(api: Api) -> None:
    limit(api, limits={"concurrent": 3}, costs={"request": 1.0, "cores": 3})
    with under_way(api, 3) as sent:
        began = time.monotonic()
        api.refused(429, protection.CONCURRENCY, "GET", "WhoAmI")
        assert time.monotonic() - began < 0.5
        assert not [one for one in sent if one.done()]
    assert [one.result().status_code for one in sent] == [200, 200, 200]


def test_who_waits_for_retry_after_is_served(api: Api) -> None:
    limit(api, limits={"requests": 2, "window": 0.8, "resolution": 0.1})
    for _ in range(2):
        api.expect(200, "GET", "WhoAmI")
    time.sleep(float(api.expect(429, "GET", "WhoAmI").headers["Retry-After"]))
    api.expect(200, "GET", "WhoAmI")
    assert [one["early"] for one in servers(api)] == [0]


def test_who_pushes_on_waits_longer_and_is_counted_as_early(api: Api) -> None:
    limit(api, limits={"concurrent": 0, "window": 60, "resolution": 0.1, "grace": 0.1})
    first = float(api.expect(429, "GET", "WhoAmI").headers["Retry-After"])
    time.sleep(0.2)
    second = float(api.expect(429, "GET", "WhoAmI").headers["Retry-After"])
    assert (first, second) == (1, 2)
    assert [one["early"] for one in servers(api)] == [1]


def test_users_are_limited_apart(api: Api) -> None:
    limit(api, limits={"requests": 1})
    other = Api(api.url, api.host, "another-app")
    api.expect(200, "GET", "WhoAmI")
    other.expect(200, "GET", "WhoAmI")
    for user in (api, other):
        user.expect(429, "GET", "WhoAmI")


def test_a_request_without_a_token_is_no_ones_request(api: Api) -> None:
    limit(api, limits={"requests": 1})
    api.expect(401, "GET", "WhoAmI", headers={"Authorization": "Bearer none"})
    api.expect(200, "GET", "WhoAmI")


# Web servers


def test_without_cookies_requests_spread_over_all_servers_and_limits_add_up(api: Api) -> None:
    limit(api, servers=3, limits={"requests": 2})
    for _ in range(6):
        api.http.cookies.clear()
        api.expect(200, "GET", "WhoAmI")
    api.http.cookies.clear()
    api.expect(429, "GET", "WhoAmI")
    assert sorted(one["requests"] for one in servers(api)) == [2, 2, 3]


def test_a_client_that_keeps_cookies_stays_on_one_server(api: Api) -> None:
    limit(api, servers=3, limits={"requests": 2})
    first = api.expect(200, "GET", "WhoAmI")
    assert first.headers["Set-Cookie"].startswith("ARRAffinity=")
    assert "Set-Cookie" not in api.expect(200, "GET", "WhoAmI").headers
    api.expect(429, "GET", "WhoAmI")
    assert sorted(one["requests"] for one in servers(api)) == [0, 0, 3]


def test_a_cookie_of_no_server_is_replaced(api: Api) -> None:
    limit(api, servers=2)
    answer = api.expect(200, "GET", "WhoAmI", headers={"Cookie": f"a=b; ARRAffinity={'0' * 64}"})
    assert answer.headers["Set-Cookie"].startswith("ARRAffinity=")


def test_the_same_seed_spreads_requests_in_the_same_way(api: Api) -> None:
    found = []
    for seed in (1, 1, 2):
        limit(api, servers=4, seed=seed)
        answers = []
        for _ in range(20):
            api.http.cookies.clear()
            answers.append(api.expect(200, "GET", "WhoAmI").headers["Set-Cookie"])
        found.append(answers)
    assert found[0] == found[1] != found[2]


# The time things take


def test_the_wait_comes_after_the_commit_and_before_the_answer(api: Api) -> None:
    limit(api, costs={"operation": 1.0})
    with under_way(api, 1, "POST", "contacts", json={"firstname": "A"}) as [sent]:
        assert len(api.exported("contact")) == 1
        assert not sent.done()
    assert sent.result().status_code == 204


def test_requests_wait_side_by_side(api: Api) -> None:
    limit(api, costs={"request": 0.5, "cores": 8}, latency=0.1)
    began = time.monotonic()
    with under_way(api, 8):
        pass
    assert 0.6 <= time.monotonic() - began < 2.0


def test_bulk_rows_and_the_operations_of_a_batch_have_their_price(api: Api) -> None:
    limit(api, costs={"request": 0.1, "row": 0.01, "operation": 0.001})
    api.bulk("contacts", "CreateMultiple", [{"firstname": str(number)} for number in range(20)])
    assert servers(api)[0]["execution_seconds"] == pytest.approx(0.3, abs=0.02)
    api.http.post(f"/local/{api.host}/statistics/reset").raise_for_status()
    parts = "".join(
        f"--b\r\nContent-Type: application/http\r\n\r\nDELETE contacts({uuid.uuid4()}) HTTP/1.1\r\n\r\n" * 50
    )
    headers = {"Content-Type": "multipart/mixed; boundary=b", "Prefer": "odata.continue-on-error"}
    api.expect(200, "POST", "$batch", content=f"{parts}--b--\r\n".encode(), headers=headers)
    assert servers(api)[0]["execution_seconds"] == pytest.approx(0.15, abs=0.02)


def test_a_bulk_call_that_is_rolled_back_costs_what_it_asked_for(api: Api) -> None:
    limit(api, costs={"row": 0.01})
    answer = api.bulk("contacts", "CreateMultiple", [{"firstname": "A"}] * 19 + [{"nosuch": 1}])
    assert answer.status_code == 400
    assert servers(api)[0]["execution_seconds"] == pytest.approx(0.2, abs=0.02)


def test_more_requests_than_cores_make_each_slower(api: Api) -> None:
    limit(api, costs={"request": 0.5, "cores": 1})
    began = time.monotonic()
    with under_way(api, 1), under_way(api, 1):
        pass
    assert time.monotonic() - began >= 1.0
    assert servers(api)[0]["execution_seconds"] == pytest.approx(1.5, abs=0.1)


# What is told, and changed while it runs


def test_each_server_tells_what_it_did(api: Api) -> None:
    limit(api, limits={"concurrent": 2}, costs={"request": 0.5, "cores": 2})
    with under_way(api, 2):
        api.expect(429, "GET", "WhoAmI")
    [told] = servers(api)
    assert told.pop("execution_seconds") == pytest.approx(1.0, abs=0.1)
    assert told == {"requests": 3, "refused": {protection.CONCURRENCY: 1}, "early": 0, "most_at_once": 2}
    assert api.laboratory("statistics")["statuses"] == {"200": 2, "429": 1}


def test_a_request_before_retry_after_is_early_for_its_user_on_any_server(api: Api) -> None:
    limit(api, servers=2, limits={"requests": 1, "grace": 0.1})
    api.expect(200, "GET", "WhoAmI")
    api.expect(429, "GET", "WhoAmI")  # the cookie leads to the same server
    api.http.cookies.clear()
    time.sleep(0.2)
    api.expect(200, "GET", "WhoAmI")
    [told] = api.laboratory("statistics")["users"].values()
    assert told == {"requests": 3, "refused": 1, "early": 1}
    assert [one["early"] for one in servers(api)] == [0, 0]


def test_a_request_before_the_retry_after_of_a_fault_is_early_too(api: Api) -> None:
    limit(api, limits={"grace": 0.0})
    api.faults({"kind": "requests", "retry_after": 0.3})
    api.expect(429, "GET", "WhoAmI")
    api.expect(200, "GET", "WhoAmI")
    time.sleep(0.3)
    api.expect(200, "GET", "WhoAmI")
    [told] = api.laboratory("statistics")["users"].values()
    assert told == {"requests": 3, "refused": 1, "early": 1}


def test_a_reset_forgets_what_servers_did_and_keeps_their_windows(api: Api) -> None:
    limit(api, limits={"requests": 1})
    api.expect(200, "GET", "WhoAmI")
    api.http.post(f"/local/{api.host}/statistics/reset").raise_for_status()
    assert servers(api)[0]["requests"] == 0
    assert [one["requests"] for one in api.laboratory("statistics")["users"].values()] == [0]
    api.expect(429, "GET", "WhoAmI")


def test_limits_are_read_and_replaced_while_it_runs(api: Api) -> None:
    instant = api.laboratory("limits")
    told = limit(api, profile="realistic", limits={"requests": 10}, servers=3)
    assert told == api.laboratory("limits")
    assert (told["servers"], told["limits"]["requests"], told["limits"]["concurrent"]) == (3, 10, 52)
    assert int(api.expect(200, "GET", "WhoAmI").headers["x-ms-dop-hint"]) == 3 * told["costs"]["cores"]
    assert limit(api, **told) == told
    assert limit(api) == instant


@pytest.mark.parametrize(
    "wanted",
    [
        {"profile": "nosuch"},
        {"nosuch": 1},
        {"limits": {"nosuch": 1}},
        {"limits": 1},
        {"limits": {"requests": 1.5}},
        {"limits": {"window": 0}},
        {"limits": {"window": None}},
        {"costs": {"row": -1}},
        {"costs": {"row": "1"}},
        {"servers": 0},
        {"servers": True},
    ],
)
def test_limits_that_cannot_be_are_refused_and_change_nothing(api: Api, wanted: dict[str, Any]) -> None:
    before = api.laboratory("limits")
    assert api.http.post(f"/local/{api.host}/limits", json=wanted).status_code == 400
    assert api.laboratory("limits") == before


def test_the_command_line_takes_a_profile_and_single_values(tmp_path: Path) -> None:
    options = ["--profile", "realistic", "--limit", "requests=1", "--limit", "execution=none", "--cost", "request=0"]
    with running(tmp_path, *options, "--latency", "0", "--servers", "1", "--dop-hint", "7", "--seed", "3") as url:
        api = Api(url)
        told = api.laboratory("limits")
        assert (told["limits"]["requests"], told["limits"]["execution"], told["limits"]["concurrent"]) == (1, None, 52)
        assert (told["costs"]["request"], told["servers"], told["seed"]) == (0, 1, 3)
        assert api.expect(200, "GET", "WhoAmI").headers["x-ms-dop-hint"] == "7"
        api.expect(429, "GET", "WhoAmI")
