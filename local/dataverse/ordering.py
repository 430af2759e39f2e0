"""$select and $orderby of rows."""

from __future__ import annotations

from local.dataverse.conditions import numeric
from local.dataverse.errors import bad_query, unknown_property
from local.dataverse.metadata import Column, Table
from local.dataverse.storage import quoted


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


def order(table: Table, text: str | None) -> list[str]:
    """Return the parts of an ORDER BY. Raises DataverseError."""
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
        found.append(numeric(column, quoted(column.logical_name)) + (" DESC" if words[1:] == ["desc"] else ""))
    return found
