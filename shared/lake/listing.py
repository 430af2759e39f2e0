"""Which files an environment's folder holds, and which of its folders are Delta tables."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

_HIDDEN = ("_", ".")
_DELTA_LOG = "/_delta_log/"


class Listing:
    """The paths of files, as a listing of the container has them."""

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self._paths = frozenset(paths)
        self._sorted = sorted(self._paths)
        # A folder of the environment, not the environment's own: a stray log there would hide everything.
        tables = (path.partition(_DELTA_LOG) for path in self._sorted)
        self._tables = frozenset(table for table, log, _ in tables if log and "/" in table)

    def __contains__(self, path: str) -> bool:
        return path in self._paths

    def below(self, folder: str) -> list[str]:
        """The files in a folder and its folders, in order, those with a hidden name (or folder) below it left out."""
        prefix = f"{folder}/"
        found = self._sorted[
            bisect_left(self._sorted, prefix) : bisect_left(self._sorted, f"{folder}0")
        ]  # "0" is "/"+1
        return [path for path in found if not _hidden(path[len(prefix) :])]

    def is_folder(self, path: str) -> bool:
        """Whether this is the path of no file, but of a folder with files."""
        at = bisect_left(self._sorted, f"{path}/")
        return path not in self._paths and at < len(self._sorted) and self._sorted[at].startswith(f"{path}/")

    def delta_table(self, path: str) -> str | None:
        """The folder of the Delta table that the path is or lies in.

        Of the Parquet files of such a table only the log says which ones count.
        """
        steps = path.split("/")
        folders = ("/".join(steps[:count]) for count in range(len(steps), 1, -1))
        return next((folder for folder in folders if folder in self._tables), None)


def _hidden(path: str) -> bool:
    return any(step.startswith(_HIDDEN) for step in path.split("/"))
