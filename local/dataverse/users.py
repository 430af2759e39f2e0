"""Requests on system users: the privileges of the calling one. There are no other users here, and no teams."""

from __future__ import annotations

import json
import re
from typing import Any

from local.dataverse import access, errors
from local.dataverse.call import Call, json_response
from local.dataverse.paths import Segment
from local.dataverse.wire import Response

ALL = "RetrieveUserPrivileges"
SOME = "RetrieveUserSetOfPrivilegesByIds"
ALIAS = re.compile(r"\s*PrivilegeIds\s*=\s*(@\w+)\s*")


def answer(call: Call, path: list[Segment]) -> Response:
    """Answer the two functions of `systemusers(<id>)/Microsoft.Dynamics.CRM.` above. Raises DataverseError."""
    function = path[1] if len(path) == 2 else None
    name = function.name.removeprefix("Microsoft.Dynamics.CRM.") if function else ""
    if path[0].predicate is None or function is None or name == function.name or name not in {ALL, SOME}:
        raise errors.not_supported(f"'{call.path}'")
    if call.method != "GET":
        raise errors.method_not_allowed(call.method)
    if path[0].predicate.lower() != call.user_id:
        raise errors.not_supported(f"{name} for another user than the caller ({call.user_id})")
    held = access.held(call.organization)
    if name == SOME:
        wanted = _wanted(call, function.predicate or "")
        held = [one for one in held if str(one["PrivilegeId"]) in wanted]
    elif function.predicate:
        raise errors.not_supported(f"'{call.path}'")
    context = f"{call.base}$metadata#Microsoft.Dynamics.CRM.{name}Response"
    return json_response(json.dumps({"@odata.context": context, "RolePrivileges": held}))


def _wanted(call: Call, predicate: str) -> set[str]:
    """Return the ids of a parameter that is given by an alias: `(PrivilegeIds=@p)?@p=["...","..."]`."""
    alias = ALIAS.fullmatch(predicate)
    try:
        ids: Any = json.loads(call.options.get(alias[1], "") if alias else "")
    except ValueError:
        ids = None
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise errors.not_supported(f"'{call.path}': PrivilegeIds by anything but an alias of a JSON array")
    return {one.lower() for one in ids}
