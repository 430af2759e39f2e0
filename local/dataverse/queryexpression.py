"""QueryExpression in JSON, as BulkDelete is given it: a table and criteria."""

from __future__ import annotations

from typing import Any

from local.dataverse import operators
from local.dataverse.conditions import Sql
from local.dataverse.errors import DataverseError, invalid_argument, not_supported
from local.dataverse.organization import Organization
from local.dataverse.statement import Source, Statement, plain

IGNORED = frozenset({"ColumnSet", "Distinct", "NoLock", "Orders", "PageInfo", "TopCount"})
"""What says nothing about which rows are meant, or is empty."""


def read(organization: Organization, body: Any) -> Statement:
    """Return the query that a QueryExpression is, for primary keys. Raises DataverseError."""
    if not isinstance(body, dict):
        reason = "A QueryExpression is expected."
        raise invalid_argument(reason)
    table = organization.catalog.tables.get(str(body.get("EntityName")))
    if table is None:
        raise DataverseError(400, "0x80041102", f"The entity with a name = '{body.get('EntityName')}' was not found.")
    for name, value in body.items():
        if name not in {"EntityName", "Criteria", *IGNORED} and "@" not in name and value not in (None, [], ""):
            what = f"'{name}' in a QueryExpression"
            raise not_supported(what)
    if body.get("TopCount"):
        what = "'TopCount' in a QueryExpression"
        raise not_supported(what)
    root = Source(table, table.logical_name)
    statement = Statement(root, {root.alias: root})
    statement.outputs.append(plain(root, root.column(table.primary_id), table.primary_id))
    if body.get("Criteria") is not None:
        statement.wheres.append(_filter(root, body["Criteria"]))
    return statement


def _filter(source: Source, body: Any) -> Sql:
    if not isinstance(body, dict) or body.get("FilterOperator", "And") not in ("And", "Or"):
        reason = "A FilterExpression with FilterOperator And or Or is expected."
        raise invalid_argument(reason)
    word = f" {body.get('FilterOperator', 'And').upper()} "
    parts = [_condition(source, one) for one in body.get("Conditions") or []]
    parts += [_filter(source, one) for one in body.get("Filters") or []]
    sql = word.join(f"({part})" for part, _ in parts)
    return (f"({sql})" if parts else "1"), [value for _, found in parts for value in found]


def _condition(source: Source, body: Any) -> Sql:
    values = body.get("Values") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(values or [], list):
        reason = "A ConditionExpression is expected."
        raise invalid_argument(reason)
    column = source.column(str(body.get("AttributeName")))
    operator = operators.NAMES.get(str(body.get("Operator")))
    if operator is None:
        what = f"The operator '{body.get('Operator')}'"
        raise not_supported(what)
    texts = [_text(value) for value in values or []]
    return operators.condition(column, source.operand(column), operator, texts)


def _text(value: Any) -> str:
    """Return a value: it stands alone or as `{"Value": "...", "Type": "System.Guid"}`."""
    if isinstance(value, dict):
        value = value.get("Value")
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, dict | list):
        reason = "A value of a ConditionExpression is expected."
        raise invalid_argument(reason)
    return str(value)
