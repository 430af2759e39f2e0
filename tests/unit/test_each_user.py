"""Each application user is looked at before anything is written: the run, its tables and its links name who cannot."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shared import links, prepare, start
from shared.dataverse import metadata, privileges
from shared.errors import ConfigurationError, RequirementError
from shared.linking import requirements
from shared.runs.model import Kind, Run, Task
from shared.services import Services

URL = "https://contoso.crm.dynamics.com"
USERS = [SimpleNamespace(url=URL, known_as=name) for name in ("first", '"second" (0bfc) 0b0b')]


def services(users: list[Any]) -> Services:
    def introduce(url: str) -> Any:
        assert url == URL
        raise ConfigurationError("of one of the users")

    return cast(
        "Services",
        SimpleNamespace(
            settings=SimpleNamespace(hydration=SimpleNamespace(publisher_prefix="msdynci")),
            environment=lambda _: SimpleNamespace(dataverse_url=URL),
            dataverse=SimpleNamespace(client=lambda _: users[0], users=lambda _: users, introduce=introduce),
        ),
    )


@pytest.fixture
def lacks(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What each user lacks."""
    found: dict[str, list[str]] = {}

    def lacking(client: Any, _: Mapping[str, object]) -> list[str]:
        return found.get(client.known_as, [])

    monkeypatch.setattr(privileges, "lacking", lacking)
    return found


def test_a_run_does_not_start_where_one_of_the_users_cannot_sign_in() -> None:
    with pytest.raises(ConfigurationError, match="of one of the users"):
        start.bind(services(USERS), "environment")


def check(users: list[Any], subject: str = "SegmentMembership") -> None:
    run, task = Run("r", "environment"), Task("r", "k", subject, Kind.TABLE, subject)
    prepare._check_users(services(users), run, task)


def test_a_table_that_one_of_several_users_may_not_write_fails_before_anything_is_written(
    lacks: dict[str, list[str]],
) -> None:
    check(USERS)
    lacks[USERS[1].known_as] = ["prvCreatemsdynci_SegmentMembership", "prvAppend"]
    with pytest.raises(ConfigurationError) as raised:
        check(USERS)
    named = 'user "second" (0bfc) 0b0b lacks prvCreatemsdynci_SegmentMembership and prvAppend'
    assert named in str(raised.value)


def test_of_a_single_user_the_first_request_tells(lacks: dict[str, list[str]]) -> None:
    lacks["first"] = ["prvDelete"]
    check(USERS[:1])


@pytest.mark.parametrize("number", [0, 1])
def test_a_table_that_any_of_the_users_may_not_link_is_skipped(
    monkeypatch: pytest.MonkeyPatch, lacks: dict[str, list[str]], number: int
) -> None:
    table = SimpleNamespace(lookup=lambda *_: object())
    monkeypatch.setattr(metadata, "table", lambda *_, **_options: table)
    monkeypatch.setattr(metadata, "exists", lambda *_, **_options: True)
    for name in ("check_kind", "key_of", "check_lookup"):
        monkeypatch.setattr(requirements, name, lambda *_: None)
    for name in ("_sources", "_former_key"):
        monkeypatch.setattr(links, name, lambda _: [])
    planning = SimpleNamespace(
        client=USERS[0],
        users=USERS,
        task=SimpleNamespace(subject="contact"),
        hydration=SimpleNamespace(publisher_prefix="msdynci"),
        table_name=str.lower,
    )
    links._checked(cast("Any", planning))
    lacks[USERS[number].known_as] = ["prvWriteContact"]
    with pytest.raises(RequirementError) as raised:
        links._checked(cast("Any", planning))
    assert f"user {USERS[number].known_as} lacks prvWriteContact" in str(raised.value)
