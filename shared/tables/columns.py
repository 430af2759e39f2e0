"""The columns of an output table in Dataverse, from the catalog, hydration.toml and the attributes of the profile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from shared.errors import ConfigurationError
from shared.lake.manifest import Attribute
from shared.settings import Hydration, TableOptions
from shared.tables import selection
from shared.tables.catalog import CUSTOMER_ID, ID_LENGTH, TABLES, Field, key_name, logical_name
from shared.tables.values import MEMO_LENGTH, OF_DATA_TYPE, TEXT_LENGTH, Column, Kind

_LONGEST_NAME = 100


def columns(table: str, hydration: Hydration, attributes: Sequence[Attribute] = ()) -> tuple[Column, ...]:
    """The columns of an output table, by their Dataverse name; `source` is the attribute or field.

    `attributes` are those of its entities: CustomerProfile has them as columns, an aggregate holds them in one. Raises
    ConfigurationError for columns whose names clash, and for names in hydration.toml that are none where the columns
    stand in the requirements.
    """
    options, prefix, output = hydration.options(table), hydration.publisher_prefix, TABLES[table]
    if not output.fields:
        found = _profile_columns(attributes, prefix)
        found = _selected(found, options, table)
    else:
        if not output.payload and (faults := unknown_names(table, hydration)):
            raise ConfigurationError(faults)
        fields = [_attribute(field) for field in output.fields]
        limited = selection.of_columns(options, fields) if output.payload else options
        found = _selected([_of_field(field, prefix) for field in output.fields], limited, table)
    _refuse_clashes(found, prefix, table)
    return tuple(sorted(found, key=lambda column: column.logical_name))


def unknown_names(table: str, hydration: Hydration, attributes: Sequence[Attribute] = ()) -> list[str]:
    """A sentence for each name in hydration.toml that neither the table nor its entities have."""
    fields = [_attribute(field) for field in TABLES[table].fields]
    found = [_of_field(field, "") for field in TABLES[table].fields] or _profile_columns(attributes, "")
    names = [one.name for one in (*fields, *attributes)]
    texts = [column.source for column in found if _is_text(column, table)]
    return selection.unknown(names, texts, hydration.options(table), table=table)


def _attribute(field: Field) -> Attribute:
    return Attribute(field.name, "")


def _of_field(field: Field, prefix: str) -> Column:
    return Column(
        logical_name(prefix, field.name), field.name, field.kind, max_length=field.length, behavior=field.behavior
    )


def _profile_columns(attributes: Sequence[Attribute], prefix: str) -> list[Column]:
    found = []
    for attribute in attributes:
        is_id = attribute.name == CUSTOMER_ID
        kind = Kind.TEXT if is_id else OF_DATA_TYPE.get(attribute.data_type, Kind.TEXT)
        length = ID_LENGTH if is_id else MEMO_LENGTH if kind is Kind.MEMO else TEXT_LENGTH
        found.append(Column(logical_name(prefix, attribute.name), attribute.name, kind, length))
    return found


def _is_text(column: Column, table: str) -> bool:
    """Whether its length may be configured: ids and JSON stay whole."""
    output = TABLES[table]
    whole = {field.name for field in output.fields if field.made or field.json}
    ids = {CUSTOMER_ID, output.primary_name, *output.needs}
    return column.kind is Kind.TEXT and column.source not in whole | ids


def _selected(found: Sequence[Column], options: TableOptions, table: str) -> list[Column]:
    """The columns that hydration.toml leaves, as long as it has them, and cut where it says so."""
    always = {CUSTOMER_ID, TABLES[table].primary_name}
    kept = {one.name for one in selection.chosen([Attribute(c.source, "") for c in found], options, always=always)}
    texts = [column.source for column in found if column.source in kept and _is_text(column, table)]
    wanted = selection.lengths(texts, options)
    made = []
    for column in found:
        if column.source in kept:
            length = wanted.get(column.source, column.max_length)
            kind = Kind.MEMO if column.kind is Kind.TEXT and length > TEXT_LENGTH else column.kind
            cut = options.truncate and column.source in texts
            made.append(replace(column, kind=kind, max_length=length, truncate=cut))
    return made


def _refuse_clashes(found: Sequence[Column], prefix: str, table: str) -> None:
    by_name: dict[str, list[str]] = defaultdict(list)
    for column in found:
        by_name[column.logical_name].append(column.source)
    own_key, bare = key_name(prefix, table), f"{prefix}_"
    exclude = f"in hydration.toml ([tables.{table}] exclude)."
    faults = [
        f"The attributes {', '.join(sorted(names))} of the profile would all become the column {name}: "
        f"exclude all but one of them {exclude}"
        for name, names in by_name.items()
        if len(names) > 1
    ]
    for name, (first, *_) in by_name.items():
        become = f"The attribute {first} of the profile would become the column {name}, "
        if name == own_key:
            faults.append(f"{become}which is the table's own key: exclude it {exclude}")
        elif name == bare:
            faults.append(f"{become}which has no name: exclude it {exclude}")
        elif len(name) > _LONGEST_NAME:
            faults.append(
                f"{become}longer than the {_LONGEST_NAME} characters that Dataverse takes: exclude it {exclude}"
            )
    if faults:
        raise ConfigurationError(faults)
