"""$batch: up to 1,000 requests in one multipart body; a change set is done as a whole or not at all.

Without `Prefer: odata.continue-on-error` the first failure ends the batch and gives the outer status.
"""

from __future__ import annotations

import functools
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from local.dataverse import limits
from local.dataverse.call import Call, error_response
from local.dataverse.errors import DataverseError, bad_payload, bad_query
from local.dataverse.wire import Response

Dispatch = Callable[[Call], Response]
BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)
ADDRESS = re.compile(r"(?:https?://[^/]+)?/(?:[^/]+/)?api/data/v9\.\d+/(.*)", re.DOTALL)
PROTOCOL = re.compile(r" HTTP/\d\.\d\s*$")
REFERENCE = re.compile(r"/?\$(\w+)(.*)", re.DOTALL)
CONTENT_ID = re.compile(rb'(@odata\.(?:bind|id)"\s*:\s*")/?\$(\w+)(")')


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart body: its own headers in lower case, and the rest."""

    headers: dict[str, str]
    content: bytes


class BatchError(Exception):
    """An operation failed and the batch ends: `response` is the failure's."""

    def __init__(self, response: Response) -> None:
        super().__init__("the batch ends")
        self.response = response


def answer(call: Call, dispatch: Dispatch) -> Response:
    """Carry out a batch. Raises DataverseError when it cannot be read."""
    call.kind = "$batch"
    boundary = _boundary(call.headers.get("content-type", ""))
    if boundary is None:
        reason = "The content type of a batch request must be multipart/mixed with a boundary."
        raise bad_query(reason)
    parts = split(call.body, boundary)
    _check_size(parts)
    goes_on = call.preference("odata.continue-on-error") in ("", "true")
    marker = f"batchresponse_{uuid.uuid4()}"
    shown: list[bytes] = []
    status = 200
    for part in parts:
        response, text = _one(call, part, dispatch)
        shown.append(f"--{marker}\r\n".encode() + text)
        if response.status >= 400 and not goes_on:
            status = response.status
            break
    body = b"".join(shown) + f"--{marker}--\r\n".encode()
    return Response(status, body, [("OData-Version", "4.0")], f"multipart/mixed; boundary={marker}")


def _boundary(content_type: str) -> str | None:
    match = BOUNDARY.search(content_type)
    return (match[1] or match[2]) if match and content_type.lower().startswith("multipart/mixed") else None


def split(body: bytes, boundary: str) -> list[Part]:
    """Return the parts of a multipart body. Raises DataverseError.

    Line ends are CRLF. A body with LF alone is read only when it ends with two line ends, as the real service does.
    """
    if b"\r\n" not in body:
        if not body.endswith(b"\n\n"):
            reason = "System.ArgumentException: Stream was not readable."
            raise bad_payload("", reason)
        body = body.replace(b"\n", b"\r\n")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        reason = "Microsoft.OData.ODataException: the multipart body does not end with its boundary."
        raise bad_payload("", reason)
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    return Part(_headers(head), content)


def _headers(head: bytes) -> dict[str, str]:
    return dict(_read_headers(head))


@functools.lru_cache(maxsize=256)
def _read_headers(head: bytes) -> dict[str, str]:
    """Return headers by name in lower case. The parts of a batch have the same ones mostly."""
    found = {}
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            found[name.strip().lower()] = value.strip()
    return found


def _check_size(parts: list[Part]) -> None:
    total = 0
    for part in parts:
        inner = _boundary(part.headers.get("content-type", ""))
        total += len(split(part.content, inner)) if inner else 1
    if total > limits.MAX_BATCH_REQUESTS:
        raise bad_query(f"A batch has at most {limits.MAX_BATCH_REQUESTS} requests; this one has {total}.")
    if total == 0:
        reason = "A batch needs at least one request."
        raise bad_query(reason)


def _one(call: Call, part: Part, dispatch: Dispatch) -> tuple[Response, bytes]:
    inner = _boundary(part.headers.get("content-type", ""))
    if inner is not None:
        return _change_set(call, split(part.content, inner), dispatch)
    response = _operation(call, part, dispatch, {})
    return response, _show(response, None)


def _change_set(call: Call, parts: list[Part], dispatch: Dispatch) -> tuple[Response, bytes]:
    """Do all of a change set or nothing; a failure is shown in place of the whole set."""
    marker = f"changesetresponse_{uuid.uuid4()}"
    shown: list[bytes] = []
    addresses: dict[str, str] = {}
    try:
        with call.organization.transaction():
            for part in parts:
                response = _operation(call, part, dispatch, addresses, inside=True)
                identity = part.headers.get("content-id")
                _end_if_failed(response)
                if identity:
                    addresses[identity] = dict(response.headers).get("OData-EntityId", "")
                shown.append(f"--{marker}\r\n".encode() + _show(response, identity))
    except BatchError as error:
        return error.response, _show(error.response, None)
    head = f"Content-Type: multipart/mixed; boundary={marker}\r\n\r\n"
    return Response(200), head.encode() + b"".join(shown) + f"--{marker}--\r\n".encode()


def _end_if_failed(response: Response) -> None:
    if response.status >= 400:
        raise BatchError(response)


def _operation(
    call: Call, part: Part, dispatch: Dispatch, addresses: dict[str, str], *, inside: bool = False
) -> Response:
    try:
        return dispatch(_read(call, part, addresses, inside=inside))
    except DataverseError as error:
        return error_response(error)


def _read(call: Call, part: Part, addresses: dict[str, str], *, inside: bool) -> Call:
    """Return the request inside a part."""
    head, _, body = part.content.partition(b"\r\n\r\n")
    line, _, rest = head.lstrip(b"\r\n").partition(b"\r\n")
    method, address = _request_line(line.decode("utf-8", "replace"))
    if inside and method == "GET":
        reason = "A change set cannot have a GET request."
        raise bad_query(reason)
    path, _, query = _resolve(call, address, addresses).partition("?")
    if path.strip("/") == "$batch":
        reason = "A batch cannot have a batch inside."
        raise bad_query(reason)
    if addresses and b"$" in body:
        body = CONTENT_ID.sub(lambda match: match[1] + addresses.get(match[2].decode(), "").encode() + match[3], body)
    headers = _headers(rest)
    return Call(call.organization, method, path, query, headers, body, call.base, call.user_id)


def _request_line(line: str) -> tuple[str, str]:
    """Return the method and the address. Microsoft's Python client leaves the spaces of a $filter as they are."""
    method, _, rest = line.partition(" ")
    address = rest.removesuffix(" HTTP/1.1") if rest.endswith(" HTTP/1.1") else PROTOCOL.sub("", rest).strip()
    if not method.isalpha() or not address:
        reason = f"The request line '{line}' of a batch cannot be read."
        raise bad_query(reason)
    return method.upper(), address


def _resolve(call: Call, address: str, addresses: dict[str, str]) -> str:
    """Return the path of an address: absolute, from the root, relative, or `$1` for what a request before it made."""
    if address.startswith(call.base):
        return address[len(call.base) :]
    match = REFERENCE.match(address)
    if match and match[1] in addresses:
        return addresses[match[1]].removeprefix(call.base) + match[2]
    found = ADDRESS.fullmatch(address)
    return found[1] if found else address.lstrip("/")


def _show(response: Response, identity: str | None) -> bytes:
    named = f"Content-ID: {identity}\r\n" if identity else ""
    kind = f"Content-Type: {response.content_type}\r\n" if response.content_type else ""
    headers = "".join([f"{name}: {value}\r\n" for name, value in response.headers])
    status = f"HTTP/1.1 {response.status} {_PHRASES.get(response.status, 'Error')}"
    return f"{_PART}{named}\r\n{status}\r\n{kind}{headers}\r\n".encode() + response.body + b"\r\n"


_PART = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
_PHRASES = {200: "OK", 201: "Created", 204: "No Content", 304: "Not Modified", 400: "Bad Request", 404: "Not Found"}
_PHRASES |= {405: "Method Not Allowed", 412: "Precondition Failed", 501: "Not Implemented"}
