"""The whole local stack as child processes: Azurite, broker, Dataverse, trigger host. Loopback only."""

from __future__ import annotations

import fcntl
import secrets
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from azure.storage.blob import ContainerClient

from local import azurite, ports
from local.broker.client import connection_string
from local.children import ROOT, STOP_WITHIN, Child, base_environment
from shared.errors import ConfigurationError, HydrationError

QUEUES = ("hydration-tables", "hydration-upserts", "hydration-backstamps")
SERVICES = ("azurite", "broker", "dataverse")
LOCK_SECONDS = "5"  # of the broker's messages; minutes in the cloud
MAX_DELIVERIES = "10"  # of a message until it is a dead letter, as in the cloud
# Everything that waits is short, so that a killed host's work is taken up within seconds.
TIMINGS = {
    "HYDRATION_LEASE_SECONDS": "10",
    "HYDRATION_SETTLE_SECONDS": "2",
    "DATAVERSE_TIMEOUT_SECONDS": "5",
    "DELIVERY_PAUSE_SECONDS": "1",
    "RECONCILE_SCHEDULE": "*/2 * * * * *",
    "SWEEP_SCHEDULE": "*/2 * * * * *",
}
# A Dataverse that takes its time is given it: a killed host's work is taken up later.
PATIENT = {"DATAVERSE_TIMEOUT_SECONDS": "120", "HYDRATION_LEASE_SECONDS": "150"}
INSTANT = "instant"
_READY_HTTP = r"^ready on (http://127\.0\.0\.1:\d+)$"


class Stack:
    """The local stack with its files under `root`: what was stored there stays, and so do the ports.

    `config`: the hydration.toml; `settings` go over the local defaults; `host`: whether `start` starts the trigger
    host; `app`: the folder of function_app.py; `profile`: how Dataverse behaves (dataverse/profiles.py); `keeps`:
    without it the storage is gone when the stack stops, and costs less while it runs. Raises ConfigurationError where
    Node.js or Azurite is missing or another stack runs on `root`, HydrationError where a child does not start.
    """

    def __init__(
        self,
        root: Path,
        config: Path,
        *,
        settings: Mapping[str, str] | None = None,
        host: bool = True,
        app: Path = ROOT,
        profile: str = INSTANT,
        keeps: bool = True,
    ) -> None:
        self.root, self.config, self.app = root.resolve(), config.resolve(), app.resolve()
        self.settings: dict[str, str] = {}
        self.addresses: dict[str, str] = {}
        self.function_key = secrets.token_hex(16)  # hexadecimal: never taken for an option
        patience = {} if profile == INSTANT else PATIENT
        self._given, self._with_host, self._profile = patience | dict(settings or {}), host, profile
        self._keeps = keeps
        self._services: dict[str, Child] = {}
        self._more_hosts: list[Child] = []
        self._host: Child | None = None
        self._ports: dict[str, int] = {}
        self._lock: IO[str] | None = None
        self._identity = secrets.token_hex(16)

    @property
    def _children(self) -> list[Child]:
        """All but the first trigger host."""
        return [*self._services.values(), *self._more_hosts]

    @property
    def host_url(self) -> str:
        """Address of the trigger host. HydrationError: it is not running."""
        return self._address("host")

    @property
    def dataverse_url(self) -> str:
        """Address of the local Dataverse."""
        return self._address("dataverse")

    @property
    def lake_connection_string(self) -> str:
        """For the storage SDKs."""
        return azurite.connection_string(self._ports)

    def start(self) -> None:
        """Start everything and wait until it is ready; whatever was started is stopped again if one fails."""
        self.root.mkdir(parents=True, exist_ok=True)
        self._take_root()
        try:
            self._start_services()
            if self._with_host:
                self.start_host()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything, what uses others first."""
        self.stop_host()
        for child in reversed(self._children):
            child.stop()
        self._services, self._more_hosts = {}, []
        if self._lock:
            self._lock.close()
            self._lock = None

    def start_host(self) -> None:
        """Start the trigger host, on the same port as before."""
        options = ["--app", str(self.app), "--port", str(self._ports["host"]), "--key", self.function_key]
        options += ["--grace", str(STOP_WITHIN - 5)]
        self._host = self._module("local.host", options, base_environment() | self.settings)
        (self.addresses["host"],) = self._host.wait_for(_READY_HTTP)

    def another_host(self) -> Child:
        """One more trigger host beside the first, on a free port, as scale-out gives; it is stopped with the stack."""
        options = ["--app", str(self.app), "--port", "0", "--key", self.function_key]
        log = self._log(f"host{len(self._more_hosts) + 2}")
        child = Child.of_module("local.host", options, log, base_environment() | self.settings)
        self._more_hosts.append(child)
        child.wait_for(_READY_HTTP)
        return child

    def check(self) -> None:
        """Raise HydrationError where a child has ended by itself, with the end of its log."""
        for child in [*self._children, *([self._host] if self._host else [])]:
            child.check()

    def stop_host(self) -> None:
        """End the trigger host politely: running calls finish."""
        if self._host:
            self._host.stop()
            self._host = None

    def kill_host(self) -> None:
        """End the trigger host at once (kill -9)."""
        if self._host:
            self._host.kill()
            self._host = None

    def kill_service(self, name: str) -> None:
        """End a service of SERVICES at once; what it had acknowledged is in its files, if it keeps any.

        kill -9, but for Azurite: it keeps its tables in memory and writes them every five seconds, and what it had
        acknowledged would be lost, which Azure Storage never does. It is told to end.
        """
        if name == "azurite":
            self._services[name].stop()
        else:
            self._services[name].kill()

    def start_service(self, name: str) -> None:
        """Start a service that was killed, on the same port and the same files, and wait until it is ready."""
        self._services[name] = self._begin(name)
        self._wait_for(name)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start_services(self) -> None:
        self._ports = ports.reserve(self.root / "ports.json", (*azurite.SERVICES, "broker", "dataverse", "host"))
        for name in SERVICES:
            self._services[name] = self._begin(name)
        for name in SERVICES:
            self._wait_for(name)
        self.addresses["dataverse"] = f"http://127.0.0.1:{self._ports['dataverse']}"
        self.addresses["broker"] = f"sb://127.0.0.1:{self._ports['broker']}"
        for name in azurite.SERVICES:
            self.addresses[name] = f"http://127.0.0.1:{self._ports[name]}/{azurite.ACCOUNT}"
        self.settings = self._settings(self._identity)
        self._make_lake()

    def _begin(self, name: str) -> Child:
        if name == "azurite":
            return azurite.begin(self.root / "azurite", self._log("azurite"), self._ports, keeps=self._keeps)
        options = ["--port", str(self._ports[name])]
        if name == "broker":
            options += ["--db", str(self.root / "broker.db"), "--lock-seconds", LOCK_SECONDS]
            options += ["--max-deliveries", MAX_DELIVERIES, "--queue", *QUEUES]
        else:
            options += ["--db", str(self.root / "dataverse"), "--profile", self._profile]
            options += ["--identity-header", self._identity]
        return self._module(f"local.{name}", options, base_environment())

    def _wait_for(self, name: str) -> None:
        if name == "azurite":
            azurite.wait_for(self._services[name])
        else:
            self._services[name].wait_for(r"^ready on ")

    def _make_lake(self) -> None:
        """A customer's lake is there before the app is."""
        name, storage = self.settings["LAKE_CONTAINER"], self.lake_connection_string
        with ContainerClient.from_connection_string(storage, name, use_env_settings=False) as lake:
            if not lake.exists():
                lake.create_container()

    def _settings(self, identity: str) -> dict[str, str]:
        """The app settings, as for Azure but with local services behind them."""
        storage = self.lake_connection_string
        return {
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "AzureWebJobsStorage": storage,
            "LakeStorage": storage,
            "StatusStorage": storage,
            "ServiceBus": connection_string(self._ports["broker"]),
            "LAKE_CONTAINER": "customerinsights",
            "HYDRATION_CONTAINER": "hydration",
            "HYDRATION_CONFIG": str(self.config),
            "DATAVERSE_ADDRESS": f"{self.dataverse_url}/{{host}}",
            "IDENTITY_ENDPOINT": f"{self.dataverse_url}/msi/token",
            "IDENTITY_HEADER": identity,
            **TIMINGS,
            **self._given,
        }

    def _module(self, module: str, options: list[str], environment: Mapping[str, str]) -> Child:
        return Child.of_module(module, options, self._log(module.rpartition(".")[2]), environment)

    def _log(self, name: str) -> Path:
        return self.root / "logs" / f"{name}.log"

    def _address(self, name: str) -> str:
        if name not in self.addresses:
            raise HydrationError(f"the {name} of the local stack was not started")
        return self.addresses[name]

    def _take_root(self) -> None:
        """One stack for a folder: two would spoil each other's files."""
        lock = (self.root / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise ConfigurationError(f"a local stack is running on {self.root}: stop it first") from None
        self._lock = lock
