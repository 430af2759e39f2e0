"""The solution that holds what the app creates, so that it can be seen, exported and removed as one.

Sources: "Web API table schema operations sample" (its section 0), "Work with solutions using the Dataverse SDK" and the
references of the tables publisher and solution, of Microsoft's Dataverse documentation.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

from shared.dataverse.client import Client
from shared.dataverse.creation import Creation, create
from shared.errors import ConfigurationError

HEADER = "MSCRM.SolutionUniqueName"
"""Request header: the solution that a new table, column or relationship becomes a component of."""
VERSION = "1.0.0.0"
LEAST_OPTION_PREFIX, MOST_OPTION_PREFIX = 10_000, 99_999

_DESCRIPTION = "Tables, columns and lookups that hydration of Customer Insights output created."
_PUBLISHER = "publishers?$select=publisherid,uniquename,customizationprefix,isreadonly&$filter="
_SOLUTION = (
    "solutions?$select=solutionid,uniquename,ismanaged&$expand=publisherid($select=uniquename,customizationprefix)"
    "&$filter="
)


@dataclass(frozen=True)
class SolutionSchema:
    """A solution that must exist; `prefix` is the customization prefix of everything in it, in lower case.

    `publisher` is made for it where no publisher with that prefix can be used.
    """

    unique_name: str
    display: str
    publisher: str
    publisher_display: str
    prefix: str

    @property
    def headers(self) -> dict[str, str]:
        """What makes a new table, column or relationship part of it."""
        return {HEADER: self.unique_name}


def hydration(prefix: str) -> SolutionSchema:
    """The app's own solution, for tables that are named with this prefix."""
    return SolutionSchema(
        "CustomerInsightsHydration",
        "Customer Insights Hydration",
        f"customerinsightshydration{prefix}",
        f"Customer Insights Hydration ({prefix})",
        prefix,
    )


def ensure(client: Client, schema: SolutionSchema) -> list[str]:
    """Create the solution, and its publisher, where they are missing; one sentence for each that was created.

    Raises ConfigurationError when there is a solution of that name that the app cannot use, or none can be created.
    """
    if found := _solution(client, schema):
        _check(schema, found)
        return []
    created: list[str] = []
    publisher = _publisher(client, schema)
    if publisher is None:
        if create(client, _publisher_creation(client, schema)):
            created.append(f"Publisher {schema.publisher} with the prefix {schema.prefix} was created.")
        publisher = _publisher(client, schema)
    if publisher is None:
        raise ConfigurationError(f"{client.url}: publisher {schema.publisher} was deleted again as it was created.")
    if create(client, _solution_creation(client, schema, publisher)):
        return [*created, f"Solution {schema.unique_name} was created."]
    if found := _solution(client, schema):
        _check(schema, found)  # somebody else made it, perhaps another way
    return created


def option_prefix(prefix: str) -> int:
    """The number that choices of a publisher begin with: from 10,000 to 99,999, always the same for a prefix."""
    return LEAST_OPTION_PREFIX + zlib.crc32(prefix.encode()) % (MOST_OPTION_PREFIX - LEAST_OPTION_PREFIX + 1)


def _solution(client: Client, schema: SolutionSchema) -> dict[str, Any] | None:
    found: list[dict[str, Any]] = client.get(f"{_SOLUTION}uniquename eq '{schema.unique_name}'")["value"]
    return found[0] if found else None


def _check(schema: SolutionSchema, found: dict[str, Any]) -> None:
    name = schema.unique_name
    if found["ismanaged"]:
        raise ConfigurationError(
            f"Solution {name} exists as a managed solution: nothing can be created in it. Uninstall it; the app makes "
            "an unmanaged one of that name."
        )
    publisher = found["publisherid"]
    prefix = str(publisher["customizationprefix"] or "")
    if prefix.lower() != schema.prefix:
        raise ConfigurationError(
            f"Solution {name} belongs to the publisher {publisher['uniquename']}, whose prefix is {prefix or 'empty'}; "
            f'the app creates names with the prefix {schema.prefix}. Set publisher_prefix = "{prefix}" in the '
            f"configuration, or delete the solution {name}: its tables and their rows stay."
        )


def _publisher(client: Client, schema: SolutionSchema) -> str | None:
    """The id of a publisher with that prefix; the app's own first. None: one must be created.

    A publisher that came with a managed solution, Microsoft's own for example, is read-only and cannot be chosen for a
    solution (error 0x8004F034, CannotSelectReadOnlyPublisher). Several publishers may have one prefix.
    """
    condition = f"customizationprefix eq '{schema.prefix}' or uniquename eq '{schema.publisher}'"
    found: list[dict[str, Any]] = client.get(_PUBLISHER + condition)["value"]
    own = [one for one in found if one["uniquename"].lower() == schema.publisher]
    usable = [one for one in found if _prefix(one) == schema.prefix and not one["isreadonly"]]
    if usable:
        return str(min(usable, key=lambda one: (one not in own, one["uniquename"]))["publisherid"])
    if own:
        raise ConfigurationError(
            f"Publisher {schema.publisher} exists but cannot be used: its prefix is {_prefix(own[0]) or 'empty'}, not "
            f"{schema.prefix}, or it is read-only. Set its prefix, or choose another publisher_prefix."
        )
    return None


def _prefix(publisher: dict[str, Any]) -> str:
    return str(publisher["customizationprefix"] or "").lower()


def _publisher_creation(client: Client, schema: SolutionSchema) -> Creation:
    body = {
        "uniquename": schema.publisher,
        "friendlyname": schema.publisher_display,
        "customizationprefix": schema.prefix,
        "customizationoptionvalueprefix": option_prefix(schema.prefix),
    }
    what = f"the publisher {schema.publisher}"
    return Creation("publishers", body, what, lambda: _publisher(client, schema) is not None)


def _solution_creation(client: Client, schema: SolutionSchema, publisher: str) -> Creation:
    body = {
        "uniquename": schema.unique_name,
        "friendlyname": schema.display,
        "description": _DESCRIPTION,
        "version": VERSION,
        "publisherid@odata.bind": f"/publishers({publisher})",
    }
    what = f"the solution {schema.unique_name}"
    return Creation("solutions", body, what, lambda: _solution(client, schema) is not None)
