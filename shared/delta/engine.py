"""The DuckDB connection that plans: bounded memory, spilling to disk, UTC, and the lake within reach."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from shared.settings import Settings
from shared.tables import sql
from shared.tables.macros import MACROS

if TYPE_CHECKING:
    import duckdb


LEAST_THREADS = 2
"""One thread alone leaves out what follows a quote that does not end, without a word: rows would look removed."""

_ONE_AT_A_TIME = Lock()  # the memory limit is one connection's, and a small instance has room for one
_checked: set[Path] = set()  # extensions whose signature this process has checked: it takes a tenth of a second


@contextmanager
def connect(settings: Settings) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """A connection and a folder for its files, both gone afterwards."""
    import duckdb  # noqa: PLC0415  a quarter second of cold start

    with (
        _ONE_AT_A_TIME,
        tempfile.TemporaryDirectory(prefix="plan-") as folder,
        duckdb.connect(str(Path(folder) / "plan.duckdb"), config=_configuration()) as connection,
    ):
        connection.execute(f"SET memory_limit = {sql.text(settings.plan_memory_limit)}")
        connection.execute(f"SET threads = {max(LEAST_THREADS, settings.plan_threads)}")
        connection.execute(f"SET temp_directory = {sql.text(folder)}")
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(MACROS)
        yield connection, Path(folder)


def _configuration() -> dict[str, str | bool | int | float | list[str]]:
    """The first connection of a process checks the signature of what it loads; the file is the same for the others."""
    return {"allow_unsigned_extensions": "true"} if _checked else {}


def folder_of(connection: duckdb.DuckDBPyConnection) -> Path:
    """The folder of a connection's files."""
    row = connection.execute("SELECT current_setting('temp_directory')").fetchone()
    return Path(str(row[0] if row else ""))


def reach_lake(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Let `az://` paths be read from the configured account. The extension comes as a wheel: nothing is downloaded."""
    extension = next(Path(str(files("duckdb_extension_azure"))).rglob("azure.duckdb_extension"))
    connection.execute(f"LOAD {sql.text(str(extension))}")
    _checked.add(extension)
    connection.execute("SET azure_transport_option_type = 'curl'")  # the default finds no CA bundle on Debian
    lake = settings.lake_storage
    if lake.connection_string:
        secret = f"CONNECTION_STRING {sql.text(lake.connection_string)}"
    else:
        account = str(lake.address).removeprefix("https://").split(".", 1)[0]
        identity = f", CLIENT_ID {sql.text(lake.identity)}" if lake.identity else ""
        provider = "managed_identity" if lake.identity else "credential_chain"
        secret = f"PROVIDER {provider}{identity}, ACCOUNT_NAME {sql.text(account)}"
    connection.execute(f"CREATE SECRET lake (TYPE azure, {secret})")
