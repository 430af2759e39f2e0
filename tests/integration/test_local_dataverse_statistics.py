"""The local Dataverse: which columns were written, and which writes came with flows and custom logic."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.local_dataverse import Api, lookup, running, table

FLOWS = {"MSCRM.SuppressCallbackRegistrationExpanderJob": "true"}
LOGIC = {"MSCRM.BypassBusinessLogicExecution": "CustomSync,CustomAsync"}
DUPLICATES = {"MSCRM.SuppressDuplicateDetection": "true"}
NONE = {"requests": 0, "rows": 0}
BIND = "new_link@odata.bind"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("dataverse")) as url:
        yield Api(url)


@pytest.fixture
def api(server: Api) -> Api:
    api = server.another()
    api.expect(204, "POST", "EntityDefinitions", json=table("new_profile"))
    api.expect(204, "POST", "RelationshipDefinitions", json=lookup("new_link", "contact", "new_profile"))
    return api


def guid() -> str:
    return str(uuid.uuid4())


def seeded(api: Api, count: int) -> list[str]:
    found = [guid() for _ in range(count)]
    api.seed("contact", "contactid\n" + "\n".join(found) + "\n")
    return found


def columns(api: Api, name: str = "contact") -> Any:
    return api.laboratory("statistics")["columns"].get(name)


def manners(api: Api, name: str = "contact") -> Any:
    return api.laboratory("statistics")["writes_by_manner"].get(name)


def rows(set_name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    kind = f"Microsoft.Dynamics.CRM.{set_name.removesuffix('s')}"
    return {"Targets": [{"@odata.type": kind, **row} for row in rows]}


def test_columns_are_counted_by_the_rows_they_were_written_in(api: Api) -> None:
    first, second = seeded(api, 2)
    profile = guid()
    api.bulk("new_profiles", "UpsertMultiple", [{"new_profileid": profile, "new_name": "a"}])
    linked = [{"contactid": one, BIND: f"/new_profiles({profile})"} for one in (first, second)]
    assert api.bulk("contacts", "UpdateMultiple", linked).is_success
    api.expect(204, "PATCH", f"contacts({first})", json={BIND: None})
    assert columns(api) == {"created": {}, "updated": {"new_link": 3}}
    assert columns(api, "new_profile") == {"created": {"new_name": 1}, "updated": {}}


def test_columns_of_every_way_to_write_one_value_are_counted(api: Api) -> None:
    [contact] = seeded(api, 1)
    api.expect(204, "PUT", f"contacts({contact})/firstname", json={"value": "A"})
    api.expect(204, "DELETE", f"contacts({contact})/firstname")
    api.expect(204, "DELETE", f"contacts({contact})/new_link/$ref")
    api.expect(204, "DELETE", f"contacts({contact})/_parentcustomerid_value")
    account = api.expect(204, "POST", "accounts", json={}).headers["OData-EntityId"]
    bound = {"parentcustomerid_account@odata.bind": account.removeprefix(api.root)}
    api.expect(204, "PATCH", f"contacts({contact})", json=bound)
    assert columns(api)["updated"] == {"firstname": 2, "new_link": 1, "parentcustomerid": 2}


def test_columns_that_are_ignored_or_rolled_back_are_not_counted(api: Api) -> None:
    api.expect(204, "POST", "contacts", json={"firstname": "A", "createdon": "2001-01-01T00:00:00Z"})
    assert columns(api) == {"created": {"firstname": 1}, "updated": {}}
    api.refused(404, "0x80040217", "POST", "contacts", json={"lastname": "A", BIND: f"/new_profiles({guid()})"})
    twice = [{"contactid": guid(), "lastname": "A"}] * 2
    assert api.bulk("contacts", "CreateMultiple", twice).status_code == 412
    assert columns(api) == {"created": {"firstname": 1}, "updated": {}}


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("flows_suppressed", FLOWS),
        ("custom_logic_bypassed", LOGIC),
        ("duplicate_detection_suppressed", DUPLICATES),
    ],
)
def test_rows_and_requests_with_a_header_are_told_apart_from_those_without(
    api: Api, name: str, header: dict[str, str]
) -> None:
    contacts = seeded(api, 3)
    body = rows("contacts", [{"contactid": one, "firstname": "A"} for one in contacts])
    api.expect(204, "POST", "contacts/Microsoft.Dynamics.CRM.UpdateMultiple", json=body, headers=header)
    api.expect(204, "DELETE", f"contacts({contacts[0]})")
    api.get(f"contacts({contacts[1]})")
    found = manners(api)
    assert found.pop(name) == {"with": {"requests": 1, "rows": 3}, "without": {"requests": 1, "rows": 1}}
    for other in found.values():
        assert other == {"with": NONE, "without": {"requests": 2, "rows": 4}}


@pytest.mark.parametrize("half", ["CustomSync", "CustomAsync"])
def test_custom_logic_of_one_kind_alone_is_not_bypassed(api: Api, half: str) -> None:
    api.expect(204, "POST", "contacts", json={}, headers={"MSCRM.BypassBusinessLogicExecution": half})
    assert manners(api)["custom_logic_bypassed"]["with"] == NONE


def batch(api: Api, parts: list[tuple[str, dict[str, str]]], *, change_set: bool) -> None:
    marker, outer = "b1", []
    for number, (line, headers) in enumerate(parts):
        head = ["Content-Type: application/http", "Content-Transfer-Encoding: binary", f"Content-ID: {number}", ""]
        head += [line, "Content-Type: application/json", *(f"{key}: {value}" for key, value in headers.items())]
        outer.append("\r\n".join([*head, "", "{}", ""]))
    body = "".join(f"--{marker}\r\n{part}" for part in outer) + f"--{marker}--\r\n"
    if change_set:
        body = f"--all\r\nContent-Type: multipart/mixed; boundary={marker}\r\n\r\n{body}\r\n--all--\r\n"
    headers = {"Content-Type": f"multipart/mixed; boundary={'all' if change_set else marker}", **DUPLICATES}
    api.expect(200, "POST", "$batch", content=body.encode(), headers=headers)


@pytest.mark.parametrize("change_set", [False, True])
def test_parts_of_a_batch_count_by_their_own_headers(api: Api, *, change_set: bool) -> None:
    line = "POST contacts HTTP/1.1"
    batch(api, [(line, FLOWS), (line, {**FLOWS, **LOGIC}), (line, {})], change_set=change_set)
    found = manners(api)
    two, one = {"requests": 2, "rows": 2}, {"requests": 1, "rows": 1}
    assert found["flows_suppressed"] == {"with": two, "without": one}
    assert found["custom_logic_bypassed"] == {"with": one, "without": two}
    assert found["duplicate_detection_suppressed"] == {"with": NONE, "without": {"requests": 3, "rows": 3}}


def test_links_that_a_delete_empties_are_no_writes_of_their_table(api: Api) -> None:
    profile, contact = guid(), guid()
    api.seed("new_profile", f"new_profileid\n{profile}\n")
    api.seed("contact", f"contactid,_new_link_value\n{contact},{profile}\n")
    api.expect(204, "DELETE", f"new_profiles({profile})", headers=FLOWS)
    assert manners(api, "new_profile")["flows_suppressed"]["with"] == {"requests": 1, "rows": 1}
    assert (manners(api), columns(api)) == (None, None)


def test_a_reset_forgets_columns_and_manners(api: Api) -> None:
    api.expect(204, "POST", "contacts", json={"firstname": "A"}, headers=FLOWS)
    api.http.post(f"/local/{api.host}/statistics/reset").raise_for_status()
    assert (manners(api), columns(api)) == (None, None)
