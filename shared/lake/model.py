"""A model.json read as a manifest. Input, not trust.

Sources: the published schema of model.json; public samples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pydantic import ValidationError

from shared.lake.document import AnnotationPart, AttributePart, EntityPart, ModelPart, PartitionPart
from shared.lake.faults import EntityFault, document, part
from shared.lake.manifest import Attribute, Delivery, Entity, Manifest, Partition, unambiguous
from shared.lake.partitions import Place, distinct, named

MODEL = "model.json"

_TYPES = (
    "unclassified",
    "string",
    "int64",
    "double",
    "date",
    "time",
    "dateTime",
    "dateTimeOffset",
    "decimal",
    "boolean",
    "guid",
    "json",
)
_BY_FOLD = {name.casefold(): name for name in _TYPES}


def parse(content: bytes, place: Place) -> Manifest:
    """The manifest in the bytes of a model.json that lies at `place`.

    Raises CorruptSnapshotError when it is no model.json at all.
    """
    parts = document(ModelPart, content, place.path, MODEL).entities
    return Manifest(place.path, unambiguous([_entity(value, number, place) for number, value in enumerate(parts, 1)]))


def data_type(name: str) -> str:
    """The data type as model.json spells it; what is none of its own stays as it is."""
    return _BY_FOLD.get(name.casefold(), name) or "unclassified"


def annotations_of(values: object) -> tuple[tuple[str, str], ...]:
    """Pairs of name and text; whatever else stands among them is left out."""
    return tuple(_annotations(values if isinstance(values, list) else []))


def refuse_twins(attributes: Iterable[Attribute]) -> None:
    """Raises EntityFault where two attributes have one name."""
    count = Counter(attribute.name for attribute in attributes)
    twice = sorted(name for name, times in count.items() if times > 1)
    if twice:
        raise EntityFault(f"the manifest names more than one attribute {', '.join(twice)}")


def _annotations(values: list[object]) -> Iterable[tuple[str, str]]:
    for value in values:
        try:
            found = AnnotationPart.model_validate(value)
        except ValidationError:
            continue
        yield found.name, found.value


def _entity(value: object, number: int, place: Place) -> Entity:
    found = Entity(f"entity {number}")
    try:
        entity = part(EntityPart, value, found.name)
        found = Entity(entity.name, annotations=annotations_of(entity.annotations))
        attributes = _attributes(entity)
        found = Entity(entity.name, attributes, annotations=found.annotations)
        return Entity(entity.name, attributes, _partitions(entity, attributes, place), annotations=found.annotations)
    except EntityFault as error:
        return Entity(found.name, found.attributes, (), error.delivery, error.fault, found.annotations)


def _attributes(entity: EntityPart) -> tuple[Attribute, ...]:
    if (entity.kind or "").casefold().endswith("referenceentity"):
        raise EntityFault("it is only a reference to an entity of another model", Delivery.NOT_DELIVERED)
    values = enumerate(entity.attributes, start=1)
    parts = [part(AttributePart, value, f"attribute {number}") for number, value in values]
    found = tuple(Attribute(each.name, data_type(each.data_type or "")) for each in parts)
    refuse_twins(found)
    return found


def _partitions(entity: EntityPart, attributes: tuple[Attribute, ...], place: Place) -> tuple[Partition, ...]:
    values = enumerate(entity.partitions, start=1)
    files = named([part(PartitionPart, value, f"partition {number}") for number, value in values], place)
    if not attributes:
        raise EntityFault("the manifest names files of it, and no attributes")
    return distinct(files)
