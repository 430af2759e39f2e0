"""The local Dataverse: bulk actions and $batch."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.local_dataverse import CRM, Api, column, lookup, running, table


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("dataverse")) as url:
        yield Api(url)


@pytest.fixture
def api(server: Api) -> Api:
    api = server.another()
    api.expect(204, "POST", "EntityDefinitions", json=table("new_profile", column("new_code"), column("new_text")))
    api.expect(204, "POST", "RelationshipDefinitions", json=lookup("new_link", "contact", "new_profile"))
    return api


def guid() -> str:
    return str(uuid.uuid4())


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def counts(api: Api, name: str) -> tuple[int, int, int]:
    found = api.laboratory("statistics")["tables"].get(name, {"created": 0, "updated": 0, "deleted": 0})
    return found["created"], found["updated"], found["deleted"]


# Bulk actions


def test_upsert_multiple_creates_and_updates_by_primary_key(api: Api) -> None:
    ids = [guid() for _ in range(3)]
    rows = [{"new_profileid": key, "new_name": "a", "new_text": "t"} for key in ids[:2]]
    answer = api.bulk("new_profiles", "UpsertMultiple", rows)
    assert (answer.status_code, answer.content) == (204, b"")
    later = [{"new_profileid": ids[2].upper(), "new_name": "b"}, {"new_profileid": ids[0], "new_name": "c"}]
    assert api.bulk("new_profiles", "UpsertMultiple", later).status_code == 204
    assert counts(api, "new_profile") == (3, 1, 0)
    rows_now = api.exported("new_profile")
    assert [rows_now[key]["new_name"] for key in ids] == ["c", "a", "b"]
    assert rows_now[ids[0]]["new_text"] == "t"
    assert len({row["versionnumber"] for row in rows_now.values()}) == 3


def test_create_multiple_answers_the_keys_in_order(api: Api) -> None:
    given = guid()
    answer = api.bulk("new_profiles", "CreateMultiple", [{"new_name": "a"}, {"new_name": "b", "new_profileid": given}])
    assert answer.status_code == 200
    assert answer.json()["@odata.context"].endswith("#Microsoft.Dynamics.CRM.CreateMultipleResponse")
    first, second = answer.json()["Ids"]
    assert second == given
    assert api.exported("new_profile")[first]["new_name"] == "a"
    again = api.bulk("new_profiles", "CreateMultiple", [{"new_name": "c"}, {"new_profileid": given}])
    assert code_of(again) == (412, "0x80040237")
    assert len(api.exported("new_profile")) == 2


def test_update_multiple_needs_every_row_and_takes_the_first_of_duplicates(api: Api) -> None:
    known, missing = guid(), guid()
    api.seed("contact", f"contactid,firstname\n{known},A\n")
    answer = api.bulk("contacts", "UpdateMultiple", [{"contactid": known, "firstname": "B"}, {"contactid": missing}])
    assert code_of(answer) == (404, "0x80040217")
    assert answer.json()["error"]["message"] == f"Contact With Ids = {missing} Do Not Exist"
    twice = [{"contactid": known, "firstname": "C"}, {"contactid": known, "firstname": "D"}]
    assert api.bulk("contacts", "UpdateMultiple", twice).status_code == 204
    assert api.exported("contact")[known]["firstname"] == "C"
    assert api.bulk("contacts", "UpdateMultiple", [{"firstname": "D"}]).status_code == 400


@pytest.mark.parametrize(
    ("bad", "status", "code"),
    [
        ({"new_name": "x" * 101}, 400, "0x80044331"),
        ({"nosuch": "x"}, 400, "0x80048d19"),
        ({"new_name": 1}, 400, "0x80048d19"),
        ({"@odata.type": None}, 400, "0x80048d19"),
        ({"@odata.type": "Microsoft.Dynamics.CRM.contact"}, 400, "0x80040203"),
    ],
)
def test_one_bad_row_rolls_the_whole_call_back(api: Api, bad: dict[str, Any], status: int, code: str) -> None:
    rows = [{"new_profileid": guid(), "new_name": "a"} for _ in range(5)]
    body = [*rows, {"new_profileid": guid(), **bad}]
    for action in ("UpsertMultiple", "CreateMultiple"):
        assert code_of(api.bulk("new_profiles", action, body)) == (status, code)
    assert api.exported("new_profile") == {}
    assert counts(api, "new_profile") == (0, 0, 0)


def test_duplicate_keys_in_one_upsert_are_an_error(api: Api) -> None:
    key = guid()
    rows = [{"new_profileid": key, "new_name": "a"}, {"new_profileid": key.upper(), "new_name": "b"}]
    assert code_of(api.bulk("new_profiles", "UpsertMultiple", rows)) == (412, "0x80040237")
    assert api.exported("new_profile") == {}


def test_links_are_set_and_cleared_in_bulk_and_their_targets_checked(api: Api) -> None:
    profile, contact = guid(), guid()
    bind = "new_link@odata.bind"
    api.bulk("new_profiles", "UpsertMultiple", [{"new_profileid": profile}])
    api.seed("contact", f"contactid\n{contact}\n")
    row = {"contactid": contact, bind: f"/new_profiles({profile})"}
    assert api.bulk("contacts", "UpdateMultiple", [row]).status_code == 204
    assert api.exported("contact")[contact]["_new_link_value"] == profile
    nowhere = guid()
    refused = api.bulk("contacts", "UpdateMultiple", [{"contactid": contact, bind: f"/new_profiles({nowhere})"}])
    assert code_of(refused) == (404, "0x80040217")
    assert nowhere in refused.json()["error"]["message"]
    assert api.bulk("contacts", "UpdateMultiple", [{"contactid": contact, bind: None}]).status_code == 204
    assert api.exported("contact")[contact]["_new_link_value"] is None


def test_rows_of_several_tables_are_upserted_with_their_lookup(api: Api) -> None:
    profiles = [guid() for _ in range(4)]
    api.bulk("new_profiles", "UpsertMultiple", [{"new_profileid": key} for key in profiles])
    for name in ("new_key", "new_activity"):
        api.expect(204, "POST", "EntityDefinitions", json={**table(name), "EntitySetName": f"{name}s"})
        api.expect(204, "POST", "RelationshipDefinitions", json=lookup("new_customer", name, "new_profile"))
        rows = [
            {f"{name}id": guid(), "new_name": str(number), "new_customer@odata.bind": f"/new_profiles({profile})"}
            for number, profile in enumerate(profiles * 50)
        ]
        assert api.bulk(f"{name}s", "UpsertMultiple", rows).status_code == 204
        found = {row["new_name"]: row["_new_customer_value"] for row in api.exported(name).values()}
        assert found == {str(number): profile for number, profile in enumerate(profiles * 50)}
    changed = [{f"{name}id": rows[0][f"{name}id"], "new_customer@odata.bind": f"/new_profiles({profiles[3].upper()})"}]
    assert api.bulk(f"{name}s", "UpsertMultiple", changed).status_code == 204
    assert api.exported(name)[rows[0][f"{name}id"]]["_new_customer_value"] == profiles[3]
    before = api.laboratory("statistics")["tables"]["new_key"]["unlinked"]
    api.expect(204, "DELETE", f"new_profiles({profiles[1]})")
    for one in ("new_key", "new_activity"):
        assert [row["_new_customer_value"] for row in api.exported(one).values()].count(None) == 50
    assert api.laboratory("statistics")["tables"]["new_key"]["unlinked"] - before == 50


def test_a_lookup_to_a_row_that_is_not_there_rolls_an_upsert_back(api: Api) -> None:
    known, nowhere, contact = guid(), guid(), guid()
    api.bulk("new_profiles", "UpsertMultiple", [{"new_profileid": known}])
    api.seed("contact", f"contactid,firstname\n{contact},A\n")
    rows = [
        {"contactid": contact, "firstname": "B", "new_link@odata.bind": f"/new_profiles({known})"},
        {"contactid": guid(), "firstname": "C", "new_link@odata.bind": f"/new_profiles({nowhere})"},
    ]
    for order in (rows, rows[::-1]):
        refused = api.bulk("contacts", "UpsertMultiple", order)
        assert code_of(refused) == (404, "0x80040217")
        assert refused.json()["error"]["message"] == f"new_profile With Id = {nowhere} Does Not Exist"
    (row,) = api.exported("contact").values()
    assert (row["firstname"], row["_new_link_value"]) == ("A", None)


def test_a_row_does_not_name_itself(api: Api) -> None:
    api.expect(204, "POST", "RelationshipDefinitions", json=lookup("new_parent", "new_profile", "new_profile"))
    key = guid()
    api.bulk("new_profiles", "UpsertMultiple", [{"new_profileid": key}])
    row = {"new_profileid": key, "new_parent@odata.bind": f"/new_profiles({key})"}
    assert code_of(api.bulk("new_profiles", "UpsertMultiple", [row])) == (400, "0x80040507")


def test_bodies_that_are_no_bulk_call_are_refused(api: Api) -> None:
    action = f"new_profiles/{CRM}UpsertMultiple"
    bodies: list[dict[str, Any]] = [{}, {"Targets": []}, {"Targets": {}}, {"Targets": ["x"]}, {"Targets": [{}], "x": 1}]
    for body in bodies:
        assert api.request("POST", action, json=body).status_code == 400
    assert api.request("POST", f"new_profiles/{CRM}DeleteMultiple", json={}).status_code == 501
    assert api.request("GET", action).status_code == 405


def test_upsert_by_alternate_key(api: Api) -> None:
    key = {"SchemaName": "new_codekey", "DisplayName": {}, "KeyAttributes": ["new_code"]}
    api.expect(204, "POST", "EntityDefinitions(LogicalName='new_profile')/Keys", json=key)
    named = {"@odata.id": "new_profiles(new_code='O''Neil')", "new_name": "a"}
    assert api.bulk("new_profiles", "UpsertMultiple", [named]).status_code == 204
    assert api.bulk("new_profiles", "UpsertMultiple", [{**named, "new_name": "b"}]).status_code == 204
    (row,) = api.exported("new_profile").values()
    assert (row["new_code"], row["new_name"]) == ("O'Neil", "b")
    both = {"@odata.id": "new_profiles(new_code='z')", "new_code": "z"}
    assert code_of(api.bulk("new_profiles", "UpsertMultiple", [both])) == (400, "0x80040216")
    assert code_of(api.bulk("new_profiles", "CreateMultiple", [{"new_code": "O'Neil"}])) == (412, "0x80060892")
    assert api.get("new_profiles(new_code='O''Neil')")["new_name"] == "b"
    assert api.refused(404, "0x80060891", "GET", "new_profiles(new_code='none')")
    api.expect(204, "PATCH", "new_profiles(new_code='fresh')", json={"new_name": "c"})
    assert api.get("new_profiles(new_code='fresh')")["new_name"] == "c"


def test_many_connections_at_once(api: Api) -> None:
    def send(number: int) -> int:
        rows = [{"new_profileid": str(uuid.UUID(int=number * 1000 + row)), "new_name": "a"} for row in range(50)]
        return api.bulk("new_profiles", "UpsertMultiple", rows).status_code

    with ThreadPoolExecutor(24) as pool:
        assert set(pool.map(send, range(96))) == {204}
    assert counts(api, "new_profile") == (96 * 50, 0, 0)


# $batch


def part(request: str, body: str = "", *headers: str, content_id: str = "") -> str:
    own = f"Content-ID: {content_id}\r\n" if content_id else ""
    lines = "".join(f"{header}\r\n" for header in headers)
    head = f"Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n{own}"
    return f"{head}\r\n{request}\r\n{lines}\r\n{body}"


def multipart(boundary: str, *parts: str) -> str:
    return "".join(f"--{boundary}\r\n{each}\r\n" for each in parts) + f"--{boundary}--\r\n"


def batch(api: Api, body: str, prefer: str = "", boundary: str = '"b1"') -> httpx.Response:
    headers = {"Content-Type": f"multipart/mixed; boundary={boundary}", "Prefer": prefer}
    return api.request("POST", "$batch", content=body.encode(), headers=headers)


def statuses(answer: httpx.Response) -> list[int]:
    return [int(line.split(" ")[1]) for line in answer.text.splitlines() if line.startswith("HTTP/1.1 ")]


def test_batch_stops_at_the_first_failure_unless_told_to_go_on(api: Api) -> None:
    keys = [guid() for _ in range(2)]
    api.bulk("new_profiles", "UpsertMultiple", [{"new_profileid": key} for key in keys])
    deletes = [part(f"DELETE /api/data/v9.2/new_profiles({key}) HTTP/1.1") for key in (guid(), keys[0])]
    stopped = batch(api, multipart("b1", *deletes))
    assert (stopped.status_code, statuses(stopped)) == (404, [404])
    went_on = batch(api, multipart("b1", *deletes), prefer="odata.continue-on-error")
    assert (went_on.status_code, statuses(went_on)) == (200, [404, 204])
    assert went_on.headers["Content-Type"].startswith("multipart/mixed; boundary=batchresponse_")
    assert '"code": "0x80040217"' in went_on.text
    assert counts(api, "new_profile") == (2, 0, 1)
    assert api.laboratory("statistics")["requests"]["$batch"] == 2


def test_a_change_set_is_done_as_a_whole_or_not_at_all(api: Api) -> None:
    good = part("POST new_profiles HTTP/1.1", '{"new_name": "a"}', "Content-Type: application/json", content_id="1")
    bad = part("POST new_profiles HTTP/1.1", '{"nosuch": "a"}', "Content-Type: application/json", content_id="2")
    inner = "Content-Type: multipart/mixed; boundary=c1\r\n\r\n" + multipart("c1", good, bad)
    other = part(f"POST {api.root}new_profiles HTTP/1.1", '{"new_name": "b"}')
    answer = batch(api, multipart("b1", inner, other), prefer="odata.continue-on-error")
    assert (answer.status_code, statuses(answer)) == (200, [400, 204])
    assert [row["new_name"] for row in api.exported("new_profile").values()] == ["b"]
    assert counts(api, "new_profile") == (1, 0, 0)


def test_requests_of_a_change_set_refer_to_each_other(api: Api) -> None:
    profile = part("POST new_profiles HTTP/1.1", '{"new_name": "a"}', content_id="1")
    contact = part("POST contacts HTTP/1.1", '{"new_link@odata.bind": "$1", "firstname": "$1"}', content_id="2")
    renamed = part("PATCH $1 HTTP/1.1", '{"new_name": "b"}', content_id="3")
    inner = "Content-Type: multipart/mixed; boundary=c1\r\n\r\n" + multipart("c1", profile, contact, renamed)
    answer = batch(api, multipart("b1", inner), boundary="b1")
    assert statuses(answer) == [204, 204, 204]
    assert "Content-ID: 2" in answer.text
    ((key, row),) = api.exported("new_profile").items()
    (found,) = api.exported("contact").values()
    assert (row["new_name"], found["_new_link_value"], found["firstname"]) == ("b", key, "$1")


def test_batches_that_cannot_be_read_are_refused(api: Api) -> None:
    good = multipart("b1", part("GET WhoAmI HTTP/1.1"))
    assert statuses(batch(api, good)) == [200]
    assert statuses(batch(api, "\r\n" + good)) == [200]
    assert statuses(batch(api, good.replace("\r\n", "\n") + "\n")) == [200]
    assert code_of(batch(api, good.replace("\r\n", "\n"))) == (400, "0x80048d19")
    assert batch(api, multipart("b1", *[part("GET WhoAmI HTTP/1.1")] * 1001)).status_code == 400
    assert statuses(batch(api, multipart("b1", part("POST $batch HTTP/1.1")))) == [400]
    inner = "Content-Type: multipart/mixed; boundary=c1\r\n\r\n" + multipart("c1", part("GET WhoAmI HTTP/1.1"))
    assert statuses(batch(api, multipart("b1", inner))) == [400]
    assert api.request("POST", "$batch", content=good.encode()).status_code == 400


def test_a_thousand_deletes_in_one_batch(api: Api) -> None:
    keys = [guid() for _ in range(1000)]
    assert api.bulk("new_profiles", "UpsertMultiple", [{"new_profileid": key} for key in keys]).status_code == 204
    answer = batch(api, multipart("b1", *(part(f"DELETE new_profiles({key}) HTTP/1.1") for key in keys)))
    assert statuses(answer) == [204] * 1000
    assert counts(api, "new_profile") == (1000, 0, 1000)
    assert json.loads(api.request("GET", "new_profiles/$count").text) == 0
