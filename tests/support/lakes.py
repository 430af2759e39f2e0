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


def write_cdm_lake(lake: Path, environment: str, *entities: Entity, process: str = "unification") -> Path:
    """The same folder with a manifest.cdm.json and a document for each entity instead of a model.json."""
    write_lake(lake, environment, *entities, process=process)
    folder = lake / f"ci_{environment}/{process}"
    (folder / "model.json").unlink()
    declared = []
    for entity in entities:
        pairs = [attribute.partition(":") for attribute in entity.attributes]
        attributes = [{"name": name, "dataType": kind or "string"} for name, _, kind in pairs]
        definition = {"entityName": entity.name, "extendsEntity": "CdmEntity", "hasAttributes": attributes}
        document = {"jsonSchemaSemanticVersion": "1.0.0", "definitions": [definition]}
        (folder / f"{entity.name}.cdm.json").write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
        arguments = [{"name": "columnHeaders", "value": str(entity.headers)}, {"name": "delimiter", "value": ","}]
        trait = {"traitReference": "is.partition.format.CSV", "arguments": arguments}
        files = [{"location": f"{entity.name}/{file}", "exhibitsTraits": [trait]} for file in entity.partitions]
        path = f"{entity.name}.cdm.json/{entity.name}"
        declared.append({"type": "LocalEntity", "entityName": entity.name, "entityPath": path, "dataPartitions": files})
    manifest = {"manifestName": process, "entities": declared}
    (folder / "default.manifest.cdm.json").write_text(json.dumps(manifest, ensure_ascii=False), encoding="utf-8")
    return lake
