"""The app's own container in the lake's account: chunks, applied state, rejects, pinned snapshots."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError

from shared.errors import LostBlobError, TransientError
from shared.lake.storage import blob_service
from shared.settings import Settings

_log = logging.getLogger(__name__)
_NOT_NOW = frozenset({409, 412})  # a folder that is not empty, a legal hold; a lease


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

    def list(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """Blobs whose path begins so, in their order, and when they were written; of some accounts their folders too.

        The answers come in pages, so it may raise amid the list.
        """
        with _translated(prefix):
            for found in self._container.list_blobs(name_starts_with=prefix):
                yield found.name, found.last_modified

    def delete(self, path: str) -> None:
        """Delete a blob, or a folder that is empty. One that is gone, or cannot be deleted now, is no fault."""
        with _translated(path):
            try:
                self._container.delete_blob(path, delete_snapshots="include")
            except ResourceNotFoundError:
                return
            except HttpResponseError as fault:
                if fault.status_code not in _NOT_NOW:
                    raise
                _log.warning("blob.not_deleted", extra={"path": path, "code": str(getattr(fault, "error_code", ""))})

    def size(self, path: str) -> int:
        """How many bytes a blob has."""
        with _translated(path):
            return int(self._container.get_blob_client(path).get_blob_properties().size)

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
