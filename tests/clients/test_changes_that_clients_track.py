"""Change tracking as clients ask for it: `Prefer: odata.track-changes`, then the delta links."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.support.local_dataverse import Api, column, running, table
from tests.support.spoken import get

TRACK = "Prefer: odata.track-changes"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("dataverse")) as url:
        yield Api(url)


@pytest.fixture
def tracked(server: Api) -> Api:
    api = server.another()
    body = {**table("new_profile", column("new_text")), "ChangeTrackingEnabled": True}
    api.expect(204, "POST", "EntityDefinitions", json=body)
    api.bulk("new_profiles", "CreateMultiple", [{"new_name": name} for name in "abc"])
    return api


def delta(api: Api, link: str, *headers: str) -> tuple[list[str], str]:
    """Follow a link; returns the names of rows, "-" for a deleted one, and the next link."""
    path = link.partition("/api/data/v9.2/")[2]
    body = get(api, path, *headers).json
    names = ["-" if row.get("reason") == "deleted" else row["new_name"] for row in body["value"]]
    return names, body.get("@odata.deltaLink") or body["@odata.nextLink"]


def test_a_delta_link_answers_what_changed_since(tracked: Api) -> None:
    names, link = delta(tracked, "/api/data/v9.2/new_profiles?$select=new_name", TRACK)
    assert (sorted(names), "$deltatoken=" in link) == (["a", "b", "c"], True)
    assert delta(tracked, link)[0] == []
    rows = {row["new_name"]: key for key, row in tracked.exported("new_profile").items()}
    tracked.expect(204, "PATCH", f"new_profiles({rows['a']})", json={"new_name": "A"})
    tracked.expect(204, "DELETE", f"new_profiles({rows['b']})")
    tracked.expect(204, "POST", "new_profiles", json={"new_name": "d"})
    names, later = delta(tracked, link)
    assert names == ["A", "d", "-"]
    counted = link.partition("/api/data/v9.2/")[2].replace("new_profiles?", "new_profiles/$count?")
    assert get(tracked, counted).body == b"3"
    assert delta(tracked, later)[0] == []


def pages(api: Api, link: str, *headers: str) -> Iterator[tuple[list[str], str]]:
    """Follow links up to the delta link, two rows at a time."""
    while True:
        found = delta(api, link, *headers, "Prefer: odata.maxpagesize=2")
        yield found
        link, headers = found[1], ()
        if "$deltatoken=" in link:
            return


def test_rows_come_by_pages_and_one_that_comes_in_between_is_not_lost(tracked: Api) -> None:
    found, link = [], "/api/data/v9.2/new_profiles?$select=new_name"
    for number, (names, after) in enumerate(pages(tracked, link, TRACK)):
        assert len(names) <= 2
        found += names
        link = after
        if number == 0:
            tracked.bulk("new_profiles", "CreateMultiple", [{"new_name": "meanwhile"}])
    assert set(found) >= set("abc")
    assert "meanwhile" in [*found, *delta(tracked, link)[0]]


def test_changes_and_deletes_come_by_pages(tracked: Api) -> None:
    link = delta(tracked, "/api/data/v9.2/new_profiles", TRACK)[1]
    for key in tracked.exported("new_profile"):
        tracked.expect(204, "DELETE", f"new_profiles({key})")
    tracked.bulk("new_profiles", "CreateMultiple", [{"new_name": name} for name in "xyz"])
    found = [names for names, _ in pages(tracked, link)]
    assert found == [["x", "y"], ["z", "-"], ["-", "-"]]


def test_tracking_is_refused_where_it_is_not_enabled_and_beside_a_filter(tracked: Api) -> None:
    assert get(tracked, "contacts", TRACK).status == 400
    answer = get(tracked, "new_profiles?$filter=new_name%20eq%20%27a%27", TRACK)
    assert 'The "$filter" query parameter isn\'t supported' in answer.json["error"]["message"]


def test_a_delta_link_of_more_than_seven_days_ago_has_expired(tracked: Api) -> None:
    answer = get(tracked, f"new_profiles?$deltatoken={quote('1.0!01/01/2024 00:00:00', safe='')}")
    assert (answer.status, answer.json["error"]["code"]) == (400, "0x80044352")


def test_tracking_is_enabled_later_but_never_disabled(server: Api) -> None:
    api = server.another()
    api.expect(204, "POST", "EntityDefinitions", json=table("new_profile"))
    assert get(api, "new_profiles", TRACK).status == 400
    definition = "EntityDefinitions(LogicalName='new_profile')"
    api.expect(204, "PUT", definition, json={"ChangeTrackingEnabled": True})
    link = delta(api, "/api/data/v9.2/new_profiles", TRACK)[1]
    row = api.bulk("new_profiles", "CreateMultiple", [{"new_name": "a"}]).json()["Ids"][0]
    api.expect(204, "DELETE", f"new_profiles({row})")
    assert delta(api, link)[0] == ["-"]
    assert api.refused(400, "0x80040203", "PUT", definition, json={"ChangeTrackingEnabled": False})
    tracked = api.get("EntityDefinitions?$select=LogicalName&$filter=ChangeTrackingEnabled eq true")["value"]
    assert [one["LogicalName"] for one in tracked] == ["new_profile"]
    assert b"ChangeTracking" in get(api, "$metadata?annotations=true").body
    assert b"ChangeTracking" not in get(api, "$metadata").body


def test_a_row_that_was_deleted_and_made_again_is_a_change(tracked: Api) -> None:
    link = delta(tracked, "/api/data/v9.2/new_profiles", TRACK)[1]
    (key, _), *_ = tracked.exported("new_profile").items()
    tracked.expect(204, "DELETE", f"new_profiles({key})")
    tracked.bulk("new_profiles", "CreateMultiple", [{"new_profileid": key, "new_name": "again"}])
    assert delta(tracked, link)[0] == ["again"]
