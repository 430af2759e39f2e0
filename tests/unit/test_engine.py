"""The DuckDB that plans: bounded, in UTC, alone, gone afterwards; and as whom it reads the lake."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from shared.delta import engine
from shared.settings import Connection, Settings, load

STORAGE = "DefaultEndpointsProtocol=http;AccountName=one;AccountKey=eA==;BlobEndpoint=http://127.0.0.1:1/one"
BUS = "Endpoint=sb://127.0.0.1;SharedAccessKeyName=x;SharedAccessKey=y"
ROOT = Path(__file__).resolve().parents[2]
LAKE = "https://thelake.blob.core.windows.net"


@pytest.fixture
def settings() -> Settings:
    found = load({"LakeStorage": STORAGE, "StatusStorage": STORAGE, "ServiceBus": BUS}, ROOT)
    return replace(found, plan_memory_limit="512MiB", plan_threads=3)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """A process that has loaded nothing yet."""
    found = set[Path]()
    monkeypatch.setattr(engine, "_checked", found)
    return found


def setting(connection: object, name: str) -> object:
    return connection.execute(f"SELECT current_setting('{name}')").fetchone()[0]  # type: ignore[attr-defined]


def test_a_plan_has_so_much_memory_so_many_threads_and_a_folder_to_spill_to(settings: Settings) -> None:
    with engine.connect(settings) as (connection, folder):
        assert setting(connection, "memory_limit") == "512.0 MiB"
        assert setting(connection, "threads") == 3
        assert (setting(connection, "TimeZone"), setting(connection, "preserve_insertion_order")) == ("UTC", False)
        assert Path(str(setting(connection, "temp_directory"))) == engine.folder_of(connection) == folder
        assert folder.name.startswith("plan-")
        assert connection.execute("SELECT bare(' x ')").fetchall() == [("x",)], "the macros are there"
        (folder / "left behind").touch()
    assert not folder.exists()


@pytest.mark.parametrize(("asked", "given"), [(1, 2), (2, 2), (8, 8)])
def test_a_plan_never_has_one_thread_alone(settings: Settings, asked: int, given: int) -> None:
    with engine.connect(replace(settings, plan_threads=asked)) as (connection, _):
        assert setting(connection, "threads") == given


def test_a_second_plan_waits_for_the_first(settings: Settings) -> None:
    began, ended = threading.Event(), threading.Event()

    def second() -> None:
        with engine.connect(settings):
            began.set()
        ended.set()

    with engine.connect(settings):
        threading.Thread(target=second, daemon=True).start()
        assert not began.wait(0.2), "the memory limit is that of one"
    assert ended.wait(30)


@pytest.mark.parametrize(
    ("connection", "provider", "told"),
    [
        (Connection(STORAGE), "config", "connection_string=redacted"),
        (Connection(None, LAKE), "credential_chain", "account_name=thelake"),
        (Connection(None, LAKE, "the client"), "managed_identity", "account_name=thelake;client_id=the client"),
    ],
)
def test_the_lake_is_read_as_whom_the_settings_say(
    settings: Settings, connection: Connection, provider: str, told: str
) -> None:
    reached = replace(settings, lake_storage=connection)
    with engine.connect(reached) as (opened, _):
        engine.reach_lake(opened, reached)
        ((name, found, secret),) = opened.execute(
            "SELECT name, provider, secret_string FROM duckdb_secrets()"
        ).fetchall()
        assert (name, found) == ("lake", provider)
        assert secret.endswith(f";{told}")
        assert setting(opened, "azure_transport_option_type") == "curl"


def test_a_process_checks_the_signature_of_what_it_loads_once(settings: Settings, unchecked: set[Path]) -> None:
    for unsigned in (False, True, True):
        with engine.connect(settings) as (connection, _):
            assert setting(connection, "allow_unsigned_extensions") is unsigned
            engine.reach_lake(connection, settings)
    (extension,) = unchecked
    assert extension.name == "azure.duckdb_extension"
