"""Change tracking: `Prefer: odata.track-changes` answers a delta link, which later answers what changed since.

Rows are followed by their rowversion; a trigger notes the deletes of a table once its ChangeTrackingEnabled is set.
A mark is a rowversion and the number of a delete; a token is the mark up to which all was read, and when it was given.
A row that was deleted and made again is only shown as a row: the net change, as in SQL Server.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any
from urllib.parse import quote

from local.dataverse import access, limits
from local.dataverse.call import Call, json_response
from local.dataverse.errors import PRIVILEGE_DENIED, DataverseError, bad_query
from local.dataverse.metadata import Table
from local.dataverse.ordering import selected
from local.dataverse.organization import Organization
from local.dataverse.render import Renderer
from local.dataverse.storage import quoted
from local.dataverse.wire import Response

NOTED = "CREATE TABLE IF NOT EXISTS _deleted (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, row_id TEXT)"
UNSUPPORTED = ("$filter", "$orderby", "$expand", "$top")
TOKEN = re.compile(r"(\d+)\.(\d+)!(\d\d/\d\d/\d{4} \d\d:\d\d:\d\d)")
PAGE = re.compile(r"tracking (\d+)\.(\d+) (\d+)\.(\d+) (initial|delta) ([0-9a-f-]*)")
TIME = "%m/%d/%Y %H:%M:%S"
LIFE = dt.timedelta(days=7)
Mark = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Span:
    """What a request reads: changes after `start` up to `end`; `last` is the last row before an initial page."""

    start: Mark
    end: Mark
    initial: bool
    last: str = ""

    def link(self) -> str:
        """Return the $skiptoken of the page that begins here."""
        kind = "initial" if self.initial else "delta"
        return f"tracking {_text(self.start)} {_text(self.end)} {kind} {self.last}"


def follow(organization: Organization, table: Table) -> None:
    """Note the deletes of a table from now on."""
    connection, of = organization.store.connection, quoted(table.logical_name)
    connection.execute(NOTED)
    connection.execute(
        f"CREATE TRIGGER IF NOT EXISTS {quoted('deletes of ' + table.logical_name)} AFTER DELETE ON {of} BEGIN "
        f"INSERT INTO _deleted (name, row_id) VALUES ('{table.logical_name}', old.{quoted(table.primary_id)}); END"
    )


def asked_for(call: Call) -> bool:
    """Say whether a call is about changes."""
    if call.options.get("$skiptoken", "").startswith("tracking "):
        return True
    return call.preference("odata.track-changes") is not None or "$deltatoken" in call.options


def answer(call: Call, table: Table) -> Response:
    """Answer a page of rows or of changes. Raises DataverseError."""
    span = _span(call, table)
    size = min(call.page_rows() or limits.MAX_PAGE_ROWS, limits.MAX_PAGE_ROWS)
    shown = Renderer(table, selected(table, call.options.get("$select")))
    if span.initial:
        texts, following = _initial(call, table, shown, span, size)
    else:
        texts, following = _delta(call, table, shown, span, size)
    chosen = f"({call.options['$select']})" if "$select" in call.options else ""
    context = f"{call.base}$metadata#{table.set_name}{chosen}{'' if span.initial else '/$delta'}"
    link = (
        f"$deltatoken={_encoded(_token(span.end))}" if following is None else f"$skiptoken={_encoded(following.link())}"
    )
    name = "@odata.deltaLink" if following is None else "@odata.nextLink"
    members = [
        f'"@odata.context":{encode_basestring(context)}',
        f'"{name}":{encode_basestring(_address(call, link))}',
        f'"value":[{",".join(texts)}]',
    ]
    return json_response("{" + ",".join(members) + "}", headers=(("Preference-Applied", "odata.track-changes"),))


def count(call: Call, table: Table) -> Response:
    """Answer the number of changes since a token."""
    span = _span(call, table)
    rows, deletes = _changed(table), _deletes(table)
    connection = call.organization.store.connection
    total = sum(
        connection.execute(f"SELECT count(*) FROM {sql}", arguments).fetchone()[0]
        for sql, arguments in ((rows, (span.start[0], span.end[0])), (deletes, (span.start[1], span.end[1])))
    )
    return Response(200, str(total).encode(), [("OData-Version", "4.0")], "text/plain")


def _span(call: Call, table: Table) -> Span:
    _check(call, table)
    now = _mark(call.organization)
    text = call.options.get("$skiptoken")
    if text is not None:
        match = PAGE.fullmatch(text)
        if match is None:
            raise DataverseError(400, "0x80044252", "The paging cookie is malformed: it must be passed on as given.")
        start, end = (int(match[1]), int(match[2])), (int(match[3]), int(match[4]))
        return Span(start, end, match[5] == "initial", match[6])
    token = call.options.get("$deltatoken")
    if token is None:
        return Span((0, 0), now, initial=True)
    match = TOKEN.fullmatch(token)
    if match is None:
        reason = f"The delta token '{token}' is malformed."
        raise bad_query(reason)
    given = dt.datetime.strptime(match[3], TIME).replace(tzinfo=dt.UTC)
    if dt.datetime.now(dt.UTC) - given > LIFE:
        text = "Version stamp associated with the client has expired. Please perform a full sync."
        raise DataverseError(400, "0x80044352", text)
    return Span((int(match[1]), int(match[2])), now, initial=False)


def _check(call: Call, table: Table) -> None:
    if not table.tracks_changes:
        # The code and the text are not established.
        raise bad_query(f"Change tracking is not enabled for the entity '{table.logical_name}'.")
    for name in UNSUPPORTED:
        if name in call.options:
            raise bad_query(f'The "{name}" query parameter isn\'t supported when Change Tracking is enabled.')
    if access.reached(call.organization, table) is not None:
        # Documented: read access to the whole organization is needed; not documented: code and text.
        text = f"Changes of '{table.logical_name}' need the privilege to read with depth Global."
        raise DataverseError(403, PRIVILEGE_DENIED, text)


def _initial(call: Call, table: Table, shown: Renderer, span: Span, size: int) -> tuple[list[str], Span | None]:
    key, of = quoted(table.primary_id), quoted(table.logical_name)
    sql = f"SELECT {shown.select}, {key} FROM {of} WHERE {key} > ? ORDER BY {key} LIMIT {size + 1}"
    rows = call.organization.store.connection.execute(sql, (span.last,)).fetchall()
    more = Span(span.start, span.end, initial=True, last=rows[size - 1][-1]) if len(rows) > size else None
    return [shown.row(row) for row in rows[:size]], more


def _delta(call: Call, table: Table, shown: Renderer, span: Span, size: int) -> tuple[list[str], Span | None]:
    """Return changed rows, then deleted ones. A page begins after the last one of the page before."""
    connection, (version, number) = call.organization.store.connection, span.start
    sql = f"SELECT {shown.select} FROM {_changed(table)} ORDER BY versionnumber LIMIT {size + 1}"
    rows = connection.execute(sql, (version, span.end[0])).fetchall()
    texts = [shown.row(row) for row in rows[:size]]
    if len(rows) > size:
        return texts, Span((rows[size - 1][0], number), span.end, initial=False)
    left = size - len(texts)
    sql = f"SELECT number, row_id FROM {_deletes(table)} ORDER BY number LIMIT {left + 1}"
    gone = connection.execute(sql, (number, span.end[1])).fetchall()
    context = encode_basestring(f"{call.base}$metadata#{table.set_name}/$deletedEntity")
    texts += [f'{{"@odata.context":{context},"id":"{row[1]}","reason":"deleted"}}' for row in gone[:left]]
    if len(gone) > left:
        return texts, Span((span.end[0], gone[left - 1][0] if left else number), span.end, initial=False)
    return texts, None


def _changed(table: Table) -> str:
    return f"{quoted(table.logical_name)} WHERE versionnumber > ? AND versionnumber <= ?"


def _deletes(table: Table) -> str:
    present = f"SELECT {quoted(table.primary_id)} FROM {quoted(table.logical_name)}"
    return f"_deleted WHERE name = '{table.logical_name}' AND number > ? AND number <= ? AND row_id NOT IN ({present})"


def _mark(organization: Organization) -> Mark:
    row = organization.store.connection.execute("SELECT coalesce(max(number), 0) FROM _deleted").fetchone()
    return organization.store.version, int(row[0])


def _text(mark: Mark) -> str:
    return f"{mark[0]}.{mark[1]}"


def _token(mark: Mark) -> str:
    return f"{_text(mark)}!{dt.datetime.now(dt.UTC).strftime(TIME)}"


def _encoded(text: str) -> str:
    return quote(text, safe="")


def _address(call: Call, link: str) -> str:
    kept = [part for part in call.query.split("&") if part and not part.startswith(_OWN)]
    return f"{call.base}{call.path}?{'&'.join([*kept, link])}"


_OWN: tuple[Any, ...] = ("$deltatoken=", "$skiptoken=", "%24deltatoken=", "%24skiptoken=")
