"""Microsoft's Python client against the local Dataverse: $batch, change sets, data frames, files."""

from __future__ import annotations

import base64
import uuid
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-untyped]
import pytest
from PowerPlatform.Dataverse.core.errors import HttpError

from tests.support.microsoft_sdk import Home


def last_names(home: Home) -> list[str]:
    return sorted(row["lastname"] for row in home.client.records.list("contact", select=["lastname"]))


def test_a_batch_carries_operations_of_every_kind(home: Home) -> None:
    made = home.client.records.create("contact", [{"lastname": "A"}, {"lastname": "B"}])
    batch = home.client.batch.new()
    batch.records.create("contact", {"lastname": "Ünî"})
    batch.records.create("contact", [{"lastname": "C"}, {"lastname": "D"}])
    batch.records.update("contact", made[0], {"lastname": "A2"})
    batch.records.delete("contact", made[1])
    batch.records.retrieve("contact", made[0], select=["lastname"])
    batch.records.list("contact", filter="lastname eq 'C'", select=["lastname"])
    batch.query.sql("SELECT lastname FROM contact WHERE lastname = 'D'")
    batch.tables.get("contact")
    result = batch.execute()
    assert [one.status_code for one in result.responses] == [204, 200, 204, 204, 200, 200, 200, 200]
    read: list[Any] = [one.data for one in result.responses[4:7]]
    assert read[0]["lastname"] == "A2"
    assert [rows["value"][0]["lastname"] for rows in read[1:]] == ["C", "D"]
    assert last_names(home) == ["A2", "C", "D", "Ünî"]


def test_a_change_set_is_done_whole_and_its_requests_refer_to_each_other(home: Home) -> None:
    batch = home.client.batch.new()
    with batch.changeset() as change:
        lead = change.records.create("lead", {"lastname": "Lovelace"})
        contact = change.records.create("contact", {"lastname": "Ada"})
        bind = {"originatingleadid@odata.bind": lead, "primarycontactid@odata.bind": contact}
        change.records.create("account", {"name": "Babbage", **bind})
        change.records.update("contact", contact, {"lastname": "Byron"})
    result = batch.execute()
    assert not result.has_errors
    (account,) = home.client.records.list("account", expand=["primarycontactid", "originatingleadid"])
    assert account["primarycontactid"]["lastname"] == "Byron"
    assert account["originatingleadid"]["lastname"] == "Lovelace"


def test_a_change_set_that_fails_leaves_nothing(home: Home) -> None:
    batch = home.client.batch.new()
    with batch.changeset() as change:
        change.records.create("contact", {"lastname": "A"})
        change.records.create("contact", {"lastname": "x" * 51})
    result = batch.execute()
    assert [one.status_code for one in result.failed] == [400]
    assert last_names(home) == []


def test_a_batch_goes_on_after_errors_when_asked_to(home: Home) -> None:
    batch = home.client.batch.new()
    batch.records.retrieve("contact", str(uuid.uuid4()))
    batch.records.create("contact", {"lastname": "A"})
    result = batch.execute(continue_on_error=True)
    assert [one.status_code for one in result.responses] == [404, 204]
    assert result.responses[0].error_code == "0x80040217"


def test_a_batch_ends_at_the_first_error_otherwise(home: Home) -> None:
    batch = home.client.batch.new()
    batch.records.create("contact", {"lastname": "x" * 51})
    batch.records.create("contact", {"lastname": "A"})
    result = batch.execute()
    assert [one.status_code for one in result.responses] == [400]
    assert last_names(home) == []


def test_metadata_is_changed_in_a_batch(home: Home) -> None:
    batch = home.client.batch.new()
    batch.tables.create("new_Thing", {"new_Price": "decimal"})
    assert not batch.execute().has_errors
    batch = home.client.batch.new()
    batch.tables.add_columns("new_Thing", {"new_A": "string", "new_B": "int"})
    batch.tables.remove_columns("new_Thing", "new_Price")
    batch.tables.create_lookup_field("new_Thing", "new_AccountId", "account")
    assert not batch.execute().has_errors
    custom = home.client.tables.list_columns("new_Thing", select=["LogicalName"], filter="IsCustomAttribute eq true")
    assert {row["LogicalName"] for row in custom} >= {"new_a", "new_b", "new_accountid"}
    assert "new_price" not in {row["LogicalName"] for row in custom}


def test_a_data_frame_is_written_read_changed_and_deleted(home: Home) -> None:
    frames = home.client.dataframe
    people = pd.DataFrame({"lastname": ["A", "B", "C"], "numberofchildren": [1, 2, 3]})
    people["contactid"] = frames.create("contact", people)
    changes = people[["contactid"]].assign(numberofchildren=[10, 20, 30])
    frames.update("contact", changes, id_column="contactid")
    found = frames.sql("SELECT lastname, numberofchildren FROM contact ORDER BY lastname")
    assert list(found["numberofchildren"]) == [10, 20, 30]
    job = frames.delete("contact", people["contactid"][:2])
    assert home.get(f"asyncoperations({job})")["statecode"] == 3
    assert last_names(home) == ["C"]


def test_a_file_is_uploaded_in_one_request_into_a_column_made_for_it(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "plan.txt"
    path.write_bytes(b"a plan")
    home.client.tables.create("new_Thing", {})
    thing = home.client.records.create("new_Thing", {"new_name": "x"})
    home.client.files.upload("new_Thing", thing, "new_Plan", str(path), mime_type="text/plain")
    answer = home.request("GET", f"new_things({thing})/new_plan/$value")
    assert answer.content == b"a plan"
    assert (answer.headers["x-ms-file-name"], answer.headers["mimetype"]) == ("plan.txt", "text/plain")
    row = home.client.records.retrieve("new_Thing", thing)
    assert row is not None
    assert row["new_plan_name"] == "plan.txt"


def test_the_column_of_a_file_s_name_comes_and_goes_with_the_file_s(home: Home) -> None:
    home.client.tables.create("new_Thing", {"new_Plan": "file"})
    name = "EntityDefinitions(LogicalName='new_thing')/Attributes(LogicalName='new_plan_name')"
    assert home.get(name)["AttributeOf"] == "new_plan"
    assert home.request("DELETE", name).status_code == 400
    home.client.tables.remove_columns("new_Thing", "new_Plan")
    assert home.request("GET", name).status_code == 404


def test_a_file_is_uploaded_in_chunks(home: Home, tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000  # more than one chunk of 4 MB
    path = tmp_path / "big.bin"
    path.write_bytes(content)
    home.client.tables.create("new_Thing", {"new_Scan": "file"})
    thing = home.client.records.create("new_Thing", {"new_name": "x"})
    home.client.files.upload("new_Thing", thing, "new_Scan", str(path), mode="chunk")
    assert home.request("GET", f"new_things({thing})/new_scan/$value").content == content
    part = home.request("GET", f"new_things({thing})/new_scan", headers={"Range": "bytes=256-511"})
    assert part.status_code == 206
    assert base64.b64decode(part.json()["value"]) == content[256:512]
    assert home.request("DELETE", f"new_things({thing})/new_scan").status_code == 204
    assert home.request("GET", f"new_things({thing})/new_scan/$value").status_code == 204


def test_a_file_larger_than_its_column_takes_is_refused(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "big.bin"
    path.write_bytes(b"x" * 2_000)
    home.client.tables.create("new_Thing", {})
    kind = "Microsoft.Dynamics.CRM.FileAttributeMetadata"
    words = {"LocalizedLabels": [{"Label": "Small", "LanguageCode": 1033}]}
    column = {"@odata.type": kind, "SchemaName": "new_Small", "DisplayName": words, "MaxSizeInKB": 1}
    assert home.request("POST", "EntityDefinitions(LogicalName='new_thing')/Attributes", json=column).ok
    thing = home.client.records.create("new_Thing", {"new_name": "x"})
    with pytest.raises(HttpError, match="exceeds the maximum"):
        home.client.files.upload("new_Thing", thing, "new_Small", str(path))
