"""Writing many rows of one table: bulk actions, and the way to the rows that spoil them.

UpsertMultiple and UpdateMultiple on standard tables are all-or-nothing: a row's fault rolls back the whole call. The
rows that the error speaks of are then sent one by one inside a `$batch`, the others again in bulk. Where the error
names no row, or others are at fault too, what was not written goes into a `$batch`; only where refused rows are rare
is the call split first. So finding the rows at fault takes three requests, seldom four, however many they are.

Every function returns the rows that were refused; all others are acknowledged. When it raises, no row of the call is
acknowledged and each may have been written: the caller must repeat them or remember them as uncertain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import httpx

from shared.dataverse import batch, suspects
from shared.dataverse.client import NO_CUSTOM_LOGIC, NO_FLOWS, Client
from shared.dataverse.errors import AmbiguousError, Fault, Kind
from shared.dataverse.singles import FINAL_PARTS, MOST_HALVINGS, Before, Singles
from shared.dataverse.sizing import Sizes, Sizing
from shared.errors import TransientError

_HOPELESS, _LIKELY = 0.2, 0.5  # chances that a call is clean: below the first it is not tried, a half above the second


@dataclass(frozen=True)
class TableName:
    """A table's two names: of its entity set, as in addresses, and its logical name."""

    set_name: str
    logical_name: str


@dataclass(frozen=True)
class RowFault:
    """A row that was refused. `index` is its place in what was sent; `message` is the service's: for rejects only.

    `uncertain`: an earlier attempt of the same call got no answer, so the row may have been written before.
    """

    index: int
    kind: Literal["rejected", "missing", "referenced"]
    code: str
    message: str
    uncertain: bool = False


UPSERT, UPDATE, DELETE = "UpsertMultiple", "UpdateMultiple", "DELETE"
_PATCH, _ODATA = "PATCH", "OData-Version"


@dataclass(frozen=True)
class Writer:
    """Writes rows of one table with one application user.

    `before` is called right before every request; `sizes` remembers what calls of this organization took; `bypass`:
    skip the environment's custom logic where the application user is allowed to. `final`: these rows were tried often,
    and always failed for a passing reason; each is sent by itself, and those that still fail so are refused.
    """

    client: Client
    table: TableName
    sizes: Sizes
    before: Before
    bypass: bool = False
    final: bool = False

    def upsert(self, records: Sequence[bytes], *, key: str) -> list[RowFault]:
        """Create or overwrite rows; `key` is the primary key column, present in every record, each value once.

        A record is a JSON object with "@odata.type".
        """
        return _Write(self, UPSERT, records, key).all()

    def update(self, records: Sequence[bytes], *, key: str) -> list[RowFault]:
        """Change existing rows; those that do not exist come back as "missing". Otherwise as `upsert`."""
        return _Write(self, UPDATE, records, key).all()

    def delete(self, ids: Sequence[str]) -> list[RowFault]:
        """Delete rows by GUID. A row that is gone counts as deleted; one others refer to comes back "referenced"."""
        parts = [batch.Part(DELETE, f"{self.table.set_name}({guid})", NO_FLOWS) for guid in ids]
        singles = self.singles(DELETE)
        return _deleted(ids, singles.send(parts), uncertain=singles.doubtful)

    def singles(self, method: str, teaches: Sizing | None = None) -> Singles:
        """Single requests of one method to the table."""
        sizing = self.sizes.singles(self.table.set_name, method)
        return Singles(self.client, self.table.logical_name, self.before, sizing, method, teaches, self.final)

    def reach(self, records: Sequence[bytes], start: int, action: str) -> int:
        """Behind which record the call of an action ends that begins with `start`."""
        table = self.table.set_name
        sizing = self.sizes.singles(table, DELETE) if action == DELETE else self.sizes.bulk(table, action)
        if action != DELETE and sizing.clean_chance(sizing.rows()) < _HOPELESS:
            sizing = self.sizes.singles(table, _PATCH)
        end = sizing.reach(records, start)
        return min(end, start + FINAL_PARTS) if self.final else end


def _deleted(ids: Sequence[str], answers: dict[int, Fault | None], *, uncertain: bool) -> list[RowFault]:
    faults: list[RowFault] = []
    for index, fault in sorted(answers.items()):
        if fault is not None and not _is_itself_missing(fault, ids[index]):
            kind: Literal["referenced", "rejected"] = "referenced" if fault.kind is Kind.REFERENCED else "rejected"
            faults.append(RowFault(index, kind, fault.code, fault.message, uncertain))
    return faults


@dataclass
class _Write:
    """One call of a bulk action, with all requests that it comes to."""

    writer: Writer
    action: str
    records: Sequence[bytes]
    key: str
    ids: list[str] = field(init=False)
    sizing: Sizing = field(init=False)
    singles: Singles = field(init=False)
    doubtful: bool = field(default=False, init=False)  # some request of this call got no answer
    unnamed: bool = field(default=False, init=False)  # the rows at fault had to be looked for

    def __post_init__(self) -> None:
        self.ids = suspects.row_ids(self.records, self.key)
        if len(set(self.ids)) < len(self.ids):
            raise ValueError(f"{self.writer.table.logical_name}: two records of one call have the same {self.key}")
        self.sizing = self.writer.sizes.bulk(self.writer.table.set_name, self.action)
        self.singles = self.writer.singles(_PATCH, self.sizing)

    def all(self) -> list[RowFault]:
        rows = list(range(len(self.records)))
        if rows and self.writer.final:
            faults = self._one_by_one(rows)
        elif rows and self.sizing.clean_chance(len(rows)) < _HOPELESS:
            self.unnamed, faults = True, self._one_by_one(rows)
        else:
            faults = self._bulk(rows) if rows else []
        self.sizing.refused(len(rows), len(faults) if self.unnamed else 0)
        doubtful = self.doubtful or self.singles.doubtful
        return sorted((replace(fault, uncertain=doubtful) for fault in faults), key=lambda fault: fault.index)

    def _bulk(self, rows: list[int], *, halvings: int = 0) -> list[RowFault]:
        """Send rows in bulk, and in ever smaller parts while they are too many at once."""
        fault = self._try(rows, may_halve=len(rows) > 1 and halvings < MOST_HALVINGS)
        if fault is None:
            return []
        if fault.kind in {Kind.OVERSIZED, Kind.TIMEOUT} and len(rows) > 1:
            halves = _halves(rows)
            return [found for half in halves for found in self._bulk(half, halvings=halvings + 1)]
        return self._isolate(rows, fault)

    def _try(self, rows: list[int], *, may_halve: bool = False) -> Fault | None:
        """One bulk call, tried again for passing reasons: its fault, or None. Sending fewer rows is left to `_bulk`."""
        client = self.writer.client
        path = f"{self.writer.table.set_name}/Microsoft.Dynamics.CRM.{self.action}"
        body = b'{"Targets":[' + b",".join([self.records[row] for row in rows]) + b"]}"

        def call() -> Fault | None:
            try:
                response = self._request(path, body, len(rows))
            except AmbiguousError as error:
                self.doubtful = True
                if error.timed_out:
                    self.sizing.too_large(len(rows))
                if error.timed_out and may_halve:
                    return Fault(Kind.TIMEOUT, 0, "", str(error), "")
                raise
            if response.is_success and not (response.status_code == 204 or _ODATA in response.headers):
                self.doubtful = True
                raise AmbiguousError(f"{path}: the answer is not Dataverse's. Is there a proxy or firewall between?")
            fault = None if response.is_success else client.fault(response)
            self._learn(fault, len(rows), len(body), response.elapsed.total_seconds())
            if fault and fault.kind is Kind.TIMEOUT and not may_halve:
                raise TransientError(f"{path}: {fault}")
            return fault

        return client.patience.persist(call)

    def _learn(self, fault: Fault | None, rows: int, size: int, seconds: float) -> None:
        if fault is None:
            self.sizing.answered(rows, seconds)
        elif fault.kind is Kind.OVERSIZED and rows > 1:
            self.sizing.refused_size(size)
        elif fault.kind is Kind.TIMEOUT:
            self.doubtful = True
            self.sizing.too_large(rows)
        else:
            self.sizing.took_at_least(rows, seconds)

    def _request(self, path: str, body: bytes, rows: int) -> httpx.Response:
        writer = self.writer
        with self.sizing.learning():
            return writer.client.request(
                "POST", path, content=body, headers=NO_FLOWS, before=writer.before, bypass=writer.bypass, rows=rows
            )

    def _isolate(self, rows: list[int], fault: Fault) -> list[RowFault]:
        """The refused rows among rows of which at least one is refused."""
        if fault.kind is Kind.OVERSIZED:  # a single row
            return [RowFault(row, "rejected", fault.code, fault.text) for row in rows]
        gone = suspects.missing(fault, (self.ids[row] for row in rows)) if self.action == UPDATE else set()
        faults = [self._missing(row, fault) for row in rows if self.ids[row] in gone]
        rows = [row for row in rows if self.ids[row] not in gone]
        if gone:
            if not rows or self._try(rows) is None:
                return faults
            return faults + self._one_by_one(rows)
        suspected = {rows[place] for place in suspects.named(fault, [self.records[row] for row in rows])}
        if suspected:
            others = [row for row in rows if row not in suspected]
            written = others if others and self._try(others) is None else []
        else:
            self.unnamed = True
            written = self._better_half(rows)
        return self._one_by_one([row for row in rows if row not in set(written)])

    def _better_half(self, rows: list[int]) -> list[int]:
        """The half of the rows that can be written in bulk, when it has been; none where that is not to be expected."""
        if len(rows) > 1 and self.sizing.clean_chance(len(rows) // 2) >= _LIKELY:
            for half in _halves(rows):
                if self._try(half) is None:
                    return half
        return []

    def _one_by_one(self, rows: list[int]) -> list[RowFault]:
        answers = self.singles.send([self._part(row) for row in rows])
        return [self._verdict(rows[place], fault) for place, fault in sorted(answers.items()) if fault is not None]

    def _part(self, row: int) -> batch.Part:
        headers = {"Content-Type": "application/json", **NO_FLOWS}
        if self.action == UPDATE:
            headers["If-Match"] = "*"  # without it a PATCH creates the row
        if self.writer.bypass and self.writer.client.bypass_in_force:
            headers |= NO_CUSTOM_LOGIC
        path = f"{self.writer.table.set_name}({self.ids[row]})"
        return batch.Part(_PATCH, path, headers, suspects.without_key(self.records[row], self.key))

    def _verdict(self, row: int, fault: Fault) -> RowFault:
        if self.action == UPDATE and _is_itself_missing(fault, self.ids[row]):
            return self._missing(row, fault)
        return RowFault(row, "rejected", fault.code, fault.message or fault.text)

    def _missing(self, row: int, fault: Fault) -> RowFault:
        # The message of a bulk call names all missing rows: this one's is enough here.
        name = self.writer.table.logical_name
        return RowFault(row, "missing", fault.code, f"{name} {self.ids[row]} does not exist")


def _is_itself_missing(fault: Fault, row_id: str) -> bool:
    """Whether it is this row that does not exist, and not one that it, or a plug-in, refers to."""
    named = suspects.guids(fault.message)
    return fault.kind is Kind.MISSING and (not named or row_id.lower() in named)


def _halves(rows: list[int]) -> tuple[list[int], list[int]]:
    middle = len(rows) // 2
    return rows[:middle], rows[middle:]
