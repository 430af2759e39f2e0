"""The local Dataverse: publishers, solutions and their components, and tables of other kinds."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.local_dataverse import Api, close, column, label, lookup, running, table

ABC = {
    "uniquename": "abcpublisher",
    "friendlyname": "ABC",
    "customizationprefix": "abc",
    "customizationoptionvalueprefix": 72_700,
}
IN = {"MSCRM.SolutionUniqueName": "Abc"}
TYPES = {1: "table", 2: "column", 10: "relationship"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("dataverse")) as url:
        yield Api(url)


@pytest.fixture
def api(server: Api) -> Api:
    return server.another()


def made(api: Api, path: str, body: dict[str, Any], **headers: str) -> str:
    """Create a row and return its id."""
    answer = api.expect(204, "POST", path, json=body, headers=headers)
    return str(answer.headers["OData-EntityId"].rpartition("(")[2][:-1])


def solution(publisher: str, name: str = "Abc", **more: Any) -> dict[str, Any]:
    bind = f"/publishers({publisher})"
    return {
        "uniquename": name,
        "friendlyname": "A B C",
        "version": "1.0.0.0",
        "publisherid@odata.bind": bind,
        **more,
    }


@pytest.fixture
def abc(api: Api) -> str:
    """The id of a solution Abc, whose publisher has the prefix abc."""
    return made(api, "solutions", solution(made(api, "publishers", ABC)))


def abc_table(name: str, *columns: dict[str, Any]) -> dict[str, Any]:
    return {**table(name, *columns), "Attributes": [column("abc_name", IsPrimaryName=True), *columns]}


def components(api: Api, solution_id: str) -> list[tuple[str, str]]:
    """What a solution holds, as (kind, name)."""
    found = api.get(f"solutioncomponents?$filter=_solutionid_value eq {solution_id}")["value"]
    names: dict[str, str] = {}
    for each in api.get("EntityDefinitions?$expand=Attributes,ManyToOneRelationships")["value"]:
        names[each["MetadataId"]] = each["LogicalName"]
        for one in each["Attributes"]:
            names[one["MetadataId"]] = f"{each['LogicalName']}.{one['LogicalName']}"
        for one in each["ManyToOneRelationships"]:
            names[one["MetadataId"]] = one["SchemaName"]
    return sorted((TYPES[each["componenttype"]], names[each["objectid"]]) for each in found)


def test_every_organization_has_its_default_publisher_and_solutions(api: Api) -> None:
    (publisher,) = api.get("publishers?$select=uniquename,customizationprefix,isreadonly")["value"]
    assert (publisher["customizationprefix"], publisher["isreadonly"]) == ("new", False)
    found = api.get("solutions?$select=uniquename,ismanaged&$expand=publisherid($select=customizationprefix)")["value"]
    assert {each["uniquename"]: each["publisherid"]["customizationprefix"] for each in found} == {
        "Default": "new",
        "Active": "new",
    }
    assert [each["ismanaged"] for each in found] == [False, False]


def test_a_publisher_and_a_solution_are_created_and_found_by_name(api: Api, abc: str) -> None:
    chosen = "solutions?$select=solutionid,uniquename,version,isvisible"
    query = f"{chosen}&$expand=publisherid($select=uniquename,customizationprefix)&$filter=uniquename eq 'Abc'"
    (found,) = api.get(query)["value"]
    assert (found["solutionid"], found["version"], found["isvisible"]) == (abc, "1.0.0.0", True)
    assert found["publisherid"]["uniquename"] == "abcpublisher"
    (publisher,) = api.get("publishers?$filter=customizationprefix eq 'abc' or uniquename eq 'nobody'")["value"]
    assert publisher["customizationoptionvalueprefix"] == 72_700
    assert api.laboratory("statistics")["tables"] == {}
    assert set(api.laboratory("statistics")["requests"]) == {"metadata read", "metadata write"}


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"uniquename": None}, 400, "0x8004f01c"),
        ({"friendlyname": ""}, 400, "0x80040200"),
        ({"customizationprefix": None}, 400, "0x80040200"),
        ({"customizationprefix": "1ab"}, 400, "0x80044153"),
        ({"customizationprefix": "mscrmx"}, 400, "0x80044153"),
        ({"customizationprefix": "ninechars"}, 400, "0x80044331"),
        ({"customizationoptionvalueprefix": 9_999}, 400, "0x8004432f"),
        ({"customizationoptionvalueprefix": 100_000}, 400, "0x8004432f"),
    ],
)
def test_publishers_need_a_name_and_a_sound_prefix(api: Api, change: dict[str, Any], status: int, code: str) -> None:
    assert api.refused(status, code, "POST", "publishers", json={**ABC, **change})
    assert len(api.get("publishers")["value"]) == 1


def test_names_of_publishers_are_unique_their_prefixes_are_not(api: Api) -> None:
    made(api, "publishers", ABC)
    assert api.refused(412, "0x80040237", "POST", "publishers", json={**ABC, "uniquename": "ABCPublisher"})
    made(api, "publishers", {**ABC, "uniquename": "another"})
    assert len(api.get("publishers?$filter=customizationprefix eq 'abc'")["value"]) == 2


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"uniquename": None}, "0x80040200"),
        ({"friendlyname": None}, "0x80040200"),
        ({"version": None}, "0x80040200"),
        ({"publisherid@odata.bind": None}, "0x80040200"),
        ({"uniquename": "With Space"}, "0x8004f002"),
        ({"uniquename": "1st"}, "0x8004f002"),
        ({"uniquename": "Default"}, "0x8004f022"),
        ({"version": "1"}, "0x8004f01e"),
        ({"version": "1.0.0.0.0"}, "0x8004f01e"),
        ({"version": "one.two"}, "0x8004f01e"),
    ],
)
def test_solutions_need_a_name_a_version_and_a_publisher(api: Api, change: dict[str, Any], code: str) -> None:
    body = solution(made(api, "publishers", ABC))
    assert api.refused(400, code, "POST", "solutions", json={**body, **change})


def test_a_solution_s_name_is_taken_once(api: Api, abc: str) -> None:
    (found,) = api.get(f"solutions?$filter=solutionid eq {abc}")["value"]
    body = solution(found["_publisherid_value"], "ABC")
    assert "already being used" in api.refused(400, "0x8004f023", "POST", "solutions", json=body)
    nowhere = solution(str(uuid.uuid4()), "Other")
    assert api.refused(404, "0x80040217", "POST", "solutions", json=nowhere)


def test_publishers_of_managed_solutions_cannot_be_chosen_or_changed(api: Api) -> None:
    microsoft = str(uuid.uuid4())
    header = "publisherid,uniquename,friendlyname,customizationprefix,isreadonly"
    assert api.seed("publisher", f"{header}\n{microsoft},microsoft,Microsoft,msdynci,true\n").is_success
    body = solution(microsoft)
    assert "readonly publisher" in api.refused(400, "0x8004f034", "POST", "solutions", json=body)
    assert api.refused(400, "0x8004f033", "PATCH", f"publishers({microsoft})", json={"friendlyname": "Mine"})


def test_what_belongs_to_the_system_or_is_managed_is_not_changed(api: Api, abc: str) -> None:
    for name in ("Default", "Active"):
        (found,) = api.get(f"solutions?$filter=uniquename eq '{name}'")["value"]
        path = f"solutions({found['solutionid']})"
        assert api.refused(400, "0x8004f00a", "PATCH", path, json={"friendlyname": "Mine"})
        assert api.refused(400, "0x8004f005", "DELETE", path)
    (publisher,) = api.get("publishers?$filter=customizationprefix eq 'new'")["value"]
    assert api.refused(400, "0x8004f006", "DELETE", f"publishers({publisher['publisherid']})")
    managed, owner = str(uuid.uuid4()), publisher["publisherid"]
    header = "solutionid,uniquename,friendlyname,version,ismanaged,_publisherid_value"
    assert api.seed("solution", f"{header}\n{managed},Bought,Bought,1.0,true,{owner}\n").is_success
    assert api.refused(400, "0x8004f024", "PATCH", f"solutions({managed})", json={"version": "2.0"})
    assert api.refused(501, "0x0", "DELETE", f"solutions({managed})")
    wanted = table("new_thing")
    into = {"MSCRM.SolutionUniqueName": "Bought"}
    assert api.refused(400, "0x8004f024", "POST", "EntityDefinitions", json=wanted, headers=into)
    api.expect(204, "PATCH", f"solutions({abc})", json={"version": "1.1.0.0", "uniquename": "Renamed"})
    assert api.get(f"solutions({abc})")["uniquename"] == "Abc"
    assert api.refused(400, "0x80040200", "PATCH", f"solutions({abc})", json={"publisherid@odata.bind": None})


def test_what_is_created_in_a_solution_is_its_component(api: Api, abc: str) -> None:
    api.expect(204, "POST", "EntityDefinitions", json=abc_table("abc_profile", column("abc_city")), headers=IN)
    path = "EntityDefinitions(LogicalName='abc_profile')/Attributes"
    api.expect(204, "POST", path, json=column("abc_shoe"), headers=IN)
    api.expect(204, "POST", path, json=column("abc_hat"))  # without the header it is no component
    link = lookup("abc_link", "contact", "abc_profile")
    api.expect(204, "POST", "RelationshipDefinitions", json=link, headers=IN)
    assert components(api, abc) == [
        ("column", "abc_profile.abc_shoe"),
        ("column", "contact.abc_link"),
        ("relationship", "abc_link_contact"),
        ("table", "abc_profile"),
        ("table", "contact"),
    ]
    roots = api.get("solutioncomponents?$filter=componenttype eq 1&$select=rootcomponentbehavior")["value"]
    assert sorted(each["rootcomponentbehavior"] for each in roots) == [0, 2]  # the app's table; a shell of Microsoft's
    api.expect(204, "DELETE", "RelationshipDefinitions(SchemaName='abc_link_contact')")
    assert ("relationship", "abc_link_contact") not in components(api, abc)
    api.expect(204, "DELETE", "EntityDefinitions(LogicalName='abc_profile')")
    assert components(api, abc) == [("table", "contact")]


def test_deleting_a_solution_takes_the_container_only(api: Api, abc: str) -> None:
    api.expect(204, "POST", "EntityDefinitions", json=abc_table("abc_profile"), headers=IN)
    api.expect(204, "POST", "abc_profiles", json={"abc_name": "A"})
    publisher = api.get(f"solutions({abc})")["_publisherid_value"]
    assert api.refused(405, "0x80040227", "DELETE", f"publishers({publisher})")
    api.expect(204, "DELETE", f"solutions({abc})")
    assert api.get("solutioncomponents")["value"] == []
    assert len(api.exported("abc_profile")) == 1
    api.expect(204, "DELETE", f"publishers({publisher})")


def test_a_solution_that_is_not_there_or_has_another_prefix_creates_nothing(api: Api, abc: str) -> None:
    into = {"MSCRM.SolutionUniqueName": "Nowhere"}
    text = api.refused(404, "0x80040217", "POST", "EntityDefinitions", json=abc_table("abc_a"), headers=into)
    assert "Nowhere" in text
    assert api.refused(400, "0x80044153", "POST", "EntityDefinitions", json=table("new_a"), headers=IN)
    assert api.refused(400, "0x80044153", "POST", "EntityDefinitions", json=table("abc_a"), headers=IN)  # new_name
    path = "EntityDefinitions(LogicalName='contact')/Attributes"
    assert api.refused(400, "0x80044153", "POST", path, json=column("new_shoe"), headers=IN)
    link = lookup("new_link", "contact", "account")
    assert api.refused(400, "0x80044153", "POST", "RelationshipDefinitions", json=link, headers=IN)
    names = {each["LogicalName"] for each in api.get("EntityDefinitions")["value"]}
    assert not {"abc_a", "new_a"} & names
    assert "new_shoe" not in {each["LogicalName"] for each in api.get(path)["value"]}
    assert components(api, abc) == []


def test_components_are_not_written_by_hand(api: Api, abc: str) -> None:
    assert api.refused(400, "0x80040800", "POST", "solutioncomponents", json={"componenttype": 1})
    api.expect(204, "POST", "EntityDefinitions", json=abc_table("abc_profile"), headers=IN)
    (found,) = api.get("solutioncomponents")["value"]
    assert found["_solutionid_value"] == abc
    assert api.refused(400, "0x80040800", "DELETE", f"solutioncomponents({found['solutioncomponentid']})")


def test_solutions_are_no_data_to_export_and_survive_a_restart(tmp_path: Path) -> None:
    with running(tmp_path) as url:
        api = Api(url)
        made(api, "solutions", solution(made(api, "publishers", ABC)))
        api.expect(204, "POST", "EntityDefinitions", json=abc_table("abc_profile"), headers=IN)
        assert api.define("abc_profile", is_managed=True, table_type="Elastic").is_success
        assert api.laboratory("export")["tables"] == ["abc_profile", "account", "contact", "lead"]
    close(url)
    with running(tmp_path) as url:
        again = Api(url)
        (found,) = again.get("solutions?$filter=uniquename eq 'Abc'")["value"]
        assert components(again, found["solutionid"]) == [("table", "abc_profile")]
        shown = again.get("EntityDefinitions(LogicalName='abc_profile')")
        assert (shown["IsManaged"], shown["TableType"]) == (True, "Elastic")


# Tables of other kinds


def test_a_table_can_be_made_managed_for_a_test(api: Api) -> None:
    api.expect(204, "POST", "EntityDefinitions", json=table("new_profile"))
    path = "EntityDefinitions(LogicalName='new_profile')"
    assert (api.get(path)["IsManaged"], api.get(path)["TableType"]) == (False, "Standard")
    assert api.define("new_profile", is_managed=True).status_code == 204
    assert api.get(path)["IsManaged"] is True
    api.expect(204, "POST", f"{path}/Attributes", json=column("new_a"))  # customizable, as most managed tables
    api.expect(204, "POST", "new_profiles", json={"new_name": "A"})
    assert api.define("new_profile", is_customizable=False).is_success
    text = api.refused(400, "0x8004f026", "POST", f"{path}/Attributes", json=column("new_b"))
    assert "managed property evaluation" in text
    change = column("new_a", MaxLength=200, DisplayName=label("A"))
    assert api.refused(400, "0x8004f026", "PUT", f"{path}/Attributes(LogicalName='new_a')", json=change)
    link = lookup("new_link", "new_profile", "account")
    assert api.refused(400, "0x8004f026", "POST", "RelationshipDefinitions", json=link)
    assert api.refused(400, "0x8004f026", "DELETE", path)


def test_rows_of_virtual_and_elastic_tables_are_not_written_here(api: Api) -> None:
    for kind, status, code in (("Virtual", 400, "0x80040800"), ("Elastic", 501, "0x0")):
        name = f"new_{kind.lower()}"
        assert api.define(name, table_type=kind).is_success
        assert api.get(f"EntityDefinitions(LogicalName='{name}')")["TableType"] == kind
        key = str(uuid.uuid4())
        assert api.seed(name, f"{name}id\n{key}\n").is_success
        set_name = api.get(f"EntityDefinitions(LogicalName='{name}')")["EntitySetName"]
        assert len(api.get(set_name)["value"]) == 1
        assert api.refused(status, code, "POST", set_name, json={"name": "A"})
        assert api.refused(status, code, "PATCH", f"{set_name}({key})", json={"name": "A"})
        assert api.refused(status, code, "DELETE", f"{set_name}({key})")
        answer = api.bulk(set_name, "UpsertMultiple", [{f"{name}id": key, "name": "A"}])
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize("what", [{"nosuch": True}, {"table_type": "Odd"}, {"is_managed": "yes"}])
def test_definitions_that_mean_nothing_are_refused(api: Api, what: dict[str, object]) -> None:
    assert api.define("new_a", **what).status_code == 400
    assert api.define("New A", is_managed=True).status_code == 400
    assert "new_a" not in api.laboratory("export")["tables"]


def test_times_that_mean_the_same_everywhere_come_back_as_they_were(api: Api) -> None:
    facets = {"Format": "DateAndTime", "DateTimeBehavior": {"Value": "TimeZoneIndependent"}}
    api.expect(204, "POST", "EntityDefinitions", json=table("new_profile", column("new_born", "DateTime", **facets)))
    attributes = api.get("EntityDefinitions(LogicalName='new_profile')/Attributes")["value"]
    (found,) = [each for each in attributes if each["LogicalName"] == "new_born"]
    assert found["DateTimeBehavior"] == {"Value": "TimeZoneIndependent"}
    moments = ["1753-01-01T00:00:00Z", "1985-06-30T00:00:00Z", "9999-12-31T23:59:59Z"]
    rows = [{"new_profileid": str(uuid.UUID(int=n)), "new_born": moment} for n, moment in enumerate(moments)]
    assert api.bulk("new_profiles", "UpsertMultiple", rows).status_code == 204
    assert [row["new_born"] for row in api.exported("new_profile").values()] == moments
    assert [row["new_born"] for row in api.get("new_profiles?$select=new_born")["value"]] == moments
