"""The app's container, on real blobs of Azurite: what cannot be deleted now."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest
from azure.storage.blob import BlobServiceClient

from local import azurite, ports
from shared.blobs import Blobs
from shared.settings import Connection, Settings


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("azurite")
    reserved = ports.reserve(folder / "ports.json", azurite.SERVICES)
    child = azurite.start(folder / "files", folder / "azurite.log", reserved)
    try:
        yield azurite.connection_string(reserved)
    finally:
        child.stop()


def test_a_blob_under_a_lease_is_left_and_the_next_one_goes(connection: str) -> None:
    settings = SimpleNamespace(lake_storage=Connection(connection), hydration_container="hydration")
    blobs = Blobs(cast("Settings", settings))
    blobs.create_container()
    for path in ("leased", "free"):
        blobs.write(path, b"x")
    with BlobServiceClient.from_connection_string(connection) as service:
        lease = service.get_blob_client("hydration", "leased").acquire_lease(-1)
        for path in ("leased", "free"):
            blobs.delete(path)
        assert [path for path, _ in blobs.list("")] == ["leased"]
        lease.release()
    blobs.delete("leased")
    assert list(blobs.list("")) == []
