from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import CorruptSnapshotError
from shared.lake.snapshot import (
    File,
    Snapshot,
    build,
    environment_of,
    fingerprint,
    is_manifest,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
FOLDER = "ci_one"


def file(path: str, etag: str = "0x1", length: int = 10, minutes: int = 0) -> File:
    return File(f"{FOLDER}/{path}", etag, length, NOON + timedelta(minutes=minutes))


def model(**entities: list[str]) -> bytes:
    return json.dumps(
        {
            "entities": [
                {
                    "name": name,
                    "attributes": [{"name": "CustomerId", "dataType": "string"}],
                    "partitions": [{"location": f"/{FOLDER}/{location}"} for location in locations],
                }
                for name, locations in entities.items()
            ]
        }
    ).encode()


def annotated(content: bytes) -> bytes:
    told = json.loads(content)
    told["entities"][0]["annotations"] = [{"name": "é", "value": '"\n'}]
    return json.dumps(told).encode()


def taken(files: list[File], contents: Mapping[str, bytes | str]) -> Snapshot:
    return build("one", "customerinsights", files, {f"{FOLDER}/{path}": found for path, found in contents.items()})


def plain() -> Snapshot:
    return taken(
        [file("A/model.json"), file("B/model.json", minutes=5), file("1.csv", minutes=9), file("2.csv"), file("other")],
        {"A/model.json": model(Customer=["1.csv"]), "B/model.json": model(Customer=["2.csv"], Segment=[])},
    )


def test_a_whole_snapshot() -> None:
    found = plain()
    assert found.whole
    assert (found.missing, dict(found.unreadable)) == ((), {})
    assert set(found.files) == {f"{FOLDER}/{name}" for name in ("A/model.json", "B/model.json", "1.csv", "2.csv")}
    assert found.latest_change == NOON + timedelta(minutes=9)
    assert [manifest.last_modified for manifest in found.manifests] == [NOON, NOON + timedelta(minutes=5)]


def test_an_entity_of_two_manifests_is_found_in_the_newest_first() -> None:
    found = plain().entities("CUSTOMER")
    assert [manifest.path for manifest, _ in found] == [f"{FOLDER}/B/model.json", f"{FOLDER}/A/model.json"]
    assert [entity.partitions[0].path for _, entity in found] == [f"{FOLDER}/2.csv", f"{FOLDER}/1.csv"]
    assert plain().entities("Unknown") == []


def test_manifests_of_one_moment_are_in_the_order_of_their_paths() -> None:
    contents = {path: model(Customer=["1.csv"]) for path in ("B/model.json", "A/model.json")}
    found = taken([file("B/model.json"), file("A/model.json"), file("1.csv")], contents).entities("Customer")
    assert [manifest.path for manifest, _ in found] == [f"{FOLDER}/A/model.json", f"{FOLDER}/B/model.json"]


def test_partitions_that_are_not_there_are_missing() -> None:
    found = taken(
        [file("model.json"), file("1.csv")], {"model.json": model(Customer=["1.csv", "2.csv"], Other=["3.csv"])}
    )
    assert not found.whole
    assert found.missing == (f"{FOLDER}/2.csv", f"{FOLDER}/3.csv")
    (customer,) = found.entities("Customer")
    assert found.missing_of(customer[1]) == (f"{FOLDER}/2.csv",)


@pytest.mark.parametrize(("lengths", "missing"), [((0, 0), 2), ((0, 7), 0), ((7, 0), 0), ((0,), 1)])
def test_an_entity_all_of_whose_files_are_empty_is_not_written_yet(lengths: tuple[int, ...], missing: int) -> None:
    names = [f"{number}.csv" for number in range(len(lengths))]
    files = [file(name, length=length) for name, length in zip(names, lengths, strict=True)]
    found = taken([file("model.json"), *files], {"model.json": model(Customer=names)})
    assert len(found.missing) == missing


@pytest.mark.parametrize(
    ("name", "settings", "missing"),
    [
        ("2.csv", {}, 0),
        ("2.csv", {"columnHeaders": True}, 1),
        ("2.csv.gz", {}, 1),
        ("2.parquet", {}, 1),
    ],
)
def test_an_empty_file_beside_a_filled_one_is_missing_where_even_no_rows_take_bytes(
    name: str, settings: dict[str, object], missing: int
) -> None:
    content = json.loads(model(Customer=["1.csv", name]))
    content["entities"][0]["partitions"][1]["fileFormatSettings"] = settings
    found = taken(
        [file("model.json"), file("1.csv"), file(name, length=0)], {"model.json": json.dumps(content).encode()}
    )
    assert found.missing == (f"{FOLDER}/{name}",) * missing


def test_entities_of_several_names_come_by_age_then_in_the_order_of_the_names() -> None:
    both = model(Profile=["1.csv"], Customer=["2.csv"])
    files = [file("A/model.json"), file("B/model.json", minutes=5), file("1.csv"), file("2.csv"), file("3.csv")]
    found = taken(files, {"A/model.json": both, "B/model.json": model(PROFILE=["3.csv"])})
    names = [(manifest.path[7], entity.name) for manifest, entity in found.entities("Customer", "profile")]
    assert names == [("B", "PROFILE"), ("A", "Customer"), ("A", "Profile")]


def test_unreadable_manifests_that_may_say_other_things() -> None:
    files = [file("A/model.json"), file("B/model.json", minutes=5), file("C/model.json", minutes=9), file("1.csv")]
    content: dict[str, bytes | str] = {"A/model.json": b"{", "B/model.json": model(Customer=["1.csv"])}
    found = taken(files, {**content, "C/model.json": b"{"})
    assert found.unreadable_since(found.manifests[0]) == (f"{FOLDER}/C/model.json",)


def test_manifests_that_cannot_be_read_say_why_and_hide_no_other() -> None:
    files = [file(f"{name}/model.json") for name in "ABCD"] + [file("1.csv")]
    reasons: dict[str, bytes | str] = {"A/model.json": b"", "B/model.json": b"{", "C/model.json": "too large"}
    found = taken(files, {**reasons, "D/model.json": model(Customer=["1.csv"])})
    assert not found.whole
    assert [manifest.path for manifest in found.manifests] == [f"{FOLDER}/D/model.json"]
    assert list(found.unreadable) == [f"{FOLDER}/{name}/model.json" for name in "ABC"]
    assert set(found.unreadable) < set(found.files)
    assert "is empty" in found.unreadable[f"{FOLDER}/A/model.json"]
    assert found.unreadable[f"{FOLDER}/C/model.json"] == "too large"


def test_an_entity_that_cannot_be_used_does_not_keep_the_snapshot_from_being_whole() -> None:
    content = model(Customer=["1.csv"], Broken=["../ci_two/1.csv"])
    assert taken([file("model.json"), file("1.csv")], {"model.json": content}).whole


def test_a_folder_without_manifest_is_never_whole() -> None:
    found = taken([file("1.csv")], {})
    assert not found.whole
    assert found.latest_change is None


def test_the_fingerprint_follows_what_is_named_and_nothing_else() -> None:
    manifest, one, two = file("model.json"), file("1.csv"), file("2.csv")
    contents = {"model.json": model(Customer=["1.csv", "2.csv"])}
    first = taken([manifest, one, two, file("stray")], contents)
    later = [replace(each, last_modified=NOON + timedelta(days=1)) for each in (two, manifest, one)]
    assert taken(later, contents).fingerprint == first.fingerprint
    changed = [
        [replace(manifest, etag="0x2"), one, two],
        [manifest, replace(one, etag="0x2"), two],
        [manifest, replace(one, length=11), two],
        [manifest, one],
        [manifest, two],
        [manifest],
    ]
    assert len({first.fingerprint, *(taken(files, contents).fingerprint for files in changed)}) == 1 + len(changed)


def test_a_broken_manifest_that_changes_changes_the_fingerprint() -> None:
    first = taken([file("model.json")], {"model.json": b""})
    assert first.fingerprint != taken([file("model.json", etag="0x2")], {"model.json": b""}).fingerprint


FILES = st.builds(
    File,
    path=st.text("abé/.", min_size=1, max_size=6),
    etag=st.text("0x1F", max_size=4),
    length=st.integers(0, 2**53),
    last_modified=st.none() | st.datetimes(min_value=datetime(2000, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)


@given(st.lists(FILES, max_size=5), st.lists(st.text("ab", max_size=3)), st.randoms())
def test_the_fingerprint_does_not_depend_on_order(files: list[File], absent: list[str], chance: object) -> None:
    first = fingerprint(files, absent)
    chance.shuffle(files)  # type: ignore[attr-defined]
    assert fingerprint(files, reversed(absent)) == first


@given(st.lists(FILES, max_size=4))
def test_a_pinned_snapshot_is_the_same_again(files: list[File]) -> None:
    found = taken(
        [*files, file("model.json"), file("é.csv")],
        {"model.json": annotated(model(Customer=["é.csv", "2.csv"], Segment=[], Broken=["a/../b"], Other=["x.avro"]))},
    )
    assert found.manifests[0].entities[0].annotations == (("é", '"\n'),)
    found = replace(found, files={one.path: one for one in files}, unreadable={"ci_one/x": 'not "JSON"\n'})
    assert Snapshot.from_json(found.to_json()) == found
    assert Snapshot.from_json(found.to_json()).to_json() == found.to_json()


def test_a_snapshot_that_was_pinned_before_there_were_annotations_is_read() -> None:
    found = plain()
    old = json.loads(found.to_json())
    for entity in (entity for manifest in old["manifests"] for entity in manifest["entities"]):
        del entity["annotations"], entity["awaited"]
    assert Snapshot.from_json(json.dumps(old).encode()) == found


@pytest.mark.parametrize("content", [b"", b"{}", b'{"environment": 1}', b"\xff"])
def test_what_is_no_pinned_snapshot_is_refused(content: bytes) -> None:
    with pytest.raises(CorruptSnapshotError, match="A pinned snapshot cannot be read"):
        Snapshot.from_json(content)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("ci_one/model.json", True),
        ("ci_one/Unification/model.json", True),
        ("ci_one/a/b/model.json", True),
        ("ci_one/a/manifest.cdm.json", True),
        ("ci_one/a/default.manifest.cdm.json", True),
        ("ci_one/a/my model.manifest.cdm.json", True),
        ("ci_one/a/_x.manifest.cdm.json", False),
        ("ci_one/a/.manifest.cdm.json", False),
        ("ci_one/_a/default.manifest.cdm.json", False),
        ("ci_one/a/mymanifest.cdm.json", False),
        ("ci_one/a/Customer.cdm.json", False),
        ("ci_one/a/default.manifest.cdm.json.tmp", False),
        ("default.manifest.cdm.json", False),
        ("ci_one/_temporary/model.json", False),
        ("ci_one/a/.tmp/model.json", False),
        ("ci_one/a/_model.json", False),
        ("ci_one/a/model.json.tmp", False),
        ("ci_one/a/1.csv", False),
        ("ci_/a/model.json", False),
        ("other/model.json", False),
        ("model.json", False),
        ("", False),
    ],
)
def test_which_files_are_manifests(path: str, expected: bool) -> None:  # noqa: FBT001
    assert is_manifest(path) is expected


@pytest.mark.parametrize(
    ("path", "expected"), [("ci_one/a", "one"), ("ci_one", None), ("ci_/a", None), ("a/ci_b/c", None)]
)
def test_the_environment_of_a_path(path: str, expected: str | None) -> None:
    assert environment_of(path) == expected
