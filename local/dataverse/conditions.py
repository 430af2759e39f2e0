"""Filters of rows as SQL: a tree of filters.py becomes a WHERE condition.

A path over lookups (`parentcustomerid_account/name`) is a subquery for the value, so a row without the lookup has null
there; `any` and `all` ask for rows of a collection.
"""

from __future__ import annotations

import re
from typing import Any

from local.dataverse import access, filters
from local.dataverse.errors import bad_query, unknown_property
from local.dataverse.filters import FUNCTIONS, OPERATORS, Among, Compare, Literal, Logic, Node, Quantified
from local.dataverse.metadata import LOOKUPS, MANY_TARGETS, Column, Table
from local.dataverse.organization import Organization
from local.dataverse.storage import quoted, type_column
from local.dataverse.values import GUID

Sql = tuple[str, list[Any]]
EXPECTED = {"String": "text", "Memo": "text", "DateTime": "time", "Boolean": "boolean", "Uniqueidentifier": "guid"}


def where(organization: Organization, text: str, table: Table) -> Sql:
    """Return the condition of a $filter on a table and its arguments. Raises DataverseError."""
    return _Scope(organization, table, quoted(table.logical_name), 0).condition(filters.parse(text))


def like(operand: str, text: str, *, before: bool, after: bool) -> Sql:
    """Return the condition that a text begins with, ends with or contains another one."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"{operand} LIKE ? ESCAPE '\\'", ["%" * before + escaped + "%" * after]


def numeric(column: Column, name: str) -> str:
    """Return a column's SQL name as it compares and sorts: decimals are stored as texts."""
    return f"CAST({name} AS REAL)" if column.kind in ("Decimal", "Money") else name


class _Scope:
    """The rows that a condition is about: a table and its SQL name. `depth` numbers the subqueries inside."""

    def __init__(self, organization: Organization, table: Table, name: str, depth: int) -> None:
        self.organization = organization
        self.table = table
        self.name = name
        self.depth = depth

    def condition(self, tree: Node) -> Sql:
        if isinstance(tree, Logic):
            parts = [self.condition(part) for part in tree.parts]
            arguments = [argument for _, found in parts for argument in found]
            if tree.operator == "not":
                return f"NOT ({parts[0][0]})", arguments
            return "(" + f" {tree.operator.upper()} ".join(sql for sql, _ in parts) + ")", arguments
        if isinstance(tree, Quantified):
            return self.quantified(tree)
        column, operand, before = self.operand(tree.name)
        if isinstance(tree, Among):
            found = [argument(column, literal, loose=True) for literal in tree.literals]
            if tree.operator.endswith("between"):
                return f"{operand} {tree.operator.upper()} ? AND ?", [*before, *found]
            return f"{operand} {tree.operator.upper()} ({', '.join('?' * len(found))})", [*before, *found]
        sql, arguments = _compare(column, operand, tree)
        return sql, [*before, *arguments]

    def operand(self, path: str) -> tuple[Column, str, list[Any]]:
        """Return the column that a path ends at, its SQL and the arguments in it. Raises DataverseError."""
        first, _, rest = path.partition("/")
        if not rest:
            column = self.table.properties.get(first)
            if column is None:
                raise unknown_property(first, self.table.logical_name)
            return column, numeric(column, f"{self.name}.{quoted(column.logical_name)}"), []
        navigation = self.organization.catalog.navigations(self.table.logical_name).get(first)
        if navigation is None:
            raise unknown_property(first, self.table.logical_name)
        inner = self.inside(self.organization.catalog.tables[navigation.referenced])
        column, operand, before = inner.operand(rest)
        lookup = f"{self.name}.{quoted(navigation.column)}"
        conditions = [f"{inner.name}.{quoted(inner.table.primary_id)} = {lookup}"]
        if self.table.columns[navigation.column].kind == MANY_TARGETS:
            kind = f"{self.name}.{quoted(type_column(navigation.column))}"
            conditions.append(f"{kind} = '{navigation.referenced}'")
        sql, arguments = inner.readable(conditions)
        # SQLite forgets a column's collation behind a subquery.
        collation = " COLLATE NOCASE" if column.kind in ("String", "Memo") else ""
        found = f"(SELECT {operand} FROM {inner.source()} WHERE {sql}){collation}"
        return column, found, [*before, *arguments]

    def quantified(self, tree: Quantified) -> Sql:
        """Return the condition of any or all. Raises DataverseError for what is no collection of rows."""
        relationship = self.organization.catalog.collections(self.table.logical_name).get(tree.name)
        if relationship is None:
            raise unknown_property(tree.name, self.table.logical_name)
        inner = self.inside(self.organization.catalog.tables[relationship.referencing])
        key = f"{self.name}.{quoted(self.table.primary_id)}"
        conditions = [f"{inner.name}.{quoted(relationship.column)} = {key}"]
        if inner.table.columns[relationship.column].kind == MANY_TARGETS:
            kind = f"{inner.name}.{quoted(type_column(relationship.column))}"
            conditions.append(f"{kind} = '{relationship.referenced}'")
        sql, arguments = inner.readable(conditions)
        if tree.inner is not None:
            within, more = inner.condition(tree.inner)
            # A comparison with an empty value is unknown in SQL: for "all" such a row does not satisfy.
            sql += f" AND NOT coalesce({within}, 0)" if tree.quantifier == "all" else f" AND {within}"
            arguments += more
        exists = "NOT EXISTS" if tree.quantifier == "all" else "EXISTS"
        return f"{exists} (SELECT 1 FROM {inner.source()} WHERE {sql})", arguments

    def inside(self, table: Table) -> _Scope:
        return _Scope(self.organization, table, f"r{self.depth + 1}", self.depth + 1)

    def source(self) -> str:
        return f"{quoted(self.table.logical_name)} AS {self.name}"

    def readable(self, conditions: list[str]) -> Sql:
        """Join conditions with the one for the rows that the user may read."""
        reached = access.reached(self.organization, self.table)
        if reached is None:
            return " AND ".join(conditions), []
        return " AND ".join([*conditions, f"{self.name}.{reached[0]}"]), list(reached[1])


def _compare(column: Column, operand: str, tree: Compare) -> Sql:
    if tree.operator in FUNCTIONS:
        before, after = tree.operator != "startswith", tree.operator != "endswith"
        return like(operand, str(tree.literal.value), before=before, after=after)
    if tree.literal.kind == "null":
        if tree.operator not in ("eq", "ne"):
            reason = f"null cannot be compared by '{tree.operator}'."
            raise bad_query(reason)
        return f"{operand} IS {'NOT ' * (tree.operator == 'ne')}NULL", []
    value = argument(column, tree.literal)
    if tree.operator == "ne":
        return f"{operand} IS NOT ?", [value]
    return f"{operand} {OPERATORS[tree.operator]} ?", [value]


def argument(column: Column, literal: Literal, *, loose: bool = False) -> Any:
    """Return a literal as SQLite compares it. `loose`: functions of lists take every value as a text."""
    expected = "guid" if column.kind in LOOKUPS else EXPECTED.get(column.kind, "number")
    if loose and literal.kind == "text":
        return _from_text(expected, str(literal.value))
    if expected == "guid" and literal.kind == "text" and GUID.fullmatch(str(literal.value)):
        return str(literal.value).lower()  # not documented, but Microsoft's samples of its Python client send it
    if literal.kind != expected:
        reason = (
            "A binary operator with incompatible types was detected. "
            f"'{column.property_name}' cannot be compared with a {literal.kind}."
        )
        raise bad_query(reason)
    return literal.value


def _from_text(expected: str, text: str) -> Any:
    if expected == "boolean" and text.lower() in ("true", "false", "0", "1"):
        return text.lower() in ("true", "1")
    if expected == "number":
        return number(text)
    return text.lower() if expected == "guid" else text


def number(text: str) -> float:
    """Return the number that a text is. Raises DataverseError."""
    if not re.fullmatch(r"\s*-?\d+(\.\d+)?([eE][+-]?\d+)?\s*", text):
        reason = f"'{text}' is not a number."
        raise bad_query(reason)
    return float(text)
