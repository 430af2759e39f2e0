"""The shape of a model.json, as it is written by Customer Insights and others: liberal in what is read.

Source: the published schema of model.json (Common Data Model folders, version 1.0) and public samples. Unknown keys,
a missing version, and "false" for false are all seen in real files.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _none_is_empty(value: object) -> object:
    return [] if value is None else value


Rows = Annotated[list[Any], BeforeValidator(_none_is_empty)]
"""A list whose members are looked at one by one, so that one fault does not hide the others."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class ModelPart(_Part):
    """The whole document."""

    entities: Rows


class EntityPart(_Part):
    """A LocalEntity or ReferenceEntity."""

    kind: str | None = Field(default=None, alias="$type")
    name: str = Field(min_length=1)
    attributes: Rows = []
    partitions: Rows = []


class AttributePart(_Part):
    """A column."""

    name: str = Field(min_length=1)
    data_type: str | None = Field(default=None, alias="dataType")


class FormatPart(_Part):
    """CsvFormatSettings, or what others write for Parquet. The defaults are those of the schema."""

    kind: str | None = Field(default=None, alias="$type")
    headers: bool | None = Field(default=None, alias="columnHeaders")
    delimiter: str | None = None
    quote_style: str | None = Field(default=None, alias="quoteStyle")
    encoding: str | None = None


class PartitionPart(_Part):
    """A file; without a location it only stands for the schema."""

    name: str | None = None
    location: str | None = None
    format: FormatPart | None = Field(default=None, alias="fileFormatSettings")
