"""Which source tables are linked, and why others are not (requirements, "Native linking task")."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.linking import texts
from shared.settings import DataSource, SourceTable


@dataclass(frozen=True, order=True)
class LinkSource:
    """Where rows of a linked table are named: data source and entity as the lake has them.

    `key` is the column of the source table whose values unification uses; empty where nobody says.
    """

    data_source: str
    entity: str
    key: str = ""


@dataclass(frozen=True)
class LinkedTable:
    """One source table: its logical name, the sources that name its rows, or why it is skipped.

    `label` tells it from another table of the same logical name.
    """

    logical_name: str
    sources: tuple[LinkSource, ...]
    skipped: str = ""
    label: str = ""

    @property
    def key(self) -> str:
        """The key of its task, another one for each."""
        return f"link.{self.logical_name}" + (f".{self.label}" if self.label else "")


def configured_tables(data_sources: Mapping[str, DataSource], dataverse_url: str) -> set[str]:
    """The logical names of the tables that hydration.toml names as ingested from the organization."""
    return {
        (table.logical_name or table.name).lower()
        for source in data_sources.values()
        if _is_of(source, dataverse_url)
        for table in source.tables.values()
    }


def linked_tables(
    triples: Iterable[tuple[str, str, str]],
    data_sources: Mapping[str, DataSource],
    dataverse_url: str,
    known: Sequence[str] = (),
) -> list[LinkedTable]:
    """The tables to link among the (data source, entity, key) triples of the links' keys, and those that are skipped.

    `known` are logical names that earlier runs linked: where none of their rows is left, their links are cleared. One
    that is skipped is left alone. Several sources with one logical name are one table, unless they are skipped.
    """
    by_name = {source.name.casefold(): source for source in data_sources.values()}
    found: dict[str, set[LinkSource]] = defaultdict(set)
    skipped: dict[LinkSource, LinkedTable] = {}
    for data_source, entity, key in sorted(triples):
        source = by_name.get(data_source.casefold())
        table = _configured(source, entity)
        logical_name = (table.logical_name if table and table.logical_name else entity).lower()
        if not _is_of(source, dataverse_url):
            place = LinkSource(data_source, entity)
            skipped[place] = LinkedTable(logical_name, (place,), skipped=_why(data_source, entity, source))
            continue
        found[logical_name].add(LinkSource(data_source, entity, (table.primary_key if table else None) or key))
    left_alone = Counter(table.logical_name for table in skipped.values())
    for logical_name in known:
        if logical_name not in left_alone:
            found.setdefault(logical_name, set())
    tables = [LinkedTable(name, tuple(sorted(sources))) for name, sources in sorted(found.items())]
    return [_told_apart(one, found.keys(), left_alone) for one in skipped.values()] + tables


def _is_of(source: DataSource | None, dataverse_url: str) -> bool:
    """Whether a data source is ingested from the organization."""
    named = source.dataverse if source else None
    return named is not None and named.rstrip("/") == dataverse_url.rstrip("/")


def _configured(source: DataSource | None, entity: str) -> SourceTable | None:
    tables = source.tables.values() if source else ()
    return next((one for one in tables if one.name.casefold() == entity.casefold()), None)


def _told_apart(table: LinkedTable, linked: Collection[str], skipped: Mapping[str, int]) -> LinkedTable:
    """With a label where another table has its logical name; the one that is linked keeps the plain name."""
    if table.logical_name not in linked and skipped[table.logical_name] == 1:
        return table
    (source,) = table.sources
    return replace(table, label=", ".join(part for part in (source.data_source, source.entity) if part))


def _why(data_source: str, entity: str, source: DataSource | None) -> str:
    if not data_source:
        reason = texts.SOURCE_UNKNOWN.format(entity=entity)
    elif source is None:
        reason = texts.SOURCE_NOT_CONFIGURED.format(entity=entity, data_source=data_source)
    elif source.dataverse is None:
        reason = texts.SOURCE_IS_NO_DATAVERSE.format(entity=entity, data_source=data_source)
    else:
        url = source.dataverse
        reason = texts.SOURCE_OF_ANOTHER_ORGANIZATION.format(entity=entity, data_source=data_source, url=url)
    return f"{texts.NOT_INGESTED}\n{reason}"
