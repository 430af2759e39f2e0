"""What Dataverse must hold after a landing, computed from the lake's files by plain Python.

It imports nothing of the app and shares no rule with it but those written here. Dates, numbers and truth values are
those of JSON; a column is named `<prefix>_<attribute>` in lower case without characters outside [a-z0-9_].
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

NAMESPACE = uuid.UUID("6b1e5d0c-6f4e-5c58-9b0a-3a8e0d2c7f41")
Row = dict[str, Any]
_FIELD = re.compile(r'"((?:[^"]|"")*)"|([^",\r\n]*)')
_GUID = re.compile(r"\{?([0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12})\}?")


@dataclass(frozen=True)
class Source:
    """A unified source table; `logical_name` only when it is ingested from the connected Dataverse."""

    data_source: str
    entity: str
    key_column: str  # the attribute of Customer that holds its keys
    logical_name: str | None = None


@dataclass(frozen=True)
class Expected:
    """Rows by lower-case GUID; links by logical name: source row -> profile."""

    profiles: dict[str, Row]
    alternate_keys: dict[str, Row]
    links: dict[str, dict[str, str]]

    def task(self, name: str) -> dict[str, Any]:
        """What one task answers for: `CustomerProfile`, `AlternateKey` or a linked table's logical name."""
        tasks: dict[str, dict[str, Any]] = {"CustomerProfile": self.profiles, "AlternateKey": self.alternate_keys}
        return (tasks | self.links)[name]


@dataclass(frozen=True)
class Difference:
    """Row ids by what must happen to them."""

    created: frozenset[str]
    changed: frozenset[str]
    removed: frozenset[str]
    unchanged: frozenset[str]

    @property
    def writes(self) -> int:
        return len(self.created) + len(self.changed) + len(self.removed)


def expected(lake: Path, environment: str, sources: Sequence[Source], prefix: str = "msdynci") -> Expected:
    customers = list(entity_rows(lake, environment, "Customer"))
    types = dict(next(each for each in entities(lake, environment) if each[0] == "Customer")[1])
    profiles = {}
    keys: dict[Source, dict[str, tuple[str, list[str]]]] = {source: {} for source in sources}
    for customer in customers:
        customer_id = customer["CustomerId"]
        assert customer_id, "a profile without an id has no place in the oracle"
        profiles[guid(customer_id)] = {
            column(name, prefix): json_value(text, types[name]) for name, text in customer.items()
        }
        for source in sources:
            ring = sorted({piece.strip() for piece in (customer[source.key_column] or "").split(";")} - {""})
            keys[source].update(dict.fromkeys(ring, (customer_id, ring)))
    return Expected(
        profiles,
        {
            row_id: row
            for source, owners in keys.items()
            for key, (customer_id, ring) in owners.items()
            for row_id, row in [alternate_key(source, key, customer_id, ring, prefix)]
        },
        {
            source.logical_name: {guid(key): guid(customer_id) for key, (customer_id, _) in keys[source].items()}
            for source in sources
            if source.logical_name
        },
    )


def alternate_key(source: Source, key: str, customer_id: str, ring: list[str], prefix: str) -> tuple[str, Row]:
    identifier = f"{source.data_source}|{source.entity}|{key}"
    key_ring = {
        "dataSourceName": source.data_source,
        "entityName": source.entity,
        "preferredKey": ring[0],
        "keys": ring,
    }
    values = {
        "DataSourceName": source.data_source,
        "EntityName": source.entity,
        "AlternateValue": key,
        "KeyRing": json.dumps([key_ring], ensure_ascii=False, separators=(",", ":")),
        "CustomerId": customer_id,
        "Identifier": identifier,
    }
    return str(uuid.uuid5(NAMESPACE, identifier)), {column(name, prefix): value for name, value in values.items()}


def difference(before: dict[str, Any], after: dict[str, Any]) -> Difference:
    both = before.keys() & after.keys()
    changed = frozenset(each for each in both if before[each] != after[each])
    return Difference(
        created=frozenset(after.keys() - before.keys()),
        changed=changed,
        removed=frozenset(before.keys() - after.keys()),
        unchanged=frozenset(both) - changed,
    )


def guid(text: str) -> str:
    """The GUID that the text is, else the one derived from it."""
    found = _GUID.fullmatch(text.strip())
    return str(uuid.UUID(found[1])) if found else str(uuid.uuid5(NAMESPACE, text))


def column(attribute: str, prefix: str) -> str:
    return f"{prefix}_{re.sub(r'[^a-z0-9_]', '', attribute.lower())}"


def json_value(text: str | None, kind: str) -> Any:
    if text is None:
        return None
    if kind in _CONVERSIONS:
        return _CONVERSIONS[kind](text) if text else None
    return text


_CONVERSIONS: dict[str, Callable[[str], Any]] = {
    "int64": int,
    "decimal": float,
    "double": float,
    "boolean": lambda text: {"true": True, "false": False, "1": True, "0": False}[text.lower()],
    "date": lambda text: text[:10],
    "dateTime": lambda text: f"{text[:19].replace(' ', 'T')}Z",
}


def entity_rows(lake: Path, environment: str, entity: str) -> Iterator[dict[str, str | None]]:
    for name, attributes, partitions in entities(lake, environment):
        if name != entity:
            continue
        names = [attribute for attribute, _ in attributes]
        for path, header in partitions:
            records = parse(path.read_bytes().decode("utf-8-sig"))
            if header:
                assert next(records) == names
            for record in records:
                yield dict(zip(names, record, strict=True))


def entities(lake: Path, environment: str) -> list[tuple[str, list[tuple[str, str]], list[tuple[Path, bool]]]]:
    """Every entity of every manifest: name, (attribute, type) pairs and (partition, has a header) pairs."""
    root = f"ci_{environment}"
    found = []
    for manifest in sorted((lake / root).rglob("model.json")):
        for entity in json.loads(manifest.read_text(encoding="utf-8-sig"))["entities"]:
            partitions = []
            for partition in entity.get("partitions", []):
                below = unquote(urlsplit(partition["location"]).path).partition(f"/{root}/")[2]
                header = str(partition.get("fileFormatSettings", {}).get("columnHeaders", False)).lower() == "true"
                partitions.append((lake / root / below, header))
            attributes = [(each["name"], each["dataType"]) for each in entity["attributes"]]
            found.append((entity["name"], attributes, partitions))
    return found


def parse(text: str) -> Iterator[list[str | None]]:
    """RFC 4180 records; nothing between two commas is None, a quoted nothing is the empty text."""
    at, record = 0, list[str | None]()
    while at < len(text) or record:
        field = _FIELD.match(text, at)
        assert field, f"unreadable at {at}"
        quoted, plain = field.groups()
        record.append(plain or None if quoted is None else quoted.replace('""', '"'))
        at = field.end()
        if text.startswith(",", at):
            at += 1
            continue
        assert at == len(text) or text[at] in "\r\n", f"text after a quotation at {at}"
        at += 2 if text.startswith("\r\n", at) else 1
        if record != [None]:  # an empty line is no record
            yield record
        record = []
