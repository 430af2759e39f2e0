"""Which attributes become columns: `include` and `exclude` of hydration.toml."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from shared.errors import ConfigurationError
from shared.lake.manifest import Attribute
from shared.settings import TableOptions


def chosen(attributes: Sequence[Attribute], options: TableOptions, *, table: str, always: str) -> list[Attribute]:
    """The attributes that the options leave, `always` among them. Raises ConfigurationError for names that are none.

    A name means the attribute that is spelled like it, or, where none is, those that differ in case only.
    """
    faults: list[str] = []
    names = [attribute.name for attribute in attributes]
    include = None if options.include is None else _meant(options.include, names, f"[tables.{table}] include", faults)
    exclude = _meant(options.exclude, names, f"[tables.{table}] exclude", faults)
    if faults:
        raise ConfigurationError(faults)
    return [
        attribute
        for attribute in attributes
        if attribute.name == always
        or (attribute.name not in exclude and (include is None or attribute.name in include))
    ]


def _meant(wanted: Iterable[str], names: Sequence[str], where: str, faults: list[str]) -> set[str]:
    found: set[str] = set()
    for one in wanted:
        alike = [one] if one in names else [name for name in names if name.casefold() == one.casefold()]
        found |= set(alike)
        if not alike:
            close = difflib.get_close_matches(one, names, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            faults.append(f"{where} in hydration.toml names {one}, which the lake's entity does not have.{hint}")
    return found
