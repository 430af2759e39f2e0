"""What an environment's folder held at one moment: its manifests and the files they name. Pure, no network.

Its fingerprint changes with every change of a manifest or of a file that a manifest names, and with nothing else. The
documents that describe the entities of a manifest.cdm.json are such files too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError

from shared.errors import CorruptSnapshotError
from shared.lake import cdm, model
from shared.lake.listing import Listing
from shared.lake.manifest import Delivery, Entity, FileFormat, Manifest
from shared.lake.partitions import Place

_FOLDER = "ci_"
_HIDDEN = ("_", ".")
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class File:
    """A blob. `length` is in bytes, `last_modified` in UTC; the ETag stands without quotes."""

    path: str
    etag: str
    length: int
    last_modified: datetime | None = None


@dataclass(frozen=True)
class Snapshot:
    """The files of an environment at one moment.

    `files` holds every manifest, and every partition and document that is there. `missing` names what is not there or
    empty by error; `unreadable` tells why a manifest cannot be read; `latest_change` is that of the newest file.
    """

    environment: str
    manifests: tuple[Manifest, ...]
    files: Mapping[str, File]
    missing: tuple[str, ...]
    unreadable: Mapping[str, str]
    fingerprint: str
    latest_change: datetime | None

    @property
    def whole(self) -> bool:
        """Whether there is a manifest, every manifest can be read, and every file that they name is there.

        What a run must wait for is less: see `is_whole` of the catalog.
        """
        return bool(self.manifests) and not self.missing and not self.unreadable

    def entities(self, *names: str) -> list[tuple[Manifest, Entity]]:
        """Everything that is delivered or described under these names, whatever their case; the newest manifest first.

        Of one manifest the entities come in the order of the names.
        """
        found = [
            (manifest, entity)
            for manifest in sorted(self.manifests, key=lambda one: one.path)
            for name in names
            for entity in manifest.entities
            if entity.name.casefold() == name.casefold()
        ]
        return sorted(found, key=lambda one: one[0].last_modified or _NEVER, reverse=True)

    def unreadable_since(self, manifest: Manifest) -> tuple[str, ...]:
        """The manifests that cannot be read and are not older than this one: they may say other things than it does."""
        moments = {path: self.files[path].last_modified or _NEVER for path in self.unreadable if path in self.files}
        return tuple(path for path, moment in sorted(moments.items()) if moment >= (manifest.last_modified or _NEVER))

    def missing_of(self, entity: Entity) -> tuple[str, ...]:
        """What the entity needs and what is not there: partitions, its document, files that match its pattern."""
        missing = set(self.missing)
        needed = [partition.path for partition in entity.partitions] + list(entity.awaited)
        return tuple(path for path in needed if path in missing)

    def to_json(self) -> bytes:
        """The snapshot as bytes, from which `from_json` makes an equal one."""
        return _ADAPTER.dump_json(self)

    @staticmethod
    def from_json(content: bytes) -> Snapshot:
        """The snapshot that `to_json` wrote. Raises CorruptSnapshotError for anything else."""
        try:
            return _ADAPTER.validate_json(content)
        except ValidationError as error:
            fault = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(step) for step in fault["loc"])
            raise CorruptSnapshotError(f"A pinned snapshot cannot be read: {where}: {fault['msg']}") from error


_ADAPTER = TypeAdapter(Snapshot)


def environment_folder(environment: str) -> str:
    """The folder of an environment inside the lake's container."""
    return f"{_FOLDER}{environment}"


def environment_of(path: str) -> str | None:
    """The id of the environment in whose folder a path lies; None when it lies in none."""
    folder, slash, _ = path.partition("/")
    environment = folder.removeprefix(_FOLDER)
    return environment if slash and folder.startswith(_FOLDER) and environment else None


def is_manifest(path: str) -> bool:
    """Whether the path is that of a manifest, of either kind: in an environment's folder, nothing of it hidden."""
    *_, name = steps = path.split("/")
    named = name == model.MODEL or f".{name}".endswith(f".{cdm.CDM}")
    return named and environment_of(path) is not None and not any(step.startswith(_HIDDEN) for step in steps)


def manifests(paths: Iterable[str]) -> list[str]:
    """Those of the paths that are manifests which count, in order.

    Where a folder has a model.json, each manifest.cdm.json in it says the same once more: it does not count.
    """
    found = sorted(path for path in paths if is_manifest(path))
    models = {path for path in found if path.endswith(f"/{model.MODEL}")}
    return [path for path in found if path in models or f"{path.rpartition('/')[0]}/{model.MODEL}" not in models]


def documents(
    environment: str, container: str, files: Iterable[File], contents: Mapping[str, bytes | str]
) -> list[str]:
    """The paths of the documents that are there and that the manifests' entities are described in, in order.

    `contents` is that of the manifests, as for `build`.
    """
    described = [path for path in manifests(contents) if not path.endswith(f"/{model.MODEL}")]
    listed = {file.path: file for file in files} if described else {}
    listing = Listing(listed)
    found: set[str] = set()
    for path in described:
        content = contents[path]
        if isinstance(content, bytes):
            with suppress(CorruptSnapshotError):  # `build` says why
                found |= cdm.document_paths(content, Place(path, environment_folder(environment), container, listing))
    return sorted(path for path in found if path in listed and listed[path].length)


def build(environment: str, container: str, files: Iterable[File], contents: Mapping[str, bytes | str]) -> Snapshot:
    """The snapshot of a listing of the environment's folder and of the contents of its manifests.

    `contents` holds, for every manifest's path and for those of the `documents`, the bytes or the reason why they
    cannot be had.
    """
    listed = {file.path: file for file in files}
    listing = Listing(listed)
    found, unreadable = [], {}
    for path in manifests(contents):
        try:
            place = Place(path, environment_folder(environment), container, listing)
            found.append(replace(_manifest(place, contents), last_modified=listed[path].last_modified))
        except CorruptSnapshotError as error:
            unreadable[path] = str(error)
    entities = [entity for manifest in found for entity in manifest.entities]
    named = {path for entity in entities for path in (*entity.awaited, *(one.path for one in entity.partitions))}
    kept = {path: listed[path] for path in sorted(named | set(contents)) if path in listed}
    return Snapshot(
        environment=environment,
        manifests=tuple(found),
        files=kept,
        missing=tuple(sorted({path for entity in entities for path in _missing(entity, listed)})),
        unreadable=unreadable,
        fingerprint=fingerprint(kept.values(), named - set(kept)),
        latest_change=max((file.last_modified for file in kept.values() if file.last_modified), default=None),
    )


def fingerprint(files: Iterable[File], absent: Iterable[str] = ()) -> str:
    """SHA-256, in hexadecimal, over path, ETag and length of the files and the paths of absent ones, in any order."""
    lines = {f"{file.path}\0{file.etag}\0{file.length}" for file in files} | {f"{path}\0" for path in absent}
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _manifest(place: Place, contents: Mapping[str, bytes | str]) -> Manifest:
    content = contents[place.path]
    if isinstance(content, str):
        raise CorruptSnapshotError(content)
    if place.path.endswith(f"/{model.MODEL}"):
        return model.parse(content, place)
    return cdm.parse(content, place, contents)


def _missing(entity: Entity, listed: Mapping[str, File]) -> Iterator[str]:
    yield from entity.awaited
    if entity.delivery is not Delivery.DELIVERED:
        return
    # Files are created empty and written afterwards: where all are empty, nothing has been written yet.
    unwritten = not any(part.path in listed and listed[part.path].length for part in entity.partitions)
    for part in entity.partitions:
        file = listed.get(part.path)
        if unwritten or file is None or (not file.length and not _may_be_empty(part.format)):
            yield part.path


def _may_be_empty(form: FileFormat) -> bool:
    """Whether a file without rows has no bytes: a header, gzip and Parquet take some even then."""
    return form.kind == "csv" and not form.headers and form.compression == "none"
