"""The app's own container in the lake's account: chunks, applied state, rejects, pinned snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError

from shared.errors import LostBlobError, TransientError
from shared.lake.storage import blob_service
from shared.settings import Settings


class Blobs:
    """Whole blobs by path. Raises LostBlobError and TransientError."""

    def __init__(self, settings: Settings) -> None:
        self._container = blob_service(settings.lake_storage, "LakeStorage").get_container_client(
            settings.hydration_container
        )

    def create_container(self) -> None:
        """Create it where it is missing."""
        with _translated(""):
            try:
                self._container.create_container()
            except ResourceExistsError:
                return

    def write(self, path: str, content: bytes) -> None:
        """Write a blob, over what is there."""
        with _translated(path):
            self._container.upload_blob(path, content, overwrite=True)

    def read(self, path: str) -> bytes:
        """The bytes of a blob."""
        with _translated(path):
            return self._container.download_blob(path).readall()

    def upload(self, path: str, file: Path) -> None:
        """Write a blob from a file, in blocks."""
        with _translated(path), file.open("rb") as stream:
            self._container.upload_blob(path, stream, overwrite=True, max_concurrency=2)

    def download(self, path: str, file: Path) -> None:
        """Write a blob to a file, in blocks."""
        with _translated(path), file.open("wb") as stream:
            self._container.download_blob(path, max_concurrency=2).readinto(stream)


@contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except ResourceNotFoundError as fault:
        raise LostBlobError(
            f"The blob {path} is gone from the app's container. Restore it (soft delete keeps deleted blobs)."
        ) from fault
    except AzureError as fault:
        raise TransientError(f"The app's container did not answer as expected: {type(fault).__name__}.") from fault
