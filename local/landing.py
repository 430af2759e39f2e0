"""Lands output in the local lake as Customer Insights does, and tells the functions as Event Grid does.

Sources: the Event Grid schema of Microsoft.Storage.BlobCreated, the webhook handshake (SubscriptionValidation) and the
endpoint of blob triggers with source EventGrid, `/runtime/webhooks/blobs?functionName=Host.Functions.<name>`.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import ContainerClient

from local.inputs import LakeFolder

FUNCTION = "unification_output_landed"
TOPIC = "/subscriptions/local/resourceGroups/local/providers/Microsoft.Storage/storageAccounts/devstoreaccount1"
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Blob:
    """A blob as an event tells of it."""

    container: str
    path: str
    url: str
    etag: str
    length: int


class EndpointError(Exception):
    """The functions' endpoint does not take part as Event Grid expects; the message says how."""


def land(folder: LakeFolder, connection: str, container: str) -> list[Blob]:
    """Make the lake's environments hold what `folder` holds, manifests last; the manifests that arrived."""
    with ContainerClient.from_connection_string(connection, container, use_env_settings=False) as lake:
        with contextlib.suppress(ResourceExistsError):
            lake.create_container()
        files = folder.files()
        kept = {path for path, _ in files}
        for environment in folder.environments:
            for gone in lake.list_blob_names(name_starts_with=f"ci_{environment}/"):
                if gone not in kept:
                    lake.delete_blob(gone)
        manifests = {path for paths in folder.manifests.values() for path in paths}
        landed = []
        for path, file in sorted(files, key=lambda each: (each[0] in manifests, each[0])):
            with lake.get_blob_client(path) as client, file.open("rb") as content:
                answer = client.upload_blob(content, overwrite=True, max_concurrency=2)
                if path in manifests:
                    landed.append(
                        Blob(container, path, client.url, str(answer["etag"]).strip('"'), file.stat().st_size)
                    )
        return landed


def blob_created(blob: Blob) -> dict[str, Any]:
    """The event of one blob that was written and closed through the data lake's endpoint."""
    return {
        "topic": TOPIC,
        "subject": f"/blobServices/default/containers/{blob.container}/blobs/{blob.path}",
        "eventType": "Microsoft.Storage.BlobCreated",
        "id": str(uuid.uuid4()),
        "eventTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "data": {
            "api": "FlushWithClose",
            "requestId": str(uuid.uuid4()),
            "eTag": blob.etag,
            "contentType": "application/octet-stream",
            "contentLength": blob.length,
            "contentOffset": 0,
            "blobType": "BlockBlob",
            "url": blob.url,
            "sequencer": f"{time.time_ns():032x}",
        },
        "dataVersion": "2",
        "metadataVersion": "1",
    }


def endpoint(host: str, key: str | None = None) -> httpx.URL:
    """Where the functions at `host` take the events of the lake; `key` is the system key blobs_extension."""
    parameters = {"functionName": f"Host.Functions.{FUNCTION}"} | ({"code": key} if key else {})
    return httpx.URL(host.rstrip("/") + "/runtime/webhooks/blobs", params=parameters)


def shake_hands(url: httpx.URL, patience: float = PATIENCE_SECONDS) -> None:
    """Ask the endpoint to prove that it wants events. Raises EndpointError when it does not answer with the code."""
    code = str(uuid.uuid4()).upper()
    event = {
        "id": str(uuid.uuid4()),
        "topic": TOPIC,
        "subject": "",
        "data": {"validationCode": code},
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "metadataVersion": "1",
        "dataVersion": "2",
    }
    answer = _post(url, [event], "SubscriptionValidation", patience)
    try:
        proof = answer.json().get("validationResponse")
    except (ValueError, AttributeError):
        proof = None
    if proof != code:
        raise EndpointError(f"{url.copy_with(query=None)} did not return the validation code of the handshake.")


def post_events(url: httpx.URL, blobs: Sequence[Blob]) -> None:
    """Tell the functions of every blob, one event a request. Raises EndpointError when one is not taken."""
    for blob in blobs:
        _post(url, [blob_created(blob)], "Notification")


def _post(
    url: httpx.URL, events: list[dict[str, Any]], kind: str, patience: float = PATIENCE_SECONDS
) -> httpx.Response:
    """Post as Event Grid does, and again while the host is starting (it answers 404, 5xx or not at all)."""
    deadline = time.monotonic() + patience
    shown = url.copy_with(query=None)
    while True:
        try:
            answer = httpx.post(url, json=events, headers={"aeg-event-type": kind}, timeout=30.0, trust_env=False)
        except httpx.TransportError as error:
            trouble = f"{shown} cannot be reached: {error}."
        else:
            if answer.is_success:
                return answer
            trouble = f"{shown} answers {answer.status_code} to an event."
            if answer.status_code in {400, 401, 403}:
                raise EndpointError(trouble)
        if time.monotonic() > deadline:
            raise EndpointError(trouble)
        time.sleep(0.5)
