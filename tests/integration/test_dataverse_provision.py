"""Provisioning into a solution, against the local Dataverse: twice, killed half-way, several at once."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from shared.dataverse import bulk, metadata, solution
from shared.dataverse.client import Client
from shared.dataverse.patience import Patience
from shared.dataverse.schema import ColumnSchema, LookupSchema, Schema, TableSchema, provision
from shared.dataverse.sizing import Sizes
from shared.errors import ConfigurationError
from tests.support.local_dataverse import CRM, Api, client_of, running

OWN = solution.hydration("xy")
NAME = "CustomerInsightsHydration"


def table(name: str, *columns: ColumnSchema) -> TableSchema:
    primary = ColumnSchema("xy_name", "text", "Name")
    return TableSchema(
        f"xy_{name.lower()}", f"xy_{name}", name, f"{name}s", primary, columns, set_name=f"xy_{name}rows"
    )


def customer(child: str) -> LookupSchema:
    return LookupSchema(child, "xy_lookupfield_customer", "Customer", "xy_profile", "RemoveLink")


PROFILE = table("Profile", ColumnSchema("xy_born", "datetime", "Born", behavior="TimeZoneIndependent"))
KEY = table("Key", ColumnSchema("xy_value", "text", "Value", max_length=50))
TO_CONTACT = LookupSchema("contact", "xy_lookupfield_profile", "Customer Profile", "xy_profile", "Restrict")
WANTED = Schema((PROFILE, KEY), (customer("xy_key"), TO_CONTACT), OWN)
CREATED = [
    "Publisher customerinsightshydrationxy with the prefix xy was created.",
    f"Solution {NAME} was created.",
    "Table xy_profile was created.",
    "Table xy_key was created.",
    "Lookup xy_lookupfield_customer of xy_key to xy_profile was created.",
    "Lookup xy_lookupfield_profile of contact to xy_profile was created.",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("dataverse")) as url:
        yield Api(url)


@pytest.fixture
def api(server: Api) -> Api:
    return server.another()


@pytest.fixture
def client(api: Api) -> Iterator[Client]:
    with client_of(api) as client:
        yield client


def publishers(api: Api) -> list[str]:
    found = api.get("publishers?$select=uniquename&$filter=customizationprefix eq 'xy'")["value"]
    return sorted(each["uniquename"] for each in found)


def components(api: Api) -> list[tuple[int, str]]:
    """What the app's solution holds: the type, and the name of the table, column or relationship."""
    (found,) = api.get(f"solutions?$filter=uniquename eq '{NAME}'")["value"]
    rows = api.get(f"solutioncomponents?$filter=_solutionid_value eq {found['solutionid']}")["value"]
    names = {}
    for each in api.get("EntityDefinitions?$expand=Attributes,ManyToOneRelationships")["value"]:
        names[each["MetadataId"]] = each["LogicalName"]
        names |= {one["MetadataId"]: one["LogicalName"] for one in each["Attributes"]}
        names |= {one["MetadataId"]: one["SchemaName"] for one in each["ManyToOneRelationships"]}
    return sorted((row["componenttype"], names[row["objectid"]]) for row in rows)


COMPONENTS = [
    (1, "contact"),
    (1, "xy_key"),
    (1, "xy_profile"),
    (2, "xy_lookupfield_customer"),
    (2, "xy_lookupfield_profile"),
    (10, "xy_lookupfield_customer_xy_key"),
    (10, "xy_lookupfield_profile_contact"),
]


def test_all_is_created_in_a_solution_once(api: Api, client: Client) -> None:
    assert provision(client, WANTED) == CREATED
    assert components(api) == COMPONENTS
    before = api.laboratory("statistics")["requests"]["metadata write"]
    assert provision(client, WANTED) == []
    assert api.laboratory("statistics")["requests"]["metadata write"] == before
    (own,) = api.get(f"solutions?$filter=uniquename eq '{NAME}'&$expand=publisherid($select=uniquename)")["value"]
    assert (own["friendlyname"], own["version"], own["ismanaged"]) == ("Customer Insights Hydration", "1.0.0.0", False)
    assert own["publisherid"]["uniquename"] == "customerinsightshydrationxy"
    assert publishers(api) == ["customerinsightshydrationxy"]


def test_a_later_column_and_lookup_join_the_solution(api: Api, client: Client) -> None:
    provision(client, Schema((PROFILE,), solution=OWN))
    more = replace(PROFILE, columns=(*PROFILE.columns, ColumnSchema("xy_shoe", "decimal", "Shoe")))
    assert provision(client, Schema((more,), solution=OWN)) == ["Column xy_shoe of xy_profile was created."]
    assert provision(client, Schema(lookups=(TO_CONTACT,), solution=OWN)) == [CREATED[-1]]
    assert (2, "xy_shoe") in components(api)


def test_without_a_solution_nothing_is_asked_for_one(api: Api, client: Client) -> None:
    assert provision(client, replace(WANTED, solution=None)) == CREATED[2:]
    assert publishers(api) == []
    assert api.get("solutioncomponents")["value"] == []


def test_where_all_is_there_no_solution_is_made(api: Api, client: Client) -> None:
    provision(client, replace(WANTED, solution=None))
    assert provision(client, WANTED) == []
    assert api.get(f"solutions?$filter=uniquename eq '{NAME}'")["value"] == []


# Publishers and solutions that are there already


def add_publisher(api: Api, name: str, prefix: str = "xy", *, read_only: bool = False) -> str:
    key = str(uuid.uuid4())
    header = "publisherid,uniquename,friendlyname,customizationprefix,isreadonly"
    assert api.seed("publisher", f"{header}\n{key},{name},{name},{prefix},{read_only}\n").is_success
    return key


def add_solution(api: Api, publisher: str, *, managed: bool = False, name: str = NAME) -> None:
    header = "solutionid,uniquename,friendlyname,version,ismanaged,_publisherid_value"
    row = f"{uuid.uuid4()},{name},Ours,1.0,{managed},{publisher}"
    assert api.seed("solution", f"{header}\n{row}\n").is_success


def test_a_publisher_that_has_the_prefix_is_used(api: Api, client: Client) -> None:
    add_publisher(api, "somebody", "XY")
    assert provision(client, WANTED) == CREATED[1:]
    assert publishers(api) == ["somebody"]


def test_the_app_s_own_publisher_goes_first(api: Api, client: Client) -> None:
    add_publisher(api, "another")
    add_publisher(api, OWN.publisher)
    provision(client, WANTED)
    (own,) = api.get(f"solutions?$filter=uniquename eq '{NAME}'&$expand=publisherid($select=uniquename)")["value"]
    assert own["publisherid"]["uniquename"] == OWN.publisher


def test_a_read_only_publisher_is_passed_over(api: Api, client: Client) -> None:
    add_publisher(api, "microsoft", read_only=True)
    assert provision(client, WANTED) == CREATED
    assert publishers(api) == ["customerinsightshydrationxy", "microsoft"]


def test_a_solution_that_is_there_is_used(api: Api, client: Client) -> None:
    add_solution(api, add_publisher(api, "somebody"))
    assert provision(client, WANTED) == CREATED[2:]
    assert components(api) == COMPONENTS


def nothing_was_created(api: Api) -> bool:
    return not {"xy_profile", "xy_key"} & set(api.laboratory("export")["tables"])


def test_a_managed_solution_of_that_name_is_refused(api: Api, client: Client) -> None:
    add_solution(api, add_publisher(api, "somebody"), managed=True)
    with pytest.raises(ConfigurationError, match=f"Solution {NAME} exists as a managed solution"):
        provision(client, WANTED)
    assert nothing_was_created(api)


def test_a_solution_with_another_prefix_is_refused(api: Api, client: Client) -> None:
    add_solution(api, add_publisher(api, "somebody", "abc"))
    with pytest.raises(ConfigurationError, match=r'whose prefix is abc; .* publisher_prefix = "abc"'):
        provision(client, WANTED)
    assert nothing_was_created(api)


def test_a_publisher_of_the_app_s_name_that_cannot_be_used_is_refused(api: Api, client: Client) -> None:
    add_publisher(api, OWN.publisher, "other")
    with pytest.raises(ConfigurationError, match="its prefix is other, not xy"):
        provision(client, WANTED)
    assert nothing_was_created(api)


def test_a_solution_that_vanishes_meanwhile_is_told(api: Api, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solution, "ensure", lambda *_: [])
    with pytest.raises(ConfigurationError, match=f"refuses to create xy_Profile: .*'{NAME}' is not valid"):
        provision(client, WANTED)
    assert nothing_was_created(api)


def test_a_missing_privilege_is_told_with_the_user(api: Api, client: Client) -> None:
    message = "Principal user is missing prvCreatePublisher privilege"
    api.faults({"match": "POST", "status": 403, "code": "0x80040220", "message": message})
    with pytest.raises(ConfigurationError, match="prvCreatePublisher"):
        provision(client, WANTED)


# Tables that the app must not touch


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ({"is_managed": True}, "managed solution"),
        ({"table_type": "Virtual"}, "of type virtual"),
        ({"table_type": "Elastic"}, "of type elastic"),
    ],
)
def test_an_unsuitable_table_stops_all_before_anything_is_created(
    api: Api, client: Client, what: dict[str, Any], told: str
) -> None:
    assert api.define("xy_key", **what).is_success
    before = api.laboratory("statistics")["requests"].get("metadata write", 0)
    with pytest.raises(ConfigurationError, match=f"Table xy_key exists and .*{told}"):
        provision(client, WANTED)
    assert api.laboratory("statistics")["requests"].get("metadata write", 0) == before
    assert publishers(api) == []


def test_no_lookup_points_to_an_unsuitable_table(api: Api, client: Client) -> None:
    assert api.define("xy_profile", is_managed=True).is_success
    with pytest.raises(ConfigurationError, match=r"Table xy_profile .* managed"):
        provision(client, Schema(lookups=(TO_CONTACT,), solution=OWN))
    contact = metadata.table(client, "contact")
    assert contact is not None
    assert TO_CONTACT.logical_name not in contact.columns


def test_all_faults_are_told_at_once(client: Client) -> None:
    provision(client, Schema((replace(PROFILE, columns=()), KEY), solution=OWN))
    provision(client, Schema((table("Profile", ColumnSchema("xy_a", "integer", "A")),)))
    wrong = table("Profile", ColumnSchema("xy_a", "text", "A"), ColumnSchema("xy_new", "text", "New"))
    other = replace(KEY, columns=(ColumnSchema("xy_value", "boolean", "Value"),))
    taken = LookupSchema("xy_key", "xy_value", "Value", "xy_profile", "RemoveLink")
    with pytest.raises(ConfigurationError) as raised:
        provision(client, Schema((wrong, other), (taken,), OWN))
    told = [fault.partition(",")[0] for fault in raised.value.faults]
    assert told == [
        "Column xy_a of xy_profile exists as Integer (whole number)",
        "Column xy_value of xy_key exists as String (text)",
        "Column xy_value of xy_key exists as String (text)",
    ]
    found = metadata.table(client, "xy_profile", strong=True)
    assert found is not None
    assert "xy_new" not in found.columns


def test_columns_are_never_shrunk_or_changed(api: Api, client: Client) -> None:
    small = table("Profile", ColumnSchema("xy_text", "text", "Text", max_length=10))
    provision(client, Schema((small,), solution=OWN))
    path = "EntityDefinitions(LogicalName='xy_profile')/Attributes"
    facets: dict[str, dict[str, Any]] = {
        "xy_decimal": {"@odata.type": f"{CRM}DecimalAttributeMetadata", "Precision": 2, "MaxValue": 9},
        "xy_double": {"@odata.type": f"{CRM}DoubleAttributeMetadata", "Precision": 1, "MaxValue": 9},
        "xy_big": {"@odata.type": f"{CRM}BigIntAttributeMetadata"},
    }
    for name, more in facets.items():
        display = {"LocalizedLabels": [{"Label": name, "LanguageCode": 1033}]}
        api.expect(204, "POST", path, json={"SchemaName": name, "DisplayName": display, **more})
    before = api.get(path)["value"]
    columns = (
        ColumnSchema("xy_text", "text", "Text"),
        ColumnSchema("xy_decimal", "decimal", "Decimal"),
        ColumnSchema("xy_double", "double", "Double"),
        ColumnSchema("xy_big", "integer", "Big"),
    )
    assert provision(client, Schema((table("Profile", *columns),), solution=OWN)) == []
    assert api.get(path)["value"] == before
    found = metadata.table(client, "xy_profile")
    assert found is not None
    assert (found.columns["xy_text"].max_length, found.columns["xy_double"].precision) == (10, 1)
    assert (found.columns["xy_decimal"].precision, found.columns["xy_decimal"].max) == (2, 9)


# Several lookups to one table; times without a zone


def test_several_tables_point_to_the_profile_and_are_unlinked_with_it(api: Api, client: Client) -> None:
    children = [table(name) for name in ("Key", "Activity", "Measure")]
    lookups = tuple(customer(child.logical_name) for child in children)
    provision(client, Schema((PROFILE, *children), (*lookups, TO_CONTACT), OWN))
    profiles, key = [str(uuid.UUID(int=number)) for number in (1, 2)], str(uuid.UUID(int=3))
    for profile in profiles:
        api.expect(204, "PATCH", f"xy_profilerows({profile})", json={"xy_name": "P"})
    for child, lookup in zip(children, lookups, strict=True):
        found = metadata.table(client, child.logical_name)
        assert found is not None
        link = found.lookup(lookup.logical_name, "xy_profile")
        assert link is not None
        assert (link.navigation, link.on_delete) == ("xy_lookupfield_customer", "RemoveLink")
        bind = {f"{link.navigation}@odata.bind": f"/xy_profilerows({profiles[0]})"}
        api.expect(204, "PATCH", f"{found.set_name}({key})", json=bind)
        rows = api.get(f"xy_profilerows({profiles[0]})/{lookup.relationship}")["value"]
        assert [row[f"{child.logical_name}id"] for row in rows] == [key]
    api.expect(204, "DELETE", f"xy_profilerows({profiles[0]})")
    for child in children:
        (row,) = api.exported(child.logical_name).values()
        assert row["_xy_lookupfield_customer_value"] is None


def test_a_time_without_a_zone_is_provisioned_written_and_read(api: Api, client: Client) -> None:
    provision(client, WANTED)
    found = metadata.table(client, "xy_profile")
    assert found is not None
    assert (found.columns["xy_born"].type, found.columns["xy_born"].behavior) == ("DateTime", "TimeZoneIndependent")
    key, moment = str(uuid.UUID(int=7)), "1985-06-30T00:00:00Z"
    record = f'{{"@odata.type":"{CRM}xy_profile","xy_profileid":"{key}","xy_born":"{moment}"}}'
    target = bulk.TableName(found.set_name, found.logical_name)
    assert bulk.Writer(client, target, Sizes(), lambda: None).upsert([record.encode()], key="xy_profileid") == []
    assert api.get(f"{found.set_name}({key})?$select=xy_born")["xy_born"] == moment


# Killed, and several at once


class KilledError(Exception):
    """The process ends here."""


def kill(_: float) -> None:
    raise KilledError


REQUESTS = 7  # publisher, solution, two tables, two lookups, publishing


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("number", range(REQUESTS))
def test_whoever_is_killed_half_way_is_followed_by_another(api: Api, number: int, *, committed: bool) -> None:
    api.faults({"match": "POST", "skip": number, "reset": True, "after_commit": committed})
    with client_of(api, Patience(sleep=kill)) as killed, pytest.raises(KilledError):
        provision(killed, WANTED)
    with client_of(api) as client:
        created = provision(client, WANTED)
        assert created == CREATED[number + committed :]
        assert provision(client, WANTED) == []
    assert components(api) == COMPONENTS
    assert publishers(api) == ["customerinsightshydrationxy"]


@pytest.mark.parametrize("path", ["publishers", "solutions"])
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503, "code": "0x0"},
        {"status": 429, "code": "0x80071151", "message": "Cannot start the requested operation [Import]"},
        {"status": 500, "code": "0x80044151"},
        {"reset": True},
        {"reset": True, "after_commit": True},
        {"status": 500, "code": "0x80044151", "after_commit": True},
    ],
)
def test_passing_faults_are_outlasted(api: Api, client: Client, path: str, fault: dict[str, Any]) -> None:
    api.faults({"match": f"POST /{api.host}/api/data/v9.2/{path}", **fault})
    assert provision(client, WANTED) == CREATED
    assert components(api) == COMPONENTS


@pytest.mark.parametrize("count", [2, 6])
def test_several_provision_at_once(api: Api, count: int) -> None:
    created: list[str] = []
    failures: list[Exception] = []
    together = threading.Barrier(count)

    def work() -> None:
        try:
            with client_of(api) as client:
                together.wait()
                created.extend(provision(client, WANTED))
        except Exception as error:  # noqa: BLE001 (shown below)
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(created) == sorted(CREATED)
    assert components(api) == COMPONENTS
    assert publishers(api) == ["customerinsightshydrationxy"]
