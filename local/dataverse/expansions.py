"""$expand of rows: the row that a lookup names, or the rows that name a row, with options of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from json.encoder import encode_basestring
from typing import Any

from local.dataverse import access, conditions, limits, ordering, pairing
from local.dataverse.call import Call
from local.dataverse.errors import bad_query, not_supported, unknown_property
from local.dataverse.metadata import MANY_TARGETS, ManyToMany, Relationship, Table
from local.dataverse.privileges import READ
from local.dataverse.render import Notes, Renderer
from local.dataverse.storage import quoted, type_column

PART = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\((.*)\))?\s*", re.DOTALL)
OPTIONS = ("$select", "$expand")
OPTIONS_OF_MANY = (*OPTIONS, "$filter", "$orderby", "$top")


@dataclass(frozen=True, slots=True)
class Expansion:
    """What one part of $expand shows: rows of `target`, one or `many`. `inner` is the $expand inside it."""

    name: str
    relationship: Relationship | ManyToMany
    target: Table
    many: bool
    renderer: Renderer
    where: str
    arguments: list[Any]
    order: list[str]
    top: int
    inner: list[Expansion] = field(default_factory=list)


def read(call: Call, table: Table, text: str, notes: Notes | None = None) -> list[Expansion]:
    """Return what an $expand asks for. Raises DataverseError."""
    return [_part(call, table, part, notes) for part in split(text, ",")] if text else []


def split(text: str, mark: str) -> Iterator[str]:
    """Split at a mark, but not inside parentheses or quotes. Raises DataverseError for what is never closed."""
    depth, start, quote = 0, 0, False
    for position, character in enumerate(text):
        if character == "'":
            quote = not quote
        elif not quote and character in "()":
            depth += 1 if character == "(" else -1
        elif not quote and depth == 0 and character == mark:
            yield text[start:position]
            start = position + 1
    if depth or quote:
        reason = f"Syntax error in '{text}'."
        raise bad_query(reason)
    yield text[start:]


def _part(call: Call, table: Table, text: str, notes: Notes | None) -> Expansion:
    match = PART.fullmatch(text)
    if match is None:
        reason = f"Syntax error in $expand={text}."
        raise bad_query(reason)
    name, catalog = match[1], call.organization.catalog
    found = catalog.navigations(table.logical_name).get(name)
    many = found is None
    paired = catalog.paired(table.logical_name).get(name)
    relationship = found or catalog.collections(table.logical_name).get(name) or paired
    if relationship is None:
        raise unknown_property(name, table.logical_name)
    target = catalog.tables[_target(relationship, table, many=many)]
    options = _options(match[2] or "", OPTIONS_OF_MANY if many else OPTIONS)
    access.require(call.organization, target, READ)
    where, arguments = _where(call, target, options.get("$filter"))
    return Expansion(
        name, relationship, target, many,
        Renderer(target, ordering.selected(target, options.get("$select")), notes=notes),
        where, arguments, ordering.order(target, options.get("$orderby")),
        min(_top(options.get("$top")), limits.MAX_PAGE_ROWS),
        read(call, target, options.get("$expand", ""), notes),
    )  # fmt: skip


def _target(relationship: Relationship | ManyToMany, table: Table, *, many: bool) -> str:
    if isinstance(relationship, ManyToMany):
        return relationship.other(table.logical_name)
    return relationship.referencing if many else relationship.referenced


def _options(text: str, known: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for part in split(text, ";"):
        name, _, value = part.strip().partition("=")
        if name and name not in known:
            what = f"The option '{name}' in $expand"
            raise not_supported(what)
        if name:
            found[name] = value
    return found


def _top(text: str | None) -> int:
    if text is None:
        return limits.MAX_PAGE_ROWS
    if not text.isdecimal() or int(text) < 1:
        reason = f"Invalid value '{text}' for $top."
        raise bad_query(reason)
    return int(text)


def _where(call: Call, target: Table, text: str | None) -> tuple[str, list[Any]]:
    parts = [access.reached(call.organization, target)]
    if text:
        parts.append(conditions.where(call.organization, text, target))
    found = [part for part in parts if part]
    return " AND ".join(f"({sql})" for sql, _ in found) or "1", [value for _, values in found for value in values]


def shown(call: Call, table: Table, expansion: Expansion, row_id: str) -> str:
    """Return the related rows of a row as a member of its JSON object."""
    target, key = expansion.target, quoted(expansion.target.primary_id)
    sql = (
        f"SELECT {expansion.renderer.select}, {key} FROM {quoted(target.logical_name)} "
        f"WHERE {_related(table, expansion)} AND {expansion.where} "
        f"ORDER BY {', '.join([*expansion.order, key])} LIMIT {expansion.top}"
    )
    rows = call.organization.store.connection.execute(sql, (row_id, *expansion.arguments)).fetchall()
    texts = [_row(call, expansion, row) for row in rows]
    found = f"[{','.join(texts)}]" if expansion.many else (texts or ["null"])[0]
    return f"{encode_basestring(expansion.name)}:{found}"


def _related(table: Table, expansion: Expansion) -> str:
    """Return the condition for the rows that belong to a row, whose id is its argument."""
    relationship, target = expansion.relationship, expansion.target
    if isinstance(relationship, ManyToMany):
        return pairing.related(relationship, table, target)
    holder = target if expansion.many else table
    named = ""
    if holder.columns[relationship.column].kind == MANY_TARGETS:
        named = f" AND {quoted(type_column(relationship.column))} = '{relationship.referenced}'"
    lookup = quoted(relationship.column)
    if expansion.many:
        return f"{lookup} = ?{named}"
    outer = f"SELECT {lookup} FROM {quoted(table.logical_name)} WHERE {quoted(table.primary_id)} = ?{named}"
    return f"{quoted(target.primary_id)} = ({outer})"


def _row(call: Call, expansion: Expansion, row: tuple[Any, ...]) -> str:
    inside = ",".join(shown(call, expansion.target, inner, row[-1]) for inner in expansion.inner)
    return expansion.renderer.row(row, inside)
