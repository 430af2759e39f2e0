"""The attributes of an entity, from the definitions in its document.

What only a corpus of the Common Data Model could resolve is refused in words: attributes of another document, of an
entity that is extended, or made by a projection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from shared.errors import CorruptSnapshotError
from shared.lake import cdm_types
from shared.lake.cdm_document import AttributePart, DefinitionPart, DocumentPart
from shared.lake.document import is_text
from shared.lake.faults import EntityFault, document, part
from shared.lake.location import shown
from shared.lake.manifest import Attribute
from shared.lake.model import refuse_twins

_BASES = ("cdmentity", "cdmobject", "cdmobjectbase")
_DEEPEST = 50


class Definitions:
    """What a document defines. `path` is the document's."""

    def __init__(self, values: Sequence[object], path: str) -> None:
        self._path = path
        parts = [part(DefinitionPart, value, f"{path}: definition {number}") for number, value in enumerate(values, 1)]
        self._entities = {one.entity.casefold(): one for one in parts if one.entity}
        self._groups = {one.group.casefold(): one for one in parts if one.group}
        self._types = {one.data_type.casefold(): one for one in parts if one.data_type}

    def attributes(self, entity: str) -> tuple[Attribute, ...]:
        """The columns of an entity, in order. Raises EntityFault where they cannot be known."""
        found = tuple(self._of_entity(entity, 0))
        if not found:
            raise EntityFault(f"{self._path} names no attributes of the entity {entity}")
        refuse_twins(found)
        return found

    def _of_entity(self, name: str, depth: int) -> Iterator[Attribute]:
        found = self._entities.get(name.casefold())
        if found is None:
            raise EntityFault(f"{self._path} defines no entity {name}")
        base = _reference(found.extends_entity, "entityReference")
        if found.extends_entity and base.rpartition("/")[2].casefold() not in _BASES:
            if base.casefold() not in self._entities or depth > _DEEPEST:
                raise self._unresolved(f"the entity {name} extends {shown(base) if base else 'a projection'}")
            yield from self._of_entity(base, depth + 1)
        if found.projection:
            raise self._unresolved(f"the entity {name} has a projection")
        yield from self._of_members(found.attributes, name, depth)

    def _of_members(self, values: Iterable[object], where: str, depth: int) -> Iterator[Attribute]:
        for number, value in enumerate(values, start=1):
            if isinstance(value, str):
                raise self._unresolved(f"attribute {number} of {where} is only the reference {shown(value)}")
            one = part(AttributePart, value, f"{self._path}: attribute {number} of {where}")
            what = f"attribute {one.name or number} of {where}"
            if one.entity is not None:
                raise self._unresolved(f"{what} stands for another entity")
            if one.projection or one.guidance:
                raise self._unresolved(f"{what} has a projection or resolution guidance")
            if one.group is not None:
                yield from self._of_group(one.group, what, depth + 1)
            elif one.name:
                yield Attribute(one.name, self._data_type(one))
            else:
                raise EntityFault(f"{self._path}: attribute {number} of {where} has no name")

    def _of_group(self, group: object, where: str, depth: int) -> Iterator[Attribute]:
        if isinstance(group, dict) and "attributeGroupReference" in group:
            group = group["attributeGroupReference"]
        if isinstance(group, str):
            found = self._groups.get(group.casefold())
            where = f"the group {shown(group)}"
        else:
            found = part(DefinitionPart, group, f"{self._path}: {where}")
        if found is None or depth > _DEEPEST:
            raise self._unresolved(f"{where} is of another document")
        yield from self._of_members(found.members, where, depth)

    def _data_type(self, attribute: AttributePart) -> str:
        if attribute.data_format:
            return cdm_types.of_name(attribute.data_format)
        name = _reference(attribute.data_type, "dataTypeReference", "dataTypeName")
        if not name:
            return cdm_types.of_traits(_reference(trait, "traitReference") for trait in attribute.traits)
        for _ in range(_DEEPEST):
            if name.casefold() not in self._types:
                break
            name = _reference(self._types[name.casefold()].extends_data_type, "dataTypeReference") or "any"
        return cdm_types.of_name(name)

    def _unresolved(self, what: str) -> EntityFault:
        needs = "only a corpus of the Common Data Model resolves that: a resolved document is expected"
        return EntityFault(f"{self._path}: {what}, and {needs}")


def definitions(content: bytes, path: str) -> Definitions:
    """What the bytes of a document define. Raises EntityFault where it is no document of an entity."""
    try:
        return Definitions(document(DocumentPart, content, path, "document of an entity").definitions, path)
    except CorruptSnapshotError as error:
        raise EntityFault(str(error)) from None


def _reference(value: object, *keys: str) -> str:
    """The name that a reference holds, which is a text or an object with one of the keys; else nothing."""
    for _ in range(_DEEPEST):
        if not isinstance(value, dict):
            break
        value = next((value[key] for key in keys if key in value), None)
    return value if isinstance(value, str) and is_text(value) else ""
