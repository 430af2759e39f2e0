"""The app settings (environment variables): their table, and reading them. Every fault is collected."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.settings.checks import guid, service_address, suggestion, web_address
from shared.settings.model import Connection
from shared.settings.users import Users


@dataclass(frozen=True)
class AppSetting:
    """A row of the settings table. `required` is "yes", "no", or the setting that can stand instead."""

    name: str
    default: str | None
    required: str
    meaning: str


APP_SETTINGS = (
    AppSetting("FUNCTIONS_WORKER_RUNTIME", None, "yes", "Always `python`; read by the Functions host."),
    AppSetting(
        "PYTHON_THREADPOOL_THREAD_COUNT",
        None,
        "no",
        "Threads of the Functions worker: set 32. By itself an instance with one core has 5, fewer than `host.json` "
        "lets messages in.",
    ),
    AppSetting("AzureWebJobsStorage", None, "yes", "The Functions host's own storage; read by the host."),
    AppSetting("LakeStorage", None, "or LakeStorage__blobServiceUri", "Connection string of the lake's account."),
    AppSetting("LakeStorage__blobServiceUri", None, "or LakeStorage", "The lake's address, opened by identity."),
    AppSetting("LakeStorage__queueServiceUri", None, "no", "Beside the address: what the host's blob trigger needs."),
    AppSetting("LakeStorage__clientId", None, "no", "Client id of a user-assigned identity for the lake."),
    AppSetting(
        "StatusStorage",
        None,
        "or StatusStorage__tableServiceUri",
        "Connection string of the account whose Azure Tables hold runs.",
    ),
    AppSetting("StatusStorage__tableServiceUri", None, "or StatusStorage", "Its address, opened by identity."),
    AppSetting("StatusStorage__clientId", None, "no", "Client id of a user-assigned identity for runs."),
    AppSetting("ServiceBus", None, "or ServiceBus__fullyQualifiedNamespace", "Connection string of the namespace."),
    AppSetting("ServiceBus__fullyQualifiedNamespace", None, "or ServiceBus", "Its host name, opened by identity."),
    AppSetting("ServiceBus__clientId", None, "no", "Client id of a user-assigned identity for Service Bus."),
    AppSetting("LAKE_CONTAINER", "customerinsights", "no", "Container that Customer Insights writes to."),
    AppSetting("HYDRATION_CONTAINER", "hydration", "no", "The app's own container in the lake's account."),
    AppSetting("HYDRATION_CONFIG", "hydration.toml", "no", "Configuration file, relative to the app's folder."),
    AppSetting("HYDRATION_LEASE_SECONDS", "300", "no", "How long a claim on a plan or chunk lasts."),
    AppSetting("DELIVERY_PAUSE_SECONDS", "30", "no", "How long a delivery that failed is held, 0 to 240."),
    AppSetting("HYDRATION_SETTLE_SECONDS", None, "no", "Overrides `settle_seconds` of the configuration file."),
    AppSetting("HYDRATION_WHOLE_WITHIN_SECONDS", None, "no", "Overrides `whole_within` of the configuration file."),
    AppSetting("DATAVERSE_TENANT_ID", None, "no", "Tenant of the application user; with a secret or certificate."),
    AppSetting("DATAVERSE_CLIENT_ID", None, "no", "Its client id; alone: that of a user-assigned identity."),
    AppSetting("DATAVERSE_CLIENT_SECRET", None, "no", "Its secret. Without secret and certificate: managed identity."),
    AppSetting("DATAVERSE_CLIENT_CERTIFICATE", None, "no", "Path of a PEM file with its key and certificate."),
    AppSetting("DATAVERSE_USERS", None, "no", "Names (letters and digits) of more application users: `second,third`."),
    AppSetting("DATAVERSE_CLIENT_ID__<name>", None, "no", "Client id of the user of that name."),
    AppSetting("DATAVERSE_CLIENT_SECRET__<name>", None, "no", "Its secret; as for the first user."),
    AppSetting("DATAVERSE_CLIENT_CERTIFICATE__<name>", None, "no", "Path of its PEM file; as for the first user."),
    AppSetting("DATAVERSE_AUTHORITY", "https://login.microsoftonline.com", "no", "Where tokens are asked for."),
    AppSetting(
        "DATAVERSE_ADDRESS",
        None,
        "no",
        "Connect here instead of to the organization's own URL; `{host}` stands for the URL's host.",
    ),
    AppSetting("DATAVERSE_TIMEOUT_SECONDS", "120", "no", "Time limit of one request to Dataverse."),
    AppSetting("DATAVERSE_BATCH_ROWS", "1000", "no", "Most rows of one bulk call, 1 to 1000."),
    AppSetting("PLAN_MEMORY_LIMIT", "1GB", "no", "Memory for the plan of a table; more is spilled to disk."),
    AppSetting("PLAN_THREADS", "2", "no", "Threads for the plan of a table, at least 2."),
    AppSetting("RECONCILE_SCHEDULE", "0 * * * * *", "no", "NCRONTAB of reconciliation; read by the host."),
    AppSetting("SWEEP_SCHEDULE", "30 * * * * *", "no", "NCRONTAB of the sweep for snapshots; read by the host."),
)
"""Everything the app and its triggers read. The README's table and `local.settings.example.json` follow it."""

_DEFAULTS = {setting.name: setting.default for setting in APP_SETTINGS}
_OWN = ("LAKE_", "HYDRATION_", "DATAVERSE_", "PLAN_")
_CONTAINER = re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_MEMORY = re.compile(r"\d+(\.\d+)?\s*([KMGT]i?B)", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_STORAGE_PARTS = (
    re.compile(r"(^|;)\s*(AccountName|(Blob|Table)Endpoint)\s*=", re.IGNORECASE),
    re.compile(r"(^|;)\s*(AccountKey|SharedAccessSignature)\s*=", re.IGNORECASE),
)
_BUS_PARTS = re.compile(r"(^|;)\s*Endpoint\s*=\s*sb://", re.IGNORECASE)

# What "UseDevelopmentStorage=true" stands for: DuckDB does not know the short form. The key is public, the emulator's.
_EMULATOR = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)


class AppSettings:
    """Reads the app settings; every fault is added to the common list."""

    def __init__(self, environ: Mapping[str, str], faults: list[str]) -> None:
        self._environ, self._faults = environ, faults

    def read(self, folder: Path) -> dict[str, Any]:
        """The fields of Settings that come from app settings."""
        self._misspelt()
        fields: dict[str, Any] = {
            "lake_storage": self._storage("LakeStorage", "blobServiceUri"),
            "status_storage": self._storage("StatusStorage", "tableServiceUri"),
            "service_bus": self._bus(),
            **self._containers(),
            **self._sign_in(folder),
            "dataverse_address": self._address("DATAVERSE_ADDRESS"),
            "dataverse_timeout_seconds": self.number("DATAVERSE_TIMEOUT_SECONDS", 0.1, 3600),
            "dataverse_batch_rows": self._whole("DATAVERSE_BATCH_ROWS", 1, 1000),
            "lease_seconds": self.number("HYDRATION_LEASE_SECONDS", 0.2, 86_400),
            "plan_memory_limit": self._matching("PLAN_MEMORY_LIMIT", _MEMORY, 'a size such as "1GB" or "512MB"'),
            "plan_threads": self._whole("PLAN_THREADS", 2, 256),
        }
        if fields["lease_seconds"] <= fields["dataverse_timeout_seconds"]:
            # A request is sent only if the claim outlasts it: no request could ever be sent.
            self.fault("HYDRATION_LEASE_SECONDS", "more than DATAVERSE_TIMEOUT_SECONDS")
        return fields

    def text(self, name: str) -> str | None:
        """The value, or its default; blank counts as missing. Raises nothing."""
        value = (self._environ.get(name) or "").strip() or _DEFAULTS.get(name)
        if value and value.startswith("@Microsoft.KeyVault("):
            self.fault(name, "readable: the platform could not resolve its Key Vault reference")
            return None
        return value

    def fault(self, name: str, expected: str) -> None:
        """Adds the fault of a setting."""
        self._faults.append(f"{name} must be {expected}.")

    def number(self, name: str, low: float, high: float) -> float:
        """A number within bounds that both belong to it."""
        try:
            value = float(self.text(name) or "")
        except ValueError:
            value = float("nan")
        if low <= value <= high:
            return value
        self.fault(name, f"a number from {low:g} to {high:g}")
        return float(_DEFAULTS[name] or low)

    def _whole(self, name: str, low: int, high: int) -> int:
        value = self.number(name, low, high)
        if value != int(value):
            self.fault(name, "a whole number")
        return int(value)

    def _matching(self, name: str, pattern: re.Pattern[str], expected: str) -> str:
        value = self.text(name) or ""
        if not pattern.fullmatch(value):
            self.fault(name, expected)
        return value

    def _address(self, name: str) -> str | None:
        value = self.text(name)
        if value and service_address(value.replace("{host}", "host")) is None:
            self.fault(name, "an https address (http only for this machine)")
        return value.rstrip("/") if value else None

    def _storage(self, name: str, kind: str) -> Connection:
        connection = self._connection(name, kind, "an https address (http only for this machine)", service_address)
        text = connection.connection_string
        if text and "usedevelopmentstorage=true" in text.lower():
            return Connection(connection_string=_EMULATOR)
        if text and not all(part.search(text) for part in _STORAGE_PARTS):
            self.fault(name, "the connection string of a storage account, with AccountName and AccountKey")
        return connection

    def _bus(self) -> Connection:
        connection = self._connection("ServiceBus", "fullyQualifiedNamespace", "a host name", _host)
        text = connection.connection_string
        if text and not _BUS_PARTS.search(text):
            self.fault("ServiceBus", "the connection string of a namespace, which begins with Endpoint=sb://")
        return connection

    def _connection(self, name: str, kind: str, expected: str, check: Callable[[str], str | None]) -> Connection:
        text, address = self.text(name), self.text(f"{name}__{kind}")
        if text and address:
            self._faults.append(f"{name} and {name}__{kind} must not both be set: give one of them.")
        elif not text and not address:
            self._faults.append(f"{name} must be set to a connection string, or {name}__{kind} to {expected}.")
        if address and check(address) is None:
            self.fault(f"{name}__{kind}", expected)
        return Connection(text, check(address) if address else None, self.text(f"{name}__clientId"))

    def _containers(self) -> dict[str, str]:
        expected = "the name of a container: 3 to 63 lower-case letters, digits and single dashes"
        lake = self._matching("LAKE_CONTAINER", _CONTAINER, expected)
        own = self._matching("HYDRATION_CONTAINER", _CONTAINER, expected)
        if lake == own:
            self.fault("HYDRATION_CONTAINER", "another container than LAKE_CONTAINER")
        return {"lake_container": lake, "hydration_container": own}

    def _sign_in(self, folder: Path) -> dict[str, Any]:
        tenant = self.text("DATAVERSE_TENANT_ID")
        if tenant and guid(tenant) is None and not _HOST.fullmatch(tenant):
            self.fault("DATAVERSE_TENANT_ID", "the GUID or the domain of a tenant")
        settings = Users(self._environ.keys(), self.text, self.fault, folder)
        users = settings.all()
        self._faults += settings.strangers()
        authority = web_address(self.text("DATAVERSE_AUTHORITY") or "")
        if authority is None:
            self.fault("DATAVERSE_AUTHORITY", "an https address without a path")
        return {"tenant_id": tenant, "users": users, "authority": authority or ""}

    def _misspelt(self) -> None:
        # The environment is full of names that are none of ours: only one that looks like ours is a fault.
        known = [name for name in _DEFAULTS if name.startswith(_OWN)]
        for name in sorted(self._environ):
            if not name.upper().startswith(_OWN) or name in _DEFAULTS or "__" in name:
                continue
            if hint := suggestion(name, known, 0.85):
                self._faults.append(f"{name} is no setting of this app.{hint}")


def _host(text: str) -> str | None:
    return text.lower() if _HOST.fullmatch(text) else None
