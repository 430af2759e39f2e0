"""Which of the lake's entities is which output table, and what columns the table has in Dataverse."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.errors import ConfigurationError, CorruptSnapshotError
from shared.lake.manifest import Delivery, Entity, Manifest
from shared.lake.snapshot import Snapshot
from shared.settings import OUTPUT_TABLES, Hydration
from shared.tables import keys
from shared.tables.selection import chosen
from shared.tables.values import MEMO_LENGTH, OF_DATA_TYPE, Column, Kind

CUSTOMER_PROFILE = "CustomerProfile"
ALTERNATE_KEY = "AlternateKey"
CUSTOMER_ID = "CustomerId"

HYDRATED = (CUSTOMER_PROFILE, ALTERNATE_KEY)
"""The output tables that this version writes."""

NAMES = {
    CUSTOMER_PROFILE: ("Customer", "CustomerProfile"),
    ALTERNATE_KEY: ("AlternateKey",),
}
"""What the lake calls the entities of an output table."""

_OTHER_NAMES = {"customer_measure": "CustomerMeasure"}
_LEFT_ALONE = re.compile(r"deduplication_.*|.*conflationmatchpairs|_.*|\..*", re.IGNORECASE | re.DOTALL)

KEY_COLUMNS = ("DataSourceName", "EntityName", "AlternateValue", "CustomerId")
"""The attributes that the lake's own AlternateKey table must have."""

_ID_LENGTH = 100
_LONGEST_NAME = 100


@dataclass(frozen=True)
class Source:
    """Where an output table's rows come from: its entity, or why there is none to read."""

    entity: Entity | None = None
    fault: str = ""  # the entity is there and cannot be used: the table fails
    absent: str = ""  # it is named, or may be, and nothing of it can be read: the table is left alone
    note: str = ""


@dataclass(frozen=True)
class Catalog:
    """What a snapshot delivers."""

    customer: Source
    alternate_key: Source
    key_columns: tuple[keys.KeyColumn, ...]
    ambiguous: tuple[keys.Ambiguous, ...]
    skipped: tuple[tuple[str, str], ...]  # entity name -> why nothing is done with it
    incomplete: tuple[tuple[str, str], ...] = ()  # other output tables of which files are missing -> which

    @property
    def keys(self) -> Source:
        """Where the alternate keys come from: their own table, or the profile where no manifest names one."""
        own = self.alternate_key
        return own if own.entity or own.fault or own.absent else replace(self.customer, note="")

    @property
    def keys_fault(self) -> str:
        """Why the alternate keys cannot be known, though something was delivered."""
        return self.keys.fault

    @property
    def keys_delivered(self) -> bool:
        """Whether the alternate keys can be read, from their own table or from the profile."""
        return self.keys.entity is not None


def read(snapshot: Snapshot, hydration: Hydration) -> Catalog:
    """Find the output tables in a pinned snapshot."""
    customer, alternate_key = (_source(snapshot, table) for table in HYDRATED)
    names = [entity.name for manifest in snapshot.manifests for entity in manifest.entities]
    columns: tuple[keys.KeyColumn, ...] = ()
    ambiguous: tuple[keys.Ambiguous, ...] = ()
    if customer.entity is not None and alternate_key == Source():
        attributes = [attribute.name for attribute in customer.entity.attributes if attribute.name != CUSTOMER_ID]
        columns, ambiguous = keys.cut(attributes, hydration.data_sources, names)
    incomplete = _incomplete(snapshot)
    skipped = [(name, why) for name, why in _skipped(names, hydration) if name not in dict(incomplete)]
    return Catalog(customer, alternate_key, columns, ambiguous, tuple(skipped), incomplete)


def is_whole(snapshot: Snapshot) -> bool:
    """Whether a run need not wait: every manifest can be read, and every file that this version reads is there.

    Other entities delay nothing: `Catalog.incomplete` names those of which files are missing.
    """
    chosen = [_usable(snapshot, NAMES[table])[:1] for table in HYDRATED]
    missing = [path for pairs in chosen for _, entity in pairs for path in snapshot.missing_of(entity)]
    return bool(snapshot.manifests) and not snapshot.unreadable and not missing


def _usable(snapshot: Snapshot, names: Sequence[str]) -> list[tuple[Manifest, Entity]]:
    """What is more than a schema, the newest first: it decides, and no older one stands in for it."""
    return [pair for pair in snapshot.entities(*names) if pair[1].delivery is not Delivery.NOT_DELIVERED]


def _source(snapshot: Snapshot, table: str) -> Source:
    usable = _usable(snapshot, NAMES[table])
    if not usable:
        return Source(absent=_absent(snapshot, table))
    manifest, entity = usable[0]
    where = f"{manifest.path}: entity {entity.name}"
    if newer := snapshot.unreadable_since(manifest):
        return Source(fault=f"{where}: {newer[0]} is newer and cannot be read: it may deliver this table too.")
    if entity.fault:
        return Source(fault=f"{where}: {entity.fault}.")
    if missing := snapshot.missing_of(entity):
        return Source(fault=f"{where}: these files are missing or empty: {', '.join(missing)}.")
    if table == CUSTOMER_PROFILE and CUSTOMER_ID not in {attribute.name for attribute in entity.attributes}:
        return Source(fault=f"{where} has no attribute spelled {CUSTOMER_ID}: its rows cannot be told apart.")
    several = len({one.path for one, _ in usable})
    note = f"Read from {manifest.path}, the newest of {several} manifests that name it." if several > 1 else ""
    return Source(entity, note=note)


def _absent(snapshot: Snapshot, table: str) -> str:
    """Why nothing may be concluded from a table's absence; empty where simply no manifest names it."""
    if snapshot.unreadable:
        return f"{min(snapshot.unreadable)} cannot be read: it may deliver {table}. It was left alone."
    named = snapshot.entities(*NAMES[table])
    return f"{named[0][0].path}: entity {named[0][1].name}: {named[0][1].fault}. It was left alone." if named else ""


def _incomplete(snapshot: Snapshot) -> tuple[tuple[str, str], ...]:
    later = [table for table in OUTPUT_TABLES if table not in HYDRATED] + list(_OTHER_NAMES)
    chosen = [pair for table in later for pair in _usable(snapshot, [table])[:1]]
    return tuple(
        (entity.name, f"{manifest.path}: entity {entity.name}: these files are missing or empty: {', '.join(missing)}.")
        for manifest, entity in chosen
        if (missing := snapshot.missing_of(entity))
    )


def _skipped(names: Sequence[str], hydration: Hydration) -> list[tuple[str, str]]:
    served = {name.casefold() for table in HYDRATED for name in NAMES[table]}
    later = {table.casefold(): table for table in OUTPUT_TABLES if table not in HYDRATED} | _OTHER_NAMES
    tables = {
        f"{source.name}_{table.name}".casefold()
        for source in hydration.data_sources.values()
        for table in source.tables.values()
    }
    found: dict[str, str] = {}
    for name in names:
        fold = name.casefold()
        if fold in served or fold in tables or _LEFT_ALONE.fullmatch(name):
            continue
        if fold in later:
            found[name] = f"This version does not hydrate {later[fold]}; nothing was written or removed."
        else:
            found[name] = (
                f"The entity {name} is not one of the output tables ({', '.join(OUTPUT_TABLES)}); it was left alone."
            )
    return sorted(found.items())


# -- columns -------------------------------------------------------------------------------------------


def logical_name(prefix: str, attribute: str) -> str:
    """The Dataverse name of an attribute: prefix and lower-cased name, without what Dataverse does not allow in it."""
    return f"{prefix}_{re.sub('[^a-z0-9_]', '', attribute.lower())}"


def table_name(prefix: str, table: str) -> str:
    """The logical name of an output table."""
    return f"{prefix}_{table.lower()}"


def set_name(prefix: str, table: str) -> str:
    """How an output table that the app creates is addressed; Microsoft's own names (msdynci_alternatekeys)."""
    return f"{table_name(prefix, table)}s"


def key_name(prefix: str, table: str) -> str:
    """The primary key column of an output table."""
    return f"{table_name(prefix, table)}id"


def profile_columns(customer: Entity, hydration: Hydration) -> tuple[Column, ...]:
    """The columns of CustomerProfile, by their Dataverse name. Raises ConfigurationError for names that clash.

    Raises CorruptSnapshotError where the entity has no CustomerId.
    """
    options, prefix = hydration.options(CUSTOMER_PROFILE), hydration.publisher_prefix
    if CUSTOMER_ID not in {attribute.name for attribute in customer.attributes}:
        raise CorruptSnapshotError(
            f"The entity {customer.name} has no attribute {CUSTOMER_ID}: its rows cannot be told apart."
        )
    columns = [
        _column(prefix, attribute.name, OF_DATA_TYPE.get(attribute.data_type, Kind.TEXT))
        for attribute in chosen(customer.attributes, options, table=CUSTOMER_PROFILE, always=CUSTOMER_ID)
    ]
    _refuse_clashes(columns, prefix)
    return tuple(sorted(columns, key=lambda column: column.logical_name))


def _column(prefix: str, attribute: str, kind: Kind) -> Column:
    if attribute == CUSTOMER_ID:
        return Column(logical_name(prefix, attribute), attribute, Kind.TEXT, _ID_LENGTH)
    length = MEMO_LENGTH if kind is Kind.MEMO else Column.max_length
    return Column(logical_name(prefix, attribute), attribute, kind, length)


def _refuse_clashes(columns: Sequence[Column], prefix: str) -> None:
    by_name: dict[str, list[str]] = defaultdict(list)
    for column in columns:
        by_name[column.logical_name].append(column.source)
    own_key = key_name(prefix, CUSTOMER_PROFILE)
    faults = [
        f"The attributes {', '.join(sorted(names))} of the profile would all become the column {name}: "
        f"exclude all but one of them in hydration.toml ([tables.{CUSTOMER_PROFILE}] exclude)."
        for name, names in by_name.items()
        if len(names) > 1
    ] + [
        f"The attribute {names[0]} of the profile would become the column {name}, which "
        + ("is the table's own key" if name == own_key else "has no name")
        + f": exclude it in hydration.toml ([tables.{CUSTOMER_PROFILE}] exclude)."
        for name, names in by_name.items()
        if name in {own_key, f"{prefix}_"}
    ]
    faults += [
        f"The attribute {names[0]} of the profile would become the column {name}, longer than the {_LONGEST_NAME} "
        f"characters that Dataverse takes: exclude it in hydration.toml ([tables.{CUSTOMER_PROFILE}] exclude)."
        for name, names in by_name.items()
        if len(name) > _LONGEST_NAME
    ]
    if faults:
        raise ConfigurationError(faults)


def alternate_key_columns(hydration: Hydration) -> tuple[Column, ...]:
    """The columns of AlternateKey, by their Dataverse name."""
    kinds = {"KeyRing": (Kind.MEMO, MEMO_LENGTH), "CustomerId": (Kind.TEXT, _ID_LENGTH)}
    names = ("AlternateValue", "CustomerId", "DataSourceName", "EntityName", "Identifier", "KeyRing")
    return tuple(
        Column(logical_name(hydration.publisher_prefix, name), name, *kinds.get(name, (Kind.TEXT, Column.max_length)))
        for name in names
    )
