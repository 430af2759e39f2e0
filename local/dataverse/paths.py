"""Resource paths of the Web API: `contacts(guid)/parentcustomerid_account/$ref` and the keys in parentheses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from local.dataverse.errors import bad_query, key_not_found, unknown_segment
from local.dataverse.metadata import LOOKUPS, Table
from local.dataverse.organization import Organization
from local.dataverse.storage import quoted
from local.dataverse.values import GUID

SEGMENT = re.compile(r"([^()]+)(?:\((.*)\))?", re.DOTALL)
REFERENCE = re.compile(r"(?:https?://[^/]+(?:/[^/]+)?/api/data/v9\.\d+/|/api/data/v9\.\d+/|/)?([A-Za-z0-9_]+)\((.+)\)")
PAIR = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*('(?:[^']|'')*'|[^,']+?)\s*(?:,|$)")


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a path. `predicate` is what stands in its parentheses, None without any."""

    name: str
    predicate: str | None = None


def segments(path: str) -> list[Segment]:
    """Split a path behind `/api/data/v9.x/`. Raises DataverseError when it cannot be read.

    The path is decoded first and split then, as the real service does: a slash in a key breaks the path.
    """
    found = []
    for part in unquote(path).strip("/").split("/"):
        match = SEGMENT.fullmatch(part)
        if match is None:
            raise unknown_segment(part)
        found.append(Segment(match[1], match[2]))
    return found


def pairs(predicate: str) -> dict[str, str]:
    """Read `a='x',b=2` as texts; a single value without a name has the name ""."""
    if "=" not in predicate:
        return {"": literal(predicate)}
    found: dict[str, str] = {}
    position = 0
    while position < len(predicate):
        match = PAIR.match(predicate, position)
        if match is None:
            reason = f"Syntax error in the key '({predicate})'."
            raise bad_query(reason)
        found[match[1]] = literal(match[2])
        position = match.end()
    return found


def literal(text: str) -> str:
    """Return the value of a key literal: quotes are taken off, doubled ones halved."""
    text = text.strip()
    return text[1:-1].replace("''", "'") if text.startswith("'") and text.endswith("'") and len(text) > 1 else text


def row_id(organization: Organization, table: Table, predicate: str) -> str:
    """Return the primary key that a predicate means; the row of a GUID need not exist.

    Raises DataverseError 404 for an alternate key that no row has.
    """
    if GUID.fullmatch(predicate):
        return predicate.lower()
    key = pairs(predicate)
    only = key.get("") or key.get(table.primary_id)
    if len(key) == 1 and only and GUID.fullmatch(only):
        return only.lower()
    found = by_alternate_key(organization, table, alternate_key(table, key))
    if found is None:
        raise key_not_found(table.logical_name)
    return found


def alternate_key(table: Table, key: dict[str, str]) -> dict[str, Any]:
    """Return {column: stored value} of a key that the table declares. Raises DataverseError for any other."""
    names = {_column_name(table, name): value for name, value in key.items()}
    if not any(set(names) == set(declared.columns) for declared in table.keys.values()):
        reason = f"The key ({', '.join(key) or 'without a name'}) is not a key of '{table.logical_name}'."
        raise bad_query(reason)
    return {name: _stored(table, name, value) for name, value in names.items()}


def _column_name(table: Table, name: str) -> str:
    column = table.properties.get(name)
    return column.logical_name if column else name


def _stored(table: Table, name: str, value: str) -> Any:
    column = table.columns[name]
    if column.kind in LOOKUPS or column.kind == "Uniqueidentifier":
        return value.lower()
    return int(value) if column.kind in ("Integer", "BigInt", "Picklist") and re.fullmatch(r"-?\d+", value) else value


def by_alternate_key(organization: Organization, table: Table, key: dict[str, Any]) -> str | None:
    """Return the primary key of the row with these column values, None when there is none."""
    condition = " AND ".join(f"{quoted(name)} = ?" for name in key)
    sql = f"SELECT {quoted(table.primary_id)} FROM {quoted(table.logical_name)} WHERE {condition}"
    row = organization.store.connection.execute(sql, tuple(key.values())).fetchone()
    return row[0] if row else None


def reference(organization: Organization, text: Any) -> tuple[Table, str]:
    """Return the table and row id of `accounts(guid)`, with or without a slash or an address before it.

    Raises DataverseError.
    """
    match = REFERENCE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        reason = f"'{text}' is not the address of a row."
        raise bad_query(reason)
    table = organization.catalog.sets.get(match[1])
    if table is None:
        raise unknown_segment(match[1])
    return table, row_id(organization, table, match[2])
