"""What a user hands to the local stack, looked at before anything is started."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from shared.settings import Hydration, configuration


class UnusableInputError(Exception):
    """The input cannot be used as it is; `faults` holds one sentence each."""

    def __init__(self, faults: str | Iterable[str]) -> None:
        self.faults = (faults,) if isinstance(faults, str) else tuple(faults)
        super().__init__("\n".join(self.faults))


@dataclass(frozen=True)
class LakeFolder:
    """A folder that mirrors the container: `ci_<environment>/<any folders>/model.json` and partitions."""

    root: Path
    manifests: dict[str, tuple[str, ...]]  # by environment, as paths below the root

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments' ids in a steady order."""
        return tuple(sorted(self.manifests))

    def files(self) -> list[tuple[str, Path]]:
        """Every file of the environments as (path below the root, file), hidden ones left out."""
        return [
            (path.relative_to(self.root).as_posix(), path)
            for environment in self.environments
            for path in sorted((self.root / f"ci_{environment}").rglob("*"))
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(self.root).parts)
        ]


def lake_folder(folder: Path) -> LakeFolder:
    """Look at one landing. Raises UnusableInputError with every fault."""
    if not folder.is_dir():
        raise UnusableInputError(f"{folder}: there is no such folder.")
    roots = sorted(path for path in folder.iterdir() if path.is_dir() and path.name.startswith("ci_"))
    if not roots and folder.name.startswith("ci_"):
        raise UnusableInputError(f"{folder}: this is one environment's folder; name the folder that holds it.")
    if not roots:
        raise UnusableInputError(f"{folder}: no folder named ci_<environment> in it.")
    manifests = {
        root.name.removeprefix("ci_"): tuple(
            path.relative_to(folder).as_posix() for path in sorted(root.rglob("model.json")) if path.is_file()
        )
        for root in roots
    }
    empty = [environment for environment, found in manifests.items() if not found]
    if empty:
        raise UnusableInputError(f"{folder / f'ci_{each}'}: no model.json in it." for each in empty)
    return LakeFolder(folder, manifests)


def configuration_file(path: Path) -> Hydration:
    """The user's configuration, as the app will read it. Raises UnusableInputError with all its faults."""
    if not path.is_file():
        raise UnusableInputError(f"{path}: there is no such file; name the configuration with --config FILE.")
    faults: list[str] = []
    hydration = configuration.read(path, faults)
    if faults:
        raise UnusableInputError(faults)
    return hydration


def primary_keys(hydration: Hydration) -> dict[str, str]:
    """The primary keys that the configuration names, by logical name."""
    tables = [
        table for source in hydration.data_sources.values() if source.dataverse for table in source.tables.values()
    ]
    return {(table.logical_name or table.name.lower()): table.primary_key for table in tables if table.primary_key}


def dataverse_files(folder: Path, keys: dict[str, str]) -> dict[str, Path]:
    """The rows to seed by logical name: `<logical name>.csv` in UTF-8, a header, the table's primary key in it.

    `keys` names the primary keys that are known; the rule of Dataverse (`<logical name>id`) holds for the others.
    Raises UnusableInputError with every fault.
    """
    if not folder.is_dir():
        raise UnusableInputError(f"{folder}: there is no such folder.")
    files = {path.stem: path for path in sorted(folder.glob("*.csv"))}
    if not files:
        raise UnusableInputError(f"{folder}: no <logical name>.csv in it.")
    faults = [
        fault
        for logical_name, path in files.items()
        for fault in _faults_of_rows(path, keys.get(logical_name, f"{logical_name}id"))
    ]
    if faults:
        raise UnusableInputError(faults)
    return files


def _faults_of_rows(path: Path, key: str) -> list[str]:
    """What keeps one file of rows from being seeded; only the first few rows at fault are named."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            if key not in header:
                return [f"{path}: the column {key} (the table's primary key) is not in its first line."]
            if len(set(header)) < len(header):
                return [f"{path}: a column stands in its first line twice."]
            wrong = [reader.line_num for row in reader if row and len(row) != len(header)]
    except (UnicodeDecodeError, csv.Error) as error:
        return [f"{path}: not readable as CSV in UTF-8: {error}."]
    return [f"{path}: line {line} has not the {len(header)} columns of the first line." for line in wrong[:3]]
