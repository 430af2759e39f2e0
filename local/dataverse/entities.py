"""CreateEntities: several tables with their columns in one request, all or none.

Microsoft's Python client sends it; the documents do not show it. Definitions are those of EntityDefinitions with
`Complex` before the name of each type. The answer is not established: its client reads none of it.
"""

from __future__ import annotations

import json
from typing import Any

from local.dataverse import describe, errors, payload, schema, solutions
from local.dataverse.call import Call, json_response
from local.dataverse.columns import PREFIX
from local.dataverse.paths import Segment
from local.dataverse.wire import Response


def create(call: Call, _: list[Segment]) -> Response:
    """Answer POST CreateEntities. Raises DataverseError."""
    call.kind = "metadata write"
    if call.method != "POST":
        raise errors.method_not_allowed(call.method)
    wanted = payload.parse_object(call.body, "CreateEntities").get("Entities")
    if not isinstance(wanted, list) or not wanted or not all(isinstance(one, dict) for one in wanted):
        raise errors.invalid_argument("The required parameter 'Entities' is missing or empty.")
    if name := call.options.get("SolutionUniqueName"):
        call.headers[solutions.HEADER] = name
    made = []
    with call.organization.transaction():
        for body in wanted:
            table = schema.create_table(call.organization, _plain(body))
            solutions.note_table(call, table)
            made.append(describe.metadata_id(call.organization, table.logical_name))
    context = f"{call.base}$metadata#Microsoft.Dynamics.CRM.CreateEntitiesResponse"
    return json_response(json.dumps({"@odata.context": context, "EntityIds": made}))


def _plain(found: Any) -> Any:
    """Return a definition with the types' usual names."""
    if isinstance(found, list):
        return [_plain(one) for one in found]
    if not isinstance(found, dict):
        return found
    return {
        name: value.replace(f"{PREFIX}Complex", PREFIX)
        if name == "@odata.type" and isinstance(value, str)
        else _plain(value)
        for name, value in found.items()
    }
