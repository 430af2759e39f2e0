"""Guarded access to one table of Azure Tables. The SDK's errors become ours; versions are ETags.

Each guarded write leaves a mark of its own in its rows. The SDK repeats a request whose answer was lost; if it was
carried out the first time, its repetition is refused, because the row is another one by now. So after a conflict, and
where no answer came at all, the row is read: one that bears our mark was written by us, and nobody else has it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceRequestError,
)
from azure.data.tables import TableClient, TableServiceClient, TableTransactionError, UpdateMode

from shared.clock import Clock, ServerTime
from shared.errors import ConflictError, NotFoundError, TransientError
from shared.runs.entities import from_entity, to_entity
from shared.settings import Connection

T = TypeVar("T")

TRANSACTION_LIMIT = 100
_PAGE = 1_000  # rows; a query that asks for more at once is refused
_MARK = "written"  # the property that names the write
_TIMEOUTS = {"connection_timeout": 20.0, "read_timeout": 60.0}  # seconds; a claim must outlast them
_CONFLICTS = frozenset({404, 409, 412})  # of a transaction


@dataclass(frozen=True)
class Write:
    """One guarded write: insert where `etag` is empty, else replace that version."""

    value: Any
    partition: str
    row: str
    etag: str = ""


@dataclass(frozen=True)
class Delete:
    """One guarded delete."""

    partition: str
    row: str
    etag: str


def service(connection: Connection, clock: Clock, **options: Any) -> TableServiceClient:
    """The client of the status storage; every answer's time goes to the clock. `options` are the SDK's."""
    options = {**ServerTime(clock).hooks(), **_TIMEOUTS, **options}
    if connection.connection_string:
        return TableServiceClient.from_connection_string(connection.connection_string, **options)
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415  half a second of cold start

    # Passed only when there is one: None would hide AZURE_CLIENT_ID.
    chosen = {"managed_identity_client_id": connection.identity} if connection.identity else {}
    return TableServiceClient(str(connection.address), credential=DefaultAzureCredential(**chosen), **options)


class Table:
    """One table: typed reads, guarded writes, transactions within a partition."""

    def __init__(self, client: TableClient) -> None:
        self._client = client

    def get(self, cls: type[T], partition: str, row: str) -> T | None:
        """One row, or None."""
        with _translated():
            try:
                entity = self._client.get_entity(partition, row)
            except ResourceNotFoundError:
                return None
            return from_entity(cls, entity, entity.metadata["etag"])

    def query(self, cls: type[T], condition: str, *, limit: int | None = None, **values: Any) -> list[T]:
        """Rows in the order of their keys; `condition` names its values as @name."""
        return self._query(lambda _: cls, condition, limit, values)

    def query_kinds(self, kinds: Mapping[str, type[Any]], condition: str, **values: Any) -> list[Any]:
        """Rows of several kinds in the order of their keys; the first word of a row's key says its kind."""
        return self._query(lambda row: kinds[row.partition(" ")[0]], condition, None, values)

    def _query(
        self, kind: Callable[[str], type[T]], condition: str, limit: int | None, values: dict[str, Any]
    ) -> list[T]:
        found: list[T] = []
        size = None if limit is None else min(limit, _PAGE)
        with _translated():
            pages = self._client.query_entities(condition, parameters=values, results_per_page=size).by_page()
            for page in pages:
                found += [from_entity(kind(one["RowKey"]), one, one.metadata["etag"]) for one in page]
                if limit is not None and len(found) >= limit:
                    return found[:limit]
        return found

    def write(self, write: Write) -> str:
        """Insert or replace one row. Returns the new ETag; raises ConflictError where the row stands otherwise.

        Raises TransientError where it is not known whether it was written.
        """
        with _translated():
            entity = _entity(write, _new_mark())
            try:
                return self._send(entity, write.etag)
            except AzureError as fault:
                if etags := self._written(fault, [entity]):
                    return etags[0]
                raise

    def _send(self, entity: dict[str, Any], etag: str) -> str:
        if not etag:
            return str(self._client.create_entity(entity)["etag"])
        answer = self._client.update_entity(
            entity, mode=UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified
        )
        return str(answer["etag"])

    def transact(self, writes: Sequence[Write | Delete]) -> list[str]:
        """All or none, within one partition, at most 100. Returns the new ETags; raises ConflictError.

        Raises TransientError where it is not known whether they were written.
        """
        mark = _new_mark()
        with _translated():
            operations = [_operation(write, mark) for write in writes]
            try:
                answers = self._client.submit_transaction(operations)
            except AzureError as fault:
                kept = [entity for what, entity, _ in operations if what != "delete"]
                if found := self._written(fault, kept):
                    etags = iter(found)
                    return ["" if what == "delete" else next(etags) for what, _, _ in operations]
                raise
            return [str(answer.get("etag", "")) for answer in answers]

    def _written(self, fault: AzureError, entities: Sequence[Mapping[str, Any]]) -> list[str]:
        """The ETags of rows that were written although the answer says otherwise, or did not come; else none."""
        if not _may_be_written(fault):
            return []
        etags = []
        for entity in entities:
            try:
                found = self._client.get_entity(entity["PartitionKey"], entity["RowKey"])
            except AzureError:
                return []
            if found.get(_MARK) != entity[_MARK]:
                return []  # another worker's; or ours, and changed by another one since
            etags.append(str(found.metadata["etag"]))
        return etags

    def insert_all(self, writes: Iterable[Write]) -> None:
        """Insert or overwrite rows of one partition in as few transactions as possible."""
        batch: list[Write] = []
        for write in writes:
            batch.append(write)
            if len(batch) == TRANSACTION_LIMIT:
                self._overwrite(batch)
                batch = []
        if batch:
            self._overwrite(batch)

    def delete_some(self, condition: str, most: int, **values: Any) -> int:
        """Delete rows whatever stands in them, at most so many; how many. Raises ConflictError where others do too."""
        with _translated():
            pages = self._client.query_entities(
                condition, parameters=values, select=["PartitionKey", "RowKey"], results_per_page=min(most, _PAGE)
            )
            found = [(row["PartitionKey"], row["RowKey"]) for row in islice(pages, most)]
            for _, rows in groupby(found, key=lambda row: row[0]):
                while batch := list(islice(rows, TRANSACTION_LIMIT)):
                    keys = [{"PartitionKey": partition, "RowKey": row} for partition, row in batch]
                    self._client.submit_transaction([("delete", one) for one in keys])
        return len(found)

    def put(self, value: Any, partition: str, row: str) -> None:
        """Write one row whatever stands there."""
        with _translated():
            self._client.upsert_entity(to_entity(value, partition, row), mode=UpdateMode.REPLACE)

    def _overwrite(self, batch: Sequence[Write]) -> None:
        entities = [to_entity(write.value, write.partition, write.row) for write in batch]
        with _translated():
            self._client.submit_transaction([("upsert", entity, {"mode": UpdateMode.REPLACE}) for entity in entities])


def _operation(write: Write | Delete, mark: str) -> tuple[str, Mapping[str, Any], Mapping[str, Any]]:
    if isinstance(write, Delete):
        entity = {"PartitionKey": write.partition, "RowKey": write.row}
        return "delete", entity, {"etag": write.etag, "match_condition": MatchConditions.IfNotModified}
    if not write.etag:
        return "create", _entity(write, mark), {}
    guard = {"mode": UpdateMode.REPLACE, "etag": write.etag, "match_condition": MatchConditions.IfNotModified}
    return "update", _entity(write, mark), guard


def _entity(write: Write, mark: str) -> dict[str, Any]:
    return to_entity(write.value, write.partition, write.row) | {_MARK: mark}


def _new_mark() -> str:
    return uuid.uuid4().hex


def _may_be_written(fault: AzureError) -> bool:
    """Whether a write may have been carried out for all that: it conflicts, perhaps with itself, or has no answer."""
    if isinstance(fault, ServiceRequestError):
        return False  # it never reached the service
    status = fault.status_code if isinstance(fault, HttpResponseError) else None
    return status is None or status in _CONFLICTS or status >= 500


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (ResourceModifiedError, ResourceExistsError) as fault:
        raise ConflictError("A row of the status storage was changed by another worker.") from fault
    except ResourceNotFoundError as fault:
        raise NotFoundError("A row of the status storage is gone.") from fault
    except TableTransactionError as fault:
        if getattr(fault, "status_code", None) in _CONFLICTS:
            raise ConflictError("Rows of the status storage were changed by another worker.") from fault
        raise TransientError(f"The status storage refused a transaction: {fault.message}") from fault
    except AzureError as fault:
        raise TransientError(f"The status storage did not answer as expected: {type(fault).__name__}.") from fault
