"""The files of an entity: where they are, and that each of them stands for itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.lake.document import FormatPart, PartitionPart
from shared.lake.faults import EntityFault
from shared.lake.formats import declared, file_format, unsupported
from shared.lake.listing import Listing
from shared.lake.location import FolderError, LocationError, resolve, shown
from shared.lake.manifest import Delivery, Partition


@dataclass(frozen=True)
class Place:
    """Where a manifest lies (`path`, inside `container`), what its locations may point to, and what is there."""

    path: str
    environment_folder: str
    container: str
    listing: Listing

    @property
    def folder(self) -> str:
        """The folder of the manifest."""
        return self.path.rpartition("/")[0]

    def resolve(self, location: str) -> str:
        """The path that a location means. Raises LocationError."""
        return resolve(
            location, manifest=self.path, environment_folder=self.environment_folder, container=self.container
        )


def named(parts: Sequence[PartitionPart], place: Place) -> list[Partition]:
    """The files that a manifest names one by one. Raises EntityFault for the first that cannot be used."""
    located = [part for part in parts if part.location and part.location.strip()]
    if not located:
        raise EntityFault("the manifest names no file of it, only its schema", Delivery.NOT_DELIVERED)
    if len(located) < len(parts):
        # Rows of a part that was not delivered would look like removed ones.
        raise EntityFault(f"{len(parts) - len(located)} of its {len(parts)} partitions have no location")
    return [_named(part, number, place) for number, part in enumerate(located, start=1)]


def distinct(partitions: Iterable[Partition]) -> tuple[Partition, ...]:
    """The files, each once. Raises EntityFault where one is to be read in two ways."""
    found = dict.fromkeys(partitions)
    by_path = Counter(partition.path for partition in found)
    twice = sorted(path for path, count in by_path.items() if count > 1)
    if twice:
        raise EntityFault(f"more than one of its partitions is the file {twice[0]}")
    return tuple(found)


def at(path: str, settings: FormatPart, place: Place, name: str | None = None) -> Partition:
    """The file at a path. Raises EntityFault where it is none, or in a format that is not read."""
    table = place.listing.delta_table(path)
    if table:
        raise unsupported(f"{table}/ is a Delta table")
    if place.listing.is_folder(path):
        raise EntityFault(f"{path} is a folder, not a file")
    return Partition(name or path.rsplit("/", maxsplit=1)[-1], path, file_format(path, settings))


def _named(part: PartitionPart, number: int, place: Place) -> Partition:
    location, settings = part.location or "", part.format or FormatPart()
    declared(settings.kind, shown(location))  # what is not read need not be where files may be
    fault = f"the location of partition {part.name or number} cannot be used"
    try:
        path = place.resolve(location)
    except FolderError as error:
        table = place.listing.delta_table(error.path)
        raise (unsupported(f"{table}/ is a Delta table") if table else EntityFault(f"{fault}: {error}")) from None
    except LocationError as error:
        raise EntityFault(f"{fault}: {error}") from None
    return at(path, settings, place, part.name)
