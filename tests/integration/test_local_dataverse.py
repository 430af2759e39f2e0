"""The local Dataverse: single rows and the lookups between them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.support.local_dataverse import Api, lookup, running, table

CONTACT = "contacts({})"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("dataverse")) as url:
        yield Api(url)


@pytest.fixture
def api(server: Api) -> Api:
    return server.another()


def guid() -> str:
    return str(uuid.uuid4())


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
