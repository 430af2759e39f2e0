"""Writing many rows of one table: bulk actions, and the way to the rows that spoil them.

UpsertMultiple and UpdateMultiple on standard tables are all-or-nothing: a row's fault rolls back the whole call. The
rows that the error speaks of are then sent one by one inside a `$batch`, the others again in bulk; where the error
names no row, the call is split once and the half that fails goes into a `$batch`.

Every function returns the rows that were refused; all others are acknowledged. When it raises, no row of the call is
acknowledged and each may have been written: the caller must repeat them or remember them as uncertain.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from shared.dataverse import batch, suspects
from shared.dataverse.client import NO_CUSTOM_LOGIC, NO_FLOWS, ROOT, Client, refuses_bypass
from shared.dataverse.errors import AmbiguousError, Fault, Kind, classify_body
from shared.errors import ConfigurationError, HydrationError, TransientError

_BATCH_ROWS = 100
_MOST_HALVINGS = 3
_NAMED_ROUNDS = 3

Before = Callable[[], None]


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


def upsert(
    client: Client, table: TableName, records: Sequence[bytes], *, key: str, before: Before, bypass: bool = False
) -> list[RowFault]:
    """Create or overwrite rows; `key` is the primary key column, present in every record, each value once.

    A record is a JSON object with "@odata.type". `before` is called right before every request.
    """
    return _Write(client, table, "UpsertMultiple", records, key, before, bypass).all()


def update(
    client: Client, table: TableName, records: Sequence[bytes], *, key: str, before: Before, bypass: bool = False
) -> list[RowFault]:
    """Change existing rows; those that do not exist come back as "missing". Otherwise as `upsert`."""
    return _Write(client, table, "UpdateMultiple", records, key, before, bypass).all()


def delete(client: Client, table: TableName, ids: Sequence[str], *, before: Before) -> list[RowFault]:
    """Delete rows by GUID. A row that is gone counts as deleted; one that others refer to comes back "referenced"."""
    parts = [batch.Part("DELETE", f"{table.set_name}({guid})", NO_FLOWS) for guid in ids]
    answers = _Batches(client, table, before).send(parts)
    faults = [
        (index, fault) for index, fault in answers.items() if fault is not None and fault.kind is not Kind.MISSING
    ]
    return [
        RowFault(index, "referenced" if fault.kind is Kind.REFERENCED else "rejected", fault.code, fault.message)
        for index, fault in sorted(faults)
    ]


@dataclass
class _Write:
    client: Client
    table: TableName
    action: str
    records: Sequence[bytes]
    key: str
    before: Before
    bypass: bool
    ids: list[str] = field(init=False)
    doubtful: bool = field(default=False, init=False)  # some request of this call got no answer

    def __post_init__(self) -> None:
        self.ids = [suspects.row_id(record, self.key) for record in self.records]
        if len(set(self.ids)) < len(self.ids):
            raise ValueError(f"{self.table.logical_name}: two records of one call have the same {self.key}")

    def all(self) -> list[RowFault]:
        faults = self._bulk(list(range(len(self.records)))) if self.records else []
        return sorted((replace(fault, uncertain=self.doubtful) for fault in faults), key=lambda fault: fault.index)

    def _bulk(self, rows: list[int], *, halvings: int = 0) -> list[RowFault]:
        """Send rows in bulk, and in ever smaller parts while they are too many at once."""
        fault = self._try(rows, may_halve=len(rows) > 1 and halvings < _MOST_HALVINGS)
        if fault is None:
            return []
        if fault.kind in {Kind.OVERSIZED, Kind.TIMEOUT} and len(rows) > 1:
            halves = _halves(rows)
            return [found for half in halves for found in self._bulk(half, halvings=halvings + 1)]
        return self._isolate(rows, fault)

    def _try(self, rows: list[int], *, may_halve: bool) -> Fault | None:
        """One bulk call, tried again for passing reasons: its fault, or None. Sending fewer rows is left to `_bulk`."""
        path = f"{self.table.set_name}/Microsoft.Dynamics.CRM.{self.action}"
        body = b'{"Targets":[' + b",".join(self.records[row] for row in rows) + b"]}"

        def call() -> Fault | None:
            try:
                response = self.client.request(
                    "POST", path, content=body, headers=NO_FLOWS, before=self.before, bypass=self.bypass
                )
            except AmbiguousError as error:
                self.doubtful = True
                if error.timed_out and may_halve:
                    return Fault(Kind.TIMEOUT, 0, "", str(error), "")
                raise
            if response.is_success:
                return None
            fault = self.client.fault(response)
            if fault.kind is Kind.TIMEOUT and not may_halve:
                raise TransientError(f"{path}: {fault}")
            return fault

        return self.client.patience.persist(call)

    def _isolate(self, rows: list[int], fault: Fault) -> list[RowFault]:
        """The refused rows among rows of which at least one is refused."""
        if fault.kind is Kind.OVERSIZED:  # a single row
            return [RowFault(row, "rejected", fault.code, fault.text) for row in rows]
        faults: list[RowFault] = []
        for _ in range(_NAMED_ROUNDS):
            found, rest = self._named(rows, fault)
            if found is None:
                break
            faults += found
            if not rest:
                return faults
            again = self._try(rest, may_halve=False)
            if again is None:
                return faults
            rows, fault = rest, again
        if faults or len(rows) == 1:
            return faults + self._one_by_one(rows)
        for half in _halves(rows):
            if self._try(half, may_halve=False) is not None:
                faults += self._one_by_one(half)
        return faults

    def _named(self, rows: list[int], fault: Fault) -> tuple[list[RowFault] | None, list[int]]:
        """The verdict on the rows that the fault names, and the other rows; None when it names no row."""
        gone = suspects.missing(fault, (self.ids[row] for row in rows)) if self.action == "UpdateMultiple" else set()
        if gone:
            found = [self._missing(row, fault) for row in rows if self.ids[row] in gone]
            return found, [row for row in rows if self.ids[row] not in gone]
        places = suspects.named(fault, [self.records[row] for row in rows])
        if not places:
            return None, rows
        suspected = [rows[place] for place in places]
        return self._one_by_one(suspected), [row for row in rows if row not in set(suspected)]

    def _one_by_one(self, rows: list[int]) -> list[RowFault]:
        answers = _Batches(self.client, self.table, self.before).send([self._part(row) for row in rows])
        return [self._verdict(rows[place], fault) for place, fault in sorted(answers.items()) if fault is not None]

    def _part(self, row: int) -> batch.Part:
        headers = {"Content-Type": "application/json", **NO_FLOWS}
        if self.action == "UpdateMultiple":
            headers["If-Match"] = "*"  # without it a PATCH creates the row
        if self.bypass and self.client.bypass_in_force:
            headers |= NO_CUSTOM_LOGIC
        path = f"{self.table.set_name}({self.ids[row]})"
        return batch.Part("PATCH", path, headers, suspects.without_key(self.records[row], self.key))

    def _verdict(self, row: int, fault: Fault) -> RowFault:
        named = suspects.guids(fault.message)
        itself = fault.kind is Kind.MISSING and (not named or self.ids[row] in named)
        if itself and self.action == "UpdateMultiple":
            return self._missing(row, fault)
        return RowFault(row, "rejected", fault.code, fault.message or fault.text)

    def _missing(self, row: int, fault: Fault) -> RowFault:
        # The message of a bulk call names all missing rows: this one's is enough here.
        return RowFault(row, "missing", fault.code, f"{self.table.logical_name} {self.ids[row]} does not exist")


@dataclass(frozen=True)
class _Batches:
    """Parts of `$batch` requests with continue-on-error, each part answered on its own."""

    client: Client
    table: TableName
    before: Before

    def send(self, parts: Sequence[batch.Part]) -> dict[int, Fault | None]:
        """The fault of every part, by its place; None where it succeeded."""
        answers: dict[int, Fault | None] = {}
        for start in range(0, len(parts), _BATCH_ROWS):
            places = list(range(start, min(start + _BATCH_ROWS, len(parts))))
            answers |= self._answered(places, parts)
        return answers

    def _answered(self, places: list[int], parts: Sequence[batch.Part]) -> dict[int, Fault | None]:
        answers: dict[int, Fault | None] = {}

        def call() -> Fault | None:
            still_open = [place for place in places if place not in answers]
            sent_at = self.client.limiter.clock()
            found = self._exchange([parts[place] for place in still_open])
            if isinstance(found, Fault):
                return found
            self._take_all(answers, dict(zip(still_open, found, strict=False)), sent_at)
            if len(answers) < len(places):
                raise AmbiguousError(f"{self.table.logical_name}: Dataverse left parts of a batch unanswered.")
            return None

        oversized = self.client.patience.persist(call)
        if oversized is None:
            return answers
        if len(places) == 1:
            return {places[0]: oversized}
        first, second = _halves(places)
        return self._answered(first, parts) | self._answered(second, parts)

    def _take_all(self, answers: dict[int, Fault | None], found: dict[int, batch.Answer], sent_at: float) -> None:
        """Note every definite answer, then raise what speaks against going on."""
        stops: list[HydrationError] = []
        for place, answer in found.items():
            try:
                answers[place] = self._definite(answer, sent_at)
            except HydrationError as error:
                stops.append(error)
        if stops:
            raise next((stop for stop in stops if isinstance(stop, ConfigurationError)), stops[0])

    def _definite(self, answer: batch.Answer, sent_at: float) -> Fault | None:
        if answer.status < 300:
            return None
        fault = classify_body(answer.status, answer.body, answer.headers.get("retry-after"), now=time.time())
        if self.client.bypass_in_force and refuses_bypass(fault):
            self.client.stop_bypassing()
            raise TransientError(f"{self.table.logical_name}: tried again with the environment's custom logic.")
        if fault.kind is Kind.TIMEOUT:
            raise TransientError(f"{self.table.logical_name}: {fault}")
        self.client.raise_for(fault, self.table.set_name, sent_at=sent_at)
        return fault

    def _exchange(self, parts: Sequence[batch.Part]) -> list[batch.Answer] | Fault:
        """The answers to the parts; or the fault of a batch that is too large."""
        if not self.client.bypass_in_force:
            parts = [replace(part, headers=_without(part.headers, NO_CUSTOM_LOGIC)) for part in parts]
        content_type, body = batch.compose(parts, root=ROOT)
        headers = {"Content-Type": content_type, "Prefer": "odata.continue-on-error"}
        response = self.client.request("POST", "$batch", content=body, headers=headers, before=self.before)
        if not response.is_success:
            fault = self.client.fault(response)
            if fault.kind in {Kind.OVERSIZED, Kind.TIMEOUT}:
                return fault
            raise ConfigurationError(f"{self.table.logical_name}: a batch is refused: {fault}")
        try:
            return batch.parse(response.headers.get("Content-Type", ""), response.content)
        except ValueError as error:
            raise AmbiguousError(f"{self.table.logical_name}: the answer to a batch cannot be read: {error}") from error


def _without(headers: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in names}


def _halves(rows: list[int]) -> tuple[list[int], list[int]]:
    middle = len(rows) // 2
    return rows[:middle], rows[middle:]
