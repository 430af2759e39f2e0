"""Safe locations: of what a manifest says about where a file lies, only the path is used, and only inside its folder.

Customer Insights writes absolute URIs on the blob or dfs host of its account; Common Data Model folders also hold abfss
URIs and relative paths. The account is ignored by design: files are always read from the configured one.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

_WINDOWS = re.compile(r"[A-Za-z]:(?=[\\/]|$)|\\")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_USER = re.compile(r"//[^/@]*@")
_WEB = ("http", "https")
_FILE_SYSTEM = ("abfs", "abfss", "wasb", "wasbs")


class LocationError(ValueError):
    """The location cannot be used; the message says why, without any signature that it may carry."""


class FolderError(LocationError):
    """The location is that of a folder; `path` is the folder's path inside the container."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


def resolve(location: str, *, manifest: str, environment_folder: str, container: str) -> str:
    """The path inside the container that a location means.

    `manifest` is the path of the manifest: relative locations start in its folder, or at `environment_folder`.
    Raises LocationError when there is no such path inside `environment_folder`, FolderError when it ends in a slash.
    """
    location = location.strip()
    if _WINDOWS.match(location) or (not _SCHEME.match(location) and "\\" in location):
        raise LocationError(f"{shown(location)} is a path of Windows")
    if _SCHEME.match(location):
        segments = _absolute(location, container)
    else:
        segments = _relative(location, container, environment_folder, manifest)
    if any(segment in ("..", ".") for segment in segments):
        raise LocationError(f'{shown(location)} leads through "." or ".."')
    path = "/".join(segment for segment in segments if segment)
    if not path.startswith(f"{environment_folder}/"):
        raise LocationError(f"{shown(location)} lies outside of {environment_folder}/")
    if not segments[-1]:
        raise FolderError(f"{shown(location)} is a folder, not a file", path)
    return path


def shown(location: str) -> str:
    """The location as it may be shown: without query (it may hold a signature), user and control characters."""
    text = _UNSAFE.sub("?", re.split(r"[?#]", location, maxsplit=1)[0])
    if not text.lower().startswith(_FILE_SYSTEM):  # theirs is the container
        text = _USER.sub("//", text)
    return f'"{text if len(text) <= 200 else text[:200] + "..."}"'


def _absolute(location: str, container: str) -> list[str]:
    try:
        parts = urlsplit(location)
        host = parts.hostname or ""
    except ValueError:
        raise LocationError(f"{shown(location)} is no readable address") from None
    segments = _decoded(parts.path, location).lstrip("/").split("/")
    if parts.scheme in _FILE_SYSTEM:
        named = parts.username or ""
    elif parts.scheme in _WEB:
        if _is_local(host):
            segments = segments[1:]  # the emulator puts the account before the container
        named, segments = (segments[0] if segments else ""), segments[1:]
    else:
        raise LocationError(f"{shown(location)} begins with {parts.scheme}://, which is not supported")
    if named.casefold() != container.casefold():
        raise LocationError(f"{shown(location)} lies outside of the container {container}")
    return segments or [""]


def _relative(location: str, container: str, environment_folder: str, manifest: str) -> list[str]:
    path = _decoded(location.split("?", maxsplit=1)[0], location)
    from_root = path.lstrip("/").removeprefix(f"{container}/") if path.startswith("/") else path
    if path.startswith("/") or from_root.startswith(f"{environment_folder}/"):
        return from_root.split("/")
    segments = path.split("/")
    while segments and segments[0] == ".":
        segments = segments[1:]
    return [*manifest.split("/")[:-1], *(segments or [""])]


def _decoded(path: str, location: str) -> str:
    try:
        decoded = unquote(path, errors="strict")
    except UnicodeDecodeError:
        raise LocationError(f"{shown(location)} is not text in UTF-8") from None
    if _UNSAFE.search(decoded) or "\\" in decoded:
        raise LocationError(f"{shown(location)} holds a character that no file name has")
    return decoded


def _is_local(host: str) -> bool:
    return host in ("localhost", "azurite") or ":" in host or bool(re.fullmatch(r"[\d.]+", host))
