"""Files put into real storage and read as the plan reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from azure.storage.blob import ContainerClient

from local import azurite, ports
from local.children import ROOT
from shared.delta import engine, source
from shared.errors import CorruptSnapshotError
from shared.lake.manifest import Attribute, Entity, FileFormat, Partition
from shared.lake.snapshot import File, Snapshot
from shared.lake.storage import Lake
from shared.settings import load

Contents = Mapping[str, str | bytes]
Rows = list[tuple[str | None, ...]]

FOLDER = "ci_one/unification/E"
ABC = ("a", "b", "c")
MARKER = "marker-4711"  # stands for what a customer's file holds: never to be repeated


@dataclass(frozen=True)
class Reader:
    """A connection with the lake within its reach."""

    connection: duckdb.DuckDBPyConnection
    container: ContainerClient
    lake: Lake
    folder: Path

    def rows(self, contents: Contents, attributes: Sequence[str] = ABC, **options: Any) -> Rows:
        """Put the files there and read them."""
        files = {f"{FOLDER}/{name}": self._put(f"{FOLDER}/{name}", content) for name, content in contents.items()}
        return self.read(files, attributes, **options)

    def read(
        self,
        files: Mapping[str, File],
        attributes: Sequence[str] = ABC,
        *,
        picked: Sequence[str] = (),
        mend: bool = False,
        forms: Sequence[FileFormat] = (),
        **form: Any,
    ) -> Rows:
        """Every row, in order. `forms` are those of the files, where they are not all of one form."""
        given = forms or [FileFormat(**{"kind": "csv", **form})] * len(files)
        entity = Entity(
            "E",
            tuple(Attribute(name, "string") for name in attributes),
            tuple(Partition(path, path, one) for path, one in zip(files, given, strict=True)),
        )
        snapshot = Snapshot("one", (), files, (), {}, "", None)
        origin = source.Origin(self.lake, snapshot, self.container.container_name, self.folder, mend=mend)
        self.connection.execute("DROP VIEW IF EXISTS e")
        with source.faults():
            source.define_view(self.connection, "e", entity, picked or attributes, origin)
            return self.connection.execute("SELECT * FROM e ORDER BY ALL NULLS FIRST").fetchall()

    def fault(self, contents: Contents | str | bytes, **options: Any) -> str:
        """What is said of a file that cannot be read: nothing that stands in it."""
        given = contents if isinstance(contents, Mapping) else {"1.csv": contents}
        with pytest.raises(CorruptSnapshotError) as raised:
            self.rows(given, **options)
        said = str(raised.value)
        assert MARKER not in said
        assert raised.value.__suppress_context__ or raised.value.__context__ is None
        return said

    def _put(self, path: str, content: str | bytes) -> File:
        raw = content.encode() if isinstance(content, str) else content
        with self.container.get_blob_client(path) as blob:
            etag = str(blob.upload_blob(raw, overwrite=True)["etag"]).strip('"')
        return File(path, etag, len(raw))


@contextmanager
def reader(folder: Path) -> Iterator[Reader]:
    """Storage with an empty container, and what reads it."""
    reserved = ports.reserve(folder / "ports.json", azurite.SERVICES)
    connection = azurite.connection_string(reserved)
    bus = "Endpoint=sb://127.0.0.1;SharedAccessKeyName=x;SharedAccessKey=y"
    child = azurite.start(folder / "files", folder / "azurite.log", reserved)
    try:
        found = load({"LakeStorage": connection, "StatusStorage": connection, "ServiceBus": bus}, ROOT)
        settings = replace(found, plan_threads=1)  # however few are asked for, no fault of a file is overlooked
        with (
            ContainerClient.from_connection_string(connection, settings.lake_container) as container,
            Lake(settings) as lake,
            engine.connect(settings) as (opened, files),
        ):
            container.create_container()
            engine.reach_lake(opened, settings)
            yield Reader(opened, container, lake, files)
    finally:
        child.stop()
