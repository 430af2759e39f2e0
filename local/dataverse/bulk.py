"""The bound bulk actions of standard tables: all rows of a call are written, or none.

`POST {set}/Microsoft.Dynamics.CRM.<Action>` with `{"Targets": [...]}` (targets.py).
"""

from __future__ import annotations

import json
from typing import Any

from local.dataverse import access, errors, paths, payload, values, writes
from local.dataverse.errors import DataverseError, invalid_argument
from local.dataverse.metadata import Table
from local.dataverse.organization import Organization
from local.dataverse.payload import Record
from local.dataverse.privileges import CREATE, READ, WRITE
from local.dataverse.targets import ADDRESS, PREFIX, Targets

ACTIONS = ("CreateMultiple", "UpdateMultiple", "UpsertMultiple", "DeleteMultiple")


def run(organization: Organization, table: Table, action: str, body: bytes, base: str) -> bytes | None:
    """Run a bulk action and return its JSON, None where it answers 204. Raises DataverseError."""
    if action == "DeleteMultiple":
        reason = "DeleteMultiple has not yet been implemented."
        raise DataverseError(501, "0x80040800", reason)  # documented: the text; not the code and status
    targets = Targets(organization, table, body)
    if action == "CreateMultiple":
        return _create(organization, table, targets, base)
    (_upsert if action == "UpsertMultiple" else _update)(organization, table, targets)
    return None


def _create(organization: Organization, table: Table, targets: Targets, base: str) -> bytes:
    records = targets.records()
    given = [record.id for record in records if record.id]
    if len(given) != len(set(given)):
        raise errors.duplicate_key()
    with organization.transaction():
        ids = writes.insert(organization, table, records)
    context = f"{base}$metadata#{PREFIX}CreateMultipleResponse"
    return json.dumps({"@odata.context": context, "Ids": ids}).encode()


def _update(organization: Organization, table: Table, targets: Targets) -> None:
    records: dict[str, Record] = {}
    for position, record in enumerate(targets.records()):
        if record.id is None and targets.bodies and ADDRESS in targets.bodies[position]:
            record.id = paths.reference(organization, targets.bodies[position][ADDRESS])[1]
        if record.id is None:
            reason = f"Entity Id must be specified for Update of '{table.logical_name}'."
            raise invalid_argument(reason)
        records.setdefault(record.id, record)  # documented: later duplicates are ignored
    access.require(organization, table, WRITE, READ)
    with organization.transaction():
        if missing := organization.store.missing(table, records):
            raise errors.do_not_exist(table.display_name, [row_id for row_id in records if row_id in missing])
        writes.update(organization, table, list(records.values()))


def _upsert(organization: Organization, table: Table, targets: Targets) -> None:
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


def _upserted(organization: Organization, table: Table, targets: Targets) -> list[Record]:
    if any(ADDRESS in target for target in targets.bodies):
        return [_addressed(organization, table, target) for target in targets.bodies]
    return targets.records()


def _addressed(organization: Organization, table: Table, target: dict[str, Any]) -> Record:
    if ADDRESS not in target:
        return payload.read(organization, table, target)
    match = paths.REFERENCE.fullmatch(str(target[ADDRESS]))
    if match is None or match[1] != table.set_name:
        reason = f"'{target[ADDRESS]}' is not the address of a row of '{table.set_name}'."
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
