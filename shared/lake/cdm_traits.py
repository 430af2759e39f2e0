"""What the traits of a manifest.cdm.json say of a file's format, and the annotations that came from a model.json."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from shared.lake.cdm_document import FilesPart
from shared.lake.document import FormatPart, is_text
from shared.lake.faults import EntityFault, part
from shared.lake.formats import unsupported
from shared.lake.model import annotations_of

_FORMAT = "is.partition.format."
_COMPRESSED = "is.partition.compressed"
_INCREMENT = "is.partition.incremental"
_ANNOTATIONS = "is.modelConversion.otherAnnotations"
_ARGUMENTS = (
    "columnHeaders",
    "csvStyle",
    "delimiter",
    "quoteStyle",
    "encoding",
    "escape",
    "newline",
    "quote",
    "skipLines",
    "raggedRight",
    "compressionFormatName",
)
_BY_FOLD = {name.casefold(): name for name in _ARGUMENTS}


def settings_of(files: FilesPart, where: str) -> FormatPart:
    """How the files are to be read. Raises EntityFault where that cannot be known or is not supported."""
    found: dict[str, object] = {}
    for name, arguments in _traits(files.traits):
        fold = name.casefold()
        if fold == _INCREMENT:
            raise unsupported(f"{where} is only an increment", "whole tables")
        if fold.startswith(_FORMAT):
            found |= {"$type": name[len(_FORMAT) :], **_settings(arguments, f"{name} of {where}")}
        elif fold == _COMPRESSED:
            found["compressionFormatName"] = _only(arguments)
    if not found:
        return files.format or FormatPart()
    return part(FormatPart, found, f"the format of {where}")


def other_annotations(traits: Iterable[object]) -> tuple[tuple[str, str], ...]:
    """The annotations of a model.json, which the object model keeps as a trait."""
    found = [
        pair
        for name, arguments in _traits(traits)
        if name.casefold() == _ANNOTATIONS.casefold()
        for argument in arguments
        for pair in annotations_of(_value(argument))
    ]
    return tuple(found)


def _traits(values: Iterable[object]) -> Iterator[tuple[str, list[object]]]:
    for value in values:
        name, arguments = (
            (value.get("traitReference"), value.get("arguments")) if isinstance(value, dict) else (value, [])
        )
        if isinstance(name, str) and is_text(name):
            yield name, arguments if isinstance(arguments, list) else []


def _settings(arguments: list[object], where: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for argument in arguments:
        if isinstance(argument, dict) and isinstance(argument.get("name"), str):
            name: str | None = argument["name"]
        else:
            name = _nameless(_value(argument))
        name = _BY_FOLD.get(name.casefold(), name) if name else ""
        if not name or name in found:
            raise EntityFault(f"an argument of {where} has no name, or one of another")
        found[name] = _value(argument)
    return found


def _nameless(value: object) -> str | None:
    """What a value without a name is. Which place it has differs between versions, what it looks like does not."""
    text = str(value).casefold()
    if text in ("true", "false"):
        return "columnHeaders"
    if text.startswith("csvstyle."):
        return "csvStyle"
    if text.startswith("quotestyle."):
        return "quoteStyle"
    return "delimiter" if len(text) == 1 else None


def _value(argument: object) -> object:
    return argument.get("value") if isinstance(argument, dict) else argument


def _only(arguments: list[object]) -> object:
    return _value(arguments[0]) if arguments else None
