"""Child processes of the local stack: started in groups of their own, ended with us whatever ends us.

Each child holds the reading end of a pipe as its standard input. When we are gone, kill -9 included, the pipe closes
and the child ends itself: Python children by the watch below (`python -m local.children MODULE ...`), Azurite by a
small script. (Linux's PR_SET_PDEATHSIG would follow the *thread* that started the child, and would end it too early.)
"""

from __future__ import annotations

import contextlib
import os
import re
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from shared.errors import HydrationError

ROOT = Path(__file__).resolve().parent.parent
READY_WITHIN = 60.0  # seconds; Azurite needs up to 7 on an idle machine
STOP_WITHIN = 15.0
_POLL = 0.02
_TAIL_LINES = 15


class Child:
    """One child process, its output in a log file."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.name, self.log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._offset = log.stat().st_size if log.exists() else 0
        with log.open("ab") as out:
            self._popen = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=dict(environment),
                process_group=0,
            )

    @classmethod
    def of_module(cls, module: str, options: Sequence[str], log: Path, environment: Mapping[str, str]) -> Child:
        """`python -m MODULE OPTIONS`, named after the module's last part."""
        command = [sys.executable, "-m", "local.children", module, *options]
        return cls(module.rpartition(".")[2], command, log, environment)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: ended by that signal."""
        return self._popen.poll()

    def wait_for(self, pattern: str, within: float = READY_WITHIN) -> tuple[str, ...]:
        """The groups of the pattern's first match in what it printed. HydrationError: it ended or took too long."""
        deadline = time.monotonic() + within
        while True:
            ended = self.exit_code is not None
            found = re.search(pattern, self.printed(), re.MULTILINE)
            if found:
                return found.groups()
            if ended:
                self.check()
            if time.monotonic() > deadline:
                self.kill()
                raise HydrationError(f"{self.name} was not ready after {within:.0f} seconds{self._tail()}")
            time.sleep(_POLL)

    def check(self) -> None:
        """HydrationError: it has ended, and what it said last."""
        if self.exit_code is not None:
            raise HydrationError(f"{self.name} ended with exit code {self.exit_code}{self._tail()}")

    def printed(self) -> str:
        """Everything that it printed so far."""
        with self.log.open("rb") as lines:
            lines.seek(self._offset)
            return lines.read().decode(errors="replace")

    def stop(self, within: float = STOP_WITHIN) -> None:
        """Ask it to end, and end it by force after `within` seconds."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(within)
        self.kill()

    def kill(self) -> None:
        """End it and its group at once (kill -9)."""
        self._signal(signal.SIGKILL)
        self._popen.wait()
        if self._popen.stdin and not self._popen.stdin.closed:
            self._popen.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def _tail(self) -> str:
        lines = self.printed().rstrip().splitlines()[-_TAIL_LINES:]
        return f"; the end of {self.log}:\n" + "\n".join(lines) if lines else " and printed nothing"


def base_environment() -> dict[str, str]:
    """Our environment without what would configure the app: a local stack never reaches a real service by accident.

    Compiled modules are kept, whatever our own setting: processes of a stack start often.
    """
    prefixes = ("DATAVERSE_", "HYDRATION_", "PLAN_", "AZURE_", "IDENTITY_", "MSI_", "PYTHONDONTWRITEBYTECODE")
    connections = re.compile(r"(AzureWebJobsStorage|LakeStorage|StatusStorage|ServiceBus)(__\w+)?")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(prefixes) and not connections.fullmatch(name)
    }
    direct = ",".join(filter(None, [kept.get("NO_PROXY", kept.get("no_proxy", "")), "127.0.0.1", "localhost"]))
    return kept | {"NO_PROXY": direct, "no_proxy": direct, "PYTHONUNBUFFERED": "1"}


def _end_with_parent() -> None:
    """Wait for the end of standard input, then end: politely, and after a while by force."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_WITHIN)
    os._exit(1)


def main() -> None:
    """Run a module as `python -m` does, for as long as standard input is open."""
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
