"""The $filter language: comparisons, and, or, not, null, startswith, contains, endswith, and the In function.

`parse` returns a tree; `to_sql` makes a WHERE condition of it, `matches` applies it to metadata kept in memory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.dataverse.errors import bad_query, not_supported, unknown_property
from local.dataverse.metadata import LOOKUPS, Column, Table
from local.dataverse.storage import quoted

TOKEN = re.compile(
    r"\s*(?:(?P<guid>[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})"
    r"|(?P<time>\d{4}-\d{2}-\d{2}(?:T[0-9:.]+(?:Z|[+-]\d{2}:\d{2}))?)"
    r"|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"|'(?P<text>(?:[^']|'')*)'"
    r'|"(?P<quoted>[^"]*)"'
    r"|(?P<name>[A-Za-z_][\w./]*)"
    r"|(?P<mark>[(),=\[\]]))"
)
OPERATORS = {"eq": "=", "ne": "<>", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
FUNCTIONS = ("contains", "startswith", "endswith")
IN = "Microsoft.Dynamics.CRM.In"


@dataclass(frozen=True, slots=True)
class Literal:
    """A value in a filter. `kind` is guid, time, number, text, boolean or null."""

    kind: str
    value: Any


@dataclass(frozen=True, slots=True)
class Compare:
    """`property operator literal`, or `function(property, literal)`."""

    name: str
    operator: str
    literal: Literal


@dataclass(frozen=True, slots=True)
class Among:
    """`Microsoft.Dynamics.CRM.In(PropertyName='x',PropertyValues=['a','b'])`."""

    name: str
    literals: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Logic:
    """Conditions joined by `and` or `or`; `not` has one."""

    operator: str
    parts: tuple[Node, ...]


Node = Compare | Among | Logic


def parse(text: str) -> Node:
    """Return the tree of a filter. Raises DataverseError."""
    parser = _Parser(text)
    try:
        tree = parser.either()
    except RecursionError:
        raise parser.error() from None
    if parser.tokens:
        raise parser.error()
    return tree


class _Parser:
    """Recursive descent over the tokens that are left."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        position, end = 0, len(text.rstrip())
        while position < end:
            match = TOKEN.match(text, position)
            if match is None:
                raise self.error()
            self.tokens.append((str(match.lastgroup), match[str(match.lastgroup)]))
            position = match.end()

    def error(self) -> Exception:
        reason = f"Syntax error in the filter '{self.text}'."
        return bad_query(reason)

    def ahead(self) -> str:
        return self.tokens[0][1] if self.tokens and self.tokens[0][0] in ("name", "mark") else ""

    def take(self, expected: str = "") -> tuple[str, str]:
        if not self.tokens or (expected and self.ahead() != expected):
            raise self.error()
        return self.tokens.pop(0)

    def either(self) -> Node:
        return self.joined("or", lambda: self.joined("and", self.single))

    def joined(self, word: str, part: Any) -> Node:
        parts = [part()]
        while self.ahead() == word:
            self.take()
            parts.append(part())
        return parts[0] if len(parts) == 1 else Logic(word, tuple(parts))

    def single(self) -> Node:
        if self.ahead() == "not":
            self.take()
            return Logic("not", (self.single(),))
        if self.ahead() == "(":
            self.take()
            inner = self.either()
            self.take(")")
            return inner
        kind, name = self.take()
        if kind != "name":
            raise self.error()
        return self.function(name) if self.ahead() == "(" else self.comparison(name)

    def comparison(self, name: str) -> Node:
        operator = self.take()[1]
        if operator not in OPERATORS:
            raise self.error()
        return Compare(name, operator, self.literal())

    def function(self, name: str) -> Node:
        if name == IN:
            return self.among()
        if name not in FUNCTIONS:
            what = f"The function '{name}' in $filter"
            raise not_supported(what)
        self.take("(")
        column = self.take()[1]
        self.take(",")
        literal = self.literal()
        self.take(")")
        return Compare(column, name, literal)

    def among(self) -> Node:
        for expected in ("(", "PropertyName", "="):
            self.take(expected)
        name = str(self.literal().value)
        for expected in (",", "PropertyValues", "=", "["):
            self.take(expected)
        literals = [self.literal()]
        while self.ahead() == ",":
            self.take()
            literals.append(self.literal())
        for expected in ("]", ")"):
            self.take(expected)
        return Among(name, tuple(literals))

    def literal(self) -> Literal:
        kind, text = self.take()
        if kind in ("text", "quoted"):
            return Literal("text", text.replace("''", "'") if kind == "text" else text)
        if kind == "number":
            return Literal("number", int(text) if re.fullmatch(r"-?\d+", text) else float(text))
        if kind == "name" and text in ("true", "false"):
            return Literal("boolean", text == "true")
        if kind == "name" and text == "null":
            return Literal("null", None)
        if kind in ("guid", "time"):
            return Literal(kind, text.lower() if kind == "guid" else text)
        raise self.error()


def to_sql(tree: Node, table: Table) -> tuple[str, list[Any]]:
    """Return a WHERE condition and its arguments. Raises DataverseError for unknown columns and mismatched types."""
    if isinstance(tree, Logic):
        parts = [to_sql(part, table) for part in tree.parts]
        arguments = [argument for _, found in parts for argument in found]
        if tree.operator == "not":
            return f"NOT ({parts[0][0]})", arguments
        return "(" + f" {tree.operator.upper()} ".join(sql for sql, _ in parts) + ")", arguments
    column = _column(table, tree.name)
    if isinstance(tree, Among):
        arguments = [_argument(column, literal, loose=True) for literal in tree.literals]
        return f"{_operand(column)} IN ({', '.join('?' * len(arguments))})", arguments
    return _compare(column, tree)


def _column(table: Table, name: str) -> Column:
    column = table.properties.get(name)
    if column is None:
        if "/" in name:
            what = f"The path '{name}' in $filter"
            raise not_supported(what)
        raise unknown_property(name, table.logical_name)
    return column


def _operand(column: Column) -> str:
    name = quoted(column.logical_name)
    return f"CAST({name} AS REAL)" if column.kind in ("Decimal", "Money") else name


def _compare(column: Column, tree: Compare) -> tuple[str, list[Any]]:
    operand = _operand(column)
    if tree.operator in FUNCTIONS:
        text = str(tree.literal.value).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        before, after = tree.operator != "startswith", tree.operator != "endswith"
        return f"{operand} LIKE ? ESCAPE '\\'", ["%" * before + text + "%" * after]
    if tree.literal.kind == "null":
        if tree.operator not in ("eq", "ne"):
            reason = f"null cannot be compared by '{tree.operator}'."
            raise bad_query(reason)
        return f"{operand} IS {'NOT ' * (tree.operator == 'ne')}NULL", []
    argument = _argument(column, tree.literal)
    if tree.operator == "ne":
        return f"{operand} IS NOT ?", [argument]
    return f"{operand} {OPERATORS[tree.operator]} ?", [argument]


def _argument(column: Column, literal: Literal, *, loose: bool = False) -> Any:
    """Return a literal as SQLite compares it. `loose`: the In function takes every value as a text."""
    kinds = {"String": "text", "Memo": "text", "DateTime": "time", "Boolean": "boolean", "Uniqueidentifier": "guid"}
    expected = "guid" if column.kind in LOOKUPS else kinds.get(column.kind, "number")
    if loose and literal.kind == "text":
        text = str(literal.value)
        return text.lower() if expected == "guid" else _number(text) if expected == "number" else text
    if literal.kind != expected:
        reason = (
            "A binary operator with incompatible types was detected. "
            f"'{column.property_name}' cannot be compared with a {literal.kind}."
        )
        raise bad_query(reason)
    return literal.value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        reason = f"'{text}' is not a number."
        raise bad_query(reason) from None


def matches(tree: Node, properties: Mapping[str, Any]) -> bool:
    """Apply a filter to one object of metadata: eq, ne, startswith, contains, endswith, In, and, or, not."""
    if isinstance(tree, Logic):
        results = (matches(part, properties) for part in tree.parts)
        return not next(results) if tree.operator == "not" else (all if tree.operator == "and" else any)(results)
    if tree.name not in properties:
        reason = f"Could not find a property named '{tree.name}'."
        raise bad_query(reason)
    value = properties[tree.name]
    if isinstance(tree, Among):
        return any(value == literal.value for literal in tree.literals)
    wanted = tree.literal.value
    if tree.operator in ("eq", "ne"):
        return bool((value == wanted) == (tree.operator == "eq"))
    if tree.operator not in FUNCTIONS:
        what = f"'{tree.operator}' in a filter of metadata"
        raise not_supported(what)
    text = str(value)
    return bool(
        {"contains": wanted in text, "startswith": text.startswith(wanted)}.get(tree.operator, text.endswith(wanted))
    )
