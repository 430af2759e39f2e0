"""The shapes of a manifest.cdm.json and of the documents of its entities: liberal in what is read.

Source: the Common Data Model's folder format 1.x, as its object model reads it, old names included; public samples.
"""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, Field

from shared.lake.document import FormatPart, Part, Rows, Text


class ManifestPart(Part):
    """The whole manifest. It has at least a name, `entities` or `sub_manifests`."""

    name: Any = Field(default=None, alias="manifestName")
    entities: Rows | None = None
    sub_manifests: Any = Field(default=None, alias="subManifests")
    definitions: Any = None


class EntityPart(Part):
    """The declaration of an entity."""

    kind: Text | None = Field(default=None, alias="type")
    name: Text = Field(min_length=1, alias="entityName")
    path: Text | None = Field(
        default=None, validation_alias=AliasChoices("entityPath", "entitySchema", "entityDeclaration")
    )
    partitions: Rows = Field(default=[], alias="dataPartitions")
    patterns: Rows = Field(default=[], alias="dataPartitionPatterns")
    increments: Any = Field(default=None, alias="incrementalPartitions")
    increment_patterns: Any = Field(default=None, alias="incrementalPartitionPatterns")
    traits: Rows = Field(default=[], alias="exhibitsTraits")


class FilesPart(Part):
    """What partitions and patterns have in common: how their files are to be read."""

    name: Text | None = None
    traits: Rows = Field(default=[], alias="exhibitsTraits")
    format: FormatPart | None = Field(default=None, alias="fileFormatSettings")


class PartitionPart(FilesPart):
    """A file."""

    location: Text | None = None


class PatternPart(FilesPart):
    """Files that are found by their names below a folder."""

    root: Text | None = Field(default=None, alias="rootLocation")
    glob: Text | None = Field(default=None, alias="globPattern")
    expression: Text | None = Field(default=None, alias="regularExpression")


class DocumentPart(Part):
    """The document of an entity."""

    definitions: Rows


class DefinitionPart(Part):
    """The definition of an entity, of a group of attributes or of a data type: whichever name it has."""

    entity: Text | None = Field(default=None, alias="entityName")
    group: Text | None = Field(default=None, alias="attributeGroupName")
    data_type: Text | None = Field(default=None, alias="dataTypeName")
    extends_entity: Any = Field(default=None, alias="extendsEntity")
    extends_data_type: Any = Field(default=None, alias="extendsDataType")
    attributes: Rows = Field(default=[], alias="hasAttributes")
    members: Rows = Field(default=[])
    projection: Any = None


class AttributePart(Part):
    """An attribute, a reference to a group of attributes, or one that stands for another entity."""

    name: Text | None = None
    data_type: Any = Field(default=None, alias="dataType")
    data_format: Text | None = Field(default=None, alias="dataFormat")
    traits: Rows = Field(default=[], alias="appliedTraits")
    group: Any = Field(default=None, alias="attributeGroupReference")
    entity: Any = None
    projection: Any = None
    guidance: Any = Field(default=None, alias="resolutionGuidance")
