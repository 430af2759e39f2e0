"""Reading many rows: $select, $filter, $orderby, $top, $count, $expand, and paging.

A page has at most 5,000 rows; `@odata.nextLink` carries an opaque cookie. Without $orderby rows come by primary key.
"""

from __future__ import annotations

import re
from json.encoder import encode_basestring
from typing import Any
from urllib.parse import quote, unquote

from local.dataverse import access, changes, conditions, expansions, limits
from local.dataverse.call import Call, json_response
from local.dataverse.errors import DataverseError, bad_query, not_supported
from local.dataverse.expansions import Expansion
from local.dataverse.metadata import Table
from local.dataverse.ordering import order, selected
from local.dataverse.render import Notes, Renderer
from local.dataverse.storage import quoted
from local.dataverse.wire import Response

UNSUPPORTED = ("$apply", "$search", "$compute", "savedQuery", "userQuery")
KNOWN = frozenset({"$select", "$filter", "$orderby", "$top", "$count", "$expand", "$skiptoken", "$deltatoken", "tag"})
COOKIE = re.compile(r'<cookie pagenumber="(\d+)" pagingcookie="([^"]*)" istracking="False" />')
LAST = re.compile(r'last="\{([0-9A-F-]{36})\}"')


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


def notes(call: Call) -> Notes | None:
    """Return the annotations that a call asks for, None when it asks for none."""
    wanted = call.preference("odata.include-annotations")
    return None if wanted is None else Notes(call.organization.catalog, wanted)


def renderer(call: Call, table: Table) -> Renderer:
    """Return what shows the rows that a call asks for."""
    return Renderer(table, selected(table, call.options.get("$select")), notes=notes(call))


def expanded(call: Call, table: Table) -> list[Expansion]:
    """Return what the $expand of a call asks for. Raises DataverseError."""
    return expansions.read(call, table, call.options.get("$expand", ""), notes(call))


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
    if changes.asked_for(call) and within is None:
        return changes.answer(call, table)
    check_options(call)
    where, arguments = condition(call, table, within)
    ordered = order(table, call.options.get("$orderby"))
    preferred = call.page_rows()
    size = min(preferred or limits.MAX_PAGE_ROWS, limits.MAX_PAGE_ROWS)
    top = None if preferred else _top(call)
    take = size if top is None else min(top, size)
    page, last = _cookie(call.options.get("$skiptoken"))
    total = count(call, table, where, arguments) if call.options.get("$count") == "true" else None
    offset = 0
    if last and not ordered:
        where, arguments = f"({where}) AND {quoted(table.primary_id)} > ?", [*arguments, last]
    elif page > 1:
        offset = (page - 1) * size
    shown = renderer(call, table)
    sql = (
        f"SELECT {shown.select}, {quoted(table.primary_id)} FROM {quoted(table.logical_name)} WHERE {where} "
        f"ORDER BY {', '.join([*ordered, quoted(table.primary_id)])} LIMIT {take + 1} OFFSET {offset}"
    )
    rows = call.organization.store.connection.execute(sql, arguments).fetchall()
    link = _next_link(call, table, page, rows[take - 1][-1]) if len(rows) > take and top is None else None
    return _answer(call, table, _texts(call, table, shown, rows[:take]), total=total, link=link)


def _texts(call: Call, table: Table, shown: Renderer, rows: list[tuple[Any, ...]]) -> list[str]:
    inner = expanded(call, table)
    return [shown.row(row, ",".join(expansions.shown(call, table, one, row[-1]) for one in inner)) for row in rows]


def _answer(call: Call, table: Table, texts: list[str], *, total: int | None, link: str | None) -> Response:
    members = [f'"@odata.context":{encode_basestring(context(call, table))}']
    if total is not None:
        members.append(f'"@odata.count":{total}')
    members.append(f'"value":[{",".join(texts)}]')
    if link:
        members.append(f'"@odata.nextLink":{encode_basestring(link)}')
    return json_response("{" + ",".join(members) + "}", headers=applied(call))


def applied(call: Call) -> tuple[tuple[str, str], ...]:
    """Return the header that says which preferences of a query were followed, none where it had none."""
    annotations, size = call.preference("odata.include-annotations"), call.preference("odata.maxpagesize")
    parts = [] if annotations is None else [f'odata.include-annotations="{annotations}"']
    parts += [] if size is None else [f"odata.maxpagesize={size}"]
    return (("Preference-Applied", ",".join(parts)),) if parts else ()


def context(call: Call, table: Table) -> str:
    """Return the address of the context of an answer."""
    chosen = f"({call.options['$select']})" if "$select" in call.options else ""
    return f"{call.base}$metadata#{table.set_name}{chosen}"


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
