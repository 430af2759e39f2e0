"""The trigger host with a small app: the real SDKs, Azurite and broker around it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusSender
from azure.storage.blob import ContainerClient
from azure.storage.queue import QueueClient

from local import azurite, ports
from local.broker.client import connection_string
from local.children import Child, base_environment

APP = Path(__file__).parent.parent / "support" / "apps" / "small"
KEY = "the-key"
EVENTS = "/runtime/webhooks/blobs?functionName=Host.Functions.landed"


class Surroundings:
    """Azurite and broker, and hosts on top of them; `seen` holds what the app's functions noted."""

    def __init__(self, root: Path) -> None:
        self.root, self.hosts = root, list[Child]()
        numbers = ports.reserve(root / "ports.json", (*azurite.SERVICES, "broker"))
        self.storage = azurite.connection_string(numbers)
        self.services = [azurite.start(root / "azurite", root / "azurite.log", numbers)]
        options = ["--port", str(numbers["broker"]), "--lock-seconds", "2", "--queue", "work"]
        self.services.append(Child.of_module("local.broker", options, root / "broker.log", base_environment()))
        self.services[1].wait_for(r"^ready on")
        self.bus = connection_string(numbers["broker"])
        self.client = ServiceBusClient.from_connection_string(self.bus)
        self.sender: ServiceBusSender = self.client.get_queue_sender("work")
        self.container = ContainerClient.from_connection_string(self.storage, "lake")
        self.container.create_container()

    def host(self, *, ticks: str = "0 0 0 1 1 *") -> httpx.Client:
        """One more host; a client on its address."""
        name = f"host{len(self.hosts)}"
        settings = {"AzureWebJobsStorage": self.storage, "LakeStorage": self.storage, "ServiceBus": self.bus}
        settings |= {"WORK_QUEUE": "work", "TICKS": ticks, "SEEN": str(self.root / "seen")}
        options = ["--app", str(APP), "--port", "0", "--key", KEY]
        log = self.root / f"{name}.log"
        child = Child.of_module("local.host", options, log, base_environment() | settings)
        self.hosts.append(child)
        (address,) = child.wait_for(r"^ready on (http://127\.0\.0\.1:\d+)$")
        return httpx.Client(base_url=address, trust_env=False)

    def send(self, **body: Any) -> None:
        self.sender.send_messages(ServiceBusMessage(json.dumps(body), application_properties={"n": 1, "t": "x"}))

    def seen(self, function: str, **wanted: Any) -> list[dict[str, Any]]:
        file = self.root / "seen"
        lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [line for line in lines if line["function"] == function and wanted.items() <= line.items()]

    def close(self) -> None:
        self.sender.close()
        self.client.close()
        self.container.close()
        for child in [*self.hosts, *self.services]:
            child.kill()


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    with closing(Surroundings(tmp_path_factory.mktemp("host"))) as found:
        yield found


@pytest.fixture(scope="module")
def web(around: Surroundings) -> Iterator[httpx.Client]:
    with around.host() as client:
        yield client


def until(condition: Callable[[], Any], within: float = 15) -> Any:
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return found


def created(name: str, **changes: Any) -> dict[str, Any]:
    event = {
        "id": "1",
        "topic": "/subscriptions/x",
        "subject": f"/blobServices/default/containers/lake/blobs/{name}",
        "eventType": "Microsoft.Storage.BlobCreated",
        "eventTime": "2026-11-21T10:00:00Z",
        "data": {"api": "FlushWithClose", "eTag": "0x1", "blobType": "BlockBlob"},
        "dataVersion": "",
    }
    return event | changes


@pytest.mark.usefixtures("web")
def test_a_message_is_passed_with_its_fields_and_completed(around: Surroundings) -> None:
    around.send(key="plain")
    (done,) = until(lambda: around.seen("work", key="plain"))
    assert len(done["id"]) == 36
    assert done["trace"].startswith("00-")
    (begun,) = around.seen("work begins", key="plain")
    assert begun["delivery"] == 1
    assert begun["properties"] == {"n": 1, "t": "x"}
    assert not around.seen("dead", key="plain")


@pytest.mark.usefixtures("web")
def test_a_failing_message_is_tried_ten_times_at_once_and_then_dead(around: Surroundings) -> None:
    around.send(key="bad", fails=True)
    (dead,) = until(lambda: around.seen("dead", key="bad"))
    assert dead["reason"] == "MaxDeliveryCountExceeded"
    assert [each["delivery"] for each in around.seen("work begins", key="bad")] == list(range(1, 11))


@pytest.mark.usefixtures("web")
def test_a_long_call_keeps_its_lock(around: Surroundings) -> None:
    around.send(key="long", seconds=3.5)  # the lock is 2 seconds
    until(lambda: around.seen("work", key="long"))
    time.sleep(0.5)
    assert len(around.seen("work begins", key="long")) == 1


@pytest.mark.usefixtures("web")
def test_calls_run_side_by_side_up_to_the_limit(around: Surroundings) -> None:
    for number in range(6):
        around.send(key=f"side {number}", seconds=1)
    until(lambda: all(around.seen("work", key=f"side {n}") for n in range(6)))
    begun = sorted(around.seen("work begins", key=f"side {n}")[0]["at"] for n in range(6))
    ended = sorted(around.seen("work", key=f"side {n}")[0]["at"] for n in range(6))
    running = [sum(b <= at < e for b, e in zip(begun, ended, strict=True)) for at in begun]
    assert 2 <= max(running) <= 4


def test_a_blob_event_runs_the_function_after_the_handshake(around: Surroundings, web: httpx.Client) -> None:
    greeting = [{"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "42"}}]
    answer = web.post(EVENTS, json=greeting, headers={"aeg-event-type": "SubscriptionValidation"})
    assert (answer.status_code, answer.json()) == (200, {"validationResponse": "42"})
    answer = web.request("OPTIONS", EVENTS, headers={"WebHook-Request-Origin": "eventgrid.example"})
    assert (answer.status_code, answer.headers["WebHook-Allowed-Origin"]) == (200, "eventgrid.example")

    around.container.upload_blob("ci_1/ä b.json", b"hello")
    around.container.upload_blob("cloud.json", b"hello")
    deleted = created("x", eventType="Microsoft.Storage.BlobDeleted")
    answer = web.post(EVENTS, json=[created("ci_1/ä b.json"), deleted, created("gone.json")])
    assert answer.status_code == 202
    cloud = {"specversion": "1.0", "type": "Microsoft.Storage.BlobCreated", "source": "/x", "id": "2", "data": {}}
    answer = web.post(EVENTS, json=cloud | {"subject": created("cloud.json")["subject"]})
    assert answer.status_code == 202
    (landed,) = until(lambda: around.seen("landed", name="lake/ci_1/ä b.json"))
    assert (landed["length"], landed["content"]) == (5, "hello")
    assert landed["uri"].startswith("http://127.0.0.1:")
    until(lambda: around.seen("landed", name="lake/cloud.json"))
    assert not around.seen("landed", name="lake/gone.json")


def test_what_is_no_event_is_refused(web: httpx.Client) -> None:
    assert web.post(EVENTS, content=b"{").status_code == 400
    assert web.post(EVENTS, json=["x"]).status_code == 400
    assert web.post(EVENTS.replace("landed", "other"), json=[]).status_code == 404


def test_a_blob_that_always_fails_ends_in_the_poison_queue(around: Surroundings, web: httpx.Client) -> None:
    around.container.upload_blob("poison.json", b"fails")
    assert web.post(EVENTS, json=[created("poison.json")]).status_code == 202
    with QueueClient.from_connection_string(around.storage, "webjobs-blobtrigger-poison") as poison:
        (message,) = until(lambda: list(poison.peek_messages()))
    assert json.loads(base64.b64decode(message.content))["BlobName"] == "poison.json"
    assert len(around.seen("landed", name="lake/poison.json")) == 3


def test_http_functions_need_the_key_where_their_level_says_so(web: httpx.Client) -> None:
    assert web.get("/api/health").text == "fine, GET"
    for wrong in ({}, {"code": "wrong"}):
        assert web.get("/api/things/7", params=wrong).status_code == 401
    answer = web.post("/api/things/a%20b", params={"code": KEY, "q": "1"}, content="hällo".encode())
    assert answer.status_code == 201
    assert answer.headers["x-own"] == "1"
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json() == {"id": "a b", "method": "POST", "q": "1", "body": "hällo"}
    with_header = web.get("/api/things/7", headers={"x-functions-key": KEY})
    assert with_header.json()["id"] == "7"
    assert web.delete("/api/things/7", params={"code": KEY}).status_code == 404
    assert web.get("/api/things/7", params={"code": KEY, "fails": "1"}).status_code == 500
    assert web.get("/api/nothing").status_code == 404


def test_the_status_names_the_functions(web: httpx.Client) -> None:
    status = web.get("/admin/host/status").json()
    assert status["state"] == "Running"
    assert set(status["functions"]) == {"work", "dead", "tick", "landed", "thing", "health"}


def test_a_timer_fires_on_its_schedule_and_never_overlaps_itself(around: Surroundings) -> None:
    with around.host(ticks="* * * * * *"):
        until(lambda: len(around.seen("tick ends")) >= 2)
    around.hosts[-1].stop()
    assert around.hosts[-1].exit_code == 0
    lines = sorted(around.seen("tick") + around.seen("tick ends"), key=lambda line: line["at"])
    assert [line["function"] for line in lines] == ["tick", "tick ends"] * (len(lines) // 2)
    assert all(line["past_due"] is False for line in around.seen("tick"))


def test_a_polite_stop_lets_the_running_call_finish(around: Surroundings) -> None:
    for host in around.hosts:
        host.kill()
    around.host()
    around.send(key="finishing", seconds=2)
    until(lambda: around.seen("work begins", key="finishing"))
    around.hosts[-1].stop()
    assert around.seen("work", key="finishing")
    around.host()
    time.sleep(2.5)
    assert len(around.seen("work begins", key="finishing")) == 1


def test_kill_9_loses_nothing_and_another_host_takes_over(around: Surroundings) -> None:
    around.container.upload_blob("killed.json", b"slow")
    with around.host() as web:
        assert web.post(EVENTS, json=[created("killed.json")]).status_code == 202
    for number in range(4):
        around.send(key=f"killed {number}", seconds=1)
    until(lambda: around.seen("work begins", key="killed 0") and around.seen("landed", name="lake/killed.json"))
    for host in around.hosts:
        host.kill()
    with around.host() as one, around.host() as other:
        until(lambda: all(around.seen("work", key=f"killed {number}") for number in range(4)))
        assert one.get("/admin/host/status").status_code == other.get("/admin/host/status").status_code == 200
        until(lambda: around.seen("landed slowly", name="lake/killed.json"))
    assert [each["delivery"] for each in around.seen("work begins", key="killed 0")] == [1, 2]
    assert len(around.seen("landed", name="lake/killed.json")) == 2
