"""Chunk files: gzip of newline-delimited JSON, one Dataverse record a line. The plan makes them, the sender joins."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_BATCH = 10_000
_LEVEL = 1  # network and storage are cheaper than the processor


def write_records(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[int, list[bytes]]]:
    """Chunk by chunk, the records of the rows to write, in their places."""
    yield from _grouped(
        connection,
        """
        SELECT d.chunk, encode(s.record) AS line FROM delta AS d JOIN staged AS s USING (id)
        WHERE d.op IN ('create', 'change') ORDER BY d.chunk, d.place""",
    )


def remove_records(connection: duckdb.DuckDBPyConnection, record: str) -> Iterator[tuple[int, list[bytes]]]:
    """Chunk by chunk, what is sent for the rows that are gone. `record` is SQL over id."""
    yield from _grouped(
        connection,
        f"""
        SELECT chunk, encode({record}) AS line FROM delta WHERE op = 'remove' ORDER BY chunk, place""",
    )


def pack(records: list[bytes]) -> bytes:
    """The bytes of a chunk file."""
    return gzip.compress(b"\n".join(records), _LEVEL, mtime=0)


def unpack(content: bytes) -> list[bytes]:
    """The records of a chunk file."""
    return gzip.decompress(content).split(b"\n")


def _grouped(connection: duckdb.DuckDBPyConnection, query: str) -> Iterator[tuple[int, list[bytes]]]:
    def rows() -> Iterator[tuple[int, bytes]]:
        result = connection.execute(query)
        while batch := result.fetchmany(_BATCH):
            yield from batch

    for chunk, lines in groupby(rows(), key=lambda row: row[0]):
        yield chunk, [line for _, line in lines]
