"""What a manifest says is checked part by part: one fault spoils one entity, or the manifest where it is none."""

from __future__ import annotations

import json
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from shared.errors import CorruptSnapshotError
from shared.lake.manifest import Delivery

_Part = TypeVar("_Part", bound=BaseModel)


class EntityFault(Exception):  # noqa: N818 - never leaves the lake's modules
    """Why one entity cannot be used; `awaited` is what would mend it if it came."""

    def __init__(self, fault: str, delivery: Delivery = Delivery.CORRUPT, awaited: tuple[str, ...] = ()) -> None:
        super().__init__(fault)
        self.fault, self.delivery, self.awaited = fault, delivery, awaited


def document(model: type[_Part], content: bytes, path: str, what: str) -> _Part:
    """A whole document. Raises CorruptSnapshotError where it is no `what` ("model.json") at all."""
    if not content.strip():
        raise CorruptSnapshotError(f"{path} is empty: a {what} is expected")
    try:
        # Bytes, not text: this way a byte order mark and UTF-16 are recognized.
        return model.model_validate(json.loads(content))
    except UnicodeDecodeError as error:
        raise CorruptSnapshotError(f"{path} is not text in UTF-8: byte {error.start} cannot be read") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise CorruptSnapshotError(f"{path} is not JSON: {error.msg} at {where}") from error
    except RecursionError as error:
        raise CorruptSnapshotError(f"{path} is nested too deeply for a {what}") from error
    except ValidationError as error:
        raise CorruptSnapshotError(f"{path} is no {what}: {_first(error)}") from error


def part(model: type[_Part], value: object, what: str) -> _Part:
    """A part of a document. Raises EntityFault that names it as `what`."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise EntityFault(f"{what} cannot be read: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    """The first fault in words, without the value that was found."""
    fault = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(step) for step in fault["loc"])
    return f"{where}: {fault['msg']}" if where else fault["msg"]
