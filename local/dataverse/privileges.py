"""Privileges: how they are named, and what the application user holds of them.

Microsoft's sample definitions name them `prv` + type + the table's SchemaName: prvWriteContact,
prvCreatenew_BankAccount. The application user holds all of them with depth Global until a test takes some away
(`POST /local/{host}/privileges`). What was taken is kept in memory, as faults are.
"""

from __future__ import annotations

import json
import re
from typing import Any

from local.dataverse.errors import invalid_argument
from local.dataverse.metadata import Table

CREATE, READ, WRITE, DELETE, APPEND, APPEND_TO = "Create", "Read", "Write", "Delete", "Append", "AppendTo"
TYPES = (CREATE, READ, WRITE, DELETE, APPEND, APPEND_TO)
OF_OWNERS = ("Assign", "Share")
BYPASS, BYPASS_PLUGINS = "prvBypassCustomBusinessLogic", "prvBypassCustomPlugins"
WITHOUT_TABLE = (BYPASS, BYPASS_PLUGINS)
GLOBAL = "Global"
DEPTHS = ("Basic", "Local", "Deep", GLOBAL)
NAME = re.compile(r"prv[A-Z]\w+")


def name(kind: str, table: Table) -> str:
    """Return the name of a table's privilege."""
    return f"prv{kind}{table.schema_name}"


def types(table: Table) -> tuple[str, ...]:
    """Return the types of a table's privileges: only rows with owners can be assigned and shared."""
    return TYPES + OF_OWNERS if table.ownership == "UserOwned" else TYPES


class Privileges:
    """What the application user lacks, and what it holds with a depth below Global."""

    def __init__(self) -> None:
        self.lacking: frozenset[str] = frozenset()
        self.depths: dict[str, str] = {}

    def replace(self, body: bytes) -> None:
        """Replace both from `{"lacking": [names], "depth": {name: depth}}`. Raises DataverseError."""
        try:
            wanted = json.loads(body or b"{}")
        except ValueError:
            raise invalid_argument("The body is not JSON.") from None
        if not isinstance(wanted, dict) or set(wanted) - {"lacking", "depth"}:
            raise invalid_argument('{"lacking": [names], "depth": {name: depth}} is expected.')
        lacking, depths = wanted.get("lacking", []), wanted.get("depth", {})
        if not isinstance(lacking, list) or not isinstance(depths, dict):
            raise invalid_argument("lacking is a list of names, depth an object.")
        if wrong := [one for one in (*lacking, *depths) if not isinstance(one, str) or not NAME.fullmatch(one)]:
            raise invalid_argument(f"'{wrong[0]}' is not the name of a privilege.")
        if wrong := [one for one in depths.values() if one not in DEPTHS]:
            raise invalid_argument(f"'{wrong[0]}' is not a depth; known: {', '.join(DEPTHS)}.")
        self.lacking, self.depths = frozenset(lacking), {one: depth for one, depth in depths.items() if depth != GLOBAL}

    def report(self, known: set[str]) -> dict[str, Any]:
        """Return what is taken; `unknown` are names that no table has now, a slip or a table still to come."""
        unknown = sorted({*self.lacking, *self.depths} - known)
        return {"lacking": sorted(self.lacking), "depth": dict(sorted(self.depths.items())), "unknown": unknown}
