"""The host's HTTP side: the app's routes, the status of the host, and the endpoint for Event Grid."""

from __future__ import annotations

import hmac
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import azure.functions as func

from local.host.app import HTTP, Function, resolve
from local.host.blobs import BlobListener
from local.host.invocation import Invoker

log = logging.getLogger(__name__)
KEY_HEADER = "x-functions-key"
_SEGMENT = re.compile(r"\{(\*?)(\w+)(?::[^}]*)?(\?)?\}")


@dataclass(frozen=True)
class Answer:
    """What goes back to the client."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Request:
    """What came from the client; `headers` in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """Decoded, without the query."""
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the query."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


class Route:
    """Where one HTTP function answers."""

    def __init__(self, function: Function, prefix: str) -> None:
        self.function = function
        template = resolve(function.trigger.route or function.name)
        self._pattern = _pattern(f"{prefix}/{template}")
        self._methods = {str(getattr(method, "value", method)).upper() for method in function.trigger.methods or ()}
        level = function.trigger.auth_level
        self.is_open = str(getattr(level, "value", level)).lower() == "anonymous"

    def match(self, request: Request) -> dict[str, str] | None:
        """The parameters in the path; None: not for this route."""
        found = self._pattern.fullmatch(request.path)
        if found is None or (self._methods and request.method not in self._methods):
            return None
        return {name: value for name, value in found.groupdict().items() if value is not None}


def _pattern(template: str) -> re.Pattern[str]:
    """A route template (`runs/{id:guid}`, `{name?}`, `{*rest}`) as a pattern over paths."""
    pattern = ""
    for segment in filter(None, template.split("/")):
        found = _SEGMENT.fullmatch(segment)
        if found is None:
            pattern += "/" + re.escape(segment)
        elif found[1]:
            pattern += f"(?:/(?P<{found[2]}>.*))?"
        else:
            optional = f"(?:/(?P<{found[2]}>[^/]+))?"
            pattern += optional if found[3] else f"/(?P<{found[2]}>[^/]+)"
    return re.compile(pattern + "/?", re.IGNORECASE)


class Web:
    """Answers requests; knows nothing of sockets."""

    def __init__(
        self, functions: list[Function], invoker: Invoker, blobs: BlobListener | None, *, prefix: str, key: str
    ) -> None:
        self._names = [function.name for function in functions]
        self._routes = [Route(function, prefix) for function in functions if function.kind == HTTP]
        self._invoker, self._blobs, self._key = invoker, blobs, key

    def answer(self, request: Request) -> Answer:
        """The host's own endpoints, else the app's first route that fits, else 404."""
        if request.path == "/admin/host/status":
            return _json({"state": "Running", "functions": self._names})
        if request.path == "/runtime/webhooks/blobs":
            return self._events(request)
        for route in self._routes:
            parameters = route.match(request)
            if parameters is not None:
                return self._call(route, parameters, request)
        return Answer(404)

    def _call(self, route: Route, parameters: dict[str, str], request: Request) -> Answer:
        given = request.headers.get(KEY_HEADER) or request.query.get("code", "")
        if not route.is_open and not hmac.compare_digest(given.encode(), self._key.encode()):
            return Answer(401)
        value = func.HttpRequest(
            request.method,
            f"http://{request.headers.get('host', '')}{request.target}",
            headers=request.headers,
            params=request.query,
            route_params=parameters,
            body=request.body,
        )
        try:
            result = self._invoker.call(route.function, value)
        except Exception:  # noqa: BLE001 - whatever the function raises; it is logged
            return Answer(500)
        if isinstance(result, str):
            result = func.HttpResponse(result)
        headers = tuple((name, value) for name, value in result.headers.items() if name.lower() != "content-type")
        given_type = result.headers.get("Content-Type") or f"{result.mimetype}; charset={result.charset}"
        return Answer(result.status_code, result.get_body(), (*headers, ("Content-Type", given_type)))

    def _events(self, request: Request) -> Answer:
        """Event Grid's calls: the two validation handshakes, then events, one or a list."""
        function = request.query.get("functionName", "").removeprefix("Host.Functions.")
        if self._blobs is None or not self._blobs.serves(function):
            return Answer(404, f"no blob function {function!r}".encode())
        if request.method == "OPTIONS":  # CloudEvents
            origin = request.headers.get("webhook-request-origin", "*")
            return Answer(200, b"", (("WebHook-Allowed-Origin", origin), ("WebHook-Allowed-Rate", "*")))
        try:
            body = json.loads(request.body)
            events = body if isinstance(body, list) else [body]
            if request.headers.get("aeg-event-type") == "SubscriptionValidation":
                return _json({"validationResponse": events[0]["data"]["validationCode"]})
            for event in events:
                self._blobs.accept(function, event)
        except (ValueError, LookupError, TypeError, AttributeError):
            return Answer(400, b"not an event of Event Grid")
        return Answer(202)


def _json(value: Mapping[str, Any]) -> Answer:
    return Answer(200, json.dumps(value).encode(), (("Content-Type", "application/json"),))


class Listener(ThreadingHTTPServer):
    """The socket on loopback; a thread for each connection."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, web: Web, port: int) -> None:
        self.web = web
        super().__init__(("127.0.0.1", port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60  # an idle connection
    server: Listener

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.web.answer(Request(self.command, self.path, headers, self.rfile.read(length)))
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = _answer  # noqa: N815 - named by http.server

    def log_message(self, format: str, *values: Any) -> None:  # noqa: A002 - named by http.server
        log.debug(format, *values)
