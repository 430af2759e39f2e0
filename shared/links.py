"""What a link task compares: the keys that unification has of a source table, against the links that are there.

What is there is the applied state; where that may not be all, Dataverse itself is read (key and lookup of every row of
the table): at first, when the table's configuration changed, on request, where the keys are those of an alternate key,
and where a link that may be right is not known. Then nothing depends on what the app remembers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from shared import keys, profiles
from shared.dataverse import metadata, privileges
from shared.dataverse.metadata import Lookup, Table
from shared.dataverse.pages import pages
from shared.delta import state
from shared.errors import RequirementError
from shared.linking import requirements, rows, texts
from shared.linking.requirements import Key, skipped
from shared.linking.rows import LinkTarget
from shared.planning import Draft, Planning
from shared.provision import link_schema
from shared.runs.model import Mode
from shared.tables.catalog import CUSTOMER_PROFILE
from shared.tables.rows import Rows

_PRIMARY_KEY, _KEY = 2, 3  # their places in a configuration


def draft(planning: Planning) -> Draft:
    """The SQL of a link task. Defines the views that it reads, and reads Dataverse where that is needed.

    Raises RequirementError, ConfigurationError, CorruptSnapshotError and TransientError.
    """
    table, key = _checked(planning)
    lookup = _lookup(planning, table)
    connection = planning.reading.connection
    _define_keys(planning)
    _define_profiles(planning)
    target = _target(planning, table)
    if key.is_primary:
        _define_links(planning, key)
        _refuse_other_keys(planning, table)
    configuration = _configuration(planning, table, key, lookup)
    why = _why_read(planning, key, configuration) or _why_in_doubt(planning, target)
    is_known = bool(why) and (lookup is not None or not key.is_primary)
    notes = [_read(planning, table, lookup, key, why)] if is_known else []  # last: it may take long
    if lookup is None:
        state.nothing(connection)
    elif is_known:
        state.found(connection)
    if not key.is_primary:
        _define_links(planning, key)
    return Draft(
        target.rows(read=is_known), target.clear(), table.set_name, table.primary_id, notes=tuple(notes),
        read=is_known or lookup is None, configuration=configuration,
    )  # fmt: skip


def confirmed(planning: Planning) -> Draft:
    """The SQL for links that were held: of `id` and `entry`, the profile that the row is to point to."""
    table, _ = _checked(planning)
    target = _target(planning, table)
    held = Rows("", "NULL", target.record("entry"), "entry")
    return Draft(held, target.clear(), table.set_name, table.primary_id)


def hold(planning: Planning) -> str:
    """Why links may not be cleared though their rows look gone; empty where they are. Needs what `draft` defines."""
    if planning.lost_contacts:
        return texts.CONTACTS_LOST
    if planning.contacts and planning.contacts.ambiguous:
        return texts.CONTACTS_AMBIGUOUS.format(column=planning.contacts.ambiguous[0].attribute)
    if found := keys.still_unified(planning.reading.connection):
        count, data_source, table = found
        where = f"{table} of the data source {data_source}" if data_source else table
        return texts.STILL_UNIFIED.format(count=f"{count:,}", table=where)
    return ""


# -- what is required ------------------------------------------------------------------------------------


def _checked(planning: Planning) -> tuple[Table, Key]:
    """The table's definition and the key that it is named by. Raises RequirementError."""
    client, name = planning.client, planning.task.subject
    table = metadata.table(client, name)
    if table is None or _lookup(planning, table) is None:  # a web server may remember it from before it was made
        table = metadata.table(client, name, strong=True)
    if table is None:
        raise skipped(texts.NO_TABLE, url=client.url, table=name)
    requirements.check_kind(table)
    named = [source[2] for source in _sources(planning)] or _former_key(planning)
    others = any(one and one.casefold() != table.primary_id for one in named)
    key = requirements.key_of(table, named, metadata.alternate_keys(client, name) if others else {})
    profile = planning.table_name(CUSTOMER_PROFILE)
    requirements.check_lookup(table, _schema_name(planning).lower(), profile)
    wanted: dict[str, tuple[str, ...]] = {name: ("Read", "Write", "Append")}
    if metadata.exists(client, profile):
        wanted[profile] = ("Read", "AppendTo")
    for user in planning.users:  # whichever is free will write
        requirements.check_privileges(name, privileges.lacking(user, wanted), user.known_as)
    return table, key


def _define_keys(planning: Planning) -> None:
    """Fill `link_key`, `link_source` (data_source, entity) and `not_dataverse` (name, folded)."""
    connection, sources = planning.reading.connection, planning.hydration.data_sources.values()
    keys.define_link_keys(planning.reading, planning.found)
    pairs = sorted({(data_source, entity) for data_source, entity, _ in _sources(planning)})
    others = [(source.name.lower(),) for source in sources if source.dataverse is None]
    state.create(connection, "link_source", {"data_source": "VARCHAR", "entity": "VARCHAR"}, pairs)
    state.create(connection, "not_dataverse", {"name": "VARCHAR"}, others)


def _define_links(planning: Planning, key: Key) -> None:
    """The views `link` and `elsewhere`; of an alternate key they need what was read."""
    connection = planning.reading.connection
    connection.execute(f"CREATE VIEW link AS {rows.keys(by_alternate_key=not key.is_primary)}")
    connection.execute(f"CREATE VIEW elsewhere AS {rows.elsewhere(by_alternate_key=not key.is_primary)}")


def _former_key(planning: Planning) -> list[str]:
    """The key of a table that has left unification: by it its rows can be told among those of other tables."""
    return [json.loads(planning.pointer.configuration)[_KEY]] if planning.pointer.configuration else []


def _refuse_other_keys(planning: Planning, table: Table) -> None:
    row = planning.reading.connection.execute("SELECT count(*), count(row_id) FROM link").fetchone()
    if row and row[0] and not row[1]:
        raise skipped(texts.NO_GUIDS, table=table.logical_name, primary_key=table.primary_id)


def _define_profiles(planning: Planning) -> None:
    try:
        profiles.define(planning.reading, planning.run, planning.task.subject)
    except RequirementError as fault:
        raise RequirementError(f"{texts.NOT_LINKED}\n{fault}") from fault


# -- what is there ---------------------------------------------------------------------------------------


def _why_read(planning: Planning, key: Key, configuration: str) -> str:
    """Why the app's own memory is not enough; empty where it is."""
    pointer, mode = planning.pointer, planning.run.mode
    if mode in {Mode.FULL, Mode.VERIFY}:
        return texts.ASKED_FOR.format(mode=mode)
    if not pointer.path or not pointer.succeeded:
        return texts.FIRST_TIME
    if not pointer.configuration:
        return texts.NOT_RECORDED
    if pointer.configuration != configuration:
        return texts.CHANGED_CONFIGURATION
    return "" if key.is_primary else texts.ALTERNATE_KEYS.format(key=key.column)


def _why_in_doubt(planning: Planning, target: LinkTarget) -> str:
    """The same for rows that cannot be linked: they keep a link that is right, and of some it is not known."""
    connection = planning.reading.connection
    unknown = "SELECT id FROM state WHERE mark = 'uncertain'"
    if not connection.execute(f"{unknown} LIMIT 1").fetchone():
        return ""  # nearly always: the keys need no look
    claimed = f"SELECT id FROM ({target.rows(read=False).select}) WHERE list_count(candidates) > 0"
    found = connection.execute(f"{unknown} AND id IN ({claimed}) LIMIT 1").fetchone()
    return texts.NOT_RECORDED if found else ""


def _configuration(planning: Planning, table: Table, key: Key, lookup: Lookup | None) -> str:
    """JSON of what the links depend on, the lookup's identity last. Short, however many sources there are."""
    sources = hashlib.sha256("\n".join(planning.task.sources).encode()).hexdigest()
    return json.dumps([sources, table.set_name, table.primary_id, key.column, lookup.metadata_id if lookup else ""])


def with_lookup(configuration: str, lookup: Lookup) -> str:
    """The configuration once its lookup is there: where it is made anew later, its links are read."""
    return json.dumps([*json.loads(configuration)[:-1], lookup.metadata_id]) if configuration else ""


def is_by_guid(configuration: str) -> bool:
    """Whether a linked table of this configuration names its rows by their GUIDs in Dataverse."""
    parts = json.loads(configuration) if configuration else []
    return not parts or parts[_KEY] == parts[_PRIMARY_KEY]


def _read(planning: Planning, table: Table, lookup: Lookup | None, key: Key, why: str) -> str:
    """Fill `there` (id, profile, key), one row for each row of the source table; a sentence on it."""
    connection = planning.reading.connection
    named = {table.primary_id: "id"} | ({f"_{lookup.column}_value": "profile"} if lookup else {})
    named |= {} if key.is_primary else {key.column: "key"}
    connection.execute("CREATE TABLE there (id UUID, profile UUID, key VARCHAR)")
    count = 0
    for page in pages(planning.client, f"{table.set_name}?$select={','.join(named)}"):
        state.append(connection, "there", {"id": "UUID", "profile": "UUID", "key": "VARCHAR"}, _cells(page, named))
        count += len(page)
    connection.execute("UPDATE there SET key = lower(rtrim(key)) WHERE key IS NOT NULL")
    return texts.READ.format(count=f"{count:,}", table=table.logical_name, reason=why)


def _cells(page: list[Mapping[str, Any]], named: Mapping[str, str]) -> Iterator[tuple[object, ...]]:
    columns = {name: column for column, name in named.items()}
    for row in page:
        cells = (row.get(columns[name]) if name in columns else None for name in ("id", "profile", "key"))
        yield tuple(None if cell is None else str(cell) for cell in cells)


# -- names -----------------------------------------------------------------------------------------------


def _sources(planning: Planning) -> list[list[str]]:
    return [json.loads(source) for source in planning.task.sources]


def _schema_name(planning: Planning) -> str:
    return link_schema(planning.task.subject, planning.hydration.publisher_prefix).schema_name


def _lookup(planning: Planning, table: Table) -> Lookup | None:
    return table.lookup(_schema_name(planning).lower(), planning.table_name(CUSTOMER_PROFILE))


def _target(planning: Planning, table: Table) -> LinkTarget:
    lookup = _lookup(planning, table)
    navigation = lookup.navigation if lookup else _schema_name(planning)
    return LinkTarget(table.logical_name, table.primary_id, navigation, planning.profile_set())
