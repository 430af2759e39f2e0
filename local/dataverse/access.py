"""Whether the calling user may do something: its privileges, and whose rows they reach.

Rows have no owners here but the user who created them; those seeded are nobody's. A depth of Basic, Local or Deep
reaches the rows that the user created: business units and teams are not served, and this is the stricter reading.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

from local.dataverse import errors, privileges
from local.dataverse.describe import privilege_id
from local.dataverse.metadata import Table
from local.dataverse.organization import Organization
from local.dataverse.privileges import APPEND, APPEND_TO, BYPASS, BYPASS_PLUGINS, CREATE, GLOBAL, READ, WRITE
from local.dataverse.storage import OWNER, among, quoted

NO_FILTER = "00000000-0000-0000-0000-000000000000"
BYPASS_HEADERS = {
    "mscrm.bypassbusinesslogicexecution": BYPASS,
    "mscrm.bypassbusinesslogicexecutionstepids": BYPASS,
    "mscrm.bypasscustompluginexecution": BYPASS_PLUGINS,
}


def known(organization: Organization) -> dict[str, Table | None]:
    """Return every privilege that there is, with its table."""
    found: dict[str, Table | None] = dict.fromkeys(privileges.WITHOUT_TABLE)
    for table in organization.catalog.tables.values():
        found |= {privileges.name(kind, table): table for kind in privileges.types(table)}
    return found


def held(organization: Organization) -> list[dict[str, str]]:
    """Return the calling user's privileges as RolePrivilege."""
    taken = organization.privileges
    return [
        {
            "Depth": taken.depths.get(name, GLOBAL),
            "PrivilegeId": privilege_id(organization, name, table),
            "BusinessUnitId": organization.business_unit_id,
            "PrivilegeName": name,
            "RecordFilterId": NO_FILTER,
            "RecordFilterUniqueName": "",
        }
        for name, table in known(organization).items()
        if name not in taken.lacking
    ]


def require(organization: Organization, table: Table, *kinds: str) -> None:
    """Raise DataverseError where the calling user lacks one of a table's privileges."""
    lacking = organization.privileges.lacking
    if not lacking:
        return
    for kind in kinds:
        name = privileges.name(kind, table)
        if name in lacking:
            on = (table.object_type_code, table.logical_name, table.display_name)
            raise errors.missing_privilege(_principal(organization), name, privilege_id(organization, name, table), on)


def require_rows(organization: Organization, table: Table, kind: str, row_ids: Collection[str]) -> None:
    """Raise DataverseError where the depth of a privilege does not reach one of these rows; missing ones pass."""
    depths = organization.privileges.depths
    if not depths or depths.get(privileges.name(kind, table)) is None:
        return
    name, key = quoted(table.logical_name), quoted(table.primary_id)
    condition, argument = among(table.primary_id, row_ids)
    sql = f"SELECT {key} FROM {name} WHERE {OWNER} IS NOT ? AND {condition} LIMIT 1"
    if found := organization.store.connection.execute(sql, (organization.caller, argument)).fetchone():
        raise errors.access_denied(organization.caller, kind, table.logical_name, found[0])


def reached(organization: Organization, table: Table) -> tuple[str, list[Any]] | None:
    """Return the condition for the rows that the user may read, None for all. Raises DataverseError for none."""
    require(organization, table, READ)
    if organization.privileges.depths.get(privileges.name(READ, table)) is None:
        return None
    return f"{OWNER} = ?", [organization.caller]


def may_create(organization: Organization, table: Table, targets: dict[str, set[Any]]) -> None:
    """Raise DataverseError where the user may not create rows of a table that name these rows by table."""
    require(organization, table, CREATE)
    _may_name(organization, table, targets)


def may_update(organization: Organization, table: Table, row_ids: list[str], targets: dict[str, set[Any]]) -> None:
    """Raise DataverseError where the user may not change these rows, or may not make them name these others.

    Microsoft's "Update message privileges" asks for Read beside Write for contact, for account it does not. Asked for
    every table here, to be strict.
    """
    require(organization, table, WRITE, READ)
    require_rows(organization, table, WRITE, row_ids)
    require_rows(organization, table, READ, row_ids)
    _may_name(organization, table, targets)
    if targets:
        require_rows(organization, table, APPEND, row_ids)


def _may_name(organization: Organization, table: Table, targets: dict[str, set[Any]]) -> None:
    """Check what a lookup asks for, also one that is emptied: whether that needs less is not documented."""
    for name, row_ids in targets.items():
        target = organization.catalog.tables[name]
        require(organization, table, APPEND)
        require(organization, target, APPEND_TO)
        require_rows(organization, target, APPEND_TO, row_ids - {None})


def check_bypass(organization: Organization, headers: dict[str, str]) -> None:
    """Refuse to bypass custom logic without the privilege. The documents give neither code nor text of the refusal."""
    lacking = organization.privileges.lacking
    if not lacking:
        return
    for header, name in BYPASS_HEADERS.items():
        if name in lacking and headers.get(header, "").lower() not in ("", "false"):
            raise errors.missing_privilege(_principal(organization), name, privilege_id(organization, name))


def _principal(organization: Organization) -> errors.Principal:
    count = len(known(organization))
    user, aad = organization.caller, str(uuid.uuid5(uuid.UUID(organization.caller), "AADObjectId"))
    held_count = count - len(organization.privileges.lacking & set(known(organization)))
    return errors.Principal(user, aad, organization.business_unit_id, held_count, count)
