"""How long the real service would take: seconds of execution for what a request asks for.

A request has a price of its own, and so has every row of a bulk action and every other operation (a $batch has many).
A web server has so many cores: with more requests under way than cores, each takes longer in proportion, so that a
degree of parallelism above the recommended one wins nothing and uses up execution time. How far it stretches is
decided when a request begins.

The way there and back (latency) is no execution time: the server adds it.
"""

from __future__ import annotations

from dataclasses import dataclass

BULK = "Multiple"
_TYPE = b'"@odata.type"'


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Seconds for a request, a bulk row and a single operation; `cores` of each web server.

    `jitter` is the share by which a request may take longer or shorter than that.
    """

    request: float = 0.0
    row: float = 0.0
    operation: float = 0.0
    cores: int = 4
    jitter: float = 0.0

    def seconds(self, rows: int, operations: int, under_way: int, chance: float = 0.5) -> float:
        """Return the seconds of execution; `under_way` counts the request itself and those of all users.

        `chance`, from 0 to 1, is where in the jitter the request lies.
        """
        alone = self.request + rows * self.row + operations * self.operation
        return alone * max(1.0, under_way / self.cores) * (1.0 + self.jitter * (2.0 * chance - 1.0))


INSTANT = Costs()


def bulk_rows(path: str, body: bytes) -> int:
    """Return how many rows a request has for bulk actions: every target must carry its type."""
    bulk = path.endswith(BULK) or (path.endswith("$batch") and BULK.encode() in body)
    return body.count(_TYPE) if bulk else 0
