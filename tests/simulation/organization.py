"""A Dataverse organization in memory: profiles, alternate keys and contacts, and what it refuses.

It honours UpsertMultiple, UpdateMultiple, $batch with PATCH and DELETE, and reading pages of contacts. A profile that
a contact points to is not deleted; the lookup of an alternate key is emptied.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from shared.dataverse.metadata import Lookup, Table

PROFILE, KEY, CONTACT = "msdynci_customerprofile", "msdynci_alternatekey", "contact"
_IDS = {PROFILE: "msdynci_customerprofileid", KEY: "msdynci_alternatekeyid", CONTACT: "contactid"}
LINK, CUSTOMER = "msdynci_lookupfield_customerprofile", "msdynci_lookupfield_customer"
_OF_TABLE = {KEY: CUSTOMER, CONTACT: LINK}
SETS = {f"{name}s": name for name in _IDS}
_BOUNDARY = re.compile(r'boundary="([^"]+)"')
_REQUEST = re.compile(r"(PATCH|DELETE) /api/data/v9.2/(\w+)\(([0-9a-f-]+)\) HTTP/1.1")
_BOUND = re.compile(r"\(([0-9a-f-]+)\)")


class RefusedError(Exception):
    """One row, or a whole call, is refused."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    @property
    def body(self) -> bytes:
        return json.dumps({"error": {"code": self.code, "message": self.message}}).encode()


@dataclass
class Row:
    """A row: its cells, the row that its lookup names, and the record that wrote it last."""

    cells: dict[str, Any] = field(default_factory=dict)
    points_to: str | None = None
    record: bytes = b""


@dataclass
class Organization:
    """Tables by name, rows by GUID. `wrote` is told of every row that is written or deleted."""

    id: str
    rows: dict[str, dict[str, Row]] = field(default_factory=lambda: {PROFILE: {}, KEY: {}, CONTACT: {}})
    tables: set[str] = field(default_factory=lambda: {CONTACT})
    lookups: set[str] = field(default_factory=set)
    rejects: set[str] = field(default_factory=set)  # rows that a plug-in refuses
    named: bool = False  # whether its message names the row
    wrote: Callable[[str, str], None] = lambda *_: None

    # -- definitions ---------------------------------------------------------------------------------------

    def table(self, name: str) -> Table | None:
        if name not in self.tables:
            return None
        lookup = _OF_TABLE.get(name, "")
        on_delete = "Restrict" if name == CONTACT else "RemoveLink"
        lookups = (Lookup(lookup, PROFILE, lookup, on_delete, "r", "1"),) if name in self.lookups else ()
        return Table(name, name, f"{name}s", _IDS[name], "name", False, "Standard", {}, lookups)  # noqa: FBT003

    # -- requests ------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, headers: Mapping[str, str], content: bytes | None) -> httpx.Response:
        try:
            if path.endswith("/$batch"):
                return self._batch(headers["Content-Type"], content or b"")
            what = path.rpartition("/")[2]
            if what == "WhoAmI":
                return _json({"OrganizationId": self.id, "UserId": "u" * 8})
            if method == "GET":
                return self._page()
            table = SETS[path.split("/")[-2]]
            self._bulk(table, what.rpartition(".")[2], content or b"")
            return httpx.Response(204, headers={"OData-Version": "4.0"})
        except RefusedError as refused:
            return httpx.Response(refused.status, content=refused.body)

    def _page(self) -> httpx.Response:
        rows = [{"contactid": row, f"_{LINK}_value": found.points_to} for row, found in self.rows[CONTACT].items()]
        return _json({"value": rows})

    def _bulk(self, table: str, action: str, content: bytes) -> None:
        records = _records(content)
        ids = [str(one[_IDS[table]]) for one, _ in records]
        if action == "UpdateMultiple" and (gone := [one for one in ids if one not in self.rows[table]]):
            raise RefusedError(404, "0x80040217", f"Contact With Ids = {', '.join(gone)} Do Not Exist")
        for row, (one, _) in zip(ids, records, strict=True):
            self._check(row, one)
        for row, (one, raw) in zip(ids, records, strict=True):
            self._write(table, row, one, raw)

    def _check(self, row: str, content: Mapping[str, Any]) -> None:
        if row in self.rejects:
            raise RefusedError(400, "0x80040265", f"A plug-in refuses {row if self.named else 'a row'}.")
        profile = _target(content)
        if profile is not None and profile not in self.rows[PROFILE]:
            raise RefusedError(404, "0x80040217", f"{PROFILE} With Id = {profile} Does Not Exist")

    def _write(self, table: str, row: str, content: Mapping[str, Any], raw: bytes) -> None:
        found = self.rows[table].setdefault(row, Row({_IDS[table]: row}))
        for name, value in content.items():
            if name.endswith("@odata.bind"):
                found.points_to = _target(content)
            elif not name.startswith("@"):
                found.cells[name] = value
        found.record = raw
        self.wrote(table, row)

    def _delete(self, table: str, row: str) -> None:
        if row not in self.rows[table]:
            raise RefusedError(404, "0x80040217", f"{table} With Id = {row} Does Not Exist")
        if row in self.rejects:
            raise RefusedError(400, "0x80040265", "A plug-in refuses a row.")
        if table == PROFILE and any(one.points_to == row for one in self.rows[CONTACT].values()):
            raise RefusedError(400, "0x80040227", "The row is referenced by others.")
        del self.rows[table][row]
        if table == PROFILE:
            for child in self.rows[KEY].values():
                child.points_to = None if child.points_to == row else child.points_to
        self.wrote(table, row)

    # -- $batch --------------------------------------------------------------------------------------------

    def _batch(self, content_type: str, content: bytes) -> httpx.Response:
        found = _BOUNDARY.search(content_type)
        assert found is not None
        pieces = content.split(b"--" + found[1].encode())[1:-1]
        parts = b"".join(b"--answer\r\n" + self._part(piece) for piece in pieces) + b"--answer--\r\n"
        return httpx.Response(200, headers={"Content-Type": "multipart/mixed; boundary=answer"}, content=parts)

    def _part(self, piece: bytes) -> bytes:
        try:
            self._single(piece)
            status, body = 204, b""
        except RefusedError as refused:
            status, body = refused.status, refused.body
        head = f"Content-Type: application/http\r\n\r\nHTTP/1.1 {status} X\r\n\r\n"
        return head.encode() + body + b"\r\n"

    def _single(self, piece: bytes) -> None:
        head, _, body = piece.partition(b"HTTP/1.1\r\n")
        request = _REQUEST.search(head.decode() + "HTTP/1.1")
        assert request is not None, piece
        table, row = SETS[request[2]], request[3]
        if request[1] == "DELETE":
            self._delete(table, row)
            return
        headers, _, record = body.partition(b"\r\n\r\n")
        if b"If-Match" in headers and row not in self.rows[table]:
            raise RefusedError(404, "0x80040217", f"{table} With Id = {row} Does Not Exist")
        record = record.strip(b"\r\n")
        content = json.loads(record)
        self._check(row, content)
        kind = f'{{"@odata.type":"Microsoft.Dynamics.CRM.{table}",'.encode()
        whole = kind + f'"{_IDS[table]}":"{row}",'.encode() + record.removeprefix(kind)
        self._write(table, row, content, whole)


def _records(content: bytes) -> list[tuple[dict[str, Any], bytes]]:
    """The records of a bulk call, each with its own bytes."""
    text, decoder, place = content.decode(), json.JSONDecoder(), len('{"Targets":[')
    found = []
    while text[place] != "]":
        record, end = decoder.raw_decode(text, place)
        found.append((record, text[place:end].encode()))
        place = end + (text[end] == ",")
    return found


def _target(content: Mapping[str, Any]) -> str | None:
    bound = next((value for name, value in content.items() if name.endswith("@odata.bind")), None)
    found = _BOUND.search(bound) if bound else None
    return found[1] if found else None


def _json(content: object) -> httpx.Response:
    return httpx.Response(200, json=content)
