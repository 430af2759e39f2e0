"""File columns: upload in one request or in chunks, download, delete.

Chunks of an upload are kept until the last one has come; each must follow the one before. Files of rows that are
deleted stay in the store, where nothing reaches them.
"""

from __future__ import annotations

import base64
import re
import uuid
from json.encoder import encode_basestring
from typing import Any
from urllib.parse import quote, unquote

from local.dataverse import access, errors, paths, writes
from local.dataverse.call import ODATA, Call, json_response, no_content
from local.dataverse.errors import DataverseError
from local.dataverse.metadata import Column, Table
from local.dataverse.organization import Organization
from local.dataverse.paths import Segment
from local.dataverse.privileges import READ
from local.dataverse.storage import quoted
from local.dataverse.wire import Response

CHUNK_BYTES = 4 * 1024 * 1024
LARGEST_REQUEST = 128 * 1024 * 1024
RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
ASKED = re.compile(r"bytes=(\d+)-(\d+)")
TABLE = (
    "CREATE TABLE IF NOT EXISTS _file (id TEXT PRIMARY KEY, name TEXT, type TEXT, size INTEGER, content BLOB, "
    "row_id TEXT, finished INTEGER)"
)


def answer(call: Call, table: Table, column: Column, path: list[Segment]) -> Response:
    """Answer a request on the file in a column of a row. Raises DataverseError."""
    organization = call.organization
    call.table = table.logical_name
    row_id = paths.row_id(organization, table, path[0].predicate or "")
    if row_id not in organization.store.existing(table, [row_id]):
        raise errors.does_not_exist(table.logical_name, row_id)
    organization.store.connection.execute(TABLE)
    whole = len(path) == 2 or (len(path) == 3 and path[2].name == "$value")
    if call.method == "GET" and whole:
        return _download(call, table, column, row_id, raw=len(path) == 3)
    if len(path) != 2 or call.method not in ("PATCH", "PUT", "DELETE"):
        raise errors.method_not_allowed(call.method)
    call.kind = "update"
    access.may_update(organization, table, [row_id], {})
    if call.method == "DELETE":
        with organization.transaction():
            _set(organization, table, column, row_id, (None, None))
        return no_content()
    if "sessiontoken" in call.options:
        return _chunk(call, table, column, row_id)
    if call.headers.get("x-ms-transfer-mode") == "chunked":
        return _begin(call, row_id)
    return _upload(call, table, column, row_id)


def _name(call: Call) -> str:
    """Return the file's name, which a header or a query option gives. Documented: it is required."""
    name = unquote(call.headers.get("x-ms-file-name", "")) or call.options.get("x-ms-file-name", "")
    if not name:
        raise DataverseError(400, "0x80090009", "The header x-ms-file-name is missing.")  # the code is not established
    return name


def _check_size(column: Column, size: int) -> None:
    if size > (column.max_length or 0) * 1024:
        text = f"File size {size} exceeds the maximum of {column.max_length} KB of '{column.logical_name}'."
        raise DataverseError(400, "0x80090023", text)  # neither the code nor the text is established


def _upload(call: Call, table: Table, column: Column, row_id: str) -> Response:
    if len(call.body) > LARGEST_REQUEST:
        raise DataverseError(413, "0x80040265", "The request body is too large: upload the file in chunks.")
    _check_size(column, len(call.body))
    name = _name(call)
    kind = call.headers.get("content-type", "application/octet-stream")
    with call.organization.transaction():
        identity = str(uuid.uuid4())
        sql = "INSERT INTO _file VALUES (?, ?, ?, ?, ?, ?, 1)"
        call.organization.store.write(sql, [(identity, name, kind, len(call.body), call.body, row_id)])
        _set(call.organization, table, column, row_id, (identity, name))
    return no_content()


def _begin(call: Call, row_id: str) -> Response:
    """Open an upload: its address and the size of chunks are in the headers."""
    token = str(uuid.uuid4())
    with call.organization.transaction():
        sql = "INSERT INTO _file VALUES (?, ?, 'application/octet-stream', 0, x'', ?, 0)"
        call.organization.store.write(sql, [(token, _name(call), row_id)])
    headers = (
        ("Location", f"{call.base}{call.path}?sessiontoken={token}"),
        ("x-ms-chunk-size", str(CHUNK_BYTES)),
        ("Accept-Ranges", "bytes"),
    )
    return Response(200, b"", [*ODATA, *headers])


def _chunk(call: Call, table: Table, column: Column, row_id: str) -> Response:
    connection = call.organization.store.connection
    sql = "SELECT name, size FROM _file WHERE id = ? AND row_id = ? AND NOT finished"
    token = call.options["sessiontoken"]
    known = connection.execute(sql, (token, row_id)).fetchone()
    match = RANGE.fullmatch(call.headers.get("content-range", ""))
    if known is None or match is None:
        raise errors.invalid_argument("The sessiontoken is not known, or Content-Range is not bytes FIRST-LAST/TOTAL.")
    first, last, total = (int(part) for part in match.groups())
    if first != known[1] or last - first + 1 != len(call.body) or last >= total or len(call.body) > CHUNK_BYTES:
        raise errors.invalid_argument(
            f"Content-Range '{match[0]}' does not follow the {known[1]} bytes that are there."
        )
    _check_size(column, total)
    finished = last + 1 == total
    with call.organization.transaction():
        # In SQLite || makes a text of two blobs; the cast makes it bytes again.
        sql = "UPDATE _file SET content = CAST(content || ? AS BLOB), size = ?, finished = ? WHERE id = ?"
        call.organization.store.write(sql, [(call.body, last + 1, finished, token)])
        if finished:
            _set(call.organization, table, column, row_id, (token, known[0]))
    return no_content() if finished else Response(206, b"", list(ODATA))


def _set(
    organization: Organization, table: Table, column: Column, row_id: str, found: tuple[str | None, str | None]
) -> None:
    """Put a file's id and name into its row, in place of those that were there."""
    name, key = quoted(table.logical_name), quoted(table.primary_id)
    field, title = quoted(column.logical_name), quoted(f"{column.logical_name}_name")
    store = organization.store
    store.write(f"DELETE FROM _file WHERE id = (SELECT {field} FROM {name} WHERE {key} = ?)", [(row_id,)])
    sql = f"UPDATE {name} SET {field} = ?, {title} = ?, modifiedon = ?, versionnumber = ? WHERE {key} = ?"
    store.write(sql, [(*found, writes.now(), store.next_version(), row_id)])
    organization.statistics.rows(table.logical_name, "updated", 1)


def _download(call: Call, table: Table, column: Column, row_id: str, *, raw: bool) -> Response:
    call.kind = "read"
    organization = call.organization
    access.require(organization, table, READ)
    access.require_rows(organization, table, READ, [row_id])
    of = f"SELECT {quoted(column.logical_name)} FROM {quoted(table.logical_name)} WHERE {quoted(table.primary_id)} = ?"
    sql = f"SELECT name, type, size, content FROM _file WHERE id = ({of})"
    found: Any = organization.store.connection.execute(sql, (row_id,)).fetchone()
    if found is None:
        return no_content()
    name, kind, size, content = found
    headers = [("x-ms-file-name", quote(name)), ("x-ms-file-size", str(size)), ("mimetype", kind)]
    status = 200
    if wanted := ASKED.fullmatch(call.headers.get("range", "")):
        content, status = content[int(wanted[1]) : int(wanted[2]) + 1], 206
        headers.append(("x-ms-chunk-size", str(CHUNK_BYTES)))
    if raw:
        return Response(status, content, [*ODATA, *headers], "application/octet-stream")
    # Without $value not documented, but dynamics-web-api reads it so: base64 in JSON.
    context = encode_basestring(f"{call.base}$metadata#{table.set_name}({row_id})/{column.logical_name}")
    text = f'{{"@odata.context":{context},"value":"{base64.b64encode(content).decode()}"}}'
    headers += [
        ("Content-Disposition", f'attachment; filename="{quote(name)}"'),
        ("Location", f"{call.base}{call.path}"),
    ]
    return json_response(text, status, tuple(headers))
