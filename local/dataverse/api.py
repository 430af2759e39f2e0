"""Which resource of the Web API a call is for."""

from __future__ import annotations

import json
from collections.abc import Callable

from local.dataverse import (
    access,
    batch,
    bulkdelete,
    changes,
    csdl,
    definitions,
    entities,
    errors,
    fetchxml,
    filecolumns,
    intersections,
    metadataquery,
    offers,
    paths,
    relationships,
    rows,
    sqlquery,
    users,
)
from local.dataverse.call import Call, error_response, json_response
from local.dataverse.errors import DataverseError
from local.dataverse.metadata import PACKAGING, Table
from local.dataverse.paths import Segment
from local.dataverse.wire import Response

QUERIES: dict[str, Callable[[Call, Table], Response]] = {"fetchXml": fetchxml.answer, "sql": sqlquery.answer}
NOT_HERE = frozenset(
    {
        "GlobalOptionSetDefinitions", "RetrieveTotalRecordCount", "RetrieveVersion", "RetrieveCurrentOrganization",
        "InitializeFileBlocksUpload", "UploadBlock", "CommitFileBlocksUpload", "InitializeFileBlocksDownload",
        "DownloadBlock", "DeleteFile", "ExportSolution", "ImportSolution", "Merge", "ExecuteWorkflow", "sdkmessages",
        "teams", "businessunits", "roles",
    }
)  # fmt: skip
"""What the real service has, and a client may ask for, but nothing here answers."""


def dispatch(call: Call) -> Response:
    """Answer a call; refusals become answers. Counts it for the statistics."""
    call.organization.statistics.begin(call.headers)
    try:
        response = _answer(call)
    except DataverseError as error:
        response = error_response(error)
    call.organization.statistics.request(call.kind, call.table, response.status)
    return response


def _answer(call: Call) -> Response:
    call.organization.caller = call.user_id
    access.check_bypass(call.organization, call.headers)
    if not call.path.strip("/"):
        return _service_document(call)
    path = paths.segments(call.path)
    name = path[0].name.removesuffix("()")
    if name in RESOURCES:
        return RESOURCES[name](call, path)
    table = call.organization.catalog.sets.get(name)
    if table is None:
        if name in NOT_HERE:
            raise errors.not_supported(f"'{name}'")
        raise errors.unknown_segment(name)
    try:
        return _rows(call, table, path)
    finally:
        if table.logical_name in PACKAGING:
            call.kind = "metadata read" if call.method == "GET" else "metadata write"


def _rows(call: Call, table: Table, path: list[Segment]) -> Response:
    """Answer on rows of a table, and on what else is below an entity set."""
    if len(path) == 1 and path[0].predicate is None:
        for option, answer in QUERIES.items():
            if option in call.options:
                return answer(call, table)
    if len(path) == 1 or path[0].predicate is None:
        if len(path) == 2 and path[1].name == "$count" and changes.asked_for(call):
            return changes.count(call, table)
        return rows.answer(call, table, path)
    name = path[1].name
    if pairs := call.organization.catalog.paired(table.logical_name).get(name):
        return intersections.answer(call, table, pairs, path)
    column = table.columns.get(name)
    if column is not None and column.is_file:
        return filecolumns.answer(call, table, column, path)
    return rows.answer(call, table, path)


def _batch(call: Call, _: list[Segment]) -> Response:
    if call.method != "POST":
        raise errors.method_not_allowed(call.method)
    return batch.answer(call, dispatch)


def _who_am_i(call: Call, _: list[Segment]) -> Response:
    call.kind = "WhoAmI"
    if call.method != "GET":
        raise errors.method_not_allowed(call.method)
    body = {
        "@odata.context": f"{call.base}$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse",
        "BusinessUnitId": call.organization.business_unit_id,
        "UserId": call.user_id,
        "OrganizationId": call.organization.id,
    }
    return json_response(json.dumps(body))


def _service_document(call: Call) -> Response:
    if call.method != "GET":
        raise errors.method_not_allowed(call.method)
    sets = [{"name": name, "kind": "EntitySet", "url": name} for name in sorted(call.organization.catalog.sets)]
    return json_response(json.dumps({"@odata.context": f"{call.base}$metadata", "value": sets}))


RESOURCES: dict[str, Callable[[Call, list[Segment]], Response]] = {
    "$batch": _batch,
    "$metadata": csdl.answer,
    "WhoAmI": _who_am_i,
    "Microsoft.Dynamics.CRM.WhoAmI": _who_am_i,
    "systemusers": users.answer,
    "EntityDefinitions": definitions.answer_tables,
    "RelationshipDefinitions": relationships.answer_relationships,
    "CreateEntities": entities.create,
    "BulkDelete": bulkdelete.submit,
    "asyncoperations": bulkdelete.job,
    "bulkdeleteoperations": bulkdelete.job,
    "RetrieveMetadataChanges": metadataquery.answer,
    "RetrieveAvailableLanguages": offers.languages,
    "sdkmessagefilters": offers.message_filters,
    "PublishXml": definitions.publish,
    "PublishAllXml": definitions.publish,
}
