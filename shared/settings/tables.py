"""Reads `[tables.<output table>]` of `hydration.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from shared.settings.checks import Section, is_number, suggestion
from shared.settings.model import OUTPUT_TABLES, Input, TableOptions

_KEYS = ("enabled", "include", "exclude", "entities", "lengths", "truncate", "keep_days")
_MOST_OF_A_TEXT = 1_048_576
_MOST_DAYS = 36_500

# How the file calls what is particular to the entities of a table, and which field of Input it is.
_PARTICULARS = {
    "Enrichment": {"provider": "provider", "type": "title"},
    "Prediction": {"provider": "provider", "model": "title"},
    "SegmentMembership": {"provider": "provider", "type": "membership", "segment": "title"},
}


def table_options(top: Section) -> Mapping[str, TableOptions]:
    """The options of every output table that the file speaks of."""
    found = {name: _table(top, name, values) for name, values in top.tables("tables").items()}
    owners: dict[str, str] = {}
    for table, options in found.items():
        for one in options.entities or ():
            owner = owners.setdefault(one.name.casefold(), table)
            if owner != table:
                top.say("tables", f"names an entity twice: {top.key('tables', table, 'entities')} and "
                                  f"{top.key('tables', owner, 'entities')}. It must belong to one table.")  # fmt: skip
    return MappingProxyType(found)


def _table(top: Section, name: str, values: object) -> TableOptions:
    section = top.section(values, ("tables", name), _KEYS)
    if name not in OUTPUT_TABLES:
        expected = f" It is none of {', '.join(OUTPUT_TABLES)}."
        top.say("tables", f'"{name}" is no output table.{suggestion(name, OUTPUT_TABLES) or expected}')
    include, exclude = section.texts("include"), section.texts("exclude")
    if include is not None and exclude is not None:
        section.say("include", "must not stand beside exclude: give the columns to write, or those to leave out.")
    return TableOptions(
        enabled=section.flag("enabled", default=True),
        include=include,
        exclude=exclude or (),
        entities=_entities(section, name),
        lengths=_lengths(section),
        truncate=section.flag("truncate", default=False),
        keep_days=_keep_days(section, name),
    )


def _entities(section: Section, table: str) -> tuple[Input, ...] | None:
    values = section.value("entities")
    if values is None:
        return None
    particulars = _PARTICULARS.get(table, {})
    if isinstance(values, list) and values:
        found = [_input(value, particulars) for value in values]
        if all(found):
            return tuple(one for one in found if one)
    allowed = "".join(f', {name} = "..."' for name in particulars)
    section.fault("entities", f'a list of entity names such as ["Name", "Name_*"], or of {{ name = "..."{allowed} }}')
    return None


def _input(value: object, particulars: Mapping[str, str]) -> Input | None:
    if isinstance(value, str):
        return Input(value.strip()) if value.strip() else None
    if not isinstance(value, dict) or "name" not in value or value.keys() - {"name", *particulars}:
        return None
    if not all(isinstance(one, str) and one.strip() for one in value.values()):
        return None
    return Input(
        value["name"].strip(), **{particulars[key]: one.strip() for key, one in value.items() if key != "name"}
    )


def _lengths(section: Section) -> Mapping[str, int]:
    values = section.value("lengths", {})
    fits = isinstance(values, dict) and all(
        isinstance(length, int) and not isinstance(length, bool) and 1 <= length <= _MOST_OF_A_TEXT
        for length in values.values()
    )
    if not fits or not isinstance(values, dict):
        section.fault("lengths", f"columns with their length, such as {{ Notes = 20000 }}, from 1 to {_MOST_OF_A_TEXT}")
        return MappingProxyType({})
    return MappingProxyType(values)


def _keep_days(section: Section, table: str) -> float | None:
    value = section.value("keep_days")
    if value is None:
        return None
    if table != "UnifiedActivity":
        section.say("keep_days", "is an option of UnifiedActivity only: no other table has a time stamp.")
    elif is_number(value) and 0 < value <= _MOST_DAYS:
        return float(value)
    else:
        section.fault("keep_days", f"a number of days greater than 0, at most {_MOST_DAYS}")
    return None
