"""A manifest.cdm.json read as a manifest, with the documents of its entities. Input, not trust.

Sources: the Common Data Model's folder format 1.x; the traits is.partition.* of its foundations; public samples. The
root of the corpus (`/` and `local:/`) is the manifest's own folder; other namespaces cannot be resolved. Sub-manifests
are not followed: they are found as manifests of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from shared.errors import CorruptSnapshotError
from shared.lake import cdm_patterns, document, faults
from shared.lake.cdm_attributes import Definitions, definitions
from shared.lake.cdm_document import EntityPart, ManifestPart, PartitionPart, PatternPart
from shared.lake.cdm_traits import other_annotations, settings_of
from shared.lake.faults import EntityFault, part
from shared.lake.formats import unsupported
from shared.lake.location import LocationError, shown
from shared.lake.manifest import Attribute, Delivery, Entity, Manifest, Partition, unambiguous
from shared.lake.partitions import Place, at, distinct, named

CDM = "manifest.cdm.json"

_SILENT = document.FormatPart()
_NAMESPACE = re.compile(r"([A-Za-z][\w-]+):(?!//)")
_DOCUMENT = re.compile(r"(.*?\.cdm\.json)/([^/]+)/?", re.IGNORECASE | re.DOTALL)


def parse(content: bytes, place: Place, documents: Mapping[str, bytes | str]) -> Manifest:
    """The manifest in the bytes of a manifest.cdm.json that lies at `place`.

    `documents` holds the bytes of each of `document_paths` that is there, or why they cannot be had.
    Raises CorruptSnapshotError when it is no manifest.cdm.json at all.
    """
    manifest = _document(content, place)
    schemas = _Schemas(manifest, place, documents)
    values = enumerate(manifest.entities or [], start=1)
    return Manifest(place.path, unambiguous([_entity(value, number, schemas) for number, value in values]))


def document_paths(content: bytes, place: Place) -> set[str]:
    """The paths of the documents that are needed to read the entities of the manifest.

    Those of entities without files are not. Raises CorruptSnapshotError as `parse` does.
    """
    return set(_document_paths(_document(content, place).entities or [], place))


def _document_paths(values: Iterable[object], place: Place) -> Iterable[str]:
    for value in values:
        try:
            entity = part(EntityPart, value, "")
            path = _schema(entity, place)[0] if _is_local(entity) else None
        except EntityFault:
            continue  # `parse` says why
        if path and (entity.partitions or entity.patterns):
            yield path


def _document(content: bytes, place: Place) -> ManifestPart:
    manifest = faults.document(ManifestPart, content, place.path, CDM)
    if manifest.entities is None and not manifest.sub_manifests and not manifest.name:
        raise CorruptSnapshotError(f"{place.path} is no {CDM}: it has no manifestName, entities or subManifests")
    return manifest


class _Schemas:
    """The documents of a manifest's entities, each read once."""

    def __init__(self, manifest: ManifestPart, place: Place, documents: Mapping[str, bytes | str]) -> None:
        self.place = place
        self._manifest, self._documents = manifest, documents
        self._known: dict[str, Definitions] = {}

    def attributes(self, entity: EntityPart) -> tuple[Attribute, ...]:
        path, name = _schema(entity, self.place)
        key = path or self.place.path
        if key not in self._known:
            self._known[key] = self._definitions(path)
        return self._known[key].attributes(name)

    def _definitions(self, path: str | None) -> Definitions:
        if path is None:
            own = self._manifest.definitions
            return Definitions(own if isinstance(own, list) else [], self.place.path)
        content = self._documents.get(path, b"")
        if isinstance(content, str):
            raise EntityFault(content)
        if not content:
            raise EntityFault(f"the document {path}, which describes it, is missing or empty", awaited=(path,))
        return definitions(content, path)


def _entity(value: object, number: int, schemas: _Schemas) -> Entity:
    name, annotations = f"entity {number}", tuple[tuple[str, str], ...]()
    try:
        entity = part(EntityPart, value, name)
        name, annotations = entity.name, other_annotations(entity.traits)
        partitions = _partitions(entity, schemas.place)
        return Entity(name, schemas.attributes(entity), partitions, annotations=annotations)
    except EntityFault as error:
        return Entity(name, (), (), error.delivery, error.fault, annotations, error.awaited)


def _is_local(entity: EntityPart) -> bool:
    return not (entity.kind or "").casefold().startswith("reference")


def _schema(entity: EntityPart, place: Place) -> tuple[str | None, str]:
    """The path of the entity's document (None: the manifest itself) and the entity's name in it."""
    text = (entity.path or "").strip()
    found = _DOCUMENT.fullmatch(text)
    if not found:
        if not text or "/" in text or ":" in text:
            raise EntityFault(f"its path {shown(text)} names no document: <name>.cdm.json/<entity> is expected")
        return None, text
    try:
        return place.resolve(_location(found[1], place)), found[2]
    except LocationError as error:
        raise EntityFault(f"its document cannot be used: {error}") from None


def _location(corpus_path: str, place: Place) -> str:
    """A path of the corpus as a location. Raises LocationError for a namespace that only a corpus knows."""
    text = corpus_path.strip()
    namespace = _NAMESPACE.match(text)
    if namespace:
        if namespace[1].casefold() != "local":
            raise LocationError(f"{shown(text)} is in the namespace {namespace[1]}, which only a corpus resolves")
        text = text[namespace.end() :]
    own = (f"/{place.environment_folder}/", f"/{place.container}/{place.environment_folder}/")
    if text.startswith("/") and not text.startswith(own):
        return f"./{text.lstrip('/')}"
    return text


# -- files ---------------------------------------------------------------------------------------------


def _partitions(entity: EntityPart, place: Place) -> tuple[Partition, ...]:
    if not _is_local(entity):
        raise EntityFault("it is only a reference to an entity of another manifest", Delivery.NOT_DELIVERED)
    if entity.increments or entity.increment_patterns:
        raise unsupported("it is delivered in increments", "whole tables")
    matched = list(_all_matching(entity, place))
    found = _named(entity, {one.path: one for one in matched}, place) if entity.partitions or not matched else []
    known = {one.path for one in found}
    return distinct([*found, *(one for one in matched if one.path not in known)])


def _named(entity: EntityPart, matched: Mapping[str, Partition], place: Place) -> list[Partition]:
    values = enumerate(entity.partitions, start=1)
    parts = [part(PartitionPart, value, f"partition {number}") for number, value in values]
    located = [_located(one, f"partition {one.name or number}", place) for number, one in enumerate(parts, start=1)]
    # What a pattern found once stands beside it as a partition too, sometimes without its format.
    return [
        replace(one, format=matched[one.path].format) if said.format == _SILENT and one.path in matched else one
        for one, said in zip(named(located, place), located, strict=True)
    ]


def _located(one: PartitionPart, what: str, place: Place) -> document.PartitionPart:
    """A partition in the shape of model.json's."""
    settings = settings_of(one, what)
    try:
        location = _location(one.location or "", place)
    except LocationError as error:
        raise EntityFault(f"the location of {what} cannot be used: {error}") from None
    return document.PartitionPart(name=one.name, location=location, fileFormatSettings=settings)


def _all_matching(entity: EntityPart, place: Place) -> Iterable[Partition]:
    for number, value in enumerate(entity.patterns, start=1):
        yield from _matching(part(PatternPart, value, f"partition pattern {number}"), place)


def _matching(pattern: PatternPart, place: Place) -> list[Partition]:
    settings = settings_of(pattern, f"the pattern {cdm_patterns.text_of(pattern)}")
    root = _root(pattern, place)
    table = place.listing.delta_table(root)
    if table:
        raise unsupported(f"{table}/ is a Delta table")
    below = [path for path in place.listing.below(root) if not path.endswith((".cdm.json", "/model.json"))]
    paths = cdm_patterns.matching(pattern, below, root)
    if not paths:
        text = cdm_patterns.text_of(pattern)
        awaited = f"{root}/" + text.strip('"').lstrip("/")
        raise EntityFault(f"no file in {root}/ matches the pattern {text}", awaited=(awaited,))
    return [at(path, settings, place) for path in paths]


def _root(pattern: PatternPart, place: Place) -> str:
    try:
        text = _location(pattern.root or "", place).rstrip("/")
        return place.resolve(text) if text not in ("", ".") else place.folder
    except LocationError as error:
        raise EntityFault(f"the folder of a partition pattern cannot be used: {error}") from None
