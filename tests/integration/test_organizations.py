"""Several application users of one organization: who sends next, and who is at fault. Against the local Dataverse."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shared.dataverse.client import Client
from shared.dataverse.limiter import Limiter
from shared.dataverse.patience import Patience
from shared.errors import ConfigurationError, TransientError
from shared.organizations import Organizations
from shared.settings import ApplicationUser, Settings, load
from tests.support.local_dataverse import HEADER, HOST, Api, running

URL = f"https://{HOST}"
FIRST, SECOND, THIRD = (f"0bfc4568-a4ba-4c58-bd3e-{number:012d}" for number in range(3))
STORAGE = "AccountName=lake;AccountKey=bWFya2Vy;BlobEndpoint=http://127.0.0.1:9/lake;"
SECRET = "marker-of-a-secret"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("dataverse"), "--dop-hint=64") as url:
        yield url


@pytest.fixture
def settings(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", HEADER)
    (tmp_path / "hydration.toml").write_text(f'[environments.a]\ndataverse_url = "{URL}"\n', "utf-8")
    environ = {
        "LakeStorage": STORAGE,
        "StatusStorage": STORAGE,
        "ServiceBus": "Endpoint=sb://127.0.0.1;SharedAccessKeyName=a;SharedAccessKey=b;",
        "DATAVERSE_ADDRESS": f"{url}/{{host}}",
        "DATAVERSE_CLIENT_ID": FIRST,
        "DATAVERSE_USERS": "second",
        "DATAVERSE_CLIENT_ID__second": SECOND,
    }
    return load(environ, tmp_path)


@pytest.fixture
def clock() -> list[float]:
    """The seconds of the organizations' clock."""
    return [0.0]


@pytest.fixture
def organizations(settings: Settings, clock: list[float]) -> Iterator[Organizations]:
    found = Organizations(settings, clock=lambda: clock[0])
    yield found
    found.close()


@pytest.fixture
def pair(organizations: Organizations) -> tuple[Client, Client]:
    """Both users, who have signed in and may send four requests at once each."""
    organizations.sender(URL)
    first, second = organizations._all(URL)
    first.limiter, second.limiter = Limiter(4), Limiter(4)
    return first, second


@pytest.fixture
def api(url: str) -> Iterator[Api]:
    found = Api(url)
    yield found
    found.faults()


def test_plans_and_definitions_are_the_first_users(organizations: Organizations) -> None:
    assert organizations.client(URL).user == FIRST
    assert organizations.client(URL) is organizations.client(URL)


def test_each_user_signs_in_as_itself(organizations: Organizations) -> None:
    first, second = organizations.sender(URL), organizations._all(URL)[1]
    assert first.user_id
    assert second.user_id
    assert first.user_id != second.user_id


def test_the_user_with_the_most_capacity_free_sends_next(
    organizations: Organizations, pair: tuple[Client, Client]
) -> None:
    first, second = pair
    with first.limiter.slot():
        assert organizations.sender(URL) is second
        with second.limiter.slot(), second.limiter.slot():
            assert organizations.sender(URL) is first


def test_who_is_on_hold_does_not_send_while_another_may(
    organizations: Organizations, pair: tuple[Client, Client]
) -> None:
    first, second = pair
    first.limiter.hold(60.0)
    with second.limiter.slot(), second.limiter.slot(), second.limiter.slot():
        assert organizations.sender(URL) is second


def test_when_all_are_on_hold_the_one_whose_hold_ends_first_sends(
    organizations: Organizations, pair: tuple[Client, Client]
) -> None:
    first, second = pair
    first.limiter.hold(60.0)
    second.limiter.hold(30.0)
    assert organizations.sender(URL) is second


def test_what_is_recommended_is_split_between_the_users(organizations: Organizations) -> None:
    organizations.sender(URL)
    assert [client.limiter.at_once for client in organizations._all(URL)] == [64 // 2 // 4] * 2  # a quarter at first


def test_a_user_that_is_no_member_is_named(organizations: Organizations, api: Api) -> None:
    organizations.client(URL).who_am_i()
    api.faults({"match": "WhoAmI", "status": 403, "code": "0x80072560", "message": "The user is not a member."})
    with pytest.raises(ConfigurationError, match=rf'"second" \({SECOND}\)'):
        organizations.sender(URL)


def test_a_user_that_cannot_sign_in_is_named_with_its_settings(settings: Settings, url: str) -> None:
    users = (settings.users[0], ApplicationUser("third", THIRD, SECRET, None))
    organizations = Organizations(replace(settings, users=users, tenant_id="t", authority=url.replace("http", "https")))
    organizations._tokens["third"] = _Refusing(organizations._credentials[1])  # type: ignore[assignment]
    with pytest.raises(ConfigurationError) as raised:
        organizations.sender(URL)
    organizations.close()
    for part in ('"third"', THIRD, "DATAVERSE_CLIENT_ID__third", "DATAVERSE_CLIENT_SECRET__third"):
        assert part in str(raised.value)
    assert SECRET not in str(raised.value)


def test_a_user_that_is_away_for_a_while_is_left_out(
    organizations: Organizations, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = organizations._all(URL)
    first.who_am_i()
    vars(second)["who_am_i"] = _away
    with caplog.at_level(logging.WARNING):
        assert organizations.sender(URL) is first
    assert "dataverse.user_unavailable" in caplog.text


def test_when_nobody_can_be_reached_the_work_waits(organizations: Organizations) -> None:
    for client in organizations._all(URL):
        vars(client)["who_am_i"] = _away
    with pytest.raises(TransientError):
        organizations.sender(URL)


def test_a_user_that_is_away_is_asked_once_and_not_again_for_a_while(
    organizations: Organizations, clock: list[float]
) -> None:
    first, second = organizations._all(URL)
    first.who_am_i()
    asked: list[Patience | None] = []

    def away(patience: Patience | None = None) -> Any:
        asked.append(patience)
        raise TransientError("away")

    vars(second)["who_am_i"] = away
    for _ in range(3):
        organizations.sender(URL)
        clock[0] += 14.0
    assert [patience and patience.attempts for patience in asked] == [1]
    organizations.sender(URL)
    assert len(asked) == 2


def test_where_nobody_can_be_reached_each_thread_does_not_ask_anew(organizations: Organizations) -> None:
    asked: list[str] = []

    def away(user: str, _: object = None) -> Any:
        asked.append(user)
        raise TransientError("away")

    for client in organizations._all(URL):
        vars(client)["who_am_i"] = partial(away, client.user)
    for _ in range(3):
        with pytest.raises(TransientError):
            organizations.sender(URL)
    assert asked == [client.user for client in organizations._all(URL)]


def test_no_call_waits_while_another_one_asks_a_user_who_it_is(organizations: Organizations) -> None:
    first, second = organizations._all(URL)
    first.who_am_i()
    asked, may_go_on = threading.Event(), threading.Event()

    def slow(_: Patience | None = None) -> Any:
        asked.set()
        may_go_on.wait(20.0)
        raise TransientError("away")

    vars(second)["who_am_i"] = slow
    found: list[Client] = []
    other = threading.Thread(target=organizations.sender, args=(URL,))
    mine = threading.Thread(target=lambda: found.append(organizations.sender(URL)))
    other.start()
    asked.wait(10.0)
    mine.start()
    mine.join(5.0)
    try:
        assert found == [first]
    finally:
        may_go_on.set()
        other.join()
        mine.join()


def test_at_the_start_of_a_run_every_user_is_asked_anew(organizations: Organizations) -> None:
    organizations.sender(URL)
    for client in organizations._all(URL):
        client.stop_bypassing()
    organizations.introduce(URL)
    assert [client.bypass_in_force for client in organizations._all(URL)] == [True, True]


def test_a_user_that_is_no_member_any_more_stops_a_run_at_its_start(organizations: Organizations, api: Api) -> None:
    organizations.sender(URL)
    no = {"match": "WhoAmI", "status": 403, "code": "0x80072560", "message": "The user is not a member.", "skip": 1}
    api.faults(no)
    with pytest.raises(ConfigurationError, match=rf'"second" \({SECOND}\)'):
        organizations.introduce(URL)


def test_a_run_starts_without_a_user_that_is_away_for_a_while(organizations: Organizations) -> None:
    first, second = organizations._all(URL)
    vars(second)["who_am_i"] = _away
    assert organizations.introduce(URL).user_id == first.user_id
    assert organizations.users(URL) == [first]


def _away(_: object = None) -> Any:
    raise TransientError("away")


class _Refusing:
    """An identity provider that refuses whoever asks."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials

    def token(self, resource: str) -> str:
        from shared.dataverse.signin import _Last, _refusal  # noqa: PLC0415

        raise _refusal(self._credentials, resource, {"error": "invalid_client"}, _Last(401))
