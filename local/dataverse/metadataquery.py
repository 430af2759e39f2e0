"""RetrieveMetadataChanges: metadata of tables by a query in JSON (EntityQueryExpression).

Everything that matches is answered: a ClientVersionStamp, with which only changes come, is not served.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from local.dataverse import describe, errors
from local.dataverse.call import Call, json_response
from local.dataverse.metadata import Table
from local.dataverse.organization import Organization
from local.dataverse.paths import Segment
from local.dataverse.wire import Response

PARAMETER = re.compile(r"\s*Query\s*=\s*(@\w+)\s*")
Shown = dict[str, Any]


def answer(call: Call, path: list[Segment]) -> Response:
    """Answer `RetrieveMetadataChanges(Query=@p)?@p={...}`. Raises DataverseError."""
    call.kind = "metadata read"
    if call.method != "GET":
        raise errors.method_not_allowed(call.method)
    match = PARAMETER.fullmatch(path[0].predicate or "")
    if len(path) > 1 or match is None:
        what = f"'{call.path}': anything but Query by an alias"
        raise errors.not_supported(what)
    try:
        query = json.loads(call.options.get(match[1], ""))
    except ValueError:
        query = None
    if not isinstance(query, dict):
        raise errors.invalid_argument("The parameter 'Query' must be an EntityQueryExpression.")
    organization = call.organization
    found = []
    for table in organization.catalog.tables.values():
        shown = describe.table(organization, table)
        if _passes(shown, query.get("Criteria")):
            found.append(_chosen(shown, query.get("Properties")) | _parts(organization, table, query))
    context = f"{call.base}$metadata#Microsoft.Dynamics.CRM.RetrieveMetadataChangesResponse"
    stamp = f"{organization.store.version}!"
    body = {"@odata.context": context, "ServerVersionStamp": stamp, "EntityMetadata": found, "DeletedMetadata": None}
    return json_response(json.dumps(body))


def _parts(organization: Organization, table: Table, query: Shown) -> Shown:
    """Return the columns, keys and relationships of a table, those that its Properties name."""
    catalog, name = organization.catalog, table.logical_name
    listed: dict[str, tuple[str, Callable[[], list[Shown]]]] = {
        "Attributes": (
            "AttributeQuery",
            lambda: [_attribute(organization, table, column) for column in table.columns.values()],
        ),
        "Keys": ("KeyQuery", lambda: [describe.key(organization, table, key) for key in table.keys.values()]),
        "ManyToOneRelationships": (
            "RelationshipQuery",
            lambda: [describe.relationship(organization, one) for one in catalog.navigations(name).values()],
        ),
        "OneToManyRelationships": (
            "RelationshipQuery",
            lambda: [describe.relationship(organization, one) for one in catalog.collections(name).values()],
        ),
    }
    wanted = query.get("Properties") or {}
    names = listed if wanted.get("AllProperties") else set(wanted.get("PropertyNames") or [])
    found = {}
    for part, (inner, read) in listed.items():
        if part in names:
            options = query.get(inner) or {}
            passing = [one for one in read() if _passes(one, options.get("Criteria"))]
            found[part] = [_chosen(one, options.get("Properties")) for one in passing]
    return found


def _attribute(organization: Organization, table: Table, column: Any) -> Shown:
    shown = describe.column(organization, table, column)
    if column.kind in ("Picklist", "State", "Status", "Boolean"):
        shown["OptionSet"] = describe.option_set(organization, table, column)
    return shown


def _chosen(shown: Shown, properties: Any) -> Shown:
    """Return the properties that are asked for, all without a choice; a name that is not there is passed over."""
    if not properties or properties.get("AllProperties"):
        return shown
    names = {"MetadataId", "@odata.type", *(properties.get("PropertyNames") or [])}
    return {name: value for name, value in shown.items() if name in names}


def _passes(shown: Shown, criteria: Any) -> bool:
    if not criteria:
        return True
    if not isinstance(criteria, dict):
        raise errors.invalid_argument("Criteria must be a MetadataFilterExpression.")
    results = [_holds(shown, one) for one in criteria.get("Conditions") or []]
    results += [_passes(shown, one) for one in criteria.get("Filters") or []]
    return any(results) if criteria.get("FilterOperator") == "Or" else all(results)


def _holds(shown: Shown, condition: Any) -> bool:
    if not isinstance(condition, dict):
        raise errors.invalid_argument("A condition must be a MetadataConditionExpression.")
    name, operator = condition.get("PropertyName"), condition.get("ConditionOperator")
    if name not in shown:
        raise errors.bad_query(f"Could not find a property named '{name}'.")
    given = condition.get("Value")
    wanted = given.get("Value") if isinstance(given, dict) else given
    value = shown[name].get("Value") if isinstance(shown[name], dict) and "Value" in shown[name] else shown[name]
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if operator in ("Equals", "NotEquals"):
        same = text == (str(wanted).lower() if isinstance(value, bool) else str(wanted))
        return same is (operator == "Equals")
    if operator in ("In", "NotIn") and isinstance(wanted, list):
        among = text in [str(one) for one in wanted]
        return among is (operator == "In")
    what = f"The condition operator '{operator}' of a metadata query"
    raise errors.not_supported(what)
