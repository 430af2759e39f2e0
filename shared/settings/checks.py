"""Checks of single values, and the sentences that name what is wrong. Values themselves are never repeated."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TypeGuard
from urllib.parse import urlsplit
from uuid import UUID

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smh])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def web_address(text: str) -> str | None:
    """`https://host[:port]` in lower case and without a slash at the end; None for anything else."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        return None
    host = (parts.hostname or "").lower()
    if parts.scheme.lower() != "https" or not _HOST.fullmatch(host) or "@" in parts.netloc:
        return None
    if parts.path.strip("/") or parts.query or parts.fragment:
        return None
    return f"https://{host}" if port in (None, 443) else f"https://{host}:{port}"


def service_address(text: str) -> str | None:
    """An https address, or an http one of this machine, without a slash at the end; None for anything else."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    local = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not parts.hostname or "@" in parts.netloc or not (local or parts.scheme == "https"):
        return None
    return None if parts.query or parts.fragment else text.rstrip("/")


def guid(text: str) -> str | None:
    """The GUID in lower case with dashes and without braces; None when it is none."""
    try:
        return str(UUID(text.strip().strip("{}")))
    except ValueError:
        return None


def seconds(value: object) -> float | None:
    """A length of time: a number of seconds, or text such as "30s", "90m" or "2h"; None for anything else."""
    if isinstance(value, str):
        found = _DURATION.fullmatch(value.strip())
        return float(found[1]) * _UNIT_SECONDS[found[2]] if found else None
    return float(value) if is_number(value) and value >= 0 else None


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is a finite number (to Python, true and false are numbers too)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def suggestion(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """` Did you mean ...?` when a known name is close, else nothing."""
    by_fold = {one.casefold(): one for one in known}
    close = get_close_matches(name.casefold(), by_fold, n=1, cutoff=cutoff)
    return f" Did you mean {by_fold[close[0]]}?" if close else ""


class Section:
    """One table of the configuration file, read key by key; every fault is added to the common list."""

    def __init__(self, values: object, path: Sequence[str], known: Sequence[str], faults: list[str], file: str) -> None:
        self._path, self._faults, self._file = tuple(path), faults, file
        self._values: Mapping[str, object] = values if isinstance(values, dict) else {}
        self._is_table = isinstance(values, dict)
        if not self._is_table:
            faults.append(f"{file}: {self.key()} must be a table, written as [{self.key()}].")
        for name in self._values:
            if name not in known:
                expected = f" It is none of {', '.join(known)}."
                faults.append(f"{file}: {self.key(name)} is unknown.{suggestion(name, known) or expected}")

    def key(self, *names: str) -> str:
        """The full name of a key, as it is written in TOML."""
        full = (*self._path, *names)
        return ".".join(name if _BARE_KEY.fullmatch(name) else f'"{name}"' for name in full)

    def fault(self, name: str, expected: str) -> None:
        """Adds the fault of a key, present or missing; of what is no table, one fault is enough."""
        if not self._is_table:
            return
        how = "must be" if name in self._values else "is missing: it must be"
        self._faults.append(f"{self._file}: {self.key(name)} {how} {expected}.")

    def say(self, name: str, sentence: str) -> None:
        """Adds a fault in words of its own, after the key."""
        self._faults.append(f"{self._file}: {self.key(name)} {sentence}")

    def value(self, name: str, default: object = None) -> object:
        """The value as it stands in the file."""
        return self._values.get(name, default)

    def text(self, name: str) -> str | None:
        """A text that is not blank; None when the key is missing."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, str) and value.strip():
            return value.strip()
        self.fault(name, "text that is not empty, in quotes")
        return None

    def choice(self, name: str, options: Sequence[str], default: str) -> str:
        """One of the options."""
        value = self._values.get(name, default)
        if isinstance(value, str) and value in options:
            return value
        self.fault(name, " or ".join(f'"{option}"' for option in options))
        return default

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false."""
        value = self._values.get(name, default)
        if isinstance(value, bool):
            return value
        self.fault(name, "true or false")
        return default

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """A number within bounds that both belong to it."""
        value = self._values.get(name, default)
        if is_number(value) and low <= value <= high:
            return value
        self.fault(name, f"a number from {low:g} to {high:g}")
        return default

    def duration(self, name: str, default: float) -> float:
        """A length of time in seconds."""
        value = seconds(self._values.get(name, default))
        if value is None:
            self.fault(name, 'a number of seconds, or a time such as "30s", "90m" or "2h"')
        return default if value is None else value

    def texts(self, name: str) -> tuple[str, ...] | None:
        """A list of texts; None when the key is missing."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, list) and all(isinstance(one, str) and one.strip() for one in value):
            return tuple(one.strip() for one in value)
        self.fault(name, 'a list of column names, such as ["SemanticData"]')
        return None

    def tables(self, name: str) -> Mapping[str, object]:
        """The tables below a key, by name; empty when the key is missing."""
        value = self._values.get(name, {})
        if isinstance(value, dict):
            return value
        self._faults.append(f"{self._file}: {self.key(name)} must hold tables, written as [{self.key(name)}.<name>].")
        return {}

    def section(self, values: object, path: Sequence[str], known: Sequence[str]) -> Section:
        """A table below this one."""
        return Section(values, (*self._path, *path), known, self._faults, self._file)
