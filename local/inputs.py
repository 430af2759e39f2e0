"""What a user hands to the local stack, looked at before anything is started."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.lake.snapshot import manifests as manifests_of
from shared.settings import Hydration, configuration

STANDARD_TABLES = frozenset({"contact", "lead", "account"})
_NAMED_LINES = 3
_GUID = re.compile(r"\{?[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\}?")


class UnusableInputError(Exception):
    """The input cannot be used as it is; `faults` holds one sentence each."""

    def __init__(self, faults: str | Iterable[str]) -> None:
        self.faults = (faults,) if isinstance(faults, str) else tuple(faults)
        super().__init__("\n".join(self.faults))


@dataclass(frozen=True)
class LakeFolder:
    """A folder that mirrors the container: `ci_<environment>/<any folders>/`, in them manifests and partitions."""

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
            manifests_of(path.relative_to(folder).as_posix() for path in root.rglob("*.json") if path.is_file())
        )
        for root in roots
    }
    empty = [environment for environment, found in manifests.items() if not found]
    if empty:
        raise UnusableInputError(
            f"{folder / f'ci_{each}'}: no model.json or manifest.cdm.json in it." for each in empty
        )
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


@dataclass(frozen=True)
class Rows:
    """A file of rows that exist in Dataverse beforehand."""

    path: Path
    logical_name: str
    primary_key: str


def dataverse_rows(folder: Path, keys: Mapping[str, str]) -> list[Rows]:
    """The files `<logical name>.csv`: UTF-8, a header, the table's primary key in it.

    The key is `<logical name>id`, as Dataverse names it; a table of the user's own may have another one, then `keys`
    (the configuration) names it. Raises UnusableInputError with every fault.
    """
    if not folder.is_dir():
        raise UnusableInputError(f"{folder}: there is no such folder.")
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise UnusableInputError(f"{folder}: no <logical name>.csv in it.")
    found, faults = [], list[str]()
    for path in files:
        try:
            found.append(_rows(path, path.stem.lower(), keys))
        except UnusableInputError as error:
            faults += error.faults
    if faults:
        raise UnusableInputError(faults)
    return found


def _rows(path: Path, logical_name: str, keys: Mapping[str, str]) -> Rows:
    """Look at one file of rows; only the first lines at fault are named."""
    wrong: list[str] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip().lower() for name in next(reader, [])]
            key = _key(logical_name, header, keys)
            if key not in header:
                raise UnusableInputError(
                    f"{path}: the column {key} (the table's primary key) is not in its first line."
                )
            if len(set(header)) < len(header):
                raise UnusableInputError(f"{path}: a column stands in its first line twice.")
            for row in reader:
                if row and len(row) != len(header):
                    wrong.append(f"{path}: line {reader.line_num} has not the {len(header)} columns of the first line.")
                elif row and not _GUID.fullmatch(row[header.index(key)].strip()):
                    wrong.append(f"{path}: line {reader.line_num} has no GUID in the column {key}.")
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnusableInputError(f"{path}: not readable as CSV in UTF-8: {error}.") from error
    if wrong:
        raise UnusableInputError(wrong[:_NAMED_LINES])
    return Rows(path, logical_name, key)


def _key(logical_name: str, header: Sequence[str], keys: Mapping[str, str]) -> str:
    usual = f"{logical_name}id"
    given = keys.get(logical_name, usual).lower()
    return given if given in header and usual not in header and logical_name not in STANDARD_TABLES else usual
