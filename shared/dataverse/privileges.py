"""What the application user may do, by the names that security roles show.

Sources: "RetrieveUserSetOfPrivilegesByIds Function", "RolePrivilege ComplexType" and "SecurityPrivilegeMetadata
ComplexType" of Microsoft's Dataverse Web API reference. RetrieveUserPrivileges would not do: what a user has through a
team it shows at depth Basic, whatever the depth is.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import quote

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
        needed = [one for table, kinds in wanted.items() for one in _of_table(client, table, kinds)]
        held = _held(client, [identity for identity, _ in needed])
    except ConfigurationError:
        return []
    found = []
    for identity, name in needed:
        depths = held.get(identity, set())
        if not depths:
            found.append(name)
        elif EVERYWHERE not in depths:
            found.append(f"{name} (has it at depth {', '.join(sorted(depths))}, not Organization)")
    return found


def _held(client: Client, identities: Sequence[str]) -> dict[str, set[str]]:
    """The depths at which the user holds privileges, through roles of its own and of its teams."""
    user = client.user_id or client.who_am_i().user_id
    function = f"systemusers({user})/Microsoft.Dynamics.CRM.RetrieveUserSetOfPrivilegesByIds(PrivilegeIds=@p)"
    answer = client.get(f"{function}?@p={quote(json.dumps(identities))}")
    held: dict[str, set[str]] = {}
    for one in answer["RolePrivileges"]:
        held.setdefault(str(one["PrivilegeId"]).lower(), set()).add(str(one["Depth"]))
    return held


def _of_table(client: Client, table: str, kinds: Collection[str]) -> list[tuple[str, str]]:
    """The ids and names of a table's privileges."""
    answer = client.get(f"EntityDefinitions(LogicalName='{table}')?$select=LogicalName,Privileges")
    by_kind = {str(one["PrivilegeType"]): one for one in answer["Privileges"]}
    found = [by_kind[kind] for kind in kinds if kind in by_kind]
    return [(str(one["PrivilegeId"]).lower(), str(one["Name"])) for one in found]
