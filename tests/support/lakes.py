"""Hand-made lakes for tests: one call writes one process folder with its manifest and partitions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CSV = {"$type": "CsvFormatSettings", "columnHeaders": False, "delimiter": ",", "quoteStyle": "QuoteStyle.Csv"}


@dataclass
class Entity:
    """An entity: attribute names (type string, or `name:type`) and partitions as raw text or bytes by file name."""

    name: str
    attributes: Sequence[str]
    partitions: Mapping[str, str | bytes]
    headers: bool = False
    locations: Mapping[str, str] = field(default_factory=dict)  # instead of the file's own

    def manifest(self, folder: str) -> dict[str, Any]:
        pairs = [attribute.partition(":") for attribute in self.attributes]
        return {
            "$type": "LocalEntity",
            "name": self.name,
            "attributes": [{"name": name, "dataType": kind or "string"} for name, _, kind in pairs],
            "partitions": [
                {
                    "name": Path(file).stem,
                    "location": self.locations.get(
                        file, f"https://lake.dfs.core.windows.net/customerinsights/{folder}/{self.name}/{file}"
                    ),
                    "fileFormatSettings": CSV | {"columnHeaders": self.headers},
                }
                for file in self.partitions
            ],
        }


def write_lake(
    lake: Path, environment: str, *entities: Entity, process: str = "unification", bom: bool = False
) -> Path:
    """Write the folder of one process; what it held before stays where it has another name."""
    folder = f"ci_{environment}/{process}"
    for entity in entities:
        (lake / folder / entity.name).mkdir(parents=True, exist_ok=True)
        for file, content in entity.partitions.items():
            raw = content if isinstance(content, bytes) else content.encode()
            (lake / folder / entity.name / file).write_bytes(raw)
    model = {"name": process, "version": "1.0", "entities": [entity.manifest(folder) for entity in entities]}
    encoding = "utf-8-sig" if bom else "utf-8"
    (lake / folder).mkdir(parents=True, exist_ok=True)
    (lake / folder / "model.json").write_text(json.dumps(model, ensure_ascii=False), encoding=encoding)
    return lake
