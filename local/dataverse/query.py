"""Reading many rows: $select, $filter, $orderby, $top, $count, $expand of single rows, and paging.

A page has at most 5,000 rows; `@odata.nextLink` carries an opaque cookie. Without $orderby rows come by primary key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any
from urllib.parse import quote, unquote

from local.dataverse import access, conditions, limits
from local.dataverse.call import Call, json_response
from local.dataverse.errors import DataverseError, bad_query, not_supported, unknown_property
from local.dataverse.metadata import Column, Relationship, Table
from local.dataverse.privileges import READ
from local.dataverse.render import Renderer
from local.dataverse.storage import quoted
from local.dataverse.wire import Response

UNSUPPORTED = ("$apply", "$search", "$compute", "fetchXml", "savedQuery", "userQuery", "$deltatoken")
KNOWN = frozenset({"$select", "$filter", "$orderby", "$top", "$count", "$expand", "$skiptoken", "tag"})
COOKIE = re.compile(r'<cookie pagenumber="(\d+)" pagingcookie="([^"]*)" istracking="False" />')
LAST = re.compile(r'last="\{([0-9A-F-]{36})\}"')
EXPAND = re.compile(r"([A-Za-z_]\w*)(?:\(\$select=([\w,\s]+)\))?(?:,|$)")


@dataclass(frozen=True, slots=True)
class Expansion:
    """A related row that is shown inside a row."""

    relationship: Relationship
    target: Table
    renderer: Renderer


def check_options(call: Call) -> None:
    """Refuse query options that Dataverse does not have, and those not served here."""
    for name in call.options:
        if name in UNSUPPORTED:
            what = f"The query option '{name}'"
            raise not_supported(what)
        if name == "$skip":
            reason = "Skip Clause is not supported in CRM"
            raise bad_query(reason)
        if name.startswith("$") and name not in KNOWN:
            reason = f"The query parameter '{name}' is not supported."
            raise bad_query(reason)
    if call.preference("odata.track-changes") is not None:
        what = "Change tracking"
        raise not_supported(what)


def selected(table: Table, text: str | None) -> list[Column]:
    """Return the columns of a $select, all columns without one. The primary key is always among them."""
    if text is None:
        return list(table.columns.values())
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in table.properties:
            raise unknown_property(name, table.logical_name)
    if table.primary_id not in names:
        names.append(table.primary_id)
    return [table.properties[name] for name in dict.fromkeys(names)]


def renderer(call: Call, table: Table) -> Renderer:
    """Return what shows the rows that a call asks for."""
    wants = call.preference("odata.include-annotations")
    notes = call.organization.catalog if wants is not None and (wants == "*" or "lookup" in wants) else None
    return Renderer(table, selected(table, call.options.get("$select")), notes=notes)


def expansions(call: Call, table: Table) -> list[Expansion]:
    """Return the single-valued navigation properties of $expand. Raises DataverseError for any others."""
    text = call.options.get("$expand", "")
    navigations = call.organization.catalog.navigations(table.logical_name)
    found: list[Expansion] = []
    position = 0
    while position < len(text):
        match = EXPAND.match(text, position)
        relationship = navigations.get(match[1]) if match else None
        if match is None or relationship is None:
            what = f"$expand={text}"
            raise not_supported(what)
        target = call.organization.catalog.tables[relationship.referenced]
        access.require(call.organization, target, READ)
        found.append(Expansion(relationship, target, Renderer(target, selected(target, match[2]))))
        position = match.end()
    return found


def expanded(call: Call, table: Table, expansion: Expansion, row_id: str) -> str:
    """Return the related row of a row as a member of its JSON object."""
    inner, outer = quoted(expansion.target.logical_name), quoted(table.logical_name)
    lookup = f"SELECT {quoted(expansion.relationship.column)} FROM {outer} WHERE {quoted(table.primary_id)} = ?"
    within, arguments = access.reached(call.organization, expansion.target) or ("1", [])
    key = quoted(expansion.target.primary_id)
    sql = f"SELECT {expansion.renderer.select} FROM {inner} WHERE {key} = ({lookup}) AND {within}"
    row = call.organization.store.connection.execute(sql, (row_id, *arguments)).fetchone()
    shown = "null" if row is None else expansion.renderer.row(row)
    return f"{encode_basestring(expansion.relationship.navigation)}:{shown}"


def condition(call: Call, table: Table, within: tuple[str, list[Any]] | None = None) -> tuple[str, list[Any]]:
    """Return the WHERE condition of a call, joined with `within`, and its arguments."""
    reached = access.reached(call.organization, table)
    parts = [part for part in (within, reached) if part]
    if "$filter" in call.options:
        parts.append(conditions.where(call.organization, call.options["$filter"], table))
    if not parts:
        return "1", []
    return " AND ".join(f"({sql})" for sql, _ in parts), [argument for _, found in parts for argument in found]


def count(call: Call, table: Table, where: str, arguments: list[Any]) -> int:
    """Return the number of rows, which stops at 5,000."""
    inner = f"SELECT 1 FROM {quoted(table.logical_name)} WHERE {where} LIMIT {limits.MAX_COUNT}"
    row = call.organization.store.connection.execute(f"SELECT count(*) FROM ({inner})", arguments).fetchone()
    return int(row[0])


def many(call: Call, table: Table, within: tuple[str, list[Any]] | None = None) -> Response:
    """Answer a GET of an entity set, or of a collection (`within`: its condition)."""
    check_options(call)
    where, arguments = condition(call, table, within)
    order = _order(table, call.options.get("$orderby"))
    preferred = call.page_rows()
    size = min(preferred or limits.MAX_PAGE_ROWS, limits.MAX_PAGE_ROWS)
    top = None if preferred else _top(call)
    take = size if top is None else min(top, size)
    page, last = _cookie(call.options.get("$skiptoken"))
    total = count(call, table, where, arguments) if call.options.get("$count") == "true" else None
    offset = 0
    if last and not order:
        where, arguments = f"({where}) AND {quoted(table.primary_id)} > ?", [*arguments, last]
    elif page > 1:
        offset = (page - 1) * size
    shown = renderer(call, table)
    sql = (
        f"SELECT {shown.select}, {quoted(table.primary_id)} FROM {quoted(table.logical_name)} WHERE {where} "
        f"ORDER BY {', '.join([*order, quoted(table.primary_id)])} LIMIT {take + 1} OFFSET {offset}"
    )
    rows = call.organization.store.connection.execute(sql, arguments).fetchall()
    link = _next_link(call, table, page, rows[take - 1][-1]) if len(rows) > take and top is None else None
    return _answer(call, table, _texts(call, table, shown, rows[:take]), total=total, link=link)


def _texts(call: Call, table: Table, shown: Renderer, rows: list[tuple[Any, ...]]) -> list[str]:
    inner = expansions(call, table)
    return [shown.row(row, ",".join(expanded(call, table, one, row[-1]) for one in inner)) for row in rows]


def _answer(call: Call, table: Table, texts: list[str], *, total: int | None, link: str | None) -> Response:
    members = [f'"@odata.context":{encode_basestring(context(call, table))}']
    if total is not None:
        members.append(f'"@odata.count":{total}')
    members.append(f'"value":[{",".join(texts)}]')
    if link:
        members.append(f'"@odata.nextLink":{encode_basestring(link)}')
    return json_response("{" + ",".join(members) + "}")


def context(call: Call, table: Table) -> str:
    """Return the address of the context of an answer."""
    chosen = f"({call.options['$select']})" if "$select" in call.options else ""
    return f"{call.base}$metadata#{table.set_name}{chosen}"


def _order(table: Table, text: str | None) -> list[str]:
    found = []
    for part in (text or "").split(","):
        words = part.split()
        if not words:
            continue
        column = table.properties.get(words[0])
        if column is None:
            raise unknown_property(words[0], table.logical_name)
        if len(words) > 2 or words[1:] not in ([], ["asc"], ["desc"]):
            reason = f"Syntax error in the order '{text}'."
            raise bad_query(reason)
        name = quoted(column.logical_name)
        operand = f"CAST({name} AS REAL)" if column.kind in ("Decimal", "Money") else name
        found.append(operand + (" DESC" if words[1:] == ["desc"] else ""))
    return found


def _top(call: Call) -> int | None:
    text = call.options.get("$top")
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        reason = f"Invalid value '{text}' for $top."
        raise bad_query(reason)
    return min(int(text), limits.MAX_PAGE_ROWS)


def _cookie(text: str | None) -> tuple[int, str | None]:
    """Return the page's number and the key of the last row before it."""
    if text is None:
        return 1, None
    match = COOKIE.fullmatch(unquote(text))
    last = LAST.search(unquote(match[2])) if match else None
    if match is None or last is None:
        raise DataverseError(400, "0x80044252", "The paging cookie is malformed: it must be passed on as it was given.")
    return int(match[1]), last[1].lower()


def _next_link(call: Call, table: Table, page: int, last: str) -> str:
    inner = quote(f'<cookie page="{page}"><{table.primary_id} last="{{{last.upper()}}}" /></cookie>', safe="")
    cookie = f'<cookie pagenumber="{page + 1}" pagingcookie="{inner}" istracking="False" />'
    kept = [part for part in call.query.split("&") if part and not unquote(part).startswith("$skiptoken")]
    return f"{call.base}{call.path}?{'&'.join([*kept, '$skiptoken=' + quote(quote(cookie, safe=''), safe='')])}"
