"""The lake's container over the network: lists, reads, decides nothing. Safe to share between threads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceModifiedError,
    ResourceNotFoundError,
)

from shared.errors import ConfigurationError, HydrationError, NotFoundError, TransientError
from shared.lake.snapshot import (
    File,
    Snapshot,
    build,
    documents,
    environment_folder,
    environment_of,
    manifests,
)
from shared.settings import Connection, Settings

if TYPE_CHECKING:
    from azure.storage.blob import BlobProperties, BlobServiceClient

_MANIFEST_LIMIT = 64 * 1024 * 1024  # bytes; the largest manifests known have a few
_ATTEMPTS = 5
_TIMEOUTS = {"connection_timeout": 10, "read_timeout": 60}  # seconds; those of the SDK are 20 and 60
_DENIED = (401, 403)


class Lake:
    """The container that Customer Insights writes to.

    Raises ConfigurationError where the container or the right to read it is lacking, TransientError where trying again
    later can help.
    """

    def __init__(self, settings: Settings) -> None:
        self._service = blob_service(settings.lake_storage, "LakeStorage")
        self._name = settings.lake_container
        self._container = self._service.get_container_client(self._name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes its connections."""
        self._service.close()

    def environments(self) -> list[str]:
        """The ids of the environments that have a folder, in order."""
        with self._errors("listing its folders"):
            folders = self._container.walk_blobs(name_starts_with="ci_", delimiter="/")
            ids = {environment_of(str(folder.name)) for folder in folders}
        return sorted(one for one in ids if one)

    def snapshot(self, environment: str) -> Snapshot:
        """What the environment's folder holds now, listed once; the contents of manifests agree with their ETags.

        Manifests, and the documents that describe the entities of a manifest.cdm.json, are read once each.

        Raises TransientError when manifests change faster than they can be read.
        """
        for _ in range(_ATTEMPTS):
            files = list(self._list(environment))
            contents = self._contents(environment, files)
            if contents is not None:
                return build(environment, self._name, files, contents)
        raise TransientError(
            f"The manifests in {environment_folder(environment)} changed {_ATTEMPTS} times while they were read."
        )

    def file(self, path: str) -> File | None:
        """The file as it is now; None when there is none."""
        try:
            with self._errors(path):
                found = self._container.get_blob_client(path).get_blob_properties()
        except NotFoundError:
            return None
        return None if _is_folder(found) else _file(found)

    def exists(self, path: str) -> bool:
        """Whether there is such a file; folders are none."""
        return self.file(path) is not None

    def manifest_is_current(self, path: str, etag: str) -> bool:
        """Whether the manifest is still the one with this ETag (with or without quotes)."""
        file = self.file(path)
        return file is not None and file.etag == etag.strip('"')

    def read_head(self, path: str, size: int, etag: str) -> bytes:
        """The first `size` bytes of a file, or all when it is shorter.

        Raises TransientError when it is gone, or no longer the one with this ETag.
        """
        if size <= 0:
            return b""
        try:
            with self._errors(path):
                content: bytes = self._container.get_blob_client(path).download_blob(0, size, **_pinned(etag)).readall()
                return content
        except NotFoundError as error:  # services differ in whether a file that is gone is unknown or does not match
            raise _ChangedError(f"{path} was removed before it was read.") from error
        except _EmptyError:
            if self.manifest_is_current(path, etag):
                return b""
            raise _ChangedError(f"{path} was replaced while it was read.") from None

    def read_blocks(self, path: str, etag: str) -> Iterator[bytes]:
        """All of a file, block by block. Raises as `read_head` does."""
        with self._errors(path):
            yield from self._container.get_blob_client(path).download_blob(**_pinned(etag)).chunks()

    def _list(self, environment: str) -> Iterator[File]:
        # Metadata tell the folders of a hierarchical namespace from empty files.
        with self._errors(f"listing {environment_folder(environment)}"):
            prefix = f"{environment_folder(environment)}/"
            for found in self._container.list_blobs(
                name_starts_with=prefix, include=["metadata"], results_per_page=5000
            ):
                if not _is_folder(found):
                    yield _file(found)

    def _contents(self, environment: str, files: list[File]) -> Mapping[str, bytes | str] | None:
        # None: one of them was replaced or removed after it was listed.
        listed = {file.path: file for file in files}
        try:
            contents = {path: self._content(listed[path]) for path in manifests(listed)}
            described = documents(environment, self._name, files, contents)
            return contents | {path: self._content(listed[path]) for path in described}
        except _ChangedError:
            return None

    def _content(self, file: File) -> bytes | str:
        if file.length > _MANIFEST_LIMIT:
            return f"{file.path} has {file.length:,} bytes: too many for a manifest or its documents"
        return self.read_head(file.path, file.length, file.etag)

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except AzureError as error:
            raise _translated(error, self._name, what) from error


class _EmptyError(HydrationError):
    """The service refuses to read a range of an empty file."""


class _ChangedError(TransientError):
    """The file was replaced or removed after it was listed."""


def blob_service(connection: Connection, setting: str) -> BlobServiceClient:
    """A client of the account, by connection string or by identity. Raises ConfigurationError.

    Imported when it is called: the SDK and azure-identity take most of the time that an app needs to start.
    """
    from azure.storage.blob import BlobServiceClient, ExponentialRetry  # noqa: PLC0415

    # About 1, 3, 5 and 9 seconds; the SDK's own waits add up to more than a minute.
    retry = ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=4, random_jitter_range=1)
    options: dict[str, Any] = {**_TIMEOUTS, "retry_policy": retry}
    if connection.connection_string:
        try:
            return BlobServiceClient.from_connection_string(connection.connection_string, **options)
        except ValueError:
            raise ConfigurationError(f"{setting} must be the connection string of a storage account.") from None
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415

    # Passed only when there is one: None would hide AZURE_CLIENT_ID.
    chosen = {"managed_identity_client_id": connection.identity} if connection.identity else {}
    credential = DefaultAzureCredential(**chosen)
    return BlobServiceClient(connection.address or "", credential=credential, **options)


def _pinned(etag: str) -> dict[str, Any]:
    return {"etag": f'"{etag}"', "match_condition": MatchConditions.IfNotModified}


def _file(found: BlobProperties) -> File:
    return File(found.name, str(found.etag).strip('"'), int(found.size), found.last_modified)


def _is_folder(found: BlobProperties) -> bool:
    return (found.metadata or {}).get("hdi_isfolder", "").lower() == "true"


def _translated(error: AzureError, container: str, what: str) -> HydrationError:
    code = getattr(error, "error_code", None) or type(error).__name__
    code = getattr(code, "value", code)
    if isinstance(error, ResourceNotFoundError):
        if code == "ContainerNotFound":
            return ConfigurationError(f"LAKE_CONTAINER names {container}, which does not exist in the lake's account.")
        return NotFoundError(f"{what} does not exist in the container {container}.")
    if isinstance(error, ResourceModifiedError):
        return _ChangedError(f"{what} was replaced while it was read.")
    if code == "InvalidRange":
        return _EmptyError(what)
    denied = isinstance(error, HttpResponseError) and error.status_code in _DENIED
    if denied or isinstance(error, ClientAuthenticationError):
        return ConfigurationError(
            f"LakeStorage must allow to read the container {container} ({what} was refused: {code}): "
            "Storage Blob Data Reader is needed, Contributor on the app's own container."
        )
    return TransientError(f"The lake did not answer as expected ({what}: {code}).")
