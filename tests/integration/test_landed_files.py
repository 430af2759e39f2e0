"""What is landed in a real emulator, in which order."""

from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient

from local import azurite, landing, ports
from local.inputs import UnusableInputError, lake_folder
from tests.support.lakes import Entity, write_cdm_lake, write_lake


def test_manifests_of_both_kinds_are_landed_after_all_that_they_name(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    customer = Entity("Customer", ["CustomerId"], {"1.csv": "a\n"})
    write_cdm_lake(lake, "E", customer, process="A")
    write_lake(lake, "E", customer, process="B")
    (lake / "ci_E/B/default.manifest.cdm.json").write_text("{}")
    reserved = ports.reserve(tmp_path / "ports.json", azurite.SERVICES)
    connection = azurite.connection_string(reserved)
    child = azurite.start(tmp_path / "files", tmp_path / "azurite.log", reserved)
    try:
        landed = landing.land(lake_folder(lake), connection, "customerinsights")
        with ContainerClient.from_connection_string(connection, "customerinsights") as container:
            written = sorted(container.list_blobs(), key=lambda blob: blob.last_modified)
    finally:
        child.stop()
    assert [blob.path for blob in landed] == ["ci_E/A/default.manifest.cdm.json", "ci_E/B/model.json"]
    assert [blob.length for blob in landed] == [(lake / blob.path).stat().st_size for blob in landed]
    moments = {blob.name: blob.last_modified for blob in written}
    first = min(moments[blob.path] for blob in landed)
    assert len(moments) == 6
    assert all(moment <= first for path, moment in moments.items() if path not in {blob.path for blob in landed})


def test_a_folder_without_any_manifest_cannot_be_landed(tmp_path: Path) -> None:
    (tmp_path / "ci_E/A").mkdir(parents=True)
    (tmp_path / "ci_E/A/Customer.cdm.json").write_text("{}")
    with pytest.raises(UnusableInputError, match=r"no model.json or manifest.cdm.json in it"):
        lake_folder(tmp_path)
