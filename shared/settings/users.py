"""The application users of Dataverse among the app settings: the first one, and those that DATAVERSE_USERS names.

A name stands at the end of the settings of its user, as in DATAVERSE_CLIENT_SECRET__second: each secret can be a Key
Vault reference of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from shared.settings.checks import guid
from shared.settings.model import ApplicationUser

USERS = "DATAVERSE_USERS"
_PARTS = ("DATAVERSE_CLIENT_ID", "DATAVERSE_CLIENT_SECRET", "DATAVERSE_CLIENT_CERTIFICATE")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,30}")


@dataclass(frozen=True)
class Users:
    """Reads them. `text` gives a setting's value, `fault` takes a setting and what it must be."""

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

    def _names(self) -> Iterator[str]:
        names = [name.strip() for name in (self.text(USERS) or "").split(",") if name.strip()]
        if len({name.lower() for name in names}) < len(names) or not all(_NAME.fullmatch(name) for name in names):
            self.fault(USERS, 'different names of letters and digits, with commas between them, such as "second,third"')
            return
        yield from names

    def _user(self, name: str) -> ApplicationUser:
        client_id, secret, certificate = (self.text(setting(part, name)) for part in _PARTS)
        if secret and certificate:
            self.fault(setting("DATAVERSE_CLIENT_SECRET", name), f"absent where {setting(_PARTS[2], name)} is set")
        if client_id and guid(client_id) is None:
            self.fault(setting("DATAVERSE_CLIENT_ID", name), "a GUID")
        if not client_id and name:
            self.fault(setting("DATAVERSE_CLIENT_ID", name), f"set for the user that {USERS} names")
        elif not client_id and (secret or certificate):
            self.fault("DATAVERSE_CLIENT_ID", "set where a client secret or certificate is")
        path = self.folder / certificate if certificate else None
        if path and not path.is_file():
            self.fault(setting("DATAVERSE_CLIENT_CERTIFICATE", name), "the path of a PEM file that exists")
        return ApplicationUser(name, client_id, secret, path)


def setting(part: str, name: str) -> str:
    """The setting of a user; the first user has no name."""
    return f"{part}__{name}" if name else part


def strangers(environ: Iterable[str], users: tuple[ApplicationUser, ...]) -> list[str]:
    """Settings of users that DATAVERSE_USERS does not name."""
    known = {setting(part, user.name) for part in _PARTS for user in users}
    return sorted(name for name in environ if name not in known and name.rpartition("__")[0] in _PARTS)
