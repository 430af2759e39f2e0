"""The shape of a model.json, as it is written by Customer Insights and others: liberal in what is read.

Source: the published schema of model.json (Common Data Model folders, version 1.0) and public samples. Unknown keys,
a missing version, and "false" for false are all seen in real files.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def _none_is_empty(value: object) -> object:
    return [] if value is None else value


def is_text(value: str) -> bool:
    """Whether this is text: JSON may hold half a character, which nothing can write."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(value: str) -> str:
    if not is_text(value):
        raise ValueError("half a character stands in it")
    return value


Text = Annotated[str, AfterValidator(_text)]

Rows = Annotated[list[Any], BeforeValidator(_none_is_empty)]
"""A list whose members are looked at one by one, so that one fault does not hide the others."""


class Part(BaseModel):
    """A part of a document; keys that nobody knows are left out."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ModelPart(Part):
    """The whole document."""

    entities: Rows


class EntityPart(Part):
    """A LocalEntity or ReferenceEntity."""

    kind: Text | None = Field(default=None, alias="$type")
    name: Text = Field(min_length=1)
    attributes: Rows = []
    partitions: Rows = []
    annotations: Any = None


class AnnotationPart(Part):
    """Something that a writer says beyond the schema."""

    name: Text = Field(min_length=1)
    value: Text


class AttributePart(Part):
    """A column."""

    name: Text = Field(min_length=1)
    data_type: Text | None = Field(default=None, alias="dataType")


class FormatPart(Part):
    """CsvFormatSettings, or what others write for Parquet. The defaults are those of the schema.

    What follows the encoding is not part of it; writers of the Common Data Model's traits know it.
    """

    kind: Text | None = Field(default=None, alias="$type")
    headers: bool | None = Field(default=None, alias="columnHeaders")
    delimiter: Text | None = None
    quote_style: Text | None = Field(default=None, alias="quoteStyle")
    encoding: Text | None = None
    escape: Text | None = None
    quote: Text | None = None
    newline: Text | None = None
    skip_lines: int | None = Field(default=None, alias="skipLines")
    ragged: bool | None = Field(default=None, alias="raggedRight")
    compression: Text | None = Field(default=None, alias="compressionFormatName")


class PartitionPart(Part):
    """A file; without a location it only stands for the schema."""

    name: Text | None = None
    location: Text | None = None
    format: FormatPart | None = Field(default=None, alias="fileFormatSettings")
