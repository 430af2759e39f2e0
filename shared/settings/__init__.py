"""Settings: read once, frozen, all faults reported at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from shared.errors import ConfigurationError
from shared.settings import configuration
from shared.settings.app import APP_SETTINGS, AppSetting, AppSettings
from shared.settings.model import (
    OUTPUT_TABLES,
    ApplicationUser,
    Connection,
    DataSource,
    Environment,
    Hydration,
    Input,
    Removal,
    Settings,
    SourceTable,
    TableOptions,
)

__all__ = [
    "APP_SETTINGS",
    "OUTPUT_TABLES",
    "AppSetting",
    "ApplicationUser",
    "Connection",
    "DataSource",
    "Environment",
    "Hydration",
    "Input",
    "Removal",
    "Settings",
    "SourceTable",
    "TableOptions",
    "load",
]


def load(environ: Mapping[str, str], folder: Path) -> Settings:
    """The settings of the environment variables and of the configuration file in the app's folder.

    Raises ConfigurationError with one sentence for every fault of both; no sentence repeats a value.
    """
    faults: list[str] = []
    app = AppSettings(environ, faults)
    fields = app.read(folder)
    hydration = configuration.read(folder / (app.text("HYDRATION_CONFIG") or ""), faults)
    if app.text("HYDRATION_SETTLE_SECONDS"):
        hydration = replace(hydration, settle_seconds=app.number("HYDRATION_SETTLE_SECONDS", 0, 86_400))
    if app.text("HYDRATION_WHOLE_WITHIN_SECONDS"):
        seconds = app.number("HYDRATION_WHOLE_WITHIN_SECONDS", 0, 30 * 86_400)
        hydration = replace(hydration, whole_within_seconds=seconds)
    if faults:
        raise ConfigurationError(faults)
    return Settings(hydration=hydration, **fields)
