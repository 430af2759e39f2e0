"""docs/tables.md says what the catalog and the SQL do."""

from __future__ import annotations

import json
import re
import uuid

import pytest

from local import tables_page
from shared.settings import OUTPUT_TABLES

NAMESPACE = uuid.UUID("6b1e5d0c-6f4e-5c58-9b0a-3a8e0d2c7f41")
EXAMPLES = re.compile(r"^## (\w+)$.*?^```json$(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_page_is_that_of_the_catalog() -> None:
    written = tables_page.PAGE.read_text(encoding="utf-8")
    assert written == tables_page.page(), "docs/tables.md is not what the catalog says any more: make docs"


def test_every_output_table_has_its_section_and_an_example() -> None:
    assert [name for name, _ in EXAMPLES.findall(tables_page.page())] == list(OUTPUT_TABLES)


@pytest.mark.parametrize(("table", "example"), EXAMPLES.findall(tables_page.page()))
def test_the_example_follows_the_rules_of_the_page(table: str, example: str) -> None:
    row = json.loads(example)
    assert row["@odata.type"].endswith(f"msdynci_{table.lower()}")
    key = row[f"msdynci_{table.lower()}id"]
    if table in {"CustomerProfile", "CustomerMeasure"}:
        assert key == row["msdynci_customerid"]
    elif table == "UnifiedActivity":
        assert key == str(uuid.uuid5(NAMESPACE, row["msdynci_activityid"]))
    else:
        assert key == str(uuid.uuid5(NAMESPACE, row["msdynci_identifier"]))
    if table != "CustomerProfile":
        assert row["msdynci_lookupfield_customer@odata.bind"].endswith(f"({row['msdynci_customerid']})")
