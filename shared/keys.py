"""The keys of a pinned snapshot as tables in a plan's connection, from wherever the lake has them.

Alternate keys come from their own table or from the profile's key columns. Links are made of them, and in a business
environment of the contacts that are mapped to an account too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.aggregates import spelled
from shared.errors import CorruptSnapshotError, RequirementError
from shared.lake.manifest import Entity
from shared.lake.snapshot import Snapshot
from shared.reading import Reading
from shared.settings import Hydration
from shared.tables import keys, rows, sql
from shared.tables.catalog import ALTERNATE_KEY, CONTACT_PROFILE, CUSTOMER_ID, TABLES
from shared.tables.discovery import Delivered
from shared.texts import counted

if TYPE_CHECKING:
    import duckdb

KEY_RING = "KeyRing"
CONTACT_ID = "ContactId"
ENTITY_NAME = "EntityName"
_MOST_PAIRS = 1_000
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Contacts:
    """The lake's ContactProfile as a source of links: each contact is a row of a source table, mapped to an account.

    The attributes are spelled as the entity has them; without `entity_name` only the key columns name source rows.
    """

    entity: Entity
    contact_id: str
    customer_id: str
    entity_name: str
    columns: tuple[keys.KeyColumn, ...] = ()
    ambiguous: tuple[keys.Ambiguous, ...] = ()


def contacts(snapshot: Snapshot, hydration: Hydration, found: Delivered) -> Contacts | None:
    """The contacts that links are made of; None where there are none to read, which does not mean that all are gone."""
    entity = found.source(CONTACT_PROFILE).entity
    if entity is None or hydration.audience(snapshot.environment) != "businesses":
        return None
    own = {one.casefold() for one in (*TABLES[CONTACT_PROFILE].attributes, f"{CONTACT_PROFILE}Id")}
    names = [one.name for manifest in snapshot.manifests for one in manifest.entities]
    others = [one.name for one in entity.attributes if one.name.casefold() not in own]
    columns, ambiguous = keys.cut(others, hydration.data_sources, names)
    contact_id, customer_id, entity_name = (spelled(entity, one) for one in (CONTACT_ID, CUSTOMER_ID, ENTITY_NAME))
    if not entity_name and not columns:
        return None
    return Contacts(entity, contact_id, customer_id, entity_name, columns, ambiguous)


def read_link_sources(reading: Reading, found: Delivered) -> list[tuple[str, str, str]]:
    """The (data source, entity, key) triples that links are made of, sorted; the key may be unknown: "".

    Raises RequirementError, and CorruptSnapshotError without the values: where columns are shifted they are a
    customer's.
    """
    mapped = _mapped(reading, found)
    columns = (*found.key_columns, *(mapped.columns if mapped else ()))
    triples = {(one.reading.data_source, one.reading.table, one.reading.primary_key) for one in columns}
    if found.alternate_key.entity is not None or mapped:
        define_link_keys(reading, found)
        known = {(data_source, entity) for data_source, entity, _ in triples}
        query = f"SELECT DISTINCT data_source, entity FROM link_key LIMIT {_MOST_PAIRS + 1}"
        pairs = reading.connection.execute(query).fetchall()
        _refuse_shifted("AlternateKey", pairs)
        triples |= {(data_source, entity, "") for data_source, entity in pairs if (data_source, entity) not in known}
    return sorted(triples)


def define_link_keys(reading: Reading, found: Delivered) -> None:
    """Fill `link_key` (data_source, entity, value, customer_id), what links are made of, and `alternate_key`.

    For businesses it has the contacts too, and an alternate key that names a contact has the contact's account. A
    contact that two accounts claim has two rows. Raises RequirementError and CorruptSnapshotError.
    """
    define_alternate_keys(reading, found)
    mapped = _mapped(reading, found)
    if mapped is None:
        reading.connection.execute(
            "CREATE VIEW link_key AS SELECT data_source, entity, value, customer_id FROM alternate_key"
        )
        return
    _define_contacts(reading, mapped)
    _define_accounts(reading, found)
    reading.connection.execute(f"CREATE TABLE link_key AS {sql.load('keys_of_links.sql')}")


def _mapped(reading: Reading, found: Delivered) -> Contacts | None:
    return contacts(reading.snapshot, reading.services.settings.hydration, found)


def _define_contacts(reading: Reading, mapped: Contacts) -> None:
    """Fill `contact` (contact_id, customer_id, entity_name) and `contact_key` (as `link_key`)."""
    connection, columns = reading.connection, [one.attribute for one in mapped.columns]
    named = {"contact_id": mapped.contact_id, "customer_id": mapped.customer_id, "entity_name": mapped.entity_name}
    wanted = [name for name in named.values() if name]
    reading.view("contact_file", mapped.entity, [*wanted, *columns])
    cells = [f"{f'bare({sql.name(name)})' if name else 'NULL::VARCHAR'} AS {own}" for own, name in named.items()]
    picked = ", ".join([*cells, *map(sql.name, columns)])
    connection.execute(f"CREATE TABLE contact AS SELECT {picked} FROM contact_file")  # read once
    _define_contact_tables(reading)
    connection.execute(f"CREATE TABLE contact_key AS {sql.load('keys_of_contacts.sql')}")
    if columns:
        connection.execute("CREATE TABLE contact_column (column_name VARCHAR, data_source VARCHAR, entity VARCHAR)")
        connection.executemany(
            "INSERT INTO contact_column VALUES (?, ?, ?)",
            [(one.attribute, one.reading.data_source, one.reading.table) for one in mapped.columns],
        )
        select = sql.load("keys_of_contact_columns.sql").format(key_columns=", ".join(map(sql.name, columns)))
        connection.execute(f"INSERT INTO contact_key {select}")


def _define_contact_tables(reading: Reading) -> None:
    """Fill `contact_table` (entity_name, data_source, entity): how each EntityName is cut."""
    connection, sources = reading.connection, reading.services.settings.hydration.data_sources
    query = f"SELECT DISTINCT entity_name FROM contact WHERE entity_name IS NOT NULL LIMIT {_MOST_PAIRS + 1}"
    names = connection.execute(query).fetchall()
    _refuse_shifted(CONTACT_PROFILE, names)
    connection.execute("CREATE TABLE contact_table (entity_name VARCHAR, data_source VARCHAR, entity VARCHAR)")
    if cuts := [(name, *keys.cut_entity_name(name, sources)) for (name,) in names]:
        connection.executemany("INSERT INTO contact_table VALUES (?, ?, ?)", cuts)


def _define_accounts(reading: Reading, found: Delivered) -> None:
    """Fill `account` (id): the profiles, where the customers of the alternate keys may be contacts instead.

    The key columns stand in the profiles themselves. Where no profiles are delivered it cannot be told: no row.
    """
    if found.alternate_key.entity is None or found.customer.entity is None:
        reading.connection.execute("CREATE TABLE account (id UUID)")
        return
    reading.view("account_file", found.customer.entity, [CUSTOMER_ID])
    reading.connection.execute(
        f"CREATE TABLE account AS SELECT DISTINCT id_guid(bare({sql.name(CUSTOMER_ID)})) AS id FROM account_file"
    )


def _refuse_shifted(table: str, names: list[tuple[str, ...]]) -> None:
    if len(names) > _MOST_PAIRS or any(len(name) > _LONGEST_NAME for one in names for name in one):
        raise CorruptSnapshotError(
            f"The lake's {table} table names more than {_MOST_PAIRS:,} source tables, or names of more than "
            f"{_LONGEST_NAME} characters: its columns do not hold what the manifest says."
        )


def define_alternate_keys(reading: Reading, found: Delivered) -> None:
    """Fill `alternate_key` (data_source, entity, value, customer_id, preferred: what the lake's key ring prefers).

    Raises RequirementError where the lake does not deliver the keys, and CorruptSnapshotError.
    """
    connection = reading.connection
    if not found.keys_delivered:
        raise RequirementError(found.keys.absent or found.keys_fault or "No manifest delivers the alternate keys.")
    if found.alternate_key.entity is not None:
        entity = found.alternate_key.entity
        names = {attribute.name for attribute in entity.attributes}
        if lacking := [name for name in TABLES[ALTERNATE_KEY].needs if name not in names]:
            raise CorruptSnapshotError(f"The lake's AlternateKey table lacks {', '.join(lacking)}.")
        optional = [KEY_RING] if KEY_RING in names else []
        reading.view("alternate_key_table", entity, [*TABLES[ALTERNATE_KEY].needs, *optional])
        select = rows.keys_of_table(ring=bool(optional))
    elif found.customer.entity is not None and found.key_columns:
        attributes = [CUSTOMER_ID, *(column.attribute for column in found.key_columns)]
        reading.view("customer_file", found.customer.entity, attributes)
        connection.execute("CREATE TABLE customer AS SELECT * FROM customer_file")  # read once
        _refuse_nameless(connection)
        connection.execute("CREATE TABLE key_column (column_name VARCHAR, data_source VARCHAR, entity VARCHAR)")
        connection.executemany(
            "INSERT INTO key_column VALUES (?, ?, ?)",
            [(one.attribute, one.reading.data_source, one.reading.table) for one in found.key_columns],
        )
        select = rows.keys_of_profile(found.key_columns)
    else:
        select = (
            "SELECT ''::VARCHAR AS data_source, '' AS entity, '' AS value, '' AS customer_id, "
            "NULL::VARCHAR AS preferred WHERE false"
        )
    connection.execute(f"CREATE TABLE alternate_key AS {select}")
    unreadable = connection.execute(
        r"SELECT count(*) FROM alternate_key WHERE NOT regexp_matches(coalesce(customer_id, ''), '\S') "
        "OR coalesce(value, '') = '' OR coalesce(data_source, '') = '' OR coalesce(entity, '') = ''"
    ).fetchone()
    if unreadable and unreadable[0]:
        raise CorruptSnapshotError(f"{unreadable[0]:,} alternate keys lack their key, their table or their customer.")


def _refuse_nameless(connection: duckdb.DuckDBPyConnection) -> None:
    """A profile without an id could be anybody's: nobody's keys may be taken for gone."""
    nameless = connection.execute(
        f"SELECT count(*) FROM customer WHERE NOT regexp_matches(coalesce({sql.name(CUSTOMER_ID)}, ''), '\\S')"
    ).fetchone()
    if nameless and nameless[0]:
        raise CorruptSnapshotError(
            f"{counted(nameless[0], 'profile')} have no {CUSTOMER_ID}: whose keys are gone cannot be told."
        )


def still_unified(connection: duckdb.DuckDBPyConnection) -> tuple[int, str, str] | None:
    """How many applied links are of rows that are unified still, in a table that is not linked; one such table.

    They did not leave: a data source was renamed, or its address mistyped. Reads `state`, `link` and `elsewhere`.
    """
    row = connection.execute("""
        SELECT count(*), min(place)[1], min(place)[2]
        FROM state JOIN (SELECT id, min((data_source, entity)) AS place FROM elsewhere GROUP BY id) USING (id)
        WHERE id NOT IN (SELECT row_id FROM link WHERE row_id IS NOT NULL)""").fetchone()
    return row if row is not None and row[0] else None
