"""Requests on system users: the privileges of the calling one. There are no other users here."""

from __future__ import annotations

import json

from local.dataverse import access, errors
from local.dataverse.call import Call, json_response
from local.dataverse.paths import Segment
from local.dataverse.wire import Response

FUNCTION = "Microsoft.Dynamics.CRM.RetrieveUserPrivileges"


def answer(call: Call, path: list[Segment]) -> Response:
    """Answer `systemusers(<id>)/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()`. Raises DataverseError."""
    function = path[1] if len(path) == 2 else None
    if path[0].predicate is None or function is None or function.name != FUNCTION or function.predicate:
        raise errors.not_supported(f"'{call.path}'")
    if call.method != "GET":
        raise errors.method_not_allowed(call.method)
    if path[0].predicate.lower() != call.user_id:
        raise errors.not_supported(f"RetrieveUserPrivileges for another user than the caller ({call.user_id})")
    context = f"{call.base}$metadata#Microsoft.Dynamics.CRM.RetrieveUserPrivilegesResponse"
    return json_response(json.dumps({"@odata.context": context, "RolePrivileges": access.held(call.organization)}))
