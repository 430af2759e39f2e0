from __future__ import annotations

from typing import Any

import pytest

from shared.lake.cdm_document import FilesPart
from shared.lake.cdm_traits import other_annotations, settings_of
from shared.lake.faults import EntityFault
from shared.lake.formats import file_format
from shared.lake.manifest import FileFormat

ANNOTATIONS = "is.modelConversion.otherAnnotations"


def trait(name: str, *arguments: object, **named: object) -> dict[str, Any]:
    pairs = [{"name": key, "value": value} for key, value in named.items()]
    return {"traitReference": f"is.partition.{name}", "arguments": [*arguments, *pairs]}


def read(*traits: object, path: str = "1.csv", **more: object) -> FileFormat:
    files = FilesPart.model_validate({"exhibitsTraits": traits, **more})
    return file_format(path, settings_of(files, "partition 1"))


def test_what_the_traits_leave_out_is_usual() -> None:
    assert read() == FileFormat("csv")
    assert read("is", {"traitReference": {"traitName": "x"}}, 7, None) == FileFormat("csv")
    assert read("is.partition.format.CSV", trait("culture", culture="en-us")) == FileFormat("csv")
    usual = {"escape": '"', "quote": '"', "newline": "\n", "skipLines": "0", "raggedRight": "false", "unheardOf": 1}
    assert read(trait("format.CSV", **usual)) == FileFormat("csv")


def test_arguments_by_name() -> None:
    named = trait("format.csv", COLUMNHEADERS=True, delimiter="\t", quoteStyle="QuoteStyle.None", encoding="utf-16")
    assert read(named) == FileFormat("csv", headers=True, delimiter="\t", quoted=False, encoding="utf-16")


def test_arguments_without_names_are_known_by_what_they_are() -> None:
    assert read(trait("format.CSV", "true", ";")) == FileFormat("csv", headers=True, delimiter=";")
    assert read(trait("format.CSV", "false", "CsvStyle.QuoteAlways", "QuoteStyle.None")).quoted is False
    assert read(trait("format.CSV", {"value": True}, encoding="utf-16")).encoding == "utf-16"
    nameless: tuple[list[object], ...] = (["true", "QuoteAlways"], ["true", ",", ";"], [None], [{}])
    for arguments in nameless:
        with pytest.raises(EntityFault, match=r"an argument of is.partition.format.CSV of partition 1 has no name"):
            read(trait("format.CSV", *arguments))


def test_other_formats_and_compression() -> None:
    assert read("is.partition.format.parquet", path="part-00000") == FileFormat("parquet")
    gzip = FileFormat("csv", compression="gzip")
    assert read(trait("compressed", compressionFormatName="gzip")) == gzip
    assert read(trait("format.CSV"), trait("compressed", "GZip")) == gzip


def test_settings_in_the_manner_of_a_model_are_known() -> None:
    old = {"$type": "CsvFormatSettings", "columnHeaders": True}
    assert read(fileFormatSettings=old) == FileFormat("csv", headers=True)


def test_arguments_that_cannot_be_read() -> None:
    with pytest.raises(EntityFault, match="the format of partition 1 cannot be read: columnHeaders"):
        read(trait("format.CSV", columnHeaders="perhaps"))


def test_annotations_that_came_from_a_model_are_known() -> None:
    pairs = [{"name": "OutputTable", "value": "Enrichment"}, {"name": "x", "value": 7}]
    told = {"traitReference": ANNOTATIONS, "arguments": [{"name": "annotations", "value": pairs}]}
    assert other_annotations(["is.hidden", 7, {"traitReference": {}}, told]) == (("OutputTable", "Enrichment"),)
    for arguments in (None, [], ["x"], [{"name": "annotations", "value": "x"}]):
        assert other_annotations([told | {"arguments": arguments}]) == ()
