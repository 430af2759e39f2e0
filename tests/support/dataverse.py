"""Dataverse's content beside the oracle's, cell by cell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.oracle import Expected, Json

LINK = "_msdynci_lookupfield_customerprofile_value"
COMPARE_LOOKUPS = True
"""Whether the lookup of AlternateKey to its profile is compared."""
COMPARE_ALL_TABLES = True
"""Whether the tables beside CustomerProfile and AlternateKey are compared."""


def exported(folder: Path, table: str, key: str) -> dict[str, dict[str, Any]]:
    """The rows of an exported table by primary key."""
    path = folder / f"{table}.ndjson"
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    found = {row[key].lower(): row for row in rows}
    assert len(found) == len(rows), f"{table} holds a key twice"
    return found


def assert_equal(folder: Path, expected: Expected, prefix: str = "msdynci") -> None:
    """Every cell equals the oracle's, no row is too many, none is missing, lookups and links point where they should.

    JSON is compared byte by byte; only doubles in it may stand in another notation of the same shortest digits.
    """
    for name, rows in expected.tables.items():
        table, left_out = f"{prefix}_{name.lower()}", set[str]()
        if name not in ("CustomerProfile", "AlternateKey") and not COMPARE_ALL_TABLES:
            continue
        if name == "AlternateKey" and not COMPARE_LOOKUPS:
            left_out = {f"_{prefix}_lookupfield_customer_value"}
        _assert_rows(table, exported(folder, table, f"{table}id"), rows, left_out)
    for table, links in expected.links.items():
        found = {key: row[LINK] for key, row in exported(folder, table, f"{table}id").items() if row.get(LINK)}
        assert found == links, f"links of {table}: {_unlike(found, links)}"


def _assert_rows(
    table: str, found: Mapping[str, Mapping[str, Any]], expected: Mapping[str, Mapping[str, Any]], left_out: set[str]
) -> None:
    assert found.keys() == expected.keys(), f"rows of {table}: {_unlike(found, expected)}"
    for key, row in expected.items():
        cells = {name: (found[key].get(name), cell) for name, cell in row.items() if name not in left_out}
        wrong = {name: pair for name, pair in cells.items() if not _same(*pair)}
        assert not wrong, f"{table} {key}: (found, expected) = {wrong}"


def _same(found: Any, expected: Any) -> bool:
    return expected.same(found) if isinstance(expected, Json) else found == expected


def _unlike(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """A few examples of what is different; whole tables would fill the screen."""
    return (
        f"too many {sorted(found.keys() - expected.keys())[:3]}, missing {sorted(expected.keys() - found.keys())[:3]}, "
        f"different {[key for key in found.keys() & expected.keys() if found[key] != expected[key]][:3]}"
    )
