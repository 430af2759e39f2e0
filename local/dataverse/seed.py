"""Rows that exist beforehand: CSV or one JSON object a line, put into a table without being counted as writes.

CSV (Content-Type text/csv) has a header and is read as UTF-8; an empty cell is null. Keys may have any GUID spelling.
Column names are logical names or, for lookups, `_<column>_value`; the targets of lookups need not exist. A table or
column that does not exist is made: columns as text, long ones as memo. A row whose key is there already is replaced.
The primary key is `<table>id`; a new table takes another one from `?primary_key=<column>`.

`define` makes a table what the API cannot make it: a JSON object with any of `is_managed` (part of a managed solution),
`is_customizable` (false: no columns may be added) and `table_type` (Standard, Virtual, Elastic). A table that does not
exist is made. Rows of `publisher` and `solution` are seeded like all others: that is how read-only publishers and
managed solutions come to be.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from local.dataverse import limits, payload, schema, values, writes
from local.dataverse.call import read_options
from local.dataverse.errors import DataverseError, invalid_argument
from local.dataverse.metadata import ELASTIC, LOOKUPS, MANY_TARGETS, STANDARD, VIRTUAL, Column, Table
from local.dataverse.organization import Organization
from local.dataverse.storage import quoted, type_column
from local.dataverse.wire import Request

NAME = re.compile(r"[a-z][a-z0-9_]*")
Rows = list[list[Any]]
FLAGS = ("is_managed", "is_customizable")


def insert(organization: Organization, name: str, request: Request) -> int:
    """Insert the rows of a request and return their number. Raises DataverseError with the line at fault."""
    if not NAME.fullmatch(name):
        raise invalid_argument(f"'{name}' is not a table's logical name.")
    is_csv = "csv" in request.headers.get("content-type", "")
    header, rows = _read_csv(request.body) if is_csv else _read_lines(request.body)
    with organization.transaction():
        table = _table(organization, name, header, read_options(request.query).get("primary_key"))
        columns = _columns(organization, table, header, rows)
        count = _write(organization, table, columns, rows, from_text=is_csv)
    organization.statistics.seeded(name, count)
    return count


def _read_csv(body: bytes) -> tuple[list[str], Rows]:
    csv.field_size_limit(sys.maxsize)
    try:
        records = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise invalid_argument(f"The CSV cannot be read: {error}") from None
    if not records:
        raise invalid_argument("The CSV is empty: a header is expected.")
    rows = [row for row in records[1:] if row]
    for number, row in enumerate(rows, 2):
        if len(row) != len(records[0]):
            raise invalid_argument(f"Record {number} has {len(row)} cells, the header has {len(records[0])}.")
    return [name.strip() for name in records[0]], [[cell or None for cell in row] for row in rows]


def _read_lines(body: bytes) -> tuple[list[str], Rows]:
    found: list[dict[str, Any]] = []
    try:
        lines = body.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise invalid_argument(f"The rows are not UTF-8: {error}") from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                row = json.loads(line, parse_float=Decimal)
            except ValueError as error:
                raise invalid_argument(f"Line {number} is not JSON: {error}") from None
            if not isinstance(row, dict):
                raise invalid_argument(f"Line {number} is not a JSON object.")
            found.append({name: value for name, value in row.items() if "@" not in name})
    header = list(dict.fromkeys(name for row in found for name in row))
    return header, [[row.get(name) for name in header] for row in found]


def _table(organization: Organization, name: str, header: Iterable[str], primary_key: str | None) -> Table:
    table = organization.catalog.tables.get(name) or _new_table(organization, name, primary_key)
    if table.primary_id not in {column.lower() for column in header}:
        raise invalid_argument(f"The rows of '{name}' have no column '{table.primary_id}', the primary key.")
    return table


def _new_table(organization: Organization, name: str, primary_key: str | None = None) -> Table:
    primary_id = (primary_key or name + "id").lower()
    if not NAME.fullmatch(primary_id):
        raise invalid_argument(f"'{primary_id}' is not a column's logical name.")
    title = name.replace("_", " ").title()
    primary_name = Column("name", "String", "name", "Name", max_length=limits.MAX_TEXT)
    table = Table(name, name, schema.plural(name), primary_id, "name", title, title + "s", is_custom="_" in name)
    return schema.add_table(organization, table, [primary_name])


def define(organization: Organization, name: str, request: Request) -> None:
    """Set what a table is, from a request's JSON object. Raises DataverseError."""
    wanted = payload.parse_object(request.body, "definitions")
    kind = wanted.get("table_type", STANDARD)
    known = all(name in {*FLAGS, "table_type"} for name in wanted)
    if (
        not known
        or kind not in (STANDARD, VIRTUAL, ELASTIC)
        or any(type(wanted.get(f, True)) is not bool for f in FLAGS)
    ):
        raise invalid_argument(f"A definition has {', '.join(FLAGS)} (true or false) and table_type, not {wanted}.")
    if not NAME.fullmatch(name):
        raise invalid_argument(f"'{name}' is not a table's logical name.")
    with organization.transaction():
        table = organization.catalog.tables.get(name) or _new_table(organization, name)
        organization.catalog_changed = True
        table.is_managed = wanted.get("is_managed", table.is_managed)
        table.is_customizable = wanted.get("is_customizable", table.is_customizable)
        table.kind = wanted.get("table_type", table.kind)


def _columns(organization: Organization, table: Table, header: list[str], rows: Rows) -> list[Column]:
    found = []
    for position, title in enumerate(header):
        name = title.lower()
        column = table.columns.get(name) or table.properties.get(name)
        if column is None:
            if not NAME.fullmatch(name):
                raise invalid_argument(f"'{title}' is not a column's logical name.")
            longest = max((len(str(row[position])) for row in rows if row[position] is not None), default=0)
            kind, length = ("Memo", limits.MAX_MEMO) if longest > limits.MAX_TEXT // 2 else ("String", limits.MAX_TEXT)
            column = Column(name, kind, name, title, max_length=length, is_custom="_" in name)
            schema.add_column(organization, table, column)
        found.append(column)
    if len({column.logical_name for column in found}) != len(found):
        raise invalid_argument("A column is named twice.")
    return found


def _write(organization: Organization, table: Table, columns: list[Column], rows: Rows, *, from_text: bool) -> int:
    names = [quoted(column.logical_name) for column in columns]
    typed = [column for column in columns if column.kind == MANY_TARGETS]
    names += [quoted(type_column(column.logical_name)) for column in typed]
    given = {column.logical_name for column in columns}
    stamps = [name for name in ("createdon", "modifiedon", "versionnumber") if name not in given - {"versionnumber"}]
    marks = ", ".join("?" * (len(names) + len(stamps)))
    sql = f"INSERT OR REPLACE INTO {quoted(table.logical_name)} ({', '.join([*names, *stamps])}) VALUES ({marks})"
    if "versionnumber" in given:
        raise invalid_argument("'versionnumber' cannot be given.")
    store, moment = organization.store, writes.now()
    stored = _stored(table, columns, rows, from_text=from_text)
    complete = [
        (
            *row,
            *(None if row[columns.index(one)] is None else one.targets[0] for one in typed),
            *(store.next_version() if name == "versionnumber" else moment for name in stamps),
        )
        for row in stored
    ]
    store.write(sql, complete)
    return len(rows)


def _stored(table: Table, columns: list[Column], rows: Rows, *, from_text: bool) -> Iterator[list[Any]]:
    readers = [None if column.kind in LOOKUPS else values.reader(table, column) for column in columns]
    for number, row in enumerate(rows, 1):
        stored = []
        for column, reader, value in zip(columns, readers, row, strict=True):
            try:
                stored.append(None if value is None else _cell(column, reader, value, from_text=from_text))
            except (ValueError, KeyError, ArithmeticError, DataverseError) as error:
                reason = error.message if isinstance(error, DataverseError) else f"{value!r} does not fit the column"
                message = f"Row {number}, column '{column.logical_name}': {reason}"
                raise invalid_argument(message) from None
            if value is None and column.logical_name == table.primary_id:
                raise invalid_argument(f"Row {number} has no primary key.")
        yield stored


def _cell(column: Column, reader: values.Reader | None, value: Any, *, from_text: bool) -> Any:
    if reader is None or column.kind == "Uniqueidentifier":
        return values.any_guid(str(value))
    if from_text:
        value = values.from_text(column, value)
    elif column.kind in ("String", "Memo") and isinstance(value, int | Decimal):
        value = json.dumps(value) if isinstance(value, bool | int) else str(value)
    return reader(value)
