"""The operators of FetchXML and QueryExpression as SQL: `condition` takes a column, its SQL name, and texts."""

from __future__ import annotations

from typing import Any

from local.dataverse.conditions import EXPECTED, Sql, number
from local.dataverse.errors import invalid_argument, not_supported
from local.dataverse.metadata import LOOKUPS, Column
from local.dataverse.values import any_guid

COMPARISONS = {"eq": "=", "ne": "<>", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
DAYS = {"on": "=", "not-on": "<>", "on-or-before": "<=", "on-or-after": ">="}
PATTERNS = {"like": "{}", "begins-with": "{}%", "ends-with": "%{}", "contains": "%{}%"}
NEGATED = {
    "not-like": "like", "not-begin-with": "begins-with", "not-end-with": "ends-with", "not-contains": "contains",
    "not-in": "in", "not-between": "between", "not-null": "null",
}  # fmt: skip
NAMES = {
    "Equal": "eq", "NotEqual": "ne", "GreaterThan": "gt", "GreaterEqual": "ge", "LessThan": "lt", "LessEqual": "le",
    "Like": "like", "NotLike": "not-like", "BeginsWith": "begins-with", "DoesNotBeginWith": "not-begin-with",
    "EndsWith": "ends-with", "DoesNotEndWith": "not-end-with", "Contains": "contains", "DoesNotContain": "not-contains",
    "In": "in", "NotIn": "not-in", "Between": "between", "NotBetween": "not-between", "Null": "null",
    "NotNull": "not-null", "On": "on", "NotOn": "not-on", "OnOrBefore": "on-or-before", "OnOrAfter": "on-or-after",
}  # fmt: skip
"""The operators of QueryExpression by those of FetchXML."""
COUNTS = {"null": (0, 0), "between": (2, 2), "in": (1, 2_000)}


def condition(column: Column, operand: str, operator: str, texts: list[str]) -> Sql:
    """Return the condition of an operator. Raises DataverseError for one that is not served.

    Empty values pass the negated ones, as Dataverse's own SQL has them pass.
    """
    operator = {"neq": "ne"}.get(operator, operator)
    positive = NEGATED.get(operator, operator)
    if positive not in {*COMPARISONS, *DAYS, *PATTERNS, *COUNTS}:
        what = f"The operator '{operator}'"
        raise not_supported(what)
    least, most = COUNTS.get(positive, (1, 1))
    if not least <= len(texts) <= most:
        reason = (
            f"The operator '{operator}' takes {least} to {most} values; '{column.logical_name}' is given {len(texts)}."
        )
        raise invalid_argument(reason)
    sql, arguments = _positive(column, operand, positive, texts)
    if positive == "null":
        return (sql if operator == "null" else f"{operand} IS NOT NULL"), []
    if operator in NEGATED:
        return f"(NOT {sql} OR {operand} IS NULL)", arguments
    return (f"({sql} OR {operand} IS NULL)" if operator in ("ne", "not-on") else sql), arguments


def _positive(column: Column, operand: str, operator: str, texts: list[str]) -> Sql:
    if operator == "null":
        return f"{operand} IS NULL", []
    if operator in PATTERNS:
        return like(operand, PATTERNS[operator].format(texts[0]))
    if operator in DAYS:
        return f"substr({operand}, 1, 10) {DAYS[operator]} ?", [texts[0][:10]]
    found = [value(column, text) for text in texts]
    if operator == "between":
        return f"({operand} BETWEEN ? AND ?)", found
    if operator == "in":
        return f"{operand} IN ({', '.join('?' * len(found))})", found
    return f"{operand} {COMPARISONS[operator]} ?", found


def like(operand: str, pattern: str) -> Sql:
    """Return the condition of LIKE. SQL Server's sets of characters (`[a-c]`) are not served."""
    if "[" in pattern:
        what = f"A set of characters in the pattern '{pattern}'"
        raise not_supported(what)
    return f"{operand} LIKE ?", [pattern]


def value(column: Column, text: str) -> Any:
    """Return a text as SQLite compares it with a column. Raises DataverseError."""
    expected = "guid" if column.kind in LOOKUPS else EXPECTED.get(column.kind, "number")
    if expected == "boolean":
        if text.lower() not in ("true", "false", "0", "1"):
            reason = f"'{text}' is no value of '{column.logical_name}'."
            raise invalid_argument(reason)
        return int(text.lower() in ("true", "1"))
    if expected == "guid":
        try:
            return any_guid(text)
        except ValueError:
            reason = f"'{text}' is no value of '{column.logical_name}'."
            raise invalid_argument(reason) from None
    return number(text) if expected == "number" else text
