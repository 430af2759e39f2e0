"""`python -m local up`: the local stack stays up, for trying things out and for `func start`."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx
from rich.console import Console

from local import landing, snapshots
from local.inputs import LakeFolder, UnusableInputError, configuration_file, lake_folder
from local.stack import INSTANT, Stack

_POLL_SECONDS = 0.5
_STILL_SECONDS = 1.0  # a file that is being copied keeps changing

_Marks = dict[str, tuple[int, int]]


class Watch:
    """Notices what changed in a folder once nothing of it has moved for a second."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._landed: _Marks = {}
        self._seen: _Marks = {}
        self._since = 0.0

    def changed(self, now: float) -> list[str]:
        """The environments that changed since they were last taken, when all is still; each is told once."""
        marks = self._marks()
        if marks != self._seen:
            self._seen, self._since = marks, now
            return []
        if marks == self._landed or now - self._since < _STILL_SECONDS:
            return []
        moved = {path for path in marks.keys() | self._landed.keys() if marks.get(path) != self._landed.get(path)}
        self._landed = marks
        return sorted({path.partition("/")[0].removeprefix("ci_") for path in moved})

    def _marks(self) -> _Marks:
        """Size and time of every file; what vanishes while we look is left out."""
        found: _Marks = {}
        for path in self._folder.glob("ci_*/**/*"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            if path.is_file():
                found[path.relative_to(self._folder).as_posix()] = (status.st_mtime_ns, status.st_size)
        return found


def up(
    local: Path, config: Path, *, lake: Path | None, func: str | None, console: Console, profile: str = INSTANT
) -> int:
    """Start the stack and stay until Ctrl-C. Raises UnusableInputError before anything is started."""
    configuration_file(config)
    if lake and not lake.is_dir():
        raise UnusableInputError(f"{lake}: there is no such folder.")
    if func and not func.startswith(("http://", "https://")):
        raise UnusableInputError(f"--func {func}: give an address such as http://127.0.0.1:7071.")
    with Stack(local / "up", config.resolve(), host=func is None, profile=profile) as stack:
        try:
            _tell(stack, local / "up", func, console)
            _serve(stack, lake, func, console)
        except KeyboardInterrupt:
            console.print("Stopping ...")
    return 0


def _tell(stack: Stack, folder: Path, func: str | None, console: Console) -> None:
    """Print the addresses, the settings for Core Tools and the page."""
    for name, address in stack.addresses.items():
        console.print(f"{name:<12} {address}", soft_wrap=True, highlight=False)
    settings = folder / "local.settings.json"
    settings.write_text(json.dumps({"IsEncrypted": False, "Values": dict(stack.settings)}, indent=2) + "\n")
    console.print(f"Settings for `func start`: copy {settings} to local.settings.json", soft_wrap=True, highlight=False)
    if func:
        console.print(f"Status page: {func.rstrip('/')}/api/status", soft_wrap=True, highlight=False)
    else:
        console.print(f"Status page: {snapshots.page(stack)}", soft_wrap=True, highlight=False)
    console.print("Ctrl-C ends the local stack.")


def _serve(stack: Stack, lake: Path | None, func: str | None, console: Console) -> None:
    """Land what changes, for ever; functions in Core Tools are greeted as soon as they answer."""
    url = landing.endpoint(func) if func else landing.endpoint(stack.host_url, stack.function_key)
    watch = Watch(lake) if lake else None
    greeted = False
    if func:
        console.print(f"Waiting for the functions at {func} ...", soft_wrap=True, highlight=False)
    while True:
        greeted = greeted or _greet(url, console)
        if watch and lake and greeted and (changed := watch.changed(time.monotonic())):
            _land(stack, lake, changed, url, console)
        time.sleep(_POLL_SECONDS)


def _greet(url: httpx.URL, console: Console) -> bool:
    """Try the handshake once; whether the functions took part."""
    try:
        landing.shake_hands(url, patience=0)
    except landing.EndpointError:
        return False
    console.print("The functions take the lake's events.")
    return True


def _land(stack: Stack, lake: Path, changed: list[str], url: httpx.URL, console: Console) -> None:
    """Land the environments that changed; a folder that is not ready to land is told of and left."""
    try:
        manifests = lake_folder(lake).manifests
        folder = LakeFolder(lake, {each: manifests[each] for each in changed if each in manifests})
        blobs = landing.land(folder, stack.lake_connection_string, stack.settings["LAKE_CONTAINER"])
        landing.post_events(url, blobs)
    except (UnusableInputError, landing.EndpointError, OSError) as error:
        console.print(f"Not landed: {error}", style="red", markup=False, highlight=False)
        return
    for environment in folder.environments:
        console.print(f"Landed ci_{environment}: {len(folder.manifests[environment])} manifests.", highlight=False)
