"""How the profile's key columns, named {DataSource}_{Table}_{PrimaryKeyColumn}, are cut into their three parts.

Every part may hold underscores itself. hydration.toml decides first, then the names of the lake's other entities
(`Deduplication_<DataSource>_<Table>`, `<DataSource>_<Table>`); what still has several readings is ambiguous. A column
that neither knows is taken as a key only when it has exactly three parts and the last one names an id: an ordinary
attribute such as Address_Home_City must not become a key. Where hydration.toml names a key that no column holds, the
columns of that table are unclear: without its keys the table would look as if all its rows had been removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.settings import DataSource, SourceTable

DEDUPLICATION = "deduplication_"
_NAMES_AN_ID = re.compile(r"(id|key|code|number|no|nr|guid|uuid)$", re.IGNORECASE)


@dataclass(frozen=True)
class Reading:
    """One way to read a key column's name."""

    data_source: str
    table: str
    primary_key: str

    def __str__(self) -> str:
        return f"table {self.table} of data source {self.data_source} with key {self.primary_key}"


@dataclass(frozen=True)
class KeyColumn:
    """An attribute of the profile that holds the keys of one source table."""

    attribute: str
    reading: Reading


@dataclass(frozen=True)
class Ambiguous:
    """An attribute that can be read in several ways, or in a way that hydration.toml does not allow.

    `configured` is then the primary key that it names instead.
    """

    attribute: str
    readings: tuple[Reading, ...]
    configured: str = ""

    @property
    def detail(self) -> str:
        """What a person can do about it."""
        first = self.readings[0]
        if self.configured:
            return (
                f"The profile's column {self.attribute} would be {first}, but hydration.toml names another key of that "
                f"table ({self.configured}), which no column of the profile holds. Correct primary_key in "
                f"[data_sources.{first.data_source}.tables.{first.table}]. "
                "Until then nothing is derived from this column, and no alternate key or link is removed."
            )
        return (
            f"The profile's column {self.attribute} can be read as {'; or as '.join(map(str, self.readings))}. "
            f"Name the right one in hydration.toml: [data_sources.{first.data_source}.tables.{first.table}]. "
            "Until then nothing is derived from this column, and no alternate key or link is removed."
        )


def cut(
    attributes: Iterable[str], data_sources: Mapping[str, DataSource], entities: Iterable[str]
) -> tuple[tuple[KeyColumn, ...], tuple[Ambiguous, ...]]:
    """The key columns among the attributes, and those that cannot be told. Pure."""
    attributes = list(attributes)
    known = {_source_table(entity) for entity in entities}
    found: list[KeyColumn] = []
    unclear: dict[str, Ambiguous] = {}
    for attribute in attributes:
        readings = _readings(attribute, data_sources, known)
        if len(readings) == 1:
            found.append(KeyColumn(attribute, readings[0]))
        elif readings:
            unclear[attribute] = Ambiguous(attribute, tuple(readings))
    held = {_fold(one.reading) for one in found}
    for table in (table for source in data_sources.values() for table in source.tables.values()):
        if table.primary_key and (table.data_source.casefold(), table.name.casefold()) not in held:
            for ambiguous in _of_another_key(attributes, table, table.primary_key):
                if ambiguous.attribute not in {one.attribute for one in found}:
                    unclear.setdefault(ambiguous.attribute, ambiguous)
    return tuple(found), tuple(unclear[attribute] for attribute in attributes if attribute in unclear)


def cut_entity_name(name: str, data_sources: Mapping[str, DataSource]) -> tuple[str, str]:
    """The data source and the table that a contact's EntityName spells: `<DataSource>_<Table>`, or `<Table>`. Pure.

    A table that hydration.toml configures comes before one that only begins with a data source's name, and the longest
    data source before a shorter one. What cannot be told has no data source: ("", name).
    """
    by_length = sorted(data_sources.values(), key=lambda source: (-len(source.name), source.name))
    cuts = [(one, name[len(one.name) + 1 :]) for one in by_length if _begins(name, one)]
    named = [(one.name, _configured(one, rest)) for one, rest in cuts]
    bare = [(one.name, table) for one in by_length if (table := _configured(one, name))]
    for data_source, table in [*named, *(bare if len(bare) == 1 else [])]:
        if table:
            return data_source, table
    return (cuts[0][0].name, cuts[0][1]) if cuts else ("", name)


def _begins(name: str, source: DataSource) -> bool:
    begin = f"{source.name}_"
    return len(name) > len(begin) and name[: len(begin)].casefold() == begin.casefold()


def _configured(source: DataSource, table: str) -> str:
    """The table's name as hydration.toml spells it; empty where it does not name the table."""
    return next((one.name for one in source.tables.values() if one.name.casefold() == table.casefold()), "")


def _fold(reading: Reading) -> tuple[str, str]:
    return reading.data_source.casefold(), reading.table.casefold()


def _of_another_key(attributes: Iterable[str], table: SourceTable, primary_key: str) -> list[Ambiguous]:
    """The columns that may hold the keys of a configured table; those that name an id, if there are any."""
    wanted = (table.data_source.casefold(), table.name.casefold())
    columns = [(attribute, one) for attribute in attributes for one in _cuts(attribute) if _fold(one) == wanted]
    ids = [(attribute, one) for attribute, one in columns if _NAMES_AN_ID.search(one.primary_key)]
    return [Ambiguous(attribute, (one,), configured=primary_key) for attribute, one in ids or columns]


def _source_table(entity: str) -> str:
    return entity.casefold().removeprefix(DEDUPLICATION)


def _readings(attribute: str, data_sources: Mapping[str, DataSource], known: set[str]) -> Sequence[Reading]:
    possible = list(_cuts(attribute))
    if not possible:
        return ()
    named = [reading for reading in possible if f"{reading.data_source}_{reading.table}".casefold() in known]
    by_name = {source.name.casefold(): source for source in data_sources.values()}
    configured = [reading for reading in possible if reading.data_source.casefold() in by_name]
    exact = [reading for reading in configured if _agrees(reading, by_name[reading.data_source.casefold()])]
    if exact:
        return exact
    open_ones = [reading for reading in configured if not _speaks_of(reading, by_name[reading.data_source.casefold()])]
    if open_ones:
        return [reading for reading in open_ones if reading in named] or open_ones
    if configured:
        return ()  # the file knows the table, and says that its key is another column: see _of_another_key
    if named:
        return named
    return possible if len(possible) == 1 and _NAMES_AN_ID.search(possible[0].primary_key) else _unclear(possible)


def _unclear(possible: Sequence[Reading]) -> Sequence[Reading]:
    """Several readings of a name that ends as ids do; any other name is an ordinary attribute."""
    return possible if len(possible) > 1 and _NAMES_AN_ID.search(possible[-1].primary_key) else ()


def _agrees(reading: Reading, source: DataSource) -> bool:
    table = next((one for one in source.tables.values() if one.name.casefold() == reading.table.casefold()), None)
    return table is not None and (
        table.primary_key is None or table.primary_key.casefold() == reading.primary_key.casefold()
    )


def _speaks_of(reading: Reading, source: DataSource) -> bool:
    return any(one.name.casefold() == reading.table.casefold() for one in source.tables.values())


def _cuts(attribute: str) -> Iterator[Reading]:
    parts = attribute.split("_")
    for first in range(1, len(parts) - 1):
        for second in range(first + 1, len(parts)):
            pieces = ["_".join(parts[:first]), "_".join(parts[first:second]), "_".join(parts[second:])]
            if all(piece.strip("_") for piece in pieces):
                yield Reading(*pieces)
