"""What rows must keep to beyond their columns: publishers, solutions and their components, and tables of other types.

Codes and texts: "Web service error codes". Where a comment says so, the code of a refusal is not established.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from local.dataverse import errors
from local.dataverse.errors import DataverseError
from local.dataverse.metadata import ELASTIC, PACKAGING, VIRTUAL, Table
from local.dataverse.organization import Organization
from local.dataverse.packaging import ACTIVE_SOLUTION, DEFAULT_PUBLISHER, DEFAULT_SOLUTION
from local.dataverse.payload import Record

PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9]{1,7}")
SOLUTION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
VERSION = re.compile(r"\d+(\.\d+){1,3}")
RESTRICTED = frozenset({"active", "basic", "default", "system"})
Given = dict[str, Any]


def before_insert(organization: Organization, table: Table, records: Iterable[Record]) -> None:
    """Raise DataverseError for rows that must not be created."""
    _check_kind(table, "Create")
    if table.logical_name in PACKAGING:
        for record in records:
            given = _given(record)
            _check_required(table, given, _required(table))
            _check(organization, table, given, record.id)


def before_update(organization: Organization, table: Table, records: Iterable[Record]) -> None:
    """Raise DataverseError for rows that must not be changed, or not so."""
    _check_kind(table, "Update")
    if table.logical_name in PACKAGING:
        for record in records:
            given = _given(record)
            _check_changeable(organization, table, str(record.id))
            _check_required(table, given, [name for name in _required(table) if name in given])
            _check(organization, table, given, record.id)


def before_delete(organization: Organization, table: Table, row_ids: Iterable[str]) -> None:
    """Raise DataverseError for rows that must not be deleted."""
    _check_kind(table, "Delete")
    if table.logical_name == "publisher" and DEFAULT_PUBLISHER in row_ids:
        raise DataverseError(400, "0x8004f006", "Attempting to delete a restricted publisher.")
    if table.logical_name == "solution":
        for row_id in row_ids:
            if row_id in (DEFAULT_SOLUTION, ACTIVE_SOLUTION):
                raise DataverseError(400, "0x8004f005", "Attempting to delete a restricted solution.")
            if _value(organization, "solution", row_id, "ismanaged"):
                raise errors.not_supported("Uninstalling a managed solution")


def _check_kind(table: Table, message: str) -> None:
    """Refuse what tables of other types do not offer.

    Virtual tables are read-only unless their provider writes; elastic ones have rules of their own (100 rows a call,
    partial success), which are not served here.
    """
    if table.kind == VIRTUAL or table.logical_name == "solutioncomponent":
        raise errors.message_not_served(message, table.logical_name)
    if table.kind == ELASTIC:
        raise errors.not_supported(f"Writing to the elastic table '{table.logical_name}'")


def _given(record: Record) -> Given:
    return dict(zip(record.shape.names, record.values, strict=True))


def _required(table: Table) -> list[str]:
    """Return the columns without which a row is refused; its primary key is made where it is missing."""
    columns = [one for one in table.columns.values() if one.logical_name != table.primary_id]
    return [one.logical_name for one in columns if one.required == "SystemRequired" and one.valid_for_create]


def _check_required(table: Table, given: Given, names: Iterable[str]) -> None:
    for name in names:
        if given.get(name) in (None, ""):
            if (table.logical_name, name) == ("publisher", "uniquename"):
                raise DataverseError(400, "0x8004f01c", "Publisher uniquename is required.")
            raise errors.required(table.logical_name, name)


def _check(organization: Organization, table: Table, given: Given, row_id: str | None) -> None:
    if table.logical_name == "publisher":
        _check_publisher(organization, given, row_id)
    else:
        _check_solution(organization, given, row_id)


def _check_publisher(organization: Organization, given: Given, row_id: str | None) -> None:
    """Check a publisher. Several may have one prefix: Microsoft's own do."""
    prefix = given.get("customizationprefix")
    if prefix is not None and (not PREFIX.fullmatch(prefix) or prefix.lower().startswith("mscrm")):
        text = f"The prefix '{prefix}' is not valid: two to eight letters and digits, not beginning with 'mscrm'."
        raise DataverseError(400, "0x80044153", text)  # the code is not established
    name = given.get("uniquename")
    if name is not None and _taken(organization, "publisher", name, row_id):
        raise errors.duplicate_key()  # the code is not established


def _check_solution(organization: Organization, given: Given, row_id: str | None) -> None:
    name, version, publisher = (given.get(column) for column in ("uniquename", "version", "publisherid"))
    if version is not None and not VERSION.fullmatch(version):
        raise DataverseError(400, "0x8004f01e", "An invalid solution version was specified.")
    if publisher is not None and _value(organization, "publisher", publisher, "isreadonly"):
        raise DataverseError(400, "0x8004f034", "Attempting to select a readonly publisher for solution.")
    if row_id is not None and _value(organization, "solution", row_id, "uniquename") is not None:
        return  # its name does not change: a new one is ignored
    if name is None or not SOLUTION_NAME.fullmatch(name):
        text = (
            "Invalid character specified for solution unique name. Only characters within the ranges [A-Z], [a-z], "
            "[0-9] or _ are allowed. The first character may only be in the ranges [A-Z], [a-z] or _."
        )
        raise DataverseError(400, "0x8004f002", text)
    if name.lower() in RESTRICTED:
        text = f"The solution unique name '{name}' is restricted and can only be used by internal solutions."
        raise DataverseError(400, "0x8004f022", text)
    if _taken(organization, "solution", name, row_id):
        text = f"The solution unique name '{name}' is already being used and cannot be used again."
        raise DataverseError(400, "0x8004f023", text)


def _check_changeable(organization: Organization, table: Table, row_id: str) -> None:
    name = _value(organization, table.logical_name, row_id, "uniquename")
    if table.logical_name == "publisher":
        if _value(organization, "publisher", row_id, "isreadonly"):
            raise DataverseError(400, "0x8004f033", "Attempting to update a readonly publisher.")
    elif row_id in (DEFAULT_SOLUTION, ACTIVE_SOLUTION):
        raise DataverseError(400, "0x8004f00a", f"Restricted solution ({name}) cannot be updated.")
    elif _value(organization, "solution", row_id, "ismanaged"):
        raise DataverseError(400, "0x8004f024", f"Cannot update solution '{name}' because it is a managed solution.")


def _value(organization: Organization, table: str, row_id: str, column: str) -> Any:
    sql = f"SELECT {column} FROM {table} WHERE {table}id = ?"
    found = organization.store.connection.execute(sql, (row_id,)).fetchone()
    return found[0] if found else None


def _taken(organization: Organization, table: str, name: str, row_id: str | None) -> bool:
    sql = f"SELECT 1 FROM {table} WHERE uniquename = ? AND {table}id IS NOT ?"
    return organization.store.connection.execute(sql, (name, row_id)).fetchone() is not None
