from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from shared.lake.manifest import Delivery
from shared.lake.snapshot import File, Snapshot, build, documents, manifests

FOLDER = "ci_one/U"
MANIFEST = "default.manifest.cdm.json"
DOCUMENT = "Customer.cdm.json"
DESCRIBED = json.dumps(
    {"definitions": [{"entityName": "Customer", "hasAttributes": [{"name": "CustomerId"}]}]}
).encode()


def file(path: str, etag: str = "0x1", length: int = 10) -> File:
    return File(f"{FOLDER}/{path}", etag, length)


def manifest(*locations: str, **more: object) -> bytes:
    entity = {"entityName": "Customer", "entityPath": f"{DOCUMENT}/Customer", **more}
    return json.dumps({"entities": [entity | {"dataPartitions": [{"location": each} for each in locations]}]}).encode()


def model(*locations: str) -> bytes:
    partitions = [{"location": each} for each in locations]
    entity = {"name": "Customer", "attributes": [{"name": "CustomerId"}], "partitions": partitions}
    return json.dumps({"entities": [entity]}).encode()


def taken(files: list[File], contents: Mapping[str, bytes | str]) -> Snapshot:
    """As the lake does it: documents are read when manifests say which."""
    found = {f"{FOLDER}/{path}": content for path, content in contents.items()}
    wanted = {path: found.pop(path) for path in list(found) if path not in manifests(found)}
    found |= {path: wanted[path] for path in documents("one", "customerinsights", files, found)}
    return build("one", "customerinsights", files, found)


FILES = [file(MANIFEST), file(DOCUMENT), file("1.csv"), file("stray.cdm.json")]
CONTENTS: dict[str, bytes | str] = {MANIFEST: manifest("1.csv"), DOCUMENT: DESCRIBED}


def test_a_whole_snapshot() -> None:
    found = taken(FILES, CONTENTS)
    assert found.whole
    assert set(found.files) == {f"{FOLDER}/{name}" for name in (MANIFEST, DOCUMENT, "1.csv")}
    ((read, entity),) = found.entities("customer")
    assert read.path == f"{FOLDER}/{MANIFEST}"
    assert [attribute.name for attribute in entity.attributes] == ["CustomerId"]
    assert Snapshot.from_json(found.to_json()) == found


@pytest.mark.parametrize("length", [None, 0])
def test_a_document_that_is_not_there_yet_keeps_the_snapshot_from_being_whole(length: int | None) -> None:
    files = [file(MANIFEST), file("1.csv"), *([] if length is None else [file(DOCUMENT, length=length)])]
    found = taken(files, CONTENTS)
    assert not found.whole
    assert found.missing == (f"{FOLDER}/{DOCUMENT}",)
    ((_, entity),) = found.entities("Customer")
    assert found.missing_of(entity) == (f"{FOLDER}/{DOCUMENT}",)
    assert Snapshot.from_json(found.to_json()) == found
    assert found.fingerprint != taken(FILES, CONTENTS).fingerprint


def test_the_fingerprint_follows_the_documents() -> None:
    first = taken(FILES, CONTENTS)
    changed = [
        [file(MANIFEST), replace(file(DOCUMENT), etag="0x2"), file("1.csv")],
        [file(MANIFEST), replace(file(DOCUMENT), length=11), file("1.csv")],
        [file(MANIFEST), file("1.csv")],
        [file(MANIFEST), file(DOCUMENT)],
        [replace(file(MANIFEST), etag="0x2"), file(DOCUMENT), file("1.csv")],
    ]
    assert len({first.fingerprint, *(taken(files, CONTENTS).fingerprint for files in changed)}) == 1 + len(changed)
    stray = [*FILES[:-1], replace(FILES[-1], etag="0x2")]
    assert taken(stray, CONTENTS).fingerprint == first.fingerprint


def test_files_that_match_a_pattern_belong_to_the_snapshot() -> None:
    pattern = {"rootLocation": "Customer", "globPattern": "*.csv"}
    contents = CONTENTS | {MANIFEST: manifest(dataPartitionPatterns=[pattern])}
    none = taken(FILES, contents)
    assert none.missing == (f"{FOLDER}/Customer/*.csv",)
    one = taken([*FILES, file("Customer/1.csv")], contents)
    two = taken([*FILES, file("Customer/1.csv"), file("Customer/2.csv")], contents)
    assert (one.whole, two.whole) == (True, True)
    assert f"{FOLDER}/Customer/2.csv" in two.files
    assert len({none.fingerprint, one.fingerprint, two.fingerprint}) == 3
    assert taken([*FILES, file("Customer/1.csv", length=0)], contents).missing == (f"{FOLDER}/Customer/1.csv",)


def test_a_model_in_the_same_folder_is_the_one_that_counts() -> None:
    files = [*FILES, file("model.json"), file("2.csv"), file("sub/x.manifest.cdm.json")]
    contents = CONTENTS | {"model.json": model("2.csv"), "sub/x.manifest.cdm.json": manifest()}
    found = taken(files, contents)
    assert [one.path for one in found.manifests] == [f"{FOLDER}/model.json", f"{FOLDER}/sub/x.manifest.cdm.json"]
    assert [one.partitions[0].path for _, one in found.entities("Customer")[:1]] == [f"{FOLDER}/2.csv"]
    assert f"{FOLDER}/{MANIFEST}" not in found.files
    paths = ["ci_a/x.manifest.cdm.json", "ci_a/b/model.json", "ci_a/b/manifest.cdm.json", "ci_a/manifest.cdm.json"]
    assert manifests(paths) == ["ci_a/b/model.json", "ci_a/manifest.cdm.json", "ci_a/x.manifest.cdm.json"]


def test_a_manifest_that_cannot_be_read_says_why() -> None:
    found = taken(FILES, CONTENTS | {MANIFEST: b"{"})
    assert list(found.unreadable) == [f"{FOLDER}/{MANIFEST}"]
    assert "is not JSON" in found.unreadable[f"{FOLDER}/{MANIFEST}"]
    assert taken(FILES, CONTENTS | {MANIFEST: "too large"}).unreadable == {f"{FOLDER}/{MANIFEST}": "too large"}


def test_documents_of_what_is_never_read_are_not_needed() -> None:
    schemas = manifest()
    reference = manifest("1.csv", type="ReferencedEntity")
    for content in (schemas, reference, b"{", "too large"):
        assert documents("one", "customerinsights", FILES, {f"{FOLDER}/{MANIFEST}": content}) == []
    assert documents("one", "customerinsights", FILES, {f"{FOLDER}/model.json": model("1.csv")}) == []


def test_a_delta_table_is_neither_read_nor_missing() -> None:
    files = [*FILES, file("model.json"), file("T/_delta_log/0.json"), file("T/1.parquet"), file("1.csv")]
    found = taken(files, {"model.json": model("1.csv", "T/1.parquet", "T/2.parquet")})
    ((_, entity),) = found.entities("Customer")
    assert (entity.delivery, entity.partitions) == (Delivery.UNSUPPORTED, ())
    assert found.whole
    assert set(found.files) == {f"{FOLDER}/model.json"}
