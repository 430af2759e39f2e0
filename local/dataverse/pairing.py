"""The SQL tables of many-to-many relationships: one row a pair."""

from __future__ import annotations

from local.dataverse.metadata import ManyToMany, Table
from local.dataverse.storage import Store, quoted

SIDES = ("first", "second")


def make(store: Store, pairs: ManyToMany, first: Table, second: Table) -> None:
    """Make the table of pairs, and the triggers by which a row that is deleted takes its pairs along."""
    name = quoted(pairs.intersection)
    store.connection.execute(
        f"CREATE TABLE {name} (first TEXT NOT NULL, second TEXT NOT NULL, PRIMARY KEY (first, second))"
    )
    for table, side in zip((first, second), SIDES, strict=True):
        store.connection.execute(
            f"CREATE TRIGGER {_trigger(pairs, side)} AFTER DELETE ON {quoted(table.logical_name)} BEGIN "
            f"DELETE FROM {name} WHERE {side} = old.{quoted(table.primary_id)}; END"
        )


def drop(store: Store, pairs: ManyToMany) -> None:
    """Take the table of pairs away."""
    for side in SIDES:
        store.connection.execute(f"DROP TRIGGER IF EXISTS {_trigger(pairs, side)}")
    store.connection.execute(f"DROP TABLE {quoted(pairs.intersection)}")


def _trigger(pairs: ManyToMany, side: str) -> str:
    return quoted(f"pairs {pairs.intersection} {side}")


def related(pairs: ManyToMany, table: Table, target: Table) -> str:
    """Return the condition for the rows of the other end that are paired with a row, whose id is the argument."""
    here, there = ("first", "second") if pairs.first == table.logical_name else ("second", "first")
    name = quoted(pairs.intersection)
    return f"{quoted(target.primary_id)} IN (SELECT {there} FROM {name} WHERE {here} = ?)"
