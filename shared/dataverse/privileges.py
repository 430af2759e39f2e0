"""What the application user may do, by the names that security roles show.

Sources: "RetrieveUserPrivileges Function", "RolePrivilege ComplexType" and "SecurityPrivilegeMetadata ComplexType" of
Microsoft's Dataverse Web API reference.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from shared.dataverse.client import Client
from shared.errors import ConfigurationError

EVERYWHERE = "Global"
"""The depth at which a privilege holds for the rows of the whole organization."""


def lacking(client: Client, wanted: Mapping[str, Collection[str]]) -> list[str]:
    """The privileges that the user lacks, by name, of those `wanted`: table -> "Read", "Write", "Append", "AppendTo".

    One that it has for a part of the organization only is named with its depth. Empty where the user may not even ask:
    writing will tell then. Raises TransientError.
    """
    try:
        held = _held(client)
        needed = [one for table, kinds in wanted.items() for one in _of_table(client, table, kinds)]
    except ConfigurationError:
        return []
    found = []
    for identity, name in needed:
        depth = held.get(identity)
        if depth is None:
            found.append(name)
        elif depth != EVERYWHERE:
            found.append(f"{name} (has it at depth {depth}, not Organization)")
    return found


def _held(client: Client) -> dict[str, str]:
    """The depth of each of the user's privileges, by its id; several roles may give it: the greatest counts."""
    user = client.user_id or client.who_am_i().user_id
    answer = client.get(f"systemusers({user})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()")
    held: dict[str, str] = {}
    for one in answer["RolePrivileges"]:
        identity = str(one["PrivilegeId"]).lower()
        if held.get(identity) != EVERYWHERE:
            held[identity] = str(one["Depth"])
    return held


def _of_table(client: Client, table: str, kinds: Collection[str]) -> list[tuple[str, str]]:
    """The ids and names of a table's privileges."""
    answer = client.get(f"EntityDefinitions(LogicalName='{table}')?$select=LogicalName,Privileges")
    by_kind = {str(one["PrivilegeType"]): one for one in answer["Privileges"]}
    found = [by_kind[kind] for kind in kinds if kind in by_kind]
    return [(str(one["PrivilegeId"]).lower(), str(one["Name"])) for one in found]
