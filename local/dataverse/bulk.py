"""The bound bulk actions of standard tables: all rows of a call are written, or none.

`POST {set}/Microsoft.Dynamics.CRM.<Action>` with `{"Targets": [...]}`, every target with its `@odata.type`.
"""

from __future__ import annotations

import json
from typing import Any

from local.dataverse import access, errors, paths, payload, values, writes
from local.dataverse.errors import DataverseError, bad_payload, invalid_argument
from local.dataverse.metadata import Table
from local.dataverse.organization import Organization
from local.dataverse.payload import Record
from local.dataverse.privileges import CREATE, READ, WRITE

PREFIX = "Microsoft.Dynamics.CRM."
ACTIONS = ("CreateMultiple", "UpdateMultiple", "UpsertMultiple", "DeleteMultiple")


def run(organization: Organization, table: Table, action: str, body: bytes, base: str) -> bytes | None:
    """Run a bulk action and return its JSON, None where it answers 204. Raises DataverseError."""
    if action == "DeleteMultiple":
        reason = "DeleteMultiple has not yet been implemented."
        raise DataverseError(501, "0x80040800", reason)  # documented: the text; not the code and status
    targets = _targets(table, body)
    if action == "CreateMultiple":
        return _create(organization, table, targets, base)
    (_upsert if action == "UpsertMultiple" else _update)(organization, table, targets)
    return None


def _targets(table: Table, body: bytes) -> list[dict[str, Any]]:
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
        kind = target.get("@odata.type")
        if kind != expected and kind != "#" + expected:
            raise _wrong_kind(table, kind)
    return targets


def _wrong_kind(table: Table, kind: object) -> DataverseError:
    # Documented: every target must carry its type. Not documented: the answer to one that does not.
    if kind is None:
        reason = "Microsoft.OData.ODataException: An item of 'Targets' has no '@odata.type': its type is abstract."
        return bad_payload(table.set_name, reason)
    return invalid_argument(f"Entity '{kind}' differs from the entity of the request, '{table.logical_name}'.")


def _create(organization: Organization, table: Table, targets: list[dict[str, Any]], base: str) -> bytes:
    records = payload.read_all(organization, table, targets)
    given = [record.id for record in records if record.id]
    if len(given) != len(set(given)):
        raise errors.duplicate_key()
    with organization.transaction():
        ids = writes.insert(organization, table, records)
    context = f"{base}$metadata#{PREFIX}CreateMultipleResponse"
    return json.dumps({"@odata.context": context, "Ids": ids}).encode()


def _update(organization: Organization, table: Table, targets: list[dict[str, Any]]) -> None:
    records: dict[str, Record] = {}
    for target, record in zip(targets, payload.read_all(organization, table, targets), strict=True):
        if record.id is None and "@odata.id" in target:
            record.id = paths.reference(organization, target["@odata.id"])[1]
        if record.id is None:
            reason = f"Entity Id must be specified for Update of '{table.logical_name}'."
            raise invalid_argument(reason)
        records.setdefault(record.id, record)  # documented: later duplicates are ignored
    access.require(organization, table, WRITE, READ)
    with organization.transaction():
        if missing := organization.store.missing(table, records):
            raise errors.do_not_exist(table.display_name, [row_id for row_id in records if row_id in missing])
        writes.update(organization, table, list(records.values()))


def _upsert(organization: Organization, table: Table, targets: list[dict[str, Any]]) -> None:
    may_upsert(organization, table)
    with organization.transaction():
        records = _upserted(organization, table, targets)
        ids = [record.id for record in records if record.id]
        if len(ids) != len(set(ids)):
            raise errors.duplicate_key()  # documented: an error; not documented: which one
        missing = organization.store.missing(table, ids)
        fresh = [record for record in records if record.id is None or record.id in missing]
        known = [record for record in records if record.id is not None and record.id not in missing]
        if fresh:
            writes.insert(organization, table, fresh)
        if known:
            writes.update(organization, table, known)


def may_upsert(organization: Organization, table: Table) -> None:
    """Refuse an upsert to a user who may not both create and update, whatever its rows turn out to need.

    Whether Dataverse asks for both is not documented.
    """
    access.require(organization, table, CREATE, WRITE, READ)


def _upserted(organization: Organization, table: Table, targets: list[dict[str, Any]]) -> list[Record]:
    if any("@odata.id" in target for target in targets):
        return [_addressed(organization, table, target) for target in targets]
    return payload.read_all(organization, table, targets)


def _addressed(organization: Organization, table: Table, target: dict[str, Any]) -> Record:
    if "@odata.id" not in target:
        return payload.read(organization, table, target)
    match = paths.REFERENCE.fullmatch(str(target["@odata.id"]))
    if match is None or match[1] != table.set_name:
        reason = f"'{target['@odata.id']}' is not the address of a row of '{table.set_name}'."
        raise invalid_argument(reason)
    return by_key(organization, table, match[2], target)


def by_key(organization: Organization, table: Table, predicate: str, body: dict[str, Any]) -> Record:
    """Return the record of an upsert that names its row by a predicate: a GUID or an alternate key."""
    if values.GUID.fullmatch(predicate) or table.primary_id in paths.pairs(predicate):
        return _with_id(organization, table, paths.row_id(organization, table, predicate), body)
    key = paths.alternate_key(table, paths.pairs(predicate))
    found = paths.by_alternate_key(organization, table, key)
    if found is not None:
        return _with_id(organization, table, found, body)
    for name in key:
        if table.columns[name].property_name in body or name in body:
            raise errors.key_in_body(name)
    return payload.read(organization, table, {**body, **_key_values(table, key)})


def _key_values(table: Table, key: dict[str, Any]) -> dict[str, Any]:
    for name in key:
        if table.columns[name].property_name != name:
            what = f"Creating a row by a key with the lookup '{name}'"
            raise errors.not_supported(what)
    return key


def _with_id(organization: Organization, table: Table, row_id: str, body: dict[str, Any]) -> Record:
    record = payload.read(organization, table, body)
    if record.id is not None and record.id != row_id:
        reason = f"The body names the row {record.id}, the request names {row_id}."
        raise invalid_argument(reason)
    record.id = row_id
    return record
