"""What an organization offers: the messages of each table (`sdkmessagefilters`) and its languages."""

from __future__ import annotations

import json
import uuid
from typing import Any

from local.dataverse import errors, filters, selection
from local.dataverse.call import Call, json_response
from local.dataverse.describe import ENGLISH
from local.dataverse.expansions import split
from local.dataverse.metadata import PACKAGING, STANDARD, Table
from local.dataverse.paths import Segment
from local.dataverse.wire import Response

READING = ("Retrieve", "RetrieveMultiple")
WRITING = ("Create", "Update", "Delete", "CreateMultiple", "UpdateMultiple", "UpsertMultiple")
ONE_BY_ONE = ("Create", "Update", "Delete")
OPTIONS = frozenset({"$select", "$filter", "$expand", "tag"})


def messages(table: Table) -> tuple[str, ...]:
    """Return the messages that a table takes. DeleteMultiple is for elastic tables only."""
    if table.logical_name == "solutioncomponent" or table.kind != STANDARD:
        return READING
    return (*READING, *(ONE_BY_ONE if table.logical_name in PACKAGING else WRITING))


def message_filters(call: Call, path: list[Segment]) -> Response:
    """Answer a query of sdkmessagefilters: which message is there for which table. Raises DataverseError."""
    call.kind = "metadata read"
    if call.method != "GET":
        raise errors.method_not_allowed(call.method)
    if len(path) > 1 or path[0].predicate is not None or (more := set(call.options) - OPTIONS):
        what = f"'{call.path}?{call.query}'" if len(path) > 1 or path[0].predicate is not None else f"'{min(more)}'"
        raise errors.not_supported(what)
    text = call.options.get("$filter")
    tree = filters.parse(text) if text else None
    expand = call.options.get("$expand")
    shown = []
    for one in _all(call):
        if tree is None or filters.matches(tree, one):
            found = _chosen({name: value for name, value in one.items() if name != "sdkmessageid"}, call)
            shown.append({**found, **_expanded(one, expand)} if expand else found)
    context = f"{call.base}$metadata#sdkmessagefilters"
    return json_response(json.dumps({"@odata.context": context, "value": shown}))


def _all(call: Call) -> list[dict[str, Any]]:
    root = uuid.UUID(call.organization.id)
    found = []
    for table in call.organization.catalog.tables.values():
        for name in messages(table):
            message = {"sdkmessageid": str(uuid.uuid5(root, f"message {name}")), "name": name}
            identity = str(uuid.uuid5(root, f"message {name} of {table.logical_name}"))
            found.append(
                {
                    "sdkmessagefilterid": identity,
                    "primaryobjecttypecode": table.logical_name,
                    "_sdkmessageid_value": message["sdkmessageid"],
                    "sdkmessageid": message,
                }
            )
    return found


def _chosen(found: dict[str, Any], call: Call) -> dict[str, Any]:
    if "$select" not in call.options:
        return found
    chosen = selection.chosen(found, call.options["$select"])
    return {**chosen, "sdkmessagefilterid": found["sdkmessagefilterid"]}


def _expanded(one: dict[str, Any], expand: str) -> dict[str, Any]:
    for part in split(expand, ","):
        name, _, options = part.strip().partition("(")
        if name != "sdkmessageid" or (options and not options.startswith("$select=")):
            what = f"$expand={expand}"
            raise errors.not_supported(what)
    select = expand.partition("$select=")[2].removesuffix(")")
    message = one["sdkmessageid"]
    return {"sdkmessageid": {**selection.chosen(message, select), "sdkmessageid": message["sdkmessageid"]}}


def languages(call: Call, _: list[Segment]) -> Response:
    """Answer RetrieveAvailableLanguages: English alone."""
    call.kind = "metadata read"
    if call.method != "GET":
        raise errors.method_not_allowed(call.method)
    context = f"{call.base}$metadata#Microsoft.Dynamics.CRM.RetrieveAvailableLanguagesResponse"
    return json_response(json.dumps({"@odata.context": context, "LocaleIds": [ENGLISH]}))
