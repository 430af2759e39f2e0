"""The local Dataverse: sign-in, rows, references, and the laboratory beside the API."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.local_dataverse import HEADER, HOST, Api, close, lookup, running, start, stop, table

CONTACT = "contacts({})"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("dataverse"), "--client", "app:secret") as url:
        yield Api(url)


@pytest.fixture
def api(server: Api) -> Api:
    return server.another()


def guid() -> str:
    return str(uuid.uuid4())


# Sign-in


def test_every_request_needs_a_valid_token_of_its_organization(server: Api) -> None:
    other = server.another()
    for headers in ({}, {"Authorization": "Bearer abc"}, {"Authorization": f"Bearer {other.token}"}):
        answer = httpx.get(server.root + "WhoAmI", headers=headers, trust_env=False)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer authorization_uri=http")
        assert f"resource_id=https://{HOST}/" in answer.headers["WWW-Authenticate"]


def test_managed_identity_wants_its_header_and_tells_when_the_token_expires(server: Api) -> None:
    options = {"api-version": "2019-08-01", "resource": f"https://{HOST}"}
    assert server.http.get("/msi/token", params=options).status_code == 401
    assert server.http.get("/msi/token", params=options, headers={"X-IDENTITY-HEADER": "other"}).status_code == 401
    answer = server.http.get("/msi/token", params=options, headers={"X-IDENTITY-HEADER": HEADER}).json()
    assert set(answer) == {"access_token", "expires_on", "resource", "token_type", "client_id"}
    assert time.time() + 3500 < int(answer["expires_on"]) <= time.time() + 3600
    assert answer["resource"] == f"https://{HOST}"


def test_client_credentials_by_secret(server: Api) -> None:
    form = {"grant_type": "client_credentials", "client_id": "app", "scope": f"https://{HOST}/.default"}
    refused = server.http.post("/tenant/oauth2/v2.0/token", data={**form, "client_secret": "wrong"})
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    answer = server.http.post("/tenant/oauth2/v2.0/token", data={**form, "client_secret": "secret"}).json()
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    assert httpx.get(server.root + "WhoAmI", headers=headers, trust_env=False).status_code == 200
    configuration = server.http.get("/tenant/v2.0/.well-known/openid-configuration").json()
    assert configuration["token_endpoint"] == f"{server.url}/tenant/oauth2/v2.0/token"


def test_tokens_expire_and_can_be_revoked(tmp_path: Path) -> None:
    with running(tmp_path, "--token-lifetime", "0.4") as url:
        api = Api(url)
        assert api.request("GET", "WhoAmI").status_code == 200
        time.sleep(0.5)
        assert api.request("GET", "WhoAmI").status_code == 401
    with running(tmp_path) as url:
        api = Api(url)
        api.http.post("/local/tokens/revoke").raise_for_status()
        assert api.request("GET", "WhoAmI").status_code == 401


def test_who_am_i_names_organization_and_user_and_recommends_a_parallelism(api: Api) -> None:
    answer = api.expect(200, "GET", "WhoAmI")
    assert int(answer.headers["x-ms-dop-hint"]) > 0
    assert answer.json()["OrganizationId"] == str(uuid.uuid5(uuid.NAMESPACE_DNS, api.host))
    second = Api(api.url, api.host, client_id="another-app")
    assert second.get("WhoAmI")["UserId"] != answer.json()["UserId"]
    assert second.get("WhoAmI()")["OrganizationId"] == answer.json()["OrganizationId"]


# Rows


def test_a_row_is_created_read_changed_and_deleted(api: Api) -> None:
    created = api.expect(204, "POST", "contacts", json={"firstname": "Ann", "emailaddress1": "", "numberofchildren": 2})
    address = created.headers["OData-EntityId"]
    assert address.startswith(api.root + "contacts(")
    row = api.http.get(address).json()
    assert (row["firstname"], row["emailaddress1"], row["numberofchildren"], row["lastname"]) == ("Ann", "", 2, None)
    assert row["createdon"] == row["modifiedon"]
    path = address.removeprefix(api.root)
    api.expect(204, "PATCH", path, json={"firstname": "Anna"}, headers={"If-Match": row["@odata.etag"]})
    changed = api.get(path)
    assert changed["firstname"] == "Anna"
    assert int(changed["@odata.etag"][3:-1]) > int(row["@odata.etag"][3:-1])
    assert api.refused(412, "0x80060882", "PATCH", path, json={}, headers={"If-Match": row["@odata.etag"]})
    api.expect(204, "DELETE", path)
    assert "Does Not Exist" in api.refused(404, "0x80040217", "GET", path)
    assert api.refused(404, "0x80040217", "DELETE", path)


def test_patch_creates_unless_it_is_told_not_to(api: Api) -> None:
    row = CONTACT.format(guid())
    assert api.refused(404, "0x80040217", "PATCH", row, json={}, headers={"If-Match": "*"})
    api.expect(204, "PATCH", row, json={"firstname": "A"}, headers={"If-None-Match": "null"})
    assert api.refused(412, "0x80040237", "PATCH", row, json={}, headers={"If-None-Match": "*"})
    api.expect(204, "PATCH", row, json={"firstname": "B"}, headers={"If-Match": "*"})
    assert api.laboratory("statistics")["tables"]["contact"]["created"] == 1
    assert api.laboratory("statistics")["tables"]["contact"]["updated"] == 1


def test_representation_is_returned_when_preferred(api: Api) -> None:
    prefer = {"Prefer": "return=representation"}
    body = {"firstname": "A", "lastname": "B"}
    made = api.expect(201, "POST", "contacts?$select=firstname", json=body, headers=prefer)
    assert made.json()["firstname"] == "A"
    assert "lastname" not in made.json()
    changed = api.expect(200, "PATCH", CONTACT.format(made.json()["contactid"]), json={"lastname": "C"}, headers=prefer)
    assert changed.json()["lastname"] == "C"


def test_columns_that_may_not_be_written_are_ignored_and_unknown_ones_refused(api: Api) -> None:
    api.expect(204, "POST", "contacts", json={"createdon": "2001-01-01T00:00:00Z", "fullname": "X", "firstname": "A"})
    row = next(iter(api.exported("contact").values()))
    assert row["fullname"] is None
    assert row["createdon"] > "2020"
    assert "'nosuch'" in api.refused(400, "0x80048d19", "POST", "contacts", json={"nosuch": 1})
    assert api.refused(400, "0x80060888", "POST", "contacts", json={"_parentcustomerid_value": guid()})
    assert api.refused(400, "0x80048d19", "POST", "contacts", content=b'{"firstname": ')
    assert api.refused(404, "0x8006088a", "POST", "Contacts", json={})


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"firstname": "x" * 51}, "0x80044331"),
        ({"firstname": "\U0001f600" * 26}, "0x80044331"),
        ({"firstname": 5}, "0x80048d19"),
        ({"numberofchildren": "5"}, "0x80048d19"),
        ({"numberofchildren": True}, "0x80048d19"),
        ({"numberofchildren": 2**31}, "0x80048d19"),
        ({"numberofchildren": -1}, "0x8004432f"),
        ({"annualincome": 1e15}, "0x80044330"),
        ({"gendercode": 7}, "0x8004431a"),
        ({"donotemail": 1}, "0x80048d19"),
        ({"birthdate": "2024-02-30"}, "0x80048d19"),
        ({"birthdate": "2024-02-03T00:00:00Z"}, "0x80048d19"),
        ({"birthdate": "1752-12-31"}, "0x80044332"),
        ({"contactid": "{" + str(uuid.UUID(int=7)) + "}"}, "0x80048d19"),
    ],
)
def test_values_that_do_not_fit_their_column_are_refused(api: Api, value: dict[str, object], code: str) -> None:
    assert api.refused(400, code, "POST", "contacts", json=value)
    assert api.laboratory("statistics")["writes"] == 0


def test_values_are_kept_exactly(api: Api) -> None:
    body = (
        '{"firstname": " \\u00e9\\ud83d\\ude00 ", "description": "a\\nb,\\"c\\"", "annualincome": 12345678901234.5678,'
        '"address1_latitude": 1.5, "donotemail": false, "birthdate": "1999-12-31", "gendercode": 2}'
    )
    api.expect(204, "POST", "contacts", content=body.encode())
    text = api.http.get(f"/local/{api.host}/export/contact").text
    assert '"annualincome":12345678901234.5678' in text
    row = next(iter(api.exported("contact").values()))
    assert (row["firstname"], row["description"]) == (" é\U0001f600 ", 'a\nb,"c"')
    assert (row["address1_latitude"], row["donotemail"], row["birthdate"]) == (1.5, False, "1999-12-31")


def test_one_property_is_read_set_and_cleared(api: Api) -> None:
    row = CONTACT.format(guid())
    api.expect(204, "PATCH", row, json={"firstname": "A"})
    assert api.get(f"{row}/firstname")["value"] == "A"
    api.expect(204, "PUT", f"{row}/firstname", json={"value": "B"})
    assert api.get(f"{row}/firstname")["value"] == "B"
    api.expect(204, "DELETE", f"{row}/firstname")
    api.expect(204, "GET", f"{row}/firstname")


# Lookups


def test_lookups_are_bound_read_and_cleared_in_every_documented_way(api: Api) -> None:
    account, contact = guid(), guid()
    api.expect(204, "PATCH", f"accounts({account})", json={"name": "Contoso"})
    row = CONTACT.format(contact)
    for address in (f"/accounts({account})", f"accounts({account.upper()})", f"{api.root}accounts({account})"):
        api.expect(204, "PATCH", row, json={"parentcustomerid_account@odata.bind": address})
        assert api.get(row)["_parentcustomerid_value"] == account
        api.expect(204, "PATCH", row, json={"parentcustomerid_account@odata.bind": None})
        assert api.get(row)["_parentcustomerid_value"] is None
    reference = f"{row}/parentcustomerid_account/$ref"
    api.expect(204, "PUT", reference, json={"@odata.id": f"{api.root}accounts({account})"})
    assert api.get(f"{row}/parentcustomerid_account")["name"] == "Contoso"
    contacts = f"accounts({account})/contact_customer_accounts"
    assert [found["contactid"] for found in api.get(contacts)["value"]] == [contact]
    notes = api.get(row, Prefer='odata.include-annotations="*"')
    assert notes["_parentcustomerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == "account"
    assert (
        api.get(f"{row}?$expand=parentcustomerid_account($select=name)")["parentcustomerid_account"]["name"]
        == "Contoso"
    )
    api.expect(204, "DELETE", reference)
    api.expect(204, "POST", f"{contacts}/$ref", json={"@odata.id": f"{api.root}{row}"})
    assert api.get(row)["_parentcustomerid_value"] == account


def test_lookups_that_name_nothing_are_refused(api: Api) -> None:
    bind = "parentcustomerid_account@odata.bind"
    assert api.refused(404, "0x80040217", "POST", "contacts", json={bind: f"/accounts({guid()})"})
    assert api.refused(400, "0x80048d19", "POST", "contacts", json={"Parentcustomerid_account@odata.bind": None})
    assert api.refused(400, "0x80048d19", "POST", "contacts", json={bind: f"/contacts({guid()})"})
    assert api.refused(400, "0x80060888", "POST", "contacts", json={bind: "nothing"})


def test_a_delete_follows_the_relationship(api: Api) -> None:
    api.expect(204, "POST", "EntityDefinitions", json=table("new_profile"))
    for name, child, behavior in (("new_link", "contact", "RemoveLink"), ("new_keep", "lead", "Restrict")):
        api.expect(204, "POST", "RelationshipDefinitions", json=lookup(name, child, "new_profile", behavior))
    profile, contact, lead = guid(), guid(), guid()
    api.expect(204, "PATCH", f"new_profiles({profile})", json={"new_name": "P"})
    api.expect(204, "PATCH", f"contacts({contact})", json={"new_link@odata.bind": f"/new_profiles({profile})"})
    api.expect(204, "PATCH", f"leads({lead})", json={"new_keep@odata.bind": f"/new_profiles({profile})"})
    assert api.refused(405, "0x80040227", "DELETE", f"new_profiles({profile})")
    assert api.get(f"contacts({contact})")["_new_link_value"] == profile
    before = api.get(f"contacts({contact})")["versionnumber"]
    api.expect(204, "PATCH", f"leads({lead})", json={"new_keep@odata.bind": None})
    api.expect(204, "DELETE", f"new_profiles({profile})")
    assert api.get(f"contacts({contact})")["_new_link_value"] is None
    assert api.get(f"contacts({contact})")["versionnumber"] > before
    assert api.laboratory("statistics")["tables"]["contact"]["unlinked"] == 1


def test_a_delete_cascades_to_children(api: Api) -> None:
    account, contact = guid(), guid()
    api.expect(204, "PATCH", f"accounts({account})", json={"name": "A"})
    body = {"parentcustomerid_account@odata.bind": f"accounts({account})"}
    api.expect(204, "PATCH", f"contacts({contact})", json=body)
    api.expect(204, "DELETE", f"accounts({account})")
    assert api.exported("contact") == {}
    assert api.laboratory("statistics")["tables"]["contact"]["deleted"] == 1


def test_a_cascade_in_a_circle_ends(api: Api) -> None:
    first, second = guid(), guid()
    for key in (first, second):
        api.expect(204, "PATCH", f"contacts({key})", json={"firstname": "A"})
    for key, parent in ((first, second), (second, first)):
        body = {"parentcustomerid_contact@odata.bind": f"contacts({parent})"}
        api.expect(204, "PATCH", f"contacts({key})", json=body)
    api.expect(204, "DELETE", f"contacts({first})")
    assert api.exported("contact") == {}


# The laboratory


def test_seeded_rows_are_there_beforehand_and_are_no_writes(api: Api) -> None:
    first, second = guid(), guid()
    content = (
        f"ContactId,firstname,numberofchildren,loyaltynumber,_parentcustomerid_value\r\n"
        f'{{{first.upper()}}},"A, ""B""\nC",3,,\r\n{second.replace("-", "")},,,L1,{guid()}\r\n'
    )
    assert api.seed("contact", content).json() == {"rows": 2}
    rows = api.exported("contact")
    assert (rows[first]["firstname"], rows[first]["numberofchildren"]) == ('A, "B"\nC', 3)
    assert (rows[second]["firstname"], rows[second]["loyaltynumber"]) == (None, "L1")
    assert rows[second]["createdon"]
    statistics = api.laboratory("statistics")
    assert (statistics["writes"], statistics["seeded"]) == (0, {"contact": 2})
    line = json.dumps({"memberid": first, "points": 5, "bio": "x" * 3000})
    assert api.seed("member", line, "application/x-ndjson").json() == {"rows": 1}
    assert api.exported("member")[first]["points"] == "5"
    assert api.get("members")["value"][0]["bio"] == "x" * 3000
    assert "member" in api.laboratory("export")["tables"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("firstname\nA\n", "contactid"),
        ("contactid,firstname\nabc,A\n", "Row 1, column 'contactid'"),
        ("contactid,numberofchildren\n" + str(uuid.UUID(int=1)) + ",many\n", "Row 1, column 'numberofchildren'"),
        ("contactid,firstname\n" + str(uuid.UUID(int=1)) + "\n", "Record 2 has 1 cells"),
        ("contactid,first name\n", "first name"),
        ('contactid\n""\n', "Row 1 has no primary key"),
    ],
)
def test_rows_that_cannot_be_seeded_are_refused_with_their_place(api: Api, content: str, told: str) -> None:
    answer = api.seed("contact", content)
    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]
    assert api.exported("contact") == {}


def test_statistics_tell_headers_tags_and_requests(api: Api) -> None:
    headers = {"MSCRM.BypassBusinessLogicExecution": "CustomSync,CustomAsync"}
    api.expect(204, "POST", "contacts?tag=run-7", json={"firstname": "A"}, headers=headers)
    api.request("GET", "contacts?$top=1")
    statistics = api.laboratory("statistics")
    assert statistics["requests"] == {"create": 1, "query": 1}
    assert statistics["requests_by_table"] == {"contact": {"create": 1, "query": 1}}
    assert statistics["headers"] == {"mscrm.bypassbusinesslogicexecution: CustomSync,CustomAsync": 1}
    assert statistics["tags"] == {"run-7": 1}
    assert statistics["tables"]["contact"] == {"created": 1, "updated": 0, "deleted": 0, "unlinked": 0}
    api.http.post(f"/local/{api.host}/statistics/reset").raise_for_status()
    assert api.laboratory("statistics")["writes"] == 0


def test_faults_hit_before_or_after_the_commit(api: Api) -> None:
    api.faults({"match": "contacts", "times": 1, "skip": 1, "status": 429, "retry_after": 2, "code": "0x80072322"})
    api.expect(204, "POST", "contacts", json={})
    throttled = api.expect(429, "POST", "contacts", json={})
    assert (throttled.headers["Retry-After"], throttled.json()["error"]["code"]) == ("2", "0x80072322")
    api.expect(204, "POST", "contacts", json={})
    assert len(api.exported("contact")) == 2
    api.faults({"match": "POST", "reset": True}, {"match": "POST", "reset": True, "after_commit": True})
    for expected in (2, 3):
        with pytest.raises(httpx.TransportError):
            api.request("POST", "contacts", json={})
        assert len(api.exported("contact")) == expected
    assert api.laboratory("faults") == {"faults": []}
    assert api.http.post(f"/local/{api.host}/faults", json=[{"nosuch": 1}]).status_code == 400


# The process


def test_what_was_answered_survives_kill_9(tmp_path: Path) -> None:
    process, url = start(tmp_path)
    api = Api(url)
    api.expect(204, "POST", "EntityDefinitions", json=table("new_profile"))
    targets = [{"new_profileid": guid(), "new_name": f"n{number}"} for number in range(200)]
    assert api.bulk("new_profiles", "UpsertMultiple", targets).status_code == 204
    before = api.exported("new_profile")
    process.kill()
    process.wait()
    close(url)
    if process.stdout is not None:
        process.stdout.close()
    process, url = start(tmp_path)
    again = Api(url)
    assert again.exported("new_profile") == before
    again.http.headers["Authorization"] = f"Bearer {api.token}"
    again.expect(204, "POST", "new_profiles", json={"new_name": "after"})
    versions = [row["versionnumber"] for row in again.exported("new_profile").values()]
    assert len(set(versions)) == 201
    close(url)
    assert stop(process) == 0


def test_latency_is_added_to_requests_without_holding_up_others(tmp_path: Path) -> None:
    with running(tmp_path, "--latency", "200") as url:
        started = time.monotonic()
        api = Api(url)
        assert time.monotonic() - started < 0.2
        api.get("WhoAmI")
        assert 0.2 <= time.monotonic() - started < 1


def test_organizations_are_apart(server: Api) -> None:
    first, second = server.another(), server.another()
    first.expect(204, "POST", "contacts", json={"firstname": "A"})
    assert second.exported("contact") == {}
    assert {first.host, second.host} <= set(server.http.get("/local").json()["organizations"])
