"""What a snapshot delivers: the entities that each output table is made of, or why there are none to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.lake.manifest import Delivery, Entity, Manifest
from shared.lake.snapshot import Snapshot
from shared.settings import OUTPUT_TABLES, Hydration
from shared.tables import keys
from shared.tables.catalog import (
    ALTERNATE_KEY,
    CONTACT_PROFILE,
    CUSTOMER_ID,
    CUSTOMER_PROFILE,
    ENRICHMENT,
    PREDICTION,
    TABLES,
)
from shared.tables.naming import Candidate, Part, claims, is_other, is_ready_made, matches, newest_first

_MOST_NAMES = 10


@dataclass(frozen=True)
class Source:
    """Where an output table's rows come from: its entities, or why there are none to read."""

    parts: tuple[Part, ...] = ()
    fault: str = ""  # something is there and cannot be used: the table fails
    absent: str = ""  # something is named, or may be, and nothing of it can be read: the table is left alone
    notes: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()  # entities that hydration.toml names and the snapshot does not have

    @property
    def entity(self) -> Entity | None:
        """The entity of a table that is made of one."""
        return self.parts[0].entity if self.parts else None


@dataclass(frozen=True)
class Delivered:
    """What a snapshot delivers."""

    sources: Mapping[str, Source]
    key_columns: tuple[keys.KeyColumn, ...] = ()
    ambiguous: tuple[keys.Ambiguous, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()  # entity name -> why nothing is done with it

    @property
    def customer(self) -> Source:
        """Where the profiles come from."""
        return self.sources[CUSTOMER_PROFILE]

    @property
    def alternate_key(self) -> Source:
        """The lake's own table of alternate keys."""
        return self.sources[ALTERNATE_KEY]

    @property
    def keys(self) -> Source:
        """Where the alternate keys come from: their own table, or the profile where no manifest names one."""
        own = self.alternate_key
        return own if own.entity or own.fault or own.absent else replace(self.customer, notes=())

    @property
    def keys_fault(self) -> str:
        """Why the alternate keys cannot be known, though something was delivered."""
        return self.keys.fault

    @property
    def keys_delivered(self) -> bool:
        """Whether the alternate keys can be read, from their own table or from the profile."""
        return self.keys.entity is not None

    def source(self, table: str) -> Source:
        """Where a table's rows come from."""
        return self.keys if table == ALTERNATE_KEY else self.sources[table]


def read(snapshot: Snapshot, hydration: Hydration) -> Delivered:
    """Find the output tables in a pinned snapshot."""
    claimed = claims(snapshot, hydration)
    sources = {table: _source(snapshot, hydration, table, claimed[table]) for table in OUTPUT_TABLES}
    names = [entity.name for manifest in snapshot.manifests for entity in manifest.entities]
    columns: tuple[keys.KeyColumn, ...] = ()
    ambiguous: tuple[keys.Ambiguous, ...] = ()
    customer = sources[CUSTOMER_PROFILE].entity
    if customer is not None and sources[ALTERNATE_KEY] == Source():
        attributes = [attribute.name for attribute in customer.attributes if attribute.name != CUSTOMER_ID]
        columns, ambiguous = keys.cut(attributes, hydration.data_sources, names)
    return Delivered(sources, columns, ambiguous, tuple(_skipped(names, hydration, claimed)))


def is_whole(snapshot: Snapshot, hydration: Hydration) -> bool:
    """Whether a run need not wait: every manifest can be read, and every file of the tables that are enabled is there.

    Profiles and keys are always waited for: links are made of them. Other entities delay nothing.
    """
    missing = [
        path
        for table, candidates in claims(snapshot, hydration).items()
        if _is_read(table, snapshot, hydration)
        for _, part in _deciding(snapshot, table, candidates)
        for path in snapshot.missing_of(part.entity)
    ]
    return bool(snapshot.manifests) and not snapshot.unreadable and not missing


def _is_read(table: str, snapshot: Snapshot, hydration: Hydration) -> bool:
    if table == CONTACT_PROFILE and hydration.audience(snapshot.environment) == "individuals":
        return False
    return hydration.options(table).enabled or table in {CUSTOMER_PROFILE, CONTACT_PROFILE, ALTERNATE_KEY}  # links


# -- what a table is made of ---------------------------------------------------------------------------


def _deciding(snapshot: Snapshot, table: str, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The newest that names the table, or for each name of an aggregate the newest. A mere schema decides nothing."""
    usable = [one for one in candidates if one[1].entity.delivery is not Delivery.NOT_DELIVERED]
    if not TABLES[table].payload:
        moments = {manifest.path: place for place, manifest in enumerate(newest_first(snapshot))}
        return sorted(usable, key=lambda one: moments[one[0].path])[:1]
    newest: dict[str, Candidate] = {}
    for one in usable:
        newest.setdefault(one[1].entity.name.casefold(), one)
    return list(newest.values())


def _source(snapshot: Snapshot, hydration: Hydration, table: str, candidates: Sequence[Candidate]) -> Source:
    deciding = _deciding(snapshot, table, candidates)
    if not deciding:
        lacking = _lacking(hydration, table, candidates)
        named = f"Not in this snapshot: {_shown(lacking)}, which hydration.toml names. It was left alone."
        return Source(absent=_absent(snapshot, table, candidates) or (named if lacking else ""), lacking=lacking)
    unsupported = [f"{_where(*one)}: {one[1].entity.fault}." for one in deciding if _is_unsupported(one[1].entity)]
    if unsupported:
        return Source(absent=f"{unsupported[0]} It was left alone.")
    if TABLES[table].payload:
        return _aggregate(snapshot, hydration, table, candidates, deciding)
    manifest, part = deciding[0]
    if newer := snapshot.unreadable_since(manifest):
        newest = f"{newer[0]} is newer and cannot be read: it may deliver this table too."
        return Source(fault=f"{_where(manifest, part)}: {newest}")
    if fault := _fault(snapshot, manifest, part) or _lacks(table, part.entity, _where(manifest, part)):
        return Source(fault=fault)
    several = len({one.path for one, found in candidates if found.entity.delivery is not Delivery.NOT_DELIVERED})
    note = f"Read from {manifest.path}, the newest of {several} manifests that name it."
    return Source((part,), notes=(note,) if several > 1 else ())


def _aggregate(
    snapshot: Snapshot,
    hydration: Hydration,
    table: str,
    candidates: Sequence[Candidate],
    deciding: Sequence[Candidate],
) -> Source:
    """Of each entity the newest whole version. What cannot be read might hold a part of any row: the table fails."""
    if snapshot.unreadable:
        return Source(fault=f"{min(snapshot.unreadable)} cannot be read: it may deliver a part of {table}.")
    parts, notes = [], []
    for newest in deciding:
        versions = [one for one in candidates if one[1].entity.name.casefold() == newest[1].entity.name.casefold()]
        usable = [one for one in versions if one[1].entity.delivery is Delivery.DELIVERED]
        whole = next((one for one in usable if not _gone(snapshot, one[1])), None)
        why = _fault(snapshot, *newest)
        if whole is None:
            return Source(fault=why)
        if lacks := _lacks(table, whole[1].entity, _where(*whole)):
            return Source(fault=lacks)
        parts.append(whole[1])
        if snapshot.missing_of(whole[1].entity):
            notes.append(f"Taken as empty, because its files have no byte: {whole[1].entity.name}.")
        if whole is not newest:
            notes.append(f"Read from {whole[0].path}, an older one, because of {why}")
    if twice := _twice(table, parts):
        return Source(fault=twice)
    lacking = _lacking(hydration, table, candidates)
    there = {part.entity.name.casefold() for part in parts}
    schemas = sorted({part.entity.name for _, part in candidates if part.entity.name.casefold() not in there})
    if schemas:
        notes.append(f"Named without a file, so nothing was read: {_shown(schemas)}.")
    return Source(tuple(parts), notes=(*_made_of(parts, lacking), *notes), lacking=lacking)


def _gone(snapshot: Snapshot, part: Part) -> list[str]:
    """The files that are not there. Empty ones, for which the run has waited, are those of an entity without rows."""
    return [path for path in snapshot.missing_of(part.entity) if path not in snapshot.files]


def _twice(table: str, parts: Sequence[Part]) -> str:
    """Two entities that would make the same rows."""
    if table not in {ENRICHMENT, PREDICTION}:
        return ""
    seen: dict[tuple[str, str], str] = {}
    for part in parts:
        if is_ready_made(table, part.entity):
            continue
        other = seen.setdefault((part.provider, part.title), part.entity.name)
        if other != part.entity.name:
            return (
                f"The entities {other} and {part.entity.name} would be the same {table} ({part.title} of "
                f"{part.provider}): name them apart in hydration.toml ([tables.{table}] entities)."
            )
    return ""


def _made_of(parts: Sequence[Part], lacking: Sequence[str]) -> Iterator[str]:
    yield f"Made of {_shown([part.entity.name for part in parts])}."
    if lacking:
        yield f"Not in this snapshot: {_shown(lacking)}, which hydration.toml names."


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMES]) + (
        f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    )


def _lacking(hydration: Hydration, table: str, candidates: Sequence[Candidate]) -> tuple[str, ...]:
    there = [part.entity.name for _, part in candidates if part.entity.delivery is not Delivery.NOT_DELIVERED]
    wanted = [one.name for one in hydration.options(table).entities or ()]
    return tuple(name for name in wanted if not any(matches(one, name) for one in there))


def _is_unsupported(entity: Entity) -> bool:
    return entity.delivery is Delivery.UNSUPPORTED


def _where(manifest: Manifest, part: Part) -> str:
    return f"{manifest.path}: entity {part.entity.name}"


def _fault(snapshot: Snapshot, manifest: Manifest, part: Part) -> str:
    if part.entity.fault:
        return f"{_where(manifest, part)}: {part.entity.fault}."
    if missing := snapshot.missing_of(part.entity):
        return f"{_where(manifest, part)}: these files are missing or empty: {', '.join(missing)}."
    return ""


def _lacks(table: str, entity: Entity, where: str) -> str:
    if table == ALTERNATE_KEY:
        return ""  # told where it is read
    have = {attribute.name for attribute in entity.attributes}
    if table == CUSTOMER_PROFILE:
        return "" if CUSTOMER_ID in have else (
            f"{where} has no attribute spelled {CUSTOMER_ID}: its rows cannot be told apart."
        )  # fmt: skip
    folded = {name.casefold() for name in have}
    lacking = [name for name in TABLES[table].needs if name.casefold() not in folded]
    return f"{where} has no attribute {' and no attribute '.join(lacking)}, which {table} needs." if lacking else ""


def _absent(snapshot: Snapshot, table: str, candidates: Sequence[Candidate]) -> str:
    """Why nothing may be concluded from a table's absence; empty where simply no manifest names it."""
    if snapshot.unreadable:
        return f"{min(snapshot.unreadable)} cannot be read: it may deliver {table}. It was left alone."
    return f"{_where(*candidates[0])}: {candidates[0][1].entity.fault}. It was left alone." if candidates else ""


def _skipped(
    names: Sequence[str], hydration: Hydration, claimed: Mapping[str, Sequence[Candidate]]
) -> list[tuple[str, str]]:
    taken = {part.entity.name.casefold() for candidates in claimed.values() for _, part in candidates}
    found = {
        name: f"The entity {name} is not one of the output tables ({', '.join(OUTPUT_TABLES)}), or hydration.toml "
        "names others for it; it was left alone. If it belongs to one, name it there ([tables.<table>] entities)."
        for name in names
        if name.casefold() not in taken and not is_other(name, hydration)
    }
    return sorted(found.items())
