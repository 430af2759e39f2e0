"""The SQLite file of an organization: rowversions over starts and failures, and which rows there are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.dataverse import storage
from local.dataverse.metadata import Column, Table
from local.dataverse.storage import Store


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "one.sqlite")
    yield store
    store.close()


@pytest.fixture(name="table")
def _table(store: Store) -> Table:
    table = Table("new_row", "new_row", "new_rows", "new_rowid", "new_name", "Row", "Rows")
    table.add(Column("new_rowid", "Uniqueidentifier"))
    store.create_table(table)
    with store.transaction():
        store.write('INSERT INTO "new_row" ("new_rowid") VALUES (?)', [("a",), ("b",), ("c",)])
    return table


@pytest.mark.parametrize("writes", [1, 3, storage.RESERVED_VERSIONS + 5])
def test_versions_rise_over_a_start_without_an_end(store: Store, writes: int) -> None:
    for _ in range(2):
        with store.transaction():
            last = store.next_versions(writes)[-1]

    started_again = Store(store.path)

    assert started_again.next_version() > last
    started_again.close()


def test_a_transaction_that_fails_gives_its_versions_back(store: Store) -> None:
    before = store.version
    with pytest.raises(sqlite3.OperationalError), store.transaction():
        store.write(f"no SQL {store.next_versions(2 * storage.RESERVED_VERSIONS)}", [()])

    with store.transaction():
        assert store.next_version() == before + 1

    started_again = Store(store.path)
    assert started_again.next_version() > before + 1
    started_again.close()


def test_versions_come_one_after_another(store: Store) -> None:
    first = store.next_version()

    assert list(store.next_versions(3)) == [first + 1, first + 2, first + 3]
    assert store.next_version() == first + 4


@pytest.mark.parametrize(
    ("asked", "missing"),
    [([], set()), (["a"], set()), (["x"], {"x"}), (["a", "x", "c", "y"], {"x", "y"}), (["a", "b", "c"], set())],
)
def test_rows_are_there_or_missing(store: Store, table: Table, asked: list[str], missing: set[str]) -> None:
    assert store.missing(table, asked) == missing
    assert store.existing(table, asked) == set(asked) - missing
