"""The $filter language: comparisons, and, or, not, null, functions on texts and lists, any and all over collections.

`parse` returns a tree; conditions.py makes a WHERE condition of it, `matches` applies it to metadata kept in memory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.dataverse.errors import bad_query, not_supported

TOKEN = re.compile(
    r"\s*(?:(?P<guid>[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})"
    r"|(?P<time>\d{4}-\d{2}-\d{2}(?:T[0-9:.]+(?:Z|[+-]\d{2}:\d{2}))?)"
    r"|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"|'(?P<text>(?:[^']|'')*)'"
    r'|"(?P<quoted>[^"]*)"'
    r"|(?P<enum>[A-Za-z_][\w.]*\.\w+'[^']*')"
    r"|(?P<name>[A-Za-z_][\w./]*)"
    r"|(?P<mark>[(),=:\[\]]))"
)
OPERATORS = {"eq": "=", "ne": "<>", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
FUNCTIONS = ("contains", "startswith", "endswith")
PREFIX = "Microsoft.Dynamics.CRM."
LISTS = {"In": "in", "NotIn": "not in", "Between": "between", "NotBetween": "not between"}
LAMBDAS = ("any", "all")


@dataclass(frozen=True, slots=True)
class Literal:
    """A value in a filter. `kind` is guid, time, number, text, boolean, null, or enum (`Type'Member'`)."""

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
    """`Microsoft.Dynamics.CRM.In(PropertyName='x',PropertyValues=['a','b'])` and the like. `operator`: see LISTS."""

    name: str
    literals: tuple[Literal, ...]
    operator: str = "in"


@dataclass(frozen=True, slots=True)
class Quantified:
    """`collection/any(x:x/property eq 1)`, or `all`; `inner` None: there is any at all. Names in it lack the `x/`."""

    name: str
    quantifier: str
    inner: Node | None


@dataclass(frozen=True, slots=True)
class Logic:
    """Conditions joined by `and` or `or`; `not` has one."""

    operator: str
    parts: tuple[Node, ...]


Node = Compare | Among | Quantified | Logic


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
        self.variable = ""
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

    def property(self, name: str) -> str:
        """Return a property's name without the variable of the lambda around it."""
        return name.removeprefix(self.variable)

    def comparison(self, name: str) -> Node:
        operator = self.take()[1]
        if operator not in OPERATORS:
            raise self.error()
        return Compare(self.property(name), operator, self.literal())

    def function(self, name: str) -> Node:
        if name.rpartition("/")[2] in LAMBDAS:
            return self.quantified(name)
        if name.startswith(PREFIX) and name.removeprefix(PREFIX) in LISTS:
            return self.among(LISTS[name.removeprefix(PREFIX)])
        if name not in FUNCTIONS:
            what = f"The function '{name}' in $filter"
            raise not_supported(what)
        self.take("(")
        column = self.property(self.take()[1])
        self.take(",")
        literal = self.literal()
        self.take(")")
        return Compare(column, name, literal)

    def quantified(self, name: str) -> Node:
        collection, _, quantifier = name.rpartition("/")
        if not collection or self.variable:
            what = f"'{name}' in $filter"
            raise not_supported(what)
        self.take("(")
        inner = None
        if self.ahead() != ")":
            self.variable = self.take()[1] + "/"
            self.take(":")
            inner = self.either()
            self.variable = ""
        self.take(")")
        return Quantified(collection, quantifier, inner)

    def among(self, operator: str) -> Node:
        for expected in ("(", "PropertyName", "="):
            self.take(expected)
        name = self.property(str(self.literal().value))
        for expected in (",", "PropertyValues", "=", "["):
            self.take(expected)
        literals = [self.literal()]
        while self.ahead() == ",":
            self.take()
            literals.append(self.literal())
        for expected in ("]", ")"):
            self.take(expected)
        if operator.endswith("between") and len(literals) != 2:
            raise self.error()
        return Among(name, tuple(literals), operator)

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
        if kind == "enum":
            return Literal("enum", text.partition("'")[2].removesuffix("'"))
        raise self.error()


def matches(tree: Node, properties: Mapping[str, Any]) -> bool:
    """Apply a filter to one object of metadata: eq, ne, startswith, contains, endswith, In, and, or, not."""
    if isinstance(tree, Logic):
        results = (matches(part, properties) for part in tree.parts)
        return not next(results) if tree.operator == "not" else (all if tree.operator == "and" else any)(results)
    if isinstance(tree, Quantified):
        what = f"'{tree.name}/{tree.quantifier}' in a filter of metadata"
        raise not_supported(what)
    value = _value(tree.name, properties)
    if isinstance(tree, Among):
        if tree.operator.endswith("between"):
            what = f"'{tree.operator}' in a filter of metadata"
            raise not_supported(what)
        return any(value == literal.value for literal in tree.literals) == (tree.operator == "in")
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


def _value(path: str, properties: Mapping[str, Any]) -> Any:
    """Return what a path such as `IsCustomizable/Value` names. Raises DataverseError."""
    found: Any = properties
    for name in path.split("/"):
        if found is None:
            return None
        if not isinstance(found, Mapping) or name not in found:
            reason = f"Could not find a property named '{name}'."
            raise bad_query(reason)
        found = found[name]
    return found
