from __future__ import annotations

import codecs
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from shared.errors import CorruptSnapshotError
from shared.lake.listing import Listing
from shared.lake.manifest import Attribute, Delivery, Entity, FileFormat, Manifest, Partition
from shared.lake.model import parse
from shared.lake.partitions import Place

ENVIRONMENT = "ci_3f0c2a9e"
MODEL = f"{ENVIRONMENT}/Unification/model.json"
HOST = f"https://contosolake.dfs.core.windows.net/customerinsights/{ENVIRONMENT}"
PARTS = f"{ENVIRONMENT}/Unification/Customer"
TABLE = f"{ENVIRONMENT}/Unification/Table"


def read(content: bytes, *listed: str) -> Manifest:
    listing = Listing(f"{ENVIRONMENT}/Unification/{path}" for path in listed)
    return parse(content, Place(MODEL, ENVIRONMENT, "customerinsights", listing))


def model(*entities: object, **more: object) -> bytes:
    return json.dumps({"name": "Unification", "version": "1.0", "entities": list(entities), **more}).encode()


def customer(*partitions: object, **more: object) -> dict[str, Any]:
    attributes = [{"name": "CustomerId", "dataType": "string"}, {"name": "Birth Date", "dataType": "dateTime"}]
    return {"$type": "LocalEntity", "name": "Customer", "attributes": attributes, "partitions": partitions, **more}


def at(location: str | None, **more: object) -> dict[str, Any]:
    return {"name": "Part001", "location": location, **more}


def csv(**more: object) -> dict[str, Any]:
    return {"fileFormatSettings": {"$type": "CsvFormatSettings", **more}}


def only(content: bytes) -> Entity:
    (entity,) = read(content).entities
    return entity


def fault_of(*partitions: object, **more: object) -> str:
    entity = only(model(customer(*partitions, **more)))
    assert entity.delivery is Delivery.CORRUPT
    assert entity.partitions == ()
    return entity.fault or ""


def test_a_plain_manifest() -> None:
    content = model(
        customer(at(f"{HOST}/Unification/Customer/1.csv", **csv(columnHeaders=True)), at("Customer/2.csv", **csv())),
        {"$type": "LocalEntity", "name": "Segment", "attributes": [{"name": "Id"}], "partitions": [at(None)]},
        culture="en-US",
        modifiedTime="2026-11-21T00:00:00Z",
    )
    assert read(content) == Manifest(
        MODEL,
        (
            Entity(
                "Customer",
                (Attribute("CustomerId", "string"), Attribute("Birth Date", "dateTime")),
                (
                    Partition("Part001", f"{PARTS}/1.csv", FileFormat("csv", headers=True)),
                    Partition("Part001", f"{PARTS}/2.csv", FileFormat("csv")),
                ),
            ),
            Entity(
                "Segment",
                (Attribute("Id", "unclassified"),),
                (),
                Delivery.NOT_DELIVERED,
                "the manifest names no file of it, only its schema",
            ),
        ),
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_byte_order_marks_and_wide_encodings_are_read(encoding: str) -> None:
    text = model(customer(at("Customer/é.csv"))).decode().encode(encoding)
    assert only(text).partitions[0].path == f"{PARTS}/é.csv"


def test_what_real_files_hold_beyond_the_schema_is_read() -> None:
    entity = customer(at(f"{HOST}/Unification/Customer/1.csv?snapshot=2022-05-18T01:02:03.1234567Z"))
    entity |= {"pbi:refreshPolicy": {"location": "RefreshPolicies/x.json"}, "c360:kind": 1, "annotations": None}
    document = json.loads(model(entity, **{"cdm:x": [], "referenceModels": None, "relationships": []}))
    del document["version"]
    assert only(codecs.BOM_UTF8 + json.dumps(document).encode()).partitions[0].path == f"{PARTS}/1.csv"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b'{"name": "x", "entities": [', "is not JSON"),
        (b'{"entities": []} {}', "is not JSON: Extra data at line 1, column 18"),
        (b'{"entities": ["\xff\xfe"]}', "is not text in UTF-8"),
        (b"[]", "is no model.json"),
        (b"null", "is no model.json"),
        (b'{"name": "x"}', "is no model.json: entities: Field required"),
        (b'{"entities": "Customer"}', "is no model.json: entities"),
        (b"[" * 100_000, "is nested too deeply"),
    ],
)
def test_what_is_no_model_is_refused_with_its_place(content: bytes, fault: str) -> None:
    with pytest.raises(CorruptSnapshotError) as raised:
        read(content)
    assert str(raised.value).startswith(MODEL)
    assert fault in str(raised.value)


@pytest.mark.parametrize("entities", [[], None])
def test_a_manifest_may_name_nothing(entities: object) -> None:
    assert read(json.dumps({"entities": entities}).encode()).entities == ()


def test_one_bad_entity_does_not_hide_the_others() -> None:
    content = model(
        7,
        {"name": "", "partitions": []},
        customer(at("C:\\export\\Customer.csv")),
        customer(at("Customer/1.csv"), name="Good"),
        {"$type": "ReferenceEntity", "name": "Elsewhere", "source": "Customer", "modelId": "other"},
    )
    found = read(content).entities
    assert [entity.name for entity in found] == ["entity 1", "entity 2", "Customer", "Good", "Elsewhere"]
    corrupt, good, absent = Delivery.CORRUPT, Delivery.DELIVERED, Delivery.NOT_DELIVERED
    assert [entity.delivery for entity in found] == [corrupt, corrupt, corrupt, good, absent]
    assert found[3].fault is None
    assert "path of Windows" in str(found[2].fault)
    assert found[2].attributes


@pytest.mark.parametrize("partitions", [{"partitions": []}, {"partitions": None}, {"partitions": [{"location": " "}]}])
def test_an_entity_without_files_is_not_delivered(partitions: dict[str, Any]) -> None:
    entity = only(model(customer() | partitions))
    assert entity.delivery is Delivery.NOT_DELIVERED
    assert len(entity.attributes) == 2


def test_a_missing_list_of_partitions_is_an_empty_one() -> None:
    entity = customer()
    del entity["partitions"]
    assert only(model(entity)).delivery is Delivery.NOT_DELIVERED


def test_faults_of_an_entity() -> None:
    assert "1 of its 2 partitions have no location" in fault_of(at("a.csv"), at(None))
    assert "partition 2 cannot be read" in fault_of(at("a.csv"), 3)
    assert "location: Input should be a valid string" in fault_of({"location": 3})
    assert "no attributes" in fault_of(at("a.csv"), attributes=[])
    assert "attribute 1 cannot be read: name" in fault_of(at("a.csv"), attributes=[{"dataType": "string"}])
    assert "more than one attribute A" in fault_of(at("a.csv"), attributes=[{"name": "A"}, {"name": "A"}])
    assert "unable to parse" in fault_of(at("a.csv"), attributes=[{"name": "\ud800"}])
    assert "half a character" in fault_of(at("a.csv"), attributes=[{"name": "a", "dataType": "\udfff"}])
    assert "half a character" in fault_of(at("a.csv", name="\ud800"))
    assert "is the file" in fault_of(at("a.csv"), at("./a.csv", **csv(columnHeaders=True)))
    assert "columnHeaders" in fault_of(at("a.csv", **csv(columnHeaders="perhaps")))
    assert "delimiter" in fault_of(at("a.csv", **csv(delimiter="||")))


@pytest.mark.parametrize(
    ("partition", "said"),
    [
        (at("Customer/1.json"), f"{PARTS}/1.json is a file of the format JSON"),
        (at("Customer/1.csv.zst"), f'{PARTS}/1.csv.zst is compressed with "zstd"'),
        (at("Customer/1.x", fileFormatSettings={"$type": "OrcFormatSettings"}), '"Customer/1.x" is declared as ORC'),
        (at(f"{HOST}/a/", fileFormatSettings={"$type": "Delta"}), f'"{HOST}/a/" is declared as a Delta table'),
        (at("Table/1.parquet"), f"{TABLE}/ is a Delta table"),
        (at("Table/Year=2026/1.parquet", **csv()), f"{TABLE}/ is a Delta table"),
        (at("Table"), f"{TABLE}/ is a Delta table"),
        (at("Table/"), f"{TABLE}/ is a Delta table"),
        (at("Table/Year=2026/"), f"{TABLE}/ is a Delta table"),
    ],
)
def test_what_this_version_does_not_read_is_there_and_left_unread(partition: dict[str, Any], said: str) -> None:
    content = model(customer(at("a.csv"), partition, annotations=[{"name": "a", "value": "b"}]))
    (entity,) = read(content, "Table/_delta_log/0.json", "Table/1.parquet").entities
    assert entity.delivery is Delivery.UNSUPPORTED
    assert str(entity.fault).startswith(f"{said}; this version does not read that")
    assert (len(entity.attributes), entity.partitions, entity.annotations) == (2, (), (("a", "b"),))


def test_a_folder_that_is_no_delta_table_is_no_file() -> None:
    for location in ("Table", "Table/"):
        (entity,) = read(model(customer(at(location))), "Table/1.csv").entities
        assert entity.delivery is Delivery.CORRUPT
        assert "is a folder, not a file" in str(entity.fault)


@pytest.mark.parametrize(
    ("annotations", "found"),
    [
        ([{"name": "c360:outputTable", "value": "Enrichment"}, {"name": "x", "value": ""}], 2),
        ([{"name": "a", "value": "b"}, {"name": "a", "value": "c"}], 2),
        ([7, None, "a", [], {}, {"name": "a"}, {"value": "b"}], 0),
        ([{"name": "", "value": "b"}, {"name": 1, "value": "b"}, {"name": "a", "value": None}], 0),
        ([{"name": "a", "value": 1}, {"name": "a", "value": True}, {"name": "a", "value": []}], 0),
        ([{"name": "a", "value": "\ud800"}, {"name": "a", "value": {}}], 0),
        ([{"name": "a", "value": "b", "more": 1}, 7], 1),
        ({"name": "a", "value": "b"}, 0),
        ("a", 0),
        (None, 0),
    ],
)
def test_annotations_are_pairs_of_text_and_what_is_none_is_left_out(annotations: Any, found: int) -> None:
    entity = only(model(customer(at("a.csv"), annotations=annotations)))
    assert entity.delivery is Delivery.DELIVERED
    assert len(entity.annotations) == found
    assert entity.annotations == tuple((one["name"], one["value"]) for one in (annotations[:found] if found else ()))


def test_annotations_of_what_cannot_be_used_are_known_too() -> None:
    told = {"annotations": [{"name": "a", "value": "b"}]}
    for entity in (customer(**told), customer(at("../x"), **told), customer({"location": 3}, **told)):
        assert only(model(entity)).annotations == (("a", "b"),)
    twice = read(model(customer(at("a.csv"), **told), customer(at("b.csv"), **told))).entities
    assert [entity.annotations for entity in twice] == [(("a", "b"),)] * 2


def test_names_that_differ_in_case_only_are_two_attributes_but_one_entity() -> None:
    assert only(model(customer(at("a.csv"), attributes=[{"name": "a"}, {"name": "A"}]))).fault is None
    twice = read(model(customer(at("a.csv")), customer(at("b.csv"), name="CUSTOMER"))).entities
    assert [entity.delivery for entity in twice] == [Delivery.CORRUPT] * 2
    assert "2 entities" in str(twice[0].fault)


def test_the_same_file_twice_is_one_file() -> None:
    assert len(only(model(customer(at("a.csv"), at("a.csv")))).partitions) == 1


@pytest.mark.parametrize(
    ("declared", "known"),
    [
        ("Int64", "int64"),
        ("datetime", "dateTime"),
        ("DATETIMEOFFSET", "dateTimeOffset"),
        ("money", "money"),
        ("", "unclassified"),
    ],
)
def test_types_are_known_in_any_case(declared: str, known: str) -> None:
    entity = only(model(customer(at("a.csv"), attributes=[{"name": "a", "dataType": declared}])))
    assert entity.attributes == (Attribute("a", known),)


KEYS = st.sampled_from(
    ["name", "entities", "attributes", "partitions", "location", "$type", "fileFormatSettings", "annotations", "value"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("aé\ud800/.", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=15,
)


@given(st.lists(JSON, max_size=3) | JSON)
def test_any_json_is_a_manifest_or_refused(entities: object) -> None:
    try:
        found = read(json.dumps({"entities": entities}).encode())
    except CorruptSnapshotError:
        return
    for entity in found.entities:
        assert (entity.fault is None) == (entity.delivery is Delivery.DELIVERED) == bool(entity.partitions)
        entity.name.encode()
    assert TypeAdapter(Manifest).dump_json(found)
