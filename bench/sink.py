"""The discarding sink: reads requests and answers as Dataverse would, as fast as it can.

It keeps nothing and checks nothing, so that it is the sender that is measured.
`python bench/sink.py [--tls CERTIFICATE KEY]` prints `ready on ADDRESS` and serves. It answers

POST .../Microsoft.Dynamics.CRM.{Update,Upsert}Multiple    204
POST .../Microsoft.Dynamics.CRM.CreateMultiple             200 with Ids: as many as the body has "@odata.type"
POST $batch                                                200, 204 for each part
PATCH, DELETE                                              204
GET WhoAmI, EntityDefinitions, picklist attributes         what clients ask for before their first write
"""

from __future__ import annotations

import argparse
import re
import socket
import ssl
import threading
from pathlib import Path

_BUFFER = 1 << 20
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_BATCH = re.compile(rb"\r\ncontent-type: *multipart/mixed", re.IGNORECASE)
_LOGICAL_NAME = re.compile(rb"LogicalName(?:%20|\+| )eq(?:%20|\+| )(?:%27|')(\w+)")
_NO_CONTENT = b"HTTP/1.1 204 No Content\r\nOData-Version: 4.0\r\n\r\n"
_ID = "11111111-2222-4333-8444-555555555555"
_PART = (
    b"--answer\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    b"HTTP/1.1 204 No Content\r\n\r\n\r\n"
)


def serve(connection: socket.socket) -> None:
    """Answer the requests of one connection until it ends."""
    buffer = bytearray(_BUFFER)
    view = memoryview(buffer)
    filled = 0
    while True:
        end = buffer.find(b"\r\n\r\n", 0, filled)
        if end < 0:
            received = connection.recv_into(view[filled:])
            if not received:
                return
            filled += received
            continue
        head = bytes(view[: end + 4])
        length = int(found.group(1)) if (found := _LENGTH.search(head)) else 0
        if _wants_body(head):
            connection.sendall(_with_body(head, _read(connection, bytes(view[end + 4 : filled]), length)))
        else:
            _discard(connection, view, length - (filled - end - 4))
            connection.sendall(_NO_CONTENT if head[:3] != b"GET" else _metadata(head))
        filled = 0  # no client here sends a request before the answer to the last one


def _read(connection: socket.socket, begun: bytes, length: int) -> bytearray:
    body, filled = bytearray(length), len(begun)
    body[:filled] = begun
    while filled < length:
        received = connection.recv_into(memoryview(body)[filled:])
        if not received:
            raise ConnectionError
        filled += received
    return body


def _discard(connection: socket.socket, view: memoryview, left: int) -> None:
    while left > 0:
        received = connection.recv_into(view, min(left, len(view)))
        if not received:
            raise ConnectionError
        left -= received


def _wants_body(head: bytes) -> bool:
    line = head[: head.find(b"\r\n")]
    return b"$batch " in line or b".CreateMultiple " in line


def _with_body(head: bytes, body: bytearray) -> bytes:
    if _BATCH.search(head):
        parts = body.count(b"\r\n\r\nPATCH ") + body.count(b"\r\n\r\nDELETE ") + body.count(b"\r\n\r\nPOST ")
        return _ok(_PART * parts + b"--answer--\r\n", b"multipart/mixed; boundary=answer")
    ids = ",".join([f'"{_ID}"'] * body.count(b'"@odata.type"'))
    return _ok(f'{{"Ids":[{ids}]}}'.encode())


def _metadata(head: bytes) -> bytes:
    line = head[: head.find(b"\r\n")]
    if b"WhoAmI" in line:
        return _ok(f'{{"BusinessUnitId":"{_ID}","UserId":"{_ID}","OrganizationId":"{_ID}"}}'.encode())
    if found := _LOGICAL_NAME.search(line):
        name = found.group(1).decode()
        described = f'{{"LogicalName":"{name}","EntitySetName":"{name}s","PrimaryIdAttribute":"{name}id"}}'
        return _ok(f'{{"value":[{described}]}}'.encode())
    return _ok(b'{"value":[]}')  # a table without picklists


def _ok(body: bytes, kind: bytes = b"application/json; odata.metadata=minimal") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\nx-ms-dop-hint: 8\r\n\r\n"
    return head % (kind, len(body)) + body


def _connected(connection: socket.socket, tls: ssl.SSLContext | None) -> None:
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with tls.wrap_socket(connection, server_side=True) if tls else connection as opened:
            serve(opened)
    except (ConnectionError, ssl.SSLError):
        pass  # the client is gone


def accept(listening: socket.socket, tls: ssl.SSLContext | None) -> None:
    """Serve connections, each in a thread of its own."""
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=_connected, args=(connection, tls), daemon=True).start()


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tls", nargs=2, type=Path, metavar=("CERTIFICATE", "KEY"))
    options = parser.parse_args()
    tls = None
    if options.tls:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*options.tls)
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(f"ready on {'https' if tls else 'http'}://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    accept(listening, tls)


if __name__ == "__main__":
    main()
