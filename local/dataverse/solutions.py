"""`MSCRM.SolutionUniqueName`: the solution that a new table, column or relationship becomes a component of.

Each thing that a request creates is listed, below the table's own component. Whether the real service lists what its
table's component already includes is not established. Without the header nothing is listed: in Dataverse all of that
belongs to the default solution.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from local.dataverse import describe
from local.dataverse.call import Call
from local.dataverse.errors import DataverseError
from local.dataverse.metadata import Column, ManyToMany, Relationship, Table
from local.dataverse.organization import Organization
from local.dataverse.packaging import (
    ATTRIBUTE,
    ENTITY,
    INCLUDE_SUBCOMPONENTS,
    RELATIONSHIP,
    SHELL_ONLY,
    WITHOUT_SUBCOMPONENTS,
)
from local.dataverse.writes import now

HEADER = "mscrm.solutionuniquename"


@dataclass(frozen=True, slots=True)
class Solution:
    """An unmanaged solution; `prefix` is its publisher's."""

    id: str
    prefix: str


def note_table(call: Call, table: Table) -> None:
    """List a table that a call created, with its columns, in the call's solution. Raises DataverseError."""
    if solution := _solution(call):
        _check_names(solution, [table.schema_name, *(one.schema_name for one in table.columns.values())], table)
        _note(call.organization, solution, ENTITY, _id(call.organization, table), behavior=INCLUDE_SUBCOMPONENTS)


def note_column(call: Call, table: Table, column: Column) -> None:
    """List a column that a call created."""
    if solution := _solution(call):
        _check_names(solution, [column.schema_name], table)
        root = _root(call.organization, solution, table)
        _note(call.organization, solution, ATTRIBUTE, _id(call.organization, table, column.logical_name), root=root)


def note_relationship(call: Call, relationship: Relationship) -> None:
    """List a relationship that a call created, with its lookup column."""
    if solution := _solution(call):
        organization = call.organization
        table = organization.catalog.tables[relationship.referencing]
        _check_names(solution, [relationship.schema_name], table)
        note_column(call, table, table.columns[relationship.column])
        identity = describe.metadata_id(organization, "relationship", relationship.schema_name.lower())
        _note(organization, solution, RELATIONSHIP, identity, root=_root(organization, solution, table))


def note_many_to_many(call: Call, pairs: ManyToMany) -> None:
    """List a many-to-many relationship that a call created, below its first table."""
    if solution := _solution(call):
        organization = call.organization
        table = organization.catalog.tables[pairs.first]
        _check_names(solution, [pairs.schema_name, pairs.intersection], table)
        identity = describe.metadata_id(organization, "relationship", pairs.schema_name.lower())
        _note(organization, solution, RELATIONSHIP, identity, root=_root(organization, solution, table))


def forget(organization: Organization, object_ids: Iterable[str]) -> None:
    """Take what was deleted out of every solution."""
    sql = "DELETE FROM solutioncomponent WHERE objectid = ?"
    organization.store.write(sql, [(object_id,) for object_id in object_ids])


def _solution(call: Call) -> Solution | None:
    name = call.headers.get(HEADER)
    if not name:
        return None
    sql = (
        "SELECT solutionid, ismanaged, customizationprefix FROM solution LEFT JOIN publisher USING (publisherid) "
        "WHERE solution.uniquename = ?"
    )
    found = call.organization.store.connection.execute(sql, (name,)).fetchone()
    if found is None:
        # Public clients report the status and these words; the code is not established.
        raise DataverseError(404, "0x80040217", f"The solution unique name '{name}' is not valid.")
    if found[1]:
        raise DataverseError(400, "0x8004f024", f"Cannot update solution '{name}' because it is a managed solution.")
    return Solution(found[0], found[2] or "")


def _check_names(solution: Solution, names: Iterable[str], table: Table) -> None:
    """Refuse names with another prefix than the solution's publisher has.

    The documents ask for the publisher's prefix; what the service does with another one, they do not say. Refused, to
    be strict. Without a solution any prefix is taken: which one would be right is not said either.
    """
    system = {table.primary_id, "createdon", "modifiedon", "versionnumber", "statecode", "statuscode"}
    for name in names:
        if name.lower() not in system and name.lower().partition("_")[0] != solution.prefix.lower():
            text = (
                f"Invalid name '{name}'. Names must start with a valid customization prefix. The prefix for a solution "
                "component should match the prefix that is specified for the publisher of the solution."
            )
            raise DataverseError(400, "0x80044153", text)  # the code is not established


def _root(organization: Organization, solution: Solution, table: Table) -> str:
    """Return the table's component, made where it is missing: a shell for a table that belongs to others."""
    behavior = SHELL_ONLY if table.is_managed or not table.is_custom else WITHOUT_SUBCOMPONENTS
    return _note(organization, solution, ENTITY, _id(organization, table), behavior=behavior)


def _note(
    organization: Organization,
    solution: Solution,
    kind: int,
    object_id: str,
    *,
    behavior: int | None = None,
    root: str | None = None,
) -> str:
    """List something that is not listed yet; returns its component's id."""
    store = organization.store
    known = "SELECT solutioncomponentid FROM solutioncomponent WHERE solutionid = ? AND objectid = ?"
    found = store.connection.execute(known, (solution.id, object_id)).fetchone()
    if found:
        return str(found[0])
    identity, moment = str(uuid.uuid4()), now()
    sql = (
        "INSERT INTO solutioncomponent (solutioncomponentid, createdon, modifiedon, versionnumber, solutionid, "
        "componenttype, objectid, rootcomponentbehavior, rootsolutioncomponentid) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    )
    version = store.next_version()
    store.write(sql, [(identity, moment, moment, version, solution.id, kind, object_id, behavior, root)])
    return identity


def _id(organization: Organization, table: Table, *column: str) -> str:
    return describe.metadata_id(organization, table.logical_name, *column)
