"""What must be given before a source table is linked. Pure: each check raises RequirementError, the task is Skipped.

Source: "Automatically link Dynamics 365 apps to customer profiles", section "Requirements".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.dataverse.metadata import Table
from shared.errors import RequirementError
from shared.linking import texts
from shared.linking.texts import NOT_LINKED

_TEXT_KEYS = {"String", "Integer"}


@dataclass(frozen=True)
class Key:
    """The column that unification names the rows of a source table by."""

    column: str
    is_primary: bool


def key_of(table: Table, named: Iterable[str], alternate_keys: Mapping[str, str]) -> Key:
    """The key that the sources of a table use; those that do not say (empty) use its primary key.

    `alternate_keys`: columns that are one by themselves, and the state of its index.
    """
    keys = {name.casefold() or table.primary_id for name in named} or {table.primary_id}
    if len(keys) > 1:
        raise skipped(texts.SEVERAL_KEYS, table=table.logical_name, keys=", ".join(sorted(keys)))
    (key,) = keys
    if key == table.primary_id:
        return Key(key, is_primary=True)
    column = table.columns.get(key)
    status = alternate_keys.get(key)
    if column is None or column.type not in _TEXT_KEYS or status is None:
        raise skipped(texts.NOT_THE_PRIMARY_KEY, key=key, table=table.logical_name, primary_key=table.primary_id)
    if status != "Active":
        raise skipped(texts.KEY_NOT_READY, key=key, table=table.logical_name, status=status)
    return Key(key, is_primary=False)


def check_kind(table: Table) -> None:
    """A lookup can be added to standard tables only."""
    if not table.is_standard:
        raise skipped(texts.NOT_A_STANDARD_TABLE, table=table.logical_name, type=table.type.lower())


def check_lookup(table: Table, lookup: str, profile: str) -> None:
    """A column of the lookup's name must be a lookup to the profiles and nothing else, and never delete its row."""
    column = table.columns.get(lookup)
    if column is None:
        return
    targets = sorted(one.target for one in table.lookups if one.column == lookup)
    if targets != [profile]:
        what = f"a lookup to {' and '.join(targets)}" if targets else f"a column of type {column.type}"
        raise skipped(texts.OTHER_TARGET, lookup=lookup, table=table.logical_name, what=what, profile=profile)
    if any(one.column == lookup and one.on_delete == "Cascade" for one in table.lookups):
        raise skipped(texts.CASCADES, lookup=lookup, table=table.logical_name)


def check_privileges(table: str, lacking: Iterable[str], user: str | None) -> None:
    """The application user must be able to read and update the table, and to point it to profiles."""
    if names := list(lacking):
        raise skipped(texts.NO_PRIVILEGE, table=table, privileges=" and ".join(names), user=user or "")


def skipped(text: str, **names: object) -> RequirementError:
    """The documented text, and what is not given and what to do."""
    return RequirementError(f"{NOT_LINKED}\n{text.format(**names)}")
