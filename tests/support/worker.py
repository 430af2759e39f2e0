"""Drives the real Functions worker (azure-functions-runtime, Python 3.13) through the five handlers that it exports.

A worker takes one app for the life of its process, so it runs in a process of its own: `index_and_call` starts this
file, gives it the calls as JSON and reads what became of them. The messages stand in for the protobuf messages that the
Functions host sends; the worker reads nothing else of them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
AVAILABLE = sys.version_info >= (3, 13)
REASON = "the Functions worker needs Python 3.13"


@dataclass(frozen=True)
class Call:
    """One invocation: the function, what triggers it, and the trigger's metadata, in the host's encoding."""

    function: str
    trigger: dict[str, Any]
    metadata: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What became of a call; `status` and `body` for HTTP functions."""

    function: str
    ok: bool
    error: str
    status: int | None
    body: str


@dataclass(frozen=True)
class Indexed:
    """What the worker made of an app: the bindings of each function (or the reason why it refused), and the calls."""

    bindings: dict[str, list[dict[str, Any]]]
    refused: str
    outcomes: list[Outcome]


def timer(function: str) -> Call:
    return Call(function, {"json": json.dumps({"IsPastDue": False, "Schedule": {}, "ScheduleStatus": {}})}, {})


def queue_message(function: str, body: bytes, *, delivery_count: int = 1, **properties: Any) -> Call:
    texts = {"MessageId": "m1", "LockToken": str(uuid.uuid4())}
    numbers = {"DeliveryCount": delivery_count, "SequenceNumber": 1}
    metadata = {name: {"string": text} for name, text in texts.items()}
    metadata |= {name: {"json": json.dumps(number)} for name, number in numbers.items()}
    metadata |= {name: {"json": json.dumps(properties)} for name in ("ApplicationProperties", "UserProperties")}
    return Call(function, {"bytes": _pack(body)}, metadata)


def blob(function: str, path: str, content: bytes) -> Call:
    metadata = {
        "BlobTrigger": {"string": path},
        "Uri": {"string": f"http://127.0.0.1/{path}"},
        "Metadata": {"json": "{}"},
    }
    metadata["Properties"] = {"json": json.dumps({"ContentLength": len(content), "ETag": '"0x1"'})}
    return Call(function, {"bytes": _pack(content)}, metadata)


def http(function: str, method: str, url: str, *, body: bytes = b"", **route: str) -> Call:
    request = {
        "method": method,
        "url": url,
        "headers": {},
        "params": route,
        "query": {},
        "body": {"bytes": _pack(body)},
    }
    return Call(function, {"http": request}, {})


def index_and_call(app: Path, settings: Mapping[str, str], calls: Sequence[Call] = ()) -> Indexed:
    """Let the worker index an app and carry out calls, one after the other, with these settings as environment."""
    asked = json.dumps({"app": str(app), "calls": [vars(call) for call in calls]})
    command = [sys.executable, str(Path(__file__))]
    run = subprocess.run(  # noqa: S603 - our own file
        command, input=asked, capture_output=True, text=True, env=dict(settings), cwd=ROOT, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout.splitlines()[-1])
    return Indexed(answer["bindings"], answer["refused"], [Outcome(**outcome) for outcome in answer["outcomes"]])


def _pack(content: bytes) -> str:
    return base64.b64encode(content).decode()


# -- in the worker's process ---------------------------------------------------------------------------------------


class Message(SimpleNamespace):
    """A protobuf message; of a oneof whichever field is set."""

    def WhichOneof(self, _: str) -> str | None:  # noqa: N802 - protobuf's name
        return next((name for name, value in vars(self).items() if name != "name" and value is not None), None)


def _kind(name: str, **constants: Any) -> type[Message]:
    return type(name, (Message,), constants)


_NAMES = (
    "WorkerInitResponse WorkerMetadata RpcFunctionMetadata RpcRetryOptions RpcException FunctionMetadataResponse"
    " FunctionLoadResponse InvocationResponse TypedData RpcHttp ParameterBinding NullableString NullableBool"
    " NullableDouble NullableTimestamp"
)
PROTOS = SimpleNamespace(
    StatusResult=_kind("StatusResult", Failure=0, Success=1, Cancelled=2),
    BindingInfo=_kind(
        "BindingInfo", **{"in": 0, "out": 1, "inout": 2, "undefined": 0, "string": 1, "binary": 2, "stream": 3}
    ),
    RpcHttpCookie=_kind("RpcHttpCookie", SameSite=SimpleNamespace(Lax=1, Strict=2, ExplicitNone=3, **{"None": 0})),
    **{name: _kind(name) for name in _NAMES.split()},
)


class Refused(Exception):  # noqa: N818 - what the worker does
    """The worker does not take the app."""


class Worker:
    """One worker with one app."""

    def __init__(self) -> None:
        import azure_functions_runtime  # noqa: PLC0415 - Python 3.13 only

        self._runtime = azure_functions_runtime
        self.functions: dict[str, Any] = {}

    async def start(self, app: str) -> None:
        """Index and load the app. Refused: with the worker's own words."""
        sys.path.insert(0, app)
        self._runtime.start_threadpool_executor()
        init = SimpleNamespace(capabilities={}, function_app_directory=app)
        request = self._request(worker_init_request=init)
        _check(await self._runtime.worker_init_request(request))
        answer = await self._runtime.functions_metadata_request(request)
        _check(answer)
        self.functions = {found.name: found for found in answer.function_metadata_results or []}
        for found in self.functions.values():
            load = SimpleNamespace(function_id=found.function_id, metadata=found)
            _check(await self._runtime.function_load_request(self._request(function_load_request=load)))

    def bindings(self) -> dict[str, list[dict[str, Any]]]:
        return {name: [json.loads(each) for each in found.raw_bindings] for name, found in self.functions.items()}

    async def call(self, call: Call) -> Outcome:
        bindings = self.bindings()[call.function]
        argument = next(binding["name"] for binding in bindings if binding["type"].lower().endswith("trigger"))
        invocation = SimpleNamespace(
            invocation_id=str(uuid.uuid4()),
            function_id=self.functions[call.function].function_id,
            trigger_metadata={name: _datum(value) for name, value in call.metadata.items()},
            input_data=[Message(name=argument, data=_datum(call.trigger))],
            trace_context=SimpleNamespace(trace_parent=f"00-{'1' * 32}-{'2' * 16}-01", trace_state="", attributes={}),
            retry_context=SimpleNamespace(retry_count=0, max_retry_count=0, exception=None),
        )
        request = self._request(invocation_request=invocation)
        request.properties["threadpool"] = None
        answer = await self._runtime.invocation_request(request)
        ok = answer.result.status == PROTOS.StatusResult.Success
        error = "" if ok else f"{answer.result.exception.message}\n{answer.result.exception.stack_trace}"
        status, body = _http_answer(getattr(answer, "return_value", None))
        return Outcome(call.function, ok, error, status, body)

    @staticmethod
    def _request(**request: Any) -> SimpleNamespace:
        return SimpleNamespace(request=SimpleNamespace(**request), properties={"host": "127.0.0.1", "protos": PROTOS})


def _check(answer: Any) -> None:
    if getattr(answer.result, "status", 1) != PROTOS.StatusResult.Success:
        raise Refused(answer.result.exception.message)


def _datum(value: dict[str, Any]) -> Message:
    (kind, content), *_ = value.items()
    if kind == "bytes":
        return Message(bytes=base64.b64decode(content))
    if kind == "http":
        return Message(http=SimpleNamespace(**content | {"body": _datum(content["body"])}))
    return Message(**{kind: content})


def _http_answer(value: Any) -> tuple[int | None, str]:
    answer = getattr(value, "http", None)
    if answer is None:  # the host makes a 200 of a plain text
        text = getattr(value, "string", None)
        return (None, "") if text is None else (200, text)
    body = answer.body
    content = getattr(body, "bytes", None) or getattr(body, "string", None) or b""
    return int(answer.status_code), content.decode() if isinstance(content, bytes) else content


async def _serve() -> None:
    asked = json.loads(sys.stdin.read())
    worker, refused, outcomes = Worker(), "", []
    try:
        await worker.start(asked["app"])
        outcomes = [await worker.call(Call(**call)) for call in asked["calls"]]
    except Refused as error:
        refused = str(error)
    answer = {"bindings": worker.bindings(), "refused": refused, "outcomes": [vars(each) for each in outcomes]}
    print(json.dumps(answer))  # noqa: T201 - the answer


if __name__ == "__main__":
    asyncio.run(_serve())
