"""BulkDelete: a job that deletes the rows of queries, and what became of it.

The job runs before its answer is sent: whoever polls for its end finds it there. A row that cannot be deleted counts as
a failure and the job goes on, as documented; what it deleted before stays deleted. Of the job's record the columns that
say so can be read.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

from local.dataverse import access, errors, payload, queryexpression, values, writes
from local.dataverse.call import Call, json_response
from local.dataverse.errors import DataverseError
from local.dataverse.metadata import Table
from local.dataverse.organization import Organization
from local.dataverse.paths import Segment
from local.dataverse.privileges import DELETE, READ
from local.dataverse.statement import Statement
from local.dataverse.wire import Response

JOBS = "CREATE TABLE IF NOT EXISTS _job (id TEXT PRIMARY KEY, name TEXT, deleted INTEGER, failed INTEGER, moment TEXT)"
REQUIRED = ("QuerySet", "JobName", "SendEmailNotification", "ToRecipients", "CCRecipients", "RecurrencePattern")
MOST = 1_000_000
COMPLETED, SUCCEEDED = 3, 30


def submit(call: Call, _: list[Segment]) -> Response:
    """Answer POST BulkDelete. Raises DataverseError."""
    call.kind = "BulkDelete"
    if call.method != "POST":
        raise errors.method_not_allowed(call.method)
    if call.organization.store.connection.in_transaction:
        what = "BulkDelete in a change set"
        raise errors.not_supported(what)
    body = payload.parse_object(call.body, "BulkDelete")
    if missing := [name for name in (*REQUIRED, "StartDateTime") if name not in body]:
        raise errors.invalid_argument(f"The required parameter '{missing[0]}' is missing.")
    _check(body)
    statements = [queryexpression.read(call.organization, one) for one in body["QuerySet"]]
    for statement in statements:
        access.require(call.organization, statement.root.table, DELETE, READ)
    deleted, failed = _run(call.organization, statements)
    identity = str(uuid.uuid4())
    with call.organization.transaction():
        call.organization.store.connection.execute(JOBS)
        row = (identity, str(body["JobName"]), deleted, failed, writes.now())
        call.organization.store.write("INSERT INTO _job VALUES (?, ?, ?, ?, ?)", [row])
    context = f"{call.base}$metadata#Microsoft.Dynamics.CRM.BulkDeleteResponse"
    return json_response(json.dumps({"@odata.context": context, "JobId": identity}))


def _check(body: dict[str, Any]) -> None:
    if not isinstance(body["QuerySet"], list) or not body["QuerySet"]:
        raise errors.invalid_argument("The parameter 'QuerySet' must hold queries.")
    try:
        start = values.utc(body["StartDateTime"])
    except ValueError:
        raise errors.wrong_type("BulkDelete", body["StartDateTime"], "Edm.DateTimeOffset") from None
    if start[:19] > writes.now()[:19]:
        what = "A StartDateTime in the future"
        raise errors.not_supported(what)
    if body["RecurrencePattern"] or body["SendEmailNotification"]:
        what = "A RecurrencePattern, or an email notification, of BulkDelete"
        raise errors.not_supported(what)


def _run(organization: Organization, statements: list[Statement]) -> tuple[int, int]:
    deleted = failed = 0
    for statement in statements:
        table = statement.root.table
        for row in statement.rows(organization, MOST):
            if _delete(organization, table, row[1]):
                deleted += 1
            else:
                failed += 1
    return deleted, failed


def _delete(organization: Organization, table: Table, row_id: str) -> bool:
    try:
        with organization.transaction():
            # A cascade of a row before may have taken this one.
            if row_id in organization.store.existing(table, [row_id]):
                writes.delete(organization, table, {row_id})
    except DataverseError:
        return False
    return True


def job(call: Call, path: list[Segment]) -> Response:
    """Answer `asyncoperations(<JobId>)`, and `bulkdeleteoperations` of one job."""
    call.kind = "read"
    if call.method != "GET":
        raise errors.method_not_allowed(call.method)
    call.organization.store.connection.execute(JOBS)
    known = "SELECT id, name, deleted, failed, moment FROM _job WHERE id = ?"
    if path[0].name == "asyncoperations":
        found = call.organization.store.connection.execute(known, ((path[0].predicate or "").lower(),)).fetchone()
        if len(path) > 1 or path[0].predicate is None:
            raise errors.not_supported(f"'{call.path}'")
        if found is None:
            raise errors.does_not_exist("asyncoperation", path[0].predicate)
        context = f"{call.base}$metadata#asyncoperations/$entity"
        return json_response(json.dumps({"@odata.context": context, **_chosen(call, _operation(found))}))
    match = re.fullmatch(rf"\s*_asyncoperationid_value eq ({values.GUID.pattern})\s*", call.options.get("$filter", ""))
    if path[0].predicate is not None or len(path) > 1 or match is None:
        raise errors.not_supported(f"'{call.path}' without $filter=_asyncoperationid_value eq <JobId>")
    rows = call.organization.store.connection.execute(known, (match[1].lower(),)).fetchall()
    shown = [_chosen(call, _bulk_delete(row)) for row in rows]
    return json_response(json.dumps({"@odata.context": f"{call.base}$metadata#bulkdeleteoperations", "value": shown}))


def _operation(row: tuple[Any, ...]) -> dict[str, Any]:
    return {
        "asyncoperationid": row[0], "name": row[1], "operationtype": 13, "statecode": COMPLETED,
        "statuscode": SUCCEEDED, "createdon": row[4], "completedon": row[4], "errorcode": None, "message": None,
    }  # fmt: skip


def _bulk_delete(row: tuple[Any, ...]) -> dict[str, Any]:
    return {
        "bulkdeleteoperationid": str(uuid.uuid5(uuid.UUID(row[0]), "bulkdeleteoperation")), "name": row[1],
        "_asyncoperationid_value": row[0], "successcount": row[2], "failurecount": row[3], "statecode": COMPLETED,
        "statuscode": SUCCEEDED, "createdon": row[4],
    }  # fmt: skip


def _chosen(call: Call, shown: dict[str, Any]) -> dict[str, Any]:
    names = [name.strip() for name in call.options.get("$select", ",".join(shown)).split(",")]
    if unknown := [name for name in names if name not in shown]:
        raise errors.unknown_property(unknown[0], "asyncoperation")
    return {name: shown[name] for name in names}
