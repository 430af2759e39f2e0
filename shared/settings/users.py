"""The application users of Dataverse among the app settings: the first one, and those that DATAVERSE_USERS names.

A name stands at the end of the settings of its user, as in DATAVERSE_CLIENT_SECRET__second: each secret can be a Key
Vault reference of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from shared.settings.checks import guid, suggestion
from shared.settings.model import ApplicationUser

USERS = "DATAVERSE_USERS"
_PARTS = ("DATAVERSE_CLIENT_ID", "DATAVERSE_CLIENT_SECRET", "DATAVERSE_CLIENT_CERTIFICATE")
_OF_ALL = ("DATAVERSE_TENANT_ID", "DATAVERSE_AUTHORITY", "DATAVERSE_ADDRESS")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,30}")


@dataclass(frozen=True)
class Users:
    """Reads them. `text` gives a setting's value, `fault` takes a setting and what it must be.

    `environ` are the names of all settings that there are.
    """

    environ: Collection[str]
    text: Callable[[str], str | None]
    fault: Callable[[str, str], None]
    folder: Path

    def all(self) -> tuple[ApplicationUser, ...]:
        """The first user, and the named ones in their order."""
        found = tuple(self._user(name) for name in ("", *self._names()))
        if any(user.client_secret or user.client_certificate for user in found) and not self.text(
            "DATAVERSE_TENANT_ID"
        ):
            self.fault("DATAVERSE_TENANT_ID", "set where a client secret or certificate is")
        seen: dict[str, str] = {}
        for user in found:
            client_id = guid(user.client_id or "")
            if client_id is None:
                continue
            if client_id in seen:
                self.fault(setting("DATAVERSE_CLIENT_ID", user.name), "another than that of the other users")
            seen[client_id] = user.name
        return found

    def strangers(self) -> Iterator[str]:
        """A sentence on each setting that looks like one of a user and is none."""
        names = _read(self.text(USERS))
        for one in sorted(self.environ):
            part, separator, name = one.partition("__")
            if not separator or not part.upper().startswith("DATAVERSE_"):
                continue
            if part not in _PARTS:
                yield f"{one} is no setting of this app.{_meant(part, name)}"
            elif names is None or name in names:
                continue  # where DATAVERSE_USERS cannot be read, that is the fault
            elif spelt := _alike(name, names):
                yield f"{one}: {USERS} spells this user {spelt}. Write both alike."
            else:
                yield f"{one} is the setting of a user that {USERS} does not name: add it there."

    def _names(self) -> list[str]:
        names = _read(self.text(USERS))
        if names is None:
            self.fault(USERS, 'different names of letters and digits, with commas between them, such as "second,third"')
        return names or []

    def _user(self, name: str) -> ApplicationUser:
        client_id, secret, certificate = (self.text(setting(part, name)) for part in _PARTS)
        if secret and certificate:
            self.fault(setting("DATAVERSE_CLIENT_SECRET", name), f"absent where {setting(_PARTS[2], name)} is set")
        if client_id and guid(client_id) is None:
            self.fault(setting("DATAVERSE_CLIENT_ID", name), "a GUID")
        if not client_id and name and not _alike(setting(_PARTS[0], name), self.environ):
            self.fault(setting("DATAVERSE_CLIENT_ID", name), f"set for the user that {USERS} names")
        elif not client_id and not name and (secret or certificate):
            self.fault("DATAVERSE_CLIENT_ID", "set where a client secret or certificate is")
        path = self.folder / certificate if certificate else None
        if path and not path.is_file():
            self.fault(setting("DATAVERSE_CLIENT_CERTIFICATE", name), "the path of a PEM file that exists")
        return ApplicationUser(name, guid(client_id or "") or client_id, secret, path)


def setting(part: str, name: str) -> str:
    """The setting of a user; the first user has no name."""
    return f"{part}__{name}" if name else part


def _read(text: str | None) -> list[str] | None:
    """The names in DATAVERSE_USERS; None where it is written otherwise than it must be."""
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    if len({name.lower() for name in names}) < len(names) or not all(_NAME.fullmatch(name) for name in names):
        return None
    return names


def _alike(name: str, others: Collection[str]) -> str | None:
    """The one that differs in capital letters only."""
    return next((other for other in others if other != name and other.casefold() == name.casefold()), None)


def _meant(part: str, name: str) -> str:
    if part.upper() in _OF_ALL:
        return f" {part.upper()} is that of all users."
    own = [setting(one, name) for one in _PARTS]
    return suggestion(setting(part, name), own, 0.85) or f" A user's settings are {', '.join(own[:-1])} and {own[-1]}."
