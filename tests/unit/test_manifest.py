from __future__ import annotations

import codecs
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.errors import CorruptSnapshotError
from shared.lake.location import LocationError, resolve, shown
from shared.lake.manifest import Attribute, Delivery, Entity, FileFormat, Manifest, Partition, parse

ENVIRONMENT = "ci_3f0c2a9e"
MODEL = f"{ENVIRONMENT}/Unification/model.json"
HOST = f"https://contosolake.dfs.core.windows.net/customerinsights/{ENVIRONMENT}"
PARTS = f"{ENVIRONMENT}/Unification/Customer"


def read(content: bytes) -> Manifest:
    return parse(content, path=MODEL, environment_folder=ENVIRONMENT, container="customerinsights")


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


def format_of(location: str, **more: object) -> FileFormat:
    (partition,) = only(model(customer(at(f"{HOST}/{location}", **more)))).partitions
    return partition.format


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
    assert "is the file" in fault_of(at("a.csv"), at("./a.csv", **csv(columnHeaders=True)))
    assert "columnHeaders" in fault_of(at("a.csv", **csv(columnHeaders="perhaps")))
    assert "delimiter" in fault_of(at("a.csv", **csv(delimiter="||")))
    assert "delimiter" in fault_of(at("a.csv", **csv(delimiter='"')))
    assert "encoding" in fault_of(at("a.csv", **csv(encoding="klingon")))
    assert "encoding" in fault_of(at("a.csv", **csv(encoding="\0")))
    assert "format of" in fault_of(at("a.json"))
    assert "format of" in fault_of(at("a.x", fileFormatSettings={"$type": "OrcFormatSettings"}))
    assert "compression of" in fault_of(at("a.csv.zip"))


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


def test_csv_settings() -> None:
    assert format_of("a.csv") == FileFormat("csv")
    assert format_of("a.csv", fileFormatSettings=None) == FileFormat("csv")
    assert format_of("a.csv", **csv(columnHeaders="false")) == FileFormat("csv")
    assert format_of("a.csv", **csv(columnHeaders="True")).headers
    assert format_of("a.csv", **csv(columnHeaders=None, delimiter=None, quoteStyle=None, encoding=None)) == FileFormat(
        "csv"
    )
    assert format_of("a.csv", **csv(delimiter=";", quoteStyle="QuoteStyle.Csv", csvStyle="CsvStyle.QuoteAlways")) == (
        FileFormat("csv", delimiter=";")
    )
    assert format_of("a.csv", **csv(quoteStyle="QuoteStyle.None", delimiter="\\t")) == (
        FileFormat("csv", delimiter="\t", quoted=False)
    )
    assert format_of("a.csv", **csv(encoding="UTF8")).encoding == "utf-8"
    assert format_of("a.csv", **csv(encoding="Windows-1252")).encoding == "cp1252"


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("part-00000", None, FileFormat("csv")),
        ("part.csv.gz", None, FileFormat("csv", compression="gzip")),
        ("part.gz", "CsvFormatSettings", FileFormat("csv", compression="gzip")),
        ("part.csv.zst", None, FileFormat("csv", compression="zstd")),
        ("part.tsv", None, FileFormat("csv")),
        ("part.2024.dat", None, FileFormat("csv")),
        ("part.json", "CsvFormatSettings", FileFormat("csv")),
        ("part.parquet", None, FileFormat("parquet")),
        ("PART.PARQUET", "CsvFormatSettings", FileFormat("parquet")),
        ("part.snappy.parquet", None, FileFormat("parquet")),
        ("part.gz.parquet", None, FileFormat("parquet")),
        ("part", "CdmParquetFormatSettings", FileFormat("parquet")),
        ("part.c000", "is.partition.format.parquet", FileFormat("parquet")),
    ],
)
def test_formats_by_settings_and_by_ending(path: str, kind: str | None, expected: FileFormat) -> None:
    settings = {"fileFormatSettings": {"$type": kind}} if kind else {}
    assert format_of(path, **settings) == expected


@pytest.mark.parametrize(
    "location",
    [
        f"{HOST}/Unification/Customer/a b.csv",
        f"{HOST}/Unification/Customer/a%20b.csv",
        f"{HOST}/Unification%2FCustomer/a%20b.csv?snapshot=2022&sig=marker#x",
        f"https://contosolake.blob.core.windows.net/customerinsights//{PARTS}/a%20b.csv",
        f"HTTPS://user:marker@contosolake.blob.core.windows.net:443/CustomerInsights/{PARTS}/a b.csv",
        f"https://contosolake.blob.core.windows.net//customerinsights/{PARTS}/a b.csv",
        f"http://127.0.0.1:10000/devstoreaccount1/customerinsights/{PARTS}/a%20b.csv",
        f"http://localhost:10000/devstoreaccount1/customerinsights/{PARTS}/a%20b.csv",
        f"http://[::1]:10000/devstoreaccount1/customerinsights/{PARTS}/a%20b.csv",
        f"abfss://customerinsights@contosolake.dfs.core.windows.net/{PARTS}/a b.csv",
        f"wasbs://customerinsights@contosolake.blob.core.windows.net/{PARTS}/a%20b.csv",
        "Customer/a b.csv",
        " ./Customer/a%20b.csv?snapshot=2022 ",
        f"{PARTS}/a b.csv",
        f"/{PARTS}/a b.csv",
        f"/customerinsights/{PARTS}/a b.csv",
    ],
)
def test_every_form_of_a_location_means_the_same_path(location: str) -> None:
    found = resolve(location, manifest=MODEL, environment_folder=ENVIRONMENT, container="customerinsights")
    assert found == f"{PARTS}/a b.csv"


@pytest.mark.parametrize(
    ("location", "fault"),
    [
        ("https://contosolake.dfs.core.windows.net/other/ci_3f0c2a9e/a.csv", "outside of the container"),
        ("https://contosolake.dfs.core.windows.net/", "outside of the container"),
        ("https://contosolake.dfs.core.windows.net/customerinsights", "outside of ci_3f0c2a9e/"),
        ("https://contosolake.dfs.core.windows.net/customerinsights/ci_other/a.csv", "outside of ci_3f0c2a9e/"),
        ("https://contosolake.dfs.core.windows.net/customerinsights/ci_3f0c2a9e2/a.csv", "outside of ci_3f0c2a9e/"),
        ("abfss://other@contosolake.dfs.core.windows.net/ci_3f0c2a9e/a.csv", "outside of the container"),
        ("abfss://contosolake.dfs.core.windows.net/ci_3f0c2a9e/a.csv", "outside of the container"),
        (f"{HOST}/../ci_other/a.csv", 'leads through "."'),
        (f"{HOST}/%2e%2e/ci_other/a.csv", 'leads through "."'),
        (f"{HOST}/..%2Fci_other/a.csv", 'leads through "."'),
        (f"{HOST}/./a.csv", 'leads through "."'),
        (f"{HOST}/..%5Cci_other/a.csv", "a character that no file name has"),
        (f"{HOST}/a%00.csv", "a character that no file name has"),
        (f"{HOST}/a%ff.csv", "not text in UTF-8"),
        (f"{HOST}/Customer/", "is a folder"),
        ("Customer/", "is a folder"),
        ("./", "is a folder"),
        ("../../ci_other/a.csv", 'leads through "."'),
        ("/ci_other/a.csv", "outside of ci_3f0c2a9e/"),
        ("/", "outside of ci_3f0c2a9e/"),
        ("C:\\lake\\a.csv", "path of Windows"),
        ("c:/lake/a.csv", "path of Windows"),
        ("\\\\server\\share\\a.csv", "path of Windows"),
        ("Customer\\a.csv", "path of Windows"),
        ("file:///C:/lake/a.csv", "not supported"),
        ("ftp://user:marker@host/a.csv?marker", "not supported"),
        ("adl://contoso.azuredatalakestore.net/a.csv", "not supported"),
        ("https://[broken/a.csv", "no readable address"),
        ("https:///a.csv?sig=marker", "outside of the container"),
        ("\ud800", "a character that no file name has"),
    ],
)
def test_locations_outside_of_the_environment_are_refused(location: str, fault: str) -> None:
    with pytest.raises(LocationError) as raised:
        resolve(location, manifest=MODEL, environment_folder=ENVIRONMENT, container="customerinsights")
    assert fault in str(raised.value)
    assert "marker" not in str(raised.value)


def test_a_refused_location_is_shown_in_part_when_it_is_long() -> None:
    assert len(shown("a" * 1000)) < 210


SEGMENTS = st.lists(
    st.text("aZ0 é%+#?&=~_-.", min_size=1, max_size=6).filter(lambda text: text not in (".", "..")),
    min_size=1,
    max_size=4,
)


@given(SEGMENTS)
def test_an_encoded_address_means_the_path_it_was_made_of(segments: list[str]) -> None:
    path = "/".join([ENVIRONMENT, *segments])
    for prefix in ("https://lake.dfs.core.windows.net/customerinsights/", "abfss://customerinsights@lake/", "/", ""):
        found = resolve(
            prefix + quote(path), manifest=MODEL, environment_folder=ENVIRONMENT, container="customerinsights"
        )
        assert found == path


LOCATIONS = st.lists(
    st.sampled_from(
        ["https://", "customerinsights", "a@b", ENVIRONMENT, "ci_x", "..", "%2e", "/", "\\", "//", "?", "%", ":"]
    )
    | st.text("a.%25/", max_size=3),
    max_size=8,
).map("".join)


@given(LOCATIONS)
@example(f"https://x/customerinsights/{ENVIRONMENT}/%252e%252e/a")
def test_no_location_leads_out_of_the_environment(location: str) -> None:
    try:
        path = resolve(location, manifest=MODEL, environment_folder=ENVIRONMENT, container="customerinsights")
    except LocationError:
        return
    assert path.startswith(f"{ENVIRONMENT}/")
    assert not {"", ".", ".."} & set(path.split("/"))


KEYS = st.sampled_from(
    ["name", "entities", "attributes", "partitions", "location", "$type", "fileFormatSettings", "dataType"]
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
