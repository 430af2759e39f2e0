"""The local Dataverse: privileges, how far they reach, and what is refused without them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.local_dataverse import Api, lookup, running, table

DENIED = (403, "0x80040220")
FUNCTION = "Microsoft.Dynamics.CRM.RetrieveUserPrivileges"
BIND = "new_link@odata.bind"
BYPASS = {"MSCRM.BypassBusinessLogicExecution": "CustomSync,CustomAsync"}
EVERY = {"Create", "Read", "Write", "Delete", "Append", "AppendTo", "Assign", "Share"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("dataverse")) as url:
        yield Api(url)


@pytest.fixture
def api(server: Api) -> Api:
    api = server.another()
    api.expect(204, "POST", "EntityDefinitions", json=table("new_Profile"))
    api.expect(204, "POST", "RelationshipDefinitions", json=lookup("new_link", "contact", "new_profile"))
    return api


def guid() -> str:
    return str(uuid.uuid4())


def take(api: Api, *lacking: str, **depth: str) -> Any:
    body = {"lacking": list(lacking), "depth": depth}
    return api.http.post(f"/local/{api.host}/privileges", json=body).raise_for_status().json()


def denied(api: Api, name: str, method: str, path: str, **more: Any) -> None:
    message = api.refused(*DENIED, method, path, **more)
    assert f"is missing {name} privilege (Id=" in message


def targets(kind: str, *rows: dict[str, Any]) -> dict[str, Any]:
    return {"Targets": [{"@odata.type": f"Microsoft.Dynamics.CRM.{kind}", **row} for row in rows]}


def held(api: Api, call: str = f"{FUNCTION}()") -> dict[str, dict[str, str]]:
    user = api.get("WhoAmI")["UserId"]
    found = api.get(f"systemusers({user})/{call}")["RolePrivileges"]
    return {one["PrivilegeName"]: one for one in found}


# Metadata


def test_a_table_tells_its_privileges_by_type(api: Api) -> None:
    chosen = api.get("EntityDefinitions(LogicalName='contact')?$select=LogicalName,Privileges")
    by_type = {one["PrivilegeType"]: one for one in chosen["Privileges"]}
    assert set(by_type) == EVERY
    assert by_type["Write"].pop("PrivilegeId")
    assert by_type["Write"] == {
        "CanBeBasic": True,
        "CanBeDeep": True,
        "CanBeEntityReference": False,
        "CanBeGlobal": True,
        "CanBeLocal": True,
        "CanBeParentEntityReference": False,
        "CanBeRecordFilter": False,
        "Name": "prvWriteContact",
        "PrivilegeType": "Write",
    }


def test_privileges_of_custom_tables_have_the_schema_name_and_are_listed_by_filter(api: Api) -> None:
    query = "EntityDefinitions?$select=LogicalName,Privileges&$filter=LogicalName eq 'new_profile'"
    [found] = api.get(query)["value"]
    assert {one["Name"] for one in found["Privileges"]} == {f"prv{kind}new_Profile" for kind in EVERY}
    alone = api.get("EntityDefinitions(LogicalName='new_profile')/Privileges")["value"]
    assert alone == found["Privileges"]


def test_rows_without_owners_are_neither_assigned_nor_shared(api: Api) -> None:
    found = api.get("EntityDefinitions(LogicalName='solution')?$select=Privileges")["Privileges"]
    assert {one["PrivilegeType"] for one in found} == EVERY - {"Assign", "Share"}
    assert not any(one["CanBeBasic"] for one in found)


# What the user holds


@pytest.mark.parametrize("call", [FUNCTION, f"{FUNCTION}()"])
def test_the_user_holds_every_privilege_with_depth_global(api: Api, call: str) -> None:
    found = held(api, call)
    defined = api.get("EntityDefinitions?$select=LogicalName,Privileges")["value"]
    identities = {one["Name"]: one["PrivilegeId"] for each in defined for one in each["Privileges"]}
    assert {name: one["PrivilegeId"] for name, one in found.items() if not name.startswith("prvBypass")} == identities
    assert "prvBypassCustomBusinessLogic" in found
    one = found["prvWriteContact"]
    assert (one["Depth"], one["BusinessUnitId"]) == ("Global", api.get("WhoAmI")["BusinessUnitId"])
    assert (one["RecordFilterId"], one["RecordFilterUniqueName"]) == (str(uuid.UUID(int=0)), "")


def test_what_is_taken_is_missing_and_what_is_reduced_has_its_depth(api: Api) -> None:
    told = take(api, "prvWriteContact", "prvBypassCustomBusinessLogic", prvWriteLead="Basic")
    assert told == api.laboratory("privileges")
    assert told["unknown"] == []
    found = held(api)
    assert not {"prvWriteContact", "prvBypassCustomBusinessLogic"} & set(found)
    assert found["prvWriteLead"]["Depth"] == "Basic"
    take(api)
    assert {"prvWriteContact", "prvBypassCustomBusinessLogic"} <= set(held(api))


def test_some_privileges_are_told_by_their_ids(api: Api) -> None:
    by_type = {one["PrivilegeType"]: one for one in api.get("EntityDefinitions(LogicalName='lead')")["Privileges"]}
    ids = json.dumps([by_type[kind]["PrivilegeId"].upper() for kind in ("Read", "Write")])
    some = f"Microsoft.Dynamics.CRM.RetrieveUserSetOfPrivilegesByIds(PrivilegeIds=@p)?@p={quote(ids)}"
    assert set(held(api, some)) == {"prvReadLead", "prvWriteLead"}
    take(api, "prvWriteLead")
    assert set(held(api, some)) == {"prvReadLead"}
    take(api)
    user = api.get("WhoAmI")["UserId"]
    api.refused(501, "0x0", "GET", f"systemusers({user})/{some.partition('?')[0]}")


def test_only_the_calling_user_is_told_its_privileges(api: Api) -> None:
    message = api.refused(501, "0x0", "GET", f"systemusers({guid()})/{FUNCTION}()")
    assert api.get("WhoAmI")["UserId"] in message


def test_the_laboratory_tells_names_that_no_table_has_and_refuses_what_is_no_name(api: Api) -> None:
    assert take(api, "prvWriteContacts")["unknown"] == ["prvWriteContacts"]
    wrong: list[Any] = [
        {"lacking": ["contact"]},
        {"lacking": "prvX"},
        {"depth": {"prvReadLead": "All"}},
        {"no": []},
        [],
    ]
    for body in wrong:
        assert api.http.post(f"/local/{api.host}/privileges", json=body).status_code == 400
    assert api.laboratory("privileges")["lacking"] == ["prvWriteContacts"]


# What is refused


def test_the_refusal_reads_as_dataverse_writes_it(api: Api) -> None:
    take(api, "prvCreateContact")
    user, identity = api.get("WhoAmI"), api.get("EntityDefinitions(LogicalName='contact')?$select=Privileges")
    privilege = next(one for one in identity["Privileges"] if one["PrivilegeType"] == "Create")["PrivilegeId"]
    message = api.refused(*DENIED, "POST", "contacts", json={})
    assert message.startswith(f"Principal user (Id={user['UserId']}, type=8, roleCount=1, privilegeCount=")
    assert (
        f"businessUnitId={user['BusinessUnitId']}), is missing prvCreateContact privilege (Id={privilege}) on OTC=2 "
        f"for entity 'contact' (LocalizedName='Contact'). context.Caller={user['UserId']}."
    ) in message


REQUESTS: list[tuple[str, str, str, Any]] = [
    ("Create", "POST", "contacts", {}),
    ("Create", "POST", "contacts/Microsoft.Dynamics.CRM.CreateMultiple", targets("contact", {"firstname": "A"})),
    ("Create", "POST", "contacts/Microsoft.Dynamics.CRM.UpsertMultiple", targets("contact", {"contactid": "{}"})),
    ("Write", "POST", "contacts/Microsoft.Dynamics.CRM.UpsertMultiple", targets("contact", {"firstname": "A"})),
    ("Write", "POST", "contacts/Microsoft.Dynamics.CRM.UpdateMultiple", targets("contact", {"contactid": "{}"})),
    ("Write", "PATCH", "contacts({})", {"firstname": "A"}),
    ("Write", "PUT", "contacts({})/firstname", {"value": "A"}),
    ("Read", "PATCH", "contacts({})", {"firstname": "A"}),
    ("Read", "GET", "contacts({})", None),
    ("Read", "GET", "contacts({})/firstname", None),
    ("Read", "GET", "contacts?$top=1", None),
    ("Read", "GET", "contacts/$count", None),
    ("Delete", "DELETE", "contacts({})", None),
]


@pytest.mark.parametrize(("kind", "method", "path", "body"), REQUESTS)
def test_without_the_privilege_the_request_is_refused_and_those_of_another_table_do_not_matter(
    api: Api, kind: str, method: str, path: str, body: Any
) -> None:
    contact = guid()
    api.seed("contact", f"contactid,firstname\n{contact},Ann\n")
    for target in body.get("Targets", []) if body else []:
        if "contactid" in target:
            target["contactid"] = contact
    take(api, f"prv{kind}Contact")
    denied(api, f"prv{kind}Contact", method, path.format(contact), json=body)
    assert api.exported("contact")[contact]["firstname"] == "Ann"
    take(api, *(f"prv{kind}Lead" for kind in EVERY))
    assert api.request(method, path.format(contact), json=body).is_success


def test_a_patch_that_must_not_create_asks_for_write_alone(api: Api) -> None:
    contact = guid()
    api.seed("contact", f"contactid\n{contact}\n")
    take(api, "prvCreateContact")
    api.expect(204, "PATCH", f"contacts({contact})", json={"firstname": "A"}, headers={"If-Match": "*"})
    denied(api, "prvCreateContact", "PATCH", f"contacts({contact})", json={"firstname": "B"})


@pytest.mark.parametrize("lacking", ["prvAppendContact", "prvAppendTonew_Profile"])
def test_a_link_asks_for_append_on_the_row_and_append_to_on_its_target(api: Api, lacking: str) -> None:
    contact, profile = guid(), guid()
    api.seed("contact", f"contactid\n{contact}\n")
    api.seed("new_profile", f"new_profileid\n{profile}\n")
    take(api, lacking)
    to = f"/new_profiles({profile})"
    denied(api, lacking, "POST", "contacts", json={BIND: to})
    update = targets("contact", {"contactid": contact, BIND: to})
    denied(api, lacking, "POST", "contacts/Microsoft.Dynamics.CRM.UpdateMultiple", json=update)
    denied(api, lacking, "PATCH", f"contacts({contact})", json={BIND: None})
    denied(api, lacking, "DELETE", f"contacts({contact})/new_link/$ref")
    denied(api, lacking, "DELETE", f"contacts({contact})/_new_link_value")
    api.expect(204, "PATCH", f"contacts({contact})", json={"firstname": "A"})
    take(api)
    api.expect(204, "PATCH", f"contacts({contact})", json={BIND: to})


def test_a_delete_that_empties_links_asks_for_write_on_their_rows(api: Api) -> None:
    contact, profile = guid(), guid()
    api.seed("new_profile", f"new_profileid\n{profile}\n")
    api.seed("contact", f"contactid,_new_link_value\n{contact},{profile}\n")
    take(api, "prvWriteContact")
    denied(api, "prvWriteContact", "DELETE", f"new_profiles({profile})")
    assert api.exported("contact")[contact]["_new_link_value"] == profile


def test_a_representation_without_read_is_refused_and_nothing_is_written(api: Api) -> None:
    take(api, "prvReadContact")
    prefer = {"Prefer": "return=representation"}
    denied(api, "prvReadContact", "POST", "contacts", json={}, headers=prefer)
    assert api.exported("contact") == {}


def test_an_expanded_row_asks_for_read_on_its_table(api: Api) -> None:
    take(api, "prvReadnew_Profile")
    denied(api, "prvReadnew_Profile", "GET", "contacts?$expand=new_link($select=new_name)")


def test_custom_logic_is_not_bypassed_without_the_privilege(api: Api) -> None:
    api.expect(204, "POST", "contacts", json={}, headers=BYPASS)
    take(api, "prvBypassCustomBusinessLogic")
    denied(api, "prvBypassCustomBusinessLogic", "POST", "contacts", json={}, headers=BYPASS)
    api.expect(204, "POST", "contacts", json={})
    assert api.laboratory("statistics")["tables"]["contact"]["created"] == 2


# Depth


def test_a_depth_below_global_reaches_the_rows_that_the_user_created(api: Api) -> None:
    others = guid()
    api.seed("contact", f"contactid,firstname\n{others},Other\n")
    own = api.expect(204, "POST", "contacts", json={"firstname": "Own"}).headers["OData-EntityId"][-37:-1]
    second = Api(api.url, api.host, client_id="second").expect(204, "POST", "contacts", json={"firstname": "Second"})
    take(api, prvReadContact="Local")
    assert [row["firstname"] for row in api.get("contacts?$select=firstname")["value"]] == ["Own"]
    assert api.request("GET", "contacts/$count").text == "1"
    assert f"record with id {others}" in api.refused(*DENIED, "GET", f"contacts({others})")
    api.refused(*DENIED, "GET", "contacts" + second.headers["OData-EntityId"].rpartition("contacts")[2])
    assert api.get(f"contacts({own})")["firstname"] == "Own"


def test_rows_of_others_are_neither_written_nor_deleted_nor_linked_to(api: Api) -> None:
    others, profile = guid(), guid()
    api.seed("contact", f"contactid,firstname\n{others},Other\n")
    api.seed("new_profile", f"new_profileid\n{profile}\n")
    own = api.expect(204, "POST", "contacts", json={"firstname": "Own"}).headers["OData-EntityId"][-37:-1]
    take(api, prvWriteContact="Basic", prvDeleteContact="Deep", prvAppendTonew_Profile="Basic")
    api.expect(204, "PATCH", f"contacts({own})", json={"firstname": "Mine"})
    both = targets("contact", {"contactid": own, "firstname": "X"}, {"contactid": others, "firstname": "X"})
    message = api.refused(*DENIED, "POST", "contacts/Microsoft.Dynamics.CRM.UpdateMultiple", json=both)
    assert f"does not have WriteAccess right(s) for record with id {others}" in message
    assert "DeleteAccess" in api.refused(*DENIED, "DELETE", f"contacts({others})")
    linked = {BIND: f"/new_profiles({profile})"}
    assert "AppendToAccess" in api.refused(*DENIED, "PATCH", f"contacts({own})", json=linked)
    assert {row["firstname"] for row in api.exported("contact").values()} == {"Mine", "Other"}
    api.expect(204, "DELETE", f"contacts({own})")
