from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from shared.errors import CorruptSnapshotError
from shared.lake import cdm
from shared.lake.listing import Listing
from shared.lake.manifest import Attribute, Delivery, Entity, FileFormat, Manifest, Partition
from shared.lake.partitions import Place

FOLDER = "ci_one/Unification"
MANIFEST = f"{FOLDER}/default.manifest.cdm.json"
DOCUMENT = f"{FOLDER}/Customer.cdm.json"
COLUMNS = (Attribute("CustomerId", "guid"), Attribute("Age", "int64"))
EXPECTED = "; this version does not read that, it expects "


def place(*listed: str) -> Place:
    return Place(MANIFEST, "ci_one", "customerinsights", Listing(f"{FOLDER}/{path}" for path in listed))


def document(name: str = "Customer") -> bytes:
    attributes = [{"name": "CustomerId", "dataType": "entityId"}, {"name": "Age", "dataFormat": "Int32"}]
    return json.dumps({"definitions": [{"entityName": name, "hasAttributes": attributes}]}).encode()


def manifest(*entities: object, **more: object) -> bytes:
    return json.dumps({"manifestName": "default", "entities": list(entities), **more}).encode()


def customer(*partitions: object, **more: object) -> dict[str, Any]:
    named: dict[str, Any] = {"entityName": "Customer", "entityPath": "Customer.cdm.json/Customer"}
    return {"type": "LocalEntity", **named, "dataPartitions": partitions, **more}


def at(location: object, *traits: object, **more: object) -> dict[str, Any]:
    return {"location": location, "exhibitsTraits": list(traits), **more}


def trait(name: str, *arguments: object, **named: object) -> dict[str, Any]:
    pairs = [{"name": key, "value": value} for key, value in named.items()]
    return {"traitReference": f"is.partition.{name}", "arguments": [*arguments, *pairs]}


def read(content: bytes, *listed: str, **documents: bytes | str) -> Manifest:
    contents = {f"{FOLDER}/{name}.cdm.json": found for name, found in documents.items()} or {DOCUMENT: document()}
    return cdm.parse(content, place(*listed), contents)


def only(entity: object, *listed: str, **documents: bytes | str) -> Entity:
    (found,) = read(manifest(entity), *listed, **documents).entities
    return found


def fault_of(entity: object, *listed: str, delivery: Delivery = Delivery.CORRUPT, **documents: bytes | str) -> str:
    found = only(entity, *listed, **documents)
    assert (found.delivery, found.partitions) == (delivery, ())
    return found.fault or ""


def test_a_plain_manifest() -> None:
    csv = trait("format.CSV", columnHeaders="true", delimiter=";", quoteStyle="QuoteStyle.None", encoding="UTF-8")
    content = manifest(
        customer(at("Customer/1.csv", csv, name="One"), at("local:/Customer/2.parquet", "is.partition.format.parquet")),
        {"entityName": "Segment", "entityPath": "Segment.cdm.json/Segment"},
        {"type": "ReferencedEntity", "entityName": "Other", "entityPath": "sub/x.manifest.cdm.json/Other"},
        relationships=[],
        jsonSchemaSemanticVersion="1.0.0",
        imports=[{"corpusPath": "cdm:/foundations.cdm.json"}],
        subManifests=[{"manifestName": "sub", "definition": "sub/x.manifest.cdm.json/sub"}],
    )
    only_schema = "the manifest names no file of it, only its schema"
    reference = "it is only a reference to an entity of another manifest"
    assert read(content) == Manifest(
        MANIFEST,
        (
            Entity(
                "Customer",
                COLUMNS,
                (
                    Partition("One", f"{FOLDER}/Customer/1.csv", FileFormat("csv", True, ";", quoted=False)),  # noqa: FBT003
                    Partition("2.parquet", f"{FOLDER}/Customer/2.parquet", FileFormat("parquet")),
                ),
            ),
            Entity("Segment", (), (), Delivery.NOT_DELIVERED, only_schema),
            Entity("Other", (), (), Delivery.NOT_DELIVERED, reference),
        ),
    )
    assert cdm.document_paths(content, place()) == {DOCUMENT}


@pytest.mark.parametrize(
    "path",
    [
        "Customer.cdm.json/Customer",
        "local:/Customer.cdm.json/Customer",
        "/Customer.cdm.json/Customer",
        "./Customer.cdm.json/Customer/",
        "/ci_one/Unification/Customer.cdm.json/Customer",
        "/customerinsights/ci_one/Unification/Customer.cdm.json/Customer",
        "https://lake.dfs.core.windows.net/customerinsights/ci_one/Unification/Customer.cdm.json/Customer",
    ],
)
def test_every_form_of_a_path_means_the_same_document(path: str) -> None:
    content = manifest(customer(at("1.csv"), entityPath=path))
    assert cdm.document_paths(content, place()) == {DOCUMENT}
    assert read(content).entities[0].attributes == COLUMNS


def test_old_names_of_the_path_and_resolved_documents_are_known() -> None:
    for name in ("entitySchema", "entityDeclaration"):
        entity = customer(at("1.csv"), **{name: "resolved/Client.cdm.json/Person"})
        del entity["entityPath"]
        del entity["type"]
        contents = {f"{FOLDER}/resolved/Client.cdm.json": document("PERSON")}
        assert cdm.document_paths(manifest(entity), place()) == set(contents)
        assert cdm.parse(manifest(entity), place(), contents).entities[0].attributes == COLUMNS


def test_a_manifest_may_define_its_entities_itself() -> None:
    content = manifest(customer(at("1.csv"), entityPath="Customer"), definitions=json.loads(document())["definitions"])
    assert read(content).entities[0].attributes == COLUMNS
    assert cdm.document_paths(content, place()) == set()
    assert "defines no entity Customer" in fault_of(customer(at("1.csv"), entityPath="Customer"))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is empty: a manifest.cdm.json is expected"),
        (b'{"entities": [', "is not JSON"),
        (b"[]", "is no manifest.cdm.json"),
        (b"{}", "is no manifest.cdm.json: it has no manifestName, entities or subManifests"),
        (b'{"entities": "Customer"}', "is no manifest.cdm.json: entities"),
        (b"[" * 100_000, "is nested too deeply"),
    ],
)
def test_what_is_no_manifest_is_refused_with_its_place(content: bytes, fault: str) -> None:
    with pytest.raises(CorruptSnapshotError) as raised:
        read(content)
    assert str(raised.value).startswith(MANIFEST)
    assert fault in str(raised.value)
    with pytest.raises(CorruptSnapshotError):
        cdm.document_paths(content, place())


@pytest.mark.parametrize("content", [b'{"manifestName": "x"}', b'{"entities": null, "subManifests": [{}]}'])
def test_a_manifest_may_name_nothing(content: bytes) -> None:
    assert read(content).entities == ()


# -- formats -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "what"),
    [
        (trait("format.deltaLake"), '"Customer" is declared as a Delta table'),
        (trait("format.JSON", type="lines"), '"Customer" is declared as JSON'),
        (trait("format.Iceberg"), '"Customer" is declared as "Iceberg"'),
        (trait("format.CSV", escape="\\"), f"{FOLDER}/Customer is declared as CSV with another escape character"),
        (trait("format.CSV", skipLines="1"), f"{FOLDER}/Customer is declared as CSV with lines to skip"),
        (trait("compressed", compressionFormatName="Snappy"), f'{FOLDER}/Customer is compressed with "snappy"'),
        (trait("incremental", type="Upsert"), "partition 1 is only an increment"),
    ],
)
def test_what_this_version_does_not_read_is_named(told: object, what: str) -> None:
    said = fault_of(customer(at("Customer", told)), delivery=Delivery.UNSUPPORTED)
    assert said.startswith(what)
    assert EXPECTED in said


def test_a_delta_table_is_known_by_its_log() -> None:
    listed = ["Customer/_delta_log/0.json", "Customer/1.parquet"]
    pattern = {"rootLocation": "Customer", "globPattern": "*.parquet"}
    for entity in (
        customer(at("Customer/1.parquet", trait("format.parquet"))),
        customer(at("/Customer/")),
        customer(dataPartitionPatterns=[pattern]),
    ):
        said = fault_of(entity, *listed, delivery=Delivery.UNSUPPORTED)
        assert said == f"{FOLDER}/Customer/ is a Delta table{EXPECTED}CSV, gzip CSV or Parquet"


def test_increments_are_not_read() -> None:
    for more in ({"incrementalPartitions": [at("2.csv")]}, {"incrementalPartitionPatterns": [{"globPattern": "*"}]}):
        said = fault_of(customer(at("1.csv"), **more), delivery=Delivery.UNSUPPORTED)
        assert said == f"it is delivered in increments{EXPECTED}whole tables"
    assert only(customer(at("1.csv"), incrementalPartitions=[])).fault is None


# -- what cannot be used -------------------------------------------------------------------------------


def test_faults_of_an_entity() -> None:
    assert "entity 1 cannot be read: entityName" in fault_of({"type": "LocalEntity", "name": "Customer"})
    assert "1 of its 2 partitions have no location" in fault_of(customer(at("1.csv"), at(None)))
    assert "partition 1 cannot be read: location" in fault_of(customer(at(7)))
    assert "in the namespace adls, which only a corpus resolves" in fault_of(customer(at("adls:/1.csv")))
    assert "partition x cannot be used" in fault_of(customer(at("adls:/1.csv", name="x")))
    assert 'leads through "."' in fault_of(customer(at("../../ci_two/1.csv")))
    assert "lies outside of ci_one/" in fault_of(customer(at("https://x/customerinsights/ci_two/1.csv")))
    assert "path of Windows" in fault_of(customer(at("C:\\1.csv")))
    assert "has no name" in fault_of(customer(at("1.csv", trait("format.CSV", "true", "QuoteAlways"))))
    assert "has no name" in fault_of(customer(at("1.csv", trait("format.CSV", "true", ",", ";"))))
    assert "columnHeaders" in fault_of(customer(at("1.csv", trait("format.CSV", columnHeaders="perhaps"))))
    assert "more than one of its partitions is the file" in fault_of(
        customer(at("1.csv"), at("1.csv", trait("format.CSV", columnHeaders="true")))
    )


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        (None, "names no document"),
        ("", "names no document"),
        ("Customer/Customer", "names no document"),
        ("cdm:Customer", "names no document"),
        ("cdm:/core/Customer.cdm.json/Customer", "in the namespace cdm, which only a corpus resolves"),
        ("../ci_two/Customer.cdm.json/Customer", 'leads through "."'),
        ("https://x/customerinsights/ci_two/Customer.cdm.json/Customer", "lies outside of ci_one/"),
    ],
)
def test_documents_that_cannot_be_found_are_the_fault_of_their_entity(path: str | None, fault: str) -> None:
    entity = customer(at("1.csv"), entityPath=path)
    assert fault in fault_of(entity)
    assert cdm.document_paths(manifest(entity), place()) == set()


def test_a_document_that_is_missing_is_waited_for() -> None:
    for content in (b"", None):
        contents = {} if content is None else {DOCUMENT: content}
        (found,) = cdm.parse(manifest(customer(at("1.csv"))), place(), contents).entities
        assert (found.delivery, found.awaited) == (Delivery.CORRUPT, (DOCUMENT,))
        assert found.fault == f"the document {DOCUMENT}, which describes it, is missing or empty"


def test_a_document_that_cannot_be_read_is_the_fault_of_its_entities() -> None:
    entity = customer(at("1.csv"))
    assert f"{DOCUMENT} is not JSON" in fault_of(entity, Customer=b"{")
    assert f"{DOCUMENT} is no document of an entity" in fault_of(entity, Customer=b"{}")
    assert fault_of(entity, Customer="too large") == "too large"
    assert only(entity, Customer=b"{").awaited == ()


def test_one_bad_entity_does_not_hide_the_others() -> None:
    found = read(manifest(7, {"entityName": ""}, customer(at("\\x"), entityName="Bad"), customer(at("1.csv")))).entities
    assert [entity.name for entity in found] == ["entity 1", "entity 2", "Bad", "Customer"]
    assert [entity.delivery for entity in found] == [Delivery.CORRUPT] * 3 + [Delivery.DELIVERED]
    twice = read(manifest(customer(at("1.csv")), customer(at("2.csv"), entityName="CUSTOMER"))).entities
    assert ["2 entities" in str(entity.fault) for entity in twice] == [True, True]


def test_annotations_are_known_whatever_becomes_of_the_entity() -> None:
    arguments = [{"name": "annotations", "value": [{"name": "OutputTable", "value": "Enrichment"}]}]
    told = [{"traitReference": "is.modelConversion.otherAnnotations", "arguments": arguments}]
    for entity in (customer(at("1.csv")), customer(at("adls:/x")), customer()):
        assert only(entity | {"exhibitsTraits": told}).annotations == (("OutputTable", "Enrichment"),)


KEYS = st.sampled_from(
    ["name", "value", "definitions", "hasAttributes", "dataType", "dataPartitionPatterns", "globPattern"]
)
KEYS |= st.sampled_from(
    ["entityName", "entityPath", "type", "dataPartitions", "location", "exhibitsTraits", "traitReference", "arguments"]
)
TEXTS = st.sampled_from(["is.partition.format.CSV", "Customer.cdm.json/Customer", "Customer", "/*", "1.csv"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS | st.text("aé\ud800/.:*", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


@given(st.lists(st.dictionaries(KEYS, JSON, max_size=6) | JSON, max_size=3), JSON)
def test_any_json_is_a_manifest_or_refused(entities: object, definitions: object) -> None:
    content = json.dumps({"entities": entities, "definitions": definitions}).encode()
    described = {DOCUMENT: json.dumps({"definitions": definitions}).encode()}
    found = cdm.parse(content, place("1.csv"), described)
    for entity in found.entities:
        assert (entity.fault is None) == (entity.delivery is Delivery.DELIVERED) == bool(entity.partitions)
        assert bool(entity.partitions) <= bool(entity.attributes)
    assert TypeAdapter(Manifest).dump_json(found)
    assert all(path.startswith("ci_one/") for path in cdm.document_paths(content, place()))
