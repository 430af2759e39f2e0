"""Microsoft's Python client against the local Dataverse: rows, one by one and in bulk."""

from __future__ import annotations

import enum
import uuid

import pytest
from PowerPlatform.Dataverse.core.errors import HttpError, MetadataError
from PowerPlatform.Dataverse.models.upsert import UpsertItem

from tests.support.microsoft_sdk import Home

TABLE = "new_Machine"


class Grade(enum.IntEnum):
    Good = 100000000
    Poor = 100000001


@pytest.fixture
def machines(home: Home) -> Home:
    home.client.tables.create(TABLE, {"new_Code": "string", "new_Weight": "decimal", "new_Grade": Grade})
    home.client.tables.create_alternate_key(TABLE, "new_bycode", ["new_code"])
    return home


def by_name(home: Home) -> dict[str, object]:
    rows = home.client.records.list(TABLE, select=["new_name", "new_weight"])
    return {row["new_name"]: row["new_weight"] for row in rows}


def test_a_row_is_created_read_changed_and_deleted(home: Home) -> None:
    records = home.client.records
    made = records.create("account", {"Name": "Contoso", "telephone1": "555-0100"})
    found = records.retrieve("account", made, select=["name", "telephone1"])
    assert found is not None
    assert (found["name"], found["telephone1"], found["accountid"]) == ("Contoso", "555-0100", made)
    records.update("account", made, {"telephone1": None})
    changed = records.retrieve("account", made)
    assert changed is not None
    assert (changed["name"], changed["telephone1"]) == ("Contoso", None)
    records.delete("account", made)
    assert records.retrieve("account", made) is None


def test_an_update_of_a_row_that_is_not_there_is_told_with_dataverse_s_code(home: Home) -> None:
    with pytest.raises(HttpError) as told:
        home.client.records.update("account", str(uuid.uuid4()), {"name": "x"})
    assert told.value.status_code == 404
    assert told.value.details["service_error_code"] == "0x80040217"


def test_an_unknown_column_is_told_with_dataverse_s_code(home: Home) -> None:
    with pytest.raises(HttpError, match="Invalid property 'nosuch'") as told:
        home.client.records.create("account", {"nosuch": 1})
    assert (told.value.status_code, told.value.details["service_error_code"]) == (400, "0x80048d19")


def test_an_unknown_table_is_told(home: Home) -> None:
    with pytest.raises(MetadataError, match="Unable to resolve entity set"):
        home.client.records.create("new_nosuch", {"new_name": "x"})


def test_rows_are_created_by_create_multiple(machines: Home) -> None:
    made = machines.client.records.create(TABLE, [{"new_Name": f"m{n}", "new_weight": n} for n in range(3)])
    assert len(set(made)) == 3
    assert by_name(machines) == {"m0": 0, "m1": 1, "m2": 2}
    assert machines.laboratory("statistics")["requests"]["CreateMultiple"] == 1


def test_rows_are_changed_by_update_multiple_alike_or_each_its_own_way(machines: Home) -> None:
    records = machines.client.records
    made = records.create(TABLE, [{"new_name": f"m{n}"} for n in range(3)])
    records.update(TABLE, made, {"new_weight": 5})
    assert set(by_name(machines).values()) == {5}
    records.update(TABLE, made, [{"new_weight": n} for n in range(3)])
    assert by_name(machines) == {"m0": 0, "m1": 1, "m2": 2}
    assert machines.laboratory("statistics")["requests"]["UpdateMultiple"] == 2


def test_update_multiple_with_one_row_missing_changes_none(machines: Home) -> None:
    records = machines.client.records
    made = records.create(TABLE, {"new_name": "m", "new_weight": 1})
    with pytest.raises(HttpError, match="Do Not Exist"):
        records.update(TABLE, [made, str(uuid.uuid4())], {"new_weight": 2})
    assert by_name(machines) == {"m": 1}


def test_one_row_is_upserted_by_alternate_key(machines: Home) -> None:
    records = machines.client.records
    records.upsert(TABLE, [UpsertItem({"new_code": "A'1"}, {"new_name": "first", "new_weight": 1})])
    records.upsert(TABLE, [UpsertItem({"new_code": "A'1"}, {"new_weight": 2})])
    assert by_name(machines) == {"first": 2}


def test_rows_are_upserted_by_upsert_multiple(machines: Home) -> None:
    records = machines.client.records
    records.upsert(TABLE, [UpsertItem({"new_code": str(n)}, {"new_name": f"m{n}"}) for n in range(3)])
    records.upsert(TABLE, [UpsertItem({"new_code": str(n)}, {"new_weight": n}) for n in (1, 2)])
    assert by_name(machines) == {"m0": None, "m1": 1, "m2": 2}
    assert machines.laboratory("statistics")["requests"]["UpsertMultiple"] == 2


def test_the_label_of_a_choice_becomes_its_value(machines: Home) -> None:
    made = machines.client.records.create(TABLE, {"new_name": "m", "new_grade": "Poor"})
    found = machines.client.records.retrieve(TABLE, made, include_annotations="*")
    assert found is not None
    assert found["new_grade"] == Grade.Poor
    assert found["new_grade@OData.Community.Display.V1.FormattedValue"] == "Poor"


def test_the_options_of_a_choice_stay_when_another_thing_of_its_column_changes(machines: Home) -> None:
    machines.client.tables.update_column(TABLE, "new_Grade", {"display_name": "Mark"})
    machines.client.records.create(TABLE, {"new_name": "m", "new_grade": "Good"})
    (row,) = machines.client.records.list(TABLE, select=["new_grade"])
    assert row["new_grade"] == Grade.Good


def test_a_value_outside_a_choice_is_refused(machines: Home) -> None:
    with pytest.raises(HttpError) as told:
        machines.client.records.create(TABLE, {"new_grade": 7})
    assert told.value.details["service_error_code"] == "0x8004431a"


def test_bulk_delete_answers_a_job_that_deletes_the_rows_that_are_named(machines: Home) -> None:
    records = machines.client.records
    made = records.create(TABLE, [{"new_name": f"m{n}"} for n in range(4)])
    job = records.delete(TABLE, made[:3])
    operation = machines.get(f"asyncoperations({job})?$select=statecode,statuscode")
    assert (operation["statecode"], operation["statuscode"]) == (3, 30)
    (done,) = machines.get(f"bulkdeleteoperations?$filter=_asyncoperationid_value eq {job}")["value"]
    assert (done["successcount"], done["failurecount"]) == (3, 0)
    assert set(by_name(machines)) == {"m3"}


def test_bulk_delete_goes_on_after_a_row_that_cannot_be_deleted(machines: Home) -> None:
    client = machines.client
    client.tables.create_lookup_field("contact", "new_MachineId", TABLE, cascade_delete="Restrict")
    made = client.records.create(TABLE, [{"new_name": "kept"}, {"new_name": "gone"}])
    bind = {"new_MachineId@odata.bind": f"/new_machines({made[0]})"}
    client.records.create("contact", {"lastname": "x", **bind})
    job = client.records.delete(TABLE, made)
    (done,) = machines.get(f"bulkdeleteoperations?$filter=_asyncoperationid_value eq {job}")["value"]
    assert (done["successcount"], done["failurecount"]) == (1, 1)
    assert set(by_name(machines)) == {"kept"}


def test_rows_are_deleted_one_by_one_without_a_job(machines: Home) -> None:
    records = machines.client.records
    made = records.create(TABLE, [{"new_name": f"m{n}"} for n in range(3)])
    assert records.delete(TABLE, made, use_bulk_delete=False) is None
    assert by_name(machines) == {}
