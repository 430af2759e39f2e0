"""The alternate keys of a pinned snapshot as a table in a plan's connection, from wherever the lake has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import CorruptSnapshotError, RequirementError
from shared.reading import Reading
from shared.tables import rows, sql
from shared.tables.catalog import ALTERNATE_KEY, CUSTOMER_ID, TABLES
from shared.tables.discovery import Delivered
from shared.texts import counted

if TYPE_CHECKING:
    import duckdb

KEY_RING = "KeyRing"
_MOST_PAIRS = 1_000
_LONGEST_NAME = 200


def read_pairs(reading: Reading, found: Delivered) -> list[tuple[str, str]]:
    """The (data source, entity) pairs that have alternate keys.

    Raises CorruptSnapshotError, without the values: where columns are shifted they are a customer's.
    """
    if found.alternate_key.entity is None:
        return [(column.reading.data_source, column.reading.table) for column in found.key_columns]
    define_alternate_keys(reading, found)
    most = _MOST_PAIRS + 1
    pairs = reading.connection.execute(
        f"SELECT DISTINCT data_source, entity FROM alternate_key LIMIT {most}"
    ).fetchall()
    if len(pairs) > _MOST_PAIRS or any(len(name) > _LONGEST_NAME for pair in pairs for name in pair):
        raise CorruptSnapshotError(
            f"The lake's AlternateKey table names more than {_MOST_PAIRS:,} source tables, or names of more than "
            f"{_LONGEST_NAME} characters: its columns do not hold what the manifest says."
        )
    return sorted(pairs)


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

    They did not leave: a data source was renamed, or its address mistyped. Reads `state`, `alternate_key` and
    `link_source`.
    """
    row = connection.execute("""
        WITH elsewhere AS (
            SELECT parse_guid(value) AS id, min((data_source, entity)) AS place
            FROM alternate_key ANTI JOIN link_source USING (data_source, entity)
            WHERE is_guid(value) GROUP BY ALL
        )
        SELECT count(*), min(place)[1], min(place)[2] FROM state JOIN elsewhere USING (id)
        WHERE id NOT IN (
            SELECT parse_guid(value) FROM alternate_key SEMI JOIN link_source USING (data_source, entity)
            WHERE is_guid(value))""").fetchone()
    return row if row is not None and row[0] else None
