"""Which source tables are linked, and why others are not (requirements, "Native linking task")."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.settings import DataSource

NOT_INGESTED = (
    "Error: The backstamping job is skipped. It only runs when unification setup contains tables that are ingested to "
    "Customer Insights from the same Dataverse organization that was configured or selected during instance creation."
)
NOT_LINKED = "Error: Linking of Dataverse tables to the CustomerProfile table is skipped."
"""Both texts stand verbatim in Microsoft's documentation; users search for them."""


@dataclass(frozen=True)
class LinkedTable:
    """One source table: its logical name, the (data source, entity) pairs that name its rows, or why it is skipped."""

    logical_name: str
    sources: tuple[tuple[str, str], ...]
    primary_key: str | None = None
    skipped: str = ""


def linked_tables(
    pairs: Iterable[tuple[str, str]],
    data_sources: Mapping[str, DataSource],
    dataverse_url: str,
    known: Sequence[str] = (),
) -> list[LinkedTable]:
    """The tables to link among the (data source, entity) pairs of the alternate keys.

    `known` are logical names that earlier runs linked: where none of their rows is left, their links are cleared.
    Several pairs with one logical name are one table.
    """
    by_name = {source.name.casefold(): source for source in data_sources.values()}
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    keys: dict[str, str | None] = {}
    skipped: list[LinkedTable] = []
    for data_source, entity in sorted(pairs):
        source = by_name.get(data_source.casefold())
        table = (
            next((one for one in source.tables.values() if one.name.casefold() == entity.casefold()), None)
            if source
            else None
        )
        logical_name = (table.logical_name if table and table.logical_name else entity).lower()
        if source is None or source.dataverse is None or source.dataverse.rstrip("/") != dataverse_url.rstrip("/"):
            skipped.append(
                LinkedTable(logical_name, ((data_source, entity),), skipped=_why(data_source, entity, source))
            )
            continue
        found[logical_name].append((data_source, entity))
        keys[logical_name] = (table.primary_key if table else None) or keys.get(logical_name)
    for logical_name in known:
        found.setdefault(logical_name, [])
    tables = [LinkedTable(name, tuple(sources), keys.get(name)) for name, sources in sorted(found.items())]
    return tables + [table for table in skipped if table.logical_name not in found]


def _why(data_source: str, entity: str, source: DataSource | None) -> str:
    if source is None:
        reason = f"hydration.toml has no [data_sources.{data_source}]"
    elif source.dataverse is None:
        reason = f"[data_sources.{data_source}] names no Dataverse organization"
    else:
        reason = f"[data_sources.{data_source}] is ingested from another organization ({source.dataverse})"
    return f"{NOT_INGESTED}\nThe table {entity} of the data source {data_source} is not linked: {reason}."
