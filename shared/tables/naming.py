"""Which of the lake's entities belongs to which output table: by hydration.toml, by annotation, or by name.

`[tables.<T>] entities` is the only source of that table where it is set. Else an annotation `OutputTable` decides, else
the name. An entity belongs to one table at most.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.lake.manifest import Delivery, Entity, Manifest
from shared.lake.snapshot import Snapshot
from shared.settings import OUTPUT_TABLES, Hydration, Input
from shared.tables.catalog import (
    ALTERNATE_KEY,
    CONTACT_PROFILE,
    CUSTOMER_MEASURE,
    CUSTOMER_PROFILE,
    ENRICHMENT,
    PREDICTION,
    SEGMENT_MEMBERSHIP,
    TABLES,
    UNIFIED_ACTIVITY,
)
from shared.tables.values import OF_DATA_TYPE, Kind

NAMES: Mapping[str, tuple[str, ...]] = {
    CUSTOMER_PROFILE: ("Customer", "CustomerProfile"),
    CONTACT_PROFILE: ("ContactProfile", "UnifiedContact"),
    ALTERNATE_KEY: ("AlternateKey",),
    UNIFIED_ACTIVITY: ("UnifiedActivity",),
    CUSTOMER_MEASURE: ("Customer_Measure", "CustomerMeasure", "Measure_*"),
    ENRICHMENT: ("Enrichment", "Enrichment_*", "*FromMicrosoft"),
    PREDICTION: ("Prediction", "Prediction_*", "Model_*"),
    SEGMENT_MEMBERSHIP: ("SegmentMembership", "Segment_*"),
}
"""What the lake calls the entities of an output table; * stands for any text."""

PROVIDER = "Audience insights"
"""The provider of an enrichment, model or segment where nobody names another one."""

MEMBER_NAMES = ("SegmentName", "Segment")
"""What a table of memberships, one row each, calls the segment; in SegmentMembership itself also `Name`."""

_LEFT_ALONE = re.compile(r"deduplication_.*|.*conflationmatchpairs|_.*|\..*", re.IGNORECASE | re.DOTALL)
_PREFIXES = {
    ENRICHMENT: re.compile(r"enrichment_(.+)", re.IGNORECASE | re.DOTALL),
    PREDICTION: re.compile(r"(?:prediction|model)_(.+)", re.IGNORECASE | re.DOTALL),
    SEGMENT_MEMBERSHIP: re.compile(r"segment_(.+)", re.IGNORECASE | re.DOTALL),
}
_FROM = re.compile(r"(.+)From([A-Z].*)", re.DOTALL)
_ANNOTATION = "outputtable"
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Part:
    """One entity that a table is made of. `title` is an enrichment's type, a model or a segment."""

    entity: Entity
    provider: str = PROVIDER
    title: str = ""
    membership: str = ""


Candidate = tuple[Manifest, Part]
"""An entity that belongs to a table, and the manifest that names it."""

_Claim = tuple[str, int, Input]


def claims(snapshot: Snapshot, hydration: Hydration) -> dict[str, list[Candidate]]:
    """The entities of each table, in the order of their names; of one name the newest manifest first.

    Where several manifests name an entity, the newest that delivers it decides which table it belongs to.
    """
    found: dict[str, list[tuple[int, Candidate]]] = {table: [] for table in OUTPUT_TABLES}
    business = hydration.audience(snapshot.environment) == "businesses"
    versions = [(manifest, entity) for manifest in newest_first(snapshot) for entity in manifest.entities]
    delivering_first = sorted(versions, key=lambda one: one[1].delivery is Delivery.NOT_DELIVERED)
    decided: dict[str, _Claim] = {}
    for _, entity in delivering_first:
        decided.setdefault(entity.name.casefold(), _claim(entity, hydration))
    for manifest, entity in versions:
        table, place, one = decided[entity.name.casefold()]
        if table:
            found[table].append((place, (manifest, _part(table, entity, one, business=business))))
    by_place = {table: sorted(some, key=lambda one: one[0]) for table, some in found.items()}
    return {table: [candidate for _, candidate in some] for table, some in by_place.items()}


def newest_first(snapshot: Snapshot) -> list[Manifest]:
    """The manifests, the newest first; of equally old ones in the order of their paths."""
    by_path = sorted(snapshot.manifests, key=lambda one: one.path)
    return sorted(by_path, key=lambda one: one.last_modified or _NEVER, reverse=True)


def _claim(entity: Entity, hydration: Hydration) -> _Claim:
    """The table that an entity belongs to, its place among the names of the table, and what is particular to it."""
    named = [(table, *pair) for table in OUTPUT_TABLES for pair in enumerate(hydration.options(table).entities or ())]
    for table, place, one in sorted(named, key=lambda each: "*" in each[2].name):  # a name beats a pattern
        if matches(entity.name, one.name):
            return table, place, one
    notes = {name.rpartition(":")[2].strip().casefold(): text.strip() for name, text in entity.annotations}
    wanted = notes.get(_ANNOTATION, "").casefold()
    if not wanted and is_other(entity.name, hydration):
        return "", 0, Input("")
    for table in OUTPUT_TABLES:
        names = NAMES[table] if hydration.options(table).entities is None else ()
        for place, name in enumerate(names):
            if wanted in {table.casefold(), name.casefold()} or (not wanted and matches(entity.name, name)):
                return table, place, _of_annotations(entity.name, notes, table)
    return "", 0, Input("")


def _of_annotations(name: str, notes: Mapping[str, str], table: str) -> Input:
    title = {ENRICHMENT: "type", PREDICTION: "model", SEGMENT_MEMBERSHIP: "segment"}.get(table, "")
    membership = notes.get("type", "") if table == SEGMENT_MEMBERSHIP else ""
    return Input(name, notes.get("provider", ""), notes.get(title, ""), membership)


def matches(name: str, pattern: str) -> bool:
    """Whether an entity has this name; * stands for any text, and case does not matter."""
    wanted = ".*".join(re.escape(piece) for piece in pattern.split("*"))
    return re.fullmatch(wanted, name, re.IGNORECASE | re.DOTALL) is not None


def is_other(name: str, hydration: Hydration) -> bool:
    """Whether it is known to be something else: what deduplication and matching leave behind, or a source table."""
    tables = {
        f"{source.name}_{table.name}".casefold()
        for source in hydration.data_sources.values()
        for table in source.tables.values()
    }
    return name.casefold() in tables or _LEFT_ALONE.fullmatch(name) is not None


def _part(table: str, entity: Entity, one: Input, *, business: bool) -> Part:
    """The entity with what nobody said of it: the title is its name without what marks it, the type the audience's."""
    by_prefix = _PREFIXES[table].fullmatch(entity.name) if table in _PREFIXES else None
    by_provider = _FROM.fullmatch(entity.name) if table == ENRICHMENT and not by_prefix else None
    title = by_prefix[1] if by_prefix else by_provider[1] if by_provider else entity.name
    provider = by_provider[2] if by_provider else PROVIDER
    members = "Customer"
    if business:
        of_contacts = any(attribute.name.casefold() == "contactid" for attribute in entity.attributes)
        members = "Contact" if of_contacts else "Account"
    return Part(entity, one.provider or provider, one.title or title, one.membership or members)


def is_ready_made(table: str, entity: Entity) -> bool:
    """Whether the entity has the form of the table itself, so that its rows are taken as they are."""
    output = TABLES[table]
    have = {attribute.name.casefold(): attribute for attribute in entity.attributes}
    names = {name.casefold() for name in member_names(entity)} if table == SEGMENT_MEMBERSHIP else set()
    made = {field.name.casefold() for field in output.fields} | {f"{table}id".casefold()}
    payload = have.get(output.payload.casefold())
    holds_json = payload is not None and OF_DATA_TYPE.get(payload.data_type, Kind.TEXT) in {Kind.TEXT, Kind.MEMO}
    return have.keys() <= made | names and (holds_json or bool(have.keys() & names))


def member_names(entity: Entity) -> tuple[str, ...]:
    """What an entity may call the segment of a membership. A segment's own table may have a Name of something else."""
    return (*MEMBER_NAMES, "Name") if entity.name.casefold() == SEGMENT_MEMBERSHIP.casefold() else MEMBER_NAMES
