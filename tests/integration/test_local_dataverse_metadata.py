"""The local Dataverse: metadata and queries."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.local_dataverse import CRM, Api, column, label, lookup, running, table

OPTIONS = {"OptionSetType": "Boolean", "TrueOption": {"Value": 1, "Label": label("Yes")}}
OPTIONS |= {"FalseOption": {"Value": 0, "Label": label("No")}}
CHOICES = {"Options": [{"Value": 100, "Label": label("Gold")}, {"Value": 200, "Label": label("Silver")}]}
PROFILE = "EntityDefinitions(LogicalName='new_profile')"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("dataverse")) as url:
        yield Api(url)


@pytest.fixture
def api(server: Api) -> Api:
    return server.another()


def every_kind() -> list[dict[str, Any]]:
    return [
        column("new_text", MaxLength=200),
        column("new_memo", "Memo", MaxLength=1_048_576),
        column("new_whole", "Integer", MinValue=-5, MaxValue=5),
        column("new_big", "BigInt"),
        column("new_decimal", "Decimal", Precision=10, MinValue=-100_000_000_000, MaxValue=100_000_000_000),
        column("new_double", "Double", Precision=5),
        column("new_flag", "Boolean", OptionSet=OPTIONS),
        column("new_moment", "DateTime", Format="DateAndTime", DateTimeBehavior={"Value": "UserLocal"}),
        column("new_day", "DateTime", Format="DateOnly", DateTimeBehavior={"Value": "DateOnly"}),
        column("new_level", "Picklist", OptionSet=CHOICES),
        column("new_guid", "UniqueIdentifier"),
    ]


def test_a_table_is_created_found_and_refused_a_second_time(api: Api) -> None:
    made = api.expect(204, "POST", "EntityDefinitions", json=table("new_Profile", *every_kind()))
    assert "EntityDefinitions(" in made.headers["OData-EntityId"]
    chosen = "LogicalName,SchemaName,EntitySetName,PrimaryIdAttribute,PrimaryNameAttribute"
    (found,) = api.get(f"EntityDefinitions?$select={chosen}&$filter=LogicalName+eq+'new_profile'")["value"]
    assert found.pop("MetadataId") in made.headers["OData-EntityId"]
    assert found == {
        "LogicalName": "new_profile",
        "SchemaName": "new_Profile",
        "EntitySetName": "new_profiles",
        "PrimaryIdAttribute": "new_profileid",
        "PrimaryNameAttribute": "new_name",
    }
    assert api.http.get(made.headers["OData-EntityId"]).json()["LogicalName"] == "new_profile"
    assert api.get("EntityDefinitions?$filter=LogicalName eq 'nosuch'")["value"] == []
    assert api.refused(404, "0x80060888", "GET", "EntityDefinitions(LogicalName='nosuch')")
    assert api.refused(400, "0x80044363", "POST", "EntityDefinitions", json=table("new_profile"))


def test_names_of_sets_cannot_be_guessed(api: Api) -> None:
    api.expect(204, "POST", "EntityDefinitions", json=table("new_alternatekey"))
    assert api.get("EntityDefinitions(LogicalName='new_alternatekey')")["EntitySetName"] == "new_alternatekeys"
    api.expect(204, "POST", "EntityDefinitions", json={**table("new_other"), "EntitySetName": "new_otherrows"})
    api.expect(204, "POST", "new_otherrows", json={"new_name": "a"})


def test_standard_tables_are_there(api: Api) -> None:
    found = {each["LogicalName"]: each for each in api.get("EntityDefinitions")["value"]}
    expected = {"contact": "contacts", "lead": "leads", "account": "accounts", "publisher": "publishers"}
    expected |= {"solution": "solutions", "solutioncomponent": "solutioncomponents"}
    assert {name: each["EntitySetName"] for name, each in found.items()} == expected
    assert {each["PrimaryIdAttribute"] for each in found.values()} == {f"{name}id" for name in expected}
    assert all(each["IsManaged"] and each["TableType"] == "Standard" for each in found.values())
    sets = {each["name"] for each in api.get("")["value"]}
    assert set(expected.values()) <= sets


def test_columns_have_the_facets_of_their_type(api: Api) -> None:
    api.expect(204, "POST", "EntityDefinitions", json=table("new_profile"))
    for each in every_kind():
        api.expect(204, "POST", f"{PROFILE}/Attributes", json=each)
    found = {each["LogicalName"]: each for each in api.get(f"{PROFILE}/Attributes")["value"]}
    assert found["new_text"]["@odata.type"] == "#Microsoft.Dynamics.CRM.StringAttributeMetadata"
    assert (found["new_text"]["MaxLength"], found["new_text"]["AttributeType"]) == (200, "String")
    assert found["new_decimal"]["Precision"] == 10
    assert found["new_day"]["DateTimeBehavior"] == {"Value": "DateOnly"}
    assert found["new_profileid"]["IsPrimaryId"] is True
    cast = api.get(f"{PROFILE}/Attributes/{CRM}StringAttributeMetadata?$select=LogicalName,MaxLength")["value"]
    assert {each["LogicalName"]: each["MaxLength"] for each in cast} == {"new_name": 100, "new_text": 200}
    choice = f"{PROFILE}/Attributes(LogicalName='new_level')/{CRM}PicklistAttributeMetadata"
    shown = api.get(f"{choice}?$select=LogicalName&$expand=OptionSet($select=Options)")
    assert [option["Value"] for option in shown["OptionSet"]["Options"]] == [100, 200]
    every = api.get(f"{PROFILE}/Attributes/{CRM}PicklistAttributeMetadata?$expand=OptionSet($select=Options)")["value"]
    assert [each["LogicalName"] for each in every] == ["new_level"]
    assert api.refused(400, "0x80060888", "GET", f"{PROFILE}/Attributes?$select=MaxLength")
    parts = "Attributes($select=LogicalName),Keys,ManyToOneRelationships"
    expanded = api.get(f"{PROFILE}?$select=LogicalName&$expand={parts}")
    assert len(expanded["Attributes"]) == len(found)


@pytest.mark.parametrize(
    "body",
    [
        column("noprefix"),
        column("new_" + "x" * 100),
        column("new_a", MaxLength=4001),
        column("new_a", "Memo", MaxLength=1_048_577),
        column("new_a", "Decimal", Precision=11),
        column("new_a", "Integer", MaxValue=2**31),
        column("new_a", "Boolean"),
        column("new_a", "Picklist"),
        column("new_a", "DateTime", Format="DateAndTime", DateTimeBehavior={"Value": "DateOnly"}),
        column("new_a", "Lookup"),
        {**column("new_a"), "@odata.type": None},
        {**column("new_a"), "DisplayName": None},
    ],
)
def test_definitions_outside_the_documented_limits_are_refused(api: Api, body: dict[str, Any]) -> None:
    assert api.request("POST", "EntityDefinitions(LogicalName='contact')/Attributes", json=body).status_code == 400


def test_values_of_every_type_are_checked_and_kept(api: Api) -> None:
    api.expect(204, "POST", "EntityDefinitions", json=table("new_profile", *every_kind()))
    body = (
        '{"new_text":"t","new_memo":"m","new_whole":5,"new_big":9007199254740993,"new_decimal":12345678901.0123456789,'
        '"new_double":0.1,"new_flag":true,"new_moment":"2024-05-01T10:00:00+02:00","new_day":"2024-05-01",'
        '"new_level":200,"new_guid":"0F1E2D3C-4B5A-6978-8796-A5B4C3D2E1F0"}'
    )
    api.expect(204, "POST", "new_profiles", content=body.encode())
    text = api.http.get(f"/local/{api.host}/export/new_profile").text
    assert '"new_decimal":12345678901.0123456789' in text
    assert '"new_big":9007199254740993' in text
    assert '"new_moment":"2024-05-01T08:00:00Z"' in text
    assert '"new_guid":"0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"' in text
    for name, value, code in (
        ("new_whole", 6, "0x8004432f"),
        ("new_decimal", 100_000_000_001, "0x80044330"),
        ("new_decimal", "1", "0x80048d19"),
        ("new_level", 300, "0x8004431a"),
        ("new_moment", "2024-05-01", "0x80048d19"),
        ("new_day", "1752-12-31", "0x80044332"),
        ("new_text", "x" * 201, "0x80044331"),
    ):
        assert api.refused(400, code, "POST", "new_profiles", json={name: value})
    assert api.request("POST", "new_profiles", content=b'{"new_decimal": 0.12345678901}').status_code == 400
    assert api.request("POST", "new_profiles", content=b'{"new_decimal": 1.%b1}' % (b"0" * 40)).status_code == 400
    assert api.request("POST", "new_profiles", content=b'{"new_decimal": 1.%b}' % (b"0" * 40)).status_code == 204


def test_a_lookup_is_created_with_its_relationship(api: Api) -> None:
    api.expect(204, "POST", "EntityDefinitions", json=table("new_profile"))
    body = lookup("new_lookupfield_profile", "contact", "new_profile", "Restrict")
    made = api.expect(204, "POST", "RelationshipDefinitions", json=body)
    assert api.http.get(made.headers["OData-EntityId"]).json()["ReferencedEntity"] == "new_profile"
    relations = api.get("EntityDefinitions(LogicalName='contact')/ManyToOneRelationships")["value"]
    (found,) = [each for each in relations if each["ReferencingAttribute"] == "new_lookupfield_profile"]
    assert found["ReferencingEntityNavigationPropertyName"] == "new_lookupfield_profile"
    assert found["CascadeConfiguration"]["Delete"] == "Restrict"
    lookups = "EntityDefinitions(LogicalName='contact')/Attributes/Microsoft.Dynamics.CRM.LookupAttributeMetadata"
    targets = {each["LogicalName"]: each["Targets"] for each in api.get(lookups)["value"]}
    assert targets["new_lookupfield_profile"] == ["new_profile"]
    assert set(targets["parentcustomerid"]) == {"account", "contact"}
    assert api.refused(400, "0x80044363", "POST", "RelationshipDefinitions", json=body)
    for wrong in ({"ReferencedEntity": "nosuch"}, {"Lookup": None}, {"CascadeConfiguration": {"Delete": "Sometimes"}}):
        other = {**lookup("new_other", "contact", "new_profile"), **wrong}
        assert api.request("POST", "RelationshipDefinitions", json=other).status_code in (400, 404)


def test_publishing_is_accepted(api: Api) -> None:
    api.expect(204, "POST", "PublishAllXml")
    xml = "<importexportxml><entities><entity>contact</entity></entities></importexportxml>"
    api.expect(204, "POST", "PublishXml", json={"ParameterXml": xml})
    assert api.request("POST", "PublishXml", json={}).status_code == 400


def test_a_key_becomes_active_and_a_contradicted_one_fails(api: Api) -> None:
    api.expect(204, "POST", "EntityDefinitions", json=table("new_profile", column("new_code"), column("new_same")))
    for code in ("a", "b"):
        api.expect(204, "POST", "new_profiles", json={"new_code": code, "new_same": "s"})
    for name in ("code", "same"):
        key = {"SchemaName": f"new_{name}key", "DisplayName": label(name), "KeyAttributes": [f"new_{name}"]}
        api.expect(204, "POST", f"{PROFILE}/Keys", json=key)
    states = {each["LogicalName"]: each["EntityKeyIndexStatus"] for each in api.get(f"{PROFILE}/Keys")["value"]}
    assert states == {"new_codekey": "InProgress", "new_samekey": "Failed"}
    time.sleep(0.6)
    assert api.get(f"{PROFILE}/Keys(LogicalName='new_codekey')")["EntityKeyIndexStatus"] == "Active"


def test_columns_and_tables_change_and_go(api: Api) -> None:
    api.expect(204, "POST", "EntityDefinitions", json=table("new_profile", column("new_text", MaxLength=10)))
    api.expect(204, "POST", "RelationshipDefinitions", json=lookup("new_link", "contact", "new_profile"))
    attribute = f"{PROFILE}/Attributes(LogicalName='new_text')"
    api.expect(204, "PUT", attribute, json=column("new_text", MaxLength=20))
    api.expect(204, "POST", "new_profiles", json={"new_text": "x" * 20})
    api.expect(204, "DELETE", attribute)
    assert api.request("POST", "new_profiles", json={"new_text": "x"}).status_code == 400
    assert api.request("DELETE", PROFILE).status_code == 400
    api.expect(204, "DELETE", "RelationshipDefinitions(SchemaName='new_link_contact')")
    api.expect(204, "DELETE", PROFILE)
    assert api.request("GET", "new_profiles").status_code == 404


# Queries


@pytest.fixture
def people(api: Api) -> Api:
    lines = [
        f"{uuid.UUID(int=number)},First {number},{'' if number % 3 == 0 else f'Name_{number % 5}'},{number},{number}.5"
        for number in range(1, 31)
    ]
    header = "contactid,firstname,lastname,numberofchildren,annualincome"
    assert api.seed("contact", "\n".join([header, *lines])).is_success
    return api


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("lastname eq null", 10),
        ("lastname ne null and numberofchildren gt 20", 6),
        ("not (lastname eq null) and (numberofchildren le 2 or numberofchildren ge 29)", 3),
        ("lastname eq 'NAME_1'", 4),
        ("startswith(firstname,'First 1')", 11),
        ("contains(lastname,'_4')", 4),
        ("endswith(firstname,'0')", 3),
        ("annualincome gt 9.5", 21),
        (f"contactid eq {uuid.UUID(int=7)}", 1),
        ("Microsoft.Dynamics.CRM.In(PropertyName='firstname',PropertyValues=['First 1','First 2'])", 2),
        (f"Microsoft.Dynamics.CRM.In(PropertyName='contactid',PropertyValues=[\"{uuid.UUID(int=3)}\"])", 1),
        (f"_parentcustomerid_value eq {uuid.UUID(int=7)}", 0),
        ("createdon gt 2001-01-01T00:00:00Z and donotemail eq null", 30),
    ],
)
def test_filters(people: Api, text: str, count: int) -> None:
    found = people.expect(200, "GET", "contacts", params={"$filter": text, "$count": "true"}).json()
    assert (found["@odata.count"], len(found["value"])) == (count, count)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("$filter=nosuch eq 1", 400),
        ("$filter=firstname eq 1", 400),
        ("$filter=contactid eq 'x'", 400),
        ("$filter=firstname eq 'x", 400),
        ("$filter=firstname eq 'x' and", 400),
        ("$filter=length(firstname) eq 1", 501),
        ("$select=nosuch", 400),
        ("$orderby=nosuch", 400),
        ("$skip=5", 400),
        ("$top=0", 400),
        ("$nosuch=1", 400),
        ("$apply=groupby((lastname))", 501),
        ("fetchXml=<fetch/>", 400),
        ("$expand=nosuch", 400),
        ("$skiptoken=abc", 400),
    ],
)
def test_queries_that_are_wrong_or_not_served_say_so(people: Api, query: str, status: int) -> None:
    answer = people.expect(status, "GET", f"contacts?{query}")
    assert set(answer.json()["error"]) == {"code", "message"}


def test_order_selection_and_top(people: Api) -> None:
    found = people.get("contacts?$select=firstname,_parentcustomerid_value&$orderby=annualincome desc&$top=2")["value"]
    assert [row["firstname"] for row in found] == ["First 30", "First 29"]
    assert set(found[0]) == {"@odata.etag", "firstname", "contactid", "_parentcustomerid_value"}
    assert people.expect(200, "GET", "contacts/$count").text == "30"


@pytest.mark.parametrize("order", ["", "&$orderby=lastname,numberofchildren desc"])
def test_pages_are_followed_by_their_opaque_link(people: Api, order: str) -> None:
    prefer = {"Prefer": "odata.maxpagesize=7"}
    link: str | None = f"{people.root}contacts?$select=firstname&$filter=numberofchildren gt 2{order}"
    seen: list[str] = []
    sizes = []
    while link:
        page = people.http.get(link, headers=prefer).raise_for_status().json()
        sizes.append(len(page["value"]))
        seen += [row["firstname"] for row in page["value"]]
        link = page.get("@odata.nextLink")
    assert sizes == [7, 7, 7, 7]
    assert len(set(seen)) == 28


def test_what_is_not_served_is_refused_in_dataverse_s_form(api: Api) -> None:
    for name in ("GlobalOptionSetDefinitions", "RetrieveTotalRecordCount", "UploadBlock"):
        assert "not supported" in api.refused(501, "0x0", "GET", name)
    nested = {"parentcustomerid_account": {"name": "A"}}
    assert "not supported" in api.refused(501, "0x0", "POST", "contacts", json=nested)
    assert api.http.get(f"{api.url}/{api.host}/api/data/v8.2/contacts").status_code == 400
    assert api.http.get(f"{api.url}/nothing").status_code == 404
