"""The rows of a bulk call: `{"Targets": [...]}`, every one with its `@odata.type`.

Calls follow each other with rows of the same properties. Such a call is read straight into columns, without a
dictionary for each row; one that is unlike the last, or has anything at fault, is read row by row, as all others are.
"""

from __future__ import annotations

import codecs
from decimal import Decimal
from typing import Any, Literal

import msgspec

from local.dataverse import payload
from local.dataverse.errors import DataverseError, bad_payload, invalid_argument
from local.dataverse.metadata import Table
from local.dataverse.organization import Organization
from local.dataverse.payload import Record, Shape

PREFIX = "Microsoft.Dynamics.CRM."
TYPE, ADDRESS = "@odata.type", "@odata.id"
LAST = "what the rows of the last call looked like"


class Targets:
    """What a call has in `Targets`. `bodies` are its rows, empty where they could be read without them."""

    def __init__(self, organization: Organization, table: Table, body: bytes) -> None:
        """Raise DataverseError for a call whose rows cannot be told apart."""
        self._organization, self._table = organization, table
        self._alike = _alike(organization, table, body)
        self.bodies = _bodies(table, body) if self._alike is None else []

    def records(self) -> list[Record]:
        """Return the rows' records. Raises DataverseError for the first row at fault."""
        if self._alike is not None:
            return self._alike
        found = payload.read_all(self._organization, self._table, self.bodies)
        if len({id(record.shape) for record in found}) == 1 and ADDRESS not in self.bodies[0]:
            _remember(found[0].shape, tuple(self.bodies[0]))
        return found


def _alike(organization: Organization, table: Table, body: bytes) -> list[Record] | None:
    """Return the records of a call whose rows are like those of the last one, None when it has to be read in full."""
    if LAST not in table.shapes:
        return None
    shape, names, decoder = table.shapes[LAST]
    try:
        rows = decoder.decode(body.removeprefix(codecs.BOM_UTF8)).Targets
        if not rows:
            return None
        given = dict(zip(names, zip(*map(msgspec.structs.astuple, rows), strict=True), strict=True))
        return payload.by_columns(organization, shape, given, len(rows))
    except (ValueError, ArithmeticError, RecursionError, DataverseError):
        return None


def _remember(shape: Shape, names: tuple[str, ...]) -> None:
    known, shapes = (LAST, *names), shape.table.shapes
    if known not in shapes:
        try:
            shapes[known] = shape, names, _decoder(shape.table, names)
        except ValueError:  # the name of an annotation that no decoder takes: with a quotation mark, say
            return
    shapes[LAST] = shapes[known]


def _decoder(table: Table, names: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    """Return what decodes a call of which every row has just these properties, and is of the table's type."""
    kinds = Literal[f"{PREFIX}{table.logical_name}", f"#{PREFIX}{table.logical_name}"]  # type: ignore[valid-type]
    fields = {f"f{i}": name for i, name in enumerate(names)}
    types = [(field, kinds if name == TYPE else Any) for field, name in fields.items()]
    row = msgspec.defstruct("Row", types, rename=fields, forbid_unknown_fields=True, gc=False)
    call = msgspec.defstruct("Call", [("Targets", list[row])], forbid_unknown_fields=True)  # type: ignore[valid-type]
    return msgspec.json.Decoder(call, float_hook=Decimal)


def _bodies(table: Table, body: bytes) -> list[dict[str, Any]]:
    parsed = payload.parse_object(body, table.set_name)
    targets = parsed.get("Targets")
    if unknown := [name for name in parsed if name != "Targets" and not name.startswith("@")]:
        reason = f"Microsoft.OData.ODataException: The parameter '{unknown[0]}' is not a parameter of the operation."
        raise bad_payload(table.set_name, reason)
    if not isinstance(targets, list) or not targets:
        reason = "The required parameter 'Targets' is missing or empty."
        raise invalid_argument(reason)
    expected = PREFIX + table.logical_name
    for target in targets:
        if not isinstance(target, dict):
            reason = "Microsoft.OData.ODataException: every target must be a JSON object."
            raise bad_payload(table.set_name, reason)
        kind = target.get(TYPE)
        if kind != expected and kind != "#" + expected:
            raise _wrong_kind(table, kind)
    return targets


def _wrong_kind(table: Table, kind: object) -> DataverseError:
    # Documented: every target must carry its type. Not documented: the answer to one that does not.
    if kind is None:
        reason = "Microsoft.OData.ODataException: An item of 'Targets' has no '@odata.type': its type is abstract."
        return bad_payload(table.set_name, reason)
    return invalid_argument(f"Entity '{kind}' differs from the entity of the request, '{table.logical_name}'.")
