"""The local Dataverse: who may read what by FetchXML, SQL, paths and expansions; what is kept over a restart."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.local_dataverse import CRM, Api, column, label, running, table

MINE, SEEDED = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
PAIRS = {
    "@odata.type": f"{CRM}ManyToManyRelationshipMetadata",
    "SchemaName": "new_profile_contact",
    "Entity1LogicalName": "new_profile",
    "Entity2LogicalName": "contact",
    "IntersectEntityName": "new_profile_contact",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("dataverse")) as url:
        yield Api(url)


@pytest.fixture
def api(server: Api) -> Api:
    """An account that nobody created and one that the user did; a contact of each."""
    api = server.another()
    api.seed("account", f"accountid,name\n{SEEDED},Seeded\n")
    api.expect(204, "POST", "accounts", json={"accountid": MINE, "name": "Mine"})
    for key, name in ((MINE, "A"), (SEEDED, "B")):
        bind = {"parentcustomerid_account@odata.bind": f"accounts({key})"}
        api.expect(204, "POST", "contacts", json={"contactid": key, "lastname": name, **bind})
    return api


def take(api: Api, **what: Any) -> None:
    api.http.post(f"/local/{api.host}/privileges", json=what).raise_for_status()


LINK = '<link-entity name="account" from="accountid" to="parentcustomerid" alias="a"/>'
FETCH = f'<fetch><entity name="contact"><attribute name="lastname"/>{LINK}</entity></fetch>'
JOINED = "SELECT c.lastname, a.name FROM contact c JOIN account a ON c.parentcustomerid = a.accountid"
ASKED = {
    "fetchXml": f"contacts?fetchXml={quote(FETCH, safe='')}",
    "sql": f"contacts?sql={quote(JOINED)}",
    "path": "contacts?$filter=parentcustomerid_account/name ne null",
    "expansion": "contacts?$expand=parentcustomerid_account($select=name)",
}


@pytest.mark.parametrize("query", ASKED.values(), ids=ASKED)
def test_a_query_needs_to_read_every_table_that_it_touches(api: Api, query: str) -> None:
    api.expect(200, "GET", query)
    take(api, lacking=["prvReadAccount"])
    assert "prvReadAccount" in api.refused(403, "0x80040220", "GET", query)


@pytest.mark.parametrize("query", [ASKED["fetchXml"], ASKED["sql"], ASKED["path"]], ids=["fetchXml", "sql", "path"])
def test_a_query_reaches_only_the_rows_that_the_user_may_read(api: Api, query: str) -> None:
    assert len(api.get(query)["value"]) == 2
    take(api, depth={"prvReadAccount": "Basic"})
    assert len(api.get(query)["value"]) == 1


def test_an_expansion_shows_nothing_of_a_row_that_the_user_may_not_read(api: Api) -> None:
    take(api, depth={"prvReadAccount": "Basic"})
    rows = {row["lastname"]: row["parentcustomerid_account"] for row in api.get(ASKED["expansion"])["value"]}
    assert rows["A"]["name"] == "Mine"
    assert rows["B"] is None


def test_a_quantifier_sees_only_rows_that_the_user_may_read(api: Api) -> None:
    query = "accounts?$filter=contact_customer_accounts/any()&$orderby=name"
    assert [row["name"] for row in api.get(query)["value"]] == ["Mine", "Seeded"]
    api.seed("contact", f"contactid,lastname\n{SEEDED},C\n")
    take(api, depth={"prvReadContact": "Basic"})
    assert [row["name"] for row in api.get(query)["value"]] == ["Mine"]


@pytest.mark.parametrize(
    "wrong",
    [
        "<fetch>",
        "<!DOCTYPE x><fetch/>",
        "<fetch/>",
        '<fetch><entity name="account"/></fetch>',
        '<fetch><entity name="contact"><link-entity name="nosuch" from="a" to="b"/></entity></fetch>',
        '<fetch top="2" count="2"><entity name="contact"/></fetch>',
        '<fetch aggregate="true"><entity name="contact"><attribute name="lastname"/></entity></fetch>',
        FETCH.replace(LINK, '<filter><condition attribute="lastname" operator="eq"/></filter>'),
    ],
)
def test_fetchxml_that_cannot_be_read_is_refused(api: Api, wrong: str) -> None:
    answer = api.expect(400, "GET", f"contacts?fetchXml={quote(wrong, safe='')}")
    assert set(answer.json()["error"]) == {"code", "message"}


@pytest.mark.parametrize(
    "wrong",
    ["", "DELETE FROM contact", "SELECT * FROM contact", "SELECT a.x FROM contact", "SELECT lastname FROM account",
     "SELECT lastname FROM contact; SELECT 1", "SELECT lastname FROM contact WHERE lastname = (SELECT 1)",
     "SELECT lastname FROM contact, account", "SELECT lastname FROM contact UNION SELECT name FROM account",
     "SELECT TOP 5001 lastname FROM contact", "SELECT statecode FROM contact c JOIN account a ON 1 = 1"],
)  # fmt: skip
def test_sql_that_cannot_be_read_is_refused(api: Api, wrong: str) -> None:
    answer = api.expect(400, "GET", f"contacts?sql={quote(wrong)}")
    assert set(answer.json()["error"]) == {"code", "message"}


def test_sql_comes_by_pages(server: Api) -> None:
    api = server.another()
    rows = "".join(f"{uuid.UUID(int=number + 1)},{number:05}\n" for number in range(5_001))
    api.seed("contact", "contactid,lastname\n" + rows).raise_for_status()
    first = api.get("contacts?sql=" + quote("SELECT lastname FROM contact ORDER BY lastname"))
    assert len(first["value"]) == 5_000
    rest = api.http.get(first["@odata.nextLink"]).json()
    assert [row["lastname"] for row in rest["value"]] == ["05000"]
    assert "@odata.nextLink" not in rest


def test_pairs_tracking_and_files_outlive_the_process(tmp_path: Path) -> None:
    with running(tmp_path) as url:
        api = Api(url)
        api.expect(204, "POST", "EntityDefinitions", json={**table("new_profile"), "ChangeTrackingEnabled": True})
        api.expect(204, "POST", "RelationshipDefinitions", json=PAIRS)
        file = {**column("new_plan", "File"), "DisplayName": label("Plan")}
        api.expect(204, "POST", "EntityDefinitions(LogicalName='new_profile')/Attributes", json=file)
        api.seed("contact", f"contactid,lastname\n{MINE},A\n")
        api.expect(204, "POST", "new_profiles", json={"new_profileid": MINE})
        reference = {"@odata.id": f"contacts({MINE})"}
        api.expect(204, "POST", f"new_profiles({MINE})/new_profile_contact/$ref", json=reference)
        headers = {"x-ms-file-name": "a.txt", "Content-Type": "text/plain"}
        api.expect(204, "PATCH", f"new_profiles({MINE})/new_plan", content=b"x", headers=headers)
        link = api.get("new_profiles", Prefer="odata.track-changes")["@odata.deltaLink"]
    with running(tmp_path) as url:
        api = Api(url)
        assert [row["lastname"] for row in api.get(f"new_profiles({MINE})/new_profile_contact")["value"]] == ["A"]
        assert api.request("GET", f"new_profiles({MINE})/new_plan/$value").content == b"x"
        api.expect(204, "DELETE", f"new_profiles({MINE})")
        (gone,) = api.get(link.partition("/api/data/v9.2/")[2])["value"]
        assert (gone["id"], gone["reason"]) == (MINE, "deleted")


def test_a_table_goes_with_its_pairs(api: Api) -> None:
    api.expect(204, "POST", "EntityDefinitions", json=table("new_profile"))
    api.expect(204, "POST", "RelationshipDefinitions", json=PAIRS)
    api.expect(204, "POST", "new_profiles", json={"new_profileid": MINE})
    api.expect(204, "POST", f"contacts({MINE})/new_profile_contact/$ref", json={"@odata.id": f"new_profiles({MINE})"})
    twice = {"json": {"@odata.id": f"new_profiles({MINE})"}}
    assert api.refused(412, "0x80040237", "POST", f"contacts({MINE})/new_profile_contact/$ref", **twice)
    api.expect(204, "DELETE", "EntityDefinitions(LogicalName='new_profile')")
    api.expect(404, "GET", f"contacts({MINE})/new_profile_contact")
    api.expect(204, "DELETE", f"contacts({MINE})")
    api.expect(204, "POST", "EntityDefinitions", json=table("new_profile"))
    api.expect(204, "POST", "RelationshipDefinitions", json=PAIRS)


def test_a_relationship_that_fails_leaves_no_pairs_behind(api: Api) -> None:
    api.expect(204, "POST", "EntityDefinitions", json=table("new_profile"))
    batch = [{**PAIRS, "IntersectEntityName": None}, {**PAIRS, "Entity1LogicalName": "nosuch"}]
    batch.append({**PAIRS, "Entity2LogicalName": "new_profile"})
    statuses = [api.request("POST", "RelationshipDefinitions", json=body).status_code for body in batch]
    assert statuses == [400, 404, 501]
    assert api.get("EntityDefinitions(LogicalName='contact')/ManyToManyRelationships")["value"] == []
    assert json.dumps(api.get("RelationshipDefinitions")).count("ManyToMany") == 0
