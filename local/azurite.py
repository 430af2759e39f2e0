"""Azurite, the storage emulator from npm: blobs, queues and tables on loopback.

Source of the options: Azurite's README. Telemetry is off (without the switch it calls home); newer storage SDKs need
`--skipApiVersionCheck`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from local.children import ROOT, Child, base_environment
from shared.errors import ConfigurationError

ACCOUNT = "devstoreaccount1"
# The account key that every Azurite has, published in its README: not a secret.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
SERVICES = ("blob", "queue", "table")


def connection_string(ports: Mapping[str, int]) -> str:
    """For the storage SDKs; `ports` by service."""
    endpoints = "".join(f"{name.title()}Endpoint=http://127.0.0.1:{ports[name]}/{ACCOUNT};" for name in SERVICES)
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{endpoints}"


def start(folder: Path, log: Path, ports: Mapping[str, int]) -> Child:
    """Start Azurite on its data folder and wait until all three services listen. Raises as `begin` does."""
    child = begin(folder, log, ports)
    wait_for(child)
    return child


def begin(folder: Path, log: Path, ports: Mapping[str, int], *, keeps: bool = True) -> Child:
    """Start Azurite on its data folder. Where it `keeps` nothing, all is lost when it ends, and it takes less CPU time.

    ConfigurationError: Node.js or the npm package is missing; the sentence says what to install.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = ["--location", str(folder)] if keeps else ["--inMemoryPersistence"]
    options = [*place, "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    for name in SERVICES:
        options += [f"--{name}Host", "127.0.0.1", f"--{name}Port", str(ports[name])]
    command = [_node(), "--require", str(ROOT / "local" / "end_with_parent.cjs"), str(_script()), *options]
    return Child("azurite", command, log, base_environment())


def wait_for(azurite: Child) -> None:
    """Until all three services listen."""
    for name in SERVICES:
        azurite.wait_for(rf"{name.title()} service is successfully listening")


def _node() -> str:
    node = shutil.which("node")
    if node is None:
        raise ConfigurationError("Node.js is missing: install Node.js 20 or newer (with npm) and try again.")
    return node


def _script() -> Path:
    script = ROOT / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
    if not script.exists():
        raise ConfigurationError("Azurite is missing: run local/setup.sh (it installs what package.json names).")
    return script
