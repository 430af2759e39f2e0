"""Azure Tables in memory: as much of the SDK's clients as the app uses, with ETags, transactions, pages, filters.

What the app must not leave out is asked for: whole rows instead of merged ones, and the version that they replace.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import TableTransactionError, UpdateMode

if TYPE_CHECKING:
    from tests.simulation.parts import SimulatedClock
    from tests.simulation.world import World

_TERM = re.compile(r"(\w+) (eq|ne|ge|gt|le|lt) (?:@(\w+)|'([^']*)')")
_COMPARE: Mapping[str, Callable[[str, str], bool]] = {
    "eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "ge": lambda a, b: a >= b,
    "gt": lambda a, b: a > b, "le": lambda a, b: a <= b, "lt": lambda a, b: a < b,
}  # fmt: skip


_PAGE, _MOST_OPERATIONS = 1_000, 100
_WHOLE = {"mode": UpdateMode.REPLACE}
_GUARDED = _WHOLE | {"match_condition": MatchConditions.IfNotModified}
_GUARDS: Mapping[str, Sequence[Mapping[str, object]]] = {
    "create": ({},),
    "upsert": (_WHOLE,),
    "update": (_GUARDED,),
    "delete": ({}, {"match_condition": MatchConditions.IfNotModified}),
}
"""What may be said beside a row, and its version, in a transaction."""


class Row(dict[str, Any]):
    """An entity as the SDK hands it out."""

    def __init__(self, content: Mapping[str, Any], etag: str) -> None:
        super().__init__(content)
        self.metadata = {"etag": etag}
        self.decoded: dict[type, Any] = {}


class _RefusedError(TableTransactionError):
    def __init__(self, status: int) -> None:
        Exception.__init__(self, f"refused with {status}")
        self.message, self.status_code = f"refused with {status}", status


@cache
def _terms(condition: str) -> tuple[tuple[str | Any, ...], ...]:
    parts = condition.split(" and ")
    found = tuple(match.groups() for part in parts if (match := _TERM.fullmatch(part)))
    assert len(found) == len(parts), condition
    return found


class Storage:
    """All tables of an account: name -> partition -> row."""

    def __init__(self, written: Callable[[str, Row | None, Row], None]) -> None:
        self.tables: dict[str, dict[str, dict[str, Row]]] = {}
        self._written = written
        self._versions = 0

    def partitions(self, table: str) -> dict[str, dict[str, Row]]:
        return self.tables.setdefault(table, {})

    def rows(self, table: str) -> Iterator[Row]:
        for partition in self.partitions(table).values():
            yield from partition.values()

    def put(self, table: str, entity: Mapping[str, Any]) -> dict[str, Any]:
        self._versions += 1
        etag = f"v{self._versions}"
        partition = self.partitions(table).setdefault(entity["PartitionKey"], {})
        before, row = partition.get(entity["RowKey"]), Row(entity, etag)
        self._written(table, before, row)
        partition[entity["RowKey"]] = row
        return {"etag": etag}

    def get(self, table: str, partition: str, row: str) -> Row | None:
        return self.partitions(table).get(partition, {}).get(row)

    def remove(self, table: str, partition: str, row: str) -> None:
        del self.partitions(table)[partition][row]

    def query(self, table: str, condition: str, values: Mapping[str, str]) -> list[Row]:
        assert all(isinstance(value, str) for value in values.values()), values
        terms = [(name, op, values[key] if key else literal) for name, op, key, literal in _terms(condition)]
        wanted = next((value for name, op, value in terms if (name, op) == ("PartitionKey", "eq")), None)
        found = self.partitions(table)
        chosen = [wanted] if wanted is not None else sorted(found)
        rest = [(name, _COMPARE[op], value) for name, op, value in terms if (name, op) != ("PartitionKey", "eq")]
        return [
            row
            for partition in chosen
            for _, row in sorted(found.get(partition, {}).items())
            if all(compare(str(row.get(name, "")), value) for name, compare, value in rest)
        ]


class Service:
    """TableServiceClient, as one worker has it: what is answered sets the worker's clock."""

    def __init__(self, world: World, clock: SimulatedClock) -> None:
        self._world, self._clock = world, clock

    def get_table_client(self, name: str) -> Client:
        return Client(self._world, self._clock, name)

    def create_table(self, name: str) -> None:
        self._world.storage.partitions(name)


class _Pages:
    def __init__(self, rows: list[Row], of: int) -> None:
        self._rows, self._of = rows, of

    def by_page(self) -> Iterator[list[Row]]:
        for start in range(0, max(1, len(self._rows)), self._of):
            yield self._rows[start : start + self._of]

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)


class Client:
    """TableClient of one table."""

    def __init__(self, world: World, clock: SimulatedClock, table: str) -> None:
        self._world, self._clock, self._table = world, clock, table
        self._storage = world.storage

    def _call(self, perform: Callable[[], Any], *, writes: bool = False) -> Any:
        try:
            return self._world.call("table", perform, writes=writes)
        finally:
            self._clock.learn(self._world.now.replace(microsecond=0))

    def get_entity(self, partition: str, row: str) -> Row:
        def perform() -> Row:
            found = self._storage.get(self._table, partition, row)
            if found is None:
                raise ResourceNotFoundError("no such row")
            return found

        found: Row = self._call(perform)
        return found

    def query_entities(
        self, condition: str, *, parameters: Mapping[str, str] | None = None,
        results_per_page: int | None = None, select: Sequence[str] | None = None,
    ) -> _Pages:  # fmt: skip
        assert results_per_page is None or 1 <= results_per_page <= _PAGE
        rows = self._call(lambda: self._storage.query(self._table, condition, parameters or {}))
        if select is not None:
            rows = [Row({name: row[name] for name in select}, row.metadata["etag"]) for row in rows]
        return _Pages(rows, results_per_page or _PAGE)

    def create_entity(self, entity: Mapping[str, Any]) -> dict[str, Any]:
        def perform() -> dict[str, Any]:
            if self._storage.get(self._table, entity["PartitionKey"], entity["RowKey"]) is not None:
                raise ResourceExistsError("there is such a row")
            return self._storage.put(self._table, entity)

        made: dict[str, Any] = self._call(perform, writes=True)
        return made

    def update_entity(self, entity: Mapping[str, Any], *, etag: str, **guard: object) -> dict[str, Any]:
        assert guard == _GUARDED

        def perform() -> dict[str, Any]:
            found = self._storage.get(self._table, entity["PartitionKey"], entity["RowKey"])
            if found is None:
                raise ResourceNotFoundError("no such row")
            if found.metadata["etag"] != etag:
                raise ResourceModifiedError("another version")
            return self._storage.put(self._table, entity)

        changed: dict[str, Any] = self._call(perform, writes=True)
        return changed

    def upsert_entity(self, entity: Mapping[str, Any], *, mode: UpdateMode) -> dict[str, Any]:
        assert mode is UpdateMode.REPLACE
        put: dict[str, Any] = self._call(lambda: self._storage.put(self._table, entity), writes=True)
        return put

    def submit_transaction(self, operations: Sequence[tuple[Any, ...]]) -> list[dict[str, Any]]:
        assert 1 <= len(operations) <= _MOST_OPERATIONS
        assert len({entity["PartitionKey"] for _, entity, *_ in operations}) == 1
        assert len({entity["RowKey"] for _, entity, *_ in operations}) == len(operations)

        def perform() -> list[dict[str, Any]]:
            for what, entity, *rest in operations:
                self._check(what, entity, rest[0] if rest else {})
            return [self._carry_out(what, entity) for what, entity, *_ in operations]

        answers: list[dict[str, Any]] = self._call(perform, writes=True)
        return answers

    def _check(self, what: str, entity: Mapping[str, Any], guard: Mapping[str, Any]) -> None:
        assert {name: guard[name] for name in guard if name != "etag"} in _GUARDS[what], (what, guard)
        assert ("etag" in guard) is ("match_condition" in guard), "a version without a condition guards nothing"
        found = self._storage.get(self._table, entity["PartitionKey"], entity["RowKey"])
        if what == "create" and found is not None:
            raise _RefusedError(409)
        if what in {"update", "delete"} and found is None:
            raise _RefusedError(404)
        if found is not None and guard.get("etag", found.metadata["etag"]) != found.metadata["etag"]:
            raise _RefusedError(412)

    def _carry_out(self, what: str, entity: Mapping[str, Any]) -> dict[str, Any]:
        if what == "delete":
            self._storage.remove(self._table, entity["PartitionKey"], entity["RowKey"])
            return {}
        return self._storage.put(self._table, entity)
