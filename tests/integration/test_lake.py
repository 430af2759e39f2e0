from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.storage.blob import ContainerClient

from local import azurite, ports
from shared.errors import ConfigurationError, TransientError
from shared.lake.manifest import Delivery
from shared.lake.storage import Lake, _translated, blob_service
from shared.settings import Connection, Settings, load
from tests.support.lakes import Entity, write_cdm_lake

ENVIRONMENT = "3f0c2a9e-77aa-4b52-9d3c-1f8b6f5d2e10"
FOLDER = f"ci_{ENVIRONMENT}"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("azurite")
    reserved = ports.reserve(folder / "ports.json", azurite.SERVICES)
    connection = azurite.connection_string(reserved)
    bus = "Endpoint=sb://127.0.0.1;SharedAccessKeyName=x;SharedAccessKey=y"
    child = azurite.start(folder / "files", folder / "azurite.log", reserved)
    try:
        yield load({"LakeStorage": connection, "StatusStorage": connection, "ServiceBus": bus}, ROOT)
    finally:
        child.stop()


@pytest.fixture
def container(settings: Settings, request: pytest.FixtureRequest) -> Iterator[ContainerClient]:
    # A container for each test: nothing of another test is listed.
    name = f"lake-{abs(hash(request.node.name)):x}"
    with ContainerClient.from_connection_string(settings.lake_storage.connection_string or "", name) as client:
        client.create_container()
        yield client


@pytest.fixture
def lake(settings: Settings, container: ContainerClient) -> Iterator[Lake]:
    with Lake(replace(settings, lake_container=container.container_name)) as lake:
        yield lake


def put(container: ContainerClient, path: str, content: bytes, **metadata: str) -> str:
    with container.get_blob_client(path) as blob:
        return str(blob.upload_blob(content, overwrite=True, metadata=metadata or None)["etag"])


def model(*locations: str) -> bytes:
    partitions = [{"name": location, "location": location} for location in locations]
    entity = {"name": "Customer", "attributes": [{"name": "CustomerId"}], "partitions": partitions}
    return json.dumps({"name": "Unification", "entities": [entity]}).encode("utf-8-sig")


def test_environments_are_the_folders_that_begin_with_ci(lake: Lake, container: ContainerClient) -> None:
    for path in ("ci_b/x/model.json", "ci_a/1.csv", "ci_a/2.csv", "ci_file", "ci_/x", "other/ci_c/x"):
        put(container, path, b"x")
    assert lake.environments() == ["a", "b"]


def test_a_snapshot_of_two_process_folders(lake: Lake, container: ContainerClient) -> None:
    name = container.container_name
    put(container, f"{FOLDER}/Unification/model.json", model("Customer/a b é.csv"))
    put(container, f"{FOLDER}/Unification/Customer/a b é.csv", b"1\n")
    put(container, f"{FOLDER}/Segments/model.json", model(f"https://x.dfs.core.windows.net/{name}/{FOLDER}/s%20.csv"))
    put(container, f"{FOLDER}/s .csv", b"1234")
    put(container, f"{FOLDER}/_tmp/model.json", b"{")
    put(container, f"{FOLDER}2/model.json", b"{")
    found = lake.snapshot(ENVIRONMENT)
    assert found.whole
    assert [manifest.path for manifest in found.manifests] == [
        f"{FOLDER}/Segments/model.json",
        f"{FOLDER}/Unification/model.json",
    ]
    assert found.files[f"{FOLDER}/s .csv"].length == 4
    assert f"{FOLDER}/Unification/Customer/a b é.csv" in found.files
    assert found.entities("Customer")[0][0].last_modified is not None
    assert lake.snapshot(ENVIRONMENT) == found
    assert found.from_json(found.to_json()) == found


def test_a_snapshot_follows_what_is_written(lake: Lake, container: ContainerClient) -> None:
    put(container, f"{FOLDER}/model.json", b"")
    begun = lake.snapshot(ENVIRONMENT)
    assert list(begun.unreadable) == [f"{FOLDER}/model.json"]
    put(container, f"{FOLDER}/model.json", model("1.csv"))
    put(container, f"{FOLDER}/1.csv", b"")
    assert lake.snapshot(ENVIRONMENT).missing == (f"{FOLDER}/1.csv",)
    put(container, f"{FOLDER}/1.csv", b"1")
    first = lake.snapshot(ENVIRONMENT)
    assert first.whole
    put(container, f"{FOLDER}/1.csv", b"1")
    second = lake.snapshot(ENVIRONMENT)
    assert len({begun.fingerprint, first.fingerprint, second.fingerprint}) == 3


def test_a_folder_that_is_not_there_has_an_empty_snapshot(lake: Lake) -> None:
    found = lake.snapshot("none")
    assert not found.whole
    assert dict(found.files) == {}


def test_folders_of_a_hierarchical_namespace_are_no_files(lake: Lake, container: ContainerClient) -> None:
    put(container, f"{FOLDER}/model.json", model("Customer"))
    put(container, f"{FOLDER}/Customer", b"", hdi_isfolder="true")
    assert lake.snapshot(ENVIRONMENT).missing == (f"{FOLDER}/Customer",)
    assert not lake.exists(f"{FOLDER}/Customer")


def test_a_manifest_that_is_replaced_while_it_is_read_is_listed_again(
    lake: Lake, container: ContainerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(container, f"{FOLDER}/model.json", model("1.csv"))
    read, changes = lake.read_head, iter(range(2))

    def replaced_first(path: str, size: int, etag: str) -> bytes:
        if next(changes, None) is not None:
            put(container, path, model("2.csv"))
        return read(path, size, etag)

    monkeypatch.setattr(lake, "read_head", replaced_first)
    found = lake.snapshot(ENVIRONMENT)
    assert found.missing == (f"{FOLDER}/2.csv",)
    assert lake.manifest_is_current(f"{FOLDER}/model.json", found.files[f"{FOLDER}/model.json"].etag)

    def always_replaced(path: str, size: int, etag: str) -> bytes:
        put(container, path, model("3.csv"))
        return read(path, size, etag)

    monkeypatch.setattr(lake, "read_head", always_replaced)
    with pytest.raises(TransientError, match="changed 5 times"):
        lake.snapshot(ENVIRONMENT)


CDM = f"{FOLDER}/Unification/default.manifest.cdm.json"


def cdm(container: ContainerClient, tmp_path: Path, *entities: Entity) -> None:
    """Put the folder of one process, with a manifest.cdm.json, into the container."""
    for path in sorted(write_cdm_lake(tmp_path, ENVIRONMENT, *entities, process="Unification").rglob("*")):
        if path.is_file():
            put(container, path.relative_to(tmp_path).as_posix(), path.read_bytes())


def test_a_manifest_of_the_other_kind_is_read_with_its_documents(
    lake: Lake, container: ContainerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = [Entity(name, ["CustomerId", "Age:int64"], {"1.csv": "a,1\n"}) for name in ("Customer", "Segment é")]
    cdm(container, tmp_path, *named)
    put(container, f"{FOLDER}/Unification/sub/default.manifest.cdm.json", b'{"manifestName": "nothing"}')
    read, taken = lake.read_head, list[str]()

    def counted(path: str, size: int, etag: str) -> bytes:
        taken.append(path)
        return read(path, size, etag)

    monkeypatch.setattr(lake, "read_head", counted)
    found = lake.snapshot(ENVIRONMENT)
    assert found.whole
    assert [manifest.path for manifest in found.manifests] == [CDM, CDM.replace("default", "sub/default")]
    assert len(found.files) == 6
    ((_, customer),) = found.entities("Customer")
    assert [(one.name, one.data_type) for one in customer.attributes] == [("CustomerId", "string"), ("Age", "int64")]
    documents = [f"{FOLDER}/Unification/{name}.cdm.json" for name in ("Customer", "Segment é")]
    assert sorted(taken) == sorted([*(manifest.path for manifest in found.manifests), *documents])
    put(container, documents[0], tmp_path.joinpath(documents[0]).read_bytes())
    changed = lake.snapshot(ENVIRONMENT)
    assert (changed.whole, changed.fingerprint == found.fingerprint) == (True, False)
    container.delete_blob(documents[0])
    assert lake.snapshot(ENVIRONMENT).missing == (documents[0],)


def test_a_document_that_is_replaced_while_it_is_read_is_listed_again(
    lake: Lake, container: ContainerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cdm(container, tmp_path, Entity("Customer", ["Old"], {"1.csv": "a\n"}))
    definition = {"entityName": "Customer", "hasAttributes": [{"name": "New"}]}
    read, changes = lake.read_head, iter(range(1))

    def replaced_first(path: str, size: int, etag: str) -> bytes:
        if path.endswith("/Customer.cdm.json") and next(changes, None) is not None:
            put(container, path, json.dumps({"definitions": [definition]}).encode())
        return read(path, size, etag)

    monkeypatch.setattr(lake, "read_head", replaced_first)
    ((_, customer),) = lake.snapshot(ENVIRONMENT).entities("Customer")
    assert [attribute.name for attribute in customer.attributes] == ["New"]


def test_a_model_beside_a_manifest_of_the_other_kind_is_the_one_that_counts(
    lake: Lake, container: ContainerClient, tmp_path: Path
) -> None:
    cdm(container, tmp_path, Entity("Customer", ["Old"], {"1.csv": "a\n"}))
    put(container, f"{FOLDER}/Unification/model.json", model("Customer/1.csv"))
    found = lake.snapshot(ENVIRONMENT)
    assert [manifest.path for manifest in found.manifests] == [f"{FOLDER}/Unification/model.json"]
    assert found.whole
    assert len(found.files) == 2


def test_a_delta_table_is_known_by_its_log(lake: Lake, container: ContainerClient) -> None:
    put(container, f"{FOLDER}/model.json", model("Customer/1.parquet"))
    put(container, f"{FOLDER}/Customer/1.parquet", b"x")
    put(container, f"{FOLDER}/Customer/_delta_log/00000000000000000000.json", b"{}")
    found = lake.snapshot(ENVIRONMENT)
    ((_, entity),) = found.entities("Customer")
    assert (entity.delivery, found.whole, list(found.files)) == (
        Delivery.UNSUPPORTED,
        True,
        [f"{FOLDER}/model.json"],
    )
    assert str(entity.fault).startswith(f"{FOLDER}/Customer/ is a Delta table")


def test_heads_are_read_of_the_pinned_file_only(lake: Lake, container: ContainerClient) -> None:
    etag = put(container, "ci_a/1.csv", b"0123456789").strip('"')
    assert lake.read_head("ci_a/1.csv", 4, etag) == b"0123"
    assert lake.read_head("ci_a/1.csv", 400, etag) == b"0123456789"
    empty = put(container, "ci_a/empty.csv", b"").strip('"')
    assert lake.read_head("ci_a/empty.csv", 4, empty) == b""
    put(container, "ci_a/empty.csv", b"")
    put(container, "ci_a/1.csv", b"new")
    with pytest.raises(TransientError, match="was replaced while it was read"):
        lake.read_head("ci_a/empty.csv", 4, empty)
    with pytest.raises(TransientError, match="was replaced while it was read"):
        lake.read_head("ci_a/1.csv", 4, etag)
    container.delete_blob("ci_a/1.csv")
    with pytest.raises(TransientError, match=r"was (replaced while|removed before) it was read"):
        lake.read_head("ci_a/1.csv", 4, etag)


def test_what_is_known_of_a_file(lake: Lake, container: ContainerClient) -> None:
    etag = put(container, "ci_a/model.json", b"{}")
    found = lake.file("ci_a/model.json")
    assert found is not None
    assert (found.path, found.length, f'"{found.etag}"') == ("ci_a/model.json", 2, etag)
    assert lake.manifest_is_current("ci_a/model.json", etag)
    assert not lake.manifest_is_current("ci_a/model.json", "0x0")
    assert not lake.manifest_is_current("ci_a/other.json", etag)
    assert lake.exists("ci_a/model.json")
    assert lake.file("ci_a/none") is None


def test_a_long_listing_is_complete(lake: Lake, container: ContainerClient) -> None:
    names = [f"{number}.csv" for number in range(120)]
    for name in names:
        put(container, f"{FOLDER}/{name}", b"1")
    put(container, f"{FOLDER}/model.json", model(*names))
    found = lake.snapshot(ENVIRONMENT)
    assert found.whole
    assert len(found.files) == 121


def test_a_missing_container_is_a_fault_of_the_settings(settings: Settings) -> None:
    with Lake(replace(settings, lake_container="none")) as lake:
        with pytest.raises(ConfigurationError, match="LAKE_CONTAINER names none"):
            lake.environments()
        with pytest.raises(ConfigurationError, match="LAKE_CONTAINER names none"):
            lake.snapshot(ENVIRONMENT)


def test_a_wrong_key_is_a_fault_of_the_settings(settings: Settings) -> None:
    wrong = (settings.lake_storage.connection_string or "").replace("AccountKey=", "AccountKey=AAAA")
    needed = pytest.raises(ConfigurationError, match="Storage Blob Data Reader is needed")
    with Lake(replace(settings, lake_storage=Connection(wrong))) as lake, needed as raised:
        lake.environments()
    assert "AAAA" not in str(raised.value)
    with pytest.raises(ConfigurationError, match="must be the connection string"):
        Lake(replace(settings, lake_storage=Connection("marker")))


def test_a_network_that_fails_is_tried_again_later() -> None:
    found = _translated(ServiceRequestError("marker"), "customerinsights", "ci_a/1.csv")
    assert isinstance(found, TransientError)
    assert str(found) == "The lake did not answer as expected (ci_a/1.csv: ServiceRequestError)."


def test_an_address_is_opened_by_identity() -> None:
    identity = "0bfc4568-a4ba-4c58-bd3e-5d3e76bd7fff"
    with blob_service(
        Connection(address="https://lake.blob.core.windows.net", identity=identity), "LakeStorage"
    ) as found:
        assert found.url == "https://lake.blob.core.windows.net/"
        found.credential.close()
