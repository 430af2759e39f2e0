"""What Event Grid would tell, told to a real socket; and what the watched folder gives away."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from local import landing, sample
from local.up import Watch


class Webhook(ThreadingHTTPServer):
    """Answers as the functions' endpoint does, or as it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.received: list[tuple[str, str, list[dict[str, Any]]]] = []
        self.statuses: list[int] = []
        self.proves = True


class Receiver(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        events = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.received.append((self.path, self.headers["aeg-event-type"], events))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        code = events[0]["data"].get("validationCode") if self.server.proves else None
        body = json.dumps({"validationResponse": code}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def address(webhook: Webhook, key: str | None = None) -> Any:
    return landing.endpoint(f"http://127.0.0.1:{webhook.server_port}/", key)


BLOB = landing.Blob(
    "customerinsights", "ci_E/a b/model.json", "http://x/customerinsights/ci_E/a%20b/model.json", "0x1", 7
)


def test_posts_an_event_a_manifest_to_the_blob_extension(webhook: Webhook) -> None:
    landing.post_events(address(webhook, "k=/"), [BLOB, BLOB])
    (path, kind, [event]), second = webhook.received
    assert path == "/runtime/webhooks/blobs?functionName=Host.Functions.unification_output_landed&code=k%3D%2F"
    assert kind == "Notification"
    assert event["eventType"] == "Microsoft.Storage.BlobCreated"
    assert event["subject"] == "/blobServices/default/containers/customerinsights/blobs/ci_E/a b/model.json"
    assert event["data"]["api"] == "FlushWithClose"
    assert event["data"]["url"] == BLOB.url
    assert event["data"]["contentLength"] == 7
    assert second[2][0]["id"] != event["id"]


def test_posts_again_while_the_host_is_starting(webhook: Webhook) -> None:
    webhook.statuses = [503, 404]
    landing.post_events(address(webhook), [BLOB])
    assert len(webhook.received) == 3


def test_gives_up_when_the_key_is_refused(webhook: Webhook) -> None:
    webhook.statuses = [401]
    with pytest.raises(landing.EndpointError, match="401"):
        landing.post_events(address(webhook, "wrong"), [BLOB])


def test_shakes_hands(webhook: Webhook) -> None:
    landing.shake_hands(address(webhook))
    [(_, kind, [event])] = webhook.received
    assert kind == "SubscriptionValidation"
    assert event["eventType"] == "Microsoft.EventGrid.SubscriptionValidationEvent"
    webhook.proves = False
    with pytest.raises(landing.EndpointError, match="validation code"):
        landing.shake_hands(address(webhook))


def test_says_that_nobody_answers(webhook: Webhook) -> None:
    url = address(webhook).copy_with(port=9)
    with pytest.raises(landing.EndpointError, match="cannot be reached"):
        landing.shake_hands(url, patience=0)


def test_watches_until_all_is_still(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    assert watch.changed(0.0) == []
    sample.write(tmp_path / "lake", 1, people=10)
    watch = Watch(tmp_path / "lake")
    assert watch.changed(1.0) == []
    assert watch.changed(1.5) == []
    assert watch.changed(2.1) == [sample.ENVIRONMENT]
    assert watch.changed(9.0) == []
    touched = next((tmp_path / "lake").rglob("model.json"))
    os.utime(touched, (1, 1))
    assert watch.changed(10.0) == []
    touched.unlink()
    assert watch.changed(11.5) == []
    assert watch.changed(12.6) == [sample.ENVIRONMENT]
