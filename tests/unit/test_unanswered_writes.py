"""A write whose answer is lost, or says that the row is another one: it is known as ours where it was carried out."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.data.tables import TableTransactionError

from shared.clock import Clock
from shared.errors import ConflictError, HydrationError, TransientError
from shared.runs import tables
from shared.runs.rows import Lock
from shared.runs.tables import Delete, Table, Write
from shared.settings import Connection
from tests.support.memory import Memory


def refused(status: int) -> HttpResponseError:
    return HttpResponseError("refused", response=cast("Any", SimpleNamespace(status_code=status, reason="refused")))


class _TransactionRefusedError(TableTransactionError):
    def __init__(self, status: int) -> None:
        Exception.__init__(self, "refused")
        self.message, self.status_code = "refused", status


class Deaf:
    """A table's client. To a write it says `fault`, whether it was carried out or not."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.fault: Exception | None = None
        self.unreadable: Exception | None = None
        self.carries_out = True
        self.meanwhile: Callable[[], object] = lambda: None
        self.looks = 0

    def get_entity(self, partition: str, row: str) -> Any:
        self.looks += 1
        if self.unreadable:
            raise self.unreadable
        return self._client.get_entity(partition, row)

    def __getattr__(self, name: str) -> Any:
        def write(*given: Any, **named: Any) -> Any:
            answer = getattr(self._client, name)(*given, **named) if self.carries_out else None
            self.meanwhile()
            if self.fault:
                raise self.fault
            return answer

        return write


class Both:
    """The table as a worker has it who hears nothing, and as all others have it."""

    def __init__(self, memory: Memory) -> None:
        client = memory.store._runs._client
        self.deaf = Deaf(client)
        self.mine, self.others = Table(cast("Any", self.deaf)), Table(client)

    def stored(self, row: str) -> Lock | None:
        return self.others.get(Lock, "p", row)


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Both:
    return Both(Memory(monkeypatch))


LOST: dict[str, Exception] = {
    "no answer": ServiceResponseError("reset"),
    "an error of the SDK": AzureError("cut off"),
    "500": refused(500),
    "503": refused(503),
    "409": ResourceExistsError("there is such a row"),
    "412": ResourceModifiedError("another version"),
    "404": refused(404),
}
lost = pytest.mark.parametrize("fault", LOST.values(), ids=LOST)


@lost
@pytest.mark.parametrize("there", [False, True])
def test_a_row_that_was_written_is_known_as_ours(both: Both, fault: Exception, *, there: bool) -> None:
    etag = both.others.write(Write(Lock("before"), "p", "r")) if there else ""
    both.deaf.fault = fault
    etag = both.mine.write(Write(Lock("after"), "p", "r", etag))
    assert both.stored("r") == Lock("after", etag=etag)


@pytest.mark.parametrize("status", [404, 409, 412, 500])
@pytest.mark.parametrize("deletion", [0, 1, 2])
def test_rows_that_were_written_together_are_known_as_ours(both: Both, status: int, deletion: int) -> None:
    gone = both.others.write(Write(Lock("gone"), "p", "gone"))
    known = both.others.write(Write(Lock("before"), "p", "known"))
    writes: list[Write | Delete] = [Write(Lock("new"), "p", "new"), Write(Lock("after"), "p", "known", known)]
    writes.insert(deletion, Delete("p", "gone", gone))
    both.deaf.fault = _TransactionRefusedError(status)
    etags = both.mine.transact(writes)
    assert etags.pop(deletion) == ""
    assert [both.stored("new"), both.stored("known")] == [Lock("new", etag=etags[0]), Lock("after", etag=etags[1])]
    assert both.stored("gone") is None


@lost
def test_what_was_not_carried_out_is_not_taken_for_ours(both: Both, fault: Exception) -> None:
    both.deaf.fault, both.deaf.carries_out = fault, False
    with pytest.raises(HydrationError) as raised:
        both.mine.write(Write(Lock("after"), "p", "r"))
    assert raised.value.__cause__ is fault
    assert both.deaf.looks == 1
    both.others.write(Write(Lock("others"), "p", "r"))
    with pytest.raises(HydrationError):
        both.mine.write(Write(Lock("after"), "p", "r"))


@pytest.mark.parametrize("row", ["new", "known"])
def test_rows_of_which_one_is_another_s_by_now_conflict(both: Both, row: str) -> None:
    known = both.others.write(Write(Lock("before"), "p", "known"))
    both.deaf.fault = _TransactionRefusedError(412)
    both.deaf.meanwhile = lambda: both.others.put(Lock("others"), "p", row)
    with pytest.raises(ConflictError, match="Rows of the status storage were changed by another worker"):
        both.mine.transact([Write(Lock("new"), "p", "new"), Write(Lock("after"), "p", "known", known)])


def test_who_cannot_look_does_not_know(both: Both) -> None:
    both.deaf.fault, both.deaf.unreadable = ServiceResponseError("reset"), ServiceResponseError("reset again")
    with pytest.raises(TransientError) as raised:
        both.mine.write(Write(Lock("after"), "p", "r"))
    assert raised.value.__cause__ is both.deaf.fault


@pytest.mark.parametrize("fault", [ServiceRequestError("no connection"), refused(400), refused(429), refused(499)])
def test_where_nothing_can_have_been_written_nobody_looks(both: Both, fault: Exception) -> None:
    both.deaf.fault, both.deaf.carries_out = fault, False
    with pytest.raises(TransientError, match="The status storage did not answer as expected"):
        both.mine.write(Write(Lock("after"), "p", "r"))
    assert both.deaf.looks == 0


def test_a_transaction_that_is_refused_for_good_says_why(both: Both) -> None:
    both.deaf.fault, both.deaf.carries_out = _TransactionRefusedError(400), False
    with pytest.raises(TransientError, match=r"^The status storage refused a transaction: refused$"):
        both.mine.transact([Write(Lock("after"), "p", "r")])


def test_deletions_alone_leave_nothing_to_be_known_by(both: Both) -> None:
    gone = both.others.write(Write(Lock("gone"), "p", "gone"))
    both.deaf.fault = _TransactionRefusedError(404)
    with pytest.raises(ConflictError):
        both.mine.transact([Delete("p", "gone", gone)])


def test_every_write_has_a_mark_of_its_own(both: Both) -> None:
    etag = both.mine.write(Write(Lock("same"), "p", "r"))
    first = both.deaf._client.get_entity("p", "r")["written"]
    both.mine.write(Write(Lock("same"), "p", "r", etag))
    assert both.deaf._client.get_entity("p", "r")["written"] != first


# -- how the storage is reached ------------------------------------------------------------------------------

TIMES = {"connection_timeout": 20.0, "read_timeout": 60.0}


def test_no_answer_is_waited_for_as_long_as_a_claim_lasts_however_the_storage_is_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[tuple[tuple[object, ...], dict[str, Any]]] = []

    class Client:
        def __init__(self, *given: object, **named: object) -> None:
            made.append((given, named))

        @classmethod
        def from_connection_string(cls, *given: object, **named: object) -> Client:
            return cls(*given, **named)

    monkeypatch.setattr(tables, "TableServiceClient", Client)
    monkeypatch.setattr("azure.identity.DefaultAzureCredential", lambda **given: given)
    clock = Clock()
    tables.service(Connection("connection string"), clock, retry_total=1)
    tables.service(Connection(None, "https://status.table.core.windows.net", "client id"), clock)
    tables.service(Connection(None, "https://status.table.core.windows.net"), clock)
    hooks = {"raw_request_hook", "raw_response_hook"}
    (by_string, first), (by_identity, second), (_, third) = made
    assert by_string == ("connection string",)
    assert {name: first[name] for name in first if name not in hooks} == TIMES | {"retry_total": 1}
    assert by_identity == ("https://status.table.core.windows.net",)
    chosen = {"managed_identity_client_id": "client id"}
    assert {name: second[name] for name in second if name not in hooks} == TIMES | {"credential": chosen}
    assert third["credential"] == {}, "None would hide AZURE_CLIENT_ID"
    assert all(hooks <= set(named) for _, named in made)
