"""Which attributes become columns, and how long: `include`, `exclude` and `lengths` of hydration.toml."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from shared.lake.manifest import Attribute
from shared.settings import TableOptions


def chosen(attributes: Sequence[Attribute], options: TableOptions, *, always: Collection[str]) -> list[Attribute]:
    """The attributes that the options leave, `always` among them.

    A name means the attribute that is spelled like it, or, where none is, those that differ in case only.
    """
    names = [attribute.name for attribute in attributes]
    include = None if options.include is None else _meant(options.include, names)
    exclude = _meant(options.exclude, names)
    return [
        attribute
        for attribute in attributes
        if attribute.name in always
        or (attribute.name not in exclude and (include is None or attribute.name in include))
    ]


def unknown(names: Sequence[str], texts: Sequence[str], options: TableOptions, *, table: str) -> list[str]:
    """A sentence for each name in the options that is none of `names`, or of `texts` where it is about a length."""
    listed = [("include", one, names) for one in options.include or ()]
    listed += [("exclude", one, names) for one in options.exclude]
    listed += [("lengths", one, texts) for one in options.lengths]
    found = []
    for key, one, known in listed:
        if not _meant([one], known):
            close = difflib.get_close_matches(one, known, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            what = "is no text column that is written" if key == "lengths" else "the lake's entity does not have"
            found.append(f"[tables.{table}] {key} in hydration.toml names {one}, which {what}.{hint}")
    return found


def of_columns(options: TableOptions, fields: Sequence[Attribute]) -> TableOptions:
    """The options of an aggregate's columns: any other name is that of an attribute that one column holds."""
    return _limited(options, lambda name: _is(name, fields))


def of_members(options: TableOptions, fields: Sequence[Attribute]) -> TableOptions:
    """The options of the attributes that an aggregate holds in one column."""
    return _limited(options, lambda name: not _is(name, fields))


def _is(name: str, attributes: Sequence[Attribute]) -> bool:
    return any(attribute.name.casefold() == name.casefold() for attribute in attributes)


def _limited(options: TableOptions, keeps: Callable[[str], bool]) -> TableOptions:
    include = options.include
    if include:  # an empty list stays one: nothing but what a row needs
        include = tuple(filter(keeps, include)) or None
    return replace(options, include=include, exclude=tuple(filter(keeps, options.exclude)))


def lengths(texts: Sequence[str], options: TableOptions) -> Mapping[str, int]:
    """The configured length of each text column."""
    found: dict[str, int] = {}
    for name, length in options.lengths.items():
        found |= dict.fromkeys(_meant([name], texts), length)
    return found


def _meant(wanted: Iterable[str], names: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for one in wanted:
        found |= {one} if one in names else {name for name in names if name.casefold() == one.casefold()}
    return found
