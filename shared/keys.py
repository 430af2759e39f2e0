"""The alternate keys of a pinned snapshot as a table in a plan's connection, from wherever the lake has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.delta import engine, source
from shared.errors import CorruptSnapshotError, RequirementError
from shared.lake.manifest import Entity
from shared.lake.snapshot import Snapshot
from shared.services import Services
from shared.tables import rows, sql
from shared.tables.catalog import CUSTOMER_ID, KEY_COLUMNS, Catalog
from shared.texts import counted

if TYPE_CHECKING:
    import duckdb

_MOST_PAIRS = 1_000
_LONGEST_NAME = 200


def read_pairs(
    connection: duckdb.DuckDBPyConnection, services: Services, snapshot: Snapshot, found: Catalog
) -> list[tuple[str, str]]:
    """The (data source, entity) pairs that have alternate keys.

    Raises CorruptSnapshotError, without the values: where columns are shifted they are a customer's.
    """
    if found.alternate_key.entity is None:
        return [(column.reading.data_source, column.reading.table) for column in found.key_columns]
    define_alternate_keys(connection, services, snapshot, found)
    most = _MOST_PAIRS + 1
    pairs = connection.execute(f"SELECT DISTINCT data_source, entity FROM alternate_key LIMIT {most}").fetchall()
    if len(pairs) > _MOST_PAIRS or any(len(name) > _LONGEST_NAME for pair in pairs for name in pair):
        raise CorruptSnapshotError(
            f"The lake's AlternateKey table names more than {_MOST_PAIRS:,} source tables, or names of more than "
            f"{_LONGEST_NAME} characters: its columns do not hold what the manifest says."
        )
    return sorted(pairs)


def define_alternate_keys(
    connection: duckdb.DuckDBPyConnection, services: Services, snapshot: Snapshot, found: Catalog
) -> None:
    """Fill `alternate_key` (data_source, entity, value, customer_id).

    Raises RequirementError where the lake does not deliver the keys, and CorruptSnapshotError.
    """
    if not found.keys_delivered:
        raise RequirementError(found.keys.absent or found.keys_fault or "No manifest delivers the alternate keys.")
    if found.alternate_key.entity is not None:
        names = {attribute.name for attribute in found.alternate_key.entity.attributes}
        if lacking := [name for name in KEY_COLUMNS if name not in names]:
            raise CorruptSnapshotError(f"The lake's AlternateKey table lacks {', '.join(lacking)}.")
        entity = found.alternate_key.entity
        view(connection, services, snapshot, "alternate_key_table", entity=entity, attributes=KEY_COLUMNS)
        select = rows.keys_of_table()
    elif found.customer.entity is not None and found.key_columns:
        attributes = [CUSTOMER_ID, *(column.attribute for column in found.key_columns)]
        view(connection, services, snapshot, "customer_file", entity=found.customer.entity, attributes=attributes)
        connection.execute("CREATE TABLE customer AS SELECT * FROM customer_file")  # read once
        _refuse_nameless(connection)
        connection.execute("CREATE TABLE key_column (column_name VARCHAR, data_source VARCHAR, entity VARCHAR)")
        connection.executemany(
            "INSERT INTO key_column VALUES (?, ?, ?)",
            [(one.attribute, one.reading.data_source, one.reading.table) for one in found.key_columns],
        )
        select = rows.keys_of_profile(found.key_columns)
    else:
        select = "SELECT ''::VARCHAR AS data_source, '' AS entity, '' AS value, '' AS customer_id WHERE false"
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


def view(
    connection: duckdb.DuckDBPyConnection,
    services: Services,
    snapshot: Snapshot,
    name: str,
    *,
    entity: Entity,
    attributes: Sequence[str],
) -> None:
    """A view of an entity's files in the lake."""
    if not connection.execute("SELECT 1 FROM duckdb_secrets() WHERE name = 'lake'").fetchone():
        engine.reach_lake(connection, services.settings)
    folder = engine.folder_of(connection)
    origin = source.Origin(services.lake, snapshot, services.settings.lake_container, folder)
    source.define_view(connection, name, entity, attributes, origin)
