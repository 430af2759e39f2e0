"""The local stack with a small app in it: what is started is stopped, and what was stored stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.storage.blob import ContainerClient

from local import ports
from local.children import ROOT, Child, base_environment
from local.stack import Stack
from shared.errors import ConfigurationError, HydrationError

APP = Path(__file__).parent.parent / "support" / "apps" / "small"
# The small app's queue is not among the stack's.
SETTINGS = {"WORK_QUEUE": "hydration-tables", "TICKS": "0 0 0 1 1 *"}


def stack(root: Path, **options: Any) -> Stack:
    settings = SETTINGS | {"SEEN": str(root / "seen")}
    return Stack(root, ROOT / "hydration.toml", settings=settings, app=APP, **options)


def pids(found: Stack) -> list[int]:
    host = [found._host.pid] if found._host else []
    return [child.pid for child in found._children] + host


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_stack_starts_stops_and_starts_again_on_what_it_stored(tmp_path: Path) -> None:
    with stack(tmp_path) as first:
        started, addresses = pids(first), dict(first.addresses)
        assert httpx.get(f"{first.host_url}/api/health", trust_env=False).text == "fine, GET"
        with ContainerClient.from_connection_string(first.lake_connection_string, "customerinsights") as lake:
            lake.upload_blob("kept", b"1")
        first.kill_host()
        first.start_host()
        assert httpx.get(f"{first.host_url}/api/health", trust_env=False).is_success
        with pytest.raises(ConfigurationError, match="is running"):
            stack(tmp_path).start()
        other = first.another_host()
        first.check()
        other.kill()
        with pytest.raises(HydrationError, match="host ended with exit code -9"):
            first.check()
    assert not any(is_running(pid) for pid in started)
    with stack(tmp_path, host=False) as second:
        assert second.addresses == {name: found for name, found in addresses.items() if name != "host"}
        with pytest.raises(HydrationError, match="host"):
            _ = second.host_url
        with ContainerClient.from_connection_string(second.lake_connection_string, "customerinsights") as lake:
            assert lake.download_blob("kept").readall() == b"1"


def test_a_child_that_dies_early_says_why_and_leaves_nothing_behind(tmp_path: Path) -> None:
    broken = stack(tmp_path)
    broken._given["TICKS"] = "every other day"
    with pytest.raises(HydrationError, match=r"host ended with exit code 2.*(?s:.*)six fields"):
        broken.start()
    assert pids(broken) == []


def test_children_end_with_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from local.stack import Stack; from local.children import ROOT;"
        "found = Stack(Path(sys.argv[1]), ROOT / 'hydration.toml', host=False); found.start();"
        "print(*(child.pid for child in found._children), flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:  # noqa: S603 - ourselves
        assert parent.stdout
        started = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(started) == 3
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(is_running(pid) for pid in started):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_an_app_setting_of_ours_never_reaches_a_child_by_accident(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATAVERSE_CLIENT_SECRET", "LakeStorage__blobServiceUri", "ServiceBus", "AZURE_CLIENT_ID"):
        monkeypatch.setenv(name, "real")
    monkeypatch.setenv("OTHER", "kept")
    found = base_environment()
    assert "real" not in found.values()
    assert found["OTHER"] == "kept"


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"Node\.js 20 or newer"):
        stack(tmp_path / "root").start()


def test_a_child_that_never_gets_ready_is_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; print('hello', flush=True); time.sleep(60)"]
    child = Child("sleeper", command, tmp_path / "log", base_environment())
    with pytest.raises(HydrationError, match=r"sleeper was not ready after 1 seconds(?s:.*)hello"):
        child.wait_for("^ready", within=1)
    assert child.exit_code == -signal.SIGKILL


def test_ports_stay_and_a_taken_one_is_replaced(tmp_path: Path) -> None:
    first = ports.reserve(tmp_path / "ports.json", ["a", "b"])
    assert ports.reserve(tmp_path / "ports.json", ["a", "b"]) == first
    with ports._bind(first["a"]) as taken:
        taken.listen()
        again = ports.reserve(tmp_path / "ports.json", ["a", "b"])
    assert again["a"] != first["a"]
    assert again["b"] == first["b"]


def test_dataverse_behaves_as_the_profile_says_and_is_given_its_time(tmp_path: Path) -> None:
    with Stack(tmp_path, ROOT / "hydration.toml", host=False, profile="realistic") as found:
        answer = httpx.get(f"{found.dataverse_url}/local/contoso.crm.dynamics.com/limits", trust_env=False).json()
        assert (answer["limits"]["requests"], answer["servers"]) == (6000, 2)
        assert (found.settings["DATAVERSE_TIMEOUT_SECONDS"], found.settings["HYDRATION_LEASE_SECONDS"]) == (
            "120",
            "150",
        )
