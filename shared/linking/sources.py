"""Which source tables are linked, and why others are not (requirements, "Native linking task")."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.settings import DataSource, SourceTable

NOT_INGESTED = (
    "Error: The backstamping job is skipped. It only runs when unification setup contains tables that are ingested to "
    "Customer Insights from the same Dataverse organization that was configured or selected during instance creation."
)
NOT_LINKED = "Error: Linking of Dataverse tables to the CustomerProfile table is skipped."
"""Both texts stand verbatim in Microsoft's documentation; users search for them."""


@dataclass(frozen=True)
class LinkedTable:
    """One source table: its logical name, the (data source, entity) pairs that name its rows, or why it is skipped.

    `label` tells it from another table of the same logical name.
    """

    logical_name: str
    sources: tuple[tuple[str, str], ...]
    primary_key: str | None = None
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
        if source.dataverse is not None and source.dataverse.rstrip("/") == dataverse_url.rstrip("/")
        for table in source.tables.values()
    }


def linked_tables(
    pairs: Iterable[tuple[str, str]],
    data_sources: Mapping[str, DataSource],
    dataverse_url: str,
    known: Sequence[str] = (),
) -> list[LinkedTable]:
    """The tables to link among the (data source, entity) pairs of the alternate keys, and those that are skipped.

    `known` are logical names that earlier runs linked: where none of their rows is left, their links are cleared. One
    that is skipped is left alone. Several pairs with one logical name are one table, unless they are skipped.
    """
    by_name = {source.name.casefold(): source for source in data_sources.values()}
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    keys: dict[str, str | None] = {}
    skipped: list[LinkedTable] = []
    for data_source, entity in sorted(pairs):
        source = by_name.get(data_source.casefold())
        table = _configured(source, entity)
        logical_name = (table.logical_name if table and table.logical_name else entity).lower()
        if source is None or source.dataverse is None or source.dataverse.rstrip("/") != dataverse_url.rstrip("/"):
            why = _why(data_source, entity, source)
            skipped.append(LinkedTable(logical_name, ((data_source, entity),), skipped=why))
            continue
        found[logical_name].append((data_source, entity))
        keys[logical_name] = (table.primary_key if table else None) or keys.get(logical_name)
    left_alone = Counter(table.logical_name for table in skipped)
    for logical_name in known:
        if logical_name not in left_alone:
            found.setdefault(logical_name, [])
    tables = [LinkedTable(name, tuple(sources), keys.get(name)) for name, sources in sorted(found.items())]
    return [_told_apart(one, found.keys(), left_alone) for one in skipped] + tables


def _configured(source: DataSource | None, entity: str) -> SourceTable | None:
    tables = source.tables.values() if source else ()
    return next((one for one in tables if one.name.casefold() == entity.casefold()), None)


def _told_apart(table: LinkedTable, linked: Collection[str], skipped: Mapping[str, int]) -> LinkedTable:
    """With a label where another table has its logical name; the one that is linked keeps the plain name."""
    if table.logical_name not in linked and skipped[table.logical_name] == 1:
        return table
    ((data_source, entity),) = table.sources
    return replace(table, label=f"{data_source}, {entity}")


def _why(data_source: str, entity: str, source: DataSource | None) -> str:
    if source is None:
        reason = f"hydration.toml has no [data_sources.{data_source}]"
    elif source.dataverse is None:
        reason = f"[data_sources.{data_source}] names no Dataverse organization"
    else:
        reason = f"[data_sources.{data_source}] is ingested from another organization ({source.dataverse})"
    return f"{NOT_INGESTED}\nThe table {entity} of the data source {data_source} is not linked: {reason}."
