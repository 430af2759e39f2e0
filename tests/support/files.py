"""A lake of files that tests hold themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class InMemory:
    """Files as the lake gives them."""

    files: Mapping[str, bytes]

    def read_head(self, path: str, size: int, etag: str) -> bytes:  # noqa: ARG002
        return self.files[path][:size]

    def read_blocks(self, path: str, etag: str) -> Iterator[bytes]:  # noqa: ARG002
        content = self.files[path]
        return (content[start : start + 7] for start in range(0, len(content), 7))
