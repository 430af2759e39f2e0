"""A small app for the tests of the trigger host: every call writes a line into the file that SEEN names."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
_lock = threading.Lock()


def note(function: str, **values: Any) -> None:
    with _lock, Path(os.environ["SEEN"]).open("a") as lines:
        lines.write(json.dumps({"function": function, "at": time.monotonic(), **values}) + "\n")


@app.service_bus_queue_trigger(arg_name="message", queue_name="%WORK_QUEUE%", connection="ServiceBus")
def work(message: func.ServiceBusMessage, context: func.Context) -> None:
    body = json.loads(message.get_body())
    note("work begins", key=body["key"], delivery=message.delivery_count, properties=message.application_properties)
    time.sleep(body.get("seconds", 0))
    if body.get("fails"):
        raise RuntimeError("asked to fail")
    note("work", key=body["key"], id=context.invocation_id, trace=context.trace_context.trace_parent)


@app.service_bus_queue_trigger(arg_name="message", queue_name="work/$DeadLetterQueue", connection="ServiceBus")
async def dead(message: func.ServiceBusMessage) -> None:
    note("dead", key=json.loads(message.get_body())["key"], reason=message.dead_letter_reason)


@app.timer_trigger(arg_name="timer", schedule="%TICKS%")
def tick(timer: func.TimerRequest) -> None:
    note("tick", past_due=timer.past_due)
    time.sleep(1.2)
    note("tick ends")


@app.blob_trigger(arg_name="blob", path="lake/{name}", connection="LakeStorage", source=func.BlobSource.EVENT_GRID)
def landed(blob: func.InputStream) -> None:
    content = blob.read()
    note("landed", name=blob.name, uri=blob.uri, length=blob.length, content=content.decode())
    if content == b"slow":
        time.sleep(1)
        note("landed slowly", name=blob.name)
    if content == b"fails":
        raise RuntimeError("asked to fail")


@app.route(route="things/{id}", methods=["GET", "POST"])
def thing(req: func.HttpRequest) -> func.HttpResponse:
    if req.params.get("fails"):
        raise RuntimeError("asked to fail")
    body = {
        "id": req.route_params["id"],
        "method": req.method,
        "q": req.params.get("q"),
        "body": req.get_body().decode(),
    }
    return func.HttpResponse(json.dumps(body), status_code=201, mimetype="application/json", headers={"x-own": "1"})


@app.route(route="health", auth_level=func.AuthLevel.ANONYMOUS)
def health(req: func.HttpRequest) -> str:
    return f"fine, {req.method}"
